"""What a node does to end its process ends its run, and nothing else.

`sys.exit()` and KeyboardInterrupt end the event loop if they leave a task, and with it the server for
everybody. LangGraph gives every node a task of its own, as do nodes themselves; so nothing that stands
around a graph can hold them back. What can is the loop's task factory: of each task that is made
inside of a run it wraps the coroutine, and others it leaves alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final, TypeVar

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
        self._began = False

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on."""
        self._begin()
        try:
            return self._coroutine.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _said(error) from error

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
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
        if not self._began:
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
