"""The operations of Quant's AI API that this package uses: one function each.

A function performs nothing. It checks its arguments and returns a `Call`. Paths are relative to the
organisation's AI root, e.g. `https://dashboard.quantcdn.io/api/v3/organizations/acme/ai`, which
`acp_langgraph.quant.client` makes the host of the configuration.

* Ids are path parameters and percent-encoded: a request id may hold `=` and `/`.
* A body is a model or a dict of the same shape, under its names here or on the wire.
* `timeout` in seconds and `headers` of the one call are keyword arguments of every operation.

Raises, all of them:
    ApiTypeError: If an argument has the wrong type. Nothing is sent.
    ApiValueError: If an argument has an impossible value. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias, Unpack
from uuid import UUID

from pydantic import Field

from acp_langgraph.core.calls import ABSENT, EVENT_STREAM, Call, path
from acp_langgraph.core.operations import JSONObject, Options, Query, checked_options, queried, sent
from acp_langgraph.errors import ApiValueError
from acp_langgraph.quant.models import (
    AgentChatRequest,
    AgentChatResponse,
    ChatEvent,
    ChatRequest,
    ChatResponse,
    DurableAccepted,
    DurableExecution,
    QuantWire,
    ToolCallbackAccepted,
    ToolCallbackRequest,
    ToolExecution,
    ToolExecutionList,
    ToolList,
    ToolNameList,
    ToolOrchestration,
)
from acp_langgraph.quant.task_models import (
    DependencyGraph,
    Task,
    TaskCreate,
    TaskCreated,
    TaskDeleted,
    TaskList,
    TaskStatus,
    TaskUpdate,
    TaskUpdated,
)

Id: TypeAlias = str | UUID
ExecutionStatus: TypeAlias = Literal["pending", "running", "complete", "failed"]

_STREAM: Final = {"accept": EVENT_STREAM, "cache-control": "no-store"}


# Tools


def list_ai_tools(**options: Unpack[Options]) -> Call[ToolList]:
    """List the tools that the organisation has, with what the model is told of them."""
    return _call("list_ai_tools", "GET", "/tools", ToolList, **options)


def list_ai_tool_names(**options: Unpack[Options]) -> Call[ToolNameList]:
    """List the names of the tools."""
    return _call("list_ai_tool_names", "GET", "/tools/names", ToolNameList, **options)


def list_ai_tool_executions(
    *,
    status: ExecutionStatus | None = None,
    limit: int | None = None,
    **options: Unpack[Options],
) -> Call[ToolExecutionList]:
    """List the latest executions of asynchronous tools, newest first, without their results.

    Args:
        status: Only those of one status.
        limit: How many, 1 to 100; the server's default is 50. There is no second page.
        **options: `timeout`, `headers`.
    """
    query = queried(_Query, status=status, limit=limit)
    where = "/tools/executions"
    return _call("list_ai_tool_executions", "GET", where, ToolExecutionList, query=query, **options)


def get_ai_tool_execution_status(
    execution_id: Id, **options: Unpack[Options]
) -> Call[ToolExecution]:
    """Get an execution with its result; 404 if it is unknown or older than 24 hours."""
    where = path("/tools/executions/{execution_id}", execution_id=execution_id)
    return _call("get_ai_tool_execution_status", "GET", where, ToolExecution, **options)


def get_ai_orchestration_status(
    orchestration_id: Id, **options: Unpack[Options]
) -> Call[ToolOrchestration]:
    """Get an orchestration with its answer; 404 if it is unknown or older than 24 hours."""
    where = path("/tools/orchestrations/{orchestration_id}", orchestration_id=orchestration_id)
    return _call("get_ai_orchestration_status", "GET", where, ToolOrchestration, **options)


# Chat


def chat_inference(
    body: ChatRequest | JSONObject, **options: Unpack[Options]
) -> Call[ChatResponse]:
    """Have a model answer, in one piece; a gateway may cut it off after 30 s."""
    wire = _at_once(sent(ChatRequest, body), "chat_inference")
    return _call("chat_inference", "POST", "/chat", ChatResponse, body=wire, **options)


def chat_inference_async(
    body: ChatRequest | JSONObject, **options: Unpack[Options]
) -> Call[DurableAccepted]:
    """Start a durable chat: it goes on by itself, up to 15 minutes."""
    wire = {**sent(ChatRequest, body), "async": True}
    return _call("chat_inference", "POST", "/chat", DurableAccepted, body=wire, **options)


def chat_inference_stream(
    body: ChatRequest | JSONObject, **options: Unpack[Options]
) -> Call[ChatEvent]:
    """Have a model answer and follow it word by word; perform it with `client.stream`."""
    wire = _at_once(sent(ChatRequest, body), "chat_inference_stream")
    where = "/chat/stream"
    call = _call("chat_inference_stream", "POST", where, ChatEvent, body=wire, **options)
    return replace(call, headers={**_STREAM, **call.headers})


def get_durable_execution_status(
    identifier: Id, **options: Unpack[Options]
) -> Call[DurableExecution]:
    """Get a durable chat by its request id (or ARN)."""
    where = path("/chat/executions/{identifier}", identifier=identifier)
    return _call("get_durable_execution_status", "GET", where, DurableExecution, **options)


def submit_tool_callback(
    body: ToolCallbackRequest | JSONObject, **options: Unpack[Options]
) -> Call[ToolCallbackAccepted]:
    """Send the results of the tools that a durable chat waits for.

    A callback id is good for one use, so to send it twice does no harm: the second is a 404.
    """
    wire = sent(ToolCallbackRequest, body)
    where = "/chat/callback"
    call = _call("submit_tool_callback", "POST", where, ToolCallbackAccepted, body=wire, **options)
    return replace(call, repeatable=True)


def chat_with_ai_agent(
    agent_id: Id, body: AgentChatRequest | JSONObject, **options: Unpack[Options]
) -> Call[AgentChatResponse]:
    """Send a message to an agent and wait for what it says."""
    wire = _at_once(sent(AgentChatRequest, body), "chat_with_ai_agent")
    where = path("/agents/{agent_id}/chat", agent_id=agent_id)
    return _call("chat_with_ai_agent", "POST", where, AgentChatResponse, body=wire, **options)


def chat_with_ai_agent_async(
    agent_id: Id, body: AgentChatRequest | JSONObject, **options: Unpack[Options]
) -> Call[DurableAccepted]:
    """Send a message to an agent that goes on by itself; read it as a durable chat."""
    wire = {**sent(AgentChatRequest, body), "async": True}
    where = path("/agents/{agent_id}/chat", agent_id=agent_id)
    return _call("chat_with_ai_agent", "POST", where, DurableAccepted, body=wire, **options)


# Tasks


def create_task(body: TaskCreate | JSONObject, **options: Unpack[Options]) -> Call[TaskCreated]:
    """Create a task. Doing it twice makes two."""
    wire = sent(TaskCreate, body)
    return _call("create_task", "POST", "/tasks", TaskCreated, body=wire, **options)


def list_tasks(
    *,
    task_list_id: str | None = None,
    status: TaskStatus | None = None,
    assigned_agent_id: str | None = None,
    limit: int | None = None,
    depends_on: Id | None = None,
    include_details: bool | None = None,
    **options: Unpack[Options],
) -> Call[TaskList]:
    """List tasks, newest first.

    Args:
        task_list_id: Only those of one list.
        status: Only those of one status.
        assigned_agent_id: Only those of one agent.
        limit: How many, 1 to 100; the server's default is 50. There is no second page.
        depends_on: Only those that depend on this task; the answer then has their ids.
        include_details: With `depends_on`, whether the answer also has the tasks.
        **options: `timeout`, `headers`.
    """
    query = queried(
        _Query,
        task_list_id=task_list_id,
        task_status=status,
        assigned_agent_id=assigned_agent_id,
        limit=limit,
        depends_on=None if depends_on is None else str(depends_on),
        include_details=include_details,
    )
    return _call("list_tasks", "GET", "/tasks", TaskList, query=query, **options)


def get_task(task_id: Id, **options: Unpack[Options]) -> Call[Task]:
    """Get a task with all of its fields."""
    return _call("get_task", "GET", path("/tasks/{task_id}", task_id=task_id), Task, **options)


def update_task(
    task_id: Id, body: TaskUpdate | JSONObject, **options: Unpack[Options]
) -> Call[TaskUpdated]:
    """Change some fields of a task; the last writer wins, whoever that is."""
    wire, where = sent(TaskUpdate, body), path("/tasks/{task_id}", task_id=task_id)
    return _call("update_task", "PUT", where, TaskUpdated, body=wire, **options)


def delete_task(
    task_id: Id, *, cascade: bool | None = None, **options: Unpack[Options]
) -> Call[TaskDeleted]:
    """Delete a task; 409 if others depend on it.

    Args:
        task_id: The task.
        cascade: Whether to delete those that depend on it as well.
        **options: `timeout`, `headers`.
    """
    where, query = path("/tasks/{task_id}", task_id=task_id), queried(_Query, cascade=cascade)
    return _call("delete_task", "DELETE", where, TaskDeleted, query=query, **options)


def get_dependency_graph(task_list_id: str, **options: Unpack[Options]) -> Call[DependencyGraph]:
    """Get which tasks of a list depend on which."""
    where = path("/tasks/{task_list_id}/dependency-graph", task_list_id=task_list_id)
    return _call("get_dependency_graph", "GET", where, DependencyGraph, **options)


# What the operations have in common


class _Query(Query):
    model_config = QuantWire.model_config | {"extra": "forbid"}

    status: ExecutionStatus | None = None
    task_status: TaskStatus | None = Field(default=None, serialization_alias="status")
    limit: int | None = Field(default=None, ge=1, le=100)
    task_list_id: str | None = Field(default=None, min_length=1)
    assigned_agent_id: str | None = Field(default=None, min_length=1)
    depends_on: str | None = Field(default=None, min_length=1)
    include_details: bool | None = None
    cascade: bool | None = None


def _at_once(wire: Any, operation: str) -> Any:
    if wire.get("async"):
        raise ApiValueError(
            f"{operation} answers at once; for async use {operation.removesuffix('_stream')}_async"
        )
    return wire


def _call(
    operation: str,
    method: str,
    where: str,
    returns: Any,
    *,
    body: Any = ABSENT,
    query: Mapping[str, str] | None = None,
    **options: Unpack[Options],
) -> Call[Any]:
    call: Call[Any] = Call(operation, method, where, returns, query=query or {}, body=body)
    return call.with_options(**checked_options(options)) if options else call
