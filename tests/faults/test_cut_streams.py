"""A run's stream is cut anywhere: the graph ends with the right result, each event shown once."""

from __future__ import annotations

from typing import Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color
from support.events import emitted

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, Emit, FakeACPServer, Fault

STREAM = "stream_stateless_run_output"
SCRIPT = [
    Emit({"n": 1}),
    Emit({"text": "a\u2028ä"}, "values"),
    Emit({"n": 3}),
    Ask("color?"),
    Emit({"n": 4}),
    Emit({"n": 5}),
    Answer({"text": "done"}),
]
SHOWN = [{"n": 1}, {"text": "a\u2028ä"}, {"n": 3}, {"n": 4}, {"n": 5}, {"text": "done"}]


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_for(server: FakeACPServer) -> Any:
    builder = StateGraph(State)
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
    builder.add_node(node)
    builder.add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def watch(graph: Any, color: Color, thread: str) -> tuple[list[Any], Any, Any]:
    """Run it to its end; the events, the question and the answer."""
    config: Any = {"configurable": {"thread_id": thread}}
    modes = ["custom", "values"]
    first = color.stream(graph, {"ask": {}}, config, stream_mode=modes)
    second = color.stream(graph, Command(resume="blue"), config, stream_mode=modes)
    events = [item for mode, item in emitted(first + second) if mode == "custom"]
    return events, first[-1][1]["__interrupt__"][0].value, second[-1][1]["answer"]


def length_of(server: FakeACPServer) -> int:
    """Bytes of a run's first stream, headers and all."""
    run = httpx.post(f"{server.url}/runs", json={"config": {}}).json()
    with httpx.stream("GET", f"{server.url}/runs/{run['run_id']}/stream") as answer:
        raw = sum(map(len, answer.iter_raw()))
        chunks = 12 * len(SHOWN)
        return raw + chunks + sum(len(n) + len(v) + 4 for n, v in answer.headers.raw) + 30


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("leg", [1, 2])
def test_a_stream_cut_at_any_byte_loses_and_repeats_nothing(
    color: Color, leg: int, reset: bool, points: int
) -> None:
    with FakeACPServer(SCRIPT) as server:
        graph = graph_for(server)
        length = length_of(server)
        places = range(0, length, max(1, length // (points // 2)))
        for place in places:
            server.faults.clear()
            rule = server.faults.add(Fault.drop_after(place, reset=reset), on=STREAM, nth=leg)
            events, question, answer = watch(graph, color, f"{leg} {place}")
            assert rule.hits == 1, place
            assert (question, answer) == ("color?", {"text": "done"}), place
            assert [event["payload"] for event in events] == SHOWN, (place, events)
        assert server.created == server.completed + 1 == len(places) + 1


def test_a_stream_cut_after_every_event_loses_and_repeats_nothing(color: Color) -> None:
    with FakeACPServer(SCRIPT) as server:
        server.faults.add(*[Fault.drop_after(n) for n in range(300, 500, 20)], on=STREAM)
        events, _, answer = watch(graph_for(server), color, "1")
        assert server.created == 1
    assert [event["payload"] for event in events] == SHOWN
    assert answer == {"text": "done"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(404),
        Fault.status(500, "Not implemented"),
        Fault.html(),
        Fault.html(502),
        Fault.drop_unread(),
        Fault.oversized(100_000),
    ],
    ids=repr,
)
def test_a_run_whose_stream_never_works_comes_to_its_result(color: Color, fault: Fault) -> None:
    with FakeACPServer(SCRIPT) as server:
        server.faults.add(fault, on=STREAM, times=None)
        events, question, answer = watch(graph_for(server), color, "1")
        assert server.created == 1
    assert (events, question, answer) == ([], "color?", {"text": "done"})
