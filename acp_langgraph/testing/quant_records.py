"""What a fake Quant service keeps: executions, orchestrations, durable chats, tasks.

Time passes in the server's own seconds (`QuantClock`), which may be faster than the world's. A thing
that takes time has a list of statuses with durations; how it is follows from the clock alone, so that
nothing runs in the background.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from acp_langgraph.testing.responses import Gate

States: TypeAlias = Sequence[tuple[str, "float | Gate"]]
"""Statuses on the way, each with its duration in the server's seconds, or a gate that ends it."""

EXECUTION_STATES: Final[States] = (("pending", 1.0), ("running", 10.0))


class QuantClock:
    """The server's time, in seconds.

    Args:
        scale: World seconds that one second of the server takes: 0.01 makes a minute 0.6 s.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self._began = time.monotonic()
        self._epoch = float(int(time.time()))
        self._advanced = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """The time, as Unix seconds."""
        return self._epoch + self._advanced + (time.monotonic() - self._began) / self.scale

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        with self._lock:
            self._advanced += seconds


def new_id(kind: str) -> str:
    """An id as the API makes them: `exec_` or `orch_` and 32 hex digits."""
    return f"{kind}_{uuid.uuid4().hex}"


def rfc3339(moment: float) -> str:
    """A moment as text."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class FakeTool:
    """A tool that the organisation has.

    Attributes:
        name: Its name.
        is_async: Whether it takes its time, or answers within the chat.
        result: What it gives: JSON, or a function of its input.
        error: What it fails with, instead.
        states: What an execution goes through before it ends.
    """

    name: str
    is_async: bool = True
    result: Any = None
    error: str | None = None
    states: States = EXECUTION_STATES

    def entry(self) -> dict[str, Any]:
        """Its entry in the list of tools."""
        spec = {
            "name": self.name,
            "description": f"The tool {self.name}",
            "inputSchema": {"json": {"type": "object"}},
        }
        return {"toolSpec": spec}

    def run(self, argument: Any) -> Any:
        """Its result."""
        return self.result(argument) if callable(self.result) else self.result


@dataclass(slots=True, eq=False)
class _Timed:
    clock: QuantClock = field(repr=False)
    states: States = field(repr=False)
    created_at: float = field(init=False)
    history: list[str] = field(default_factory=list)
    _position: int = 0
    _since: float = field(init=False, default=0.0)
    ended_at: float | None = None

    def __post_init__(self) -> None:
        self.created_at = self._since = self.clock.now()
        self._note()

    def _note(self) -> None:
        if self._position < len(self.states):
            self.history.append(self.states[self._position][0])

    def on_the_way(self) -> str | None:
        """The status that the clock says it has now; `None` at the end of the list."""
        while self._position < len(self.states):
            status, until = self.states[self._position]
            if isinstance(until, Gate):
                if not until.is_open:
                    return status
                self._since = self.clock.now()
            elif self.clock.now() < self._since + until:
                return status
            else:
                self._since += until
            self._position += 1
            self._note()
        if self.ended_at is None:
            self.ended_at = self._since
        return None

    def go_through(self, states: States) -> None:
        """Begin a new list of states now."""
        self.states, self._position, self._since = states, 0, self.clock.now()
        self.ended_at = None
        self._note()


@dataclass(slots=True, eq=False)
class FakeExecution(_Timed):
    """An execution of an asynchronous tool."""

    tool: FakeTool = field(kw_only=True)
    input: Any = field(kw_only=True)
    execution_id: str = field(default_factory=lambda: new_id("exec"))

    @property
    def status(self) -> str:
        """How it is."""
        return self.on_the_way() or ("failed" if self.tool.error else "complete")

    def to_json(self) -> dict[str, Any]:
        """As a single execution is shown: Unix seconds, with the result."""
        status = self.status
        shown: dict[str, Any] = {
            "executionId": self.execution_id,
            "toolName": self.tool.name,
            "status": status,
            "createdAt": int(self.created_at),
        }
        if status == "complete":
            shown["result"] = self.tool.run(self.input)
        if status == "failed":
            shown["error"] = self.tool.error
        if self.ended_at is not None:
            shown |= {
                "completedAt": int(self.ended_at),
                "duration": self.ended_at - self.created_at,
            }
        return shown

    def in_list(self) -> dict[str, Any]:
        """As it is shown in a list: RFC 3339, without the result."""
        shown = {
            "executionId": self.execution_id,
            "toolName": self.tool.name,
            "status": self.status,
            "createdAt": rfc3339(self.created_at),
        }
        return shown if self.ended_at is None else {**shown, "completedAt": rfc3339(self.ended_at)}


@dataclass(slots=True, eq=False)
class FakeOrchestration(_Timed):
    """Several executions that are gathered into one answer."""

    executions: list[FakeExecution] = field(kw_only=True)
    answer: str = field(kw_only=True)
    dialect: str = field(kw_only=True)
    error: str | None = None
    orchestration_id: str = field(default_factory=lambda: new_id("orch"))

    @property
    def status(self) -> str:
        """How it is: it goes through its own states once all tools have ended."""
        if any(execution.status not in {"complete", "failed"} for execution in self.executions):
            word = "polling" if self.dialect == "4.9" else "waiting_tools"
            return "pending" if self.clock.now() < self.created_at + 1 else word
        if self._position == 0:
            self._since = max(execution.ended_at or 0.0 for execution in self.executions)
        return self.on_the_way() or ("failed" if self.error else "complete")

    def to_json(self) -> dict[str, Any]:
        """As it is shown, in one of two dialects."""
        status = self.status
        ended = [each for each in self.executions if each.status in {"complete", "failed"}]
        shown: dict[str, Any] = {
            "orchestrationId": self.orchestration_id,
            "status": status,
            "toolCount": len(self.executions),
            "completedTools": len(ended),
            "tools": [self._tool(execution) for execution in self.executions],
            "createdAt": rfc3339(self.created_at),
        }
        if status == "complete":
            name = "synthesizedResponse" if self.dialect == "4.9" else "result"
            shown[name] = self.answer
        if status == "failed":
            shown["error"] = self.error
        return shown

    def _tool(self, execution: FakeExecution) -> dict[str, Any]:
        shown = execution.to_json()
        names = ("executionId", "toolName", "status", "result", "error")
        return {name: shown[name] for name in names if name in shown}


@dataclass(slots=True, eq=False)
class FakeChat(_Timed):
    """A durable chat.

    Attributes:
        rounds: The tools that it wants run by the client, round by round: `{name: input}`.
        reply: What it says in the end: a text, or a function of what came back.
        error: What it fails with, instead.
        answers: What the client sent, in order; each callback once.
        refused: How often a callback id was used again.
    """

    rounds: list[Mapping[str, Any]] = field(kw_only=True)
    reply: str | Callable[[list[Any]], str] = field(kw_only=True)
    error: dict[str, Any] | None = None
    request: dict[str, Any] = field(default_factory=dict, repr=False)
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex[:15] + "=")
    answers: list[list[dict[str, Any]]] = field(default_factory=list)
    refused: int = 0
    callback_id: str | None = None

    @property
    def status(self) -> str:
        """How it is."""
        status = self.on_the_way()
        if status is not None:
            return status
        if len(self.answers) < len(self.rounds):
            if self.callback_id is None:
                self.callback_id = f"cb-{uuid.uuid4().hex}"
                self.history.append("waiting_callback")
            return "waiting_callback"
        return "failed" if self.error else "complete"

    def take(self, results: list[dict[str, Any]]) -> None:
        """Take the results that the client sent."""
        self.answers.append(results)
        self.callback_id = None
        self.go_through(self.states[-1:])

    def to_json(self) -> dict[str, Any]:
        """As it is shown."""
        status = self.status
        shown: dict[str, Any] = {"requestId": self.request_id, "status": status}
        if status == "waiting_callback":
            wanted = self.rounds[len(self.answers)]
            shown["callbackId"] = self.callback_id
            shown["pendingTools"] = [
                {"name": name, "toolUseId": f"use-{len(self.answers)}-{name}", "input": argument}
                for name, argument in wanted.items()
            ]
        if status == "complete":
            text = self.reply(self.answers) if callable(self.reply) else self.reply
            response = {"role": "assistant", "content": text}
            shown["result"] = {"response": response, "usage": {}, "toolExecutions": []}
        if status == "failed":
            shown["error"] = self.error
        return shown


_IN_A_LIST: Final = (
    "taskId",
    "orgId",
    "taskListId",
    "title",
    "description",
    "status",
    "assignedAgentId",
    "progress",
    "blockedReason",
    "blockedByTaskIds",
    "createdAt",
    "updatedAt",
)


@dataclass(slots=True, eq=False)
class FakeTask:
    """A task: nothing but what clients wrote.

    Attributes:
        fields: As the API shows it.
        history: Its statuses, in order.
        writes: What clients wrote, in order.
    """

    fields: dict[str, Any]
    history: list[str] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def task_id(self) -> str:
        """Its id."""
        return str(self.fields["taskId"])

    @property
    def status(self) -> str:
        """Its status."""
        return str(self.fields["status"])

    def write(self, changes: Mapping[str, Any], now: float) -> None:
        """Change fields, with what the server adds to a change of status."""
        self.writes.append(dict(changes))
        milliseconds = int(now * 1000)
        before = self.status
        self.fields |= {**changes, "updatedAt": milliseconds}
        if self.status == before:
            return
        self.history.append(self.status)
        if self.status == "in_progress" and not self.fields.get("startedAt"):
            self.fields["startedAt"] = milliseconds
        if self.status in {"completed", "failed", "cancelled"}:
            self.fields["completedAt"] = milliseconds
        if self.status == "blocked":
            self.fields["blockedAt"] = milliseconds
        elif before == "blocked":
            self.fields |= {"blockedReason": None, "blockedByTaskIds": None, "blockedAt": None}

    def in_list(self) -> dict[str, Any]:
        """As it is shown in a list."""
        return {name: self.fields.get(name) for name in _IN_A_LIST}
