"""What is on the wire of Quant's task management.

Tasks are records: nothing on the server runs them. Whoever claims one moves it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field

from acp_langgraph.quant.models import Items, Moment, QuantWire, Text

TaskStatus: TypeAlias = Literal[
    "pending", "in_progress", "completed", "failed", "cancelled", "blocked"
]
_Object: TypeAlias = Annotated[
    dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)
]
_Ids: TypeAlias = Annotated[list[str], Items]


class Task(QuantWire):
    """A task. In a list it comes in short, without `depends_on`, `metadata`, `result` and `error`.

    Attributes:
        progress: From 0 to 1.
        depends_on: Ids of the tasks that must be completed before. The server enforces nothing.
        metadata: Any JSON object; an update replaces all of it.
    """

    task_id: str
    org_id: str | None = None
    task_list_id: str | None = None
    title: Text = ""
    description: Text = ""
    status: Text = ""
    assigned_agent_id: str | None = None
    created_by_agent_id: str | None = None
    depends_on: _Ids = Field(default_factory=list)
    metadata: _Object = Field(default_factory=dict)
    progress: float | None = None
    progress_message: str | None = None
    result: Any = None
    error: str | None = None
    retry_count: int | None = None
    max_retries: int | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    expires_at: Moment | None = None
    blocked_reason: str | None = None
    blocked_by_task_ids: _Ids = Field(default_factory=list)
    blocked_at: Moment | None = None


class TaskCreate(QuantWire):
    """A task to create. Lists come into being with their first task."""

    model_config = ConfigDict(extra="forbid")  # the API would lose it without a word

    title: str
    description: str | None = None
    task_list_id: str | None = None
    status: TaskStatus | None = None
    assigned_agent_id: str | None = None
    created_by_agent_id: str | None = None
    depends_on: list[str] | None = None
    metadata: dict[str, Any] | None = None
    max_retries: int | None = Field(default=None, ge=0, le=10)
    blocked_reason: str | None = None
    blocked_by_task_ids: list[str] | None = None


class TaskUpdate(QuantWire):
    """What to change of a task; what was not set stays. `None` clears where the API allows it."""

    model_config = ConfigDict(extra="forbid")  # see TaskCreate

    title: str | None = None
    description: str | None = None
    task_list_id: str | None = None
    status: TaskStatus | None = None
    assigned_agent_id: str | None = None
    depends_on: list[str] | None = None
    metadata: dict[str, Any] | None = None
    progress: float | None = Field(default=None, ge=0, le=1)
    progress_message: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    retry_count: int | None = Field(default=None, ge=0)
    max_retries: int | None = Field(default=None, ge=0, le=10)
    blocked_reason: str | None = None
    blocked_by_task_ids: list[str] | None = None


class TaskCreated(QuantWire):
    """A task was created."""

    task_id: str
    org_id: str | None = None
    title: Text = ""
    status: Text = ""
    created_at: Moment | None = None


class TaskUpdated(QuantWire):
    """A task was changed."""

    task_id: str | None = None
    status: Text = ""
    updated_at: Moment | None = None


class TaskDeleted(QuantWire):
    """A task was deleted, and with `cascade` those that depend on it."""

    deleted: bool | None = None
    deleted_count: int | None = None
    deleted_task_ids: _Ids = Field(default_factory=list)


class TaskList(QuantWire):
    """Tasks, newest first, at most 100; or, asked for dependents, their ids; or both."""

    tasks: Annotated[list[Task], Items] = Field(default_factory=list)
    task_ids: _Ids = Field(default_factory=list)
    count: int | None = None
    depends_on: str | None = None


class GraphNode(QuantWire):
    """A task in a dependency graph."""

    task_id: Text = ""
    title: Text = ""
    status: Text = ""
    depends_on: _Ids = Field(default_factory=list)
    dependents: _Ids = Field(default_factory=list)


def _nodes(graph: Any) -> Any:
    """The tasks of a graph, by id: the API leaves open whether it is an object or a list."""
    if isinstance(graph, dict) and isinstance(graph.get("nodes"), dict | list):
        graph = graph["nodes"]
    if isinstance(graph, dict):
        return {
            task_id: {"taskId": task_id, **node} if isinstance(node, dict) else {"taskId": task_id}
            for task_id, node in graph.items()
        }
    if isinstance(graph, list):
        return {
            node.get("taskId") or node.get("id"): node for node in graph if isinstance(node, dict)
        }
    return {}


class DependencyGraph(QuantWire):
    """Which tasks of a list depend on which.

    Attributes:
        roots: Tasks that depend on nothing.
        leaves: Tasks that nothing depends on.
        graph: All tasks, by id.
    """

    task_list_id: str | None = None
    task_count: int | None = None
    roots: _Ids = Field(default_factory=list)
    leaves: _Ids = Field(default_factory=list)
    graph: Annotated[dict[str, GraphNode], BeforeValidator(_nodes)] = Field(default_factory=dict)
