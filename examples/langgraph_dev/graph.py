r"""A graph in `langgraph dev`, whose work is done by an agent that is served elsewhere.

Two terminals, both in this folder:

    acp-langgraph serve agents      serves agents/langgraph.json, on port 8000
    langgraph dev                   runs langgraph.json and opens LangGraph Studio

Without a browser (`langgraph dev --no-browser`), over LangGraph's own API:

    curl -s 127.0.0.1:2024/threads -H 'content-type: application/json' -d '{}'
    curl -s 127.0.0.1:2024/threads/THREAD_ID/runs/wait -H 'content-type: application/json' \
         -d '{"assistant_id": "dinner", "input": {"order": {"pizza": "Funghi"}}}'
    curl -s 127.0.0.1:2024/threads/THREAD_ID/runs/wait -H 'content-type: application/json' \
         -d '{"assistant_id": "dinner", "command": {"resume": "large"}}'

What the agent asks is an interrupt of this graph, in Studio too, and the answer goes to the same
remote run. `langgraph dev` comes with `pip install "langgraph-cli[inmem]"`. The graph is compiled
without a checkpointer, for whoever runs it brings one; nothing here is made for `langgraph dev` only.
"""

from __future__ import annotations

import os
from typing import TypedDict

from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode


class Order(TypedDict, total=False):
    """What the baker takes and gives."""

    pizza: str
    size: str
    ready: str


class Evening(TypedDict, total=False):
    """The state of this graph."""

    order: Order
    dinner: str


def dine(state: Evening) -> Evening:
    """What is done here, after what is done elsewhere."""
    return {"dinner": f"On the table: {state['order']['ready']}."}


baker = ACPNode(
    "baker",
    "baker",
    os.environ.get("AGENTS_URL", "http://127.0.0.1:8000"),
    input_path="order",
    input_type=Order,
    output_path="order",
    output_type=Order,
    # The server cancels its nodes when it stops or reloads. The remote run goes on, and is rejoined.
    on_cancel="detach",
)
builder = StateGraph(Evening)
builder.add_node(baker)
builder.add_node(dine)
builder.add_edge(START, "baker")
builder.add_edge("baker", "dine")
graph = builder.compile()
