"""Whether what must survive a crash is stored yet.

LangGraph writes checkpoints and the results of tasks behind the graph's back (durability `async`, its
default, and for tasks also `sync`). Mostly that is only fast. Before something is started elsewhere
it matters: if the process dies before the checkpoint is stored, nothing leads from the graph to what
was started. So the ledger is read until it shows what it must.

There is nothing to wait for where nothing outlives the process anyway: with durability `exit`, and
with an `InMemorySaver`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

from acp_langgraph.errors import NodeError
from acp_langgraph.nodes.langgraph import GraphTask, Saver

__all__ = ["Ledger"]

_LONGEST: Final = 30.0
_PAUSES: Final = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The checkpoints that an execution of a node belongs to, in the graph and those around it.

    Attributes:
        task: The task that the execution is.
        saver: The checkpointer.
        places: Where the checkpoints are in it, the innermost last.
    """

    task: GraphTask
    saver: Saver
    places: tuple[RunnableConfig, ...]

    @classmethod
    def of(cls, task: GraphTask) -> Ledger | None:
        """The ledger of an execution; `None` if a crash erases everything in any case."""
        if task.saver is None or not task.survives:
            return None
        return cls(task, task.saver, task.places)

    def await_checkpoints(self) -> None:
        """Return once every checkpoint is stored, blocking."""
        for place in self.places:
            for pause in self._pauses():
                if self.saver.get_tuple(place) is not None:
                    break
                time.sleep(pause)

    async def aawait_checkpoints(self) -> None:
        """Return once every checkpoint is stored, awaiting."""
        for place in self.places:
            for pause in self._pauses():
                if await self.saver.aget_tuple(place) is not None:
                    break
                await asyncio.sleep(pause)

    def await_result(self, task_id: str) -> None:
        """Return once the result of a task is stored, blocking."""
        for pause in self._pauses():
            if _has_result(self.saver.get_tuple(self.places[-1]), task_id):
                return
            time.sleep(pause)

    async def aawait_result(self, task_id: str) -> None:
        """Return once the result of a task is stored, awaiting."""
        for pause in self._pauses():
            if _has_result(await self.saver.aget_tuple(self.places[-1]), task_id):
                return
            await asyncio.sleep(pause)

    def _pauses(self) -> Iterator[float]:
        give_up = time.monotonic() + _LONGEST
        yield from _PAUSES
        while time.monotonic() < give_up:
            self.task.raise_why_not_stored()
            yield _PAUSES[-1]
        raise NodeError(
            f"the checkpointer has not stored what it was given {_LONGEST:.0f} s ago; nothing was "
            "started, because a crash now would lose it"
        )


def _has_result(found: CheckpointTuple | None, task_id: str) -> bool:
    return found is not None and any(write[0] == task_id for write in found.pending_writes or ())
