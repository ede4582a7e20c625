r"""A graph in `langgraph dev` that is suspended while its remote agent works, and woken by a webhook.

Two terminals; the agent is the one of the example beside this:

    acp-langgraph serve ../langgraph_dev/agents --webhook http://127.0.0.1:2024

    export ACP_LANGGRAPH_WAKE_URL=http://127.0.0.1:2024/wake
    export ACP_LANGGRAPH_WAKE_SECRET=whsec_...     `new_secret()` of acp_langgraph.core.webhooks makes one
    langgraph dev                                  in this folder

While the agent works, the thread's status is `interrupted`, and no run of it is there. `app.py` is mounted into
the server by langgraph.json; it takes the webhook, and has the server go on with the thread. For webhooks that
are lost there is the sweeper:

    acp-langgraph wake dinner.py:graph --server http://127.0.0.1:2024
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
    wait="suspend",
)
builder = StateGraph(Evening)
builder.add_node(baker)
builder.add_node(dine)
builder.add_edge(START, "baker")
builder.add_edge("baker", "dine")
graph = builder.compile()
