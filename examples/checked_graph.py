"""Nodes from what a server says of its agents, and a graph that is checked before it runs.

    pip install "acp-langgraph[server]"
    python examples/checked_graph.py

`ACPNode.from_agent` asks the server for the agent's id and JSON Schemas. `checked` compares the nodes
of a graph with their agents; a test does the same with `check_graph(graph).raise_for_errors()`, and a
shell with `acp-langgraph check my_graph.py:graph`.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode, GraphCheckError, checked
from acp_langgraph.server import ServedAgent, serve


class Mail(TypedDict):
    """What the agent takes and gives."""

    email: str
    audience: Literal["general", "technical"]


class Typo(TypedDict):
    """What somebody thought that it takes."""

    email: str
    audience: int


class State(TypedDict, total=False):
    """The state of the graph."""

    email: str
    audience: str
    typo: Typo


def correct(state: Mail) -> Mail:
    """Stands for an agent that works for a while."""
    return {**state, "email": state["email"].replace("teh", "the")}


def main() -> None:
    """Serve the agent, run a graph that fits it, and try one that does not."""
    agent = StateGraph(Mail).add_node(correct).add_edge(START, "correct").compile()
    with serve([ServedAgent("reviewer", agent, interrupts=[])]) as server:
        node = ACPNode.from_agent(server.url, "reviewer")
        graph = checked(StateGraph(State).add_node(node).add_edge(START, "reviewer").compile())
        print(graph.invoke({"email": "See teh plan.", "audience": "general"})["email"])

        wrong = ACPNode("review", "reviewer", server.url, "typo", Typo, "email", None)
        try:
            checked(StateGraph(State).add_node(wrong).add_edge(START, "review").compile())
        except GraphCheckError as error:
            print(error)


if __name__ == "__main__":
    main()
