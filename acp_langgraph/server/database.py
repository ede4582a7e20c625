"""One SQLite file, written by one thread that commits many jobs at a time.

A job is a function of the connection. The thread takes whatever jobs have come in since it last
looked, does them in one transaction, and reports each one's result once all are committed. So a busy
server pays for few commits, jobs happen in the order in which they were handed in, and what a job
reports is on file: it survives the process being killed (and, the file being in write-ahead mode
with `synchronous=NORMAL`, a power cut can lose the last moments but never damage the file).

Should a job fail, the batch is undone and its jobs are done again one by one, each in a transaction
of its own; so a job must do nothing but work on the connection.

The file is locked while it is open. A second server on it would execute the same runs again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeAlias, TypeVar

_log = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 500
_IN_NO_HURRY: Final = 0.002  # seconds, in which somebody may come who is
_LOOK_EVERY: Final = 1.0  # seconds
_LOCKED_AFTER: Final = 10  # seconds; a server that is just stopping is given that long

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], T]
_Waiting: TypeAlias = "asyncio.Future[Any] | Future[Any] | None"
_HandedIn: TypeAlias = tuple[Job[Any], _Waiting]
_Done: TypeAlias = tuple[_Waiting, Any, BaseException | None]


class DatabaseError(Exception):
    """The database cannot be used: it is in use, closed, or no database of ours."""


class Database:
    """A SQLite database with a thread of its own.

    Args:
        path: The file, made if there is none; `None` or `:memory:` for one in memory.

    Attributes:
        path: The same, as a string.
        connection: The open connection, for jobs alone.
        lost: Whether the file was deleted, or put away, while it is open: all that is written goes
            when the server ends.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = ":memory:" if path is None else str(path)
        self.connection: sqlite3.Connection | None = None
        self.lost = False
        self._file: tuple[int, int] | None = None  # which one it is
        self._looked_at = 0.0  # monotonic seconds
        self._batches: SimpleQueue[list[_HandedIn] | None] = SimpleQueue()
        self._batch: list[_HandedIn] = []  # not handed over yet
        self._handing_over = False  # at the end of this turn of the event loop
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0

    def open(self, prepare: Job[None]) -> None:
        """Open the database, for use from the running event loop and from threads.

        Args:
            prepare: Is given the connection first, outside of a transaction; makes the tables.

        Raises:
            DatabaseError: If the file is in use, or is no database.
        """
        connection = self._connected(prepare)
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(
            target=self._work, args=(connection,), name="acp-database", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Do what was handed in, and close the file."""
        if self._thread is not None:
            self._hand_over()
            self._batches.put(None)
            self._thread.join()
            self._thread = None

    def submit(self, job: Job[T], *, in_a_hurry: bool = True) -> asyncio.Future[T]:
        """Have a job done; its result comes when it is committed.

        Args:
            job: What is done.
            in_a_hurry: Whether somebody waits for it already; if not, it may go along with what comes
                in a moment.

        Raises:
            DatabaseError: If the database is closed.
        """
        waiting: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_in(job, waiting, in_a_hurry=in_a_hurry)
        return waiting

    async def run(self, job: Job[T]) -> T:
        """Do a job; return its result when it is committed.

        Raises:
            DatabaseError: If the database is closed.
        """
        return await self.submit(job)

    def call(self, job: Job[T]) -> T:
        """The same, from any thread, blocking it."""
        waiting: Future[T] = Future()
        self._hand_in(job, waiting, in_a_hurry=True)
        return waiting.result()

    def post(self, job: Job[Any]) -> None:
        """Have a job done after all that were handed in before, without waiting for it."""
        self._hand_in(job, None, in_a_hurry=False)

    def _hand_in(self, job: Job[Any], waiting: _Waiting, *, in_a_hurry: bool) -> None:
        if self._thread is None:
            raise DatabaseError(f"the database {self.path} is not open")
        with self._lock:
            self._batch.append((job, waiting))
            first = len(self._batch) == 1
        # Waking the thread for every job would cost more than most jobs.
        if threading.get_ident() != self._loop_thread or self._loop is None:
            self._hand_over()
        elif not in_a_hurry:
            if first:
                self._loop.call_later(_IN_NO_HURRY, self._hand_over)
        elif not self._handing_over:
            self._handing_over = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        with self._lock:
            self._handing_over = False
            if self._batch:
                self._batches.put(self._batch)
                self._batch = []

    def _connected(self, prepare: Job[None]) -> sqlite3.Connection:
        if self.path != ":memory:":
            with suppress(OSError):  # SQLite says better what is wrong
                Path(self.path).touch(mode=0o600)  # what clients send is nobody else's business
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=_LOCKED_AFTER,
                isolation_level=None,  # transactions begin and end where this module says so
                check_same_thread=False,
                cached_statements=256,
            )
        except sqlite3.Error as error:
            raise DatabaseError(f"the database {self.path} cannot be opened: {error}") from None
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA cache_size=-65536")  # 64 MiB
            self.connection = connection
            prepare(connection)
            self._file = None if self.path == ":memory:" else _identity(self.path)
        except sqlite3.Error as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise DatabaseError(
                    f"the database {self.path} is in use by another server; give each its own"
                ) from None
            raise DatabaseError(f"the database {self.path} cannot be used: {error}") from None
        return connection

    def _work(self, connection: sqlite3.Connection) -> None:
        going_on = True
        while going_on:
            jobs, going_on = self._taken()
            self._look_for_the_file()
            try:
                done = _in_one_transaction(connection, jobs)
            except Exception:  # noqa: BLE001 - found and told below, job by job
                done = [_alone(connection, *each) for each in jobs]
            self._report(done)
        self.connection = None
        connection.close()

    def _look_for_the_file(self) -> None:
        now = time.monotonic()
        if self._file is None or self.lost or now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        if _identity(self.path) != self._file:
            self.lost = True
            _log.error(
                "the database %s was deleted, or put away, while it is in use; what is written goes "
                "when the server ends, and it takes on no more runs",
                self.path,
            )

    def _taken(self) -> tuple[list[_HandedIn], bool]:
        """The jobs that are waiting, at least one; and whether more may come."""
        taken = self._batches.get()
        jobs = list[_HandedIn]()
        while taken is not None:
            jobs += taken
            if len(jobs) >= _MOST_AT_ONCE:
                return jobs, True
            try:
                taken = self._batches.get_nowait()
            except Empty:
                return jobs, True
        return jobs, False

    def _report(self, done: list[_Done]) -> None:
        awaited = list[_Done]()
        for each in done:
            waiting, result, error = each
            if isinstance(waiting, asyncio.Future):
                awaited.append(each)
            elif waiting is None:
                if error is not None:
                    _log.error("something could not be stored in %s", self.path, exc_info=error)
            elif error is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(result)
        if awaited and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_tell, awaited)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_one_transaction(connection: sqlite3.Connection, jobs: list[_HandedIn]) -> list[_Done]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        done: list[_Done] = [(waiting, job(connection), None) for job, waiting in jobs]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return done


def _alone(connection: sqlite3.Connection, job: Job[Any], waiting: _Waiting) -> _Done:
    try:
        [done] = _in_one_transaction(connection, [(job, waiting)])
    except Exception as error:  # noqa: BLE001 - raised where the job was handed in
        return waiting, None, error
    return done


def _tell(done: list[_Done]) -> None:
    for waiting, result, error in done:
        assert isinstance(waiting, asyncio.Future)  # noqa: S101 - sorted out by `_report`
        if waiting.done():
            continue  # its awaiter was cancelled
        if error is not None:
            waiting.set_exception(error)
        else:
            waiting.set_result(result)
