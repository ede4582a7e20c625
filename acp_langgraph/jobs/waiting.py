"""Waiting for a remote job, through whatever happens on the way, or suspended; and ending it.

Time-outs, empty answers, broken connections and a server that is away mean "not yet". After each of
them the job is read, which is cheap and a sign of life; without one for too long, or with a job that
the server no longer knows, waiting ends.

A wait that holds nothing suspends its graph while the job works; who is woken looks:

    create_run      with a webhook of its own, where there is one
    wait_for_run    comes to `suspended`, at once or after a while                      <-+
    (the graph stops; no process waits, no connection is open)                            |
    (whoever is woken, for whichever reason, looks)                                       |
    wait_for_run    comes to what the job came to; or, if that is at work, to `suspended` --+

What a graph is woken with says nothing: a webhook may be late, doubled or forged, and a person may have typed
something into a field. So each time the job is read. A server that is away means "not yet", and only the
job's deadline ends that.

Suspending is a question that nobody asks. It has LangGraph's numbers as questions do, so it is put again
wherever it was put before, also by a node that was set to hold meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn

from acp_langgraph.core.flow import (
    Ask,
    Begin,
    Flow,
    Left,
    OutOfTimeError,
    Pause,
    Progress,
    Step,
    is_over,
    within,
)
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

_log = logging.getLogger("acp_langgraph.nodes")
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


SUSPENDED: Final = "suspended"
"""The type of an outcome that is none yet: `times` which of the job's suspensions it is, and its `marker`."""

_said: set[str] = set()

_TAKE: Final = 60.0  # seconds for what it came to


@dataclass(frozen=True, slots=True)
class Suspension:
    """How a wait that holds nothing is gone about.

    Attributes:
        after: Seconds for which the job is waited for before.
        marker: Makes what is shown instead of a question, JSON.
    """

    after: float
    marker: Callable[[Job, Segment], dict[str, Any]]


def say_no_webhook(node: str, refusal: Exception) -> None:
    """Say once of a node that its webhooks are not taken; its waits are swept then."""
    if node not in _said:
        _said.add(node)
        _log.warning(
            "node %r: the server takes no webhook to the wake_url (%s), so that its runs are started "
            "without; only the sweeper wakes what waits for them. This is said once",
            node,
            refusal,
        )


def _stops_the_graph(outcome: Outcome) -> bool:
    """Whether a wait comes to what the graph shows: stored later than that, it might come to something else."""
    return outcome["type"] in {"interrupt", SUSPENDED}


class Waits:
    """The waits for one job, in one entry into its life.

    Args:
        job: The job.
        entry: What is known of the entry.
        suspension: How to suspend; `None` to hold.
    """

    __slots__ = ("_entry", "_job", "_suspension", "_times")

    def __init__(self, job: Job, entry: Entry, suspension: Suspension | None) -> None:
        self._job = job
        self._entry = entry
        self._suspension = suspension
        self._times = 0

    def next(self, segment: Segment) -> Flow[tuple[Outcome, bool]]:
        """What the job comes to; and whether that was found out now, and is not what a step remembered."""
        first = True
        while True:
            ran_here: list[bool] = []
            body = partial(self._wait, segment, first, ran_here)
            settled = self._suspension is not None and _stops_the_graph
            outcome = yield from Step("wait_for_run", body, settled=settled)
            if outcome["type"] != SUSPENDED:
                if self._times:
                    yield Begin(self._job.key)
                return outcome, bool(ran_here)
            first = False
            # In its place may be what another attempt, or another job's wait, came to.
            if outcome["run_id"] == segment["run_id"] and outcome["times"] == self._times:
                yield Progress(SUSPENDED, segment["run_id"])
                yield from Ask(
                    outcome["marker"], about=f"{segment['run_id']} {SUSPENDED} {self._times}"
                )
                yield Begin("")  # who is stopped while looking ends nothing: it needed nobody
                self._times += 1
                self._entry.woken = True

    def _wait(self, segment: Segment, first: bool, ran_here: list[bool]) -> Flow[Outcome]:
        ran_here.append(True)
        if self._suspension is None:
            return wait_for_job(self._job, self._entry, segment)
        return self._look(self._suspension, segment, first=first)

    def _look(self, suspension: Suspension, segment: Segment, *, first: bool) -> Flow[Outcome]:
        """What the job came to, if it has; else that it is suspended."""
        job, entry = self._job, self._entry
        policy, job_id, holds = job.policy, segment["run_id"], first and suspension.after > 0
        asleep = {
            "type": SUSPENDED,
            "run_id": job_id,
            "times": self._times,
            "marker": suspension.marker(job, segment),
        }
        if is_over(policy.left(segment["since"])):
            return (yield from wait_for_job(job, entry, segment))
        if first and entry.seen_alive and not holds:
            return asleep  # it was begun, or answered, a moment ago
        try:
            if not holds and (yield from self._is_at_work(job_id)):
                return asleep
            left = policy.for_seconds(suspension.after if holds else _TAKE)
            return (yield from within(left, wait_for_job(job, entry, segment)))
        except (OutOfTimeError, *NOT_YET):
            return asleep

    def _is_at_work(self, job_id: str) -> Flow[bool]:
        try:
            look = self._job.read(job_id)
            return (yield from within(self._job.policy.for_a_look(), look)).is_at_work
        except NotFoundException:
            return False  # which the wait is to judge
