"""Runs and threads in the server's database.

`replace_run` puts a record in another's place only if nobody was faster. That comparison is what
lets exactly one of two simultaneous answers to a question win.

Metadata is found through an index of labels: a digest of each name with its value, so that a search
costs the same among a hundred runs and among a hundred thousand. Values count as equal if they are
the same JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, Protocol

from pydantic_core import from_json, to_json

from acp_langgraph.acp.models import RunStatus, ThreadStatus
from acp_langgraph.server.database import Database, DatabaseError
from acp_langgraph.server.records import (
    Question,
    RunQuery,
    RunRecord,
    ThreadQuery,
    ThreadRecord,
    moment_after,
)

__all__ = ["Kept", "Storage"]

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    thread_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    stateless INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,  -- microseconds since 1970, UTC
    updated_at INTEGER NOT NULL,
    creation TEXT NOT NULL,       -- JSON
    progress TEXT NOT NULL        -- JSON: output, questions, answers and more
);
CREATE INDEX runs_of_thread ON runs (thread_id, seq);
CREATE INDEX runs_unfinished ON runs (seq) WHERE status IN ('pending', 'interrupted');
CREATE INDEX runs_ended ON runs (updated_at) WHERE status NOT IN ('pending', 'interrupted');
CREATE TABLE run_labels (
    label BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (label, seq)
) WITHOUT ROWID;
CREATE INDEX labels_of_run ON run_labels (seq);
CREATE TRIGGER labels_go_with_their_run AFTER DELETE ON runs BEGIN
    DELETE FROM run_labels WHERE seq = OLD.seq;
END;
CREATE TABLE threads (
    seq INTEGER PRIMARY KEY,
    thread_id TEXT NOT NULL UNIQUE,
    agent_id TEXT,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    metadata TEXT NOT NULL,       -- JSON
    "values" TEXT NOT NULL        -- JSON
);
CREATE TABLE thread_labels (
    label BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (label, seq)
) WITHOUT ROWID;
CREATE INDEX labels_of_thread ON thread_labels (seq);
CREATE TRIGGER labels_go_with_their_thread AFTER DELETE ON threads BEGIN
    DELETE FROM thread_labels WHERE seq = OLD.seq;
END;
"""
_RUN: Final = (
    "run_id, thread_id, agent_id, stateless, status, created_at, updated_at, creation, progress"
)
_THREAD: Final = 'thread_id, agent_id, status, created_at, updated_at, metadata, "values"'

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FORGOTTEN_AT_ONCE: Final = 500
_LARGEST: Final = 2**62  # a client may send any integer as an offset


class Kept(Protocol):
    """Something that is stored together with a change."""

    def keep(self, connection: sqlite3.Connection) -> None:
        """Store it."""


class Storage:
    """Keeps runs and threads. Every method is one transaction.

    Args:
        database: Where; opened before the first use.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables; to be done while the database is opened.

        Raises:
            DatabaseError: If the file was made by a version with other tables.
        """
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version not in {0, _VERSION}:
            raise DatabaseError(
                f"the database {self._database.path} has format {version}, this version of "
                f"acp-langgraph has {_VERSION}; give it another file"
            )
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")

    async def add_run(self, run: RunRecord, *, wait: bool = True) -> None:
        """Keep a new run; return when it is on file, if that is to be waited for."""
        job = partial(_add_run, run)
        if wait:
            await self._database.run(job)
        else:
            self._database.post(job)

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run of an id."""
        return await self._database.run(partial(_get_run, run_id))

    async def replace_run(self, old: RunRecord, new: RunRecord, notice: Kept | None = None) -> bool:
        """Put a run in place of what was read before, with what is to be told of it.

        Returns:
            Whether it was still the same.
        """
        return await self._database.run(partial(_replace_run, old, new, notice))

    async def delete_run(self, run_id: str) -> bool:
        """Forget a run; `False` if there was none."""
        return await self._database.run(partial(_delete_runs, "run_id = ?", run_id))

    async def find_runs(self, query: RunQuery) -> list[RunRecord]:
        """The runs that match, newest first."""
        return await self._database.run(partial(_find_runs, query))

    async def forget_runs(self, seconds: float | None, most: int | None) -> None:
        """Forget runs that ended so many seconds ago, and the oldest beyond so many."""
        while await self._database.run(partial(_forget_runs, seconds, most)):
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
        """The threads that match, newest first."""
        return await self._database.run(partial(_find_threads, query))


def _add_run(run: RunRecord, connection: sqlite3.Connection) -> None:
    added = connection.execute(
        f"INSERT INTO runs ({_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.run_id,
            run.thread_id,
            run.agent_id,
            run.stateless,
            run.status,
            _number(run.created_at),
            _number(run.updated_at),
            to_json(run.creation),
            _progress(run),
        ),
    )
    _label("run", added.lastrowid, run.creation.get("metadata"), connection)


def _get_run(run_id: str, connection: sqlite3.Connection) -> RunRecord | None:
    found = connection.execute(f"SELECT {_RUN} FROM runs WHERE run_id = ?", (run_id,))
    row = found.fetchone()
    return _run(row) if row else None


def _replace_run(
    old: RunRecord, new: RunRecord, notice: Kept | None, connection: sqlite3.Connection
) -> bool:
    # What was asked for never changes.
    changed = connection.execute(
        "UPDATE runs SET status = ?, updated_at = ?, progress = ? "
        "WHERE run_id = ? AND updated_at = ?",
        (new.status, _number(new.updated_at), _progress(new), old.run_id, _number(old.updated_at)),
    )
    if changed.rowcount == 1 and notice is not None:
        notice.keep(connection)
    return changed.rowcount == 1


def _forget_runs(seconds: float | None, most: int | None, connection: sqlite3.Connection) -> bool:
    oldest = "SELECT seq FROM runs WHERE status NOT IN ('pending', 'interrupted')"
    forgotten = 0
    if seconds is not None:
        before = _number(moment_after() - timedelta(seconds=seconds))
        forgotten += connection.execute(
            f"DELETE FROM runs WHERE seq IN "
            f"({oldest} AND updated_at < ? ORDER BY updated_at LIMIT {_FORGOTTEN_AT_ONCE})",
            (before,),
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


def _find_runs(query: RunQuery, connection: sqlite3.Connection) -> list[RunRecord]:
    rules = {
        "stateless = ?": query.stateless,
        "thread_id = ?": query.thread_id,
        "agent_id = ?": query.agent_id,
        "status = ?": query.status,
    }
    where, values = _where("run", rules, query.metadata)
    found = connection.execute(
        f"SELECT {_RUN} FROM runs {where} ORDER BY seq DESC LIMIT ? OFFSET ?",
        (*values, query.limit, min(query.offset, _LARGEST)),
    )
    return list(map(_run, found))


def _unfinished_runs(connection: sqlite3.Connection) -> list[RunRecord]:
    found = connection.execute(
        f"SELECT {_RUN} FROM runs WHERE status IN ('pending', 'interrupted') ORDER BY seq"
    )
    return list(map(_run, found))


def _add_thread(thread: ThreadRecord, connection: sqlite3.Connection) -> bool:
    added = connection.execute(
        f"INSERT OR IGNORE INTO threads ({_THREAD}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            thread.thread_id,
            thread.agent_id,
            thread.status,
            _number(thread.created_at),
            _number(thread.updated_at),
            to_json(thread.metadata),
            to_json(thread.values),
        ),
    )
    if added.rowcount == 1:
        _label("thread", added.lastrowid, thread.metadata, connection)
    return added.rowcount == 1


def _get_thread(thread_id: str, connection: sqlite3.Connection) -> ThreadRecord | None:
    found = connection.execute(f"SELECT {_THREAD} FROM threads WHERE thread_id = ?", (thread_id,))
    row = found.fetchone()
    return _thread(row) if row else None


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
            _number(new.updated_at),
            to_json(new.metadata),
            to_json(new.values),
            thread_id,
        ),
    )
    if metadata:
        found = connection.execute("SELECT seq FROM threads WHERE thread_id = ?", (thread_id,))
        [seq] = found.fetchone()
        connection.execute("DELETE FROM thread_labels WHERE seq = ?", (seq,))
        _label("thread", seq, new.metadata, connection)
    return new


def _delete_thread(thread_id: str, connection: sqlite3.Connection) -> bool:
    _delete_runs("thread_id = ?", thread_id, connection)
    deleted = connection.execute("DELETE FROM threads WHERE thread_id = ?", (thread_id,))
    return deleted.rowcount == 1


def _find_threads(query: ThreadQuery, connection: sqlite3.Connection) -> list[ThreadRecord]:
    where, values = _where("thread", {"status = ?": query.status}, query.metadata)
    offset = min(query.offset, _LARGEST)
    statement = f"SELECT {_THREAD} FROM threads {where} ORDER BY seq DESC"
    if not query.values:
        page = (*values, query.limit, offset)
        return list(map(_thread, connection.execute(f"{statement} LIMIT ? OFFSET ?", page)))
    found = _having(query.values, map(_thread, connection.execute(statement, values)))
    return list(islice(found, offset, offset + query.limit))


def _having(wanted: Mapping[str, Any], threads: Iterable[ThreadRecord]) -> Iterator[ThreadRecord]:
    """The threads whose values hold the wanted ones."""
    canonical = {name: _canonical(value) for name, value in wanted.items()}
    for thread in threads:
        values = thread.values
        if isinstance(values, dict) and all(
            name in values and _canonical(values[name]) == text for name, text in canonical.items()
        ):
            yield thread


def _where(
    kind: str, rules: Mapping[str, Any], metadata: Mapping[str, Any] | None
) -> tuple[str, list[Any]]:
    given = {rule: value for rule, value in rules.items() if value is not None}
    wanted = list(_labels(metadata))
    terms = [*given, *[f"seq IN (SELECT seq FROM {kind}_labels WHERE label = ?)"] * len(wanted)]
    return f"WHERE {' AND '.join(terms)}" if terms else "", [*given.values(), *wanted]


def _label(
    kind: str, seq: int | None, metadata: Mapping[str, Any] | None, connection: sqlite3.Connection
) -> None:
    if metadata:
        connection.executemany(
            f"INSERT INTO {kind}_labels (label, seq) VALUES (?, ?)",
            [(label, seq) for label in _labels(metadata)],
        )


def _labels(metadata: Mapping[str, Any] | None) -> Iterator[bytes]:
    for name, value in (metadata or {}).items():
        yield blake2b(f"{_canonical(name)}:{_canonical(value)}".encode(), digest_size=16).digest()


def _canonical(value: Any) -> str:
    """The same text for the same JSON value: 1.0 is 1, the order of names does not count."""
    return json.dumps(_with_whole_numbers(value), sort_keys=True)


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_whole_numbers(each) for name, each in value.items()}
    return list(map(_with_whole_numbers, value)) if isinstance(value, list) else value


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)


def _progress(run: RunRecord) -> bytes:
    progress: dict[str, Any] = {"output": run.output}
    if run.questions:
        progress["questions"] = list(map(asdict, run.questions))
    if run.answers is not None:
        progress["answers"] = run.answers
    if run.base_checkpoint is not None:
        progress["base_checkpoint"] = run.base_checkpoint
    if run.asked_at is not None:
        progress["asked_at"] = run.asked_at
    return to_json(progress)


def _run(row: tuple[Any, ...]) -> RunRecord:
    run_id, thread_id, agent_id, stateless, status, created_at, updated_at, creation, rest = row
    progress = from_json(rest)
    return RunRecord(
        run_id=run_id,
        agent_id=agent_id,
        thread_id=thread_id,
        stateless=bool(stateless),
        creation=from_json(creation),
        created_at=_moment(created_at),
        updated_at=_moment(updated_at),
        status=RunStatus(status),
        output=progress["output"],
        questions=tuple(Question(**each) for each in progress.get("questions", ())),
        answers=progress.get("answers"),
        base_checkpoint=progress.get("base_checkpoint"),
        asked_at=progress.get("asked_at"),
    )


def _thread(row: tuple[Any, ...]) -> ThreadRecord:
    thread_id, agent_id, status, created_at, updated_at, metadata, values = row
    return ThreadRecord(
        thread_id=thread_id,
        created_at=_moment(created_at),
        updated_at=_moment(updated_at),
        metadata=from_json(metadata),
        status=ThreadStatus(status),
        agent_id=agent_id,
        values=from_json(values),
    )
