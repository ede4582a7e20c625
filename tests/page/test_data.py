"""What the page asks the server beyond the protocol, and who may ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from support.page_agents import Decision, asking, inbox, ordering

from acp_langgraph.server import AgentInterrupt, ServedAgent, create_app, serve

FILES = ("/", "/page/main.js", "/page/style.css", "/page/icon.svg")
DATA = "/page/data/runs"


@pytest.fixture
def serving() -> Iterator[Callable[..., httpx.Client]]:
    with ExitStack() as stack:

        def start(agents: Any, **settings: Any) -> httpx.Client:
            server = stack.enter_context(serve(agents, **{"page": True, **settings}))
            return stack.enter_context(httpx.Client(base_url=server.url, timeout=30))

        yield start


def test_there_is_no_page_unless_it_is_wanted(serving):
    client = serving({"clerk": asking("?")}, page=False)
    assert {client.get(each).status_code for each in (*FILES, DATA)} == {404}


def test_files_are_for_everybody_and_data_for_who_has_the_key(serving):
    client = serving({"clerk": asking("?")}, api_key="made up")
    assert {client.get(each).status_code for each in FILES} == {200}
    assert client.get(DATA).status_code == 401
    assert client.get(DATA, headers={"x-api-key": "made up"}).status_code == 200


def test_files_open_from_a_link_elsewhere_and_data_does_not(serving):
    client = serving({"clerk": asking("?")})
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client.get("/", headers=elsewhere).status_code == 200
    assert client.get(DATA, headers=elsewhere).status_code == 403
    assert client.get(DATA, headers={"host": "evil.example"}).status_code == 421


def test_files_say_what_a_browser_may_do_with_them_and_are_sent_once(serving):
    client = serving({"clerk": asking("?")})
    first = client.get("/page/main.js")
    again = client.get("/page/main.js", headers={"if-none-match": first.headers["etag"]})

    policy = first.headers["content-security-policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert first.headers["cross-origin-resource-policy"] == "same-origin"
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (again.status_code, again.content) == (304, b"")


def test_mounted_into_another_application_the_page_is_there_too():
    inner = create_app({"clerk": asking("?")}, page=True, api_key="made up")
    with TestClient(Starlette(routes=[Mount("/acp", inner)]), "http://127.0.0.1") as client:
        assert 'src="page/main.js"' in client.get("/acp/").text
        assert client.get("/acp/page/main.js").status_code == 200
        assert client.get(f"/acp{DATA}").status_code == 401
        assert client.get("/acp/health").status_code == 200


def test_runs_of_both_kinds_are_listed_and_only_when_something_changed(serving):
    client = serving({"clerk": asking("?")})
    stateless = client.post("/runs/wait", json={"input": {"text": "x"}}).json()["run"]
    thread = client.post("/threads", json={}).json()["thread_id"]
    path = f"/threads/{thread}/runs/wait"
    stateful = client.post(path, json={"input": {"text": "x"}}).json()["run"]

    found = client.get(DATA).json()
    same = client.get(DATA, params={"seen": found["version"]})
    on_thread = client.get(DATA, params={"thread_id": thread}).json()["runs"]
    failed = client.get(DATA, params={"status": "error", "seen": "of another server"}).json()

    assert [each["run_id"] for each in found["runs"]] == [stateful["run_id"], stateless["run_id"]]
    assert found["counts"] == {"interrupted": 2}
    assert (same.status_code, same.content) == (204, b"")
    assert [each["run_id"] for each in on_thread] == [stateful["run_id"]]
    assert failed["runs"] == []


@pytest.mark.parametrize(
    "query", ["status=nonsense", "limit=1001", "limit=-1", "agent_id=x", "thread_id=1"]
)
def test_a_query_that_is_none_is_refused(serving, query):
    refused = serving({"clerk": asking("?")}).get(f"{DATA}?{query}")
    assert refused.status_code == 422
    assert refused.json().startswith("query.")


def test_what_would_be_refused_of_an_input_is_told_place_by_place(serving):
    client = serving([agent := ServedAgent("shop", ordering())])
    given = {"title": "x", "items": [{"name": "lamp", "price": 0}], "way": {"street": 1}}

    faults = client.post(f"/page/data/agents/{agent.id}/check", json={"input": given}).json()

    told = {tuple(each["at"]): each["rule"] for each in faults["faults"]}
    assert told["input", "urgent"] == "is required"
    assert told["input", "items", 0, "price"] == "must satisfy exclusiveMinimum 0"
    assert ("input", "way", "street") in told


def asked(client: httpx.Client) -> dict[str, Any]:
    run = client.post("/runs/wait", json={"input": {"text": "x"}}).json()["run"]
    return client.get(f"{DATA}/{run['run_id']}").json()


def test_a_question_comes_with_the_schema_of_its_answer(serving):
    own = asked(serving({"clerk": asking("?", Decision)}))["questions"]
    kinds = [AgentInterrupt("yes", {"const": "?"}, bool), AgentInterrupt("no", {"const": "!"}, int)]
    declared = asked(serving([ServedAgent("clerk", asking("?"), interrupts=kinds)]))["questions"]
    unknown = asked(serving({"clerk": asking("?")}))["questions"]

    assert own[0]["schema"]["properties"]["approve"]["type"] == "boolean"
    assert declared[0]["schema"] == {"type": "boolean"}
    assert unknown[0]["schema"] is None


def test_an_answer_is_checked_before_any_is_sent(serving):
    client = serving({"clerk": asking("?", Decision)})
    found = asked(client)
    path, (question,) = f"{DATA}/{found['run']['run_id']}/check", found["questions"]

    faults = client.post(path, json={"answers": {question["id"]: {"approve": "?"}}}).json()

    assert [each["at"] for each in faults["faults"]] == [[question["id"], "approve"]]
    assert client.post(path, json={"answers": {question["id"]: {"approve": True}}}).json() == {
        "faults": []
    }
    assert client.post(path, json={"answers": []}).status_code == 422


def test_of_a_run_that_asks_nothing_no_answer_is_checked(serving):
    client = serving({"shop": ordering()})
    done = client.post(
        "/runs/wait", json={"input": {"title": "x", "urgent": True, "way": {"street": "x"}}}
    )
    run_id = done.json()["run"]["run_id"]

    assert client.post(f"{DATA}/{run_id}/check", json={"answers": {}}).status_code == 409


def test_a_request_of_agent_inbox_is_told_as_an_action(serving):
    (question,) = asked(serving({"agent": inbox(respond=False)}))["questions"]
    (action,) = question["actions"]
    assert question["dialect"] == "inbox"
    assert (action["name"], action["args"]) == ("run_command", {"command": "ls", "times": 1})
    assert action["allowed"] == ["accept", "edit", "ignore"]
