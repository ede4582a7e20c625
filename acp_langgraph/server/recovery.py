"""Which of the runs that a server left behind may have ended it.

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

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import Registry
from acp_langgraph.server.records import RunRecord

_log = logging.getLogger(__name__)

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
