"""Looking from time to time for what was not told: a webhook that was lost, a deadline, a waker that died.

Every thread that is suspended is found, and the run that it waits for is looked at. The longer a run has been
at work, the more seldom: what took a day is found ten minutes late at most, what took a minute with the next
sweep. A webhook that arrives makes no sweep needed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import zlib
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, NoReturn

from acp_langgraph.core.flow import AWAITING, BLOCKING, Flow, Work, adrive, drive
from acp_langgraph.waking.finding import Candidate
from acp_langgraph.waking.threads import Configure, GraphThreads, Lock, Threads
from acp_langgraph.waking.waker import Woken, is_ready, wake

_log = logging.getLogger("acp_langgraph.waking")

_AT_ONCE: Final = 32
_SELDOM: Final = 0.1  # of a run's age, between two looks at it
_LONGEST: Final = 600.0  # seconds between two looks
_REMEMBERED: Final = 200_000


class Swept(NamedTuple):
    """What a sweep came to.

    Attributes:
        found: Threads that are suspended, or that their waker left.
        woken: Threads that went on.
        failed: Threads that could not be read, or whose graph failed once it went on.
    """

    found: int
    woken: int
    failed: int


class Sweeper:
    """Goes on with every suspended thread of a graph whose run is done, asks, or has taken too long.

        Sweeper(graph).sweep()

    From the command line, every half a minute: `acp-langgraph wake my_graph.py:graph --every 30`. Several may sweep at once, and `WakeApp` beside them: each thread goes on once. What does not is logged
    by `acp_langgraph.waking`.

    Args:
        graph: The graph, compiled with the checkpointer that its threads are in; or a `LangGraphServer`.
        configure: Makes what else to invoke a thread with, a `RunnableConfig` of its id. By default there
            is nothing: whose token a node shows, for one, is then for the node to know by itself.
        lock: Makes a thread's lock; by default `thread_lock`.

    Raises:
        NodeConfigurationError: If the graph has no checkpointer.
    """

    def __init__(
        self, graph: Any, *, configure: Configure | None = None, lock: Lock | None = None
    ) -> None:
        self._threads = threads_of(graph, configure, lock)
        self._settled: dict[str, None] = {}

    def sweep(self, every: float | None = None) -> Swept:
        """Sweep once, blocking.

        Args:
            every: Seconds from one sweep to the next, by which runs that take long are left out of most;
                `None` to look at all.
        """
        return drive(self._sweep(every), BLOCKING)

    async def asweep(self, every: float | None = None) -> Swept:
        """`sweep`, awaiting."""
        if not self._threads.awaits:
            return await asyncio.to_thread(self.sweep, every)
        return await adrive(self._sweep(every), AWAITING)

    def cancel(self, thread_id: str) -> int:
        """End the remote runs that a thread waits for, blocking; before it is deleted, or begun anew.

        What was suspended for them stays as it is, and fails when it is woken, as its run was cancelled.

        Args:
            thread_id: The thread.

        Returns:
            How many were ended. Servers that cannot end what they do (Quant) go on with it.
        """
        return drive(self._cancel(thread_id), BLOCKING)

    async def acancel(self, thread_id: str) -> int:
        """`cancel`, awaiting."""
        if not self._threads.awaits:
            return await asyncio.to_thread(self.cancel, thread_id)
        return await adrive(self._cancel(thread_id), AWAITING)

    def run(self, every: float = 30.0) -> NoReturn:
        """Sweep for ever, blocking."""
        while True:
            began = time.monotonic()
            try:
                self.sweep(every)
            except Exception:  # noqa: BLE001 - a database that is away comes back
                _log.exception("a sweep failed; the next one is in %g s", every)
            time.sleep(max(0.0, began + every - time.monotonic()))

    async def arun(self, every: float = 30.0) -> NoReturn:
        """Sweep until it is cancelled, awaiting."""
        while True:
            began = time.monotonic()
            try:
                await self.asweep(every)
            except Exception:  # noqa: BLE001 - as above
                _log.exception("a sweep failed; the next one is in %g s", every)
            await asyncio.sleep(max(0.0, began + every - time.monotonic()))

    def _cancel(self, thread_id: str) -> Flow[int]:
        """Under its lock, so that nobody goes on with it meanwhile."""

        def locked() -> Flow[int]:
            view = yield from self._threads.read(thread_id)
            ended = 0
            for wait in () if view is None else view.waits:
                ended += yield from self._threads.cancel(thread_id, wait)
            return ended

        return self._threads.locked(thread_id, locked)

    def _sweep(self, every: float | None) -> Flow[Swept]:
        swept = Swept(0, 0, 0)
        after: str | None = ""
        while after is not None:
            page, after = yield from self._threads.candidates(after)
            page = [each for each in page if each.waits or each.checkpoint_id not in self._settled]
            results = yield from _each(self._seen_to(each, every) for each in page)
            swept = Swept(
                swept.found + len(page),
                swept.woken + results.count(True),
                swept.failed + results.count(None),
            )
        return swept

    def _seen_to(self, candidate: Candidate, every: float | None) -> Flow[bool | None]:
        """Whether a thread went on; `None` if it failed."""
        threads, thread_id = self._threads, candidate.thread_id
        try:
            due = [each for each in candidate.waits if _is_due(each.id, each.since, every)]
            worth = candidate.is_woken and not candidate.waits
            for wait in due:
                worth = worth or (yield from is_ready(threads, thread_id, wait))
            waking = wake(threads, thread_id, was_taken=candidate.is_woken)
            came = (yield from waking) if worth else Woken.AT_WORK
        except Exception:  # noqa: BLE001 - whatever a graph raises; the others go on
            _log.exception("thread %s failed when it was woken", thread_id)
            return None
        if (
            came is Woken.NOTHING and candidate.checkpoint_id
        ):  # and will wait for nothing until it is stored anew
            self._settled[candidate.checkpoint_id] = None
            while len(self._settled) > _REMEMBERED:
                del self._settled[next(iter(self._settled))]
        return came is Woken.WOKEN


def threads_of(graph: Any, configure: Configure | None, lock: Lock | None) -> Threads:
    """The threads of a graph, or of a server of graphs."""
    if hasattr(graph, "candidates"):
        threads: Threads = graph
        return threads
    return GraphThreads(graph, configure, lock)


def _is_due(wait_id: str, since: float, every: float | None) -> bool:
    """Whether a run is to be looked at in this sweep; of those of one age, each sweep has its share."""
    if every is None:
        return True
    pause = min((time.time() - since) * _SELDOM, _LONGEST)
    share = max(1, math.floor(pause / every))
    return (math.floor(time.time() / every) + zlib.crc32(wait_id.encode())) % share == 0


def _each(flows: Iterable[Flow[bool | None]]) -> Flow[list[bool | None]]:
    """Perform flows: one after the other, or some at once where they can be awaited."""

    async def awaiting() -> list[bool | None]:
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(flow: Flow[bool | None]) -> bool | None:
            async with places:
                return await adrive(flow, AWAITING)

        return list(await asyncio.gather(*map(one, flows)))

    return (yield from Work(lambda: [drive(each, BLOCKING) for each in flows], awaiting))
