"""What belongs to one process, or to one event loop: connections, locks, and who waits for whom.

A process that was forked has all that its parent had, and may use none of it: on a connection that two
processes read, each gets what is the other's; a lock that another thread held is never released; and
whoever was at work does not exist here.

What holds connections is closed by leaving its `with` block, and copied without them.
"""

from __future__ import annotations

import asyncio
import copy
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

_forks = 0  # between the first process and this one; the ids of processes are used again


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - what is counted is the process itself
    _forks += 1


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_count_fork)


def _this_process() -> tuple[int, int]:
    return os.getpid(), _forks


class PerProcess(Generic[T]):
    """Something that every process makes for itself, when it first needs it; thread-safe.

    What is another process's stays as it is, neither closed nor collected: to close it here could take
    it from those whose it is. Nor is it copied or pickled: a copy makes its own.

    Args:
        make: Makes it.
    """

    __slots__ = ("__weakref__", "_made", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[tuple[int, int], T] = {}

    def here(self) -> T:
        """What is this process's."""
        process = _this_process()
        found = self._made.get(process)
        if found is None:
            found = self._made.setdefault(process, self._make())  # which no lock has to guard
        return found

    def was_made_elsewhere(self) -> bool:
        """Whether there is one, and only of another process."""
        return bool(self._made) and _this_process() not in self._made

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: Any) -> PerProcess[T]:
        return PerProcess(self._make)

    def __reduce__(self) -> tuple[Any, ...]:
        return PerProcess, (self._make,)


class PerLoop(Generic[T]):
    """Something that every event loop has its own of, closed together with the loop, or before.

    An async generator that waits inside `try/finally` closes it: event loops finalize their generators
    before they close, and whenever nobody has them any more. What is to be closed must not hold this, or
    who has this: only then is it there to be closed once these are gone.
    """

    __slots__ = ("__weakref__", "_kept")

    def __init__(self) -> None:
        self._kept: dict[asyncio.AbstractEventLoop, tuple[T, weakref.finalize[Any, Any]]] = {}

    def here(self) -> T | None:
        """What is the running event loop's."""
        found = self._kept.get(asyncio.get_running_loop())
        return None if found is None else found[0]

    def keep(self, made: T, aclose: Callable[[], Awaitable[None]]) -> T:
        """Give the running event loop its own.

        Args:
            made: What it is.
            aclose: Closes it.
        """
        for loop in list(self._kept):
            if loop.is_closed() and (gone := self._kept.pop(loop, None)):
                gone[1].detach()
        keeper = _keeper(aclose)
        with suppress(StopIteration):  # it awaits nothing on its way to its first result
            anext(keeper).send(None)
        let_go = weakref.finalize(self, _let_go, keeper)
        let_go.atexit = False
        self._kept[asyncio.get_running_loop()] = made, let_go
        return made

    async def aclose(self) -> None:
        """Close what is the running event loop's."""
        found = self._kept.pop(asyncio.get_running_loop(), None)
        if found is not None and (kept := found[1].detach()):
            await kept[2][0].aclose()


async def _keeper(aclose: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await aclose()


def _let_go(_: AsyncGenerator[None]) -> None:
    """What nobody has any more, its event loop finalizes."""


class Closing(ABC):
    """A context manager that closes itself, blocking."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosing(ABC):
    """A context manager that closes itself, awaiting."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections of the running event loop."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class Copied:
    """A copy has connections of its own; a client of the caller's is shared, and is never pickled."""

    def __deepcopy__(self, _: Any) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(
            {
                name: copy.deepcopy(each) if isinstance(each, PerProcess) else each
                for name, each in vars(self).items()
            }
        )
        return twin

    def __getstate__(self) -> dict[str, Any]:
        if getattr(self, "_given", None) is not None:
            raise TypeError(
                "what has client= or async_client= of your own cannot be pickled: connections cannot be "
                "carried into another process. Give a client_config instead, or make it there"
            )
        return vars(self)
