"""Streams that say too much or never come to their end: the run's outcome counts, and each event once."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from support.colors import Color
from support.events import emitted

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import ACPRunException
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Fail, FakeACPServer, Fault, Gate, Response, Work

STREAM = "stream_stateless_run_output"
WAIT = "wait_for_stateless_run_output"
FOR_EVER = 60  # joins, of which the last finds no stream
FEW = 8
LONG = 400  # pieces, sent in eight seconds


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def event(update: Any, number: Any = None) -> bytes:
    data = json.dumps({"type": "custom", "run_id": "r", "status": "pending", "update": update})
    return said(data, number)


def said(data: str, number: Any = None, kind: str = "agent_event") -> bytes:
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: {kind}\ndata: {data}\n\n".encode()


def streaming(server: FakeACPServer, joins: Iterable[Iterable[bytes | Gate]]) -> None:
    """Have the server's streams be these, one for each join; then there is none."""
    faults = [Fault.respond(Response.stream(pieces)) for pieces in joins]
    server.faults.add(*faults, Fault.status(404), on=STREAM)


def watch(server: FakeACPServer, color: Color, *, timeout: float = 5.0) -> tuple[list[Any], Any]:
    """The kinds and payloads of the events, and the answer."""
    configuration = ApiClientConfiguration(server.url, timeout=timeout)
    node = ACPNode("remote", server.agent_id, configuration, "ask", None, "answer", None)
    builder = StateGraph(State).add_node(node).add_edge(START, "remote")
    graph = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    seen = color.stream(graph, {"ask": {}}, config, stream_mode=["custom", "values"])
    events = [(item["kind"], item["payload"]) for mode, item in emitted(seen) if mode == "custom"]
    return events, seen[-1][1].get("answer")


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "no-ids"])
def test_a_stream_that_starts_anew_at_each_join_is_shown_once_and_ends_with_the_run(
    color: Color, ids: bool
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        pieces = [event({"n": n}, n if ids else None) for n in (1, 2, 3)]
        streaming(server, [pieces] * FOR_EVER)
        events, answer = watch(server, color)
        assert server.requests.count(STREAM) < FEW
    assert events == [("custom", {"n": n}) for n in (1, 2, 3)]
    assert answer == "done"


def test_a_stream_that_starts_anew_while_the_run_works_leaves_it_to_the_wait(color: Color) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        streaming(server, [[event({"n": 1}), event({"n": 1})]] * FOR_EVER)

        def open_when_waited_for() -> None:
            server.requests.wait_for(WAIT)
            gate.open()

        opening = threading.Thread(target=open_when_waited_for)
        opening.start()
        events, answer = watch(server, color)
        opening.join()
        assert server.requests.count(STREAM) < FEW
    assert events == [("custom", {"n": 1})] * 2  # two events that say the same
    assert answer == "done"


def test_a_stream_that_starts_anew_with_more_shows_what_is_more(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        told = [event({"n": n}) for n in (1, 2, 3, 4)]
        streaming(server, [told[:1], told[:3], told[:4], told[:4]])
        events, answer = watch(server, color)
    assert events == [("custom", {"n": n}) for n in (1, 2, 3, 4)]
    assert answer == "done"


def test_a_stream_that_breaks_and_starts_anew_shows_nothing_twice(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        told = [event({"n": n}) for n in (1, 2, 3)]
        torn = [Fault.respond(Response.stream(told)) | Fault.drop_after(500) for _ in range(3)]
        server.faults.add(*torn, *[Fault.respond(Response.stream(told))] * FOR_EVER, on=STREAM)
        events, answer = watch(server, color)
        assert server.requests.count(STREAM) < FEW
    assert [payload for kind, payload in events if kind == "custom"] == [
        {"n": n} for n in (1, 2, 3)
    ]
    assert answer == "done"


def test_streams_that_each_tell_something_new_and_end_are_left_once_the_run_is_done(
    color: Color,
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        streaming(server, ([event({"at": n})] for n in range(FOR_EVER)))
        events, answer = watch(server, color)
        joins = server.requests.count(STREAM)
        assert joins < FEW
    assert [each for kind, each in events if kind == "custom"] == [{"at": n} for n in range(joins)]
    assert answer == "done"


def test_an_event_that_is_sent_again_with_its_id_is_shown_once(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        pieces = [event({"n": 1}, 1), event({"n": 2}, 2), event({"n": 2}, 2), event({"n": 1}, 1)]
        streaming(server, [[*pieces, event({"n": 3}, 3)]])
        events, answer = watch(server, color)
    assert events == [("custom", {"n": n}) for n in (1, 2, 3)]
    assert answer == "done"


class Unsettled:
    """A stream that goes on for long after its run is done."""

    def __init__(self, repeated: list[bytes]) -> None:
        self.sent = 0
        self._repeated = itertools.cycle(repeated)

    def pieces(self) -> Iterator[bytes]:
        yield event({"n": 1}, 1)
        for piece in itertools.islice(self._repeated, LONG):
            threading.Event().wait(0.02)  # the pace of the server
            yield piece
            self.sent += 1


@pytest.mark.parametrize(
    "repeated",
    [
        [b": keep-alive\n\n"],
        [said("ping")],
        [event({"n": 1}, 1)],
        [event({"state": "idle"})],
        [event({"state": n}, n + 2) for n in range(4)],
        [said(json.dumps({"time": n}), kind="ping") for n in range(LONG)],
    ],
    ids=["comments", "no-json", "same-id", "same-content", "in-turn", "kind-of-its-own"],
)
def test_a_stream_that_goes_on_after_its_run_is_left(color: Color, repeated: list[bytes]) -> None:
    stream = Unsettled(repeated)
    with FakeACPServer([Answer("done")]) as server:
        streaming(server, (stream.pieces() for _ in range(FEW)))
        _, answer = watch(server, color, timeout=0.4)
    assert answer == "done"
    assert stream.sent < LONG / 2


def test_a_failed_run_whose_stream_starts_anew_for_ever_has_failed(color: Color) -> None:
    with FakeACPServer([Fail("no ink")]) as server:
        streaming(server, [[event({"n": 1})]] * FOR_EVER)
        with pytest.raises(ACPRunException, match="no ink"):
            watch(server, color)
        assert server.requests.count(STREAM) < FEW


@pytest.mark.parametrize("data", ["ping", "[DONE]", "", "{", "NaN,", "\u2028"])
@pytest.mark.parametrize("kind", ["agent_event", "message", "ping"])
def test_an_event_that_is_no_json_is_skipped_and_the_rest_is_shown(
    color: Color, data: str, kind: str
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        streaming(server, [[event({"n": 1}, 1), said(data, kind=kind), event({"n": 2}, 2)]])
        events, answer = watch(server, color)
    assert events == [("custom", {"n": 1}), ("custom", {"n": 2})]
    assert answer == "done"


@pytest.mark.parametrize("data", ["5", "null", "[]", '"ping"', "{}"])
def test_json_that_is_no_update_is_skipped_and_the_rest_is_shown(color: Color, data: str) -> None:
    with FakeACPServer([Answer("done")]) as server:
        streaming(server, [[event({"n": 1}, 1), said(data), event({"n": 2}, 2)]])
        events, answer = watch(server, color)
    assert events == [("custom", {"n": 1}), ("custom", {"n": 2})]
    assert answer == "done"
