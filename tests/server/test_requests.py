"""What clients may send, and what they are told if they may not."""

from __future__ import annotations

import json

import pytest
from support.graphs import echo

from acp_langgraph.acp.calls import OPERATIONS
from acp_langgraph.server import Limits
from acp_langgraph.server.operations import Operations, endpoint_of

KEY = "a made-up key"


@pytest.fixture
def client(serving):
    return serving({"echo": echo()}, limits=Limits(body=1000))


def test_all_thirty_operations_are_there():
    assert {endpoint_of(name) for name in OPERATIONS} <= set(vars(Operations))
    assert len(OPERATIONS) == 30


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "the body is no JSON"),
        (b"", "the body is no JSON"),
        (b'{"input": NaN}', "the body is no JSON"),
        (b'{"input": "\xff"}', "the body is no JSON"),
        (b"[" * 900, "the body is no JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"agent_id": 1}', "agent_id"),
        (b'{"input": {"text": 1}}', "input.text: must be of type string"),
        (b'{"input": "text"}', "input: must be of type object"),
        (b'{"metadata": []}', "metadata"),
        (b'{"config": {"tags": [1]}}', "config.tags.0"),
        (b'{"config": {"recursion_limit": 0}}', "config.recursion_limit"),
        (b'{"config": {"configurable": 1}}', "config.configurable: must be of type object"),
        (b'{"webhook": ""}', "webhook"),
        (b'{"stream_mode": "updates"}', "stream_mode"),
        (b'{"on_disconnect": "explode"}', "on_disconnect"),
        (b'{"multitask_strategy": "explode"}', "multitask_strategy"),
        (b'{"on_completion": "explode"}', "on_completion"),
        (b'{"after_seconds": "1"}', "after_seconds"),
    ],
)
def test_what_is_wrong_with_a_run_is_named(client, body, field):
    answer = client.post("/runs/wait", content=body)

    assert answer.status_code == 422
    assert field in answer.json()
    assert client.server.count_runs() == {}


@pytest.mark.parametrize("path", ["/agents/search", "/runs/search", "/threads/search"])
@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": "10"}, {"limit": 1001}, {"offset": -1}])
def test_pages_have_bounds(client, path, body):
    answer = client.post(path, json=body)

    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()


def test_a_thread_id_must_be_a_uuid(client):
    answer = client.post("/threads", json={"thread_id": "mine"})

    assert answer.status_code == 422
    assert "thread_id" in answer.json()


def test_ids_are_found_in_any_spelling_of_the_uuid(client):
    thread_id = client.thread(thread_id="3D0B5A5E-6C34-4E1F-9E28-3F0D3A2A5A10")

    assert thread_id == "3d0b5a5e-6c34-4e1f-9e28-3f0d3a2a5a10"
    assert client.get(f"/threads/{thread_id.upper()}").status_code == 200


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/history", "limit=0"),
        ("/history", "limit=x"),
        ("/history", "limit=" + "9" * 5000),
        ("/runs", "limit=-1"),
        ("/runs", "offset=1.5"),
    ],
)
def test_queries_have_bounds(client, path, query):
    answer = client.get(f"/threads/{client.thread()}{path}?{query}")

    assert answer.status_code == 422


@pytest.mark.parametrize("query", ["wait=maybe", "action=explode"])
def test_a_cancel_says_how(client, query):
    run = client.outcome("echo", input={"text": "hi"})["run"]

    assert client.post(f"/runs/{run['run_id']}/cancel?{query}").status_code == 422


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(client, declared):
    body = json.dumps({"input": {"text": "x" * 2000}}).encode()

    answer = client.post("/runs", content=body if declared else iter([body[:900], body[900:]]))

    assert answer.status_code == 413
    assert answer.json() == "the body is larger than 1000 bytes"


@pytest.mark.parametrize("path", ["/", "/nothing", "/runs/", "/agents"])
def test_unknown_paths_are_told_as_a_json_string(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert isinstance(answer.json(), str)


def test_a_wrong_method_is_told_the_right_ones(client):
    answer = client.put("/runs/3d0b5a5e-6c34-4e1f-9e28-3f0d3a2a5a10")

    assert answer.status_code == 405
    assert isinstance(answer.json(), str)
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["allow"].split(", "))


def test_a_client_without_the_key_is_refused_before_anything_is_parsed(serving):
    client = serving({"echo": echo()}, api_key=KEY)

    answers = [
        client.post("/runs/wait", content=b"{", headers=headers)
        for headers in ({}, {"x-api-key": "wrong"}, {"authorization": f"Basic {KEY}"})
    ]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}
    assert client.get("/nothing").status_code == 401


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"bearer {KEY}"}])
def test_a_client_with_the_key_is_served(serving, headers):
    client = serving({"echo": echo()}, api_key=KEY, headers=headers)

    assert client.outcome("echo", input={"text": "hi"})["run"]["status"] == "success"


def test_a_function_may_tell_which_keys_are_good(serving):
    good = {"ada's", "grace's"}
    client = serving({"echo": echo()}, api_key=lambda key: key in good)

    def status(key):
        return client.post("/agents/search", json={}, headers={"x-api-key": key}).status_code

    assert [status(key) for key in ("ada's", "grace's", "eve's", "")] == [200, 200, 401, 401]
    good.remove("ada's")
    assert status("ada's") == 401


def test_requests_are_seen_with_the_connection_they_came_over(client):
    client.post("/agents/search", json={})
    client.get("/nothing", params={"a": 1})

    one, other = client.server.requests

    assert (one.method, one.path, one.query) == ("POST", "/agents/search", "")
    assert (other.method, other.path, other.query) == ("GET", "/nothing", "a=1")
    assert one.client == other.client


def test_no_message_holds_what_was_sent(client):
    secret = "s3cr3t"
    sent = [
        {"input": {"text": {"deep": secret}}},
        {"input": secret},
        {"metadata": secret},
        {"config": {"configurable": secret}},
        {"on_disconnect": secret},
    ]

    answers = [client.post("/runs", json=body) for body in sent]

    assert {answer.status_code for answer in answers} == {422}
    assert not any(secret in answer.text for answer in answers)
