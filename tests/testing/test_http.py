from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from acp_langgraph.testing import FakeHTTPServer, Fault, Gate, RecordedRequest, Response


def echo(request: RecordedRequest) -> Response:
    return Response.json({"said": request.text})


@pytest.fixture
def server():
    with FakeHTTPServer(echo) as server:
        yield server


def test_a_request_is_recorded_as_it_was_sent(server, send):
    send(
        "POST", f"{server.url}/a%20b/c?x=1&y=%C3%A9&x=2", json={"k": ["é"]}, headers={"X-One": "1"}
    )
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/a b/c")
    assert request.target == "/a%20b/c?x=1&y=%C3%A9&x=2"
    assert request.query == {"x": "2", "y": "é"}
    assert request.headers["x-one"] == "1"
    assert request.json == {"k": ["é"]}
    assert (request.number, request.connection, request.status) == (1, 1, 200)


def test_one_connection_serves_many_requests_and_is_counted_once(server, send):
    for _ in range(20):
        send("POST", server.url, content="x")
    assert server.connections == 1
    assert {request.connection for request in server.requests} == {1}


def test_a_chunked_request_body_is_put_together(server, client):
    answer = client.post(server.url, content=iter([b"one ", b"two"]))
    assert answer.json() == {"said": "one two"}


def test_expect_continue_is_answered_before_the_body_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(
            b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(b"hi")
        assert b'{"said": "hi"}' in sock.recv(1000)


def test_pipelined_requests_are_answered_in_order(server):
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        one = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n"
        last = one.replace(b"host: x", b"host: x\r\nconnection: close")
        sock.sendall(one + b"1" + last + b"2")
        received = sock.makefile("rb").read()
    assert received.index(b'"1"') < received.index(b'"2"')


def test_what_is_no_http_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 400")


def test_a_head_request_gets_no_body(client):
    with FakeHTTPServer(lambda _: Response.text("body")) as server:
        assert client.head(server.url).content == b""
        assert client.get(server.url).text == "body"


def test_pieces_of_a_stream_are_sent_one_by_one_as_gates_open(client):
    gate = Gate()
    pieces = [b"data: 1\n\n", gate, b"data: 2\n\n"]
    with (
        FakeHTTPServer(lambda _: Response.stream(pieces)) as server,
        client.stream("GET", server.url) as answer,
    ):
        stream = answer.iter_raw()
        assert next(stream) == b"data: 1\n\n"
        gate.open()
        assert list(stream) == [b"data: 2\n\n"]


def test_recorded_bytes_are_replayed_as_they_are():
    recorded = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"\r\nid: 1\n", b":"]
    with (
        FakeHTTPServer(lambda _: Response.recorded(recorded)) as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert sock.makefile("rb").read() == b"".join(recorded)


def test_a_test_can_wait_for_the_nth_request_of_a_kind(server, client):
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.requests.wait_for, "POST /second", 2)
        for path in ("/second", "/first", "/second"):
            client.post(server.url + path, content=path)
        assert waiting.result(5).number == 3


def test_waiting_for_a_request_that_does_not_come_says_what_did(server, client):
    client.get(f"{server.url}/other")
    with pytest.raises(TimeoutError, match=r"POST /this.*there were: <#1 GET /other -> 200>"):
        server.requests.wait_for("POST /this", timeout=0.01)


def test_the_log_can_be_cleared_and_counted(server, client):
    client.get(f"{server.url}/a")
    server.requests.clear()
    client.get(f"{server.url}/b")
    assert [request.path for request in server.requests] == ["/b"]
    assert server.requests.count("GET /b") == len(server.requests) == 1


async def test_an_async_test_waits_in_a_thread(server):
    async with httpx.AsyncClient() as client:
        waiting = asyncio.create_task(asyncio.to_thread(server.requests.wait_for, "GET /a"))
        await client.get(f"{server.url}/a")
        assert (await waiting).path == "/a"


def test_wait_until_says_what_happened_when_it_does_not_come_to_that(server, client):
    client.get(f"{server.url}/a")
    server.wait_until(lambda: server.requests.count() == 1)
    with pytest.raises(TimeoutError, match="latest requests: <#1 GET /a -> 200>"):
        server.wait_until(lambda: False, timeout=0.01)


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_a_restart_ends_connections_and_listens_on_the_same_port(server, send, reset):
    url = server.url
    send("GET", url)
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        server.wait_until(lambda: server.open_connections == 2)
        server.restart(reset=reset)
        if reset:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        else:
            assert sock.recv(1) == b""
    assert server.url == url
    assert send("GET", url).status_code == 200
    assert server.requests.count() == 2


def test_a_stopped_server_refuses_connections_until_it_is_started(server, send):
    server.stop()
    with pytest.raises(httpx.ConnectError):
        send("GET", server.url)
    server.start()
    assert send("GET", server.url).status_code == 200


def test_a_port_of_the_tests_choice_is_used(client):
    with FakeHTTPServer(echo) as first:
        port = first.port
    with FakeHTTPServer(echo, port=port) as second:
        assert second.port == port
        assert client.get(second.url).status_code == 200


def test_there_is_no_port_before_the_start():
    with pytest.raises(RuntimeError, match="has no port before it is started"):
        _ = FakeHTTPServer(echo).url


def test_dropping_connections_leaves_the_server_listening(server, client):
    client.get(server.url)
    server.drop_connections()
    assert server.open_connections == 0
    assert client.get(server.url).status_code == 200
    assert server.connections == 2


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_a_client_that_reads_nothing_cannot_keep_the_server_from_stopping(reset):
    def pieces():
        yield b"x" * 20_000_000
        raise AssertionError("all of it was sent")

    with (
        FakeHTTPServer(lambda _: Response.stream(pieces())) as server,
        socket.create_connection(("127.0.0.1", server.port), 5) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert sock.recv(100)
        server.stop(reset=reset)
        assert server.open_connections == 0


def test_a_held_request_ends_when_its_client_hangs_up(server):
    gate = Gate()
    server.faults.add(Fault.hold(gate))
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        gate.wait_arrival()
    server.wait_until(lambda: server.open_connections == 0)
    assert server.requests[0].status is None


def test_a_forgotten_gate_is_named_in_a_warning_and_the_server_closes():
    gate = Gate("slow mail")
    server = FakeHTTPServer(echo).start()
    server.faults.add(Fault.hold(gate))
    with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        gate.wait_arrival()
        server.wait_until(lambda: server.requests.count() == 1)
        with pytest.warns(ResourceWarning, match=r"GET /.*still held at the gate 'slow mail'"):
            server.__exit__(None, None, None)
        assert sock.recv(1) == b""
    assert server.open_connections == 0
    assert not gate.is_open


def test_a_forgotten_gate_is_noted_on_the_error_that_it_caused():
    gate = Gate("slow mail")
    with (  # noqa: PT012 - the error comes out of the server's block
        pytest.raises(httpx.ReadTimeout) as caught,
        FakeHTTPServer(echo) as server,
        httpx.Client(timeout=httpx.Timeout(5, read=0.05)) as client,
    ):
        server.faults.add(Fault.hold(gate))
        client.get(server.url)
    assert "slow mail" in caught.value.__notes__[0]


def test_an_error_of_the_fake_itself_is_raised_where_the_test_leaves_it(client):
    def broken(_: RecordedRequest) -> Response:
        raise KeyError("oops")

    with pytest.raises(KeyError, match="oops") as caught, FakeHTTPServer(broken) as server:
        assert client.get(server.url).status_code == 500
    assert "GET /" in caught.value.__notes__[0]


def test_many_clients_are_served_at_once():
    gate = Gate()
    with FakeHTTPServer(echo) as server, ThreadPoolExecutor(50) as pool:
        server.faults.default = Fault.hold(gate)
        answers = [pool.submit(httpx.post, server.url, content=str(n)) for n in range(50)]
        gate.wait_arrival(50)
        gate.open()
        said = sorted(int(answer.result(10).json()["said"]) for answer in answers)
    assert said == list(range(50))
    assert sorted(request.number for request in server.requests) == list(range(1, 51))


def test_no_thread_is_left_behind():
    before = threading.active_count()
    with FakeHTTPServer(echo) as server, socket.create_connection(("127.0.0.1", server.port)):
        server.wait_until(lambda: server.open_connections == 1)
    assert threading.active_count() == before


def test_a_gate_lets_pass_what_comes_when_it_is_open_and_can_be_closed_again(server, client):
    gate = Gate("g")
    gate.open()
    server.faults.add(Fault.hold(gate))
    assert client.get(server.url).status_code == 200
    assert (gate.arrived, repr(gate)) == (1, "<Gate 'g', open>")
    gate.close()
    assert not gate.is_open
    with pytest.raises(TimeoutError, match="1 of 2 arrived at the gate 'g'"):
        gate.wait_arrival(2, timeout=0.01)


def test_an_error_in_the_middle_of_a_stream_cuts_it_and_is_raised_as_well(client):
    def pieces():
        yield b"one"
        raise KeyError("oops")

    with (
        pytest.raises(KeyError, match="oops"),
        FakeHTTPServer(lambda _: Response.stream(pieces())) as server,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.get(server.url)
