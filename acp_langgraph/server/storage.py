"""Runs and threads in the server's database.

`replace_run` puts a record in another's place only if nobody was faster. That comparison is what
lets exactly one of two simultaneous answers to a question win.

What is stored together with a change of a run, such as what its webhook is to be told, is a `Kept`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from pydantic_core import to_json

from acp_langgraph.acp.models import ThreadStatus
from acp_langgraph.server.database import Database, DatabaseError
from acp_langgraph.server.records import (
    RUN,
    SCHEMA,
    THREAD,
    VERSION,
    RunQuery,
    RunRecord,
    ThreadQuery,
    ThreadRecord,
    add_labels,
    canonical,
    labels,
    microseconds,
    moment_after,
    progress_of,
    readable,
    run_of,
    thread_of,
)
from acp_langgraph.server.wire import too_much

R = TypeVar("R")

_FORGOTTEN_AT_ONCE: Final = 500
_LOOKED_THROUGH_AT_ONCE: Final = 2 * 2**20  # bytes
_LARGEST: Final = 2**62  # a client may send any integer as an offset


class Kept(Protocol):
    """Something that is stored together with a change."""

    def keep(self, connection: sqlite3.Connection) -> None:
        """Store it."""


class Storage:
    """Keeps runs and threads. Every method is one transaction.

    Args:
        database: Where; opened before the first use.
        answer: Bytes that a list may have.
    """

    def __init__(self, database: Database, answer: int = 16 * 2**20) -> None:
        self._database = database
        self._answer = answer

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables; to be done while the database is opened.

        Raises:
            DatabaseError: If the file was made by a version with other tables.
        """
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version not in {0, VERSION}:
            raise DatabaseError(
                f"the database {self._database.path} has format {version}, this version of "
                f"acp-langgraph has {VERSION}; give it another file"
            )
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")

    @property
    def lost(self) -> bool:
        """Whether what is kept from now on is gone when the server ends."""
        return self._database.lost

    async def answers(self, seconds: float) -> bool:
        """Whether something can be read within some time."""
        try:
            async with asyncio.timeout(seconds):
                await self._database.run(lambda connection: connection.execute("SELECT 1"))
        except (TimeoutError, sqlite3.Error, DatabaseError):
            return False
        return True

    def add_run(
        self, run: RunRecord, thread: ThreadRecord | None = None, *, in_a_hurry: bool = True
    ) -> asyncio.Future[None]:
        """Keep a new run, and its thread if that is new, too; done when both are on file."""
        return self._database.submit(partial(_add_run, run, thread), in_a_hurry=in_a_hurry)

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run of an id."""
        return await self._database.run(partial(_get_run, run_id))

    async def replace_run(self, old: RunRecord, new: RunRecord, notice: Kept | None = None) -> bool:
        """Put a run in place of what was read before, with what is to be told of it.

        Returns:
            Whether it was still the same.
        """
        return await self._database.run(partial(_replace_run, old, new, notice))

    async def begin_run(self, old: RunRecord, new: RunRecord, status: ThreadStatus) -> bool:
        """Put a run that begins in place of what was read before, and show it on its thread.

        Returns:
            Whether it was still the same.
        """
        return await self._database.run(partial(_begin_run, old, new, status))

    async def undo_run(
        self, run: RunRecord, notice: Kept | None, shown: Mapping[str, Any] | None
    ) -> None:
        """Forget a run, with what is to be told of it, and what is seen of its thread from now on."""
        await self._database.run(partial(_undo_run, run, notice, shown))

    async def note_stop(self, runs: Iterable[RunRecord]) -> None:
        """Note of pending runs that the server that was at work on them stops in order."""
        await self._database.run(partial(_note_stop, list(runs)))

    async def has_later(self, run: RunRecord) -> bool:
        """Whether a later run on the same thread has begun."""
        return await self._database.run(partial(_has_later, run))

    async def delete_run(self, run_id: str) -> bool:
        """Forget a run; `False` if there was none."""
        return await self._database.run(partial(_delete_runs, "run_id = ?", run_id))

    def discard(self, run_id: str) -> None:
        """Forget a run that was to be kept just now, whether or not it was."""
        with suppress(DatabaseError):
            self._database.post(partial(_delete_runs, "run_id = ?", run_id))

    async def find_runs(self, query: RunQuery) -> list[RunRecord]:
        """The runs that match, newest first.

        Raises:
            Problem: 422, if they are too large for one answer.
        """
        return self._whole(await self._database.run(partial(_find_runs, query, self._answer)))

    async def forget_runs(
        self, seconds: float | None, most: int | None, now: datetime | None = None
    ) -> None:
        """Forget runs that ended so many seconds ago, and the oldest beyond so many."""
        before = None if seconds is None else (now or moment_after()) - timedelta(seconds=seconds)
        while await self._database.run(partial(_forget_runs, before, most)):
            pass  # a few at a time, so that others get their turn

    async def unfinished_runs(self) -> list[RunRecord]:
        """The runs that are pending or interrupted, oldest first."""
        return await self._database.run(_unfinished_runs)

    async def count_runs(self) -> dict[str, int]:
        """How many runs of which status there are."""
        return await self._database.run(
            lambda connection: dict(
                connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
            )
        )

    async def add_thread(self, thread: ThreadRecord) -> bool:
        """Keep a new thread; `False` if the id is taken."""
        return await self._database.run(partial(_add_thread, thread))

    async def get_thread(self, thread_id: str) -> ThreadRecord | None:
        """The thread of an id."""
        return await self._database.run(partial(_get_thread, thread_id))

    async def update_thread(
        self, thread_id: str, *, metadata: Mapping[str, Any] | None = None, **changes: Any
    ) -> ThreadRecord | None:
        """Merge metadata and set fields of a thread; `None` if there is none."""
        return await self._database.run(partial(_update_thread, thread_id, metadata, changes))

    async def delete_thread(self, thread_id: str) -> bool:
        """Forget a thread and its runs; `False` if there was none."""
        return await self._database.run(partial(_delete_thread, thread_id))

    async def find_threads(self, query: ThreadQuery) -> list[ThreadRecord]:
        """The threads that match, newest first.

        Raises:
            Problem: 422, if they are too large for one answer.
        """
        if not query.values:
            found = partial(_find_threads, query, self._answer)
            return self._whole(await self._database.run(found))
        return await self._threads_with(query.values, query)

    async def _threads_with(
        self, values: Mapping[str, Any], query: ThreadQuery
    ) -> list[ThreadRecord]:
        """Look through all threads, a few at a time, so that others get their turn."""
        wanted = {name: canonical(value) for name, value in values.items()}
        found, size, skipped = list[ThreadRecord](), 0, 0
        before = _LARGEST
        while len(found) < query.limit:
            job = partial(_threads_before, query, before)
            seen, before = await self._database.run(job)
            if not before:
                break
            for thread, bytes_ in seen:
                if not _holds(thread.values, wanted):
                    continue
                if skipped < query.offset:
                    skipped += 1
                    continue
                size += bytes_
                if found and size > self._answer:
                    raise too_much(self._answer, len(found))
                found.append(thread)
        return found[: query.limit]

    def _whole(self, found: tuple[list[R], bool]) -> list[R]:
        records, whole = found
        if not whole:
            raise too_much(self._answer, len(records))
        return records

    async def old_threads(self, before: datetime) -> list[ThreadRecord]:
        """Some of the threads that have not changed since, without unfinished runs."""
        return await self._database.run(partial(_old_threads, before))


def _add_run(run: RunRecord, thread: ThreadRecord | None, connection: sqlite3.Connection) -> None:
    if thread is not None:
        _add_thread(thread, connection)
    added = connection.execute(
        f"INSERT INTO runs ({RUN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.run_id,
            run.thread_id,
            run.agent_id,
            run.stateless,
            run.status,
            microseconds(run.created_at),
            microseconds(run.updated_at),
            to_json(run.creation),
            progress_of(run),
        ),
    )
    add_labels("run", added.lastrowid, run.creation.get("metadata"), connection)


def _get_run(run_id: str, connection: sqlite3.Connection) -> RunRecord | None:
    found = connection.execute(f"SELECT {RUN} FROM runs WHERE run_id = ?", (run_id,))
    row = found.fetchone()
    return run_of(row) if row else None


def _replace_run(
    old: RunRecord, new: RunRecord, notice: Kept | None, connection: sqlite3.Connection
) -> bool:
    # What was asked for never changes.
    changed = connection.execute(
        "UPDATE runs SET status = ?, updated_at = ?, progress = ? "
        "WHERE run_id = ? AND updated_at = ?",
        (
            new.status,
            microseconds(new.updated_at),
            progress_of(new),
            old.run_id,
            microseconds(old.updated_at),
        ),
    )
    if changed.rowcount == 1 and notice is not None:
        notice.keep(connection)
    return changed.rowcount == 1


def _begin_run(
    old: RunRecord, new: RunRecord, status: ThreadStatus, connection: sqlite3.Connection
) -> bool:
    replaced = _replace_run(old, new, None, connection)
    if replaced and new.has_thread:
        changes = {"status": status, "agent_id": new.agent_id}
        _update_thread(new.thread_id, None, changes, connection)
    return replaced


def _undo_run(
    run: RunRecord,
    notice: Kept | None,
    shown: Mapping[str, Any] | None,
    connection: sqlite3.Connection,
) -> None:
    if run.stateless:
        _delete_thread(run.thread_id, connection)
    elif shown is not None:
        _update_thread(run.thread_id, None, shown, connection)
    _delete_runs("run_id = ?", run.run_id, connection)
    if notice is not None:
        notice.keep(connection)


def _note_stop(runs: list[RunRecord], connection: sqlite3.Connection) -> None:
    for run in runs:
        # Not a change that anybody sees; so it must not look like one.
        _replace_run(run, replace(run, attempts=0), None, connection)


def _has_later(run: RunRecord, connection: sqlite3.Connection) -> bool:
    later = connection.execute(
        f"SELECT {RUN} FROM runs WHERE thread_id = ? AND seq > "
        "(SELECT seq FROM runs WHERE run_id = ?)",
        (run.thread_id, run.run_id),
    )
    return any(each.base_checkpoint is not None for each in readable(run_of, later))


def _forget_runs(before: datetime | None, most: int | None, connection: sqlite3.Connection) -> bool:
    oldest = "SELECT seq FROM runs WHERE status NOT IN ('pending', 'interrupted')"
    forgotten = 0
    if before is not None:
        forgotten += connection.execute(
            f"DELETE FROM runs WHERE seq IN "
            f"({oldest} AND updated_at < ? ORDER BY updated_at LIMIT {_FORGOTTEN_AT_ONCE})",
            (microseconds(before),),
        ).rowcount
    if most is not None:
        [ended] = connection.execute(f"SELECT count(*) FROM ({oldest})").fetchone()
        forgotten += connection.execute(
            f"DELETE FROM runs WHERE seq IN ({oldest} ORDER BY updated_at LIMIT ?)",
            (min(max(ended - most, 0), _FORGOTTEN_AT_ONCE),),
        ).rowcount
    return forgotten >= _FORGOTTEN_AT_ONCE


def _delete_runs(which: str, value: str, connection: sqlite3.Connection) -> bool:
    return connection.execute(f"DELETE FROM runs WHERE {which}", (value,)).rowcount > 0


def _find_runs(
    query: RunQuery, most: int, connection: sqlite3.Connection
) -> tuple[list[RunRecord], bool]:
    rules = {
        "stateless = ?": query.stateless,
        "thread_id = ?": query.thread_id,
        "agent_id = ?": query.agent_id,
        "status = ?": query.status,
    }
    where, values = _where("run", rules, query.metadata)
    found = connection.execute(
        f"SELECT {RUN} FROM runs {where} ORDER BY seq DESC LIMIT ? OFFSET ?",
        (*values, query.limit, min(query.offset, _LARGEST)),
    )
    return _up_to(most, run_of, found)


def _up_to(
    most: int, read: Callable[[tuple[Any, ...]], R], rows: Iterable[tuple[Any, ...]]
) -> tuple[list[R], bool]:
    """What is in rows that have so many bytes, one at least; and whether those are all."""
    taken, size = list[tuple[Any, ...]](), 0
    for row in rows:
        size += _bytes(row)
        if taken and size > most:
            return readable(read, taken), False
        taken.append(row)
    return readable(read, taken), True


def _bytes(row: Sequence[Any]) -> int:
    return sum(len(each) for each in row[-2:] if isinstance(each, (bytes, str)))  # JSON, both


def _unfinished_runs(connection: sqlite3.Connection) -> list[RunRecord]:
    found = connection.execute(
        f"SELECT {RUN} FROM runs WHERE status IN ('pending', 'interrupted') ORDER BY seq"
    )
    return readable(run_of, found)


def _add_thread(thread: ThreadRecord, connection: sqlite3.Connection) -> bool:
    added = connection.execute(
        f"INSERT OR IGNORE INTO threads ({THREAD}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            thread.thread_id,
            thread.agent_id,
            thread.status,
            microseconds(thread.created_at),
            microseconds(thread.updated_at),
            to_json(thread.metadata),
            to_json(thread.values),
        ),
    )
    if added.rowcount == 1:
        add_labels("thread", added.lastrowid, thread.metadata, connection)
    return added.rowcount == 1


def _get_thread(thread_id: str, connection: sqlite3.Connection) -> ThreadRecord | None:
    found = connection.execute(f"SELECT {THREAD} FROM threads WHERE thread_id = ?", (thread_id,))
    row = found.fetchone()
    return thread_of(row) if row else None


def _update_thread(
    thread_id: str,
    metadata: Mapping[str, Any] | None,
    changes: Mapping[str, Any],
    connection: sqlite3.Connection,
) -> ThreadRecord | None:
    old = _get_thread(thread_id, connection)
    if old is None:
        return None
    new = replace(
        old,
        updated_at=moment_after(old.updated_at),
        metadata={**old.metadata, **(metadata or {})},
        **changes,
    )
    connection.execute(
        'UPDATE threads SET agent_id = ?, status = ?, updated_at = ?, metadata = ?, "values" = ? '
        "WHERE thread_id = ?",
        (
            new.agent_id,
            new.status,
            microseconds(new.updated_at),
            to_json(new.metadata),
            to_json(new.values),
            thread_id,
        ),
    )
    if metadata:
        found = connection.execute("SELECT seq FROM threads WHERE thread_id = ?", (thread_id,))
        [seq] = found.fetchone()
        connection.execute("DELETE FROM thread_labels WHERE seq = ?", (seq,))
        add_labels("thread", seq, new.metadata, connection)
    return new


def _delete_thread(thread_id: str, connection: sqlite3.Connection) -> bool:
    _delete_runs("thread_id = ?", thread_id, connection)
    deleted = connection.execute("DELETE FROM threads WHERE thread_id = ?", (thread_id,))
    return deleted.rowcount == 1


def _find_threads(
    query: ThreadQuery, most: int, connection: sqlite3.Connection
) -> tuple[list[ThreadRecord], bool]:
    where, values = _where("thread", {"status = ?": query.status}, query.metadata)
    page = (*values, query.limit, min(query.offset, _LARGEST))
    statement = f"SELECT {THREAD} FROM threads {where} ORDER BY seq DESC LIMIT ? OFFSET ?"
    return _up_to(most, thread_of, connection.execute(statement, page))


def _threads_before(
    query: ThreadQuery, before: int, connection: sqlite3.Connection
) -> tuple[list[tuple[ThreadRecord, int]], int]:
    """Some threads, with their sizes, and before which the next ones are; 0 if there are none."""
    rules = {"status = ?": query.status, "seq < ?": before}
    where, values = _where("thread", rules, query.metadata)
    found = list[tuple[ThreadRecord, int]]()
    size = last = 0
    statement = f"SELECT {THREAD}, seq FROM threads {where} ORDER BY seq DESC"
    for *row, seq in connection.execute(statement, values):
        bytes_ = _bytes(row)
        size, last = size + bytes_, seq
        found += [(thread, bytes_) for thread in readable(thread_of, [tuple(row)])]
        if size > _LOOKED_THROUGH_AT_ONCE:
            break
    return found, last


def _old_threads(before: datetime, connection: sqlite3.Connection) -> list[ThreadRecord]:
    found = connection.execute(
        f"SELECT {THREAD} FROM threads WHERE updated_at < ? AND thread_id NOT IN ("
        "SELECT thread_id FROM runs WHERE status IN ('pending', 'interrupted')) LIMIT ?",
        (microseconds(before), _FORGOTTEN_AT_ONCE),
    )
    return readable(thread_of, found)


def _where(
    kind: str, rules: Mapping[str, Any], metadata: Mapping[str, Any] | None
) -> tuple[str, list[Any]]:
    given = {rule: value for rule, value in rules.items() if value is not None}
    wanted = list(labels(metadata))
    terms = [*given, *[f"seq IN (SELECT seq FROM {kind}_labels WHERE label = ?)"] * len(wanted)]
    return f"WHERE {' AND '.join(terms)}" if terms else "", [*given.values(), *wanted]


def _holds(values: Any, wanted: Mapping[str, str]) -> bool:
    return isinstance(values, dict) and all(
        name in values and canonical(values[name]) == text for name, text in wanted.items()
    )
