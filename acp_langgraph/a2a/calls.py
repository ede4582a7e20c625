"""The operations of A2A, and how each is called at an agent's interfaces.

What an operation is given and gives is said in the words of 1.0, JSON-RPC's: `GET_TASK` takes
`{"id": ..., "historyLength": ...}` and gives a `Task`, whichever binding it goes over. Over JSON-RPC every
answer is a success of HTTP, and what went wrong is inside; over HTTP+JSON several things that went wrong have
one status. Either is raised as the error that stands for the reason, so that nobody else needs to know.

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

from acp_langgraph.a2a import models
from acp_langgraph.a2a.card import AgentCard
from acp_langgraph.a2a.models import StreamResponse, Task, TaskList, made
from acp_langgraph.core import operations
from acp_langgraph.core.calls import ABSENT, Call, path
from acp_langgraph.core.operations import JSONObject
from acp_langgraph.errors import ApiException, UnreadableAnswerException, error_for_status

T = TypeVar("T")

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
"""By the code of JSON-RPC: the status of HTTP that stands for it here, and the reason as A2A names it."""
_STATUSES: Final = {reason: status for status, reason in _ERRORS.values()}


@dataclass(frozen=True, slots=True)
class Operation(operations.Operation, Generic[T]):
    """An operation: its `name` is that of JSON-RPC, its `route` that of HTTP+JSON.

    Attributes:
        gives: What it is answered with, of a stream what each event is.
        repeatable: Whether performing it twice is the same as performing it once.
        old: What 0.3 calls it; empty if it has none.
    """

    gives: type[T]
    repeatable: bool | None = True
    old: str = ""


_TASK: Final = "/tasks/{id}"
_PUSH: Final = "/tasks/{taskId}/pushNotificationConfigs"
_ONE_PUSH: Final = f"{_PUSH}/{{id}}"
_OLD_PUSH: Final = "tasks/pushNotificationConfig"

SEND_MESSAGE: Final = Operation(
    "SendMessage", "POST /message:send", StreamResponse, repeatable=False, old="message/send"
)
SEND_STREAMING_MESSAGE: Final = Operation(
    *("SendStreamingMessage", "POST /message:stream", StreamResponse),
    repeatable=False,
    streams=True,
    old="message/stream",
)
GET_TASK: Final = Operation("GetTask", f"GET {_TASK}", Task, old="tasks/get")
LIST_TASKS: Final = Operation("ListTasks", "GET /tasks", TaskList)
CANCEL_TASK: Final = Operation("CancelTask", f"POST {_TASK}:cancel", Task, old="tasks/cancel")
SUBSCRIBE_TO_TASK: Final = Operation(
    *("SubscribeToTask", f"GET {_TASK}:subscribe", StreamResponse),
    streams=True,
    old="tasks/resubscribe",
)
GET_EXTENDED_AGENT_CARD: Final = Operation(
    *("GetExtendedAgentCard", "GET /extendedAgentCard", AgentCard),
    old="agent/getAuthenticatedExtendedCard",
)
CREATE_PUSH_CONFIG: Final = Operation(
    *("CreateTaskPushNotificationConfig", f"POST {_PUSH}", models.PushConfig),
    repeatable=False,
    old=f"{_OLD_PUSH}/set",
)
GET_PUSH_CONFIG: Final = Operation(
    *("GetTaskPushNotificationConfig", f"GET {_ONE_PUSH}", models.PushConfig),
    old=f"{_OLD_PUSH}/get",
)
LIST_PUSH_CONFIGS: Final = Operation(
    *("ListTaskPushNotificationConfigs", f"GET {_PUSH}", models.PushConfigList),
    old=f"{_OLD_PUSH}/list",
)
DELETE_PUSH_CONFIG: Final = Operation(
    *("DeleteTaskPushNotificationConfig", f"DELETE {_ONE_PUSH}", object),
    old=f"{_OLD_PUSH}/delete",
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


def by_reason(error: ApiException) -> ApiException:
    """A refusal as the error that stands for its reason, whichever binding it was told over."""
    status = _STATUSES.get(reason_of(error), error.status)
    if status == error.status:
        return error
    return error_for_status(error.where, status, error.headers, error.body.encode())


@dataclass(frozen=True, slots=True)
class Binding(ABC):
    """How an agent's operations are called at one of its interfaces.

    Attributes:
        where: The interface's path below the configured base URL.
        tenant: Whose agent it is, where a server has several.
        lists: Whether there is an operation that lists tasks.
        headers: What tells the version.
    """

    where: str
    tenant: str = ""
    lists: ClassVar[bool] = True
    headers: ClassVar[Mapping[str, str]] = {"a2a-version": "1.0"}  # without it, it would be 0.3

    @abstractmethod
    def call(self, operation: Operation[T], params: JSONObject) -> Call[Any]:
        """What is exchanged for an operation; `read` makes something of the answer."""

    def read(self, operation: Operation[T], said: Any) -> T:
        """What the JSON of an answer, or of an event of a stream, says.

        Raises:
            ApiException: The child class that stands for the refusal that it is, or that says that it is
                something else.
        """
        return made(operation.gives, said, operation.name)


class JsonRpc(Binding):
    """1.0 over JSON-RPC."""

    @override
    def read(self, operation: Operation[T], said: Any) -> T:
        error = said.get("error") if isinstance(said, dict) else None
        if isinstance(error, dict):
            told = json.dumps({"error": error}).encode()
            raise by_reason(error_for_status(operation.name, 500, {}, told))
        if not isinstance(said, dict) or "result" not in said:
            problem = "it is no answer of JSON-RPC 2.0"
            raise UnreadableAnswerException(operation.name, 200, problem=problem)
        return super().read(operation, said["result"])

    @override
    def call(self, operation: Operation[T], params: JSONObject) -> Call[Any]:
        tenant = {"tenant": self.tenant} if self.tenant else {}
        return self._posted(operation, operation.name, {**params, **tenant})

    def _posted(self, operation: Operation[T], method: str, params: JSONObject) -> Call[Any]:
        body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
        here = replace(operation, route=f"POST {self.where}")
        return here.call((), body, {}, {}, Any).with_options(headers=self.headers)


class OldJsonRpc(JsonRpc):
    """0.3 over JSON-RPC: other names, no list of tasks."""

    lists = False
    headers: ClassVar[Mapping[str, str]] = {}

    @override
    def call(self, operation: Operation[T], params: JSONObject) -> Call[Any]:
        if "message" in params:
            asked = params.get("configuration", {})
            configuration = {"blocking": not asked.get("returnImmediately")}
            if push := asked.get("taskPushNotificationConfig"):
                configuration["pushNotificationConfig"] = push
            message = _old_message(params["message"])
            params = {"message": message, "configuration": configuration}
        elif "url" in params:
            config = {name: params[name] for name in params if name != "taskId"}
            params = {"taskId": params["taskId"], "pushNotificationConfig": config}
        elif "taskId" in params:
            names = {"taskId": "id", "id": "pushNotificationConfigId"}
            params = {names[name]: each for name, each in params.items()}
        return self._posted(operation, operation.old, params)


class HttpJson(Binding):
    """1.0 over HTTP+JSON."""

    @override
    def call(self, operation: Operation[T], params: JSONObject) -> Call[Any]:
        ids = [params[name] for name in operation.parameters]
        given = {name: params[name] for name in params if name not in operation.parameters}
        is_posted = operation.method == "POST"
        query = {} if is_posted else {name: str(each) for name, each in given.items()}
        returns = str if operation.method == "DELETE" else Any
        call = operation.call(ids, given if is_posted else ABSENT, query, {}, returns)
        below = path("/{tenant}", tenant=self.tenant) if self.tenant else ""
        where = f"{self.where.rstrip('/')}{below}{call.path}"
        return replace(call, path=where).with_options(headers=self.headers)


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
    return {"kind": "file", "file": {models.FILE_OF_0_3[name]: each for name, each in part.items()}}
