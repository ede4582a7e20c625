"""An event loop without time and I/O: it does what is ready, and says when nothing is.

What is awaited on it is real code with real asyncio tasks; only who wakes it up is somebody else.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

__all__ = ["Handle", "VirtualLoop"]


class Handle:
    """Something to be called."""

    __slots__ = ("args", "callback", "context", "when")

    def __init__(self, callback: Any, args: Any, context: Context | None, when: float) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.when = when

    def cancel(self) -> None:
        self.callback = None

    def cancelled(self) -> bool:
        return self.callback is None


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs tasks until all of them wait.

    Attributes:
        tasks: Those that are not done, in the order in which they began.
        now: Its time, in seconds; it moves only when it is moved.
        moves_by_itself: Whether whoever waits for a moment and for nothing else gets it.
    """

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []
        self.now = 0.0
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._count = 0

    def run(self) -> None:
        """Do all that is ready."""
        events._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if handle.callback is not None:
                    handle.context.run(handle.callback, *handle.args)
        finally:
            events._set_running_loop(None)
        self.tasks = [task for task in self.tasks if not task.done()]

    @property
    def next_moment(self) -> float | None:
        """When the next one wants to be called who said when."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def move_to(self, moment: float) -> None:
        """Let time pass."""
        self.now = max(self.now, moment)
        while (due := self.next_moment) is not None and due <= self.now:
            self._ready.append(heapq.heappop(self._timers)[2])
        self.run()

    # What asyncio's tasks, futures and time-outs want of a loop

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args, context, self.now)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Any:
        handle = Handle(callback, args, context, when)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "", context=context)
        self.tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: Any) -> None:
        """Whatever it is that nobody asked for: it is in what was awaited, or of no account."""
