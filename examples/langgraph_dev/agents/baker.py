"""An agent that asks for what it was not told: an ordinary graph, for `acp-langgraph serve`."""

from __future__ import annotations

import asyncio
from typing import TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class Order(TypedDict, total=False):
    """The agent's state."""

    pizza: str
    size: str
    ready: str


def ask(state: Order) -> Order:
    """Ask for the size, if nobody said it."""
    return {"size": state.get("size") or interrupt(f"Which size should the {state['pizza']} have?")}


async def bake(state: Order) -> Order:
    """Tell whoever watches what happens, and be done."""
    tell = get_stream_writer()
    for doing in ("kneading", "baking"):
        tell({"doing": doing})
        await asyncio.sleep(0.1)
    return {"ready": f"a {state['size']} {state['pizza']}"}


builder = StateGraph(Order)
builder.add_sequence([ask, bake])
builder.add_edge(START, "ask")
graph = builder.compile()
