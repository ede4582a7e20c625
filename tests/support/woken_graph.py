"""A graph that is suspended while a remote agent works; built in the processes that get killed."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph

from acp_langgraph.nodes.acp import ACPNode

__all__ = ["build"]


class State(TypedDict, total=False):
    """The graph's state; `after` counts what ran after the node."""

    ask: dict[str, Any]
    said: Any
    after: Annotated[list[int], operator.add]
    answer: Any


def build(job: dict[str, Any]) -> Any:
    """The graph's builder."""
    node = ACPNode("remote", job["agent_id"], job["url"], "ask", output_path="said", wait="suspend")
    builder = StateGraph(State).add_node(node).add_node("first", lambda _: {"after": [1]})
    builder.add_node("last", lambda state: {"answer": {**state["said"], "after": state["after"]}})
    builder.add_edge(START, "remote").add_edge("remote", "first").add_edge("first", "last")
    return builder
