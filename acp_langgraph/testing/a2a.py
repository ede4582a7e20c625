"""A fake A2A agent: its card and its tasks, which play scripts, with faults and quirks.

    from acp_langgraph.testing import Answer, Ask, FakeA2AServer, Fault

    def test_a_lost_answer_does_not_begin_a_second_task():
        with FakeA2AServer([Ask("Which size?"), Answer("A large pie")]) as server:
            server.faults.add(Fault.lose_answer(), on="start")
            ...                                  # run the graph against server.url
            assert server.created == server.completed == 1
            assert server.task.answers == ["large"]

What `acp_langgraph.testing.runs` says of scripts holds: `Answer` is what the task comes to, `Emit` a
piece of its artifact, or with `{"say": ...}` what the agent says meanwhile, `Ask(..., name="auth")` that
it wants its user to sign in, `Fail(..., errcode=A2A_REJECTED)` that it does not take the task. A text is said
as a text part, anything else as data, and what looks like a part, or a list of such, as it is.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from acp_langgraph.testing.a2a_wire import A2ABehavior, A2AWire, FakeA2ATask, new_part, value_of
from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response
from acp_langgraph.testing.runs import Answer, Clock, FakeAgent, FakeRun, Script

A2A_OPERATIONS: Final = {
    "get_agent_card": "GET /.well-known/agent-card.json",
    "SendMessage": "POST /rest/message:send",
    "SendStreamingMessage": "POST /rest/message:stream",
    "SubscribeToTask": "GET /rest/tasks/{id}:subscribe",  # and no task of that id
    "GetTask": "GET /rest/tasks/{id}",
    "ListTasks": "GET /rest/tasks",
    "CancelTask": "POST /rest/tasks/{id}:cancel",
    "GetExtendedAgentCard": "GET /rest/extendedAgentCard",
    "CreateTaskPushNotificationConfig": "POST /rest/tasks/{taskId}/pushNotificationConfigs",
    "GetTaskPushNotificationConfig": "GET /rest/tasks/{taskId}/pushNotificationConfigs/{id}",
    "ListTaskPushNotificationConfigs": "GET /rest/tasks/{taskId}/pushNotificationConfigs",
    "DeleteTaskPushNotificationConfig": "DELETE /rest/tasks/{taskId}/pushNotificationConfigs/{id}",
}
_OLD_METHODS: Final = {
    "message/send": "SendMessage",
    "message/stream": "SendStreamingMessage",
    "tasks/get": "GetTask",
    "tasks/cancel": "CancelTask",
    "tasks/resubscribe": "SubscribeToTask",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
    "tasks/pushNotificationConfig/set": "CreateTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/get": "GetTaskPushNotificationConfig",
    "tasks/pushNotificationConfig/list": "ListTaskPushNotificationConfigs",
    "tasks/pushNotificationConfig/delete": "DeleteTaskPushNotificationConfig",
}
_ERRORS: Final = {
    -32001: (404, "TASK_NOT_FOUND", "Task not found"),
    -32002: (400, "TASK_NOT_CANCELABLE", "Task cannot be canceled"),
    -32004: (400, "UNSUPPORTED_OPERATION", "This operation is not supported"),
    -32009: (400, "VERSION_NOT_SUPPORTED", "This version is not supported"),
    -32601: (404, "METHOD_NOT_FOUND", "Method not found"),
    -32602: (400, "INVALID_PARAMS", "Invalid parameters"),
}
_KEEP_ALIVE: Final = 10.0  # seconds
_PAGE: Final = 50


class _RefusedError(Exception):
    """An operation ends with an error."""

    def __init__(self, code: int, words: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.words = words or _ERRORS[code][2]


class FakeA2AServer(FakeHTTPServer):
    """An A2A agent that plays a script.

    Attributes:
        tasks: Every task that was ever begun, oldest first, forgotten ones included.
        behavior: How it keeps to the protocol; may be changed while it runs.
        card: More fields of its card; may be changed.
        misplaced: Messages for tasks that asked nothing.

    Args:
        script: What its tasks do; without one, they answer with their input.
        behavior: How the server keeps to the protocol.
        card: More fields of its card.
        port: A port to listen on; a free one if 0.
        **options: Fields of `A2ABehavior`, e.g. `version="0.3"`, `lists=False`.
    """

    operations: ClassVar[Mapping[str, str]] = A2A_OPERATIONS
    names_operations_in_bodies = True

    def __init__(
        self,
        script: Script | None = None,
        *,
        behavior: A2ABehavior | None = None,
        card: Mapping[str, Any] | None = None,
        port: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(port=port)
        self._agent = FakeAgent("baker", script or [Answer(lambda run: run.input)])
        self.behavior = replace(behavior or A2ABehavior(), **options)
        self.card = dict(card or {})
        self.tasks: list[FakeA2ATask] = []
        self.misplaced: list[dict[str, Any]] = []
        self._clock = Clock()
        self._push: dict[str, dict[str, Any]] = {}

    # What a test asks

    @property
    def task(self) -> FakeA2ATask:
        """The only task there ever was.

        Raises:
            AssertionError: If there were none or several.
        """
        if len(self.tasks) != 1:
            raise AssertionError(f"expected one task, there were {len(self.tasks)}: {self.tasks}")
        self._advance()
        return self.tasks[0]

    @property
    def created(self) -> int:
        """How many tasks were ever begun."""
        return len(self.tasks)

    @property
    def completed(self) -> int:
        """How many tasks came to a result."""
        return self.count("completed")

    def count(self, state: str) -> int:
        """How many tasks are in a state."""
        self._advance()
        return sum(task.state == state for task in self.tasks)

    def forget(self, *tasks: FakeA2ATask) -> None:
        """Lose some tasks, or all; a client is told that there are none. They stay in `tasks`."""
        with self.changed:
            for task in tasks or self.tasks:
                task.run.lose()
            self.changed.notify_all()

    def next_change_due(self) -> float | None:
        """When the next task goes on by itself."""
        return min((each.run.due for each in self.tasks if each.run.due is not None), default=None)

    # What it does

    def _operation_of(self, request: RecordedRequest) -> str | None:
        """The method of JSON-RPC, as 1.0 calls it."""
        if request.path != "/rpc":
            return None
        try:
            method = request.json["method"]
        except (ValueError, LookupError, TypeError):
            return None
        named = _OLD_METHODS.get(method, method)
        return named if named in A2A_OPERATIONS else None

    def respond(self, request: RecordedRequest) -> Response:
        """Perform the operation that a request asks for."""
        if request.operation == "get_agent_card":
            return Response.json(self._card())
        if self.behavior.api_key not in {None, request.headers.get("x-api-key")}:
            return Response.json({"error": "who are you?"}, 401)
        is_rpc = request.path == "/rpc"
        if not is_rpc and not request.path.startswith("/rest/"):
            return Response.text("Not Found", 404)
        try:
            self._check_version(request, is_rpc=is_rpc)
            params = self._params(request, is_rpc=is_rpc)
            found = self._perform(request, str(request.operation), params)
        except _RefusedError as refusal:
            return self._error(refusal, is_rpc=is_rpc)
        if isinstance(found, Iterator):
            return Response.stream(self._events(found, is_rpc=is_rpc))
        return Response.json({"jsonrpc": "2.0", "id": "1", "result": found} if is_rpc else found)

    def _card(self) -> dict[str, Any]:
        behavior = self.behavior
        is_rpc = behavior.binding == "JSONRPC"
        url = behavior.url or f"{self.url}/{'rpc' if is_rpc else 'rest'}"
        version = behavior.declares or behavior.version
        capabilities = {"streaming": behavior.streaming, "pushNotifications": True}
        card: dict[str, Any] = {
            "name": "baker",
            "description": "Bakes pies.",
            "version": "1.2.3",
            "capabilities": capabilities,
            "skills": [{"id": "bake", "name": "Baking", "description": "Pies.", "tags": ["pie"]}],
            "defaultInputModes": ["text/plain"],
            "defaultOutputModes": ["text/plain"],
        }
        if behavior.version == "0.3" and behavior.declares is None:
            card |= {"url": url, "preferredTransport": "JSONRPC", "protocolVersion": "0.3.0"}
        else:
            interface = {"url": url, "protocolBinding": behavior.binding}
            card["supportedInterfaces"] = [{**interface, "protocolVersion": version}]
        return {**card, **self.card}

    def _check_version(self, request: RecordedRequest, *, is_rpc: bool) -> None:
        if request.route is None:
            raise _RefusedError(-32601)
        is_new = request.headers.get("a2a-version", "0.3") == "1.0"
        if is_new != (self.behavior.version == "1.0"):
            raise _RefusedError(-32009)
        if is_rpc and (request.json["method"] in _OLD_METHODS) == is_new:
            raise _RefusedError(-32601)
        if request.operation == "ListTasks" and not (self.behavior.lists and is_new):
            raise _RefusedError(-32601)

    @staticmethod
    def _params(request: RecordedRequest, *, is_rpc: bool) -> dict[str, Any]:
        if is_rpc:
            params: dict[str, Any] = request.json.get("params") or {}
            return params
        found = {**request.query, **(request.json if request.body else {})}
        return {**found, **(request.route.parameters if request.route else {})}

    def _perform(self, request: RecordedRequest, operation: str, params: dict[str, Any]) -> Any:
        with self.changed:
            if operation == "SendMessage":
                task = self._sent(params["message"])
            elif operation in {"SendStreamingMessage", "SubscribeToTask"}:
                return self._followed(request, operation, params)
            elif operation in {"GetTask", "CancelTask"}:
                found = self._task(params["id"])
                return self._wire.task(found) if operation == "GetTask" else self._canceled(found)
            elif operation == "ListTasks":
                return self._listed(params)
            else:
                return self._pushed(operation, params)
        return self._answered(request, task, params)

    def _answered(
        self, request: RecordedRequest, task: FakeA2ATask, params: Mapping[str, Any]
    ) -> Any:
        asked = params.get("configuration") or {}
        waits = not asked.get("returnImmediately") and asked.get("blocking", True)
        if self.behavior.tasks and self.behavior.immediate and not waits:
            return self._wire.event("task", self._wire.task(task, is_new=True))
        self.hold(request, lambda: self._settled(task))
        if self.behavior.tasks:
            return self._wire.event("task", self._wire.task(task, answering=True))
        task.run.forgotten = True
        said = (task.run.output or {}).get("values")
        message = self._wire.said(task, said, f"{task.task_id}-said")
        return self._wire.event("message", message)

    @property
    def _wire(self) -> A2AWire:
        return A2AWire(self.behavior)

    def _sent(self, message: dict[str, Any]) -> FakeA2ATask:
        message = {**message, "parts": [new_part(part) for part in message["parts"]]}
        message["role"] = "ROLE_USER"
        value = value_of(message["parts"])
        if not message.get("taskId"):
            return self._begun(message, value)
        task = self._task(message["taskId"])
        if message.get("contextId") != task.context_id:
            raise _RefusedError(-32602, "Context does not match the context of the task")
        if not task.run.interrupted:
            self.misplaced.append(message)
            if task.is_settled:
                raise _RefusedError(-32004, "Task is in a terminal state")
            return task
        asked = (task.run.output or {})["interrupt"]
        asked_at = task.run.updated_at.isoformat()
        question = self._wire.said(task, asked, f"{task.task_id}-{task.run.resumed + 1}")
        question = {**question, "role": "ROLE_AGENT"}
        question["parts"] = [new_part(part) for part in question["parts"]]
        task.messages += [question, {**message, "late": asked_at}]
        task.run.resume(value)
        return task

    def _begun(self, message: dict[str, Any], value: Any) -> FakeA2ATask:
        context = message.get("contextId") or str(uuid.uuid4())
        if message.get("contextId") and self.behavior.contexts != "kept":
            if self.behavior.contexts == "refused":
                raise _RefusedError(-32602, "Contexts are made here")
            context = str(uuid.uuid4())
        creation = {"input": value, "metadata": message.get("metadata") or {}}
        run = FakeRun(str(uuid.uuid4()), self._agent, creation, context, self._clock, self.notify)
        ids = {"contextId": context, "taskId": run.run_id}
        task = FakeA2ATask(run, context, [{**message, **ids}])
        self.tasks.append(task)
        run.advance()
        self.changed.notify_all()
        return task

    def _task(self, task_id: str) -> FakeA2ATask:
        for task in self.tasks:
            if task.task_id == task_id and not task.run.gone:
                task.run.advance()
                return task
        raise _RefusedError(-32001)

    def _listed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._advance()
        found = [
            task
            for task in self.tasks
            if not task.run.gone and params.get("contextId") in {None, task.context_id}
        ]
        if not self.behavior.tasks:
            found = []
        found.sort(key=lambda task: task.run.updated_at, reverse=True)
        start, size = int(params.get("pageToken") or 0), int(params.get("pageSize", _PAGE))
        page = found[start : start + size]
        token = str(start + size) if len(found) > start + size else ""
        shown = [self._wire.task(task, listed=True) for task in page]
        return {"tasks": shown, "nextPageToken": token, "totalSize": len(found)}

    def _canceled(self, task: FakeA2ATask) -> Any:
        if not task.run.running and not task.run.interrupted:
            raise _RefusedError(-32002)
        task.run.cancels += 1
        task.run.cancel("canceled")
        return self._wire.task(task)

    def _pushed(self, operation: str, params: dict[str, Any]) -> Any:
        if operation == "GetExtendedAgentCard":
            return {**self._card(), "description": "Bakes pies, and more for friends."}
        old = params.pop("pushNotificationConfig", {})
        task_id = params.get("taskId") or params["id"]
        self._task(task_id)
        if operation.startswith("Create"):
            config = {"id": task_id, "taskId": task_id, **old, **params}
            self._push[config["id"]] = config
            return config
        if operation.startswith("List"):
            found = [each for each in self._push.values() if each["taskId"] == task_id]
            return found if self._wire.is_old else {"configs": found}
        wanted = params.get("pushNotificationConfigId") or params["id"]
        if operation.startswith("Get"):
            return self._push[wanted]
        self._push.pop(wanted, None)
        return None

    def _followed(
        self, request: RecordedRequest, operation: str, params: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        if not self.behavior.streaming:
            raise _RefusedError(-32004, "Streaming is not supported")
        if operation == "SendStreamingMessage":
            task = self._sent(params["message"])
            return self._stream(request, task, task.run.leg, is_new=True)
        task = self._task(params["id"])
        if task.is_settled and not task.run.interrupted:
            raise _RefusedError(-32004, "Task is in a terminal state")
        return self._stream(request, task, len(task.run.updates), is_new=False)

    def _stream(
        self, request: RecordedRequest, task: FakeA2ATask, position: int, *, is_new: bool
    ) -> Iterator[dict[str, Any]]:
        """How a task is, and then its updates from a position on, until it settles."""
        yield self._wire.event("task", self._wire.task(task, is_new=is_new))

        def moved() -> bool:
            self._advance()
            return len(task.run.updates) > position or task.run.gone

        while not task.run.gone:
            if not self.hold(request, moved, _KEEP_ALIVE):
                yield {}
                continue
            is_over = task.is_settled
            now = len(task.run.updates)
            yield from self._wire.updates(task, position, is_over=is_over)
            position = now
            if is_over:
                return

    def _events(self, found: Iterator[dict[str, Any]], *, is_rpc: bool) -> Iterator[bytes]:
        for event in found:
            told = {"jsonrpc": "2.0", "id": "1", "result": event} if is_rpc else event
            yield f"data: {json.dumps(told)}\r\n\r\n".encode() if event else b": ping\r\n\r\n"

    def _error(self, refusal: _RefusedError, *, is_rpc: bool) -> Response:
        status, reason, _ = _ERRORS[refusal.code]
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
        if is_rpc:
            error = {"code": refusal.code, "message": refusal.words, "data": details}
            return Response.json({"jsonrpc": "2.0", "id": "1", "error": error})
        error = {"code": status, "message": refusal.words, "details": details}
        return Response.json({"error": error}, status)

    def _advance(self) -> None:
        with self.changed:
            for task in self.tasks:
                task.run.advance()

    def _settled(self, task: FakeA2ATask) -> bool:
        self._advance()
        return task.is_settled
