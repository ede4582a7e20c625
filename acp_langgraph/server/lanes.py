"""Whose turn it is on a thread: runs on one thread go one after another."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

__all__ = ["Lanes"]


class Lanes:
    """The runs of each thread that are pending or ask, in the order in which they came."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[str]] = {}

    def on(self, thread_id: str) -> tuple[str, ...]:
        """The runs on a thread, the one whose turn it is first."""
        return tuple(self._lanes.get(thread_id, ()))

    def first(self, thread_id: str) -> str | None:
        """The run whose turn it is on a thread."""
        lane = self._lanes.get(thread_id)
        return lane[0] if lane else None

    def ahead_of(self, run_id: str, thread_id: str) -> tuple[str, ...]:
        """The runs that stand before a run, the last one first."""
        lane = self.on(thread_id)
        return lane[: lane.index(run_id)][::-1]

    def enter(self, run_id: str, thread_id: str) -> None:
        """Put a run last on its thread."""
        self._lanes.setdefault(thread_id, deque()).append(run_id)

    def leave(self, run_id: str, thread_id: str) -> None:
        """Take a run off its thread."""
        lane = self._lanes.get(thread_id)
        if lane is None:
            return
        with suppress(ValueError):
            lane.remove(run_id)
        if not lane:
            del self._lanes[thread_id]

    def clear(self, thread_id: str) -> None:
        """Forget who is on a thread that is no more."""
        self._lanes.pop(thread_id, None)
