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
time the run was last updated, which the protocol changes with every status. An answer that the agent
does not take is an error once; that it was refused is the step's result, so that whoever enters again
is asked again instead of being stuck with it.

If anybody watches, a wait *listens* first (`acp_langgraph.acp.listening`), which shows what the run
emits and decides nothing: what the run comes to is read in the same way with a stream as without.

A run that was cancelled, or that failed and whose failure was told, is done again: who enters the flow
afterwards wants the work done, so the order is carried out by a new run, under a key of its own.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, NoReturn

from acp_langgraph.acp import calls
from acp_langgraph.acp.cancelling import cancel_run
from acp_langgraph.acp.entry import Entry, Leg, Outcome, begin_leg, may_be_done
from acp_langgraph.acp.lookup import find_run
from acp_langgraph.acp.models import RunStatus
from acp_langgraph.acp.order import AnyRun, RunOrder, RunPolicy
from acp_langgraph.acp.waiting import at_work_since, give_up, outcome_of, wait_for_run
from acp_langgraph.core.deadlines import OutOfTimeError, within
from acp_langgraph.core.flow import Ask, Flow, Pause, Progress, Step
from acp_langgraph.core.once import noting
from acp_langgraph.errors import (
    ApiException,
    ApiTypeError,
    ApiValueError,
    BadRequestException,
    CheckpointerRequiredError,
    ConflictException,
    NotFoundException,
    OpenApiException,
    RunLostError,
    ServiceException,
    UnknownAgentError,
    UnprocessableEntityException,
)

__all__ = ["run_agent"]


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
            yield Progress("ended", outcome["run_id"])
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
    outcome = yield from Step("wait_for_run", partial(wait_for_run, order, policy, entry, leg))
    refused = 0
    while outcome["type"] == "interrupt":
        payload = outcome["payload"]
        schema = (yield from answer_schema(payload)) if answer_schema else None
        asked_at = outcome["asked_at"] or json.dumps(payload, sort_keys=True)
        about = f"{leg['run_id']} {asked_at} {refused}"
        answer = yield from Ask(payload, schema, about, again=refused > 0)
        refusals: list[OpenApiException] = []
        resume = partial(_resume, order, policy, entry, leg, outcome, answer, refusals)
        resumed = yield from Step("resume_run", resume)
        if resumed.get("refused"):
            # Told once. That it was refused is remembered, so that who enters again is asked again.
            for refusal in refusals:
                raise _explained(refusal)
            refused += 1
            continue
        leg, answered, refused = resumed, outcome, 0
        outcome = yield from _next_outcome(order, policy, entry, leg, answered)
    return outcome


def _next_outcome(
    order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg, answered: Outcome
) -> Flow[Outcome]:
    """What the run comes to after an answer."""
    about = ("type", "run_id", "asked_at", "payload")
    while True:
        wait = partial(wait_for_run, order, policy, entry, leg)
        step, ran_here = noting(Step("wait_for_run", wait))
        outcome = yield from step
        # Another attempt may have left its wait for the same question in this place.
        if ran_here or any(outcome.get(each) != answered.get(each) for each in about):
            return outcome


def _refuse_to_ask(order: RunOrder, run_id: str | None) -> Flow[NoReturn]:
    ended = yield from cancel_run(order, run_id)
    raise CheckpointerRequiredError(
        "the remote agent asks a question, and nothing here can wait for the answer. Put the node "
        "into a graph, compile that with a checkpointer, e.g. "
        "builder.compile(checkpointer=InMemorySaver()), and invoke it with a thread_id in "
        'config["configurable"]. '
        + ("The remote run was cancelled" if ended else f"The remote run {run_id} still waits"),
        node=order.node,
    )


def _create(order: RunOrder, policy: RunPolicy, entry: Entry) -> Flow[Leg]:
    """Find the run, or start it; never two, and within the time that the run has."""
    since = policy.clock()
    try:
        run = yield from within(policy.left(since), _find_or_start(order, policy, entry))
    except OutOfTimeError:
        yield from give_up(order, policy, None)
    return begin_leg(run.run_id, since)


def _find_or_start(order: RunOrder, policy: RunPolicy, entry: Entry) -> Flow[AnyRun]:
    if order.thread_id is not None:
        thread = {"thread_id": order.thread_id, "if_exists": "do_nothing"}
        call = calls.create_thread({**thread, "metadata": {}})
        yield from policy.repeat(call)
    run = (yield from find_run(order, policy)) if entry.again else None
    if run is not None:
        yield Progress("rejoined", run.run_id)
    else:
        run = yield from _start_streaming(order, policy, entry)
        entry.seen_alive = True
        yield Progress("created", run.run_id)
    return run


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
            if order.thread_id is not None and not policy.server.starts_on_threads:
                return (yield from _start_by_waiting(order, policy))
            run: AnyRun = yield from policy.repeat(order.create())
        except NotFoundException as error:
            raise _unknown_agent(order, error) from None
        except OpenApiException as error:
            if not may_be_done(error):
                raise
            found = yield from _find_after_failure(order, policy, next(waits))
            if found is not None:
                return found
            if not left:
                raise
            if getattr(error, "status", None) == HTTPStatus.INTERNAL_SERVER_ERROR:
                # AGNTCY's server starts a run on a thread only where it is waited for.
                policy.server.starts_on_threads = False
        else:
            return run
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def _start_by_waiting(order: RunOrder, policy: RunPolicy) -> Flow[AnyRun]:
    """Start a run and wait for it, not for what it comes to but because it is started like that."""
    answer = yield from policy.repeat(order.create_and_wait(policy.long_poll))
    if answer.run is None:
        run = yield from find_run(order, policy)
        if run is None:
            raise RunLostError("the server took the run up and does not know it", **order.ids())
        return run
    return answer.run  # type: ignore[return-value]  # of which only the id is wanted


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
        return (yield from wait_for_run(order, policy, entry, leg))
    leg = begin_leg("", policy.clock())
    entry.seen_alive = True
    yield Progress("waiting", payload=at_work_since(leg))
    try:
        outcome = yield from within(
            policy.left(leg["since"]), _started_and_awaited(order, policy, entry, leg)
        )
    except OutOfTimeError:
        yield from give_up(order, policy, leg["run_id"] or None)
    if outcome is not None:
        return outcome
    return (yield from wait_for_run(order, policy, entry, leg))


def _started_and_awaited(
    order: RunOrder, policy: RunPolicy, entry: Entry, leg: Leg
) -> Flow[Outcome | None]:
    """What one request says the run came to; `None` if it has to be waited for, by the leg's id."""
    try:
        answer = yield from policy.repeat(order.create_and_wait(policy.long_poll))
    except NotFoundException as error:
        raise _unknown_agent(order, error) from None
    except OpenApiException as error:
        if not may_be_done(error):
            raise
        run = yield from _find_after_failure(order, policy, policy.backoff.first)
        if run is None:
            run = yield from _start(order, policy)
        leg["run_id"] = run.run_id
        yield Progress("created", run.run_id)
        return None
    leg["run_id"] = answer.run.run_id if answer.run is not None else None
    yield Progress("created", leg["run_id"])
    return outcome_of(order, answer, leg["run_id"], entry)


def _resume(
    order: RunOrder,
    policy: RunPolicy,
    entry: Entry,
    leg: Leg,
    question: Outcome,
    answer: Any,
    refusals: list[OpenApiException],
) -> Flow[Leg]:
    """Answer the question, unless the run has moved on since it was asked.

    Returns:
        What begins with the answer; `refused` if the agent does not take it, and why in `refusals`.
    """
    run_id, since = leg["run_id"], policy.clock()
    resuming = _answer(order, policy, entry, run_id, question, answer, refusals)
    try:
        yield from within(policy.left(since), resuming)
    except OutOfTimeError:
        yield from give_up(order, policy, run_id)
    if refusals:
        return {"refused": True}
    yield Progress("resumed", run_id)
    return {**begin_leg(run_id, since), "heard": question.get("heard", "")}


def _answer(
    order: RunOrder,
    policy: RunPolicy,
    entry: Entry,
    run_id: str,
    question: Outcome,
    answer: Any,
    refusals: list[OpenApiException],
) -> Flow[None]:
    waits = policy.backoff.waits()
    for left in range(policy.retries, -1, -1):
        if not (yield from _still_asks(order, policy, run_id, question)):
            return
        entry.seen_alive = True
        try:
            yield from _send_answer(order, policy, run_id, answer)
        except (BadRequestException, ConflictException) as error:
            # AGNTCY's server says 400 where the protocol says 409: the run is not interrupted.
            if (yield from _still_asks(order, policy, run_id, question)):
                raise error from None
        except (UnprocessableEntityException, ApiTypeError, ApiValueError) as error:
            refusals.append(error)
        except NotFoundException:
            raise RunLostError(
                "the server no longer knows the run that asked", **order.ids(run_id)
            ) from None
        except OpenApiException as error:
            if not may_be_done(error) or not left:
                raise
            yield Pause(next(waits))
            continue
        return


def _send_answer(order: RunOrder, policy: RunPolicy, run_id: str, answer: Any) -> Flow[None]:
    """Answer on the thread, or as a run by itself where that is known, or found, to be the only way."""
    server, by_itself = policy.server, order.by_itself()
    if order.thread_id is None or server.answers_on_threads is False:
        yield from policy.repeat(by_itself.resume(run_id, answer))
        return
    try:
        yield from policy.repeat(order.resume(run_id, answer))
    except ServiceException as error:
        failed = error.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if not failed or server.answers_on_threads is not None:
            raise
        try:
            yield from policy.repeat(by_itself.resume(run_id, answer))
        except NotFoundException:
            server.answers_on_threads = True
            raise error from None
        except (BadRequestException, ConflictException):  # it was taken, or will be the next time
            raise error from None
        server.answers_on_threads = False


def _unknown_agent(order: RunOrder, error: NotFoundException) -> UnknownAgentError:
    return UnknownAgentError(
        f"the server knows no agent {order.agent_id} ({error}). Is the id right, and is the host a "
        "server of AGNTCY's Agent Connect Protocol? An agent may also be given by its name",
        node=order.node,
    )


def _explained(refusal: OpenApiException) -> OpenApiException:
    waits = (
        "Its question still waits: resume again, with an answer that fits; the interrupt's "
        "response_schema says what does, where the agent declares it"
    )
    if not isinstance(refusal, ApiException):
        return type(refusal)(f"the agent cannot be given that answer: {refusal}. {waits}")
    said = refusal.reason or "no reason given"
    return refusal.retold(f"the agent does not take that answer ({said}). {waits}")


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
