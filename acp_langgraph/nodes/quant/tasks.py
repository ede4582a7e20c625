"""`QuantTaskNode`: one of Quant's tasks, done by a runnable; and a list of tasks as a graph.

    tasks = client.run(load_tasks("world-1"))
    graph = task_graph(tasks, agent, organisation="acme").compile(checkpointer=...)
    outcomes = graph.invoke({})["tasks"]                        # by task id

Every task is a node, every dependency an edge, and independent tasks run in parallel. A task that
fails is an outcome, so that what does not depend on it goes on; what becomes of those that do is a
policy. Several such graphs, on several machines, may work on the same list.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Final, Literal, TypeAlias, TypedDict, Unpack

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import coerce_to_runnable
from langgraph.errors import GraphBubbleUp
from langgraph.graph import END, START, StateGraph

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.core.wire import dump, plain
from acp_langgraph.errors import AcpLangGraphError, NodeConfigurationError, NodeInputError
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.ports import InputPort, OutputPort
from acp_langgraph.nodes.quant.base import QuantNode, QuantOptions, current_config, since
from acp_langgraph.quant.claims import Claim, renew_claim
from acp_langgraph.quant.polling import TASKS, Pace
from acp_langgraph.quant.task_models import Task
from acp_langgraph.quant.tasks import DependencyPolicy, TaskRules, create_once, work_on
from acp_langgraph.transport import AsyncTransport, Transport

_BEATS_PER_LEASE: Final = 3


class _Report:
    """What the work said of itself since it was told last."""

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._lock = threading.Lock()

    def say(self, progress: float, message: str | None) -> None:
        with self._lock:
            self._said = {"progress": min(1.0, max(0.0, progress))}
            if message is not None:
                self._said["progressMessage"] = message

    def take(self) -> dict[str, Any]:
        with self._lock:
            said, self._said = self._said, {}
        return said


_report: ContextVar[_Report | None] = ContextVar("acp_langgraph_task_report", default=None)


def report_progress(progress: float, message: str | None = None) -> None:
    """Say how far the work on the current task has come; told to Quant with the next heartbeat.

    Does nothing outside of a `QuantTaskNode`.

    Args:
        progress: From 0 to 1.
        message: What is being done, for people.
    """
    report = _report.get()
    if report is not None:
        report.say(progress, message)


class QuantTaskNode(QuantNode):
    """Does a task: waits for what it depends on, claims it, works on it, records what came of it.

        review = QuantTaskNode("review", reviewer, organisation="acme", task_path="task_id",
                               output_path="review")

    The runnable is given `{"task": {...}, "dependencies": {task id: result}, "input": ...}` and
    returns the result. If it raises, it is tried again as often as the task's `maxRetries` says; the
    count is the task's. It may call `report_progress`.

    The task is held by a lease that is renewed while the work goes on. If this process dies, the same
    execution of the graph goes on with it, or any other worker after the lease. The API cannot make
    sure that two workers never claim a task at the same moment: see `acp_langgraph.quant.claims`.

    While the work waits for a human's answer (an interrupt inside of it), nobody renews the lease; if
    another worker takes the task over meanwhile, that is found out before the work goes on.

    The answer is `{"taskId", "status", "result", "error"}`.

    Args:
        name: The node's name in the graph.
        runnable: Does the work: a `Runnable`, a graph, or a function.
        configuration: The API's host, or all there is to say of it.
        task_id: The task; or
        task_path: where in the state it is: its id, or what to create it from, e.g.
            `{"title": "Review", "taskListId": "..."}`.
        input_path: Where in the state the runnable's `input` is; left out, it gets none.
        output_path: Where in the state the answer goes; empty to take its fields for channels.
        output_type: The answer's type, if it is to be checked.
        state_type: The type of the graph's state, where a dict of it does not tell.
        worker: Who does the task, for people; left out, the node's name.
        lease: Seconds for which the task is held without a sign of life.
        settle: Seconds between claiming and making sure; the longer, the rarer two workers both have
            a task.
        on_taken: What to do about a task that another worker has: `wait` until it is done (or take it
            over, should the other one die), `skip` it, or `raise` TaskTakenError.
        stale_after: Seconds without a change after which a task in progress without a lease may be
            taken over; `None`: never.
        on_dependency_failure: What becomes of the task if one that it depends on failed, was
            cancelled or is gone: `fail`, `cancel` or `block` it, or `run` it all the same.
        on_failure: Whether a task that failed is an error (`raise`), or an outcome (`keep`).
        pace: How often to look at dependencies and at who has the task, and when to give up: from 1
            to 15 s, without end.
        **options: What every node of Quant's takes: `organisation`, `spelling`, `prefix`, `headers`,
            `client`, `async_client`, `auth`, `on_unknown` and `save_to`; see `QuantNode`.

    Raises:
        NodeConfigurationError: If the node can never work like that.
        ApiValueError: If the configuration is not valid.
    """

    _can_suspend = False

    def __init__(
        self,
        name: str,
        runnable: Runnable[Any, Any] | Callable[..., Any],
        configuration: ApiClientConfiguration | str | None = None,
        *,
        task_id: str | None = None,
        task_path: str | None = None,
        input_path: str | None = None,
        output_path: str = "",
        output_type: Any = None,
        state_type: Any = None,
        worker: str | None = None,
        lease: float = 60.0,
        settle: float = 0.5,
        on_taken: Literal["wait", "skip", "raise"] = "wait",
        stale_after: float | None = None,
        on_dependency_failure: DependencyPolicy = "fail",
        on_failure: Literal["raise", "keep"] = "raise",
        pace: Pace = TASKS,
        **options: Unpack[QuantOptions],
    ) -> None:
        super().__init__(name, configuration, pace=pace, **options)
        if (task_id is None) == (task_path is None):
            raise NodeConfigurationError("give either task_id or task_path", node=name)
        if lease <= 0 or settle < 0 or settle >= lease:
            raise NodeConfigurationError("a lease needs 0 <= settle < lease", node=name)
        self.agent = worker or name
        self.runnable: Runnable[Any, Any] = coerce_to_runnable(runnable)
        self.rules = TaskRules(on_dependency_failure, on_failure)
        self._task_id = task_id
        self._task = None if task_path is None else InputPort("task", task_path, None, name)
        self._input = None if input_path is None else InputPort("input", input_path, None, name)
        self.output_type = output_type
        self.output = OutputPort(output_path, output_type, state_type, name)
        self._claim = partial(
            Claim,
            worker=worker or name,
            lease=lease,
            settle=settle,
            on_taken=on_taken,
            stale_after=stale_after,
            node=name,
        )

    def flow(
        self, state: Any, execution: Execution, config: RunnableConfig
    ) -> Flow[dict[str, Any]]:
        """Do the task."""
        given = self._given(state)
        task_id = yield from self._identify(state, execution)
        claim = self._claim(task_id, execution.key)
        begun = yield from since(self.policy)
        work = partial(self._work, claim, given, config, execution)
        return self._update(
            state, (yield from work_on(claim, self.rules, self.policy, begun, work))
        )

    def _given(self, state: Any) -> Any:
        return None if self._input is None else self._input.read(state)

    def _update(self, state: Any, outcome: dict[str, Any]) -> dict[str, Any]:
        return self.output.write(state, outcome)

    def _identify(self, state: Any, execution: Execution) -> Flow[str]:
        """The task's id; the task is created if there is none yet."""
        if self._task is None:
            return str(self._task_id)
        said = self._task.read(state)
        if isinstance(said, str):
            return said
        if not isinstance(said, Mapping):
            raise NodeInputError(
                f"the task must be an id or what to create it from, got {type(said).__name__}",
                node=self.name,
            )
        key = execution.key
        return (yield from create_once(said, key, self.policy, execution.trace, self.name))

    def _work(
        self,
        claim: Claim,
        given: Any,
        config: RunnableConfig,
        execution: Execution,
        task: Task,
        results: Mapping[str, Any],
    ) -> Flow[dict[str, Any]]:
        told = {"task": dump(task), "dependencies": dict(results), "input": given}
        try:
            result = yield from Work(
                lambda: self._run(claim, told, config, execution),
                lambda: self._arun(claim, told, config, execution),
            )
        except GraphBubbleUp:
            raise
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is the task's failure
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        kept = yield from self.keeper.keeping(plain(result), claim.task_id)
        return {"ok": True, "result": kept}

    def _run(self, claim: Claim, told: Any, config: RunnableConfig, execution: Execution) -> Any:
        with self._beating(claim, self._transport_for(execution)):
            return self.runnable.invoke(told, current_config(config))

    async def _arun(
        self, claim: Claim, told: Any, config: RunnableConfig, execution: Execution
    ) -> Any:
        async with self._abeating(claim, self._async_transport_for(execution)):
            return await self.runnable.ainvoke(told, current_config(config))

    @contextlib.contextmanager
    def _beating(self, claim: Claim, transport: Transport) -> Iterator[None]:
        """Renew the lease from another thread, while the work goes on."""
        report, over = _Report(), threading.Event()

        def beat() -> None:
            while not over.wait(claim.lease / _BEATS_PER_LEASE):
                with contextlib.suppress(AcpLangGraphError):  # the next beat may do
                    renew = renew_claim(claim, self.policy, report.take())
                    if transport.run(renew) is None:
                        return

        thread = threading.Thread(target=beat, name=f"lease of {claim.task_id}", daemon=True)
        token = _report.set(report)
        thread.start()
        try:
            yield
        finally:
            _report.reset(token)
            over.set()
            thread.join()

    @contextlib.asynccontextmanager
    async def _abeating(self, claim: Claim, transport: AsyncTransport) -> AsyncIterator[None]:
        """Renew the lease in a task of its own, while the work goes on."""
        report = _Report()

        async def beat() -> None:
            while True:
                await asyncio.sleep(claim.lease / _BEATS_PER_LEASE)
                with contextlib.suppress(AcpLangGraphError):
                    renew = renew_claim(claim, self.policy, report.take())
                    if await transport.run(renew) is None:
                        return

        token = _report.set(report)
        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            _report.reset(token)
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating


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
