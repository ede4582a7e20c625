"""The stream of a graph on a LangGraph server is cut anywhere: each event is shown once, pieces of messages too."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from langgraph.types import Command
from support.colors import Color
from support.events import emitted
from support.remote_graph import remembering

from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.testing import Answer, Ask, Emit, FakeLangGraphServer, Fault, Response


def piece(text: str) -> Emit:
    return Emit({"type": "AIMessageChunk", "content": text, "id": "m1"}, "messages")


SCRIPT = [
    *[Emit({"n": 1}), piece("One"), piece(" "), piece("pie"), piece(" ")],
    Emit({"text": "a\u2028ä"}, "values"),
    Ask("color?"),
    *[Emit({"n": 2}, namespace="child:1"), Emit({"n": 2}, namespace="child:1"), Emit({"n": 3})],
    Answer({"text": "done"}),
]
PIECES = ["One", " ", "pie", " "]
SHOWN = [
    *[("custom", {"n": 1})],
    *[("messages", each) for each in PIECES],
    *[("values", {"text": "a\u2028ä"})],
    *[("custom", {"n": 2}), ("custom", {"n": 2}), ("custom", {"n": 3})],
    *[("values", {"text": "done"})],
]
BOTH_KINDS = pytest.mark.parametrize(
    "served", [FakeLangGraphServer, FakeLangGraphServer.like_aegra], ids=["dev", "aegra"]
)


def watch(graph: Any, color: Color, thread: str) -> tuple[list[Any], Any, Any]:
    """Run it to its end; the events, the question and the answer."""
    config: Any = {"configurable": {"thread_id": thread}}
    modes = ["custom", "values"]
    first = color.stream(graph, {"ask": {}}, config, stream_mode=modes)
    second = color.stream(graph, Command(resume="blue"), config, stream_mode=modes)
    events = [item for mode, item in emitted(first + second) if mode == "custom"]
    return events, first[-1][1]["__interrupt__"][0].value, second[-1][1]["answer"]


def shown(events: list[Any]) -> list[tuple[str, Any]]:
    return [
        (
            each["kind"],
            each["payload"]["content"] if each["kind"] == "messages" else each["payload"],
        )
        for each in events
    ]


def length_of(server: FakeLangGraphServer) -> int:
    """Bytes of a run's first stream, headers and all, at least."""
    order = GraphOrder("measured", "agent", {}, stream_mode=("values", "custom", "messages-tuple"))
    url = f"{server.url}/threads/{order.thread_id}/runs"
    run = httpx.post(url, json=order.starting()).json()["run_id"]
    asking = {"last-event-id": "-1"}
    with httpx.stream("GET", f"{url}/{run}/stream", headers=asking) as answer:
        return sum(map(len, answer.iter_raw())) + 60


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("leg", [1, 2])
@BOTH_KINDS
def test_a_stream_cut_at_any_byte_loses_and_repeats_nothing(
    color: Color, served: Any, leg: int, reset: bool, points: int
) -> None:
    with served(SCRIPT) as server:
        graph = remembering(server)
        length = length_of(server) // leg
        for place in range(0, length, max(1, length // (points // 2))):
            server.faults.clear()
            # Where no event says that a stream is at its end, it is joined once more.
            nth = leg if server.behavior.says_end else 2 * leg - 1
            cut = Fault.drop_after(place, reset=reset)
            rule = server.faults.add(cut, on="stream_run", nth=nth)
            events, question, answer = watch(graph, color, f"{leg} {place}")
            assert rule.hits == 1, place
            assert (question, answer) == ("color?", {"text": "done"}), place
            assert shown(events) == SHOWN, (place, events)


@BOTH_KINDS
def test_a_stream_cut_after_every_event_loses_and_repeats_nothing(
    color: Color, served: Any
) -> None:
    with served(SCRIPT) as server:
        server.faults.add(*[Fault.drop_after(n) for n in range(300, 900, 40)], on="stream_run")
        events, _, answer = watch(remembering(server), color, "1")
        assert shown(events) == SHOWN
        assert answer == {"text": "done"}
        assert server.created == 1


def test_what_a_remote_subgraph_emits_says_where_it_is_from(color: Color) -> None:
    with FakeLangGraphServer(SCRIPT) as server:
        events, _, _ = watch(remembering(server), color, "1")
    assert [each.get("namespace") for each in events if each["payload"] == {"n": 2}] == [
        *[["child:1"], ["child:1"]]
    ]
    assert "namespace" not in events[0]


def test_a_remote_subgraphs_output_appears_under_the_nodes_namespace(color: Color) -> None:
    script = [
        *[Emit({"a": 1}, "values"), Emit({"b": 2}, "values", "child:1|deep:2"), Answer({"c": 3})]
    ]
    with FakeLangGraphServer(script) as server:
        config: Any = {"configurable": {"thread_id": "1"}}
        graph = remembering(server)
        items = color.stream(graph, {"ask": {}}, config, stream_mode="values", subgraphs=True)
    inner = [(place[1:], values) for place, values in items if place]
    assert inner == [((), {"a": 1}), (("child:1", "deep:2"), {"b": 2}), ((), {"c": 3})]


@BOTH_KINDS
def test_pieces_of_a_message_arrive_in_the_messages_of_the_graph(color: Color, served: Any) -> None:
    script = [*map(piece, PIECES), Answer({"text": "done"})]
    with served(script) as server:
        server.faults.add(Fault.drop_after(420), on="stream_run")
        config: Any = {"configurable": {"thread_id": "1"}}
        graph = remembering(server)
        said = color.stream(graph, {"ask": {}}, config, stream_mode="messages")
    assert [message.content for message, _ in said] == PIECES
    assert {about["langgraph_node"] for _, about in said} == {"remote"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(404),
        Fault.html(),
        Fault.html(502),
        Fault.drop_unread(),
        Fault.oversized(10_000),
    ],
    ids=repr,
)
def test_a_run_whose_stream_never_works_comes_to_its_result(color: Color, fault: Fault) -> None:
    with FakeLangGraphServer(SCRIPT) as server:
        server.faults.add(fault, on="stream_run", times=None)
        events, question, answer = watch(remembering(server), color, "1")
        assert (events, question, answer) == ([], "color?", {"text": "done"})


def test_if_nobody_watches_nothing_is_streamed_nor_kept_for_it(color: Color) -> None:
    with FakeLangGraphServer([Answer("done")]) as server:
        color.invoke(remembering(server), {"ask": {}}, {"configurable": {"thread_id": "1"}})
        assert not server.requests.matching("stream_run")
        assert not {"stream_mode", "stream_resumable"} & server.requests[0].json.keys()


def test_where_a_server_lost_what_was_streamed_a_gap_is_told(color: Color) -> None:
    with FakeLangGraphServer(SCRIPT) as server:
        server.faults.add(Fault.drop_after(500), on="stream_run")
        only_late = "id: 1700000009999-0\r\nevent: custom\r\ndata: {}\r\n\r\n"
        late = Fault("late", alter=lambda _: _streamed(only_late))
        server.faults.add(late, on="stream_run", nth=2)
        events, _, _ = watch(remembering(server), color, "1")
    assert "gap" in [each["kind"] for each in events]


def _streamed(text: str) -> Any:
    return Response.stream([text.encode()])
