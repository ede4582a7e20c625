from __future__ import annotations

import json
import queue
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from support.graphs import Gate, asking, echo, failing, held

from acp_langgraph.server import WebhookPolicy, serve
from acp_langgraph.server.webhooks import _may_be_public
from acp_langgraph.server.wire import Problem


class Receiver(ThreadingHTTPServer):
    """Receives notices; `answers` are the statuses it gives, the last one for ever."""

    daemon_threads = True

    def __init__(self, answers: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers = answers
        self.received: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()

    def next_run(self) -> dict[str, Any]:
        return self.received.get(timeout=10)[1]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.put((self.path, json.loads(body)))
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    started = []

    def start(*answers: int) -> Receiver:
        receiver = Receiver(list(answers or [200]))
        thread = Thread(target=receiver.serve_forever)
        thread.start()
        started.append((receiver, thread))
        return receiver

    yield start
    for receiver, thread in started:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


def trusting(receiver: Receiver, **settings: Any) -> WebhookPolicy:
    return WebhookPolicy(allow=[receiver.url], first_pause=0.01, **settings)


def test_every_change_of_status_is_told_in_order(serving, receiver):
    told = receiver()
    client = serving({"asking": asking("one")}, webhooks=trusting(told))

    asked = client.outcome("asking", webhook=f"{told.url}/runs")["run"]
    client.resume(asked, "yes")
    ended = client.wait(asked)["run"]

    runs = [told.next_run() for _ in range(3)]
    assert [run["status"] for run in runs] == ["interrupted", "pending", "success"]
    assert (runs[0], runs[-1]) == (asked, ended)


@pytest.mark.parametrize(("agent", "status"), [("failing", "error"), ("held", "error")])
def test_errors_and_cancels_are_told_too(serving, receiver, agent, status):
    told, gate = receiver(), Gate()
    client = serving({"failing": failing(), "held": held(gate)}, webhooks=trusting(told))

    run = client.create(agent, input={"text": "hi"}, webhook=told.url)
    if agent == "held":
        client.post(f"/runs/{run['run_id']}/cancel").raise_for_status()

    assert told.next_run()["status"] == status


def test_runs_on_threads_are_told_as_such(serving, receiver):
    told = receiver()
    client = serving({"echo": echo()}, webhooks=trusting(told))
    thread_id = client.thread()

    path = f"/threads/{thread_id}/runs"
    run = client.outcome("echo", path, input={"text": "hi"}, webhook=told.url)["run"]

    assert told.next_run() == run
    assert run["thread_id"] == thread_id


def test_what_is_not_accepted_is_told_again(serving, receiver):
    told = receiver(500, 302, 200)
    client = serving({"echo": echo()}, webhooks=trusting(told))

    run = client.outcome("echo", input={"text": "hi"}, webhook=told.url)["run"]

    assert [told.next_run() for _ in range(3)] == [run] * 3


def test_a_receiver_that_wants_no_more_is_left_alone(serving, receiver):
    gone, told = receiver(410), receiver()
    policy = WebhookPolicy(allow=[gone.url, told.url], first_pause=0.01)
    client = serving({"echo": echo()}, webhooks=policy)

    client.outcome("echo", input={"text": "hi"}, webhook=gone.url)
    gone.next_run()
    client.outcome("echo", input={"text": "hi"}, webhook=told.url)
    told.next_run()

    assert gone.received.empty()


def test_a_run_does_not_wait_for_its_webhook(serving):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = serving({"echo": echo()}, webhooks=WebhookPolicy(allow=[url]))

        outcomes = [
            client.outcome("echo", input={"text": "hi"}, webhook=url)["run"] for _ in range(5)
        ]

    assert {run["status"] for run in outcomes} == {"success"}


def test_what_was_not_accepted_is_told_by_the_next_server(serving, receiver, tmp_path):
    told = receiver(503, 200)
    policy = WebhookPolicy(allow=[told.url], first_pause=0.2)
    with serve({"echo": echo()}, database=tmp_path / "db", webhooks=policy) as server:
        body = {"input": {"text": "hi"}, "webhook": told.url}
        run = httpx.post(f"{server.url}/runs/wait", json=body).json()["run"]
        told.next_run()

    serving({"echo": echo()}, database=tmp_path / "db", webhooks=policy)

    assert told.next_run() == run


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/hook",
        "http://localhost:8080/hook",
        "http://LOCALHOST./hook",
        "http://10.1.2.3/hook",
        "http://192.168.0.1/hook",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/hook",
        "http://[fd00::1]/hook",
        "http://[::ffff:10.0.0.1]/hook",
        "http://0x7f000001/hook",
        "http://2130706433/hook",
        "http://127.1/hook",
        "ftp://example.com/hook",
        "file:///etc/passwd",
        "http://user:secret@example.com/hook",
        "http://example.com:99999/hook",
        "no url",
    ],
)
def test_a_client_cannot_point_a_webhook_into_the_servers_network(serving, url):
    client = serving({"echo": echo()})

    answer = client.post("/runs", json={"input": {"text": "hi"}, "webhook": url})

    assert answer.status_code == 422
    assert answer.json().startswith("webhook: ")


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "2001:4860:4860::8888", "a.b1"])
def test_public_hosts_are_let_through(host):
    assert _may_be_public(host)


def test_a_name_that_leads_into_the_servers_network_is_not_called(serving, receiver, monkeypatch):
    told = receiver()
    looked_up = queue.Queue()

    def resolve(host, port, *rest, **more):
        looked_up.put(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    client = serving({"echo": echo()}, webhooks=WebhookPolicy(first_pause=0.01, attempts=2))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = told.url.rpartition(":")[2]
    client.outcome("echo", input={"text": "hi"}, webhook=f"http://hooks.example:{port}/")

    while looked_up.get(timeout=10) != "hooks.example":
        pass
    while looked_up.get(timeout=10) != "hooks.example":  # the second attempt
        pass
    assert told.received.empty()


def test_without_webhooks_a_run_that_names_one_is_executed(serving):
    client = serving({"echo": echo()}, webhooks=WebhookPolicy(allow=[]))
    descriptor = client.get(f"/agents/{client.server.agent_ids['echo']}/descriptor").json()

    outcome = client.outcome("echo", input={"text": "hi"}, webhook="http://127.0.0.1/")

    assert descriptor["specs"]["capabilities"]["callbacks"] is False
    assert outcome["run"]["status"] == "success"


def test_a_list_of_origins_lets_nobody_else_in():
    policy = WebhookPolicy(allow=["https://hooks.example"])

    policy.check("https://hooks.example:443/any/path")
    for url in ("http://hooks.example/", "https://other.example/", "https://hooks.example:444/"):
        with pytest.raises(Problem, match="only to servers that it was told of"):
            policy.check(url)


def test_what_is_no_origin_is_refused_at_the_start():
    with pytest.raises(ValueError, match="is no origin"):
        WebhookPolicy(allow=["hooks.example"])
