from __future__ import annotations

import json
import logging
import queue
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from logging.handlers import QueueHandler
from threading import Thread
from typing import Any

import httpx
import pytest
from support.graphs import Gate, asking, echo, failing, held

from acp_langgraph.core.webhooks import WebhookSignatureError, new_secret, verify
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
        self.requests: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()

    def next_run(self) -> dict[str, Any]:
        return self.received.get(timeout=10)[1]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.put((self.path, json.loads(body)))
        self.server.requests.put(({k.lower(): v for k, v in self.headers.items()}, body))
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


def notice_of(run: dict[str, Any]) -> dict[str, Any]:
    """What is told of a run: nothing of what was sent or came out."""
    return {name: value for name, value in run.items() if name != "creation"}


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
    assert (runs[0], runs[-1]) == (notice_of(asked), notice_of(ended))


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

    assert told.next_run() == notice_of(run)
    assert run["thread_id"] == thread_id


def test_what_is_not_accepted_is_told_again(serving, receiver):
    told = receiver(500, 302, 200)
    client = serving({"echo": echo()}, webhooks=trusting(told))

    run = client.outcome("echo", input={"text": "hi"}, webhook=told.url)["run"]

    assert [told.next_run() for _ in range(3)] == [notice_of(run)] * 3


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

    assert told.next_run() == notice_of(run)


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
        "http://127\u30020\u30020\u30021/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://\u2460\u2461\u2466.0.0.1/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[64:ff9b:1::1]/",
        "http://[fec0::1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1%25eth0]/",
        "http://192.0.0.192/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",
        "http://[bad/",
        "https://example.com/" + "a" * 3000,
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


@pytest.mark.parametrize(
    "host", ["example.com", "8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808", "a.b1"]
)
def test_public_hosts_are_let_through(host):
    assert _may_be_public(host)


@pytest.fixture
def given_up() -> Iterator[queue.Queue[logging.LogRecord]]:
    """What is logged of notices that are not sent any more."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = QueueHandler(records)
    logger = logging.getLogger("acp_langgraph.server.webhooks")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_a_name_that_leads_into_the_servers_network_is_not_called(
    serving, receiver, monkeypatch, given_up
):
    told = receiver()
    looked_up = queue.Queue()

    def resolve(host, port, *rest, **more):
        looked_up.put(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    client = serving({"echo": echo()}, webhooks=WebhookPolicy(first_pause=0.01, attempts=2))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    port = told.url.rpartition(":")[2]
    client.outcome("echo", input={"text": "hi"}, webhook=f"http://hooks.example:{port}/")

    assert "given up" in given_up.get(timeout=10).getMessage()
    assert "hooks.example" in looked_up.queue
    assert told.received.empty()


def test_what_is_connected_to_is_judged_and_not_how_it_is_spelt(
    serving, receiver, monkeypatch, given_up
):
    told = receiver()
    # As if the check took a host for something else than what the client makes of it.
    monkeypatch.setattr("acp_langgraph.server.webhooks._may_be_public", lambda host: True)
    client = serving({"echo": echo()}, webhooks=WebhookPolicy(attempts=1))
    port = told.url.rpartition(":")[2]

    for host in ("127.0.0.1", "127\u30020\u30020\u30021", "[::ffff:127.0.0.1]", "0x7f000001"):
        client.outcome("echo", input={"text": "hi"}, webhook=f"http://{host}:{port}/")
        assert "given up" in given_up.get(timeout=10).getMessage()

    assert told.received.empty()


def test_a_notice_is_signed_so_that_its_receiver_can_check_it(serving, receiver):
    told, secrets = receiver(503, 200), [new_secret(), new_secret()]
    client = serving({"echo": echo()}, webhooks=trusting(told, secret=secrets))

    client.outcome("echo", input={"text": "hi"}, webhook=told.url)

    sent = [told.requests.get(timeout=10) for _ in range(2)]
    for headers, body in sent:
        assert {verify(secret, headers, body) for secret in secrets} == {headers["webhook-id"]}
        with pytest.raises(WebhookSignatureError, match="not signed"):
            verify(new_secret(), headers, body)
        with pytest.raises(WebhookSignatureError, match="not signed"):
            verify(secrets, headers, body + b" ")
    assert sent[0][0]["webhook-id"] == sent[1][0]["webhook-id"]


def test_a_secret_is_neither_taken_wrong_nor_shown():
    with pytest.raises(ValueError, match="whsec_") as error:
        WebhookPolicy(secret="hunter2-hunter2")
    assert "hunter2" not in str(error.value)
    secret = new_secret()
    assert secret not in repr(WebhookPolicy(secret=secret))


def test_receivers_that_hang_delay_no_other(serving, receiver):
    told = receiver()
    with ExitStack() as stack:
        hanging = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(200)]
        urls = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in hanging]
        policy = WebhookPolicy(allow=[*urls, told.url], timeout=600)
        client = serving({"echo": echo()}, webhooks=policy)
        for url in urls:
            client.outcome("echo", input={"text": "hi"}, webhook=url)

        run = client.outcome("echo", input={"text": "hi"}, webhook=told.url)["run"]

        assert told.next_run() == notice_of(run)


def test_no_more_notices_wait_for_one_receiver_than_allowed(serving, receiver, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        policy = WebhookPolicy(allow=[url], timeout=600, waiting=3)
        database = tmp_path / "db"
        with serve({"echo": echo()}, webhooks=policy, database=database) as server:
            body = {"input": {"text": "hi"}, "webhook": url}
            for _ in range(6):
                httpx.post(f"{server.url}/runs/wait", json=body).raise_for_status()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM webhooks").fetchone() == (3,)


def test_notices_that_an_earlier_version_stored_are_sent_as_they_are_now(
    serving, receiver, tmp_path
):
    told, database = receiver(), tmp_path / "db"
    with serve({"echo": echo()}, database=database) as server:
        run = httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "hi"}}).json()["run"]
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "DROP TABLE webhooks; CREATE TABLE webhooks (id INTEGER PRIMARY KEY, run_id TEXT, "
            "url TEXT, body BLOB, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL);"
        )
        rows = [(1, "http://[bad", "[]"), (2, told.url, json.dumps(run)), (3, told.url, "junk")]
        connection.executemany(
            "INSERT INTO webhooks (id, run_id, url, body, due) VALUES (?, 'x', ?, ?, 0)", rows
        )
        connection.commit()

    serving({"echo": echo()}, database=database, webhooks=trusting(told))

    assert told.next_run() == notice_of(run)


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
