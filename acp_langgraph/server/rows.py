"""How runs and threads look in the database: tables, rows, and the labels that metadata is found by.

Metadata is found through an index of labels: a digest of each name with its value, so that a search
costs the same among a hundred runs and among a hundred thousand. Values count as equal if they are
the same JSON.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from pydantic_core import from_json, to_json

from acp_langgraph.acp.models import RunStatus, ThreadStatus
from acp_langgraph.server.records import Question, RunRecord, ThreadRecord

__all__ = [
    "RUN",
    "SCHEMA",
    "THREAD",
    "VERSION",
    "add_labels",
    "canonical",
    "labels",
    "microseconds",
    "progress_of",
    "run_of",
    "thread_of",
]

VERSION: Final = 1
SCHEMA: Final = """
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
RUN: Final = (
    "run_id, thread_id, agent_id, stateless, status, created_at, updated_at, creation, progress"
)
THREAD: Final = 'thread_id, agent_id, status, created_at, updated_at, metadata, "values"'

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def add_labels(
    kind: str, seq: int | None, metadata: Mapping[str, Any] | None, connection: sqlite3.Connection
) -> None:
    """Store the labels of a new row of `runs` or `threads`."""
    if metadata:
        connection.executemany(
            f"INSERT INTO {kind}_labels (label, seq) VALUES (?, ?)",
            [(label, seq) for label in labels(metadata)],
        )


def labels(metadata: Mapping[str, Any] | None) -> Iterator[bytes]:
    """What metadata is found by."""
    for name, value in (metadata or {}).items():
        yield blake2b(f"{canonical(name)}:{canonical(value)}".encode(), digest_size=16).digest()


def canonical(value: Any) -> str:
    """The same text for the same JSON value: 1.0 is 1, the order of names does not count."""
    return json.dumps(_with_whole_numbers(value), sort_keys=True)


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_whole_numbers(each) for name, each in value.items()}
    return list(map(_with_whole_numbers, value)) if isinstance(value, list) else value


def microseconds(moment: datetime) -> int:
    """A moment as it is stored."""
    return (moment - _EPOCH) // _MICROSECOND


def _moment(number: int) -> datetime:
    return _EPOCH + timedelta(microseconds=number)


def progress_of(run: RunRecord) -> bytes:
    """What changes of a run, as JSON."""
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


def run_of(row: tuple[Any, ...]) -> RunRecord:
    """The run in a row with the columns of `RUN`."""
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


def thread_of(row: tuple[Any, ...]) -> ThreadRecord:
    """The thread in a row with the columns of `THREAD`."""
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
