"""A graph whose model calls a remote agent twice at once as a tool; built in the processes that get killed."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode

from acp_langgraph import ACPNode

__all__ = ["build"]


class State(TypedDict, total=False):
    """The graph's state."""

    ask: dict[str, Any]
    messages: Annotated[list[AnyMessage], add_messages]
    answer: Any


class Text(TypedDict):
    """What the agent takes."""

    text: str


def call(state: State) -> Any:
    """What a model would say that wants the same of the same agent twice."""
    calls = [
        {"name": "remote", "args": {"text": f"{state['ask']['text']} {each}"}, "id": f"call {each}"}
        for each in ("a", "b")
    ]
    return {"messages": AIMessage("", id="calls", tool_calls=calls)}


def read(state: State) -> Any:
    """The answers to both calls."""
    return {"answer": [message.artifact["answers"] for message in state["messages"][1:]]}


def build(job: dict[str, Any]) -> Any:
    """The graph's builder."""
    node = ACPNode(
        "remote",
        job["agent_id"],
        job["url"],
        input_type=Text,
    )
    tools = ToolNode([node.as_tool()], name="tools")
    builder = StateGraph(State).add_node(call).add_node(tools).add_node(read)
    return builder.add_edge(START, "call").add_edge("call", "tools").add_edge("tools", "read")
