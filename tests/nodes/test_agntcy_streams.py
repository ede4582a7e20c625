"""AGNTCY's server streams in ways of its own; its bytes, as recorded from it, come to the right end."""

from __future__ import annotations

import json
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color
from support.events import emitted

from acp_langgraph.errors import ACPRunException
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import (
    Answer,
    Ask,
    Fail,
    FakeACPServer,
    FakeAgent,
    Fault,
    Gate,
    Response,
)

STREAM = "stream_stateless_run_output"
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"date: Sun, 22 Nov 2026 06:31:31 GMT\r\n"
    b"server: uvicorn\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"Connection: close\r\n\r\n"
)
KEEP_ALIVE = b"1\r\n:\r\n"
END = b"0\r\n\r\n"
CAPABILITIES = {
    "threads": True,
    "interrupts": True,
    "callbacks": True,
    "streaming": {"values": True, "custom": False},
}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def chunk(number: int, **update: Any) -> bytes:
    data = json.dumps({"run_id": "429d2da0-45ba-47ec-ab48-2a850197b36f", **update})
    event = f"id: {number}\nevent: agent_event\ndata: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(event), event)


def values(number: int, text: str) -> bytes:
    return chunk(number, type="values", status="pending", values={"text": text})


def error(number: int) -> bytes:
    return chunk(number, type="error", errcode=0, description="boom: hi", status="error")


def serving(script: Any, *recorded: list[Any]) -> FakeACPServer:
    """A server whose runs follow a script, and whose streams are the recorded ones, in order."""
    agent = FakeAgent("agent", script, capabilities=CAPABILITIES)
    server = FakeACPServer.like_agntcy(agents=[agent])
    faults = [Fault.respond(Response.recorded([HEAD, *pieces])) for pieces in recorded]
    server.faults.add(*faults, on=STREAM)
    return server


def watch(server: FakeACPServer, color: Color, *answers: Any) -> tuple[list[Any], Any]:
    """Kinds and payloads of the events, and the graph's last state."""
    builder = StateGraph(State)
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
    builder.add_node(node)
    builder.add_edge(START, "remote")
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    seen = []
    for given in [{"ask": {"text": "hi"}}, *(Command(resume=answer) for answer in answers)]:
        seen += color.stream(graph, given, config, stream_mode=["custom", "values"])
    events = [(item["kind"], item["payload"]) for mode, item in emitted(seen) if mode == "custom"]
    return events, seen[-1][1]


def test_a_stream_that_ends_without_saying_how_is_settled_by_reading_the_run(color: Color) -> None:
    recorded = [values(1, "hi1"), values(2, "hi12"), values(3, "hi123"), END]
    with serving([Answer({"text": "hi123"})], recorded) as server:
        events, state = watch(server, color)
        assert "stream_mode" not in server.run.creation
    assert events == [("values", {"text": text}) for text in ("hi1", "hi12", "hi123")]
    assert state["answer"] == {"text": "hi123"}


@pytest.mark.parametrize(
    "pieces",
    [
        [KEEP_ALIVE, values(1, "slow hi") + END],
        [KEEP_ALIVE, KEEP_ALIVE, values(1, "slow hi"), KEEP_ALIVE, END],
        [KEEP_ALIVE + values(1, "slow hi"), END],
    ],
)
def test_keep_alives_that_stick_to_an_event_hide_neither_it_nor_its_id(
    color: Color, pieces: list[bytes]
) -> None:
    with serving([Answer({"text": "slow hi"})], pieces) as server:
        events, state = watch(server, color)
        joins = server.requests.matching(STREAM)
        assert [request.headers["last-event-id"] for request in joins] == ["0", "1"]
    assert events == [("values", {"text": "slow hi"})]
    assert state["answer"] == {"text": "slow hi"}


def test_an_empty_stream_at_a_question_is_a_question(color: Color) -> None:
    script = [Ask({"question": "color?"}, name="ask_one"), Answer({"text": "blue"})]
    with serving(script, [END], [values(1, "blue"), END]) as server:
        events, state = watch(server, color, {"answer": "blue"})
        assert server.run.answers == [{"answer": "blue"}]
        assert server.created == 1
    assert events == [("values", {"text": "blue"})]
    assert state["answer"] == {"text": "blue"}


def test_a_failed_run_whose_stream_never_closes_has_failed(color: Color) -> None:
    for_ever = Gate("as long as the test lasts")
    recorded = [error(1), error(2), error(3), KEEP_ALIVE, for_ever, KEEP_ALIVE]
    with serving([Fail("boom: hi")], recorded) as server:
        with pytest.raises(ACPRunException, match="boom: hi"):
            watch(server, color)
        for_ever.open()


def test_ids_that_restart_after_a_break_hide_nothing_and_the_gap_is_said(color: Color) -> None:
    before = [values(1, "hi1"), values(2, "hi12"), values(3, "hi1")[:-40]]
    after = [values(1, "hi1234"), values(2, "hi12345"), END]
    with serving([Answer({"text": "hi12345"})], before, after) as server:
        events, state = watch(server, color)
    assert events == [
        ("values", {"text": "hi1"}),
        ("values", {"text": "hi12"}),
        ("gap", {"after": "2", "before": "1"}),
        ("values", {"text": "hi1234"}),
        ("values", {"text": "hi12345"}),
    ]
    assert state["answer"] == {"text": "hi12345"}


def test_a_break_after_which_a_join_shows_nothing_more_is_said(color: Color) -> None:
    with serving([Answer({"text": "hi12"})], [values(1, "hi1")[:-1]], [END]) as server:
        events, state = watch(server, color)
    assert events == [("values", {"text": "hi1"}), ("gap", {"after": "1", "before": None})]
    assert state["answer"] == {"text": "hi12"}
