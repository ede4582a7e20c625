"""Executes the segments of runs: one after another on a slot each, and none that is not on file.

A segment goes from a run's input, or from an answer, to its end or next question. That it is begun is on
file before it is: so a run that never began can be told from one that changed its thread, and a run
that ends the server from one that was only waiting. Of a run that nobody was told of yet, that and the run
itself may get there a moment later, but before anything that it stores.

A segmentation fault or a want of memory ends the server for everybody, and would again. How often a
server was at work on a run and did not stop in order is on file before the run is begun
(`RunRecord.attempts`). So whoever starts next knows whom to suspect:

* Once is no reason: servers are killed.
* A run that was at work twice, and came no further in between, is not begun a third time if no other
  was. If others were, these runs are begun once more, one at a time; with whom the server ends then,
  it was.
* As soon as it is found out, the others are under suspicion no longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import Registry
from acp_langgraph.server.containing import at_work_for
from acp_langgraph.server.execution import Outcome, execute, timed_out
from acp_langgraph.server.middleware import within
from acp_langgraph.server.pending import Live
from acp_langgraph.server.recorder import RunRecorder
from acp_langgraph.server.records import RunRecord, moment_after
from acp_langgraph.server.wire import Limits

_log = logging.getLogger(__name__)
_LONGEST_DELAY: Final = 10 * 365 * 86_400  # seconds; what a timer surely takes


class Segments:
    """Executes segments, as many at once as the limits allow.

    Args:
        agents: What can be run.
        recorder: Puts on file what is begun.
        limits: How much is taken on.
    """

    def __init__(self, agents: Registry, recorder: RunRecorder, limits: Limits) -> None:
        self._agents = agents
        self._recorder = recorder
        self._seconds = limits.run_seconds
        self._slots = asyncio.Semaphore(limits.running)
        self._alone = asyncio.Lock()  # of those of whom one may have ended a server

    @property
    def full(self) -> bool:
        """Whether a segment would have to wait."""
        return self._slots.locked()

    async def execute(self, live: Live) -> Outcome:
        """Execute a segment as soon as it may begin.

        Raises:
            LookupError: If its run is not on file any more.
        """
        at_work_for.set(live)
        if live.record.answers is None:
            await asyncio.sleep(_delay(live.record))
        if not live.alone:
            return await self._in_turn(live)
        async with self._alone:
            return await self._in_turn(live)

    async def _in_turn(self, live: Live) -> Outcome:
        async with self._slots:
            await self._begin(live)
            agent, publish = self._agents.get(live.record.agent_id), live.feed.publish
            try:
                async with asyncio.timeout(self._seconds):
                    with within(live.trace):
                        return await execute(agent, live.record, publish, again=live.again)
            except TimeoutError:
                words = f"the run took longer than {self._seconds:g} s"
                return timed_out(live.record, words)

    async def _begin(self, live: Live) -> None:
        """Put on file that a run is begun, before it is; unless that is there already."""
        run, changes = live.record, dict[str, Any]()
        if not live.counted:
            changes["attempts"] = run.attempts + 1
        if live.again:
            agent = self._agents.get(run.agent_id)
            changes["stood_at"] = await checkpoints.stand(agent, run.thread_id)
        if run.has_thread and run.base_checkpoint is None:
            agent = self._agents.get(run.agent_id)
            changes["base_checkpoint"] = await checkpoints.base(agent, run)
        if changes:
            # Before it is on file, and whether or not anybody waits until it is: a cancel that comes
            # now is recorded after it.
            live.record = run.changed(**changes)
            await self._recorder.begin(run, live.record)


def _delay(run: RunRecord) -> float:
    """Seconds until a run may begin."""
    asked = run.creation.get("after_seconds") or 0
    passed = (moment_after() - run.created_at).total_seconds() if asked > 0 else 0
    # A clock that was put back makes nobody wait longer.
    return min(max(asked - max(passed, 0), 0), _LONGEST_DELAY)


_IN_COMPANY: Final = 2
_ALONE: Final = 3

ENDED_THE_SERVER: Final = (
    "the server ended, more than once, while it was at work on this run; it is not begun again"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a pending run.

    Attributes:
        run: The run, with what is held against it.
        culprit: Whether it is not to be begun again.
        alone: Whether no other suspect may be at work meanwhile.
    """

    run: RunRecord
    culprit: bool = False
    alone: bool = False


async def judged(agents: Registry, pending: Sequence[RunRecord]) -> list[Verdict]:
    """Judge the pending runs that were found on file."""
    runs = [await _unless_it_got_on(agents, run) for run in pending]
    suspects = [run for run in runs if run.attempts >= _IN_COMPANY]
    culprits = [run for run in suspects if run.attempts >= _ALONE]
    if len(suspects) == 1:
        culprits = suspects
    if culprits:
        return [
            Verdict(run, culprit=True) if run in culprits else Verdict(replace(run, attempts=0))
            for run in runs
        ]
    return [Verdict(run, alone=run in suspects) for run in runs]


async def _unless_it_got_on(agents: Registry, run: RunRecord) -> RunRecord:
    """A run, under no suspicion if it has come further since a server was last at work on it."""
    if run.attempts < _IN_COMPANY:
        return run
    try:
        stands_at = await checkpoints.stand(agents.get(run.agent_id), run.thread_id)
    except Exception:  # noqa: BLE001 - what is on file may be anything; it is told when it is begun
        _log.warning("how far run %s has come cannot be read", run.run_id, exc_info=True)
        return run
    return run if stands_at == run.stood_at else replace(run, attempts=0)
