"""What a model of LangGraph reads of a checkpointer and writes to it, by effects."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from simulation.memory import Write, read, written

__all__ = ["Found", "ModelSaver"]


class Found:
    """What a saver has found."""

    def __init__(self, writes: tuple[Write, ...]) -> None:
        self.pending_writes = [read(each) for each in writes]


class ModelSaver(BaseCheckpointSaver[Any]):
    """Reads and writes by effects."""

    def __init__(self, perform: Any) -> None:
        self._perform = perform

    async def aget_tuple(self, config: Any) -> Any:
        found = await self._perform(("read", _inner(config)))
        return None if found is None else Found(found)

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        inner = _inner(config)
        task = f"{inner}|{task_id}" if inner else task_id
        made = tuple((task, channel, written(channel, value)) for channel, value in writes)
        await self._perform(("write", made))


def _inner(config: Any) -> int:
    """The number of the inner graph's checkpoint, if it is that which is meant."""
    place = config["configurable"]
    return int(place["checkpoint_id"]) if place["checkpoint_ns"] else 0
