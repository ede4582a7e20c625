from __future__ import annotations

import json
import socket
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from acp_langgraph import A2ANode, ACPNode, RemoteGraphNode
from acp_langgraph.testing import (
    Answer,
    FakeA2AServer,
    FakeACPServer,
    FakeHTTPServer,
    FakeLangGraphServer,
    Fault,
    Gate,
    RecordedRequest,
    Response,
)

ANSWER = {"text": "done", "more": "x" * 40}
REQUEST = b"POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"


class State(TypedDict, total=False):
    ask: Any
    answer: Any


class Worker(FakeHTTPServer):
    """Does a unit of work for each request."""

    operations = {"work": "POST /jobs", "look": "GET /jobs/{id}", "list": "GET /jobs/all"}  # noqa: RUF012 - as the base has it

    def __init__(self) -> None:
        super().__init__()
        self.done = 0

    def respond(self, request: RecordedRequest) -> Response:
        self.done += 1
        return Response.json(ANSWER)


@pytest.fixture
def server():
    with Worker() as server:
        yield server


def on_the_wire(server: FakeHTTPServer, data: bytes = REQUEST) -> tuple[bytes, bool]:
    """All bytes that a request gets until the connection ends, and whether that was by RST."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(data)
        try:
            while part := sock.recv(4096):
                received += part
        except ConnectionResetError:
            return bytes(received), True
    return bytes(received), False


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize(
    ("fault", "done"),
    [(Fault.drop_unread, 0), (Fault.drop_before_work, 0), (Fault.lose_answer, 1)],
)
def test_a_dropped_connection_sends_nothing_and_works_only_as_far_as_it_got(
    server, fault, done, reset
):
    server.faults.add(fault(reset=reset))
    assert on_the_wire(server) == (b"", reset)
    assert server.done == done


def test_drop_unread_leaves_a_body_that_never_came(server):
    server.faults.add(Fault.drop_unread())
    head = b"POST /jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    assert on_the_wire(server, head) == (b"", False)
    assert server.requests[0].body == b""


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_drop_after_cuts_the_answer_at_every_byte(server, reset):
    whole, _ = on_the_wire(server, REQUEST.replace(b"host: x", b"host: x\r\nconnection: close"))
    for n in range(len(whole)):
        server.faults.add(Fault.drop_after(n, reset=reset))
    cuts = [
        on_the_wire(server, REQUEST.replace(b"host: x", b"host: x\r\nconnection: close"))
        for _ in range(len(whole))
    ]
    assert cuts == [(whole[:n], reset) for n in range(len(whole))]
    assert server.done == len(whole) + 1


def test_drop_after_more_than_there_is_ends_the_connection_after_all_of_it(server):
    server.faults.add(Fault.drop_after(10_000))
    received, _ = on_the_wire(server)
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == ANSWER


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.lose_answer(), httpx.RemoteProtocolError),
        (Fault.lose_answer(reset=True), httpx.ReadError),
        (Fault.drop_before_work(), httpx.RemoteProtocolError),
        # A client that was still sending may have the reset reported, or only an end of file.
        (Fault.drop_unread(reset=True), httpx.TransportError),
        (Fault.drop_after(30), httpx.RemoteProtocolError),
    ],
    ids=repr,
)
def test_a_client_sees_the_dropped_connection_and_can_try_again(server, send, fault, error):
    server.faults.add(fault)
    with pytest.raises(error):
        send("POST", f"{server.url}/jobs", content="hi")
    assert send("POST", f"{server.url}/jobs", content="hi").json() == ANSWER
    assert server.connections == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_burst_of_statuses_ends_after_its_times_and_no_work_is_done_in_it(server, send, status):
    server.faults.add(Fault.status(status), times=2)
    statuses = [send("POST", f"{server.url}/jobs").status_code for _ in range(3)]
    assert statuses == [status, status, 200]
    assert (server.done, server.connections) == (1, 1)


def test_a_status_can_come_although_the_work_was_done(server, send):
    server.faults.add(Fault.status(504, after_work=True))
    assert send("POST", f"{server.url}/jobs").status_code == 504
    assert server.done == 1


def test_retry_after_is_sent_in_seconds_or_as_an_http_date(server, send):
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    server.faults.add(Fault.status(503, retry_after=7), Fault.status(429, retry_after=moment))
    seconds, date = (send("GET", server.url).headers["retry-after"] for _ in range(2))
    assert seconds == "7"
    assert parsedate_to_datetime(date) == moment


@pytest.mark.parametrize("status", [200, 502])
def test_an_html_page_stands_where_json_should(server, send, status):
    server.faults.add(Fault.html(status))
    answer = send("POST", f"{server.url}/jobs")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_no_content_has_neither_body_nor_length(server):
    server.faults.add(Fault.no_content() | Fault.hang_up())
    received, _ = on_the_wire(server)
    assert received == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_truncated_json_is_complete_as_http_and_incomplete_as_json(server, send):
    server.faults.add(Fault.truncated_json(), Fault.truncated_json(keep=3))
    half, three = (send("POST", f"{server.url}/jobs") for _ in range(2))
    assert json.dumps(ANSWER).startswith(half.text)
    assert three.text == '{"t'
    assert half.headers["content-length"] == str(len(half.content))
    assert server.done == 2


@pytest.mark.parametrize("announced", [True, False])
def test_an_oversized_body_is_as_long_as_said(server, send, announced):
    server.faults.add(Fault.oversized(200_000, announced=announced))
    answer = send("POST", f"{server.url}/jobs")
    assert len(answer.json()) == 199_998
    assert ("content-length" in answer.headers) is announced


def test_a_slow_trickle_arrives_in_pieces_and_whole(server):
    server.faults.add(Fault.trickle(3, seconds=0) | Fault.hang_up())
    received, _ = on_the_wire(server)
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == ANSWER


def test_a_stale_connection_resets_the_next_request_unread(server, send):
    server.faults.add(Fault.stale())
    assert send("POST", f"{server.url}/jobs").json() == ANSWER
    with pytest.raises(httpx.NetworkError):
        send("POST", f"{server.url}/jobs")
    assert send("POST", f"{server.url}/jobs").json() == ANSWER
    assert (server.done, server.requests.count(), server.connections) == (2, 2, 2)


def test_hang_up_ends_the_connection_without_announcing_it(server):
    server.faults.add(Fault.hang_up())
    received, reset = on_the_wire(server)
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == ANSWER
    assert not reset
    assert b"connection:" not in received.lower()


def test_hold_keeps_the_work_from_being_done_until_the_gate_opens(server):
    gate = Gate()
    server.faults.add(Fault.hold(gate, at="work") | Fault.hang_up())
    with closing(socket.create_connection(("127.0.0.1", server.port), 5)) as sock:
        sock.sendall(REQUEST)
        gate.wait_arrival()
        assert server.done == 0
        gate.open()
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")
    assert server.done == 1


def test_hold_keeps_the_answer_back_after_the_work_was_done(server):
    gate = Gate()
    server.faults.add(Fault.hold(gate) | Fault.hang_up())
    with closing(socket.create_connection(("127.0.0.1", server.port), 5)) as sock:
        sock.sendall(REQUEST)
        gate.wait_arrival()
        assert server.done == 1
        gate.open()
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")


def test_hold_stops_in_the_middle_of_an_answer(server):
    gate = Gate()
    server.faults.add(Fault.hold(gate, at=8) | Fault.hang_up())
    with closing(socket.create_connection(("127.0.0.1", server.port), 5)) as sock:
        sock.sendall(REQUEST)
        gate.wait_arrival()
        assert sock.recv(4096) == b"HTTP/1.1"
        gate.open()
        assert sock.makefile("rb").read().startswith(b" 200 OK")


def test_delay_waits_by_the_clock(server, send):
    server.faults.add(Fault.delay(0.01) | Fault.status(503))
    assert send("POST", f"{server.url}/jobs").status_code == 503


def test_combined_faults_act_together_and_the_right_one_wins():
    fault = Fault.status(500) | Fault.hang_up() | Fault.html(502)
    assert (fault.ending, repr(fault)) == ("hang_up", "Fault.status(500) | hang_up | html(502)")
    assert fault.alter is not None
    assert fault.alter(None).status == 502


def test_respond_answers_what_the_test_wants(server, send):
    server.faults.add(Fault.respond(Response.json(["own"], status=418)))
    assert send("POST", f"{server.url}/jobs").json() == ["own"]
    assert server.done == 0


def test_several_faults_happen_one_after_another(server, send):
    rule = server.faults.add(Fault.status(500), Fault.none(), Fault.status(503), on="POST /jobs")
    statuses = [send("POST", f"{server.url}/jobs").status_code for _ in range(4)]
    assert statuses == [500, 200, 503, 200]
    assert (rule.hits, rule.seen) == (1, 4)


def test_a_fault_can_begin_with_the_nth_request(server, send):
    server.faults.add(Fault.status(500), on="work", nth=2, times=2)
    statuses = [send("POST", f"{server.url}/jobs").status_code for _ in range(4)]
    assert statuses == [200, 500, 500, 200]


def test_the_first_rule_that_fits_wins_and_the_default_takes_the_rest(server, send):
    server.faults.default = Fault.status(504)
    server.faults.add(Fault.status(500), on="POST /*", times=None)
    server.faults.add(Fault.status(503), on="*", times=None)
    server.faults.add(Fault.status(502), on="POST /jobs")
    assert send("POST", f"{server.url}/jobs").status_code == 500
    assert send("GET", f"{server.url}/jobs/1").status_code == 503
    server.faults.clear()
    server.faults.default = Fault.status(504)
    assert send("GET", f"{server.url}/jobs/1").status_code == 504
    server.faults.clear()
    assert send("GET", f"{server.url}/jobs/1").status_code == 200


@pytest.mark.parametrize(
    ("on", "hit"),
    [
        ("look", ["GET /jobs/7"]),
        ("GET /jobs/{anything}", ["GET /jobs/7"]),
        ("GET /jobs/all", ["GET /jobs/all"]),
        ("GET *", ["GET /jobs/7", "GET /jobs/all"]),
        ("/jobs/*", ["GET /jobs/7", "GET /jobs/all"]),
        ("POST /jobs", ["POST /jobs"]),
        (lambda request: request.path.endswith("7"), ["GET /jobs/7"]),
    ],
)
def test_requests_are_named_by_operation_path_or_function(server, client, on, hit):
    server.faults.add(Fault.status(500), on=on, times=None)
    for target in ("POST /jobs", "GET /jobs/7", "GET /jobs/all"):
        method, path = target.split()
        client.request(method, server.url + path)
    assert [f"{r.method} {r.path}" for r in server.requests if r.status == 500] == hit


def test_a_misspelled_operation_is_refused_with_the_nearest_name(server):
    with pytest.raises(ValueError, match="did you mean work"):
        server.faults.add(Fault.none(), on="wrok")


def test_adding_no_fault_is_refused(server):
    with pytest.raises(ValueError, match="no fault"):
        server.faults.add(on="work")


def test_the_log_tells_which_fault_met_a_request(server, client):
    server.faults.add(Fault.status(503))
    client.post(f"{server.url}/jobs")
    client.post(f"{server.url}/jobs")
    assert [repr(request) for request in server.requests] == [
        "<#1 POST /jobs -> 503, Fault.status(503)>",
        "<#2 POST /jobs -> 200>",
    ]


def acp_node(server):
    return ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)


def graph_node(server):
    return RemoteGraphNode("remote", "agent", server.url, "ask", None, "answer", None)


def a2a_node(server):
    return A2ANode("remote", server.url, "ask", None, "answer", None)


@pytest.mark.parametrize(
    ("kind", "node_of", "ways"),
    [
        (FakeACPServer, acp_node, 2),
        (FakeLangGraphServer, graph_node, 2),
        (FakeA2AServer, a2a_node, 1),
    ],
)
def test_whatever_starts_a_run_has_one_name(kind, node_of, ways):
    with kind([Answer("done")]) as server:
        node, hits = node_of(server), 0
        builder = StateGraph(State).add_node(node).add_edge(START, "remote")
        graph = builder.compile(checkpointer=InMemorySaver())

        def watched(state, config):
            return list(graph.stream(state, config, stream_mode="custom"))

        # In a graph that remembers, from the third run on in another way; and by itself.
        for invoke in (watched, graph.invoke, graph.invoke, graph.invoke, node.invoke):
            rule = server.faults.add(Fault.status(503), on="start")
            invoke({"ask": "it"}, {"configurable": {"thread_id": "1"}})
            hits += rule.hits
        starts = {each.operation for each in server.requests.matching("start")}
        assert (hits, server.created, len(starts)) == (5, 5, ways)


def test_a_server_on_which_nothing_starts_a_run_knows_no_such_name(server):
    with pytest.raises(ValueError, match="no operation is called 'start'"):
        server.faults.add(Fault.none(), on="start")
