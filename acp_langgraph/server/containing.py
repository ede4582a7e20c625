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
import types
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

from acp_langgraph.server.pending import Live

T = TypeVar("T")

_inside: Final[ContextVar[bool]] = ContextVar("acp_inside_of_a_run", default=False)


class ExitError(Exception):
    """What was executed wanted to end the process."""


@Coroutine.register
class Contained:
    """A coroutine that cannot end the process, nor can the tasks that it starts.

    A task sends into it at every turn, so what is sent goes straight to a native coroutine around the
    other. All that is asked of it otherwise, the other one is asked: libraries look at tasks' coroutines.

    Args:
        coroutine: What is executed.
    """

    __slots__ = ("_around", "_coroutine", "close", "send", "throw")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._around = around = _held_back(coroutine)
        self.send, self.throw, self.close = around.send, around.throw, around.close
        around.send(None)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._around.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)


async def _held_back(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine, from the second time that something is sent; closed if it is not let begin."""
    try:
        await _beginning()
    except BaseException:
        coroutine.close()
        raise
    _inside.set(True)
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise _said(error) from error


@types.coroutine
def _beginning() -> Generator[None, None, None]:
    yield


def contained(coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
    """A task that cannot end the process, nor can the tasks that it starts."""
    held: Any = Contained(coroutine)
    return asyncio.create_task(held, name=name)


def contain_tasks() -> None:
    """Have the running loop contain the tasks that are started inside of a run."""
    loop = asyncio.get_running_loop()
    before: Any = loop.get_task_factory()
    if isinstance(before, _Factory):
        return
    loop.set_task_factory(_Factory(before))


class _Factory:
    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Future[Any]:
        context: Context | None = options.get("context")
        inside = _inside.get() if context is None else context.get(_inside, False)
        if inside and type(coroutine) is not Contained and asyncio.iscoroutine(coroutine):
            coroutine = Contained(coroutine)
        if self._before is None:
            return asyncio.Task(coroutine, loop=loop, **options)
        made: asyncio.Future[Any] = self._before(loop, coroutine, **options)
        return made


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
