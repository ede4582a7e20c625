"""What the server keeps of runs and threads, and how they are searched for.

Records are immutable: a change makes a new record. A run's `updated_at` grows with every change, by
a microsecond at least, so that status and `updated_at` together name one state of one run and never
two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from acp_langgraph.acp.models import RunStatus, ThreadStatus

__all__ = [
    "Question",
    "RunQuery",
    "RunRecord",
    "ThreadQuery",
    "ThreadRecord",
    "moment_after",
]


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
        asked_at: The checkpoint at which it last asked.
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
