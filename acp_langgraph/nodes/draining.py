"""Leaving a wait when the graph is drained.

LangGraph says that a graph is to stop by a flag that somebody has to look at. With thousands of waits
on one event loop, one look a second by each of them would be thousands of awakenings; so one timer
looks for all.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final
from weakref import WeakKeyDictionary

from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime

__all__ = ["LOOK_EVERY", "leave_if_drained", "until_drained"]

LOOK_EVERY: Final = 1.0
"""Seconds from one look to the next."""


def leave_if_drained(runtime: Runtime[Any] | None) -> None:
    """Leave the remote job to itself if the graph is to stop; it is rejoined later.

    Raises:
        GraphDrained: LangGraph's own, which keeps the checkpoint.
    """
    if runtime is not None and runtime.drain_requested:
        raise GraphDrained(runtime.drain_reason or "shutdown")


class until_drained:  # noqa: N801 - reads as a function
    """Leave what is awaited inside if the graph is to stop, at the next look.

    No async generator: none may begin while an event loop ends, and remote jobs are ended then.

    Raises:
        GraphDrained: See `leave_if_drained`.
    """

    def __init__(self, runtime: Runtime[Any] | None) -> None:
        self._runtime = runtime
        self._wait = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        if self._runtime is None:
            return
        leave_if_drained(self._runtime)
        await self._wait.__aenter__()
        watch = _watches.setdefault(asyncio.get_running_loop(), _Watch())
        watch.begin(self._wait, self._runtime)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runtime is None:
            return
        _watches[asyncio.get_running_loop()].end(self._wait)
        try:
            await self._wait.__aexit__(kind, error, trace)
        except TimeoutError:
            leave_if_drained(self._runtime)
            raise


class _Watch:
    """Looks after the waits of one event loop, as long as there are any."""

    def __init__(self) -> None:
        self._waits: dict[asyncio.Timeout, Runtime[Any]] = {}
        self._looks = False

    def begin(self, wait: asyncio.Timeout, runtime: Runtime[Any]) -> None:
        self._waits[wait] = runtime
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def end(self, wait: asyncio.Timeout) -> None:
        self._waits.pop(wait, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for wait, runtime in list(self._waits.items()):
            if runtime.drain_requested:
                self.end(wait)
                wait.reschedule(loop.time())
        self._looks = bool(self._waits)
        if self._looks:
            loop.call_later(LOOK_EVERY, self._look)


# A watch must not hold its loop, or neither would ever go.
_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()
