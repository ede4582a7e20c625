"""A graph whose only node is a graph: its steps are with a checkpoint of its own, below a task of the graph around.

Each of the two checkpoints is stored by itself, and the process may die in between. What is stored of the inner
graph is found again only by who has the same task around it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from langgraph.pregel._algo import _scratchpad
from simulation.local_state import opaque
from simulation.memory import CHECKPOINT, Ended, Entry, GraphModel, Settings, Write, read, written

from acp_langgraph.nodes.langgraph import CONFIG_KEY_CALL, ERROR, INTERRUPT

__all__ = ["NestedGraph"]


class InnerGraph(GraphModel):
    """The graph within.

    Args:
        around: The graph that it is in.
    """

    def __init__(self, around: NestedGraph) -> None:
        entry = around.entry
        super().__init__(entry, around.settings, around.checkpointer, around.loop)
        self.around = around
        self.place = f"sub:{around.task_id}"
        self.task_id = f"00000000-0000-0000-0001-{entry.inner:012}"
        self.namespace = f"{self.place}|remote:{self.task_id}"
        self.outer = around.scratchpad
        self.puts, self.control, self.resumes = around.puts, around.control, around.resumes
        store = entry.store.inner
        self.stored = store if store is not None and store.checkpoint == entry.inner else None
        self.pending = [read(each) for each in self.stored.writes] if self.stored else []
        call = partial(around._call, schedule_task=around._schedule_task)
        self.config = {"configurable": {CONFIG_KEY_CALL: call}}

    @property
    def checkpoints(self) -> dict[str, str]:
        """The ids of the checkpoints around its node, by their namespaces."""
        return {**super().checkpoints, self.place: str(self.entry.inner)}

    async def at_work(self, node: Any) -> None:
        """Be executed, unless that was done before."""
        if self.stored is not None and self.stored.done is not None:
            self.ended = Ended("done", self.stored.done)
            return
        if self.stored is None:
            self._store(CHECKPOINT)
        with self._ending():
            self._finish(written("", await self._attempts(node)))

    def _put(self, task_id: str, writes: list[tuple[str, Any]]) -> None:
        super()._put(task_id, writes)
        if task_id == self.task_id:  # what its task ends with the one around ends with
            passed = [each for each in writes if each[0] in {ERROR, INTERRUPT}]
            self.around._put(self.around.task_id, passed)

    def _store(self, *put: Write) -> None:
        number = self.entry.inner
        super()._store(*((f"{number}|{task}", where, what) for task, where, what in put))


class NestedGraph(GraphModel):
    """One invocation of a graph of one node, which is a graph of one node."""

    def __init__(self, entry: Entry, settings: Settings, saver: Any, loop: Any) -> None:
        super().__init__(entry, settings, saver, loop)
        self.inner: InnerGraph | None = None

    @property
    def parts(self) -> list[GraphModel]:
        """The graph within."""
        return [self.inner] if self.inner else []

    @property
    def known(self) -> Any:
        """What both know of writes."""
        return self.pending, self.inner.pending if self.inner else None

    async def run(self, node: Any) -> None:
        """Invoke the graph; how it ended is in `ended`."""
        await asyncio.sleep(0)
        if self._begin():
            return
        place = f"sub:{self.task_id}"
        self.scratchpad = _scratchpad(None, self.pending, self.task_id, place, self.resumes, 1, 25)
        self.inner = InnerGraph(self)
        await self.inner.at_work(node)
        ended = self.inner.ended
        assert ended is not None
        if ended.how == "done":
            self._finish(ended.what)
        else:
            self.ended = ended


opaque(InnerGraph, NestedGraph)
