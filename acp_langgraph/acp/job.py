"""A run on an ACP server as a job: how each verb goes over the wire, on servers that do it and on others.

What a server does not all that the protocol says is found out once and remembered (`ServerHabits`);
AGNTCY's is meant, whose runs on threads can be started only where they are waited for, and be asked and
answered only as runs by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Self

from acp_langgraph.acp import calls
from acp_langgraph.acp.listening import Listening, is_at_work, listen_to_run, stop_listening
from acp_langgraph.acp.lookup import find_run
from acp_langgraph.acp.models import (
    CANCELLED,
    RunError,
    RunInterrupt,
    RunResult,
    RunStatus,
    RunWaitResponse,
)
from acp_langgraph.acp.order import RunOrder, ServerHabits
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import (
    ACPRunException,
    ApiTimeoutError,
    NotFoundException,
    RunLostError,
    ServiceException,
    UnknownAgentError,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import (
    Entry,
    Job,
    JobPolicy,
    Outcome,
    Segment,
    Sighting,
    WaitBudget,
)

__all__ = ["ACPJob"]


@dataclass(frozen=True)
class ACPJob(Job):
    """One remote run that is wanted.

    Attributes:
        order: What is to be run.
        policy: How patient to be.
        habits: What was found out about the server.
        listening: How to listen to the run while it works; `None` if nobody wants to know.
    """

    order: RunOrder
    policy: JobPolicy = field(default_factory=JobPolicy)
    habits: ServerHabits = field(default_factory=ServerHabits)
    listening: Listening | None = None

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
        """Whether nothing but the outcome is wanted, of a run by itself."""
        return self.order.thread_id is None and self.listening is None

    def with_(self, *, key: str | None = None, policy: JobPolicy | None = None) -> Self:
        """The same job with another key or policy."""
        order = self.order if key is None else replace(self.order, key=key)
        return replace(self, order=order, policy=policy or self.policy)

    def ids(self, job_id: str | None = None) -> dict[str, Any]:
        """What errors say of it."""
        return self.order.ids(job_id)

    def prepare(self) -> Flow[None]:
        """Make its thread, if it has one."""
        if self.order.thread_id is not None:
            thread = {"thread_id": self.order.thread_id, "if_exists": "do_nothing"}
            yield from self.policy.repeat(calls.create_thread({**thread, "metadata": {}}))

    def find(self) -> Flow[str | None]:
        """The oldest run with the key, should there be several."""
        run = yield from find_run(self.order, self.policy, self.habits)
        return None if run is None else run.run_id

    def start(self) -> Flow[str]:
        """Start it, on its thread if it has one, asking for what is to be streamed if anything is.

        Raises:
            UnknownAgentError: If the server has no such agent.
        """
        listening = self.listening
        if listening is None or not listening.modes or listening.refuses_modes:
            return (yield from self._start(self.order))
        try:
            return (yield from self._start(replace(self.order, stream_mode=listening.modes)))
        except UnprocessableEntityException:
            run_id = yield from self._start(self.order)
            listening.refuses_modes = True
            return run_id

    def start_and_wait(self) -> Flow[tuple[str | None, Outcome | None]]:
        """Start it and wait once, in one request."""
        call = self.order.create_and_wait(self.policy.long_poll)
        try:
            answer = yield from self.policy.repeat(call)
        except NotFoundException as error:
            raise _unknown_agent(self.order, error) from None
        run_id = answer.run.run_id if answer.run is not None else None
        return run_id, _outcome_of(answer, run_id)

    def wait(self, job_id: str) -> Flow[Outcome | None]:
        """Wait once: on its thread, or as a run by itself where the server cannot do that."""
        answer = yield from self._waited(job_id)
        return _outcome_of(answer, job_id)

    def read(self, job_id: str) -> Flow[Sighting]:
        """Its status."""
        run = yield from self.policy.repeat(self.order.get(job_id))
        return Sighting(str(run.status), run.status == RunStatus.PENDING)

    def still_asks(self, job_id: str, question: Outcome) -> Flow[bool]:
        """Whether it is interrupted; a question is recognised by when the run was last updated.

        The protocol changes that time with every status.
        """
        run = yield from self.policy.repeat(self.order.get(job_id))
        if run.status != RunStatus.INTERRUPTED:
            return False
        asked_at = question["asked_at"]
        return asked_at is None or run.updated_at is None or run.updated_at.isoformat() == asked_at

    def answer(self, job_id: str, answer: Any) -> Flow[None]:
        """Resume it. AGNTCY's server says 400 where the protocol says 409: it is not interrupted."""
        by_itself = self.habits.answers_on_threads is False
        order = self.order.by_itself() if by_itself else self.order
        try:
            yield from self.policy.repeat(order.resume(job_id, answer))
        except ServiceException:
            if self.order.thread_id is not None:  # the other way the next time
                self.habits.answers_on_threads = by_itself
            raise

    def cancel(self, job_id: str) -> Flow[None]:
        """End it."""
        yield from self.policy.repeat(self.order.cancel(job_id))

    def failure(self, outcome: Outcome) -> ACPRunException:
        """What the agent said of its failure."""
        return ACPRunException(
            outcome["errcode"], outcome["description"], **self.ids(outcome["run_id"])
        )

    def listen(self, segment: Segment, entry: Entry, budget: WaitBudget) -> Flow[None]:
        """Show what it emits, if anybody wants to see it."""
        if self.listening is None:
            return
        if entry.again and not entry.seen_alive:  # a stream may tell of what was long ago
            entry.seen_alive = yield from is_at_work(self.order, self.policy, segment["run_id"])
        yield from listen_to_run(self.order, self.policy, self.listening, segment, budget)

    def heard(self, segment: Segment, outcome: Outcome) -> Flow[dict[str, Any]]:
        """Tell if something may not have been shown."""
        asks = outcome["type"] == "interrupt"
        return (yield from stop_listening(self.order, self.listening, segment, asks=asks))

    def _start(self, order: RunOrder) -> Flow[str]:
        on_thread = order.thread_id is not None
        try:
            if on_thread and not self.habits.starts_on_threads:
                return (yield from self._start_by_waiting(order))
            run = yield from self.policy.repeat(order.create())
        except NotFoundException as error:
            raise _unknown_agent(order, error) from None
        except ServiceException as error:
            if on_thread and error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                self.habits.starts_on_threads = False
            raise
        return str(run.run_id)

    def _start_by_waiting(self, order: RunOrder) -> Flow[str]:
        """Start it and wait, not for what it comes to but because it is started like that."""
        answer = yield from self.policy.repeat(order.create_and_wait(self.policy.long_poll))
        run_id = answer.run.run_id if answer.run is not None else (yield from self.find())
        if run_id is None:
            raise RunLostError("the server took the run up and does not know it", **self.ids())
        return run_id

    def _waited(self, run_id: str) -> Flow[RunWaitResponse]:
        order, habits, seconds = self.order, self.habits, self.policy.long_poll
        if order.thread_id is None or habits.answers_on_threads is False:
            return (yield from order.by_itself().wait(run_id, seconds))
        try:
            return (yield from order.wait(run_id, seconds))
        except ServiceException as error:
            failed = error.status == HTTPStatus.INTERNAL_SERVER_ERROR
            if not failed or habits.answers_on_threads is not None:
                raise
        try:
            answer = yield from order.by_itself().wait(run_id, seconds)
        except NotFoundException:
            habits.answers_on_threads = True
            problem = "the server could not tell what the run came to"
            raise ApiTimeoutError(problem, sent=True) from None
        habits.answers_on_threads = False
        return answer


def _outcome_of(answer: RunWaitResponse, run_id: str | None) -> Outcome | None:
    """What a wait came to; `None` if the run is not done, or its output is missing."""
    run, output = answer.run, answer.output
    match output:
        case RunResult():
            result = output.model_dump(mode="json", include={"type", "values", "messages"})
            return {**result, "run_id": run_id}
        case RunInterrupt():
            at = run.updated_at.isoformat() if run is not None and run.updated_at else None
            payload = output.interrupt
            return {"type": "interrupt", "payload": payload, "asked_at": at, "run_id": run_id}
        case RunError():
            # The protocol has neither a status nor an error code for a run that was cancelled; this
            # project's server uses `CANCELLED` and says so in words.
            said = output.description
            was_cancelled = output.errcode == CANCELLED and "cancelled" in said
            return _failed(run_id or output.run_id, output.errcode, said, was_cancelled)
    if run is not None and run.status in {RunStatus.ERROR, RunStatus.TIMEOUT}:
        return _failed(run_id, None, f"status {run.status} without an output", False)
    return None


def _failed(run_id: str | None, errcode: Any, description: str, was_cancelled: bool) -> Outcome:
    return {
        "type": "failed",
        "run_id": run_id,
        "errcode": errcode,
        "description": description,
        "was_cancelled": was_cancelled,
    }


def _unknown_agent(order: RunOrder, error: NotFoundException) -> UnknownAgentError:
    return UnknownAgentError(
        f"the server knows no agent {order.agent_id} ({error}). Is the id right, and is the host a "
        "server of AGNTCY's Agent Connect Protocol? An agent may also be given by its name",
        node=order.node,
    )
