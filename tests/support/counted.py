"""A graph with one remote node, and the answers to what it asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.retry import Backoff
from acp_langgraph.nodes.acp import ACPNode

__all__ = ["QUICK", "State", "answered", "graph_with", "make_node"]

QUICK = Backoff(first=0.001, limit=0.02)


class State(TypedDict, total=False):
    """The graph's state."""

    ask: dict[str, Any]
    answer: Any


def make_node(url: str, agent_id: str, *, timeout: float = 5.0, **options: Any) -> ACPNode:
    """A node that does not pause for long."""
    configuration = ApiClientConfiguration(url, timeout=timeout, retries=2)
    node = ACPNode("remote", agent_id, configuration, "ask", None, "answer", None, **options)
    node.policy = replace(node.policy, backoff=QUICK)
    return node


def graph_with(node: ACPNode, *, attempts: int = 1, saver: Any = None, **options: Any) -> Any:
    """The graph, with a plain retry policy and a checkpointer."""
    builder = StateGraph(State)
    policy = RetryPolicy(max_attempts=attempts, initial_interval=0.001, jitter=False)
    builder.add_node(node, retry_policy=policy, **options)
    builder.add_edge(START, "remote")
    builder.add_edge("remote", END)
    return builder.compile(checkpointer=saver or InMemorySaver())


def answered(color: Any, graph: Any, value: Any, config: Any, answers: dict[str, Any]) -> Any:
    """Invoke the graph and answer its questions until it is done; its state."""
    state = color.invoke(graph, value, config)
    while questions := state.get("__interrupt__"):
        state = color.invoke(graph, Command(resume=answers[questions[0].value]), config)
    return state
