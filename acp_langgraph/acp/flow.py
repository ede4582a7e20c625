"""The life of one remote run, as flows.

    create_run     find it, or start it
    wait_for_run   until it ends, fails or asks                 <-+
    (the question is put, the answer comes)                       | as often as it asks
    resume_run     unless the run has moved on already          --+

Each of the three is a step: a checkpointer remembers what came of it. What makes a step safe to
enter again is inside it.

*Starting* looks the run up first wherever it may have been started before: on re-entry, and after a
request whose answer did not come. *Waiting* takes time-outs, empty answers, broken connections and a
server that is away for "not yet". *Resuming* reads the run first: a question is recognized by the
time the run was last updated, which the protocol changes with every status.

If anybody watches, a wait *listens* first (`acp_langgraph.acp.listening`), which shows what the run
emits and decides nothing: what the run comes to is read in the same way with a stream as without.

A run that was cancelled is another matter than one that failed: who enters the flow again afterwards
wants the work done, so the order is carried out by a new run, under a key of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NoReturn, TypeAlias

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
from acp_langgraph.acp.order import AnyRun, RunOrder, RunPolicy
from acp_langgraph.core.flow import Ask, Flow, Pause, Progress, Step
from acp_langgraph.core.retry import retry_after
from acp_langgraph.errors import (
    ACPRunException,
    AnswerTooLargeError,
    ApiConnectionError,
    ApiException,
    ApiTimeoutError,
    BadRequestException,
    CheckpointerRequiredError,
    ConflictException,
    NotFoundException,
    OpenApiException,
    RequestTimeoutException,
    RunLostError,
    RunTimeoutError,
    ServiceException,
    TooManyRequestsException,
    UnprocessableEntityException,
    UnreadableAnswerException,
)

__all__ = ["Entry", "cancel_run", "run_agent"]

_NOT_YET: Final = (
    ApiConnectionError,
    ServiceException,
    RequestTimeoutException,
    TooManyRequestsException,
    UnreadableAnswerException,
)
_MAYBE_DONE: Final = (
    ServiceException,
    RequestTimeoutException,
    UnreadableAnswerException,
    AnswerTooLargeError,
)
_LOOKS_BEFORE_LOST: Final = 3
_LOOKS_FOR_A_LATE_RUN: Final = (0.1, 0.2, 0.4, 0.8, 0.0)

Leg: TypeAlias = dict[str, Any]
"""From a start or an answer to the next outcome: `run_id`; `since` when, for the deadline; and the id
of the last event `heard` before, for listening."""

Outcome: TypeAlias = dict[str, Any]
"""What a wait came to: `type` `result` or `interrupt`, `run_id`, and what belongs to the type."""


@dataclass(slots=True)
class Entry:
    """One entry into the flow, in one process: what of it cannot be remembered.

    Attributes:
        again: Whether the order may have been carried out before, so that the run is looked up
            before it is created.
        was_cancelled: Tells whether a run is known to have been cancelled from here.
        seen_alive: Whether the run was started, answered or seen at work during this entry.
        listening: How to listen to the run while it works; `None` if nobody wants to know.
    """

    again: bool = False
    was_cancelled: Callable[[str], bool] = lambda _: False
    seen_alive: bool = False
    listening: Listening | None = None


def run_agent(
    order: RunOrder,
    policy: RunPolicy,
    *,
    can_ask: bool,
    entry: Entry | None = None,
    answer_schema: Callable[[Any], Flow[dict[str, Any] | None]] | None = None,
) -> Flow[Outcome]:
    """Have an agent run once, however often this flow is entered.

    Args:
        order: What to run.
        policy: How patient to be.
        can_ask: Whether a question can wait for its answer. If not, nothing needs remembering
            either, and the run is started and awaited in one request.
        entry: What is known of this entry; by default that it is the first.
        answer_schema: Finds the JSON Schema of the answer to a question.

    Returns:
        The run's result: `values` and `messages` as the agent sent them.

    Raises:
        ACPRunException: If the run failed.
        CheckpointerRequiredError: If it asks and `can_ask` is false; the run is cancelled.
        RunTimeoutError: If it outlives its deadline.
        RunLostError: If the server forgot it.
        UnknownOutcomeError: If it cannot be told whether it was started.
        OpenApiException: If the server cannot be reached or refuses.
    """
    entry = entry or Entry()
    live = _live_with_questions if can_ask else _live_without_questions
    for life in itertools.count(1):
        outcome = yield from live(order.reborn(life), policy, entry, answer_schema)
        if outcome["type"] != "cancelled":
            return outcome
    raise AssertionError("a flow has lives enough")  # pragma: no cover


def _live_without_questions(
    order: RunOrder, policy: RunPolicy, entry: Entry, _: Any
) -> Flow[Outcome]:
    yield Progress("creating", payload={"key": order.key})
    outcome = yield from Step("run", partial(_create_and_wait, order, policy, entry))
    if outcome["type"] == "interrupt":
        yield from _refuse_to_ask(order, outcome["run_id"])
    return outcome


def _live_with_questions(
    order: RunOrder,
    policy: RunPolicy,
    entry: Entry,
    answer_schema: Callable[[Any], Flow[dict[str, Any] | None]] | None,
) -> Flow[Outcome]:
    yield Progress("creating", payload={"key": order.key})
    leg = yield from Step("create_run", partial(_create, order, policy, entry), anchored=True)
    yield Progress("running", leg["run_id"])
    outcome = yield from Step("wait_for_run", partial(_wait, order, policy, entry, leg))
    while outcome["type"] == "interrupt":
        payload = outcome["payload"]
        schema = (yield from answer_schema(payload)) if answer_schema else None
        answer = yield from Ask(payload, schema)
        resume = partial(_resume, order, policy, entry, leg, outcome, answer)
        leg = yield from Step("resume_run", resume)
        outcome = yield from Step("wait_for_run", partial(_wait, order, policy, entry, leg))
    return outcome


def cancel_run(order: RunOrder, run_id: str | None) -> Flow[bool]:
    """End a run; one without a known id is looked up by its key.

    The request that creates it may still be on its way, so it is looked for more than once.

    Returns:
        Whether the server has ended it, or there is none. Some servers cannot cancel.
    """
    policy = RunPolicy(on_unknown="rerun", retries=2)
    try:
        for wait in _LOOKS_FOR_A_LATE_RUN:
            if run_id is None:
                run = yield from find_run(order, policy)
                run_id = run.run_id if run is not None else None
            if run_id is not None:
                break
            yield Pause(wait)
        if run_id is None:
            return True
        yield Progress("cancelling", run_id)
        yield from policy.repeat(order.cancel(run_id))
    except NotFoundException:
        return True
    except OpenApiException:
        return False
    return True


def _refuse_to_ask(order: RunOrder, run_id: str | None) -> Flow[NoReturn]:
    ended = yield from cancel_run(order, run_id)
    raise CheckpointerRequiredError(
        "the remote agent asks a question, and the graph cannot wait for the answer. Compile the "
        "graph with a checkpointer, e.g. builder.compile(checkpointer=InMemorySaver()), and invoke "
        'it with a thread_id in config["configurable"]. '
        + ("The remote run was cancelled" if ended else f"The remote run {run_id} still waits"),
        node=order.node,
    )


def _create(order: RunOrder, policy: RunPolicy, entry: Entry) -> Flow[Leg]:
    """Find the run, or start it; never two."""
    if order.thread_id is not None:
        thread = {"thread_id": order.thread_id, "if_exists": "do_nothing"}
        call = calls.create_thread({**thread, "metadata": {}})
        yield from policy.repeat(call)
    run = (yield from find_run(order, policy)) if entry.again else None
    if run is None:
        run = yield from _start_streaming(order, policy, entry)
        entry.seen_alive = True
    yield Progress("created", run.run_id)
    return _leg(run.run_id, policy)


def _start_streaming(order: RunOrder, policy: RunPolicy, entry: Entry) -> Flow[AnyRun]:
    """Start the run, asking for what is to be streamed if anything is and the server can be asked."""
    listening = entry.listening
    if listening is None or not listening.modes or listening.refuses_modes:
        return (yield from _start(order, policy))
    try:
        return (yield from _start(replace(order, stream_mode=listening.modes), policy))
    except UnprocessableEntityException:
        run = yield from _start(order, policy)
        listening.refuses_modes = True
        return run


def _start(order: RunOrder, policy: RunPolicy) -> Flow[AnyRun]:
    waits = policy.backoff.waits()
    for left in range(policy.retries, -1, -1):
        try:
            run: AnyRun = yield from policy.repeat(order.create())
        except OpenApiException as error:
            if not _may_be_done(error):
                raise
            found = yield from _find_after_failure(order, policy, next(waits))
            if found is not None:
                return found
            if not left:
                raise
        else:
            return run
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def _find_after_failure(order: RunOrder, policy: RunPolicy, wait: float) -> Flow[AnyRun | None]:
    """Look twice: a request whose answer got lost may still be on its way through a proxy."""
    found = yield from find_run(order, policy)
    if found is None:
        yield Pause(wait)
        found = yield from find_run(order, policy)
    return found


def _create_and_wait(order: RunOrder, policy: RunPolicy, entry: Entry) -> Flow[Outcome]:
    """Start the run and wait for it in one request; fall back to two where that breaks off."""
    if entry.again or order.thread_id is not None or entry.listening is not None:
        leg = yield from _create(order, policy, entry)
        return (yield from _wait(order, policy, entry, leg))
    leg = _leg("", policy)
    entry.seen_alive = True
    call = order.create_and_wait().with_options(timeout=_Vigil(policy, leg).seconds())
    try:
        answer = yield from policy.repeat(call)
    except OpenApiException as error:
        if not _may_be_done(error):
            raise
        run = yield from _find_after_failure(order, policy, policy.backoff.first)
        if run is None:
            run = yield from _start(order, policy)
        leg["run_id"] = run.run_id
    else:
        leg["run_id"] = answer.run.run_id if answer.run is not None else None
        outcome = _outcome(order, answer, leg["run_id"])
        if outcome is not None:
            return outcome
    yield Progress("created", leg["run_id"])
    return (yield from _wait(order, policy, entry, leg))


def _wait(order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg) -> Flow[Outcome]:
    """Wait until the run ends or asks, through whatever happens on the way."""
    run_id = leg["run_id"]
    if entry.was_cancelled(run_id):
        return {"type": "cancelled", "run_id": run_id}
    vigil = _Vigil(policy, leg)
    while True:
        yield from _listen(order, policy, entry, leg, vigil)
        seconds = vigil.seconds()
        if seconds <= 0:
            yield from _give_up(order, policy, run_id)
        problem: OpenApiException
        try:
            answer = yield from order.wait(run_id).with_options(timeout=seconds)
        except (*_NOT_YET, NotFoundException) as error:
            problem = error
        else:
            if entry.again and not entry.seen_alive and _was_cancelled(answer):
                return {"type": "cancelled", "run_id": run_id}
            heard = yield from stop_listening(order, entry.listening, leg, answer)
            outcome = _outcome(order, answer, run_id)
            if outcome is not None:
                return {**outcome, **heard}
            problem = ApiTimeoutError("the server says that the run is not done", sent=True)
        yield from _look(order, vigil, entry, run_id, problem)
        if pause := vigil.pause(problem):
            yield Pause(pause)


def _listen(
    order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg, vigil: _Vigil
) -> Flow[None]:
    """Show what the run emits, if anybody wants to see it."""
    if entry.listening is None:
        return
    if entry.again and not entry.seen_alive:  # a stream may tell of what was long ago
        entry.seen_alive = yield from is_at_work(order, leg["run_id"])
    yield from listen_to_run(order, policy, entry.listening, leg, vigil)


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


class _Vigil:
    """How long a wait has gone on, how long without a sign of life, and how often without sense."""

    def __init__(self, policy: RunPolicy, leg: Leg) -> None:
        self.policy = policy
        self.misses = 0
        self._alive = policy.clock()
        self._waits = policy.backoff.waits()
        since: float = leg["since"]
        self._deadline = None if policy.run_timeout is None else since + policy.run_timeout

    def seconds(self) -> float:
        """How long the next wait may stay open; nothing is left once the deadline has passed."""
        if self._deadline is None:
            return self.policy.long_poll
        return min(self.policy.long_poll, self._deadline - self.policy.clock())

    def seconds_left(self) -> float | None:
        """Seconds until the run's deadline, if it has one."""
        return None if self._deadline is None else self._deadline - self.policy.clock()

    def alive(self) -> None:
        """The server gave a sign of life."""
        self._alive = self.policy.clock()

    def is_hopeless(self) -> bool:
        """Whether there was no sign of life for too long."""
        return self.policy.clock() - self._alive > self.policy.patience

    def pause(self, problem: OpenApiException) -> float:
        """Seconds to pause before the next wait; none after one that stayed open for long."""
        if isinstance(problem, ApiTimeoutError) and problem.sent:
            self._waits = self.policy.backoff.waits()
            return 0.0
        asked = retry_after(problem.headers) if isinstance(problem, ApiException) else None
        return max(next(self._waits), asked or 0.0)


def _look(
    order: RunOrder, vigil: _Vigil, entry: Entry, run_id: str, problem: OpenApiException
) -> Flow[None]:
    """After a wait without an outcome: read the run's status, which is cheap and a sign of life.

    Raises:
        RunLostError: If the server says again and again that there is no such run.
        OpenApiException: The problem, if waiting on makes no sense.
    """
    try:
        run = yield from order.get(run_id)
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
        if run.status == RunStatus.PENDING or isinstance(problem, ApiConnectionError):
            vigil.misses = 0
            return
        # The run is done, says its status, and still the wait for its output makes no sense.
        vigil.misses += 1
        if vigil.misses > vigil.policy.retries:
            raise problem


def _give_up(order: RunOrder, policy: RunPolicy, run_id: str) -> Flow[NoReturn]:
    ended = policy.on_timeout == "cancel" and (yield from cancel_run(order, run_id))
    raise RunTimeoutError(
        f"the remote run was not done after {policy.run_timeout} s; it was "
        + ("cancelled" if ended else "left running and can be waited for again"),
        **order.ids(run_id),
    )


def _resume(
    order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg, question: Outcome, answer: Any
) -> Flow[Leg]:
    """Answer the question, unless the run has moved on since it was asked."""
    run_id = leg["run_id"]
    waits = policy.backoff.waits()
    for left in range(policy.retries, -1, -1):
        if not (yield from _still_asks(order, policy, run_id, question)):
            break
        entry.seen_alive = True
        try:
            yield from policy.repeat(order.resume(run_id, answer))
        except (BadRequestException, ConflictException) as error:
            # AGNTCY's server says 400 where the protocol says 409: the run is not interrupted.
            if (yield from _still_asks(order, policy, run_id, question)):
                raise error from None
        except NotFoundException:
            raise RunLostError(
                "the server no longer knows the run that asked", **order.ids(run_id)
            ) from None
        except OpenApiException as error:
            if not _may_be_done(error) or not left:
                raise
            yield Pause(next(waits))
            continue
        break
    yield Progress("resumed", run_id)
    return {**_leg(run_id, policy), "heard": question.get("heard", "")}


def _still_asks(order: RunOrder, policy: RunPolicy, run_id: str, question: Outcome) -> Flow[bool]:
    """Whether the run waits for the answer to this very question."""
    try:
        run = yield from policy.repeat(order.get(run_id))
    except NotFoundException:
        raise RunLostError(
            "the server no longer knows the run that asked", **order.ids(run_id)
        ) from None
    if run.status != RunStatus.INTERRUPTED:
        return False
    asked_at = question["asked_at"]
    return asked_at is None or run.updated_at is None or run.updated_at.isoformat() == asked_at


def _outcome(order: RunOrder, answer: RunWaitResponse, run_id: str | None) -> Outcome | None:
    """What a wait came to; `None` if the run is not done.

    Raises:
        ACPRunException: If the run failed.
    """
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
            ids = order.ids(run_id or output.run_id)
            raise ACPRunException(output.errcode, output.description, **ids)
    if run is not None and run.status in {RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.SUCCESS}:
        raise ACPRunException(None, f"status {run.status} without an output", **order.ids(run_id))
    return None


def _leg(run_id: str, policy: RunPolicy) -> Leg:
    return {"run_id": run_id, "since": policy.clock()}


def _may_be_done(error: OpenApiException) -> bool:
    """Whether the server may have done what it was asked although no proper answer came."""
    return isinstance(error, _MAYBE_DONE) or (isinstance(error, ApiConnectionError) and error.sent)
