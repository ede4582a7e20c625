"""The life of one remote job, as flows: the same for every protocol.

    create_run     find it, or start it
    wait_for_run   until it ends, fails or asks                 <-+
    (the question is put, the answer comes)                       | as often as it asks
    resume_run     unless the job has moved on already          --+

Each of the three is a step: a checkpointer remembers what came of it. What makes a step safe to
enter again is inside it. Their names, their order and what they remember are a format: a job that one
release began is finished by the next. A wait may also suspend the graph (`acp_langgraph.jobs.waiting`).

*Starting* looks the job up first wherever it may have been started before: on re-entry, and after a
request whose answer did not come. Where a job is certainly found by its key, it is awaited in the request
that starts it, and what that tells is the first step's result. *Waiting* (`acp_langgraph.jobs.waiting`) takes time-outs, empty
answers, broken connections and a server that is away for "not yet". *Answering* reads the job first. An
answer that is not taken is an error once; that it was refused is the step's result, so that whoever
enters again is asked again instead of being stuck with it.

If anybody watches, a wait *listens* first, which shows what the job emits and decides nothing.

A job that was cancelled, or that failed and whose failure was told, is done again: who enters the flow
afterwards wants the work done, so a new job takes its place, under a key of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeAlias, TypeVar

from acp_langgraph.core.flow import Ask, Begin, Flow, OutOfTimeError, Pause, Progress, Step, within
from acp_langgraph.core.retry import asked_to_wait
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
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import NOT_YET, Entry, Job, Outcome, Segment, WaitBudget, may_be_done
from acp_langgraph.jobs.waiting import (
    Suspension,
    Waits,
    at_work_since,
    cancel_job,
    give_up,
    judged,
    wait_for_job,
)

T = TypeVar("T")


AnswerSchema: TypeAlias = Callable[[Any], Flow[dict[str, Any] | None]]
"""Finds the JSON Schema of the answer to a question."""


def how_to_remember() -> str:
    """What to do so that a question can wait; a sentence without its full stop."""
    return (
        "Put the node into a graph, compile that with a checkpointer, e.g. "
        "builder.compile(checkpointer=InMemorySaver()), and invoke it with a thread_id in "
        'config["configurable"]'
    )


def run_job(
    job: Job,
    *,
    can_ask: bool,
    entry: Entry | None = None,
    answer_schema: AnswerSchema | None = None,
    advice: str | None = None,
    suspension: Suspension | None = None,
) -> Flow[Outcome]:
    """Have a job done once, however often this flow is entered.

    Args:
        job: What is wanted.
        can_ask: Whether a question can wait for its answer. If not, nothing needs remembering either,
            and the job is started and awaited in one request where its protocol can.
        entry: What is known of this entry; by default that it is the first.
        answer_schema: Finds the JSON Schema of the answer to a question.
        advice: What to do so that a question can wait, as `how_to_remember` says it.
        suspension: How to suspend while the job works; `None` to wait for it. Without `can_ask`, nothing
            can be suspended, and it is waited for.

    Returns:
        The outcome, of the type `result`.

    Raises:
        RunError: What `Job.failure` makes of a failure.
        CheckpointerRequiredError: If it asks and `can_ask` is false; the job is cancelled.
        RunTimeoutError: If it outlives its deadline.
        RunLostError: If the server forgot it.
        RunOutputError: If it is done, and what it came to cannot be had.
        UnknownOutcomeError: If it cannot be told whether it was started.
        OpenApiException: If the server cannot be reached or refuses.
    """
    entry = entry or Entry()
    while True:
        yield Begin(job.key)
        if can_ask:
            outcome = yield from _done_with_questions(job, entry, answer_schema, suspension)
        else:
            outcome = yield from _start_and_wait(job, entry)
        if outcome["type"] == "interrupt":
            yield from _refuse_to_ask(job, outcome["run_id"], advice or how_to_remember())
        if outcome["type"] != "cancelled":
            yield Progress("ended", outcome["run_id"])
            return outcome
        job = job.with_(key=job.successor_key)


def _done_with_questions(
    job: Job, entry: Entry, answer_schema: AnswerSchema | None, suspension: Suspension | None
) -> Flow[Outcome]:
    # The attempts of one process count their steps on. In the next process a step may therefore have the
    # place of one of the same name that was about another job: that is passed over.
    in_one = suspension is None and job.starts_in_one and job.is_found_done
    create = Step("create_run", partial(_create, job, entry, in_one=in_one), anchored=True)
    segment = yield from create
    while segment.get("key", job.key) != job.key:
        segment = yield from create
    job_id = segment["run_id"]
    if "outcome" in segment:
        return segment["outcome"]  # type: ignore[no-any-return]  # which is one
    yield Progress("running", job_id)
    waits = Waits(job, entry, suspension)
    outcome, _ = yield from waits.next(segment)
    while outcome["run_id"] != job_id:
        outcome, _ = yield from waits.next(segment)
    refused = 0
    while outcome["type"] == "interrupt":
        payload = outcome["payload"]
        schema = (yield from _schema_of(job, answer_schema(payload))) if answer_schema else None
        asked_at = outcome["asked_at"] or json.dumps(payload, sort_keys=True)
        about = f"{segment['run_id']} {asked_at} {refused}"
        answer = yield from Ask(payload, schema, about, again=refused > 0)
        refusals: list[OpenApiException] = []
        resume = partial(_resume, job, entry, segment, outcome, answer, refusals)
        resumed = yield from Step("resume_run", resume)
        if resumed.get("refused"):
            # Told once. That it was refused is remembered, so that who enters again is asked again.
            for refusal in refusals:
                raise _explained(refusal)
            refused += 1
            continue
        segment, answered, refused = resumed, outcome, 0
        outcome = yield from _next_outcome(waits, segment, answered)
    if outcome["type"] == "result":
        yield from job.done(job_id)
    return outcome


def _schema_of(job: Job, looking: Flow[dict[str, Any] | None]) -> Flow[dict[str, Any] | None]:
    """The schema of an answer, if it comes in time: a question waits for nobody who only describes it."""
    try:
        return (yield from within(job.policy.for_a_look(), looking))
    except OutOfTimeError:
        return None


def _next_outcome(waits: Waits, segment: Segment, answered: Outcome) -> Flow[Outcome]:
    """What the job comes to after an answer; the question that was answered may be in a step's place."""
    about = ("type", "run_id", "asked_at", "payload")
    while True:
        outcome, ran_here = yield from waits.next(segment)
        if ran_here or any(outcome.get(each) != answered.get(each) for each in about):
            return outcome


def _refuse_to_ask(job: Job, job_id: str | None, advice: str) -> Flow[NoReturn]:
    ended = yield from cancel_job(job, job_id)
    raise CheckpointerRequiredError(
        "the remote agent asks a question, and nothing here can wait for the answer. "
        f"{advice}. "
        + ("The remote run was cancelled" if ended else f"The remote run {job_id} still waits"),
        node=job.node,
    )


def _create(job: Job, entry: Entry, *, in_one: bool = False) -> Flow[Segment]:
    """Find the job, or start it; never two, and within the time that it has."""
    segment: Segment = {"run_id": "", "since": job.policy.clock(), "key": job.key}
    try:
        finding = _find_or_start(job, entry, segment, in_one=in_one)
        yield from within(job.policy.left(segment["since"]), finding)
    except OutOfTimeError as error:
        yield from give_up(job, segment["run_id"] or None, str(error))
    return {**segment, **job.noted(segment["run_id"])}


def _find_or_start(job: Job, entry: Entry, segment: Segment, *, in_one: bool) -> Flow[None]:
    yield from job.prepare()
    found = (yield from job.find()) if entry.again else None
    if found is not None:
        segment["run_id"] = found
        yield Progress("rejoined", found)
        return
    if in_one:
        outcome = yield from _started_in_one(job, entry, segment)
        if outcome is not None and outcome["type"] == "result":
            segment["outcome"] = outcome
        return
    segment["run_id"] = yield from _start(job)
    entry.seen_alive = True
    yield Progress("created", segment["run_id"])


def _start(job: Job) -> Flow[str]:
    waits = job.policy.backoff.waits()
    for left in range(job.policy.retries, -1, -1):
        try:
            return (yield from job.start())
        except OpenApiException as error:
            if not may_be_done(error):
                raise
            found = yield from _find_after_failure(job, max(next(waits), asked_to_wait(error)))
            if found is not None:
                return found
            if not left:
                raise
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def _find_after_failure(job: Job, wait: float) -> Flow[str | None]:
    """Look twice: a request whose answer got lost may still be on its way through a proxy."""
    found = yield from job.find()
    if found is None:
        yield Pause(wait)
        found = yield from job.find()
    return found


def _find_after_break(job: Job, began: float, wait: float) -> Flow[str | None]:
    """Look for what was started by a request that broke off.

    If that was open for long, the job was taken up: a server that is away then, as while it restarts,
    means "not yet", as to whoever waits for a job whose id is known.
    """
    budget = WaitBudget(job.policy, job.policy.left(began))
    is_taken_up = budget.was_long_since(began)
    while True:
        try:
            return (yield from _find_after_failure(job, wait))
        except NOT_YET as error:
            if not is_taken_up or budget.is_hopeless():
                raise
            yield Pause(budget.next_pause(asked_to_wait(error)))


def _start_and_wait(job: Job, entry: Entry) -> Flow[Outcome]:
    """Start the job and wait for it in one request; fall back to two where that breaks off."""
    if entry.again or not job.starts_in_one:
        segment = yield from _create(job, entry)
        return (yield from wait_for_job(job, entry, segment))
    segment = {"run_id": "", "since": job.policy.clock()}
    started = _started_in_one(job, entry, segment)
    try:
        outcome = yield from within(job.policy.left(segment["since"]), started)
    except OutOfTimeError as error:
        yield from give_up(job, segment["run_id"] or None, str(error))
    if outcome is not None:
        return (yield from judged(job, entry, outcome))
    return (yield from wait_for_job(job, entry, segment))


def _started_in_one(job: Job, entry: Entry, segment: Segment) -> Flow[Outcome | None]:
    """What one request says the job came to; `None` if it has to be waited for, by the segment's id."""
    entry.seen_alive = True
    yield Progress("waiting", payload=at_work_since(segment))
    outcome: Outcome | None = None
    began = job.policy.clock()
    try:
        segment["run_id"], outcome = yield from job.start_and_wait()
    except OpenApiException as error:
        if not may_be_done(error):
            raise
        pause = max(job.policy.backoff.first, asked_to_wait(error))
        found = yield from _find_after_break(job, began, pause)
        segment["run_id"] = found if found is not None else (yield from _start(job))
    yield Progress("created", segment["run_id"])
    return outcome


def _resume(
    job: Job,
    entry: Entry,
    segment: Segment,
    question: Outcome,
    answer: Any,
    refusals: list[OpenApiException],
) -> Flow[Segment]:
    """Answer the question, unless the job has moved on since it was asked.

    Returns:
        What begins with the answer; `refused` if it is not taken, and why in `refusals`.
    """
    job_id, since = segment["run_id"], job.policy.clock()
    answering = _answer(job, entry, job_id, question, answer, refusals)
    try:
        yield from within(job.policy.left(since), answering)
    except OutOfTimeError as error:
        yield from give_up(job, job_id, str(error))
    if refusals:
        return {"refused": True}
    yield Progress("resumed", job_id)
    return {"run_id": job_id, "since": since, "heard": question.get("heard", "")}


def _answer(
    job: Job,
    entry: Entry,
    job_id: str,
    question: Outcome,
    answer: Any,
    refusals: list[OpenApiException],
) -> Flow[None]:
    waits = job.policy.backoff.waits()
    for left in range(job.policy.retries, -1, -1):
        if not (yield from _still_asks(job, job_id, question)):
            return
        entry.seen_alive = True
        try:
            yield from job.answer(job_id, answer)
        except (BadRequestException, ConflictException) as error:
            if (yield from _still_asks(job, job_id, question)):
                raise error from None
        except (UnprocessableEntityException, ApiTypeError, ApiValueError) as error:
            refusals.append(error)
        except NotFoundException:
            _raise_forgotten(job, job_id)
        except OpenApiException as error:
            if not may_be_done(error) or not left:
                raise
            yield Pause(max(next(waits), asked_to_wait(error)))
            continue
        return


def _still_asks(job: Job, job_id: str, question: Outcome) -> Flow[bool]:
    try:
        return (yield from job.still_asks(job_id, question))
    except NotFoundException:
        _raise_forgotten(job, job_id)


def _raise_forgotten(job: Job, job_id: str) -> NoReturn:
    raise RunLostError("the server no longer knows the run that asked", **job.ids(job_id)) from None


def _explained(refusal: OpenApiException) -> OpenApiException:
    waits = (
        "Its question still waits: resume again, with an answer that fits; the interrupt's "
        "response_schema says what does, where the agent declares it"
    )
    if not isinstance(refusal, ApiException):
        return type(refusal)(f"the agent cannot be given that answer: {refusal}. {waits}")
    said = refusal.reason or "no reason given"
    return refusal.retold(f"the agent does not take that answer ({said}). {waits}")
