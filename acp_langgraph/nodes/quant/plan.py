"""A list of tasks as a LangGraph graph: what depends on nothing runs first, the rest as it can.

    tasks = client.run(load_tasks("world-1"))
    graph = task_graph(tasks, agent, organisation="acme").compile(checkpointer=...)
    outcomes = graph.invoke({})["tasks"]                        # by task id

Every task is a node, every dependency an edge, and independent tasks run in parallel. A task that
fails is an outcome, so that what does not depend on it goes on; what becomes of those that do is a
policy. Several such graphs, on several machines, may work on the same list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, TypeAlias, TypedDict

from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.nodes.quant.task import QuantTaskNode
from acp_langgraph.quant.task_models import Task

__all__ = ["TaskGraphState", "Worker", "task_graph"]

Worker: TypeAlias = "Runnable[Any, Any] | Callable[..., Any]"


def _merged(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    return {**(before or {}), **(after or {})}


class TaskGraphState(TypedDict, total=False):
    """The state of a graph of tasks.

    Attributes:
        tasks: What became of each task, by id: `taskId`, `status`, `result`, `error`.
        input: What every worker is given as `input`.
    """

    tasks: Annotated[dict[str, Any], _merged]
    input: Any


class _PlannedTask(QuantTaskNode):
    """A task whose outcome goes under its id."""

    def _given(self, state: Any) -> Any:
        return state.get("input")

    def _update(self, state: Any, outcome: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the base's
        return {"tasks": {outcome["taskId"]: outcome}}


def task_graph(
    tasks: Iterable[Task],
    runnable: Worker | Mapping[str, Worker],
    configuration: Any = None,
    **options: Any,
) -> StateGraph[Any]:
    """Turn tasks into a graph.

    Args:
        tasks: The tasks, whole, as `load_tasks` and `get_task` give them. What they depend on beside
            these is waited for.
        runnable: Does the work; or one for each `assignedAgentId`, with `""` for all other tasks.
        configuration: The API's host, or all there is to say of it.
        **options: What `QuantTaskNode` takes; `on_failure` is `keep` unless said otherwise, and
            `worker` the agent that a task is assigned to.

    Returns:
        A builder, to be compiled; nodes may be added. Its state is `TaskGraphState`.

    Raises:
        NodeConfigurationError: If the tasks depend on each other in a circle, or one has no worker.
    """
    by_id = {task.task_id: task for task in tasks}
    names = _names(by_id)
    edges = {
        task_id: [each for each in dict.fromkeys(task.depends_on) if each in by_id]
        for task_id, task in by_id.items()
    }
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError as error:
        circle = " -> ".join(names[task_id] for task_id in error.args[1])
        raise NodeConfigurationError(f"tasks depend on each other in a circle: {circle}") from None
    builder: StateGraph[Any] = StateGraph(TaskGraphState)
    for task_id in order:
        task = by_id[task_id]
        settings = {
            "task_id": task_id,
            "on_failure": "keep",
            "worker": task.assigned_agent_id or None,
            **options,
        }
        builder.add_node(
            _PlannedTask(names[task_id], _runnable(runnable, task), configuration, **settings)
        )
        before = [names[each] for each in edges[task_id]]
        builder.add_edge(before or START, names[task_id])
    depended_on = {each for found in edges.values() for each in found}
    for task_id in by_id.keys() - depended_on:
        builder.add_edge(names[task_id], END)
    return builder


def _runnable(runnable: Worker | Mapping[str, Worker], task: Task) -> Worker:
    if not isinstance(runnable, Mapping):
        return runnable
    agent = task.assigned_agent_id or ""
    found = runnable.get(agent) or runnable.get("")
    if found is None:
        raise NodeConfigurationError(
            f"there is no worker for the task {task.title!r} of {agent or 'nobody'!r}; give one "
            'under that name, or under "" for all others'
        )
    return found


def _names(tasks: Mapping[str, Task]) -> dict[str, str]:
    """A node's name for each task: its title, as far as LangGraph takes it and it is the only one."""
    titles = {
        task_id: " ".join(task.title.replace(":", " ").replace("|", " ").split()) or "task"
        for task_id, task in tasks.items()
    }
    counts = Counter(titles.values())
    return {
        task_id: title if counts[title] == 1 else f"{title} {task_id}"
        for task_id, title in titles.items()
    }
