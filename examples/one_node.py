"""One remote agent as a node.

    python examples/one_node.py

The agent is an ordinary graph, served by the embedded server; any ACP server would do. Of the graph's
state, the agent gets to see what `input` makes of it, and its answer goes to `output_path`.
"""

from __future__ import annotations

from typing import TypedDict

from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode
from acp_langgraph.server import serve


class Text(TypedDict):
    """What the agent takes and gives."""

    text: str


class State(TypedDict, total=False):
    """The state of the graph that uses the agent."""

    note: str
    shouted: Text


def shout(state: Text) -> Text:
    """The agent's whole work."""
    return {"text": state["text"].upper() + "!"}


def main() -> None:
    """Serve the agent, and run a graph with it."""
    agent = StateGraph(Text).add_node(shout).add_edge(START, "shout").compile()
    with serve({"shouter": agent}) as server:
        node = ACPNode(
            "shouter",
            "shouter",
            server.url,
            input={"text": "note"},
            output_path="shouted",
            output_type=Text,
            state_type=State,
        )
        graph = StateGraph(State).add_node(node).add_edge(START, "shouter").compile()
        print(graph.invoke({"note": "hello"})["shouted"]["text"])


if __name__ == "__main__":
    main()
