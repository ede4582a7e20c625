"""What an A2A agent emits appears in the graph's stream, once, however its stream is cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.types import Command
from support.a2a_graph import ON_A_THREAD, SPOKEN, remembering
from support.colors import Color

from acp_langgraph.testing import Answer, Ask, Emit, FakeA2AServer, Fault, Gate, Response, Work

INPUT = {"ask": "pie"}


@pytest.fixture(params=SPOKEN, ids=str)
def spoken(request: pytest.FixtureRequest) -> Any:
    return request.param


def emitted(events: list[Any], kind: str = "custom") -> list[Any]:
    return [event["payload"] for event in events if event["kind"] == kind]


def pieces(events: list[Any]) -> list[Any]:
    """The texts and values of the artifacts' parts, as they came."""
    found = [part for each in emitted(events) for part in each["artifact"]["parts"]]
    return [part.get("text", part.get("data")) for part in found]


def slowly(*moves: Any) -> Any:
    """A script that goes on, move by move, whenever somebody has looked."""
    return [each for move in moves for each in (Work(0.01), move)]


SCRIPT = slowly(Emit("One "), Emit("large "), Emit({"ok": True}), Emit("large "), Answer("pie"))
SHOWN = ["One ", "large ", {"ok": True}, "large ", "pie"]


def test_every_piece_is_in_the_custom_stream_once(color: Color, spoken: Any) -> None:
    with FakeA2AServer(SCRIPT, **spoken) as server:
        events = color.stream(remembering(server), INPUT, ON_A_THREAD, stream_mode="custom")
        assert pieces(events) == SHOWN
        states = [each["state"] for each in emitted(events, "progress")]
        assert (states[0], states[-1]) == ("created", "finished")
        assert {event["run_id"] for event in events} == {server.task.task_id}


def test_texts_are_in_the_messages_stream(color: Color, spoken: Any) -> None:
    gate = Gate()
    script = [Emit({"say": "at it"}), Work(gate), Emit("One "), Emit("pie"), Answer()]
    with FakeA2AServer(script, **spoken) as server, ThreadPoolExecutor() as pool:
        joined = pool.submit(server.requests.wait_for, "SubscribeToTask")
        joined.add_done_callback(lambda _: gate.open())
        stream = color.stream(remembering(server), INPUT, ON_A_THREAD, stream_mode="messages")
        said = [message.content for message, data in stream if data["langgraph_node"] == "remote"]
        assert said[0] == "at it"
        assert "".join(said[1:]) == "One pie"


def test_a_task_that_was_over_at_once_is_shown_all_the_same(color: Color, spoken: Any) -> None:
    with FakeA2AServer([Emit("One "), Answer("pie")], **spoken) as server:
        events = color.stream(remembering(server), INPUT, ON_A_THREAD, stream_mode="custom")
        assert pieces(events) == ["One ", "pie"]


def test_a_server_that_cannot_stream_is_looked_at(color: Color, spoken: Any) -> None:
    with FakeA2AServer(SCRIPT, streaming=False, **spoken) as server:
        events = color.stream(remembering(server), INPUT, ON_A_THREAD, stream_mode="custom")
        assert pieces(events) == SHOWN
        assert server.requests.count("SubscribeToTask") == 0


def test_what_comes_after_an_answer_is_shown_after_it(color: Color, spoken: Any) -> None:
    script = slowly(Emit("a"), Ask("color?"), Emit("b"), Answer("c"))
    with FakeA2AServer(script, **spoken) as server:
        graph = remembering(server)
        before = color.stream(graph, INPUT, ON_A_THREAD, stream_mode="custom")
        after = color.stream(graph, Command(resume="x"), ON_A_THREAD, stream_mode="custom")
        assert pieces(before) == ["a"]
        assert pieces(after) == ["b", "c"]


def test_nothing_is_followed_or_shown_where_nothing_is_wanted(color: Color) -> None:
    with FakeA2AServer(SCRIPT) as server:
        events = color.stream(
            remembering(server, stream_mode=None), INPUT, ON_A_THREAD, stream_mode="custom"
        )
        assert pieces(events) == []


@pytest.mark.parametrize("at", [0, 300, 600])
def test_a_stream_that_is_cut_anywhere_loses_and_repeats_nothing(
    color: Color, spoken: Any, at: int
) -> None:
    with FakeA2AServer(SCRIPT, **spoken) as server:
        server.faults.add(Fault.drop_after(at), Fault.drop_after(at), on="SubscribeToTask")
        events = color.stream(remembering(server), INPUT, ON_A_THREAD, stream_mode="custom")
        assert pieces(events) == SHOWN
        assert server.created == 1


@pytest.mark.parametrize(
    "body",
    [
        b"data: [DONE]\n\n",
        b"data: {}\n\ndata: 7\n\ndata:\n\n",
        b'data: {"jsonrpc": "2.0", "id": "1", "error": {"code": -32603, "message": "x"}}\n\n',
        b'data: {"result": {"statusUpdate": {"status": 7}}}\n\n',
        b'data: {"result": ' + b"[" * 500 + b"]" * 500 + b"}\n\n",
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_a_stream_of_no_sense_is_left_and_the_task_looked_at(color: Color, body: bytes) -> None:
    with FakeA2AServer(SCRIPT) as server:
        told = Response.stream([body])
        server.faults.add(Fault.respond(told), on="SubscribeToTask", times=None)
        graph = remembering(server)
        events = color.stream(graph, INPUT, ON_A_THREAD, stream_mode="custom")
        assert pieces(events) == SHOWN
        assert color.invoke(graph, INPUT, {"configurable": {"thread_id": "2"}})["answer"]


def test_an_event_that_is_too_large_is_not_held(color: Color) -> None:
    def endless() -> Any:
        while True:
            yield b"data: " + b"x" * 65536

    with FakeA2AServer(SCRIPT) as server:
        graph = remembering(server)
        node = graph.nodes["remote"].bound
        for transport in (node.transport, node.async_transport):
            transport.endpoint.configuration.__dict__["max_answer_bytes"] = 300_000
        server.faults.add(Fault.respond(Response.stream(endless())), on="SubscribeToTask", times=2)
        events = color.stream(graph, INPUT, ON_A_THREAD, stream_mode="custom")
        assert pieces(events) == SHOWN


def test_a_stream_that_stays_open_in_silence_does_not_hold_a_task_that_is_done(
    color: Color,
) -> None:
    gate = Gate()
    with FakeA2AServer([Work(0.01), Answer("pie")]) as server:
        silent = Response.stream([gate])
        server.faults.add(Fault.respond(silent), on="SubscribeToTask", times=None)
        answer = color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"]
        gate.open()
        assert answer == "pie"
