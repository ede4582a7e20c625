"""Where runs and threads are kept, behind one interface.

Records are immutable: a change makes a new record, and `replace_run` puts it in the old one's
place only if nobody was faster. That comparison is what lets exactly one of two simultaneous
answers to a question win, in whatever process they arrive.

A run's `updated_at` grows with every change, by a microsecond at least, so that status and
`updated_at` together name one state of one run and never two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol, Self, TypeVar

from acp_langgraph.acp.models import RunStatus, ThreadStatus

__all__ = [
    "MemoryStorage",
    "Question",
    "RunQuery",
    "RunRecord",
    "Storage",
    "ThreadQuery",
    "ThreadRecord",
]

T = TypeVar("T")


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
        base_checkpoint: The checkpoint of the thread that the run started from, if there was one.
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

    @property
    def finished(self) -> bool:
        """Whether nothing more can come of it."""
        return self.status not in {RunStatus.PENDING, RunStatus.INTERRUPTED}

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
    limit: int | None = 10
    offset: int = 0

    def matches(self, run: RunRecord) -> bool:
        """Whether a run is meant."""
        return (
            self.stateless in {None, run.stateless}
            and self.thread_id in {None, run.thread_id}
            and self.agent_id in {None, run.agent_id}
            and self.status in {None, run.status}
            and _contains(run.creation.get("metadata"), self.metadata)
        )


@dataclass(frozen=True, slots=True)
class ThreadQuery:
    """Which threads to list, newest first; `None` matches all."""

    status: ThreadStatus | None = None
    metadata: Mapping[str, Any] | None = None
    values: Mapping[str, Any] | None = None
    limit: int | None = 10
    offset: int = 0

    def matches(self, thread: ThreadRecord) -> bool:
        """Whether a thread is meant."""
        return (
            self.status in {None, thread.status}
            and _contains(thread.metadata, self.metadata)
            and _contains(thread.values, self.values)
        )


class Storage(Protocol):
    """Keeps runs and threads. Every method is one transaction."""

    async def add_run(self, run: RunRecord) -> None:
        """Keep a new run."""

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run of an id."""

    async def replace_run(self, old: RunRecord, new: RunRecord) -> bool:
        """Put a run in place of what was read before; `False` if it is no longer the same."""

    async def delete_run(self, run_id: str) -> bool:
        """Forget a run; `False` if there was none."""

    async def find_runs(self, query: RunQuery) -> list[RunRecord]:
        """The runs that match, newest first."""

    async def add_thread(self, thread: ThreadRecord) -> bool:
        """Keep a new thread; `False` if the id is taken."""

    async def get_thread(self, thread_id: str) -> ThreadRecord | None:
        """The thread of an id."""

    async def update_thread(
        self, thread_id: str, *, metadata: Mapping[str, Any] | None = None, **changes: Any
    ) -> ThreadRecord | None:
        """Merge metadata and set fields of a thread; `None` if there is none."""

    async def delete_thread(self, thread_id: str) -> bool:
        """Forget a thread and its runs; `False` if there was none."""

    async def find_threads(self, query: ThreadQuery) -> list[ThreadRecord]:
        """The threads that match, newest first."""


class MemoryStorage:
    """Keeps everything in this process, until it ends."""

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._threads: dict[str, ThreadRecord] = {}

    async def add_run(self, run: RunRecord) -> None:
        """Keep a new run."""
        self._runs[run.run_id] = run

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run of an id."""
        return self._runs.get(run_id)

    async def replace_run(self, old: RunRecord, new: RunRecord) -> bool:
        """Put a run in place of what was read before; `False` if it is no longer the same."""
        kept = self._runs.get(old.run_id)
        if kept is None or kept.updated_at != old.updated_at:
            return False
        self._runs[new.run_id] = new
        return True

    async def delete_run(self, run_id: str) -> bool:
        """Forget a run; `False` if there was none."""
        return self._runs.pop(run_id, None) is not None

    async def find_runs(self, query: RunQuery) -> list[RunRecord]:
        """The runs that match, newest first."""
        return _page(self._runs.values(), query.matches, query.limit, query.offset)

    async def add_thread(self, thread: ThreadRecord) -> bool:
        """Keep a new thread; `False` if the id is taken."""
        return self._threads.setdefault(thread.thread_id, thread) is thread

    async def get_thread(self, thread_id: str) -> ThreadRecord | None:
        """The thread of an id."""
        return self._threads.get(thread_id)

    async def update_thread(
        self, thread_id: str, *, metadata: Mapping[str, Any] | None = None, **changes: Any
    ) -> ThreadRecord | None:
        """Merge metadata and set fields of a thread; `None` if there is none."""
        thread = self._threads.get(thread_id)
        if thread is None:
            return None
        new = replace(
            thread,
            updated_at=moment_after(thread.updated_at),
            metadata={**thread.metadata, **(metadata or {})},
            **changes,
        )
        self._threads[thread_id] = new
        return new

    async def delete_thread(self, thread_id: str) -> bool:
        """Forget a thread and its runs; `False` if there was none."""
        for run in [run for run in self._runs.values() if run.thread_id == thread_id]:
            del self._runs[run.run_id]
        return self._threads.pop(thread_id, None) is not None

    async def find_threads(self, query: ThreadQuery) -> list[ThreadRecord]:
        """The threads that match, newest first."""
        return _page(self._threads.values(), query.matches, query.limit, query.offset)


def moment_after(earlier: datetime | None = None) -> datetime:
    """Now, or a microsecond after an earlier moment if the clock has not moved on."""
    now = datetime.now(UTC)
    return now if earlier is None or now > earlier else earlier + timedelta(microseconds=1)


def _page(
    records: Iterable[T], matches: Callable[[T], bool], limit: int | None, offset: int
) -> list[T]:
    everything = list(records)
    start = min(offset, len(everything))  # a client may send any integer
    found = filter(matches, reversed(everything))
    return list(islice(found, start, None if limit is None else start + limit))


def _contains(stored: Any, wanted: Mapping[str, Any] | None) -> bool:
    if not wanted:
        return True
    return isinstance(stored, dict) and all(
        name in stored and _same(stored[name], value) for name, value in wanted.items()
    )


def _same(one: Any, other: Any) -> bool:
    # In JSON, unlike in Python, `true` is not 1.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
