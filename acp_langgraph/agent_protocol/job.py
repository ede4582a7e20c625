"""A remote graph's work as a job: how each verb goes over the wire of LangGraph's Agent Protocol.

The protocol numbers runs itself and cannot look one up by anything else. But a thread's id may be the
client's: so a job is a thread, its id made of the key, and the thread's runs are the look-up. Its first
run gives it its name; an answer is one run more, and what is true of the job is true of the newest.

What a run came to is in two places, its status and the thread's state, and only both together tell it,
but for a state that has come to its end: that tells by itself that all went well, and which run wrote it.
Joining a run is a sign that something has happened, and no result: for a run that is over it gives
whatever the thread holds by then, a cancelled one's values as a finished one's. So a job that ends at
once takes two requests: one that starts the run and waits, and one for the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from acp_langgraph.agent_protocol import calls
from acp_langgraph.agent_protocol.calls import KEY, Run, ThreadState
from acp_langgraph.agent_protocol.listening import GraphStream
from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.operations import as_json
from acp_langgraph.core.wire import plain
from acp_langgraph.errors import (
    ApiException,
    ApiTimeoutError,
    ApiValueError,
    ConflictException,
    NotFoundException,
    OpenApiException,
    RemoteGraphError,
    RunLostError,
    UnknownAgentError,
    UnknownOutcomeError,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import (
    NOT_YET,
    Entry,
    Job,
    JobPolicy,
    Outcome,
    Segment,
    Sighting,
    WaitBudget,
    may_be_done,
    raise_what_passes,
)
from acp_langgraph.jobs.listening import Listening, listen_to, stop_listening
from acp_langgraph.jobs.waiting import say_no_webhook

_PAGE: Final = 100
_PAGES: Final = 100
_LOOKS: Final = 3


@dataclass(frozen=True)
class GraphJob(Job):
    """One piece of work that is wanted of a remote graph.

    Attributes:
        order: What is to be done.
        policy: How patient to be.
        listening: How to listen to it while it works; `None` if nobody wants to know.
    """

    order: GraphOrder
    policy: JobPolicy = field(default_factory=JobPolicy)
    listening: Listening | None = None
    _schemas: list[dict[str, Any]] = field(default_factory=list, compare=False, repr=False)

    @property
    def key(self) -> str:  # type: ignore[override]  # it is the order's
        """Identifies the order."""
        return self.order.key

    @property
    def node(self) -> str:  # type: ignore[override]  # see key
        """The name of the node that wants it."""
        return self.order.node

    @property
    def starts_in_one(self) -> bool:
        """Whether nothing but the outcome is wanted, on a thread of its own."""
        order = self.order
        return order.shared_thread is None and order.wakes is None and self.listening is None

    @property
    def is_found_done(self) -> bool:
        """Its thread's runs are listed whatever became of them."""
        return True

    def with_(self, *, key: str | None = None, policy: JobPolicy | None = None) -> Self:
        """The same job with another key or policy."""
        order = self.order if key is None else replace(self.order, key=key)
        return replace(self, order=order, policy=policy or self.policy)

    def ids(self, job_id: str | None = None) -> dict[str, Any]:
        """What errors say of it."""
        return self.order.ids(job_id)

    def find(self) -> Flow[str | None]:
        """The job's first run.

        Raises:
            UnknownOutcomeError: If the thread is one that remembers, and the server does not keep what
                tells its runs apart.
        """
        runs = yield from self._runs()
        return runs[-1].run_id if runs else None

    def start(self) -> Flow[str]:
        """Start the first run, on a thread that is made for it.

        Raises:
            UnknownAgentError: If the server has no such assistant.
        """
        try:
            run = yield from self._woken(GraphOrder.starting)
        except ConflictException:
            # Somebody is at work on the thread: this very job, if it is the job's own thread.
            found = yield from self.find()
            if found is None:
                raise
            return found
        except (NotFoundException, UnprocessableEntityException) as error:
            if "assistant" not in error.reason.lower():
                raise
            raise UnknownAgentError(
                f"the server has no assistant {self.order.assistant_id!r}: {error.reason}",
                node=self.node,
            ) from None
        return run.run_id

    def start_and_wait(self) -> Flow[tuple[str | None, Outcome | None]]:
        """Start the first run and wait for it."""
        thread_id, body = self.order.thread_id, self.order.starting()
        try:
            said = yield from self.policy.repeat(
                calls.wait_run(thread_id, body, self.policy.long_poll)
            )
        except ApiException as error:
            raise_what_passes(error)
            if may_be_done(error):
                raise
            run_id = yield from self.start()  # which knows what that means, or another way
            return run_id, None
        self._schemas[:] = _schemas(said)
        try:
            return (yield from self._told(said))
        except NOT_YET as error:
            problem = f"the run was taken up, and what it came to cannot be had: {error}"
            raise ApiTimeoutError(problem, sent=True) from None

    def _told(self, said: Any) -> Flow[tuple[str, Outcome | None]]:
        """What the first run came to that was waited for, if its thread's state tells that by itself."""
        with suppress(NotFoundException):
            state = yield from self.policy.repeat(calls.get_state(self.order.thread_id))
            run_id = state.metadata.get("run_id")
            if isinstance(run_id, str) and state.is_done and not _is_failure(said):
                return run_id, {"type": "result", "run_id": run_id, "values": state.values}
        job_id = yield from self.find()
        if job_id is None:
            raise RunLostError("the server took the run up and does not know it", **self.ids())
        return job_id, None

    def wait(self, job_id: str) -> Flow[Outcome | None]:
        """Join the newest run while it is at work, and then look at what there is."""
        said: Any = None
        run = yield from self.newest(job_id)
        if run.is_at_work:
            said = yield from calls.join_run(
                self.order.thread_id, run.run_id, self.policy.long_poll
            )
            run = yield from self.newest(job_id)
        return None if run.is_at_work else (yield from self._outcome(job_id, run, said))

    def read(self, job_id: str) -> Flow[Sighting]:
        """The status of the newest run."""
        run = yield from self.newest(job_id)
        return Sighting(run.status, run.is_at_work)

    def still_asks(self, job_id: str, question: Outcome) -> Flow[bool]:
        """Whether the run that asked is the newest: any answer, whoever gave it, is a run of its own."""
        run = yield from self.newest(job_id)
        return run.run_id == question["asked_at"] and not run.is_at_work

    def answer(self, job_id: str, answer: Any) -> Flow[None]:  # noqa: ARG002 - the thread says it all
        """Answer what is open, by the questions' ids."""
        state = yield from self.policy.repeat(calls.get_state(self.order.thread_id))
        answers = _addressed(answer, state.questions)
        self._schemas.clear()
        if answers:
            yield from self._woken(lambda order: order.answering(answers))

    def cancel(self, job_id: str) -> Flow[None]:
        """End the run that is at work; one that asks can be ended with its thread only.

        Where the thread remembers, what the graph was at is given up instead, as its end would be.
        """
        thread_id = self.order.thread_id
        for _ in range(_LOOKS):
            run = yield from self.newest(job_id)
            if not run.is_at_work:
                break
            # It may be over by now, and perhaps asks: LangGraph's own server says so, others say nothing.
            with suppress(NotFoundException, ConflictException):
                yield from self.policy.repeat(calls.cancel_run(thread_id, run.run_id))
        state = yield from self.policy.repeat(calls.get_state(thread_id))
        if not state.questions:
            return
        if self.order.shared_thread is None:
            yield from self.policy.repeat(calls.delete_thread(thread_id))
        else:
            given_up = {"values": None, "as_node": "__end__"}
            yield from self.policy.repeat(calls.update_state(thread_id, given_up))

    def answer_schema(self, _: Any) -> Flow[dict[str, Any] | None]:
        """The JSON Schema of the answer to a question, which is told only to who has joined the run."""
        yield from ()
        return self._schemas[0] if self._schemas else None

    def failure(self, outcome: Outcome) -> RemoteGraphError:
        """What the server told of its failure."""
        return RemoteGraphError(
            outcome["description"], failed_in=outcome["failed_in"], **self.ids(outcome["run_id"])
        )

    def listen(self, segment: Segment, entry: Entry, budget: WaitBudget) -> Flow[None]:
        """Show what its newest run emits, if anybody wants to see it."""
        listening = self.listening
        if listening is None or listening.cursor(segment).is_over:
            return
        try:
            run = yield from self.newest(segment["run_id"])
        except OpenApiException:
            return
        if entry.again and not entry.seen_alive:
            entry.seen_alive = run.is_at_work
        stream = GraphStream(self.order, self.policy, run.run_id)
        yield from listen_to(stream, self.policy, listening, segment, budget)

    def forget(self, job_id: str) -> None:
        """Forget what was heard of it."""
        if self.listening is not None:
            self.listening.forget(job_id)

    def heard(self, segment: Segment, outcome: Outcome) -> Flow[dict[str, Any]]:
        """Tell if something may not have been shown."""
        asks = outcome["type"] == "interrupt"
        return (yield from stop_listening(self.node, self.listening, segment, asks=asks))

    def newest(self, job_id: str) -> Flow[Run]:
        """The job's newest run.

        Raises:
            NotFoundException: If the server knows it no more.
        """
        if self.order.shared_thread is None:
            page = calls.list_runs(self.order.thread_id, 1)
            runs: list[Run] = yield from self.policy.repeat(page)
        else:
            runs = yield from self._runs(until=job_id)
        if runs:
            return runs[0]
        return (yield from self.policy.repeat(calls.get_run(self.order.thread_id, job_id)))

    def _woken(self, body_of: Callable[[GraphOrder], dict[str, Any]]) -> Flow[Run]:
        """Create a run with its webhook; without, where the server does not take that."""
        thread_id, order = self.order.thread_id, self.order
        try:
            return (yield from self.policy.repeat(calls.create_run(thread_id, body_of(order))))
        except UnprocessableEntityException as error:
            if order.wakes is None or "assistant" in error.reason.lower():
                raise
            body = body_of(replace(order, wakes=None))
            run = yield from self.policy.repeat(calls.create_run(thread_id, body))
            say_no_webhook(order.node, error)
            return run

    def _runs(self, until: str | None = None) -> Flow[list[Run]]:
        """The job's runs, the newest first; on a thread that remembers, back to the one named.

        Raises:
            UnknownOutcomeError: If it cannot be told whether there are any.
        """
        runs: list[Run] = []
        for offset in range(0, _PAGE * _PAGES, _PAGE):
            try:
                page = yield from self.policy.repeat(
                    calls.list_runs(self.order.thread_id, _PAGE, offset)
                )
            except NotFoundException:
                return []
            runs += page
            if len(page) < _PAGE or any(run.run_id == until for run in page):
                break
        if self.order.shared_thread is None:
            return runs
        if any(run.key for run in runs) or all(run.metadata for run in runs):
            return [run for run in runs if run.key == self.key]
        return self._unmarked(runs, until)

    def _unmarked(self, runs: list[Run], known: str | None) -> list[Run]:
        """The job's runs where the server does not keep what would tell whose they are."""
        if known is not None:  # what is newer is its answers, unless others use the thread
            return runs
        if self.policy.on_unknown == "rerun":
            return []
        raise UnknownOutcomeError(
            "it cannot be told whether the remote run was started: the thread has runs, and the server "
            "does not keep their metadata, which would tell whose they are. Look at the thread; if there "
            'is no such run, or another one does no harm, run the node with on_unknown="rerun", or '
            "without use_threads, so that each run has its own thread",
            key=self.key,
            **self.ids(),
        )

    def _outcome(self, job_id: str, run: Run, said: Any) -> Flow[Outcome]:
        state = yield from self._state()
        questions = state.questions
        if run.status in {"error", "timeout"}:
            return _failed(job_id, *_why(run, state, said))
        if questions:
            payload: Any = {"interrupts": questions}
            if len(questions) == 1:
                (payload,) = questions.values()
            self._schemas[:] = _schemas(said) or self._schemas
            asked = {"payload": payload, "asked_at": run.run_id}
            return {"type": "interrupt", "run_id": job_id, **asked}
        if run.status == "interrupted":
            return _failed(job_id, "it was cancelled", (), was_cancelled=True)
        if not state.is_done:
            before = ", ".join(state.next) or "its end"
            return _failed(
                job_id,
                f"it stopped before {before} and asks nothing, as by interrupt_before of the assistant, "
                "which leaves nothing to answer; ask by interrupt() in a node",
                (),
            )
        return {"type": "result", "run_id": job_id, "values": state.values}

    def _state(self) -> Flow[ThreadState]:
        """The thread's state as this job left it."""
        thread_id = self.order.thread_id
        state = yield from self.policy.repeat(calls.get_state(thread_id))
        if self.order.shared_thread is None or state.metadata.get(KEY, self.key) == self.key:
            return state
        history = yield from self.policy.repeat(calls.get_history(thread_id, _PAGE))
        ours = (each for each in history if each.metadata.get(KEY) == self.key)
        return next(ours, state)


def _addressed(answer: Any, questions: Mapping[str, Any]) -> dict[str, Any]:
    """An answer by the ids of the questions that it answers.

    Raises:
        ApiValueError: If it cannot be told which of several it is for, or it cannot be sent.
    """
    given = as_json("the answer", plain, answer, "answer")
    if isinstance(given, dict) and given and given.keys() <= questions.keys():
        return given
    if len(questions) > 1:
        named = ", ".join(map(repr, questions))
        raise ApiValueError(
            f"{len(questions)} questions are open; give a dict by their ids, {named}"
        )
    return dict.fromkeys(questions, given)


def _schemas(said: Any) -> list[dict[str, Any]]:
    """The schema of the answer to the only question that is asked, if it is told."""
    match said:
        case {"__interrupt__": [{"response_schema": dict() as schema}]}:
            return [schema]
    return []


def _is_failure(said: Any) -> bool:
    """Whether a run that was waited for is said to have failed."""
    return isinstance(said, dict) and "__error__" in said


def _why(run: Run, state: ThreadState, said: Any) -> tuple[str, tuple[str, ...]]:
    """Why a run failed, in the words of the node that did, and which node that was."""
    failed = [task for task in state.tasks if task.error]
    if failed:
        return "; ".join(task.error for task in failed), tuple(task.name for task in failed)
    match said:
        case {"__error__": {"error": str(kind), "message": str(message)}}:
            return f"{kind}: {message}", ()
    return run.error_message or f"status {run.status}, without a word", ()


def _failed(
    job_id: str, description: str, failed_in: tuple[str, ...], *, was_cancelled: bool = False
) -> Outcome:
    return {
        "type": "failed",
        "run_id": job_id,
        "description": description,
        "failed_in": list(failed_in),
        "was_cancelled": was_cancelled,
    }
