"""Makes the scenarios that there are: a graph of one node, and the server that it is a client of."""

from __future__ import annotations

from functools import partial
from typing import Any

from langgraph.types import RetryPolicy
from simulation.a2a_model import AGENTS, A2AModel, a2a_maker
from simulation.acp_model import KINDS, ACPModel, node_maker
from simulation.graph_model import SERVERS, LangGraphModel, graph_maker
from simulation.machine import machine_of
from simulation.memory import Settings
from simulation.once_models import BridgeModel, QuantModel, bridge_maker, quant_maker
from simulation.quant_models import ChatModel, TaskModel, chat_maker, task_maker
from simulation.scenario import Scenario
from simulation.stream_model import STREAMS, StreamingModel, WatchedNode
from simulation.suspended import WAKE_URL, WakingProcess
from simulation.waking import WakingModel, WakingScenario
from simulation.world import Budget

from acp_langgraph.errors import ACPRunException, RemoteGraphError

__all__ = [
    "FAILED",
    "GATEWAY",
    "LATE",
    "LOST",
    "ON_EVERYTHING",
    "ON_FAILURE",
    "OUTPUT",
    "PASSING",
    "PLAIN",
    "UNKNOWN",
    "a2a",
    "acp",
    "bridge",
    "chat",
    "graph",
    "quant",
    "stream",
    "suspended",
    "task",
]

PASSING = frozenset({"ApiConnectionError", "ServiceException", "UnreadableAnswerException"})
UNKNOWN = frozenset({"UnknownOutcomeError"})
GATEWAY = frozenset({"GatewayError", "GatewayTimeoutError", "BridgeInternalError"})
OUTPUT = frozenset({"RunOutputError"})
LATE = frozenset({"RunTimeoutError"})
LOST = frozenset({"RunLostError"})
FAILED = frozenset({"ACPRunException", "RemoteGraphError", "A2ATaskError"})
PLAIN = RetryPolicy(max_attempts=3, jitter=False)
ON_EVERYTHING = RetryPolicy(max_attempts=3, jitter=False, retry_on=Exception)
ON_FAILURE = RetryPolicy(max_attempts=3, jitter=False, retry_on=(ACPRunException, RemoteGraphError))


def acp(
    kind: str,
    budget: Budget,
    questions: tuple[str, ...] = ("color?", "food?"),
    *,
    failing: int = 0,
    says_cancelled: bool = True,
    stuck: bool = False,
    settings: Settings | None = None,
    node: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    machine: dict[str, bool] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one `ACPNode`.

    Args:
        kind: Of the server.
        budget: What may happen.
        questions: What the agent asks.
        failing: How many of its first runs fail.
        says_cancelled: Whether the server tells a cancelled run from one that failed.
        stuck: Whether its agent never comes to anything.
        settings: Of the graph.
        node: Options of the node.
        policy: Settings of the node's job policy.
        machine: Options of the machine.
        **more: Fields of the scenario.
    """
    model = ACPModel(
        KINDS[kind], questions, failing=failing, says_cancelled=says_cancelled, stuck=stuck
    )
    maker = partial(node_maker, policy, **(node or {}))
    made = machine_of(maker, settings or Settings(), **(machine or {}))
    model.tasks = made.settings.tasks
    return Scenario(f"ACP, {kind}", model, made, budget, **more)


def bridge(
    budget: Budget,
    *,
    retry: RetryPolicy | None = None,
    node: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one node of an API Bridge's."""
    settings = Settings(state={"ask": {"query": "send it"}}, retry=retry)
    machine = machine_of(partial(bridge_maker, **(node or {})), settings)
    return Scenario("API Bridge", BridgeModel(), machine, budget, **more)


def quant(budget: Budget, *, node: dict[str, Any] | None = None, **more: Any) -> Scenario:
    """A graph of one node of Quant's tools."""
    settings = Settings(state={"ask": "make it"})
    machine = machine_of(partial(quant_maker, **(node or {})), settings, timed=True)
    return Scenario("Quant's tools", QuantModel(), machine, budget, **more)


def chat(
    budget: Budget,
    questions: tuple[str, ...] = ("color?", "food?"),
    *,
    model: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one node that has a durable chat of Quant's."""
    settings = Settings(state={"ask": "hi"})
    machine = machine_of(partial(chat_maker), settings, timed=True)
    return Scenario("Quant's chats", ChatModel(questions, **(model or {})), machine, budget, **more)


def task(budget: Budget, *, rivals: int = 0, **more: Any) -> Scenario:
    """A graph of one node that does a task of Quant's; beside so many workers of others."""
    machine = machine_of(partial(task_maker, lease=1.0), Settings(state={}), timed=True)
    return Scenario("Quant's tasks", TaskModel(rivals), machine, budget, **more)


def graph(
    kind: str,
    budget: Budget,
    questions: tuple[str, ...] = ("color?", "food?"),
    *,
    model: dict[str, Any] | None = None,
    settings: Settings | None = None,
    node: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    machine: dict[str, bool] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one `RemoteGraphNode`.

    Args:
        kind: Of the server: `dev` or `aegra`.
        budget: What may happen.
        questions: What the remote graph asks.
        model: Options of the server.
        settings: Of the graph.
        node: Options of the node.
        policy: Settings of the node's job policy.
        machine: Options of the machine.
        **more: Fields of the scenario.
    """
    server = LangGraphModel(SERVERS[kind], questions, **(model or {}))
    maker = partial(graph_maker, policy, **(node or {}))
    made = machine_of(maker, settings or Settings(), **(machine or {}))
    return Scenario(f"Agent Protocol, {kind}", server, made, budget, **more)


def a2a(
    kind: str,
    budget: Budget,
    questions: tuple[str, ...] = ("color?", "food?"),
    *,
    model: dict[str, Any] | None = None,
    settings: Settings | None = None,
    node: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    known: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one `A2ANode`; the kind is one of `AGENTS`, and the rest as for `graph`.

    Args:
        kind: Of the agent.
        budget: What may happen.
        questions: What the agent asks.
        model: Options of the server.
        settings: Of the graph.
        node: Options of the node.
        policy: Settings of the node's job policy.
        known: What is known of the server from earlier tasks, by the names of a `Peer`.
        **more: Fields of the scenario.
    """
    server = A2AModel(AGENTS[kind], questions, **(model or {}))
    maker = partial(a2a_maker, AGENTS[kind], policy, known, **(node or {}))
    made = machine_of(maker, settings or Settings())
    return Scenario(f"A2A, {kind}", server, made, budget, **more)


def suspended(
    budget: Budget,
    questions: tuple[str, ...] = ("color?",),
    *,
    model: dict[str, Any] | None = None,
    settings: Settings | None = None,
    node: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    machine: dict[str, bool] | None = None,
    webhooks: bool = True,
    **more: Any,
) -> WakingScenario:
    """A graph of one `ACPNode` that suspends it, and a node behind that; with a lock.

    Args:
        budget: What may happen.
        questions: What the agent asks.
        model: Options of the server.
        settings: Of the graph.
        node: Options of the node.
        policy: Settings of the node's job policy.
        machine: Options of the machine.
        webhooks: Whether the server is told whom to call.
        **more: Fields of the scenario.
    """
    server = WakingModel(KINDS["searches"], questions, **(model or {}))
    wake_url = WAKE_URL if webhooks else None
    maker = partial(node_maker, policy, wait="suspend", wake_url=wake_url, **(node or {}))
    made = machine_of(maker, settings or Settings(), kind=WakingProcess, **(machine or {}))
    server.tasks = made.settings.tasks
    return WakingScenario("ACP, suspended", server, made, budget, **{"locked": True, **more})


def stream(
    kind: str, budget: Budget, questions: tuple[str, ...] = (), *, emits: int = 2, **more: Any
) -> Scenario:
    """A graph of one `ACPNode` that is watched; the kind is one of `STREAMS`."""
    server = StreamingModel(STREAMS[kind], questions=questions, emits=emits)
    maker = partial(node_maker, kind=WatchedNode, stream_mode="custom")
    made = machine_of(maker, Settings(), watched=True)
    return Scenario("ACP, watched", server, made, budget, **more)
