"""The threads that blocking nodes run in.

A thread cannot be stopped. A blocking node whose run is cancelled, or has taken too long, goes on in its
thread, and nobody hears of what it comes to. So that such nodes do not take the threads of others, there
are more threads than nodes may run at once; and what they hold is counted, so that a server whose nodes
hang says so, and takes nothing on any more, instead of waiting without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from acp_langgraph.server.live import Live

T = TypeVar("T")

AT_ONCE: Final = 64  # blocking nodes that surely may run at once

at_work_for: Final[ContextVar[Live | None]] = ContextVar("acp_at_work_for", default=None)
"""The run whose segment is being executed."""


class NodeThreads(ThreadPoolExecutor):
    """Threads for blocking nodes.

    Args:
        spare: Threads for those whose runs have ended without them.
    """

    def __init__(self, spare: int) -> None:
        super().__init__(AT_ONCE + spare, thread_name_prefix="acp-node")
        self._spare = spare
        self._begun: dict[int, Live] = {}

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have something done in a thread, as soon as one is free."""
        live = at_work_for.get()
        if live is None:
            return super().submit(fn, *args, **kwargs)

        def work() -> T:
            key = id(work)
            self._begun[key] = live
            try:
                return fn(*args, **kwargs)
            finally:
                del self._begun[key]

        return super().submit(work)

    @property
    def busy(self) -> int:
        """Nodes that are at work in a thread."""
        return len(self._begun)

    @property
    def disowned(self) -> int:
        """Nodes that hold a thread although their run has ended."""
        return sum(live.settled.is_set() for live in list(self._begun.values()))

    @property
    def exhausted(self) -> bool:
        """Whether so many are held that runs which may begin might get none."""
        return len(self._begun) >= self._spare and self.disowned >= self._spare
