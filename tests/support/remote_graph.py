"""A graph with a `RemoteGraphNode`; built in the processes that get killed, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from support.counted import QUICK, State

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.nodes.remote_graph import RemoteGraphNode

__all__ = ["build", "builder_for", "node_for", "remembering"]


def node_for(
    server: Any, assistant: str = "agent", *, timeout: float = 5.0, **options: Any
) -> RemoteGraphNode:
    """A node that does not pause for long."""
    configuration = ApiClientConfiguration(server.url, timeout=timeout, retries=2)
    paths = {"input_path": "ask", "output_path": "answer"}
    node = RemoteGraphNode("remote", assistant, configuration, **{**paths, **options})
    node.policy = replace(node.policy, backoff=QUICK)
    return node


def builder_for(server: Any, *, retry_policy: Any = None, **options: Any) -> Any:
    """The graph's builder."""
    builder = StateGraph(State).add_node(node_for(server, **options), retry_policy=retry_policy)
    return builder.add_edge(START, "remote")


def remembering(server: Any, **options: Any) -> Any:
    """The graph, with a checkpointer."""
    return builder_for(server, **options).compile(checkpointer=InMemorySaver())


def build(job: dict[str, Any]) -> Any:
    """The graph's builder, for `support.victim`."""
    node = RemoteGraphNode("remote", job["agent_id"], job["url"], "ask", None, "answer", None)
    return StateGraph(State).add_node(node).add_edge(START, "remote")
