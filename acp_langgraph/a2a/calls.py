"""The operations of A2A, each as the binding that an agent offers has it.

An `Operation` is a call and what is to be made of its answer; `yield from operation.done(policy)`
performs it. Over JSON-RPC every answer is a success of HTTP, and what went wrong is inside; it is
raised as the error that HTTP+JSON has for the same thing, so that nobody else needs to know either.

What a message is sent with (`returnImmediately`, its own `messageId` and `contextId`) is the job's
business, `acp_langgraph.a2a.job`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from acp_langgraph.a2a.models import StreamResponse, Task, TaskList
from acp_langgraph.core.calls import EVENT_STREAM, Call, path
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.operations import JSONObject
from acp_langgraph.errors import ApiException, UnreadableAnswerException, error_for_status
from acp_langgraph.jobs.job import JobPolicy

T = TypeVar("T")

_VERSION: Final = {"a2a-version": "1.0"}  # without it, a server takes a request for one of 0.3

_STREAM: Final = {"accept": EVENT_STREAM, "cache-control": "no-store"}

_ERRORS: Final[Mapping[int, tuple[int, str]]] = {
    -32001: (404, "TASK_NOT_FOUND"),
    -32002: (400, "TASK_NOT_CANCELABLE"),
    -32003: (400, "PUSH_NOTIFICATION_NOT_SUPPORTED"),
    -32004: (400, "UNSUPPORTED_OPERATION"),
    -32005: (422, "CONTENT_TYPE_NOT_SUPPORTED"),
    -32006: (500, "INVALID_AGENT_RESPONSE"),
    -32007: (400, "EXTENDED_AGENT_CARD_NOT_CONFIGURED"),
    -32008: (400, "EXTENSION_SUPPORT_REQUIRED"),
    -32009: (400, "VERSION_NOT_SUPPORTED"),
    -32600: (400, "INVALID_REQUEST"),
    -32601: (405, "METHOD_NOT_FOUND"),
    -32602: (422, "INVALID_PARAMS"),
    -32603: (500, "INTERNAL_ERROR"),
    -32700: (400, "PARSE_ERROR"),
}
"""By the code of JSON-RPC: the status of HTTP that says the same, and the reason as A2A names it."""


def reason_of(error: ApiException) -> str:
    """The reason that a server gave for an error, as A2A names it; empty if it gave none."""
    try:
        said = json.loads(error.body)["error"]
        if said["code"] in _ERRORS:
            return _ERRORS[said["code"]][1]
        return next(str(each["reason"]) for each in said["details"] if "reason" in each)
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        return ""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One exchange, and how its answer is read.

    Attributes:
        call: The exchange; its answer is JSON.
        answer: What the answer is.
        is_wrapped: Whether the answer is in an envelope of JSON-RPC.
    """

    call: Call[Any]
    answer: Any
    is_wrapped: bool

    def done(self, policy: JobPolicy) -> Flow[T]:
        """Perform it, repeating it where that does no harm.

        Raises:
            ApiException: The child class that stands for the refusal, whichever way it was told.
        """
        return self.read((yield from policy.repeat(self.call)))

    def read(self, answer: Any) -> T:
        """What an answer says."""
        where = f"{self.call.operation} ({self.call.method} {self.call.path or '/'})"
        said = unwrapped(where, answer) if self.is_wrapped else answer
        if self.answer is None:
            return None  # type: ignore[return-value]  # T is None
        return made(self.answer, said, where)  # type: ignore[no-any-return]  # T is what it is made


def unwrapped(where: str, answer: Any) -> Any:
    """The result in an envelope of JSON-RPC.

    Raises:
        ApiException: If there is an error in it.
    """
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, dict):
        code = error.get("code")
        status, _ = _ERRORS.get(code if isinstance(code, int) else 0, (500, ""))
        content = json.dumps({"error": error}).encode()
        raise error_for_status(where, status, {}, content)
    if not isinstance(answer, dict) or "result" not in answer:
        raise UnreadableAnswerException(where, 200, problem="it is no answer of JSON-RPC 2.0")
    return answer["result"]


def made(kind: Any, said: Any, where: str) -> Any:
    """What was said, as it should be.

    Raises:
        UnreadableAnswerException: If it is something else.
    """
    try:
        return _adapter(kind).validate_python(said)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"{place + ': ' if place else ''}{first['msg']}"
        raise UnreadableAnswerException(where, 200, problem=problem) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class Binding(ABC):
    """How an agent's operations are called at one of its interfaces.

    Args:
        where: The interface's path below the configured base URL.
        tenant: Whose agent it is, where a server has several.

    Attributes:
        lists: Whether there is an operation that lists tasks.
    """

    lists = True
    is_wrapped = True

    def __init__(self, where: str, tenant: str = "") -> None:
        self.where = where
        self.tenant = tenant

    def send_message(
        self, message: JSONObject, *, waits: bool, webhook: str | None = None
    ) -> Operation[StreamResponse]:
        """Send a message, which begins a task or goes on with one; `waits` until that is settled."""
        configuration: dict[str, Any] = {"returnImmediately": not waits}
        if webhook is not None:
            configuration["taskPushNotificationConfig"] = {"url": webhook}
        params = {"message": message, "configuration": configuration}
        return self._asked("SendMessage", params, StreamResponse, repeatable=False)

    def send_streaming_message(self, message: JSONObject) -> Call[StreamResponse]:
        """Send a message and follow what comes of it."""
        return self._stream("SendStreamingMessage", {"message": message})

    def get_task(self, task_id: str, *, history: int = 10) -> Operation[Task]:
        """A task, with so many of the last messages."""
        return self._asked("GetTask", {"id": task_id, "historyLength": history}, Task)

    def list_tasks(
        self, *, context_id: str = "", page_token: str = "", history: int = 0
    ) -> Operation[TaskList]:
        """Tasks with so many of their last messages, or all, a hundred at a time."""
        asked = {"contextId": context_id, "pageToken": page_token, "historyLength": history}
        given = {name: value for name, value in asked.items() if value}
        return self._asked("ListTasks", {**given, "pageSize": 100}, TaskList)

    def cancel_task(self, task_id: str) -> Operation[Task]:
        """End a task."""
        return self._asked("CancelTask", {"id": task_id}, Task)

    def subscribe_to_task(self, task_id: str) -> Call[StreamResponse]:
        """Follow a task: first how it is, and then what changes."""
        return self._stream("SubscribeToTask", {"id": task_id})

    def get_extended_agent_card(self) -> Operation[dict[str, Any]]:
        """The card for those who have signed in."""
        return self._asked("GetExtendedAgentCard", {}, dict[str, Any])

    def create_push_config(self, task_id: str, config: JSONObject) -> Operation[dict[str, Any]]:
        """Have a URL called with what becomes of a task: `url`, `token`, `authentication`."""
        name, params = "CreateTaskPushNotificationConfig", {**config, "taskId": task_id}
        return self._asked(name, params, dict[str, Any], repeatable=False)

    def get_push_config(self, task_id: str, config_id: str) -> Operation[dict[str, Any]]:
        """One of the URLs that are called, and how."""
        params = {"taskId": task_id, "id": config_id}
        return self._asked("GetTaskPushNotificationConfig", params, dict[str, Any])

    def list_push_configs(self, task_id: str) -> Operation[Any]:
        """Which URLs are called."""
        return self._asked("ListTaskPushNotificationConfigs", {"taskId": task_id}, Any)

    def delete_push_config(self, task_id: str, config_id: str) -> Operation[None]:
        """Call one of them no more."""
        params = {"taskId": task_id, "id": config_id}
        return self._asked("DeleteTaskPushNotificationConfig", params, None)

    def event_of(self, said: Any, where: str) -> StreamResponse:
        """The event that the JSON in a stream is.

        Raises:
            ApiException: If it is none, but an error or something else.
        """
        event = unwrapped(where, said) if self.is_wrapped else said
        return made(StreamResponse, event, where)  # type: ignore[no-any-return]  # of that type

    @abstractmethod
    def call(self, operation: str, params: dict[str, Any]) -> Call[Any]:
        """What is exchanged for an operation of 1.0."""

    def _asked(
        self, operation: str, params: JSONObject, answer: Any, *, repeatable: bool = True
    ) -> Operation[Any]:
        call = replace(self.call(operation, dict(params)), repeatable=repeatable)
        return Operation(call, answer, self.is_wrapped)

    def _stream(self, operation: str, params: JSONObject) -> Call[Any]:
        return self.call(operation, dict(params)).with_options(headers=_STREAM)


class JsonRpc(Binding):
    """1.0 over JSON-RPC."""

    @override
    def call(self, operation: str, params: dict[str, Any]) -> Call[Any]:
        if self.tenant:
            params["tenant"] = self.tenant
        return self._envelope(operation, params).with_options(headers=_VERSION)

    def _envelope(self, method: str, params: dict[str, Any]) -> Call[Any]:
        body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
        return Call(method, "POST", self.where, Any, body=body)


class OldJsonRpc(JsonRpc):
    """0.3 over JSON-RPC: other names, no list of tasks."""

    lists = False

    @override
    def call(self, operation: str, params: dict[str, Any]) -> Call[Any]:
        if "message" in params:
            configuration = params.pop("configuration", {})
            push = configuration.get("taskPushNotificationConfig")
            params = {"message": _old_message(params["message"])}
            if operation == "SendMessage":
                waits = not configuration.get("returnImmediately", True)
                params["configuration"] = {
                    "blocking": waits,
                    **({"pushNotificationConfig": push} if push else {}),
                }
        elif operation == "CreateTaskPushNotificationConfig":
            task_id = params.pop("taskId")
            params = {"taskId": task_id, "pushNotificationConfig": params}
        elif "taskId" in params:
            config = {"pushNotificationConfigId": params["id"]} if "id" in params else {}
            params = {"id": params["taskId"], **config}
        return self._envelope(_OLD_METHODS[operation], params)


class HttpJson(Binding):
    """1.0 over HTTP+JSON."""

    is_wrapped = False

    @override
    def call(self, operation: str, params: dict[str, Any]) -> Call[Any]:
        method, template = _PATHS[operation]
        inside = {name: params.pop(name) for name in ("taskId", "id") if f"{{{name}}}" in template}
        below = path("/{tenant}", tenant=self.tenant) if self.tenant else ""
        where = f"{self.where.rstrip('/')}{below}{path(template, **inside)}"
        posted = {"body": params} if method == "POST" else {"query": _as_text(params)}
        returns = str if method == "DELETE" else Any
        return Call(operation, method, where, returns, headers=_VERSION, **posted)


_OLD_METHODS: Final = {
    "SendMessage": "message/send",
    "SendStreamingMessage": "message/stream",
    "GetTask": "tasks/get",
    "CancelTask": "tasks/cancel",
    "SubscribeToTask": "tasks/resubscribe",
    "GetExtendedAgentCard": "agent/getAuthenticatedExtendedCard",
    "CreateTaskPushNotificationConfig": "tasks/pushNotificationConfig/set",
    "GetTaskPushNotificationConfig": "tasks/pushNotificationConfig/get",
    "ListTaskPushNotificationConfigs": "tasks/pushNotificationConfig/list",
    "DeleteTaskPushNotificationConfig": "tasks/pushNotificationConfig/delete",
}
_PUSH: Final = "/tasks/{taskId}/pushNotificationConfigs"
_PATHS: Final = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("GET", "/tasks/{id}:subscribe"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
    "CreateTaskPushNotificationConfig": ("POST", _PUSH),
    "GetTaskPushNotificationConfig": ("GET", _PUSH + "/{id}"),
    "ListTaskPushNotificationConfigs": ("GET", _PUSH),
    "DeleteTaskPushNotificationConfig": ("DELETE", _PUSH + "/{id}"),
}


def _as_text(params: JSONObject) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}


def _old_message(message: JSONObject) -> dict[str, Any]:
    """A message in the words of 0.3."""
    parts = [_old_part(part) for part in message["parts"]]
    role = message["role"].removeprefix("ROLE_").lower()
    return {**message, "kind": "message", "role": role, "parts": parts}


def _old_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"kind": "text", "text": part["text"]}
    if "data" in part:
        # Only objects are data there.
        data = part["data"] if isinstance(part["data"], dict) else {"value": part["data"]}
        return {"kind": "data", "data": data}
    names = {"raw": "bytes", "url": "uri", "mediaType": "mimeType", "filename": "name"}
    return {"kind": "file", "file": {names[name]: each for name, each in part.items()}}
