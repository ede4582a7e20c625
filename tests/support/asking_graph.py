"""A graph with a remote agent that asks twice; built in the processes that get killed."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from acp_langgraph.nodes.acp import ACPNode

__all__ = ["build"]


class State(TypedDict, total=False):
    """The graph's state."""

    ask: dict[str, Any]
    answer: Any


def build(job: dict[str, Any]) -> Any:
    """The graph's builder."""
    node = ACPNode(
        "remote",
        job["agent_id"],
        job["url"],
        "ask",
        None,
        "answer",
        None,
    )
    builder = StateGraph(State)
    builder.add_node(node)
    builder.add_edge(START, "remote")
    builder.add_edge("remote", END)
    return builder
