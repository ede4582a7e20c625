"""One thread of a graph in one pair of hands: LangGraph itself has no lock.

Two who go on with one thread at the same moment both do the rest of it: both pass the interrupt, and the
nodes after it run twice. So whoever may not be alone takes the thread's lock first:

    with thread_lock(saver, "thread 7"):
        graph.invoke(Command(resume="yes"), {"configurable": {"thread_id": "thread 7"}})

Where it is kept, the checkpointer says. *PostgreSQL*: an advisory lock of the session that the saver has; of a
pool one connection is kept for all locks, as long as there are any. *SQLite*: a range of a file beside the
database's, for the processes of one machine. *In memory*: here. A process that dies, or loses
its connection, loses its locks with it, and at once.

A lock is asked for until it is free, with short pauses: that takes no connection while it waits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from weakref import WeakKeyDictionary

from acp_langgraph.core.flow import AWAITING, BLOCKING, Flow, Pause, Work, adrive, drive
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.waking.savers import aexecute, awaits, execute, kind_of, rows

_log = logging.getLogger("acp_langgraph.waking")
_FIRST_PAUSE: Final = 0.002  # seconds; doubled
_LONGEST_PAUSE: Final = 0.25


class _Keeper(Protocol):
    """Keeps the locks of one saver's threads, for this process among others."""

    def take(self, thread_id: str, /) -> Flow[bool]:
        """Take a thread's lock, if it is free."""

    def give(self, thread_id: str, /) -> Flow[None]:
        """Give it back."""


class ThreadLock:
    """The lock of one thread of a graph: a context manager, blocking and awaiting; see `thread_lock`.

    Args:
        saver: The checkpointer of the graph.
        thread_id: The thread.
    """

    def __init__(self, saver: Any, thread_id: str) -> None:
        if saver is None:
            raise NodeConfigurationError(
                "a graph without a checkpointer has no threads to lock: compile it with one, and give that"
            )
        self._saver = saver
        self._thread_id = str(thread_id)
        self._keeper: _Keeper | None = None

    def __enter__(self) -> Self:
        self._refuse_unless(blocking=True)
        drive(self._take(), BLOCKING)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        drive(self._give(), BLOCKING)

    async def __aenter__(self) -> Self:
        self._refuse_unless(blocking=False)
        await adrive(self._take(), AWAITING)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(adrive(self._give(), AWAITING))

    def _refuse_unless(self, *, blocking: bool) -> None:
        has_colour = kind_of(self._saver) in {"postgres", "sqlite"}
        if has_colour and awaits(self._saver) is blocking:
            raise NodeConfigurationError(
                f"a {type(self._saver).__name__} {'awaits' if blocking else 'blocks'}, and so does its "
                f"lock; write `{'async ' * blocking}with thread_lock(...)`"
            )

    def _take(self) -> Flow[None]:
        keeper = yield from _keeper_of(self._saver)
        held = _held.here()
        name = (id(keeper), self._thread_id)
        for pause in _pauses():
            if held.take(name):
                try:
                    if (yield from keeper.take(self._thread_id)):
                        self._keeper = keeper
                        return
                except BaseException:
                    held.give(name)
                    raise
                held.give(name)
            yield Pause(pause)

    def _give(self) -> Flow[None]:
        keeper, self._keeper = self._keeper, None
        assert keeper is not None  # noqa: S101 - it was taken
        try:
            yield from keeper.give(self._thread_id)
        finally:
            _held.here().give((id(keeper), self._thread_id))


def thread_lock(saver: Any, thread_id: str) -> ThreadLock:
    """The lock of one thread of a graph, for whoever goes on with threads that others may go on with too.

    `WakeApp` and the sweeper take it. Who answers questions, or enters threads again, while these are at
    work, takes it as well. It is not reentrant.

    Args:
        saver: The graph's checkpointer: LangGraph's own for PostgreSQL, over a connection or a pool of them,
            for SQLite, or in memory. A pool spares one connection for all locks.
        thread_id: The thread.

    Returns:
        A context manager, to be used with `with` or with `async with`, as the saver is.

    Raises:
        NodeConfigurationError: If there is no saver. On entering, if nothing is known of locks of such a
            saver, or its pool has no connection to spare.
    """
    return ThreadLock(saver, thread_id)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


class _Held:
    """The locks that somebody in this process has, or is about to take from others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[tuple[int, str]] = set()

    def take(self, name: tuple[int, str]) -> bool:
        with self._lock:
            free = name not in self._names
            self._names.add(name)
            return free

    def give(self, name: tuple[int, str]) -> None:
        with self._lock:
            self._names.discard(name)


_held = PerProcess(_Held)
_keepers: PerProcess[WeakKeyDictionary[Any, _Keeper]] = PerProcess(WeakKeyDictionary)
_files: PerProcess[dict[str, _File]] = PerProcess(dict)


def _keeper_of(saver: Any) -> Flow[_Keeper]:
    known = _keepers.here().get(saver)
    if known is not None:
        return known
    kind = kind_of(saver)
    keeper: _Keeper
    if kind == "postgres":
        keeper = Session(saver)
    elif kind == "sqlite":
        listed = yield from rows(saver, "PRAGMA database_list", ())
        path = next((path for _, name, path in listed if name == "main"), "")
        # All savers of one database in this process must have one keeper.
        keeper = _files.here().setdefault(path, _File(path)) if path else _Alone()
    elif kind == "memory":
        keeper = _Alone()
    else:
        raise NodeConfigurationError(
            f"there is no lock for threads in a {type(saver).__name__}; give one: "
            "WakeApp(graph, ..., lock=lambda thread_id: ...)"
        )
    return _keepers.here().setdefault(saver, keeper)


class _Alone:
    """Nobody else has what is in this process's memory."""

    def take(self, _: str) -> Flow[bool]:
        yield from ()
        return True

    def give(self, _: str) -> Flow[None]:
        yield from ()


class _File:
    """Locks in a file beside a database's: of each thread one byte, far behind its end, at random.

    The system gives them back when the process dies. They are the process's, so the file is never closed:
    to close it anywhere in the process would give all of them back.
    """

    def __init__(self, database: str) -> None:
        self._path = Path(f"{database}-threads.lock")
        self._file = -1

    def take(self, thread_id: str) -> Flow[bool]:
        place = _place(thread_id)
        return (yield from Work(lambda: self._locked(place), lambda: self._alocked(place)))

    def give(self, thread_id: str) -> Flow[None]:
        place = _place(thread_id)
        yield from Work(
            lambda: self._unlocked(place), lambda: asyncio.to_thread(self._unlocked, place)
        )

    def _locked(self, place: int) -> bool:
        import fcntl  # noqa: PLC0415 - not on every system

        if self._file < 0:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    async def _alocked(self, place: int) -> bool:
        taking = asyncio.ensure_future(asyncio.to_thread(self._locked, place))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:  # it may be taken nevertheless, and is given back then
            if await taking:
                self._unlocked(place)
            raise

    def _unlocked(self, place: int) -> None:
        import fcntl  # noqa: PLC0415 - as above

        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


def _place(thread_id: str) -> int:
    return int.from_bytes(blake2b(thread_id.encode(), digest_size=8).digest()) >> 2


_TAKE: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_GIVE: Final = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


class Session:
    """The locks that a saver's session has: that of its connection, or of one that its pool spares.

    Were there a connection for each lock, a pool could run out of them before a checkpoint is stored.

    Args:
        saver: The saver.

    Raises:
        NodeConfigurationError: If the pool has one connection only.
    """

    def __init__(self, saver: Any) -> None:
        self._from, self._savers = saver.conn, saver.lock
        self._is_pool = hasattr(saver.conn, "getconn")
        self._connection: Any = None if self._is_pool else saver.conn
        self._count = 0
        self._guard, self._aguard = threading.Lock(), asyncio.Lock()
        if self._is_pool and getattr(saver.conn, "max_size", None) == 1:
            raise NodeConfigurationError(
                "a pool of one connection has none to spare for locks; give the saver's pool "
                "max_size=2 or more"
            )

    def take(self, thread_id: str) -> Flow[bool]:
        """Take a thread's lock, if it is free."""
        return (yield from Work(lambda: self._take(thread_id), lambda: self._atake(thread_id)))

    def give(self, thread_id: str) -> Flow[None]:
        """Give it back."""
        had = yield from Work(lambda: self._give(thread_id), lambda: self._agive(thread_id))
        if not had:
            _log.warning(
                "the lock of thread %s was lost with its connection while it was needed; somebody else "
                "may have gone on with the thread at the same time",
                thread_id,
            )

    def _take(self, thread_id: str) -> bool:
        with self._guard:
            if self._is_pool and self._connection is None:
                self._connection = self._from.getconn()
            try:
                taken = self._asked(_TAKE, thread_id)
                self._count += taken
            finally:
                self._spare()
            return taken

    async def _atake(self, thread_id: str) -> bool:
        async with self._aguard:
            if self._is_pool and self._connection is None:
                self._connection = await self._from.getconn()
            try:
                taken = await self._aasked(_TAKE, thread_id)
                self._count += taken
            except asyncio.CancelledError:  # it may have been taken nevertheless
                with suppress(Exception):
                    await self._aasked(_GIVE, thread_id)
                raise
            finally:
                await self._aspare()
            return taken

    def _give(self, thread_id: str) -> bool:
        with self._guard:
            self._count -= 1
            try:
                return self._asked(_GIVE, thread_id)
            except Exception:  # noqa: BLE001 - whatever it was, the session has ended or will
                return False
            finally:
                self._spare()

    async def _agive(self, thread_id: str) -> bool:
        async with self._aguard:
            self._count -= 1
            try:
                return await self._aasked(_GIVE, thread_id)
            except Exception:  # noqa: BLE001 - as above
                return False
            finally:
                await self._aspare()

    def _asked(self, query: str, thread_id: str) -> bool:
        if self._is_pool:
            return bool(execute(self._connection, query, (thread_id,))[0][0])
        with self._savers:
            return bool(execute(self._connection, query, (thread_id,))[0][0])

    async def _aasked(self, query: str, thread_id: str) -> bool:
        if self._is_pool:
            return bool((await aexecute(self._connection, query, (thread_id,)))[0][0])
        async with self._savers:
            return bool((await aexecute(self._connection, query, (thread_id,)))[0][0])

    def _spare(self) -> None:
        """Give the pool its connection back, if there is no lock that would be lost."""
        if self._is_pool and (not self._count or self._connection.closed):
            connection, self._connection = self._connection, None
            self._from.putconn(connection)

    async def _aspare(self) -> None:
        if self._is_pool and (not self._count or self._connection.closed):
            connection, self._connection = self._connection, None
            await self._from.putconn(connection)
