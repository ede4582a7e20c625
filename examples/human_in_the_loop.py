"""A remote agent asks; the graph waits, and goes on in another process.

    python examples/human_in_the_loop.py

The question becomes the graph's interrupt. Between question and answer nothing has to stay in memory:
the graph's checkpointer and the server remember. Here the graph is simply compiled anew.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from acp_langgraph import ACPNode
from acp_langgraph.server import serve


class Order(TypedDict, total=False):
    """The agent's state."""

    pizza: str
    size: str


class State(TypedDict, total=False):
    """The state of the graph that uses the agent."""

    order: Order


def ask(state: Order) -> Order:
    """Ask for what is missing."""
    return {"size": interrupt(f"Which size should the {state['pizza']} have?")}


def graph(url: str) -> StateGraph[Any, Any, Any, Any]:
    """The graph, still to be compiled."""
    node = ACPNode("baker", "baker", url, "order", Order, "order", Order)
    return StateGraph(State).add_node(node).add_edge(START, "baker")


def main() -> None:
    """Ask in one life of the graph, answer in the next."""
    agent = StateGraph(Order).add_node(ask).add_edge(START, "ask").compile()
    config: RunnableConfig = {"configurable": {"thread_id": "table 5"}}
    with serve({"baker": agent}) as server, tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "checkpoints.sqlite"))
        with SqliteSaver.from_conn_string(database) as saver:
            paused = (
                graph(server.url)
                .compile(checkpointer=saver)
                .invoke({"order": {"pizza": "Margherita"}}, config)
            )
            print(paused["__interrupt__"][0].value)
        with SqliteSaver.from_conn_string(database) as saver:
            done = graph(server.url).compile(checkpointer=saver).invoke(Command(resume="L"), config)
        print(done["order"])
        print(f"Remote runs: {server.count_runs()}")


if __name__ == "__main__":
    main()
