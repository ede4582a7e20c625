"""What strangers may ask for is bounded, and what is beyond is refused in a sentence."""

from __future__ import annotations

import json
import operator
import os
import resource
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langgraph.config import get_stream_writer
from support.graphs import Gate, Notes, Text, asking, echo, held, one_node

from acp_langgraph.server import Limits, serve
from acp_langgraph.server import streams as streams_module

HEAD = b"POST /runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


def address(client: Any) -> tuple[str, int]:
    return client.base_url.host, client.base_url.port


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        HEAD + b"content-length: 10\r\n\r\n{",
        HEAD + b"transfer-encoding: chunked\r\n\r\n",
    ],
)
def test_a_request_that_does_not_come_is_not_waited_for(serving, sent):
    client = serving({"echo": echo()}, limits=Limits(head_seconds=0.1, body_seconds=0.1))

    with socket.create_connection(address(client), timeout=30) as half:
        half.sendall(sent)
        assert half.recv(1) == b"" or half.recv(10_000)

    assert client.post("/runs/search", json={}).is_success


def test_a_second_request_that_does_not_come_is_not_waited_for_either(serving):
    client = serving({"echo": echo()}, limits=Limits(head_seconds=0.1))

    with socket.create_connection(address(client), timeout=30) as half:
        half.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        while b"}}" not in half.recv(100_000):
            pass
        half.sendall(b"GET /hea")
        assert half.recv(1) == b""


def test_a_long_poll_is_not_taken_for_a_request_that_does_not_come(serving):
    gate = Gate()
    limits = Limits(head_seconds=0.05, body_seconds=0.05)
    client = serving({"held": held(gate)}, limits=limits)
    run = client.create("held", input={"text": "hi"})
    outcome: list[Any] = []
    waiting = threading.Thread(target=lambda: outcome.append(client.wait(run)))
    waiting.start()

    with socket.create_connection(address(client), timeout=30) as half:
        assert half.recv(1) == b""  # looked at twice by now
    gate.open()
    waiting.join()

    assert outcome[0]["run"]["status"] == "success"


def test_half_requests_make_room_for_whole_ones(serving):
    client = serving({"echo": echo()}, limits=Limits(connections=20))
    with ExitStack() as stack:
        for _ in range(60):
            half = stack.enter_context(socket.create_connection(address(client), timeout=30))
            half.sendall(HEAD)

        for _ in range(5):
            assert httpx.post(f"{client.server.url}/runs/search", json={}).is_success


def test_when_all_connections_are_at_work_one_more_is_refused(serving):
    gate = Gate()
    client = serving({"held": held(gate)}, limits=Limits(connections=3))
    run = client.create("held", input={"text": "hi"})
    with ExitStack() as stack:
        for _ in range(3):
            polling = stack.enter_context(socket.create_connection(address(client), timeout=30))
            path = f"/runs/{run['run_id']}/stream"
            polling.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            assert polling.recv(12) == b"HTTP/1.1 200"

        with socket.create_connection(address(client), timeout=30) as refused:
            answer = b""
            while piece := refused.recv(1000):
                answer += piece

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert json.loads(body) == "too many connections; try again later"
    gate.open()


FLOOD = """
import resource, socket, httpx
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from support.graphs import echo
from acp_langgraph.server import serve
import os, sys
with serve({"echo": echo()}) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of descriptors")
def test_more_connections_than_descriptors_leave_the_server_answering(tmp_path):
    with (
        subprocess.Popen(
            [sys.executable, "-c", FLOOD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        ) as process,
        ExitStack() as stack,
    ):
        url = process.stdout.readline().strip()
        port = int(url.rpartition(":")[2])
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        for _ in range(min(400, soft - 200)):
            half = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            half.sendall(HEAD)
        answer = httpx.post(f"{url}/runs/wait", json={"input": {"text": "hi"}}, timeout=30)
        process.stdin.close()
        said = process.stderr.read()

    assert answer.json()["run"]["status"] == "success"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"{}," * 300_000 + b"{}]",
        b'{"input": {"text": [' + b"[]," * 300_000 + b"1]}}",
        b'{"input": {"text": [' + b"1," * 300_000 + b"1]}}",
        b'{"input": {' + b",".join(b'"%d":1' % each for each in range(300_000)) + b"}}",
    ],
)
def test_a_body_of_very_many_values_is_refused_before_it_is_parsed(serving, body):
    refused = serving({"echo": echo()}).post("/runs", content=body)

    assert (refused.status_code, refused.json()) == (
        422,
        "the body has more than 200000 JSON values",
    )


def test_a_long_text_is_not_many_values(serving):
    text = 'a, [b], {"c": 1}, \\' * 100_000
    client = serving({"echo": echo()})

    outcome = client.outcome("echo", input={"text": text})

    assert outcome["output"]["values"]["text"] == text.upper()


def test_a_large_input_is_checked_like_a_small_one(serving):
    client = serving({"echo": echo()})

    refused = client.post("/runs", json={"input": {"text": ["a" * 100_000]}})

    assert (refused.status_code, refused.json()) == (422, "input.text: must be of type string")


MANY = {str(each): each for each in range(101)}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/runs", {"input": {"text": "hi"}, "metadata": MANY}),
        ("POST", "/runs", {"input": {"text": "hi"}, "metadata": {"a": "b" * 70_000}}),
        ("POST", "/threads", {"metadata": MANY}),
        ("POST", "/threads/search", {"metadata": MANY}),
        ("POST", "/threads/search", {"values": MANY}),
        ("POST", "/runs/search", {"metadata": MANY}),
    ],
)
def test_metadata_and_terms_are_few(serving, method, path, body):
    refused = serving({"echo": echo()}).request(method, path, json=body)

    assert refused.status_code == 422
    assert "has more than" in refused.json()


def test_metadata_does_not_grow_beyond_that_piece_by_piece(serving):
    client = serving({"echo": echo()})
    thread = client.thread(metadata={str(each): each for each in range(100)})

    assert client.patch(f"/threads/{thread}", json={"metadata": {"5": 0}}).is_success
    assert client.patch(f"/threads/{thread}", json={"metadata": {"new": 0}}).status_code == 422


@pytest.fixture
def large(serving) -> Any:
    """Five threads, one with a history, of states of 100 kB."""
    client = serving({"echo": echo()}, limits=Limits(answer=350_000))
    client.threads = [client.thread() for _ in range(5)]
    for thread in [*client.threads, client.threads[0], client.threads[0]]:
        text = "a" * 100_000
        client.outcome("echo", f"/threads/{thread}/runs", input={"text": text})
    return client


def test_a_list_that_is_too_large_is_refused_with_what_fits(large):
    refused = large.post("/threads/search", json={"limit": 5})
    part = large.post("/threads/search", json={"limit": 3})

    assert refused.status_code == 422
    assert refused.json() == "this is more than 350000 bytes; ask for a limit of 3 at most"
    assert len(part.json()) == 3


def test_so_is_one_of_threads_with_values_of_runs_and_of_states(large):
    values = {"text": "A" * 100_000}
    runs = f"/threads/{large.threads[0]}"

    answers = [
        large.get(f"{runs}/history", params={"limit": 10}),
        large.get(f"{runs}/runs", params={"limit": 10}),
    ]

    assert [each.status_code for each in answers] == [422, 422]
    assert all("ask for a limit of" in each.json() for each in answers)
    large_terms = large.post("/threads/search", json={"values": values})
    assert large_terms.status_code == 422  # terms have fewer bytes


def test_threads_are_found_by_their_values_however_many_there_are(serving, monkeypatch):
    monkeypatch.setattr("acp_langgraph.server.storage._LOOKED_THROUGH_AT_ONCE", 30)
    client = serving({"echo": echo()})
    threads = [client.thread() for _ in range(7)]
    for number, thread in enumerate(threads):
        text = "odd" if number % 2 else "even"
        client.outcome("echo", f"/threads/{thread}/runs", input={"text": text})

    def found(**page: int) -> list[str]:
        body = {"values": {"text": "EVEN"}, **page}
        return [each["thread_id"] for each in client.post("/threads/search", json=body).json()]

    assert found() == threads[::-2]
    assert found(limit=2, offset=1) == threads[::-2][1:3]
    assert found(offset=4) == []


def test_one_thread_does_not_take_all_places(serving):
    client = serving({"asking": asking("one"), "echo": echo()}, limits=Limits(pending_on_thread=3))
    thread = client.thread()
    path = f"/threads/{thread}/runs"
    client.outcome("asking", path, input={})
    queued = {"agent_id": client.server.agent_ids["echo"], "input": {"text": "hi"}}
    queued["multitask_strategy"] = "enqueue"

    taken = [client.post(path, json=queued).status_code for _ in range(3)]

    assert taken == [200, 200, 503]
    assert client.outcome("echo", input={"text": "hi"})["run"]["status"] == "success"


def test_who_would_not_wait_is_told_that_the_thread_is_taken_also_where_nobody_may_wait(serving):
    client = serving({"asking": asking("one")}, limits=Limits(pending_on_thread=1))
    path = f"/threads/{client.thread()}/runs"
    client.outcome("asking", path, input={})

    refused = client.post(path, json={"input": {}, "multitask_strategy": "reject"})

    assert refused.status_code == 409


@pytest.mark.parametrize("limits", [Limits(queued=3), Limits(pending=6)], ids=["said", "half"])
def test_runs_behind_questions_that_nobody_answers_do_not_take_all_places(serving, limits):
    client = serving({"asking": asking("one"), "echo": echo()}, limits=limits)
    queued = {"agent_id": client.server.agent_ids["echo"], "input": {"text": "hi"}}
    queued["multitask_strategy"] = "enqueue"

    def queue_behind_a_question() -> list[int]:
        path = f"/threads/{client.thread()}/runs"
        client.outcome("asking", path, input={})
        return [client.post(path, json=queued).status_code for _ in range(2)]

    taken = [queue_behind_a_question() for _ in range(3)]

    assert taken == [[200, 200], [200, 503], [503, 503]]
    path = f"/threads/{client.thread()}/runs"
    assert client.outcome("echo", path, input={"text": "hi"})["run"]["status"] == "success"


def test_a_thread_that_is_deleted_makes_room_for_others_to_queue(serving):
    client = serving({"asking": asking("one")}, limits=Limits(queued=1))
    run = {"agent_id": client.server.agent_ids["asking"], "multitask_strategy": "enqueue"}

    def queue_behind_a_question() -> tuple[str, int]:
        thread = client.thread()
        client.outcome("asking", f"/threads/{thread}/runs", input={})
        answer = client.post(f"/threads/{thread}/runs", json={**run, "input": {}})
        return thread, answer.status_code

    (first, taken), (_, refused) = queue_behind_a_question(), queue_behind_a_question()
    for each in client.get(f"/threads/{first}/runs").json():
        client.post(f"/threads/{first}/runs/{each['run_id']}/cancel", params={"wait": True})
    client.delete(f"/threads/{first}")

    assert (taken, refused, queue_behind_a_question()[1]) == (200, 503, 200)


@pytest.mark.parametrize(
    "limits", [Limits(pending_of_key=2), Limits(pending=4)], ids=["said", "half"]
)
def test_one_key_does_not_take_all_places(serving, limits):
    gate = Gate()
    client = serving({"held": held(gate)}, limits=limits, api_key=lambda key: key in {"a", "b"})

    def run(key: str) -> int:
        return client.post(
            "/runs", json={"input": {"text": "x"}}, headers={"x-api-key": key}
        ).status_code

    assert [run("a"), run("a"), run("a"), run("b")] == [200, 200, 503, 200]
    gate.open()


def test_a_wait_behind_a_question_ends(serving):
    client = serving({"asking": asking("one")}, limits=Limits(wait_seconds=0.05))
    thread = client.thread()
    path = f"/threads/{thread}/runs"
    asked = client.outcome("asking", path, input={})["run"]
    queued = client.create("asking", path, input={}, multitask_strategy="enqueue")

    refused = client.get(f"{path}/{queued['run_id']}/wait")
    client.resume(asked, "yes", path)

    assert refused.status_code == 422
    assert f"behind run {asked['run_id']}" in refused.json()
    assert client.wait(queued, path)["run"]["status"] == "interrupted"


def test_a_wait_for_a_run_that_is_at_work_does_not_end_before_it(serving):
    gate = Gate()
    client = serving({"held": held(gate)}, limits=Limits(wait_seconds=0.01))
    run = client.create("held", input={"text": "hi"})
    threading.Timer(0.2, gate.open).start()

    assert client.wait(run)["run"]["status"] == "success"


class Blocking:
    """Blocks threads until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()

    def graph(self) -> Any:
        def block(state: Text) -> dict[str, Any]:
            self.entered.release()
            self.go.wait(60)
            return {"text": "done"}

        return one_node(Text, block)


def test_blocking_nodes_that_are_cancelled_do_not_take_the_threads_of_others(serving):
    blocking = Blocking()
    client = serving({"blocking": blocking.graph(), "echo": echo()})
    for _ in range(70):
        run = client.create("blocking", input={"text": "hi"})
        assert blocking.entered.acquire(timeout=30)
        client.post(f"/runs/{run['run_id']}/cancel", params={"wait": "true"}).raise_for_status()

    outcome = client.outcome("echo", input={"text": "hi"})
    health = client.get("/health").json()
    blocking.go.set()

    assert outcome["run"]["status"] == "success"
    assert health["threads"]["disowned"] == 70


def test_when_too_many_threads_are_held_that_is_said(serving):
    blocking = Blocking()
    client = serving({"blocking": blocking.graph()}, limits=Limits(held_threads=2))
    for _ in range(2):
        run = client.create("blocking", input={"text": "hi"})
        assert blocking.entered.acquire(timeout=30)
        client.post(f"/runs/{run['run_id']}/cancel", params={"wait": "true"}).raise_for_status()

    refused = client.post("/runs", json={"input": {"text": "hi"}})
    blocking.go.set()

    assert refused.status_code == 503
    assert "2 nodes of runs that have ended still hold their threads" in refused.json()


class Large(TypedDict):
    notes: Annotated[list[Any], operator.add]


def test_a_stream_that_nobody_reads_is_bounded_by_bytes(serving, monkeypatch):
    monkeypatch.setattr(streams_module, "MOST_BYTES", 100_000)
    begun, go_on = threading.Event(), threading.Event()

    def write(state: Notes) -> dict[str, Any]:
        begun.set()
        go_on.wait(30)
        for number in range(200):
            get_stream_writer()({"number": number, "text": "a" * 100_000})
        return {"notes": []}

    client = serving({"agent": one_node(Notes, write)})
    run = client.create("agent", input={"text": "hi"}, stream_mode="custom")
    path = f"/runs/{run['run_id']}/stream"
    with client.stream("GET", path) as unread:
        assert begun.wait(30)
        go_on.set()
        client.wait(run)
        first = unread.read()
    kept = client.get(path, headers={"last-event-id": "0"}).content

    # Of 20 MB: what was handed over at once, which the sockets take, and then it ended.
    assert len(first) < 10_000_000
    assert len(kept) < 300_000
    assert b'"success"' in kept


def test_threads_that_nobody_uses_any_more_are_forgotten_where_that_is_wanted(serving, tmp_path):
    database = tmp_path / "db"
    with (
        serve({"echo": echo(), "asking": asking("one")}, database=database) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        used, asked = (client.post("/threads", json={}).json()["thread_id"] for _ in "ab")
        client.post(f"/threads/{used}/runs/wait", json={"input": {"text": "hi"}})
        body = {"agent_id": server.agent_ids["asking"], "input": {}}
        client.post(f"/threads/{asked}/runs/wait", json=body).raise_for_status()

    limits = Limits(kept_thread_seconds=1e-6)
    client = serving({"echo": echo(), "asking": asking("one")}, database=database, limits=limits)
    while client.get(f"/threads/{used}").status_code != 404:
        pass

    assert client.get(f"/threads/{asked}").json()["status"] == "interrupted"
