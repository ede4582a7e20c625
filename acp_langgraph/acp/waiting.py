"""Waiting for a remote run, through whatever happens on the way.

Time-outs, empty answers, broken connections and a server that is away mean "not yet". After each of
them the run's status is read, which is cheap and a sign of life; without one for too long, or with a
run that the server no longer knows, waiting ends.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, NoReturn

from acp_langgraph.acp.cancelling import cancel_run
from acp_langgraph.acp.entry import Entry, Leg, Outcome
from acp_langgraph.acp.listening import is_at_work, listen_to_run, stop_listening
from acp_langgraph.acp.lookup import find_run
from acp_langgraph.acp.models import (
    CANCELLED,
    RunError,
    RunInterrupt,
    RunResult,
    RunStatus,
    RunWaitResponse,
)
from acp_langgraph.acp.order import RunOrder, RunPolicy
from acp_langgraph.core.deadlines import Left, OutOfTimeError, within
from acp_langgraph.core.flow import Flow, Pause, Progress
from acp_langgraph.core.retry import retry_after
from acp_langgraph.errors import (
    ACPRunException,
    ApiConnectionError,
    ApiException,
    ApiTimeoutError,
    NotFoundException,
    OpenApiException,
    RequestTimeoutException,
    RunLostError,
    RunOutputError,
    RunTimeoutError,
    ServiceException,
    TooManyRequestsException,
    UnknownOutcomeError,
    UnreadableAnswerException,
)

__all__ = ["Vigil", "at_work_since", "give_up", "outcome_of", "wait_for_run"]

_NOT_YET: Final = (
    ApiConnectionError,
    ServiceException,
    RequestTimeoutException,
    TooManyRequestsException,
    UnreadableAnswerException,
)
_LOOKS_BEFORE_LOST: Final = 3
_LONG: Final = 1.0  # seconds
_TO_CANCEL: Final = 3.0  # seconds beyond the deadline
_LAST_LOOK: Final = 10.0  # seconds for what a run has come to whose time is over


def wait_for_run(order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg) -> Flow[Outcome]:
    """Wait until the run ends or asks, through whatever happens on the way."""
    run_id = leg["run_id"]
    if entry.was_cancelled(run_id):
        return {"type": "cancelled", "run_id": run_id}
    yield Progress("waiting", run_id, at_work_since(leg))
    left = policy.left(leg["since"])
    if entry.again and not entry.seen_alive and (left() or 1.0) <= 0:
        # It was given up, or whoever waited for it died: look once what it came to since.
        left = _for_seconds(_LAST_LOOK, policy)
        if not (yield from is_settled(order, policy, run_id)):
            yield from give_up(order, policy, run_id)
    try:
        return (yield from within(left, _wait(order, policy, entry, leg, left)))
    except OutOfTimeError:
        entry.failures.told.add(run_id)
        if entry.listening is not None:
            entry.listening.forget(run_id)
    return (yield from give_up(order, policy, run_id))


def _wait(order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg, left: Left) -> Flow[Outcome]:
    run_id = leg["run_id"]
    vigil = Vigil(policy, left)
    while True:
        yield from _listen(order, policy, entry, leg, vigil)
        problem: OpenApiException
        began = policy.clock()
        try:
            answer = yield from _asked_where_it_is_told(order, policy, run_id)
        except (*_NOT_YET, NotFoundException) as error:
            problem = error
        else:
            if entry.again and not entry.seen_alive and _was_cancelled(answer):
                return {"type": "cancelled", "run_id": run_id}
            heard = yield from stop_listening(order, entry.listening, leg, answer)
            if _has_failed(answer) and (
                yield from _is_to_be_done_again(order, policy, entry, run_id)
            ):
                # 0.2.0 knows this result too, and starts a run of its own as well.
                return {"type": "cancelled", "run_id": run_id, "failed": True}
            outcome = outcome_of(order, answer, run_id, entry)
            if outcome is not None:
                if outcome["type"] == "interrupt":
                    yield Progress("asked", run_id)
                return {**outcome, **heard}
            problem = ApiTimeoutError("the server says that the run is not done", sent=True)
        yield from _look(order, vigil, entry, run_id, problem)
        stayed_open = isinstance(problem, ApiTimeoutError) and problem.sent
        if not (stayed_open and vigil.was_long_since(began)):
            yield Pause(vigil.next_pause(problem))


def _asked_where_it_is_told(
    order: RunOrder, policy: RunPolicy, run_id: str
) -> Flow[RunWaitResponse]:
    """Wait for what the run comes to: on its thread, or by itself where the server cannot do that."""
    server = policy.server
    if order.thread_id is None or server.answers_on_threads is False:
        return (yield from order.by_itself().wait(run_id, policy.long_poll))
    try:
        return (yield from order.wait(run_id, policy.long_poll))
    except ServiceException as error:
        failed = error.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if not failed or server.answers_on_threads is not None:
            raise
    try:
        answer = yield from order.by_itself().wait(run_id, policy.long_poll)
    except NotFoundException:
        server.answers_on_threads = True
        raise ApiTimeoutError("the server could not tell what the run came to", sent=True) from None
    server.answers_on_threads = False
    return answer


def _listen(order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg, vigil: Vigil) -> Flow[None]:
    """Show what the run emits, if anybody wants to see it."""
    if entry.listening is None:
        return
    if entry.again and not entry.seen_alive:  # a stream may tell of what was long ago
        entry.seen_alive = yield from is_at_work(order, policy, leg["run_id"])
    yield from listen_to_run(order, policy, entry.listening, leg, vigil)


def is_settled(order: RunOrder, policy: RunPolicy, run_id: str) -> Flow[bool]:
    """Whether a run is certainly at work no more."""
    looking = within(_for_seconds(_LAST_LOOK, policy), policy.repeat(order.get(run_id)))
    try:
        run = yield from looking
    except (OpenApiException, OutOfTimeError):
        return False
    return bool(run.status != RunStatus.PENDING)


def _for_seconds(seconds: float, policy: RunPolicy) -> Left:
    until = policy.clock() + seconds
    return lambda: until - policy.clock()


def _has_failed(answer: RunWaitResponse) -> bool:
    """Whether a run came to nothing, and certainly not to its end."""
    run = answer.run
    failed = run is not None and run.status in {RunStatus.ERROR, RunStatus.TIMEOUT}
    return isinstance(answer.output, RunError) or (answer.output is None and failed)


def _is_to_be_done_again(
    order: RunOrder, policy: RunPolicy, entry: Entry, run_id: str
) -> Flow[bool]:
    """Whether whoever enters has been told of the run's failure before, or has replaced the run."""
    if not entry.again or policy.on_failure == "keep":
        return False
    if (yield from entry.failures.were_told_of(run_id)):
        return True
    if entry.seen_alive:
        return False
    try:  # another process may have been told, and have died since
        return (yield from find_run(order.successor(), policy)) is not None
    except (OpenApiException, UnknownOutcomeError):
        return False


def _was_cancelled(answer: RunWaitResponse) -> bool:
    """Whether a run was cancelled.

    The protocol has neither a status nor an error code for it; this project's server uses `CANCELLED`
    and says so in words.
    """
    output = answer.output
    return (
        isinstance(output, RunError)
        and output.errcode == CANCELLED
        and "cancelled" in output.description
    )


class Vigil:
    """How long a wait has gone on without a sign of life, and how often without sense."""

    def __init__(self, policy: RunPolicy, left: Left) -> None:
        self.policy = policy
        self.seconds_left = left
        self.misses = 0
        self._alive = policy.clock()
        self._waits = policy.backoff.waits()

    def alive(self) -> None:
        """The server gave a sign of life."""
        self._alive = self.policy.clock()

    def is_hopeless(self) -> bool:
        """Whether there was no sign of life for too long."""
        return self.policy.clock() - self._alive > self.policy.patience

    def was_long_since(self, began: float) -> bool:
        """Whether a wait that is over was open for long, so that the next one may follow at once."""
        if self.policy.clock() - began < min(_LONG, self.policy.long_poll):
            return False
        self._waits = self.policy.backoff.waits()
        return True

    def next_pause(self, problem: OpenApiException) -> float:
        """Seconds to pause before the next wait."""
        asked = retry_after(problem.headers) if isinstance(problem, ApiException) else None
        return max(next(self._waits), asked or 0.0)


def _look(
    order: RunOrder, vigil: Vigil, entry: Entry, run_id: str, problem: OpenApiException
) -> Flow[None]:
    """After a wait without an outcome: read the run's status, which is cheap and a sign of life.

    Raises:
        RunLostError: If the server says again and again that there is no such run.
        RunOutputError: If the run is done, and what it came to cannot be had.
        OpenApiException: The problem, if waiting on makes no sense.
    """
    try:
        run = yield from vigil.policy.repeat(order.get(run_id))
    except NotFoundException:
        vigil.misses += 1
        if vigil.misses >= _LOOKS_BEFORE_LOST:
            raise RunLostError(
                "the server once accepted the run and no longer knows it", **order.ids(run_id)
            ) from None
    except _NOT_YET:
        if vigil.is_hopeless():
            raise problem from None
    else:
        vigil.alive()
        yield Progress("waiting", run_id, {"status": str(run.status)})
        entry.seen_alive = entry.seen_alive or run.status == RunStatus.PENDING
        if run.status == RunStatus.PENDING or never_left(problem):
            vigil.misses = 0
            return
        # The run is done, says its status, and still the wait for its output makes no sense.
        vigil.misses += 1
        if vigil.misses > vigil.policy.retries:
            raise RunOutputError(
                f"the run is done, with status {run.status}, and the server cannot give what it came "
                f"to: {problem}",
                **order.ids(run_id),
            )


def never_left(problem: OpenApiException) -> bool:
    """Whether a request has certainly not reached the server, which then said nothing by it."""
    return isinstance(problem, ApiConnectionError) and not problem.sent


def give_up(order: RunOrder, policy: RunPolicy, run_id: str | None) -> Flow[NoReturn]:
    """End a run that took too long, or leave it to itself.

    Raises:
        RunTimeoutError: Always.
    """
    ended = policy.on_timeout == "cancel" and (
        yield from cancel_run(order, run_id, policy.server, _TO_CANCEL)
    )
    raise RunTimeoutError(
        f"the remote run was not done after {policy.run_timeout} s (run_timeout of the node); it was "
        + ("cancelled" if ended else "left running and can be waited for again"),
        **order.ids(run_id),
    )


def at_work_since(leg: Leg) -> dict[str, Any]:
    """What a watcher is told of a run that is waited for."""
    return {"status": str(RunStatus.PENDING), "since": leg["since"]}


def outcome_of(
    order: RunOrder, answer: RunWaitResponse, run_id: str | None, entry: Entry
) -> Outcome | None:
    """What a wait came to; `None` if the run is not done.

    Raises:
        ACPRunException: If the run failed.
    """
    run, output = answer.run, answer.output
    if run_id is not None and _has_failed(answer):
        entry.failures.told.add(run_id)
    match output:
        case RunResult():
            result = output.model_dump(mode="json", include={"type", "values", "messages"})
            return {**result, "run_id": run_id}
        case RunInterrupt():
            at = run.updated_at.isoformat() if run is not None and run.updated_at else None
            payload = output.interrupt
            return {"type": "interrupt", "payload": payload, "asked_at": at, "run_id": run_id}
        case RunError():
            ids = order.ids(run_id or output.run_id)
            raise ACPRunException(output.errcode, output.description, **ids)
    if run is not None and run.status in {RunStatus.ERROR, RunStatus.TIMEOUT}:
        raise ACPRunException(None, f"status {run.status} without an output", **order.ids(run_id))
    return None
