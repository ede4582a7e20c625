from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from acp_langgraph.testing import (
    Answer,
    Emit,
    FakeACPServer,
    FakeHTTPServer,
    Fault,
    FaultyProxy,
    Gate,
    Response,
    Work,
)


@pytest.fixture
def server():
    with FakeACPServer([Answer({"text": "done"})]) as server:
        yield server


@pytest.fixture
def proxy(server):
    with FaultyProxy(server.url) as proxy:
        yield proxy


def test_requests_and_answers_pass_unchanged(server, proxy, send):
    answer = send(
        "POST", f"{proxy.url}/runs/wait?a=%20b", json={"input": "é"}, headers={"x-api-key": "k"}
    )
    assert answer.json()["output"] == {"type": "result", "values": {"text": "done"}}
    assert server.requests[0].target == "/runs/wait?a=%20b"
    assert server.requests[0].json == {"input": "é"}
    assert server.requests[0].headers["x-api-key"] == "k"
    assert proxy.requests[0].operation == "create_and_wait_for_stateless_run_output"


def test_an_error_status_and_its_headers_pass(client):
    def busy(_: object) -> Response:
        return Response.text("busy", 429, headers={"retry-after": "3"})

    with FakeHTTPServer(busy) as server, FaultyProxy(server.url) as proxy:
        answer = client.get(proxy.url)
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (429, "busy", "3")


def test_an_answer_without_a_body_passes(proxy, server, client):
    client.post(f"{proxy.url}/runs", json={})
    answer = client.post(f"{proxy.url}/runs/{server.run.run_id}/cancel")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("fault", "created"), [(Fault.drop_before_work(), 0), (Fault.lose_answer(), 1)], ids=repr
)
def test_a_lost_request_does_no_work_and_a_lost_answer_does(proxy, server, send, fault, created):
    proxy.faults.add(fault, on="create_stateless_run")
    with pytest.raises(httpx.RemoteProtocolError):
        send("POST", f"{proxy.url}/runs", json={})
    server.wait_until(lambda: server.open_connections == 0)
    assert server.created == created
    assert send("POST", f"{proxy.url}/runs", json={}).status_code == 200


def test_an_answer_is_cut_and_truncated_on_its_way(proxy, send):
    proxy.faults.add(Fault.truncated_json(keep=1), Fault.drop_after(20, reset=True))
    assert send("POST", f"{proxy.url}/runs", json={}).text == "{"
    with pytest.raises(httpx.ReadError):
        send("POST", f"{proxy.url}/runs", json={})


def test_events_of_a_stream_pass_one_by_one(client):
    gate = Gate()
    script = [Emit({"n": 1}), Work(gate), Emit({"n": 2}), Answer({})]
    with (
        FakeACPServer(script) as server,
        FaultyProxy(server.url) as proxy,
        client.stream("POST", f"{proxy.url}/runs/stream", json={}) as answer,
    ):
        stream = answer.iter_raw()
        assert b'{"n": 1}' in next(stream)
        gate.open()
        assert b'{"n": 2}' in b"".join(stream)


def test_a_server_that_answers_too_late_gives_504_and_goes_on(client):
    gate = Gate()
    with (
        FakeACPServer([Work(gate), Answer({})], honor_disconnect=False) as server,
        FaultyProxy(server.url, timeout=0.05) as proxy,
    ):
        assert client.post(f"{proxy.url}/runs/wait", json={}).status_code == 504
        gate.open()
        server.wait_until(lambda: server.completed == 1)


def test_a_server_that_is_down_gives_502(proxy, server, client):
    server.stop()
    assert client.get(f"{proxy.url}/runs/1").status_code == 502


def test_a_server_that_breaks_off_gives_502(proxy, server, client):
    server.faults.add(Fault.drop_before_work())
    assert client.get(f"{proxy.url}/runs/1").status_code == 502


def test_a_stream_that_the_server_breaks_off_breaks_off_for_the_client(client):
    gate = Gate()
    with (
        FakeACPServer([Emit(1), Work(gate)]) as server,
        FaultyProxy(server.url) as proxy,
        client.stream("POST", f"{proxy.url}/runs/stream", json={}) as answer,
    ):
        stream = answer.iter_raw()
        assert b"custom" in next(stream)
        server.drop_connections()
        with pytest.raises(httpx.RemoteProtocolError):
            next(stream)


def test_when_the_client_hangs_up_so_does_the_proxy():
    gate = Gate()
    with FakeACPServer([Work(gate), Answer({})]) as server, FaultyProxy(server.url) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as sock:
            sock.sendall(b"POST /runs/wait HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
            gate.wait_arrival()
        server.wait_until(lambda: server.run.cancelled)


def test_fifty_clients_pass_at_once(server, proxy):
    with ThreadPoolExecutor(20) as pool:
        post = [pool.submit(httpx.post, f"{proxy.url}/runs", json={"input": n}) for n in range(50)]
        ids = {answer.result(10).json()["run_id"] for answer in post}
    assert len(ids) == server.created == proxy.requests.count("create_stateless_run") == 50


def test_only_plain_http_servers_can_stand_behind_it():
    with pytest.raises(ValueError, match="https://example"):
        FaultyProxy("https://example.org")
