"""Noticing that a graph was left without its nodes being cancelled.

LangGraph ends a stream that is broken off by cancelling its nodes from a task of its own. Whoever is
cancelled again and again until it is gone, as `anyio` does it (and so Starlette, FastAPI and whatever else
is built on its task groups), cancels that task with it before it begins; and the nodes go on, with nobody
to take what they give. What a graph always does when it is left is to tell its callbacks, so they are
listened to, be it of this graph or of those around it.

Which loops run these graphs is private (`acp_langgraph.nodes.langgraph`); where it cannot be told, nothing is
noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler

__all__ = ["ended_with_the_graph"]


@contextmanager
def ended_with_the_graph(loops: Sequence[Any]) -> Iterator[None]:
    """Cancel the current task if a graph around it is left before what is inside is done.

    Args:
        loops: What runs the graph that the task is in, and those around it.
    """
    if not loops:
        yield
        return
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - whoever awaits is in one

    def end() -> None:
        if end in listened:
            task.cancel()

    listened = {end: list(_leavings(loops))}
    for leaving in listened[end]:
        leaving.tells[end] = loop
    try:
        yield
    finally:
        for leaving in listened.pop(end):
            del leaving.tells[end]


class _Leaving(BaseCallbackHandler):
    """Tells those who are at work in a graph that it is left."""

    run_inline = True

    def __init__(self) -> None:
        self.tells: dict[Callable[[], None], asyncio.AbstractEventLoop] = {}

    def on_chain_error(self, error: BaseException, **_: Any) -> None:  # noqa: ARG002 - whatever it was
        for end, loop in list(self.tells.items()):
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(end)


def _leavings(loops: Sequence[Any]) -> Iterator[_Leaving]:
    """What hears of the leaving of the graph that a node is in, and of those around that."""
    for graph in loops:
        handlers = getattr(getattr(graph, "manager", None), "handlers", None)
        if handlers is None:
            continue
        found = next((each for each in handlers if isinstance(each, _Leaving)), None)
        if found is None:
            found = _Leaving()
            handlers.append(found)
        yield found
