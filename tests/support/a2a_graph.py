"""A graph with an A2A agent; built in the processes that get killed, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langgraph.graph import START, StateGraph
from support.counted import QUICK, State

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.nodes.a2a import A2ANode

__all__ = ["a2a_graph", "a2a_node", "build"]


def a2a_node(url: str, **options: Any) -> A2ANode:
    """A node that does not pause for long."""
    configuration = ApiClientConfiguration(url, timeout=5.0, retries=2)
    places = {"input_path": "ask", "output_path": "answer"}
    node = A2ANode("remote", configuration, **{**places, **options})
    node.policy = replace(node.policy, backoff=QUICK)
    return node


def a2a_graph(url: str, *, retry_policy: Any = None, **options: Any) -> Any:
    """The graph's builder."""
    builder = StateGraph(State).add_node(a2a_node(url, **options), retry_policy=retry_policy)
    return builder.add_edge(START, "remote")


def build(job: dict[str, Any]) -> Any:
    """The graph's builder, for `support.victim`."""
    return a2a_graph(job["url"], **job.get("options", {}))
