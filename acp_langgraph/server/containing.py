"""What a node may do to the server: to end its process ends its run and nothing else, and its threads are counted.

`sys.exit()` and KeyboardInterrupt end the event loop if they leave a task, and with it the server for
everybody. LangGraph gives every node a task of its own, as do nodes themselves; so nothing that stands
around a graph can hold them back. What can is the loop's task factory: of each task that is made
inside of a run it wraps the coroutine, and others it leaves alone.

A thread cannot be stopped. A blocking node whose run is cancelled, or has taken too long, goes on in its
thread, and nobody hears of what it comes to. So that such nodes do not take the threads of others, there
are more threads than nodes may run at once; and what they hold is counted, so that a server whose nodes
hang says so, and takes nothing on any more, instead of waiting without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

from acp_langgraph.server.pending import Live

T = TypeVar("T")

_inside: Final[ContextVar[bool]] = ContextVar("acp_inside_of_a_run", default=False)


class ExitError(Exception):
    """What was executed wanted to end the process."""


class Contained(Coroutine[Any, Any, T]):
    """A coroutine that cannot end the process, nor can the tasks that it starts.

    Args:
        coroutine: What is executed. All that is asked of it otherwise, it is asked itself: libraries
            look at the coroutines of tasks.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._send = coroutine.send  # once for each time that it goes on
        self._began = False

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on."""
        if not self._began:
            self._begin()
        try:
            return self._send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _said(error) from error

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        if not self._began:
            self._begin()
        try:
            return self._coroutine.throw(*error)
        except (SystemExit, KeyboardInterrupt) as caught:
            raise _said(caught) from caught

    def close(self) -> None:
        """End."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)

    def _begin(self) -> None:
        self._began = True
        _inside.set(True)


def contained(coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """A task that cannot end the process, nor can the tasks that it starts."""
    return asyncio.create_task(Contained(coroutine), name=name)


def contain_tasks() -> None:
    """Have the running loop contain the tasks that are started inside of a run."""
    loop = asyncio.get_running_loop()
    before: Any = loop.get_task_factory()
    if isinstance(before, _Factory):
        return
    loop.set_task_factory(_Factory(before))


class _Factory:
    def __init__(self, before: Any) -> None:
        self._make = before or _made

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Future[Any]:
        context: Context | None = options.get("context")
        inside = _inside.get() if context is None else context.get(_inside, False)
        if inside and asyncio.iscoroutine(coroutine) and not isinstance(coroutine, Contained):
            coroutine = Contained(coroutine)
        made: asyncio.Future[Any] = self._make(loop, coroutine, **options)
        return made


def _made(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)


def _said(error: BaseException) -> ExitError:
    code = f" ({error})" if str(error) else ""
    return ExitError(f"{type(error).__name__}{code} ends this run, and not the server")


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
