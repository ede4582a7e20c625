"""A run on an ACP server as a job: how each verb goes over the wire, on servers that do it and on others.

What a server does not all that the protocol says is found out once and remembered (`ServerHabits`);
AGNTCY's is meant, whose runs on threads can be started only where they are waited for, and be asked and
answered only as runs by themselves.

The key is in the run's metadata. The specification lets `POST /runs/search` match metadata and lists
the runs of a thread; AGNTCY's server answers 500 to a search by metadata but lists an agent's runs,
so what cannot be searched is paged through and compared here. What a server cannot is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Self

from acp_langgraph.acp import calls
from acp_langgraph.acp.listening import RunStream
from acp_langgraph.acp.models import (
    CANCELLED,
    RunError,
    RunInterrupt,
    RunResult,
    RunStatus,
    RunWaitResponse,
)
from acp_langgraph.acp.order import KEY, AnyRun, RunOrder, ServerHabits
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Pause
from acp_langgraph.core.retry import asked_to_wait
from acp_langgraph.core.wire import came
from acp_langgraph.errors import (
    ACPRunException,
    ApiConnectionError,
    ApiException,
    ApiTimeoutError,
    NotFoundException,
    RunLostError,
    ServiceException,
    TooManyRequestsException,
    UnknownAgentError,
    UnknownOutcomeError,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import (
    PASSING,
    CannotFindError,
    Entry,
    FindsDone,
    Job,
    JobPolicy,
    Outcome,
    Segment,
    Sighting,
    WaitBudget,
    raise_what_passes,
)
from acp_langgraph.jobs.listening import Listening, listen_to, says_at_work, stop_listening
from acp_langgraph.jobs.waiting import say_no_webhook

_PAGE: Final = 100
_PAGES: Final = 100


def find_run(order: RunOrder, policy: JobPolicy, server: ServerHabits) -> Flow[AnyRun | None]:
    """Find the run that was created for an order; the oldest, should there be several.

    Returns:
        The run, or `None` if the server has none.

    Raises:
        UnknownOutcomeError: If the server cannot tell and the policy is to raise.
    """
    try:
        if order.thread_id is not None:
            runs = yield from _list_thread(order, policy, server)
        else:
            runs = yield from _search(order, policy, server)
    except CannotFindError as error:
        if policy.on_unknown == "rerun":
            return None
        raise UnknownOutcomeError(
            f"it cannot be told whether the remote run was started: {error}. Look on the server for "
            f"a run with {order.key!r} under {KEY!r} in its metadata; if there is none, or another "
            'run does no harm, run the node with on_unknown="rerun"',
            key=order.key,
            **order.ids(),
        ) from None
    return min(runs, key=_age, default=None)


def _search(order: RunOrder, policy: JobPolicy, server: ServerHabits) -> Flow[list[AnyRun]]:
    wanted: dict[str, Any] = {} if order.agent_id is None else {"agent_id": order.agent_id}
    found: list[AnyRun] = []
    if server.searches_metadata is not False:
        by_key = calls.search_stateless_runs({**wanted, "metadata": {KEY: order.key}})
        # A server that cannot says so each time: until it is known to, it is not asked again.
        asking = policy.repeat(by_key) if server.searches_metadata else _ask(by_key, policy)
        try:
            page = yield from asking
        except ApiException as error:
            raise_what_passes(error)
            failed = True
        else:
            failed = False
            found = _ours(page, order.key)
            if found or not came(page):
                server.searches_metadata = True
                return found
            # The server ignored the filter, and the run may be on another page.
    else:
        failed = False
    pages = _pages(
        lambda offset: calls.search_stateless_runs({**wanted, "limit": _PAGE, "offset": offset}),
        order,
        policy,
        server,
        "the server cannot search runs",
        "the agent",
    )
    found = yield from pages
    if failed:  # and a page of all runs could be had
        server.searches_metadata = False
    return found


def _ask(call: Call[Any], policy: JobPolicy) -> Flow[list[AnyRun]]:
    """Ask for what a server may not be able to: what passes is repeated, and its refusal is not."""
    waits = policy.backoff.waits()
    for left in range(policy.retries, -1, -1):
        try:
            page: list[AnyRun] = yield from call
        except (ServiceException, ApiConnectionError, TooManyRequestsException) as error:
            is_refused = isinstance(error, ServiceException) and error.status not in PASSING
            if is_refused or not left:
                raise
            yield Pause(max(next(waits), asked_to_wait(error)))
        else:
            return page
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def _list_thread(order: RunOrder, policy: JobPolicy, server: ServerHabits) -> Flow[list[AnyRun]]:
    thread_id = str(order.thread_id)
    whole = calls.list_thread_runs(thread_id)
    try:
        if server.pages_threads:
            try:
                return (
                    yield from _pages(
                        lambda offset: calls.list_thread_runs(
                            thread_id, limit=_PAGE, offset=offset
                        ),
                        order,
                        policy,
                        server,
                        "the server cannot list a thread's runs",
                        "the thread",
                    )
                )
            except UnprocessableEntityException:  # AGNTCY's server gives all of them, or none
                page = yield from policy.repeat(whole)
                server.pages_threads = False
        else:
            page = yield from policy.repeat(whole)
    except NotFoundException:
        return []
    except ApiException as error:
        raise_what_passes(error)
        raise CannotFindError(f"the server cannot list a thread's runs ({error})") from None
    return _certain(_ours(page, order.key), came(page) - len(page))


def _pages(
    page_at: Callable[[int], Call[Any]],
    order: RunOrder,
    policy: JobPolicy,
    server: ServerHabits,
    cannot: str,
    whose: str,
) -> Flow[list[AnyRun]]:
    """The runs with the order's key, of all pages.

    Raises:
        NotFoundException, UnprocessableEntityException: If the server says so of a page of a thread.
    """
    found: list[AnyRun] = []
    left_out = 0
    for offset in range(0, _PAGE * _PAGES, _PAGE):
        try:
            page = yield from policy.repeat(page_at(offset))
        except ApiException as error:
            raise_what_passes(error)
            told = NotFoundException | UnprocessableEntityException
            if order.thread_id is not None and isinstance(error, told):
                raise
            raise CannotFindError(f"{cannot} ({error})") from None
        found += _ours(page, order.key)
        left_out += came(page) - len(page)
        if came(page) < _PAGE:
            return _certain(found, left_out)
    server.searches_metadata = None
    raise CannotFindError(f"{whose} has more than {_PAGE * _PAGES} runs to look through")


def _certain(found: list[AnyRun], left_out: int) -> list[AnyRun]:
    """What was found, if it is certain that there is no more: any could be what cannot be read."""
    if left_out and not found:
        raise CannotFindError(f"{left_out} of the runs that the server lists cannot be read")
    return found


def _ours(page: list[Any], key: str) -> list[AnyRun]:
    for run in page:
        if run.creation is None:
            raise CannotFindError("the server lists runs without what they were created from")
    return [run for run in page if (run.creation.metadata or {}).get(KEY) == key]


def _age(run: AnyRun) -> tuple[float, str]:
    return (run.created_at.timestamp() if run.created_at else 0.0, run.run_id)


@dataclass(frozen=True)
class ACPJob(Job):
    """One remote run that is wanted.

    Attributes:
        order: What is to be run.
        policy: How patient to be.
        habits: What was found out about the server.
        listening: How to listen to the run while it works; `None` if nobody wants to know.
        as_everybody: Whether every run of the server's is looked for with the same credentials, so that
            what one finds all do.
    """

    order: RunOrder
    policy: JobPolicy = field(default_factory=JobPolicy)
    habits: ServerHabits = field(default_factory=ServerHabits)
    listening: Listening | None = None
    as_everybody: bool = True

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

    @property
    def learns(self) -> FindsDone | None:
        """The server's habits, where runs are found by their metadata."""
        is_of_use = self.as_everybody and self.starts_in_one
        return self.habits if is_of_use and self.habits.searches_metadata is not False else None

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
            making = calls.create_thread({**thread, "metadata": {}})
            yield from self.policy.repeat(replace(making, repeatable=True))

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
            return (yield from self._start_woken(self.order))
        try:
            return (yield from self._start_woken(replace(self.order, stream_mode=listening.modes)))
        except UnprocessableEntityException:
            run_id = yield from self._start_woken(self.order)
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
        """Resume it: on its thread, or as a run by itself where that is found to be the only way.

        One try is one request: who calls looks whether the question still waits before the next one.
        AGNTCY's server says 400 where the protocol says 409: it is not interrupted.
        """
        habits, on_thread = self.habits, self.order.thread_id is not None
        unsure = on_thread and habits.answers_on_threads is None
        by_itself = on_thread and (
            habits.answers_on_threads is False or (unsure and habits.failed_on_thread)
        )
        order = self.order.by_itself() if by_itself else self.order
        try:
            yield from self.policy.repeat(order.resume(job_id, answer))
        except ServiceException as error:
            if unsure and error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                habits.failed_on_thread = not by_itself
            raise
        except NotFoundException:
            if not (unsure and by_itself):
                raise
            habits.answers_on_threads = True
            raise ApiTimeoutError("the server could not take the answer", sent=True) from None
        if unsure and by_itself:
            habits.answers_on_threads = False

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
        stream = RunStream(self.order, self.policy, segment["run_id"])
        if entry.again and not entry.seen_alive:  # a stream may tell of what was long ago
            entry.seen_alive = yield from says_at_work(stream)
        yield from listen_to(stream, self.policy, self.listening, segment, budget)

    def is_found(self, job_id: str) -> Flow[bool]:
        """Whether the server finds it by its metadata, and nothing else."""
        by_key = calls.search_stateless_runs({"metadata": {KEY: self.key}})
        page = yield from _ask(by_key, self.policy)
        return [run.run_id for run in _ours(page, self.key)] == [job_id] and came(page) == 1

    def forget(self, job_id: str) -> None:
        """Forget what was heard of it."""
        if self.listening is not None:
            self.listening.forget(job_id)

    def heard(self, segment: Segment, outcome: Outcome) -> Flow[dict[str, Any]]:
        """Tell if something may not have been shown."""
        if self.listening is None:
            return {}
        asks = outcome["type"] == "interrupt"
        return (yield from stop_listening(self.node, self.listening, segment, asks=asks))

    def _start_woken(self, order: RunOrder) -> Flow[str]:
        """Start it with its webhook; without, where the server does not take that."""
        try:
            return (yield from self._start(order))
        except UnprocessableEntityException as error:
            if order.wakes is None:
                raise
            run_id = yield from self._start(replace(order, wakes=None))
            say_no_webhook(order.node, error)
            return run_id

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
            result = {"type": "result", "values": output.values, "messages": output.messages}
            if output.messages:
                result |= output.model_dump(mode="json", include={"messages"})
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
