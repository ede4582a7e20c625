"""Leaving a wait when the graph is drained, and noticing that a graph was left without a word.

LangGraph ends a stream that is broken off by cancelling its nodes from a task of its own. Whoever is
cancelled again and again until it is gone, as `anyio` does it (and so Starlette, FastAPI and whatever else
is built on its task groups), cancels that task with it before it begins; and the nodes go on, with nobody
to take what they give. What a graph always does when it is left is to tell its callbacks, so they are
listened to, be it of this graph or of those around it.

Which loops run these graphs is private (`acp_langgraph.nodes.langgraph`); where it cannot be told, nothing is
noticed.

LangGraph says that a graph is to stop by a flag that somebody has to look at. With thousands of waits
on one event loop, one look a second by each of them would be thousands of awakenings; so one timer
looks for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime


class ended_with_the_graph:  # noqa: N801 - reads as a function
    """Cancel the current task if a graph around it is left before what is inside is done.

    Args:
        loops: What runs the graph that the task is in, and those around it.
    """

    __slots__ = ("_loops", "_task")

    def __init__(self, loops: Sequence[Any]) -> None:
        self._loops = loops

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        for graph in self._loops:
            _LEAVINGS.tell(self, graph)

    def __exit__(self, *_: object) -> None:
        for graph in self._loops:
            _LEAVINGS.no_longer_tell(self, graph)

    def end(self, is_told: Callable[[ended_with_the_graph], bool]) -> None:
        """End what is inside, from whichever thread, unless it has come to its end by itself."""
        task = self._task
        assert task is not None  # noqa: S101 - whoever awaits is in one
        with suppress(RuntimeError):  # its loop is closed
            task.get_loop().call_soon_threadsafe(lambda: is_told(self) and task.cancel())


class _Leavings(BaseCallbackHandler):
    """Hears when a graph is left, of every graph in which somebody is at work just now."""

    run_inline = True

    def __init__(self) -> None:
        self._told: dict[UUID, set[ended_with_the_graph]] = {}

    def tell(self, who: ended_with_the_graph, graph: Any) -> None:
        manager: Any = getattr(graph, "manager", None)
        if not hasattr(manager, "handlers"):
            return
        if manager.run_id not in self._told:
            self._told[manager.run_id] = set()
            manager.handlers.append(self)
        self._told[manager.run_id].add(who)

    def no_longer_tell(self, who: ended_with_the_graph, graph: Any) -> None:
        manager: Any = getattr(graph, "manager", None)
        told = self._told.get(getattr(manager, "run_id", None))  # type: ignore[arg-type]  # or none
        if told is None:
            return
        told.discard(who)
        if not told:
            del self._told[manager.run_id]
            manager.handlers.remove(self)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002 - whatever it was
        for who in tuple(self._told.get(run_id, ())):
            who.end(lambda who: who in self._told.get(run_id, ()))


_LEAVINGS: Final = _Leavings()


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

    __slots__ = ("_runtime", "_wait")

    def __init__(self, runtime: Runtime[Any] | None) -> None:
        self._runtime = runtime

    async def __aenter__(self) -> None:
        if self._runtime is None:
            return
        leave_if_drained(self._runtime)
        self._wait = asyncio.timeout(None)
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
