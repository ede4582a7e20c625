from __future__ import annotations

import json
import socket
from datetime import datetime

import httpx
import pytest

from acp_langgraph.testing import AGNTCY, Answer, Ask, FakeACPServer, Gate, Work

ASK = [Ask({"question": "?"}, name="confirm"), Answer({"text": "done"})]


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="serach"):
        FakeACPServer(serach="none")


@pytest.mark.parametrize(
    ("search", "by_agent", "by_metadata"),
    [("metadata", 200, 200), ("agent_only", 200, 500), ("none", 500, 500)],
)
def test_search_works_as_far_as_the_server_supports_it(client, search, by_agent, by_metadata):
    with FakeACPServer(search=search) as server:
        url = f"{server.url}/runs/search"
        client.post(f"{server.url}/runs", json={"metadata": {"k": 1}})
        assert client.post(url, json={"agent_id": server.agent_id}).status_code == by_agent
        assert client.post(url, json={"metadata": {"k": 1}}).status_code == by_metadata


def test_a_server_without_cancel_and_delete_answers_500_and_counts_nothing(client):
    with FakeACPServer(ASK, cancel=False, delete=False) as server:
        run = client.post(f"{server.url}/runs", json={}).json()
        for answer in (
            client.post(f"{server.url}/runs/{run['run_id']}/cancel"),
            client.delete(f"{server.url}/runs/{run['run_id']}"),
        ):
            assert (answer.status_code, answer.json()) == (500, "Not implemented")
        assert (server.run.cancels, server.run.deleted) == (0, False)


def test_any_operation_can_be_unsupported(client):
    with FakeACPServer(unsupported=frozenset({"get_stateless_run"})) as server:
        run = client.post(f"{server.url}/runs", json={}).json()
        assert client.get(f"{server.url}/runs/{run['run_id']}").status_code == 500


def test_a_cancelled_run_has_the_status_that_the_server_gives_it(client):
    with FakeACPServer(ASK, cancelled_status="cancelled") as server:
        run = client.post(f"{server.url}/runs", json={}).json()
        client.post(f"{server.url}/runs/{run['run_id']}/cancel")
        assert server.run.status == "cancelled"


def test_a_server_without_threads_has_no_such_paths(client):
    with FakeACPServer(threads=False) as server:
        assert client.post(f"{server.url}/threads", json={}).status_code == 404


def test_a_broken_operation_is_a_500_in_plain_text(client):
    with FakeACPServer(broken=frozenset({"create_stateless_run"})) as server:
        answer = client.post(f"{server.url}/runs", json={})
        assert (answer.status_code, answer.text) == (500, "Internal Server Error")
        assert server.created == 0


def test_like_agntcy_a_thread_lists_all_its_runs_or_none(client):
    with FakeACPServer.like_agntcy() as server:
        thread = f"{server.url}/threads/t/runs"
        client.post(f"{server.url}/threads", json={"thread_id": "t"})
        body = {"agent_id": server.agent_id, "input": 1, "config": {}}
        for _ in range(11):
            assert client.post(f"{thread}/wait", json=body).status_code == 200
        assert len(client.get(thread).json()) == 11
        assert client.get(thread, params={"limit": 1}).status_code == 422
        assert client.post(thread, json=body).status_code == 500
        assert server.created == 11


def test_like_agntcy_what_a_threads_run_asks_shows_below_runs_only(client):
    with FakeACPServer.like_agntcy(ASK) as server:
        thread = f"{server.url}/threads/t/runs"
        client.post(f"{server.url}/threads", json={"thread_id": "t"})
        body = {"agent_id": server.agent_id, "input": 1, "config": {}}
        assert client.post(f"{thread}/wait", json=body).status_code == 500
        run = f"{server.url}/runs/{server.run.run_id}"
        assert client.get(f"{run}/wait").json()["output"]["type"] == "interrupt"
        assert client.post(run, json="yes").status_code == 200
        assert client.get(f"{thread}/{server.run.run_id}/wait").json()["output"]["type"] == "result"


def test_like_agntcy_a_busy_thread_takes_no_second_run_whatever_the_strategy(client):
    gate = Gate()
    with FakeACPServer.like_agntcy([Work(gate), Answer(1)]) as server:
        thread = f"{server.url}/threads/t/runs/wait"
        client.post(f"{server.url}/threads", json={"thread_id": "t"})
        body = {"agent_id": server.agent_id, "input": 1, "config": {}}
        with pytest.raises(httpx.ReadTimeout):
            client.post(thread, json=body, timeout=0.2)
        for strategy in ("reject", "enqueue", "interrupt", "rollback"):
            second = client.post(thread, json={**body, "multitask_strategy": strategy})
            assert second.status_code == 409
        gate.open()
        assert server.created == 1


@pytest.mark.parametrize(("timestamps", "has_zone"), [("zone", True), ("naive", False)])
def test_timestamps_have_a_zone_or_none(client, timestamps, has_zone):
    with FakeACPServer(timestamps=timestamps) as server:
        run = client.post(f"{server.url}/runs", json={}).json()
    for name in ("created_at", "updated_at"):
        assert (datetime.fromisoformat(run[name]).tzinfo is not None) is has_zone


def test_absent_fields_are_absent_or_null(client):
    with FakeACPServer() as server:
        run = client.post(f"{server.url}/runs", json={"config": {}}).json()
        assert run["creation"] == {"config": {}}
        assert "thread_id" not in run
    with FakeACPServer(nulls=True) as server:
        run = client.post(f"{server.url}/runs", json={"config": {}}).json()
        assert run["thread_id"] is run["creation"]["webhook"] is None
        assert run["creation"]["config"]["tags"] is None
        thread = client.post(f"{server.url}/threads", json={}).json()
        assert thread["values"] is thread["messages"] is None


@pytest.mark.parametrize(
    ("style", "body"), [("string", "Thread not found"), ("detail", {"detail": "Thread not found"})]
)
def test_errors_are_strings_or_objects_with_detail(client, style, body):
    with FakeACPServer(error_style=style) as server:
        assert client.get(f"{server.url}/threads/1").json() == body


@pytest.mark.parametrize(
    ("style", "interrupt"),
    [("payload", {"question": "?"}), ("named", {"confirm": {"question": "?"}})],
)
def test_an_interrupt_is_its_payload_or_named(client, style, interrupt):
    with FakeACPServer(ASK, interrupt_style=style) as server:
        outcome = client.post(f"{server.url}/runs/wait", json={}).json()
    assert outcome["output"] == {"type": "interrupt", "interrupt": interrupt}


def test_a_config_or_an_agent_can_be_required(client):
    with FakeACPServer(require_config=True, default_agent=False) as server:
        url, agent = f"{server.url}/runs", {"agent_id": server.agent_id}
        assert client.post(url, json=agent).status_code == 422
        assert client.post(url, json={"config": {}}).status_code == 404
        assert client.post(url, json={"config": {}, **agent}).status_code == 200


@pytest.mark.parametrize(("status", "unknown"), [(409, 404), (400, 400)])
def test_resuming_what_does_not_wait_is_a_409_or_a_400(client, status, unknown):
    with FakeACPServer(resume_error=status) as server:
        run = client.post(f"{server.url}/runs", json={}).json()
        answer = client.post(f"{server.url}/runs/{run['run_id']}", json=1)
        assert answer.status_code == status
        assert client.post(f"{server.url}/runs/nope", json=1).status_code == unknown


@pytest.mark.parametrize("status", [204, 504])
def test_a_wait_is_given_up_after_its_limit_and_the_run_goes_on(client, status):
    gate = Gate()
    with FakeACPServer([Work(gate), Answer(1)], wait_limit=0, wait_status=status) as server:
        assert client.post(f"{server.url}/runs/wait", json={}).status_code == status
        gate.open()
        wait = client.get(f"{server.url}/runs/{server.run.run_id}/wait")
        assert wait.json()["output"]["values"] == 1


@pytest.mark.parametrize(
    ("options", "body", "cancelled"),
    [
        ({}, {}, True),
        ({}, {"on_disconnect": "cancel"}, True),
        ({}, {"on_disconnect": "continue"}, False),
        ({"honor_disconnect": False}, {}, False),
    ],
)
@pytest.mark.parametrize("path", ["/runs/wait", "/runs/stream"])
def test_a_client_that_hangs_up_cancels_the_run_that_it_created(options, body, cancelled, path):
    gate = Gate()
    with FakeACPServer([Work(gate)], **options) as server:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
            sock.sendall(head.encode() + data)
            gate.wait_arrival()
        server.wait_until(lambda: server.open_connections == 0)
        assert server.run.cancelled is cancelled


def test_the_preset_answers_as_agntcys_server_was_seen_to(client):
    with FakeACPServer.like_agntcy(ASK) as server:
        agents = f"{server.url}/agents/search"
        assert client.post(agents, json={}).status_code == 422
        agent = client.post(agents, json={"name": "agent"}).json()[0]["agent_id"]
        runs = f"{server.url}/runs"
        assert client.post(runs, json={"agent_id": agent}).json() == {
            "detail": '"config" is required for this agent'
        }
        body = {"agent_id": agent, "config": {}, "metadata": {"k": 1}}
        assert client.post(runs, json={**body, "stream_mode": "values"}).status_code == 422
        outcome = client.post(f"{runs}/wait", json=body).json()
        assert outcome["output"]["interrupt"] == {"confirm": {"question": "?"}}
        run_id = outcome["run"]["run_id"]
        assert client.post(f"{runs}/{run_id}/cancel").status_code == 500
        assert client.post(f"{runs}/search", json={"metadata": {"k": 1}}).status_code == 500
        assert client.post(f"{runs}/search", json={"agent_id": agent}).status_code == 200
        assert client.post(f"{runs}/{run_id}", json="yes").status_code == 200
        assert client.post(f"{runs}/{run_id}", json="yes").status_code == 400
        assert server.run.answers == ["yes"]


def test_a_preset_can_be_varied():
    server = FakeACPServer.like_agntcy(cancel=True)
    assert server.behavior.cancel
    assert not AGNTCY.cancel
