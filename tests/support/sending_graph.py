"""A graph that sends a query through a bridge; built in the processes that get killed."""

from __future__ import annotations

import os
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from acp_langgraph.nodes.bridge import APIBridgeAgentNode

__all__ = ["build"]


class State(TypedDict, total=False):
    """The graph's state."""

    ask: str
    answer: Any


def build(job: dict[str, Any]) -> Any:
    """The graph's builder."""
    node = APIBridgeAgentNode(
        "send",
        job["url"],
        "sendgrid",
        "ask",
        "answer",
        output_type=str,
        headers={"x-process": str(os.getpid())},  # so that the server can kill it
        on_unknown=job.get("on_unknown", "raise"),
    )
    builder = StateGraph(State)
    builder.add_node(node)
    builder.add_edge(START, "send")
    builder.add_edge("send", END)
    return builder
