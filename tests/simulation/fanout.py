"""A graph that sends its node several states at once, as a map over `Send` does: as many tasks of one node.

They run beside each other, and each asks for itself. LangGraph lets the others end where one asks, cancels
them where one fails, and wants the answers by their ids where more than one question is open.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import copy_context
from typing import Any

from simulation.memory import OUTPUT, Ended, Entry, GraphModel, Settings, written

from acp_langgraph.nodes.langgraph import INTERRUPT

__all__ = ["FanOut"]


def branch_of(number: int, checkpoint: int) -> str:
    """The id of one of the tasks of a checkpoint."""
    return f"00000000-0000-0000-{number:04}-{checkpoint:012}"


class Branch(GraphModel):
    """One of the tasks.

    Args:
        around: The graph.
        number: Which it is.
    """

    def __init__(self, around: FanOut, number: int) -> None:
        super().__init__(around.entry, around.settings, around.checkpointer, around.loop)
        self.number = number
        self.task_id = branch_of(number, around.entry.number)
        self.namespace = f"remote:{self.task_id}"
        self.control, self.pending, self.puts = around.control, around.pending, around.puts
        self.resumes, self.writer = around.resumes, around.writer

    def task_of(self, name: str, number: int) -> str:
        """The id of one of its steps."""
        return f"{name} {self.number}.{number}"

    async def at_work(self, node: Any) -> None:
        """Be executed, unless that was done before."""
        output = self.entry.store.of(self.task_id, OUTPUT)
        if output is not None:
            self.ended = Ended("done", output)
            return
        with self._ending():
            self._finish(written("", await self._attempts(node)))

    def _finish(self, result: str) -> None:
        self._store((self.task_id, OUTPUT, result))
        self.ended = Ended("done", result)


class FanOut(GraphModel):
    """One invocation of a graph of several tasks of one node."""

    def __init__(self, entry: Entry, settings: Settings, saver: Any, loop: Any) -> None:
        super().__init__(entry, settings, saver, loop)
        self.branches: list[Branch] = []

    @property
    def parts(self) -> list[GraphModel]:
        """Its tasks."""
        return list(self.branches)

    async def run(self, node: Any) -> None:
        """Invoke the graph; how it ended is in `ended`."""
        await asyncio.sleep(0)
        self._begin()
        self.ended = await self._tasks(node)
        if self.ended.how == "done":
            self._store((self.task_id, "done", self.ended.what))

    async def _tasks(self, node: Any) -> Ended:
        """Execute the tasks; how that ended."""
        self.branches = [Branch(self, number) for number in range(1, self.settings.tasks + 1)]
        tasks = [
            self.loop.create_task(branch.at_work(node), context=copy_context())
            for branch in self.branches
        ]
        try:
            await self._until_over(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            return Ended("cancelled")
        return self._ended()

    async def _until_over(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait until all have come to their ends, or one has failed; then nobody waits for the others."""
        waiting = set(tasks)
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(each.ended is not None and each.ended.how == "failed" for each in self.branches):
                for task in waiting:
                    task.cancel()
                return

    def _ended(self) -> Ended:
        ends = [each.ended or Ended("cancelled") for each in self.branches]
        for how in ("failed", "drained"):
            found = next((each for each in ends if each.how == how), None)
            if found is not None:
                return found
        asked = [each for each in ends if each.how == "asked"]
        if asked:
            return Ended(
                "asked", json.dumps([json.loads(each.what) for each in asked]), asked[0].more
            )
        results = [value for each in ends for value in json.loads(each.what).values()]
        return Ended("done", json.dumps({"answers": results}))


def open_questions(store: Any) -> list[tuple[str, Any]]:
    """The questions that are stored and whose tasks have come to nothing yet, with their ids."""
    over = {task for task, channel, _ in store.writes if channel == OUTPUT}
    asked = [
        json.loads(text)
        for task, channel, text in store.writes
        if channel == INTERRUPT and task not in over
    ]
    return [(question_id, question) for ((question_id, question),) in asked]
