"""What the server keeps of runs and threads, how that is searched, and its rows in the database.

Records are immutable: a change makes a new record. A run's `updated_at` grows with every change, by
a microsecond at least, so that status and `updated_at` together name one state of one run and never
two.

Metadata is found through an index of labels: a digest of each name with its value, so that a search
costs the same among a hundred runs and among a hundred thousand. Values count as equal if they are
the same JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Self, TypeVar

from pydantic_core import from_json, to_json

from acp_langgraph.acp.models import RunStatus, ThreadStatus

R = TypeVar("R")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """A pending interrupt of a graph.

    Attributes:
        id: LangGraph's id of the interrupt; empty for a breakpoint.
        value: What the graph asks, as JSON.
        schema: JSON Schema of the answer, where the graph gave one.
    """

    id: str
    value: Any
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as stored.

    Attributes:
        run_id: The run's id.
        agent_id: Its agent.
        thread_id: The thread whose state it works on; a stateless run has one of its own.
        stateless: Whether the client gave no thread.
        creation: What the client asked for, as JSON.
        created_at: When it was accepted.
        updated_at: When it last changed; never twice the same.
        status: Where it stands.
        output: What it came to, as the protocol's `RunOutput`; `None` while pending.
        questions: The pending interrupts, while interrupted.
        answers: Answers by interrupt id that the pending part of the run starts from; `None` where
            it starts from the input.
        base_checkpoint: The checkpoint of the thread that the run started from, empty if there was
            none; `None` as long as the run has not begun, and so has changed nothing.
        asked_at: The checkpoint at which it last asked.
        attempts: How many servers were at work on the pending part of the run and did not stop in
            order.
        stood_at: How far it had come when the last one of them began.
    """

    run_id: str
    agent_id: str
    thread_id: str
    stateless: bool
    creation: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    status: RunStatus = RunStatus.PENDING
    output: dict[str, Any] | None = None
    questions: tuple[Question, ...] = ()
    answers: dict[str, Any] | None = None
    base_checkpoint: str | None = None
    asked_at: str | None = None
    attempts: int = 0
    stood_at: str | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more can come of it."""
        return self.status not in {RunStatus.PENDING, RunStatus.INTERRUPTED}

    @property
    def has_thread(self) -> bool:
        """Whether the run's thread is one that clients see, now or afterwards."""
        return not self.stateless or self.creation.get("on_completion") == "keep"

    def changed(self, **changes: Any) -> Self:
        """The record after a change, with an `updated_at` of its own."""
        return replace(self, updated_at=moment_after(self.updated_at), **changes)


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """A thread, as stored.

    Attributes:
        thread_id: The thread's id.
        created_at: When it was made.
        updated_at: When it last changed.
        metadata: The client's.
        status: What its last run left it in.
        agent_id: The agent that last ran on it; its graph can read the state.
        values: The state that the last run left, as JSON.
    """

    thread_id: str
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any] = field(default_factory=dict)
    status: ThreadStatus = ThreadStatus.IDLE
    agent_id: str | None = None
    values: Any = None


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs to list, newest first; `None` matches all."""

    stateless: bool | None = None
    thread_id: str | None = None
    agent_id: str | None = None
    status: RunStatus | None = None
    metadata: Mapping[str, Any] | None = None
    limit: int = 10
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ThreadQuery:
    """Which threads to list, newest first; `None` matches all."""

    status: ThreadStatus | None = None
    metadata: Mapping[str, Any] | None = None
    values: Mapping[str, Any] | None = None
    limit: int = 10
    offset: int = 0


def moment_after(earlier: datetime | None = None) -> datetime:
    """Now, or a microsecond after an earlier moment if the clock has not moved on."""
    now = datetime.now(UTC)
    return now if earlier is None or now > earlier else earlier + timedelta(microseconds=1)


def new_id() -> str:
    """A UUID for a run or a thread; of version 7 (RFC 9562), which begins with the time.

    So what was made at one time is at one place of an index, and a million others do not matter.
    """
    milliseconds, random = f"{time.time_ns() // 1_000_000:012x}", os.urandom(10).hex()
    variant = "89ab"[int(random[3], 16) & 3]
    time_ = f"{milliseconds[:8]}-{milliseconds[8:]}"
    return f"{time_}-7{random[:3]}-{variant}{random[4:7]}-{random[7:19]}"


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
    if run.attempts:
        progress["attempts"] = run.attempts
    if run.stood_at is not None:
        progress["stood_at"] = run.stood_at
    return to_json(progress)


def run_of(row: tuple[Any, ...]) -> RunRecord:
    """The run in a row with the columns of `RUN`."""
    run_id, thread_id, agent_id, stateless, status, created_at, updated_at, creation, rest = row
    progress, asked = from_json(rest), from_json(creation)
    if not isinstance(asked, dict) or not isinstance(agent_id, str):
        raise TypeError("it is no run")
    return RunRecord(
        run_id=run_id,
        agent_id=agent_id,
        thread_id=thread_id,
        stateless=bool(stateless),
        creation=asked,
        created_at=_moment(created_at),
        updated_at=_moment(updated_at),
        status=RunStatus(status),
        output=progress["output"],
        questions=tuple(Question(**each) for each in progress.get("questions", ())),
        answers=progress.get("answers"),
        base_checkpoint=progress.get("base_checkpoint"),
        asked_at=progress.get("asked_at"),
        attempts=progress.get("attempts", 0),
        stood_at=progress.get("stood_at"),
    )


def readable(read: Callable[[tuple[Any, ...]], R], rows: Iterable[tuple[Any, ...]]) -> list[R]:
    """What is in those rows that can be read; another one is told of in the log, and left alone."""
    found = list[R]()
    for row in rows:
        try:
            found.append(read(row))
        except Exception:  # noqa: BLE001 - who knows what is in there
            _log.error("%s in the database cannot be read; it is left out", row[0], exc_info=True)
    return found


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
