"""The operations of A2A, and how each is called at an agent's interfaces.

What an operation is given and gives is said in the words of 1.0, JSON-RPC's: `GET_TASK` takes
`{"id": ..., "historyLength": ...}` and gives a `Task`, whichever binding it goes over. Over JSON-RPC every
answer is a success of HTTP, and what went wrong is inside; it is raised as the error that HTTP+JSON has for
the same thing, so that nobody else needs to know either.

What a message is sent with (its own `messageId` and `contextId`) is the job's business,
`acp_langgraph.a2a.job`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Generic, TypeVar

from typing_extensions import override

from acp_langgraph.a2a.card import AgentCard
from acp_langgraph.a2a.models import FILE_OF_0_3, StreamResponse, Task, TaskList, made
from acp_langgraph.core.calls import EVENT_STREAM, Call, path
from acp_langgraph.core.operations import JSONObject
from acp_langgraph.errors import ApiException, UnreadableAnswerException, error_for_status

T = TypeVar("T")

_STREAM: Final = {"accept": EVENT_STREAM, "cache-control": "no-store"}
_NO_ANSWER: Final = "it is no answer of JSON-RPC 2.0"

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


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """An operation, and what each binding calls it.

    Attributes:
        name: In 1.0, over JSON-RPC.
        route: In 1.0, over HTTP+JSON: method, and path template.
        old: In 0.3, over JSON-RPC; empty if it has none.
        gives: What it is answered with, of a stream what each event is.
        repeatable: Whether performing it twice is the same as performing it once.
        streams: Whether it is answered with server-sent events.
    """

    name: str
    route: str
    old: str
    gives: type[T]
    repeatable: bool = True
    streams: bool = False


_TASK: Final = "/tasks/{id}"

SEND_MESSAGE: Final = Operation(
    "SendMessage", "POST /message:send", "message/send", StreamResponse, repeatable=False
)
GET_TASK: Final = Operation("GetTask", f"GET {_TASK}", "tasks/get", Task)
LIST_TASKS: Final = Operation("ListTasks", "GET /tasks", "", TaskList)
CANCEL_TASK: Final = Operation("CancelTask", f"POST {_TASK}:cancel", "tasks/cancel", Task)
SUBSCRIBE_TO_TASK: Final = Operation(
    "SubscribeToTask", f"GET {_TASK}:subscribe", "tasks/resubscribe", StreamResponse, streams=True
)
GET_EXTENDED_AGENT_CARD: Final = Operation(
    *("GetExtendedAgentCard", "GET /extendedAgentCard", "agent/getAuthenticatedExtendedCard"),
    AgentCard,
)


def reason_of(error: ApiException) -> str:
    """The reason that a server gave for an error, as A2A names it; empty if it gave none."""
    try:
        said = json.loads(error.body)["error"]
        if said["code"] in _ERRORS:
            return _ERRORS[said["code"]][1]
        return next(str(each["reason"]) for each in said["details"] if "reason" in each)
    except (ValueError, LookupError, TypeError, StopIteration, RecursionError):
        return ""


class Binding(ABC):
    """How an agent's operations are called at one of its interfaces.

    Args:
        where: The interface's path below the configured base URL.
        tenant: Whose agent it is, where a server has several.

    Attributes:
        lists: Whether there is an operation that lists tasks.
        headers: What tells the version.
    """

    lists: ClassVar[bool] = True
    headers: ClassVar[Mapping[str, str]] = {"a2a-version": "1.0"}  # without it, it would be 0.3

    def __init__(self, where: str, tenant: str = "") -> None:
        self.where = where
        self.tenant = tenant

    def call(self, operation: Operation[T], params: JSONObject) -> Call[Any]:
        """What is exchanged for an operation; `read` makes something of the answer."""
        headers = {**self.headers, **(_STREAM if operation.streams else {})}
        call = self._call(operation, dict(params))
        return replace(call, repeatable=operation.repeatable, headers=headers)

    def read(self, operation: Operation[T], said: Any) -> T:
        """What the JSON of an answer, or of an event of a stream, says.

        Raises:
            ApiException: The child class that stands for the refusal that it is, or that says that it is
                something else.
        """
        return made(operation.gives, said, operation.name)

    @abstractmethod
    def _call(self, operation: Operation[T], params: dict[str, Any]) -> Call[Any]:
        """The exchange, but for its headers; the parameters may be changed."""


class JsonRpc(Binding):
    """1.0 over JSON-RPC."""

    @override
    def read(self, operation: Operation[T], said: Any) -> T:
        error = said.get("error") if isinstance(said, dict) else None
        if isinstance(error, dict):
            code = error.get("code")
            status, _ = _ERRORS.get(code if isinstance(code, int) else 0, (500, ""))
            raise error_for_status(
                operation.name, status, {}, json.dumps({"error": error}).encode()
            )
        if not isinstance(said, dict) or "result" not in said:
            raise UnreadableAnswerException(operation.name, 200, problem=_NO_ANSWER)
        return super().read(operation, said["result"])

    @override
    def _call(self, operation: Operation[T], params: dict[str, Any]) -> Call[Any]:
        tenant = {"tenant": self.tenant} if self.tenant else {}
        return self._posted(operation, operation.name, {**params, **tenant})

    def _posted(self, operation: Operation[T], method: str, params: JSONObject) -> Call[Any]:
        body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
        return Call(operation.name, "POST", self.where, Any, body=body)


class OldJsonRpc(JsonRpc):
    """0.3 over JSON-RPC: other names, no list of tasks."""

    lists = False
    headers: ClassVar[Mapping[str, str]] = {}

    @override
    def _call(self, operation: Operation[T], params: dict[str, Any]) -> Call[Any]:
        if "message" in params:
            configuration: dict[str, Any] = {
                "blocking": not params["configuration"]["returnImmediately"]
            }
            if push := params["configuration"].get("taskPushNotificationConfig"):
                configuration["pushNotificationConfig"] = push
            message = _old_message(params["message"])
            params = {"message": message, "configuration": configuration}
        return self._posted(operation, operation.old, params)


class HttpJson(Binding):
    """1.0 over HTTP+JSON."""

    @override
    def _call(self, operation: Operation[T], params: dict[str, Any]) -> Call[Any]:
        method, _, template = operation.route.partition(" ")
        inside = {"id": params.pop("id")} if "{id}" in template else {}
        below = path("/{tenant}", tenant=self.tenant) if self.tenant else ""
        where = f"{self.where.rstrip('/')}{below}{path(template, **inside)}"
        if method == "POST":
            return Call(operation.name, method, where, Any, body=params)
        query = {name: str(value) for name, value in params.items()}
        return Call(operation.name, method, where, Any, query=query)


def _old_message(message: JSONObject) -> dict[str, Any]:
    """A message in the words of 0.3."""
    parts = [_old_part(part) for part in message["parts"]]
    role = message["role"].removeprefix("ROLE_").lower()
    return {**message, "kind": "message", "role": role, "parts": parts}


def _old_part(part: JSONObject) -> dict[str, Any]:
    if "text" in part:
        return {"kind": "text", "text": part["text"]}
    if "data" in part:
        # Only objects are data there.
        data = part["data"] if isinstance(part["data"], dict) else {"value": part["data"]}
        return {"kind": "data", "data": data}
    return {"kind": "file", "file": {FILE_OF_0_3[name]: each for name, each in part.items()}}
