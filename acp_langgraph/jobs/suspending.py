"""Waits that hold nothing: the graph is suspended while a job works, and woken to look.

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
from typing import Any, Final

from acp_langgraph.core.flow import (
    Ask,
    Begin,
    Flow,
    OutOfTimeError,
    Progress,
    Step,
    is_over,
    within,
)
from acp_langgraph.errors import NotFoundException
from acp_langgraph.jobs.job import NOT_YET, Entry, Job, Outcome, Segment
from acp_langgraph.jobs.waiting import wait_for_job

SUSPENDED: Final = "suspended"
"""The type of an outcome that is none yet: `times` which of the job's suspensions it is, and its `marker`."""

_log = logging.getLogger("acp_langgraph.nodes")
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
