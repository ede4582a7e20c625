"""Waiting for a remote job, through whatever happens on the way, and ending it.

Time-outs, empty answers, broken connections and a server that is away mean "not yet". After each of
them the job is read, which is cheap and a sign of life; without one for too long, or with a job that
the server no longer knows, waiting ends.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from acp_langgraph.core.flow import Flow, Left, OutOfTimeError, Pause, Progress, is_over, within
from acp_langgraph.core.retry import asked_to_wait
from acp_langgraph.errors import (
    ApiConnectionError,
    ApiTimeoutError,
    NotFoundException,
    OpenApiException,
    RunError,
    RunLostError,
    RunOutputError,
    RunTimeoutError,
    UnknownOutcomeError,
)
from acp_langgraph.jobs.job import NOT_YET, Entry, Job, Outcome, Segment, WaitBudget

_LOOKS_BEFORE_LOST: Final = 3
_TO_CANCEL: Final = 10.0  # seconds
_TO_CANCEL_LATE: Final = 3.0  # seconds beyond a deadline
_NOT_ENDED: Final = "could not be cancelled and may be at work still; entering the node again looks what became of it"
_LOOKS_FOR_A_LATE_JOB: Final = (0.1, 0.2, 0.4, 0.8, 0.0)
_AT_WORK: Final = "pending"


def wait_for_job(job: Job, entry: Entry, segment: Segment) -> Flow[Outcome]:
    """Wait until the job ends or asks."""
    job_id = segment["run_id"]
    if job_id in entry.cancelled:
        done = yield from _result_of(job, job_id)
        return done or {"type": "cancelled", "run_id": job_id}
    yield Progress("waiting", job_id, at_work_since(segment))
    left = job.policy.left(segment["since"])
    if entry.again and not entry.seen_alive and is_over(left):
        # It was given up, or whoever waited for it died: look once what it came to since.
        left = job.policy.for_a_look()
        if not (yield from _is_settled(job, job_id)):
            yield from give_up(job, job_id)
    try:
        return (yield from within(left, _wait(job, entry, segment, left)))
    except OutOfTimeError as error:
        entry.failures.tell(job_id)
        job.forget(job_id)
        trouble = str(error)
    return (yield from give_up(job, job_id, trouble))


def judged(job: Job, entry: Entry, outcome: Outcome) -> Flow[Outcome]:
    """An outcome as whoever enters takes it: a failure is raised, or is a reason to do it again.

    Raises:
        RunError: If the job failed, and that was not told before.
    """
    job_id = outcome["run_id"]
    if outcome["type"] == "interrupt":
        yield Progress("asked", job_id)
    if outcome["type"] != "failed":
        return outcome
    if outcome["was_cancelled"] and entry.again and not (entry.seen_alive or entry.woken):
        return {"type": "cancelled", "run_id": job_id}
    failure = job.failure(outcome)
    if (yield from _is_to_be_done_again(job, entry, job_id, failure)):
        # 0.2.0 knows this result too, and starts a job of its own as well.
        return {"type": "cancelled", "run_id": job_id, "failed": True}
    if job_id is not None:
        entry.failures.tell(job_id)
    raise failure


def give_up(job: Job, job_id: str | None, trouble: str = "") -> Flow[NoReturn]:
    """End a job that took too long, or leave it to itself.

    Args:
        job: The job.
        job_id: Its id, if it is known.
        trouble: What went wrong last, if anything did.

    Raises:
        RunTimeoutError: Always.
    """
    if job.policy.on_timeout == "leave":
        became = "was left running; entering the node again looks whether it is done by then"
    else:
        became = yield from _ended(job, job_id, _TO_CANCEL_LATE)
    raise RunTimeoutError(
        f"the remote run was not done after {job.policy.run_timeout} s (run_timeout of the node); it "
        f"{became}" + (f". The last that was heard is: {trouble}" if trouble else ""),
        **job.ids(job_id),
    )


def cancel_job(job: Job, job_id: str | None) -> Flow[bool]:
    """End a job; one without a known id is looked up by its key.

    The request that starts it may still be on its way, so it is looked for more than once.

    Returns:
        Whether the server has ended it, or there is none. Some servers cannot cancel.
    """
    return (yield from _ended(job, job_id, _TO_CANCEL)) != _NOT_ENDED


def at_work_since(segment: Segment) -> dict[str, Any]:
    """What a watcher is told of a job that is waited for."""
    return {"status": _AT_WORK, "since": segment["since"]}


def _wait(job: Job, entry: Entry, segment: Segment, left: Left) -> Flow[Outcome]:
    job_id = segment["run_id"]
    budget = WaitBudget(job.policy, left)
    while True:
        yield from job.listen(segment, entry, budget)
        problem: OpenApiException
        began = job.policy.clock()
        try:
            outcome = yield from job.wait(job_id)
        except (*NOT_YET, NotFoundException) as error:
            problem = error
        else:
            if outcome is not None:
                outcome = {**outcome, "run_id": job_id}  # whatever the server calls it
                heard = yield from job.heard(segment, outcome)
                found = yield from judged(job, entry, outcome)
                return {**found, **heard}
            problem = ApiTimeoutError("the server says that the run is not done", sent=True)
        yield from _look(job, budget, entry, job_id, problem)
        stayed_open = isinstance(problem, ApiTimeoutError) and problem.sent
        if not (stayed_open and budget.was_long_since(began)):
            yield Pause(budget.next_pause(asked_to_wait(problem)))


def _look(
    job: Job, budget: WaitBudget, entry: Entry, job_id: str, problem: OpenApiException
) -> Flow[None]:
    """After a wait without an outcome: read how the job is.

    Raises:
        RunLostError: If the server says again and again that there is no such job.
        RunOutputError: If it is done, and what it came to cannot be had.
        OpenApiException: The problem, if waiting on makes no sense.
    """
    try:
        sighting = yield from job.read(job_id)
    except NotFoundException:
        budget.misses += 1
        if budget.misses >= _LOOKS_BEFORE_LOST:
            raise RunLostError(
                "the server once accepted the run and no longer knows it", **job.ids(job_id)
            ) from None
    except NOT_YET:
        if budget.is_hopeless():
            raise problem from None
    else:
        budget.alive()
        yield Progress("waiting", job_id, {"status": sighting.status})
        entry.seen_alive = entry.seen_alive or sighting.is_at_work
        never_left = isinstance(problem, ApiConnectionError) and not problem.sent
        if sighting.is_at_work or never_left:
            budget.misses = 0
            return
        # It is done, says the server, and still the wait for what it came to makes no sense.
        budget.misses += 1
        if budget.misses > job.policy.retries:
            raise RunOutputError(
                f"the run is no longer at work, says the server (status {sighting.status}), and it cannot "
                f"give what it came to: {problem}",
                **job.ids(job_id),
            )


def _is_settled(job: Job, job_id: str) -> Flow[bool]:
    """Whether a job is certainly at work no more."""
    try:
        sighting = yield from within(job.policy.for_a_look(), job.read(job_id))
    except (OpenApiException, OutOfTimeError):
        return False
    return not sighting.is_at_work


def _result_of(job: Job, job_id: str) -> Flow[Outcome | None]:
    """The result of a job that was cancelled, if it was done before that came."""
    if not (yield from _is_settled(job, job_id)):
        return None
    try:
        outcome = yield from within(job.policy.for_a_look(), job.wait(job_id))
    except (OpenApiException, OutOfTimeError):
        return None
    return outcome if outcome is not None and outcome["type"] == "result" else None


def _is_to_be_done_again(
    job: Job, entry: Entry, job_id: str | None, failure: RunError
) -> Flow[bool]:
    """Whether whoever enters was told of the job's failure before, or has replaced the job."""
    if job_id is None or not entry.again or job.policy.on_failure == "keep":
        return False
    if (yield from entry.failures.were_told_of(job_id, failure)):
        return True
    if entry.seen_alive:
        return False
    try:  # another process may have been told, and have died since
        return (yield from job.with_(key=job.successor_key).find()) is not None
    except (OpenApiException, UnknownOutcomeError):
        return False


def _ended(job: Job, job_id: str | None, seconds: float) -> Flow[str]:
    """End a job, within so many seconds; what became of it, in words."""
    policy = job.policy
    job = job.with_(policy=type(policy)(on_unknown="rerun", retries=2))
    try:
        return (yield from within(policy.for_seconds(seconds), _cancel(job, job_id)))
    except NotFoundException:
        return "is not known to the server"
    except (OpenApiException, OutOfTimeError):
        return _NOT_ENDED


def _cancel(job: Job, job_id: str | None) -> Flow[str]:
    for wait in _LOOKS_FOR_A_LATE_JOB:
        if job_id is None:
            job_id = yield from job.find()
        if job_id is not None:
            break
        yield Pause(wait)
    if job_id is None:
        return "is not known to the server"
    yield Progress("cancelling", job_id)
    yield from job.cancel(job_id)
    return "was cancelled"
