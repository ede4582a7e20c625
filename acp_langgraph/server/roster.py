"""Who is pending: each run, on its thread, of its key; and whether there is room for one more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from acp_langgraph.server.containing import NodeThreads
from acp_langgraph.server.middleware import caller
from acp_langgraph.server.pending import Live, ThreadQueues
from acp_langgraph.server.streams import Subscription
from acp_langgraph.server.wire import Limits, busy, invalid, not_found


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
        half = max(1, limits.pending // 2)
        most_queued, most_of_key = limits.queued or half, limits.pending_of_key or half
        if len(self._live) >= limits.pending:
            raise busy()
        if thread_id and self.queues.count(thread_id) >= limits.pending_on_thread:
            raise busy("too many runs are pending on this thread")
        if thread_id and self.queues.first(thread_id) and self.queues.behind >= most_queued:
            raise busy("too many runs stand behind others on their threads")
        if self._owners[caller() or ""] >= most_of_key:
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
