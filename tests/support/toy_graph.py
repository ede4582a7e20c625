"""A graph with a node of `support.toy`'s protocol; built in the processes that get killed, too."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, StateGraph
from support.counted import QUICK, State
from support.toy import ToyNode

__all__ = ["build", "toy_graph"]


def toy_graph(url: str, *, retry_policy: Any = None, **policy: Any) -> Any:
    """The graph's builder."""
    node = ToyNode("remote", url, "ask", "answer", **{"backoff": QUICK, **policy})
    builder = StateGraph(State).add_node(node, retry_policy=retry_policy)
    return builder.add_edge(START, "remote")


def build(job: dict[str, Any]) -> Any:
    """The graph's builder, for `support.victim`."""
    return toy_graph(job["url"])
