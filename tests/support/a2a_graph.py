"""A graph with an A2A agent; built in the processes that get killed, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from support.colors import Color
from support.counted import QUICK, State

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import drive
from acp_langgraph.nodes.a2a import A2ANode

__all__ = [
    "ON_A_THREAD",
    "SPOKEN",
    "Processes",
    "a2a_graph",
    "a2a_node",
    "asked",
    "build",
    "remembering",
]

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
SPOKEN = [
    {"binding": "JSONRPC", "version": "1.0"},
    {"binding": "HTTP+JSON", "version": "1.0"},
    {"binding": "JSONRPC", "version": "0.3"},
]
"""What a fake server may speak."""


def a2a_node(url: str, *, timeout: float = 5.0, **options: Any) -> A2ANode:
    """A node that does not pause for long."""
    configuration = ApiClientConfiguration(url, timeout=timeout, retries=2)
    places = {"input_path": "ask", "output_path": "answer"}
    node = A2ANode("remote", configuration, **{**places, **options})
    node.policy = replace(node.policy, backoff=QUICK)
    return node


def a2a_graph(url: str, *, retry_policy: Any = None, **options: Any) -> Any:
    """The graph's builder."""
    builder = StateGraph(State).add_node(a2a_node(url, **options), retry_policy=retry_policy)
    return builder.add_edge(START, "remote")


def build(job: dict[str, Any]) -> Any:
    """The graph's builder, for `support.victim`; of a node that knows of its agent what is found out."""
    builder = a2a_graph(job["url"], **job.get("options", {}))
    if job.get("finds_done"):
        node = builder.nodes["remote"].runnable
        drive(node.job_of("", None), node.transport)
        node._peer.finds_done = True
    return builder


def remembering(server: Any, **options: Any) -> Any:
    """The graph, over a checkpointer."""
    return a2a_graph(server.url, **options).compile(checkpointer=InMemorySaver())


def asked(state: Any) -> list[Any]:
    """What a graph asks."""
    return [each.value for each in state["__interrupt__"]]


class Processes:
    """A graph over one SQLite file; each time it is invoked, a process is new to it."""

    def __init__(self, color: Color, url: str, folder: Path, **options: Any) -> None:
        self._color = color
        self._url = url
        self._database = folder / "c.sqlite"
        self._options = options

    def invoke(self, value: Any) -> Any:
        builder = a2a_graph(self._url, **self._options)
        with self._color.graph_over(builder, self._database) as graph:
            return self._color.invoke(graph, value, ON_A_THREAD)
