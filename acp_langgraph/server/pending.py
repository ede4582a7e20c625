"""The runs that are pending, as the server that executes them knows them, and whose turn it is on each thread."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from acp_langgraph.server.execution import Outcome
from acp_langgraph.server.middleware import incoming_trace
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.streams import Feed


class Live:
    """A pending run: `settled` is set as soon as it is no longer pending."""

    def __init__(self, record: RunRecord, feed: Feed, *, again: bool = False) -> None:
        self.record = record
        self.again = again  # another server may have begun it
        self.owner: str | None = None  # the key that it came with, where that matters
        self.alone = False  # it may have ended that server
        self.counted = False  # it is on file that this server is at work on it
        self.rollback = False  # once it is cancelled, it is to be as if it had never been
        self.trace = incoming_trace()  # where its segment belongs
        self.settled = asyncio.Event()
        self.stored: asyncio.Future[None] | None = None  # done when the run is on file
        self.outcome: RunRecord | None = None  # what it came to, once that is on file
        self.unstored = False  # it came to something that could not be put on file
        self.feed = feed
        self.ready = False  # stored, and what it replaces is out of the way
        self.segment: asyncio.Task[Outcome] | None = None
        self.worker: asyncio.Task[None] | None = None


class ThreadQueues:
    """The runs of each thread that are pending or ask, in the order in which they came."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[str]] = {}
        self._entered = 0
        self._held: Counter[str] = Counter()

    def on(self, thread_id: str) -> tuple[str, ...]:
        """The runs on a thread, the one whose turn it is first."""
        return tuple(self._queues.get(thread_id, ()))

    def first(self, thread_id: str) -> str | None:
        """The run whose turn it is on a thread."""
        queue = self._queues.get(thread_id)
        return queue[0] if queue else None

    def count(self, thread_id: str) -> int:
        """How many runs are on a thread."""
        return len(self._queues.get(thread_id, ()))

    @property
    def behind(self) -> int:
        """How many runs stand behind another one, on all threads."""
        return self._entered - len(self._queues)

    def ahead_of(self, run_id: str, thread_id: str) -> tuple[str, ...]:
        """The runs that stand before a run, the last one first."""
        queue = self.on(thread_id)
        return queue[: queue.index(run_id)][::-1] if run_id in queue else ()

    def enter(self, run_id: str, thread_id: str) -> None:
        """Put a run last on its thread."""
        self._queues.setdefault(thread_id, deque()).append(run_id)
        self._entered += 1

    def leave(self, run_id: str, thread_id: str) -> None:
        """Take a run off its thread."""
        queue = self._queues.get(thread_id)
        if queue is None:
            return
        with suppress(ValueError):
            queue.remove(run_id)
            self._entered -= 1
        if not queue:
            del self._queues[thread_id]

    def clear(self, thread_id: str) -> None:
        """Forget who is on a thread that is no more."""
        self._entered -= len(self._queues.pop(thread_id, ()))

    def is_held(self, thread_id: str) -> bool:
        """Whether nobody may begin on a thread just now."""
        return thread_id in self._held

    @contextmanager
    def hold(self, thread_id: str) -> Iterator[None]:
        """Say that nobody may begin on a thread for as long as the block lasts."""
        self._held[thread_id] += 1
        try:
            yield
        finally:
            self._held[thread_id] -= 1
            if not self._held[thread_id]:
                del self._held[thread_id]
