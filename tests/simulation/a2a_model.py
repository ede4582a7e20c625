"""An A2A agent's server as a value, and an `A2ANode` in a process.

How servers differ is `acp_langgraph.testing`'s (`A2ABehavior`). Only JSON-RPC is spoken here: HTTP+JSON
differs in how it is put, and not in what happens.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, NamedTuple

from simulation.asking import AskingModel
from simulation.local_state import frozen, opaque, thawed
from simulation.process import OPEN_TASK, ModelTransport, Process, Request

from acp_langgraph.a2a.card import AgentCard
from acp_langgraph.a2a.listening import TaskCursor
from acp_langgraph.a2a.peer import Peer
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.retry import Backoff
from acp_langgraph.nodes.a2a import A2ANode
from acp_langgraph.testing.a2a_wire import A2ABehavior

__all__ = ["AGENTS", "A2AModel", "TaskServer", "a2a_maker"]

AGENTS = {
    "keeps contexts": A2ABehavior(streaming=False),
    "late": A2ABehavior(streaming=False, late=True),
    "own contexts": A2ABehavior(streaming=False, contexts="own"),
    "no list": A2ABehavior(streaming=False, lists=False),
    "0.3": A2ABehavior(streaming=False, version="0.3"),
    "messages": A2ABehavior(streaming=False, tasks=False),
}

_REASONS = {
    -32001: "TASK_NOT_FOUND",
    -32002: "TASK_NOT_CANCELABLE",
    -32004: "UNSUPPORTED_OPERATION",
    -32601: "METHOD_NOT_FOUND",
    -32602: "INVALID_PARAMS",
}


class Task(NamedTuple):
    """A task.

    Attributes:
        number: Which of the server's it is.
        key: The id of the message that began it.
        context: Its context.
        state: As 0.3 spells it.
        answers: What it was answered.
        version: How often its state changed.
        messages: The ids of what it was told.
    """

    number: int
    key: str
    context: str
    state: str = "working"
    answers: tuple[Any, ...] = ()
    version: int = 0
    messages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"task-{self.number}"

    @property
    def is_done(self) -> bool:
        return self.state == "completed"

    @property
    def is_open(self) -> bool:
        return self.state in {"working", "input-required"}

    def becomes(self, state: str, **more: Any) -> Task:
        return self._replace(state=state, version=self.version + 1, **more)


class TaskServer(NamedTuple):
    """What a server holds.

    Attributes:
        tasks: Its tasks, the oldest first.
    """

    tasks: tuple[Task, ...] = ()

    def having(self, task: Task) -> TaskServer:
        """It, after a task has changed."""
        return TaskServer((*self.tasks[: task.number - 1], task, *self.tasks[task.number :]))


class A2AModel(AskingModel):
    """An agent's server.

    Args:
        behavior: How it keeps to the protocol.
        questions: What the agent asks before it is done.
        **more: As of an `AskingModel`.
    """

    empty = TaskServer()

    def __init__(
        self,
        behavior: A2ABehavior,
        questions: tuple[str, ...] = ("color?", "food?"),
        **more: Any,
    ) -> None:
        super().__init__(questions, **more)
        self.behavior = behavior

    def works(self, server: TaskServer) -> tuple[Task, ...]:
        """Its tasks."""
        return server.tasks

    def moves(self, server: TaskServer) -> list[tuple[str, TaskServer]]:
        """What the agent may do next."""
        found = []
        for task in server.tasks:
            if task.state == "working" and not self.stuck:
                after, said = task.becomes("completed"), "is done"
                if task.number <= self.failing:
                    after, said = task.becomes("failed"), "fails"
                elif len(task.answers) < len(self.questions):
                    after, said = task.becomes("input-required"), "asks"
                found.append((f"{task.name} {said}", server.having(after)))
        return found

    # Requests

    def waits(self, server: TaskServer, request: Request) -> bool:
        """Whether a task is looked at that is at work: there is nothing to see yet."""
        if request.operation == OPEN_TASK:
            return server.tasks[int(request.path) - 1].state == "working"
        if request.operation != "GetTask":
            return False
        task = self._task(server, _params(request)["id"])
        return task is not None and task.state == "working"

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything on the server."""
        return request.operation in {"SendMessage", "CancelTask"}

    def respond(self, server: TaskServer, request: Request) -> tuple[TaskServer, int, Any]:
        """What a request makes of the server, and the answer."""
        if request.operation == OPEN_TASK:
            return server, 200, self._settled(server.tasks[int(request.path) - 1])
        method, params = request.operation, _params(request)
        if method == "SendMessage":
            return self._sent(server, params)
        if method == "ListTasks":
            return self._listed(server, params)
        task = self._task(server, params["id"])
        if task is None or (method == "CancelTask" and not task.is_open):
            return _refused(server, -32001 if task is None else -32002)
        if method == "CancelTask":
            task = task.becomes("canceled")
        return server.having(task), 200, _result(self._shown(task))

    def _sent(
        self, server: TaskServer, params: dict[str, Any]
    ) -> tuple[TaskServer, int, bytes | Request]:
        message = params["message"]
        if "taskId" not in message:
            context = message["contextId"]
            if self.behavior.contexts == "own":
                context = f"context-{len(server.tasks) + 1}"
            message_id = message["messageId"]
            task = Task(len(server.tasks) + 1, message_id, context, messages=(message_id,))
            server = server.having(task)
        else:
            known = self._task(server, message["taskId"])
            if known is None:
                return _refused(server, -32001)
            if known.context != message["contextId"]:
                return _refused(server, -32602)
            if not known.is_open:
                return _refused(server, -32004)
            told = message["parts"][0]["text"]
            task = known._replace(
                answers=(*known.answers, told), messages=(*known.messages, message["messageId"])
            )
            if task.state == "input-required":
                task = task.becomes("working")
            server = server.having(task)
        asked = params.get("configuration") or {}
        waits = not asked.get("returnImmediately") and asked.get("blocking", True)
        if waits or not self.behavior.tasks:
            return server, 200, Request("call", OPEN_TASK, str(task.number))
        return server, 200, _result(self._event("task", self._begun(task)))

    def _settled(self, task: Task) -> bytes:
        """What a message is answered with whose sender waits."""
        if self.behavior.tasks:
            return _result(self._event("task", self._shown(task)))
        if task.state == "failed":
            return json.dumps({"error": {"code": -32603, "message": "boom"}}).encode()
        said = self._said(f"{task.name}-said", _data(self.result(task)))
        return _result(self._event("message", said))

    def _listed(self, server: TaskServer, params: dict[str, Any]) -> tuple[TaskServer, int, bytes]:
        if not self.behavior.lists or self.behavior.version == "0.3":
            return _refused(server, -32601)
        wanted = params.get("contextId")
        found = [task for task in server.tasks if wanted in {None, task.context}]
        if not self.behavior.tasks:
            found = []
        found.sort(key=lambda task: (task.version, task.number), reverse=True)
        shown = [{**self._shown(task), "artifacts": []} for task in found]
        return server, 200, _result({"tasks": shown, "nextPageToken": ""})

    def _task(self, server: TaskServer, task_id: str) -> Task | None:
        found = (task for task in server.tasks if task.name == task_id)
        return next(found, None) if self.behavior.tasks else None

    def _begun(self, task: Task) -> dict[str, Any]:
        """A task as it is shown to whoever began it, or answered it, and does not wait."""
        ids = {"id": task.name, "contextId": task.context}
        return {**ids, "status": {"state": self._word("working")}, **self._kind("task")}

    def _shown(self, task: Task) -> dict[str, Any]:
        state, version = task.state, task.version
        status: dict[str, Any] = {}
        if self.behavior.late and state == "working" and task.answers:
            state, version = "input-required", version - 1
        elif state == "input-required":
            question = {"text": self.questions[len(task.answers)]}
            status["message"] = self._said(f"{task.name}-{version}", question)
        status |= {"state": self._word(state), "timestamp": f"2026-01-01T00:{version:02}:00Z"}
        artifacts = []
        if task.is_done:
            artifacts = [{"artifactId": "1", "parts": [self._part(_data(self.result(task)))]}]
        history = [{"messageId": each, "role": "ROLE_USER", "parts": []} for each in task.messages]
        return {
            "id": task.name,
            "contextId": task.context,
            "status": status,
            "artifacts": artifacts,
            "history": history if self.behavior.history else [],
            **self._kind("task"),
        }

    def _said(self, message_id: str, part: dict[str, Any]) -> dict[str, Any]:
        said = {"messageId": message_id, "role": "ROLE_AGENT", "parts": [self._part(part)]}
        return {**said, **self._kind("message")}

    def _event(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        return value if self.behavior.version == "0.3" else {kind: value}

    def _kind(self, kind: str) -> dict[str, str]:
        return {"kind": kind} if self.behavior.version == "0.3" else {}

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        kind = "text" if "text" in part else "data"
        return {"kind": kind, **part} if self.behavior.version == "0.3" else part

    def _word(self, state: str) -> str:
        if self.behavior.version == "0.3":
            return state
        return f"TASK_STATE_{state.upper().replace('-', '_')}"


def _params(request: Request) -> dict[str, Any]:
    return json.loads(request.body or b"")["params"]  # type: ignore[no-any-return]  # of JSON-RPC


def _data(value: Any) -> dict[str, Any]:
    return {"data": value}


def _result(value: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": "1", "result": value}).encode()


def _refused(server: TaskServer, code: int) -> tuple[TaskServer, int, bytes]:
    error = {"code": code, "message": _REASONS[code], "data": [{"reason": _REASONS[code]}]}
    return server, 200, json.dumps({"jsonrpc": "2.0", "id": "1", "error": error}).encode()


opaque(AgentCard)
_FOUND_OUT = ("is_sure", "lists", "keeps_context", "makes_tasks", "finds_done", "done")


class A2AProcessNode(A2ANode):
    """An `A2ANode` whose process remembers for itself what it found out about its server."""

    def memory(self) -> Any:
        """What of it outlives an invocation."""
        assert self._peer is not None
        return (
            tuple(self._ended),
            tuple(self._ending),
            self._says_that_jobs_go_on,
            tuple(getattr(self._peer, each) for each in _FOUND_OUT),
            tuple(frozen(each) for each in self._listening.cursors.values()),
        )

    def restore(self, memory: Any) -> None:
        """Be as one that remembers this."""
        ended, _, self._says_that_jobs_go_on, known, cursors = memory
        self._ended = dict.fromkeys(ended)
        for name, value in zip(_FOUND_OUT, known, strict=True):
            setattr(self._peer, name, value)
        for each in cursors:
            cursor = thawed(TaskCursor(""), each)
            self._listening.cursors[cursor.run_id] = cursor


def a2a_maker(
    behavior: A2ABehavior,
    policy: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Makes nodes for processes, all alike.

    Args:
        behavior: Of the server; its card says no more of that than real ones do.
        policy: Settings of the job policy.
        known: What every process knows of the server, by the names of a `Peer`.
        **options: Of the node.
    """
    configuration = ApiClientConfiguration("http://agent.invalid", retries=2)
    card = _card(behavior)
    template = A2AProcessNode(
        "remote", configuration, "ask", None, "answer", None, card=card, **options
    )
    template.policy = replace(
        template.policy, backoff=Backoff(jitter=0.0), clock=lambda: 0.0, **(policy or {})
    )
    peer = template._peer
    assert peer is not None

    def make(process: Process) -> Any:
        node = copy.copy(template)
        node._ended, node._ending = {}, {}
        node._listening = replace(template._listening, cursors={})
        node._peer = Peer(peer.card, peer.bindings)
        for name, value in (known or {}).items():
            setattr(node._peer, name, value)
        node.async_transport = ModelTransport(process, template.transport)  # type: ignore[assignment]
        if process.timed:
            node.policy = replace(template.policy, clock=lambda: process.now)
        return node

    return make


def _card(behavior: A2ABehavior) -> dict[str, Any]:
    url = "http://agent.invalid/rpc"
    card: dict[str, Any] = {
        "name": "agent",
        "description": "",
        "version": "1",
        "capabilities": {"streaming": behavior.streaming},
        "skills": [],
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
    }
    if behavior.version == "0.3":
        return {**card, "url": url, "preferredTransport": "JSONRPC", "protocolVersion": "0.3.0"}
    interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {**card, "supportedInterfaces": [interface]}
