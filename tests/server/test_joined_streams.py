"""A node that creates a run first and joins its stream then misses nothing."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from support.colors import Color
from support.events import emitted

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.server import serve


class State(TypedDict, total=False):
    ask: Any
    answer: Any


class Text(TypedDict):
    text: str


def hasty() -> Any:
    """An agent that emits, asks and emits, as fast as it can."""

    def first(_: Text) -> None:
        for number in range(3):
            get_stream_writer()({"n": number})

    def second(state: Text) -> Text:
        answer = interrupt("color?")
        get_stream_writer()({"n": 3})
        return {"text": f"{state['text']} {answer}"}

    builder = StateGraph(Text)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    return builder.compile()


def test_a_run_that_is_over_before_its_stream_is_joined_is_seen_whole(color: Color) -> None:
    with serve({"hasty": hasty()}) as server:
        node = ACPNode(
            "remote", "hasty", server.url, "ask", None, "answer", None, stream_mode="custom"
        )
        builder = StateGraph(State)
        builder.add_node(node)
        builder.add_edge(START, "remote")
        graph = builder.compile(checkpointer=InMemorySaver())
        for thread in range(5):
            config: Any = {"configurable": {"thread_id": str(thread)}}
            given: Any = {"ask": {"text": "sky"}}
            events = color.stream(graph, given, config, stream_mode="custom")
            events += color.stream(graph, Command(resume="blue"), config, stream_mode="custom")
            shown = [(event["kind"], event["payload"]) for event in emitted(events)]
            assert shown == [
                *[("custom", {"n": number}) for number in range(4)],
                ("values", {"text": "sky blue"}),
            ]
