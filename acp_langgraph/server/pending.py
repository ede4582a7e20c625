"""Who is pending: each run as the server knows it, whose turn it is, and whether there is room for one more."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from acp_langgraph.server.containing import NodeThreads
from acp_langgraph.server.execution import Outcome
from acp_langgraph.server.middleware import caller, incoming_trace
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.streams import Feed, Subscription
from acp_langgraph.server.wire import Limits, busy, invalid, not_found


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

    def ahead_of(self, run_id: str, thread_id: str) -> tuple[str, ...]:
        """The runs that stand before a run, the last one first."""
        queue = self.on(thread_id)
        return queue[: queue.index(run_id)][::-1] if run_id in queue else ()

    def enter(self, run_id: str, thread_id: str) -> None:
        """Put a run last on its thread."""
        self._queues.setdefault(thread_id, deque()).append(run_id)

    def leave(self, run_id: str, thread_id: str) -> None:
        """Take a run off its thread."""
        queue = self._queues.get(thread_id)
        if queue is None:
            return
        with suppress(ValueError):
            queue.remove(run_id)
        if not queue:
            del self._queues[thread_id]

    def clear(self, thread_id: str) -> None:
        """Forget who is on a thread that is no more."""
        self._queues.pop(thread_id, None)

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


class Roster:
    """The runs that are pending, and the queues that they stand in.

    Args:
        limits: How many there may be.
        threads: What blocking nodes run in.

    Attributes:
        queues: Whose turn it is on each thread.
        removed: Threads that are just being deleted.
    """

    def __init__(self, limits: Limits, threads: NodeThreads) -> None:
        self.queues = ThreadQueues()
        self.removed: set[str] = set()
        self._limits = limits
        self._threads = threads
        self._live: dict[str, Live] = {}
        self._owners: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, run_id: str | None) -> bool:
        return run_id in self._live

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._live.values()))

    def get(self, run_id: str | None) -> Live | None:
        """The pending run of an id."""
        return self._live.get(run_id or "")

    def first(self, thread_id: str) -> Live | None:
        """The pending run whose turn it is on a thread; `None` also if one asks there."""
        return self.get(self.queues.first(thread_id))

    def add(self, live: Live) -> None:
        """Take note of a pending run."""
        self._live[live.record.run_id] = live
        if live.owner:
            self._owners[live.owner] += 1

    def forget(self, live: Live) -> None:
        """Take note that it is pending no longer; whoever waits for it is told."""
        if self._live.get(live.record.run_id) is live:
            del self._live[live.record.run_id]
            if live.owner:
                self._owners[live.owner] -= 1
        live.feed.close()
        live.settled.set()

    def refuse_when_full(self, thread_id: str | None) -> None:
        """Refuse a run for which there is no room.

        Raises:
            Problem: 503, with the reason.
        """
        limits = self._limits
        if len(self._live) >= limits.pending:
            raise busy()
        if thread_id and self.queues.count(thread_id) >= limits.pending_on_thread:
            raise busy("too many runs are pending on this thread")
        if self._owners[caller() or ""] >= limits.pending_of_key:
            raise busy("too many runs of this API key are pending")
        if self._threads.exhausted:
            raise busy(
                f"{self._threads.disowned} nodes of runs that have ended still hold their threads"
            )

    def is_busy(self, thread_id: str) -> bool:
        """Whether a run is pending on a thread."""
        return any(run_id in self._live for run_id in self.queues.on(thread_id))

    @contextmanager
    def holding(self, thread_id: str, *, removing: bool = False) -> Iterator[None]:
        """Let no run begin on a thread for as long as the block lasts.

        Args:
            thread_id: The thread.
            removing: Whether it is no more afterwards.

        Raises:
            Problem: 422, if a run is pending on it; 404, if it is just being removed.
        """
        if self.is_busy(thread_id):
            raise invalid(f"thread {thread_id} has a pending run; cancel it or wait for it first")
        if thread_id in self.removed:
            raise not_found("thread", thread_id)
        if removing:
            self.removed.add(thread_id)
        try:
            with self.queues.hold(thread_id):
                yield
                if removing:
                    self.queues.clear(thread_id)
        finally:
            self.removed.discard(thread_id)

    def subscribe(self, run_id: str) -> Subscription | None:
        """Listen to a pending run; `None` if it is not pending."""
        live = self._live.get(run_id)
        return live.feed.subscribe() if live else None

    def unsubscribe(self, run_id: str, subscription: Subscription) -> None:
        """Listen no longer."""
        if live := self._live.get(run_id):
            live.feed.unsubscribe(subscription)
