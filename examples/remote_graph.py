"""A graph on a LangGraph server as a node: it asks, and a lost answer starts nothing twice.

    python examples/remote_graph.py

A fake takes the server's place; with the URL of `langgraph dev` or of a deployment of yours, and the name of
one of its graphs, the node is the same. `examples/langgraph_dev` has graphs to try that with.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from acp_langgraph import RemoteGraphNode
from acp_langgraph.testing import Answer, Ask, FakeLangGraphServer, Fault


class State(TypedDict, total=False):
    """The graph's state."""

    order: dict[str, Any]
    dinner: dict[str, Any]


SCRIPT: list[Ask | Answer] = [
    Ask("Which size?"),
    Answer(lambda run: {"ready": f"a {run.answers[0]} {run.input['pizza']}"}),
]


def main() -> None:
    """Order, answer, and count what the server was asked to do."""
    with FakeLangGraphServer({"baker": SCRIPT}) as server:
        baker = RemoteGraphNode(
            "baker", "baker", server.url, input_path="order", output_path="dinner"
        )
        builder = StateGraph(State).add_node(baker).add_edge(START, "baker")
        graph = builder.compile(checkpointer=InMemorySaver())
        config: RunnableConfig = {"configurable": {"thread_id": "table 4"}}

        server.faults.add(Fault.lose_answer(), on="start")  # as a proxy does that restarts
        asked = graph.invoke({"order": {"pizza": "Funghi"}}, config)
        print("asked: ", asked["__interrupt__"][0].value)
        done = graph.invoke(Command(resume="large"), config)
        print("ready: ", done["dinner"]["ready"])
        print(f"{server.created} remote run on {len(server.threads)} thread, 1 answer lost")


if __name__ == "__main__":
    main()
