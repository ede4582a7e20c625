from __future__ import annotations

import json
from contextlib import contextmanager

import httpx
import pytest

from acp_langgraph.testing import Answer, Ask, Emit, Fail, FakeACPServer, Fault, Gate, Work

SCRIPT = [Emit({"n": 1}), Emit({"text": "a"}, "values"), Ask("?"), Emit({"n": 2}), Answer(3)]


def events(text: str) -> list[tuple[int, dict]]:
    """Ids and data of the events of a stream."""
    blocks = [dict(line.split(": ", 1) for line in b.splitlines()) for b in text.split("\n\n") if b]
    assert all(block["event"] == "agent_event" for block in blocks)
    return [(int(block["id"]), json.loads(block["data"])) for block in blocks]


def kinds(text: str) -> list[tuple[int, str]]:
    return [(number, data["type"]) for number, data in events(text)]


def stream(client, server, body=None) -> str:
    return client.post(f"{server.url}/runs/stream", json={"config": {}, **(body or {})}).text


def read_until_it_breaks(answer) -> tuple[bytes, str]:
    received = b""
    try:
        for piece in answer.iter_raw():
            received += piece
    except httpx.RemoteProtocolError as error:
        return received, str(error)
    return received, ""


@contextmanager
def joined(client, server, **headers):
    url = f"{server.url}/runs/{server.run.run_id}/stream"
    with client.stream("GET", url, headers=headers) as answer:
        yield answer.iter_raw()


def test_a_stream_carries_updates_and_how_the_run_was_settled(client):
    with FakeACPServer(SCRIPT) as server:
        first = events(stream(client, server))
        run_id = server.run.run_id
        client.post(f"{server.url}/runs/{run_id}", json="yes")
        second = events(client.get(f"{server.url}/runs/{run_id}/stream").text)
    assert first == [
        (1, {"type": "custom", "run_id": run_id, "status": "pending", "update": {"n": 1}}),
        (2, {"type": "values", "run_id": run_id, "status": "pending", "values": {"text": "a"}}),
        (3, {"type": "interrupt", "run_id": run_id, "status": "interrupted", "interrupt": "?"}),
    ]
    assert second == [
        (4, {"type": "custom", "run_id": run_id, "status": "pending", "update": {"n": 2}}),
        (5, {"type": "values", "run_id": run_id, "status": "success", "values": 3}),
    ]


def test_a_failed_run_ends_its_stream_with_an_error(client):
    with FakeACPServer([Fail("no", 3)]) as server:
        [(_, data)] = events(stream(client, server))
    assert (data["type"], data["errcode"], data["status"]) == ("error", 3, "error")


@pytest.mark.parametrize(
    ("mode", "seen"),
    [("values", [2, 3]), ("custom", [1, 3]), (["values", "custom"], [1, 2, 3])],
)
def test_the_stream_mode_chooses_updates_and_ids_stay_the_same(client, mode, seen):
    with FakeACPServer(SCRIPT) as server:
        assert [
            number for number, _ in events(stream(client, server, {"stream_mode": mode}))
        ] == seen


def test_a_stream_is_joined_again_after_the_last_event_seen(client):
    with FakeACPServer(SCRIPT) as server:
        stream(client, server)
        with joined(client, server, **{"last-event-id": "1"}) as pieces:
            rest = b"".join(pieces).decode()
    assert kinds(rest) == [(2, "values"), (3, "interrupt")]


def test_events_come_while_the_run_works(client):
    gate = Gate()
    with FakeACPServer([Emit(1), Work(gate), Emit(2), Answer(3)]) as server:
        client.post(f"{server.url}/runs", json={})
        with joined(client, server) as pieces:
            assert kinds(next(pieces).decode()) == [(1, "custom")]
            gate.open()
            assert kinds(b"".join(pieces).decode()) == [(2, "custom"), (3, "values")]


def test_raw_bytes_of_a_script_go_out_as_they_are(client):
    with FakeACPServer(
        [Emit(b":", "raw"), Emit(b"data: \xe2\x80\xa8", "raw"), Answer(1)]
    ) as server:
        assert stream(client, server).startswith(":data: \u2028id: 3\n")


def test_a_stream_is_cut_where_the_fault_says(client):
    with FakeACPServer(SCRIPT) as server:
        whole = stream(client, server)
        server.faults.add(Fault.drop_after(300), on="create_and_stream_stateless_run_output")
        with client.stream("POST", f"{server.url}/runs/stream", json={}) as answer:
            received, error = read_until_it_breaks(answer)
    assert "incomplete" in error
    assert 0 < len(received) < len(whole)
    assert server.created == 2


def test_agntcys_streams_begin_at_1_stay_pending_and_end_without_saying_how(client):
    with FakeACPServer.like_agntcy(SCRIPT, default_agent=True) as server:
        first = events(stream(client, server))
        assert [(number, data["status"]) for number, data in first] == [
            (1, "pending"),
            (2, "pending"),
        ]
        client.post(f"{server.url}/runs/{server.run.run_id}", json="yes")
        with joined(client, server, **{"last-event-id": "1"}) as pieces:
            assert b"".join(pieces) == b""
    assert server.run.completed


def test_agntcys_joined_streams_show_only_what_comes_later(client):
    gate = Gate()
    script = [Emit(1), Work(gate), Emit(2), Answer(3)]
    with FakeACPServer.like_agntcy(script, default_agent=True) as server:
        client.post(f"{server.url}/runs", json={"config": {}})
        with joined(client, server) as pieces:
            gate.open()
            [(number, data)] = events(b"".join(pieces).decode())
    assert (number, data["update"]) == (1, 2)


def test_agntcys_streams_say_an_error_three_times_and_then_stay_open(client):
    with FakeACPServer.like_agntcy([Fail("boom")], default_agent=True) as server:
        with client.stream("POST", f"{server.url}/runs/stream", json={"config": {}}) as answer:
            pieces = answer.iter_raw()
            seen = b""
            while seen.count(b"\n\n") < 3:
                seen += next(pieces)
            assert kinds(seen.decode()) == [(1, "error"), (2, "error"), (3, "error")]
            assert server.open_connections == 1
        server.wait_until(lambda: server.open_connections == 0)
