"""What servers of LangGraph's Agent Protocol send, however odd, is read or passed over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.agent_protocol.job import GraphJob
from acp_langgraph.agent_protocol.listening import Overlap, told_by
from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.core.flow import Ask
from acp_langgraph.core.sse import SSEDecoder
from acp_langgraph.errors import EventStreamError, RemoteGraphError
from acp_langgraph.jobs.life import run_job


def told(text: str, size: int = 1000) -> list[Any]:
    """What is shown of a stream."""
    return shown_of(SSEDecoder(max_event_size=size), Overlap(lambda: True), text)


def shown_of(events: SSEDecoder, overlap: Overlap, text: str) -> list[Any]:
    """What is shown of the next piece of a stream."""
    found = [each for event in events.feed(text.encode()) for each in told_by(overlap, event)]
    return [shown for each in found for shown in each.shown]


def event(kind: str, data: Any) -> str:
    return f"event: {kind}\r\ndata: {json.dumps(data)}\r\nid: 1-0\r\n\r\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (event("custom", {"n": 1}), [("custom", {"n": 1}, [])]),
        (event("custom", None), [("custom", None, [])]),
        (event("custom|a:1|b:2", 1), [("custom", 1, ["a:1", "b:2"])]),
        (event("values", {"a": 1}), [("values", {"a": 1}, [])]),
        (event("values", {"a": 1, "__interrupt__": []}), [("values", {"a": 1}, [])]),
        (event("values", {"__interrupt__": []}), []),
        (event("messages", [{"content": "hi"}, {}]), [("messages", {"content": "hi"}, [])]),
        (event("messages", []), []),
        (event("messages", "hi"), []),
        (event("messages", ["hi"]), []),
        (event("updates", {"a": 1}), []),
        (event("metadata", {"run_id": "1"}), []),
        (event("anything", {"a": 1}), []),
        (": heartbeat\r\n\r\n", []),
        ("event: custom\r\ndata: {broken\r\n\r\n", []),
        ("event: custom\r\ndata: " + "[" * 400 + "\r\n\r\n", []),
        ("event: custom" + "|x" * 300 + "\r\ndata: 1\r\n\r\n", None),
    ],
)
def test_an_event_is_shown_or_passed_over(text: str, shown: Any) -> None:
    found = [tuple(each) for each in told(text)]
    if shown is None:
        assert len(found[0][2]) <= 100
    else:
        assert found == shown


def test_an_event_that_is_too_large_is_refused() -> None:
    with pytest.raises(EventStreamError):
        told(event("custom", "x" * 100), size=50)


def ended(run: dict[str, Any], state: dict[str, Any]) -> Any:
    """What a job comes to of which a server says this; with a webhook, starting it is a request by itself."""
    order = GraphOrder("key-1", "agent", wakes=lambda _: "http://here.invalid")
    hand = Hand(run_job(GraphJob(order), can_ask=True))
    hand.wants("create_run")
    hand.give(reply({"run_id": "1", "status": "pending"}))
    hand.wants("list_runs")
    hand.give(reply([{"run_id": "1", **run}]))
    hand.wants("get_state")
    hand.give(reply(state))
    return hand


@pytest.mark.parametrize(
    "state",
    [
        {"values": {"a": 1}},
        {"values": {"a": 1}, "next": None, "tasks": None, "metadata": None},
        {"values": {"a": 1}, "next": [], "tasks": [], "anything": {"else": 1}},
    ],
)
def test_a_state_may_leave_out_what_it_has_not(state: dict[str, Any]) -> None:
    assert ended({"status": "success", "metadata": None}, state).result["values"] == {"a": 1}


@pytest.mark.parametrize("status", ["success", "interrupted"])
def test_a_run_asks_if_its_thread_has_a_question_whatever_its_status_is(status: str) -> None:
    task = {"id": "t", "name": "ask", "interrupts": [{"id": "q", "value": "color?"}], "error": None}
    hand = ended({"status": status}, {"values": {}, "next": ["ask"], "tasks": [task]})
    assert hand.next == Ask("color?")


@pytest.mark.parametrize(
    ("run", "tasks", "words"),
    [
        ({"status": "error"}, [{"name": "work", "error": "KeyError('a')"}], "in work: KeyError"),
        ({"status": "error", "error_message": "out of memory"}, [], "failed: out of memory"),
        ({"status": "timeout"}, None, "status timeout, without a word"),
        ({"status": "interrupted"}, [{"name": "work"}], "it was cancelled"),
    ],
)
def test_a_failure_tells_what_the_server_does(run: Any, tasks: Any, words: str) -> None:
    with pytest.raises(RemoteGraphError, match=words.replace("(", r"\(")):
        ended(run, {"values": {}, "next": ["work"], "tasks": tasks})


@pytest.mark.parametrize("in_one", [True, False])
def test_what_answers_a_question_is_told_with_it_where_the_server_tells_that(in_one: bool) -> None:
    job = GraphJob(GraphOrder("key-1", "agent", wakes=None if in_one else lambda _: "http://here"))
    task = {"name": "ask", "interrupts": [{"id": "q", "value": "?"}]}
    asks = reply({"values": {}, "next": ["ask"], "tasks": [task]})
    hand = Hand(run_job(job, can_ask=True, answer_schema=job.answer_schema))
    schema = {"type": "string"}
    said = reply({"__interrupt__": [{"id": "q", "value": "?", "response_schema": schema}]})
    if in_one:
        hand.wants("wait_run")
        hand.give(said)
        hand.wants("get_state")
        hand.give(asks)
        hand.wants("list_runs")
        hand.give(reply([{"run_id": "1", "status": "success"}]))
    else:
        hand.wants("create_run")
        hand.give(reply({"run_id": "1", "status": "pending"}))
        hand.wants("list_runs")
        hand.give(reply([{"run_id": "1", "status": "running"}]))
        hand.wants("join_run")
        hand.give(said)
    hand.wants("list_runs")
    hand.give(reply([{"run_id": "1", "status": "success"}]))
    hand.wants("get_state")
    hand.give(asks)
    assert hand.next == Ask("?", schema)


def sent(row: str, young: bool = True) -> str:
    """What is left of a row of events, each a letter in its millisecond: `1a 2b 2c`."""
    overlap = Overlap(lambda: young)
    events = SSEDecoder(max_event_size=1000)
    left = []
    for each in row.split():
        text = f"event: custom\ndata: {json.dumps(each)}\nid: {each[:-1]}-0\n\n"
        left += [shown.payload for shown in shown_of(events, overlap, text)]
    return " ".join(left)


@pytest.mark.parametrize(
    ("row", "left"),
    [
        ("1a 2b 3c", "1a 2b 3c"),
        ("1a 2b 2c 3d", "1a 2b 2c 3d"),
        ("1a 2b 1a 2b 3c", "1a 2b 3c"),
        ("1a 2b 2c 1a 2b 2c 2d 3e", "1a 2b 2c 2d 3e"),
        ("1a 2b 2c 2b 2c 2d 3e", "1a 2b 2c 2d 3e"),
        ("1a 2b 2c 2d 2c 2d 3e", "1a 2b 2c 2d 3e"),
        ("1a 2b 2c 2c 3d", "1a 2b 2c 3d"),
        ("1a 2b 2c 2b 3d", "1a 2b 2c 2b 3d"),
        ("1a 2b 2c 2b 2d", "1a 2b 2c 2b 2d"),
        ("1a 2b 2c 1a 2b 2c 2b 3d", "1a 2b 2c 2b 3d"),
    ],
)
def test_what_a_server_sends_twice_where_old_and_new_meet_is_left_out(row: str, left: str) -> None:
    assert sent(row) == left


def test_later_on_a_connection_the_same_may_come_twice_in_a_millisecond() -> None:
    assert sent("1a 2b 2b 3c", young=False) == "1a 2b 2b 3c"
    assert sent("1a 2b 1a 2b 3c", young=False) == "1a 2b 3c"
