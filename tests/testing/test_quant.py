"""The fake Quant service keeps to the facts: states, dialects, expiry, callbacks, side effects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from acp_langgraph.testing import FakeQuant, FakeTool, Gate
from acp_langgraph.testing.quant import Turn, Use

ROOT = "/api/v3/organizations/acme/ai"
CHAT = {
    "modelId": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "toolConfig": {"tools": [], "autoExecute": True, "allowedTools": ["draw", "cold"]},
}


@pytest.fixture
def server() -> Iterator[FakeQuant]:
    tools = [FakeTool("draw", result={"n": 1}), FakeTool("cold", is_async=False, error="broken")]
    with FakeQuant(tools, scale=1000.0) as running:  # time stands still, but for `advance`
        yield running


@pytest.fixture
def client(server: FakeQuant) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url + ROOT) as opened:
        yield opened


def chat(server: FakeQuant, client: httpx.Client, *uses: str, **more: Any) -> Any:
    server.model = lambda request: Turn("", tuple(map(Use, uses)))
    return client.post("/chat", json={**CHAT, **more}).json()


def test_an_execution_takes_the_time_of_the_servers_clock(
    server: FakeQuant, client: httpx.Client
) -> None:
    execution = server.start_execution(server.tools["draw"])
    path = f"/tools/executions/{execution.execution_id}"
    seen = []
    for _ in range(13):
        shown = client.get(path).json()
        seen.append(shown["status"])
        server.advance(1)
    assert seen == ["pending"] + ["running"] * 10 + ["complete"] * 2
    assert shown["result"] == {"n": 1}
    assert isinstance(shown["createdAt"], int)
    (listed,) = client.get("/tools/executions").json()["executions"]
    assert listed["createdAt"].endswith("Z")
    assert "result" not in listed


def test_a_gate_ends_a_state(server: FakeQuant) -> None:
    gate = Gate()
    execution = server.start_execution(FakeTool("slow", states=(("running", gate),)))
    server.advance(1000)
    assert execution.status == "running"
    gate.open()
    assert execution.status == "complete"


def test_after_a_day_an_execution_is_gone(server: FakeQuant, client: httpx.Client) -> None:
    execution = server.start_execution(server.tools["draw"])
    server.advance(86_400)
    answer = client.get(f"/tools/executions/{execution.execution_id}")
    assert answer.status_code == 404
    assert answer.json()["error"] == "Execution not found"
    assert client.get("/tools/executions").json()["executions"] == []


def test_lists_are_filtered_and_limited(server: FakeQuant, client: httpx.Client) -> None:
    old, new = [server.start_execution(server.tools["draw"]) for _ in range(2)]
    server.advance(20)
    server.start_execution(server.tools["draw"])
    shown = client.get("/tools/executions", params={"status": "complete", "limit": 1}).json()
    assert [item["executionId"] for item in shown["executions"]] == [new.execution_id]
    assert old.status == "complete"


def test_only_allowed_tools_are_run(server: FakeQuant, client: httpx.Client) -> None:
    use = chat(server, client, "other")["response"]["toolUse"]
    assert set(use) == {"toolUseId", "name", "input"}
    failed = chat(server, client, "cold")["response"]["toolUse"]
    assert (failed["status"], failed["error"]) == ("failed", "broken")
    assert server.executions == []


@pytest.mark.parametrize(
    ("dialect", "waits", "name"),
    [("4.9", "polling", "synthesizedResponse"), ("4.19", "waiting_tools", "result")],
)
def test_an_orchestration_speaks_its_dialect(
    server: FakeQuant, client: httpx.Client, dialect: Any, waits: str, name: str
) -> None:
    server.dialect = dialect
    answer = chat(server, client, "draw", "draw")
    path = f"/tools/orchestrations/{answer['orchestration']['orchestrationId']}"
    seen = []
    for seconds in (0, 2, 9.5, 2):
        server.advance(seconds)
        seen.append(client.get(path).json()["status"])
    assert seen == ["pending", waits, "synthesizing", "complete"]
    assert client.get(path).json()[name] == "All of it: draw, draw"


def test_a_callback_id_is_good_for_one_use(server: FakeQuant, client: httpx.Client) -> None:
    server.make_chat = lambda request: {"rounds": [{"look": {"q": 1}}], "reply": "ok"}
    accepted = chat(server, client, **{"async": True})
    path = f"/chat/executions/{accepted['requestId'].replace('=', '%3D')}"
    assert accepted["pollUrl"].endswith(path)
    server.advance(10)
    shown = client.get(path).json()
    (pending,) = shown["pendingTools"]
    result = {"toolUseId": pending["toolUseId"], "result": {}}
    body = {"callbackId": shown["callbackId"], "toolResults": [result]}
    assert client.post("/chat/callback", json=body).status_code == 200
    assert client.post("/chat/callback", json=body).status_code == 404
    assert client.get(path).json()["status"] == "running"
    server.advance(10)
    assert client.get(path).json()["result"]["response"]["content"] == "ok"
    assert (len(server.chats[0].answers), server.chats[0].refused) == (1, 1)


def test_an_agent_answers_at_once_or_later(server: FakeQuant, client: httpx.Client) -> None:
    answer = client.post("/agents/a/chat", json={"message": "hi"}).json()
    assert answer["response"]["text"] == "You said: hi"
    later = client.post("/agents/a/chat", json={"message": "hi", "async": True})
    assert later.status_code == 202


def test_tasks_change_with_what_clients_write(server: FakeQuant, client: httpx.Client) -> None:
    assert client.post("/tasks", json={}).status_code == 400
    made = client.post("/tasks", json={"title": "T", "taskListId": "l"})
    assert made.status_code == 201
    path = f"/tasks/{made.json()['taskId']}"
    client.put(path, json={"status": "in_progress"})
    assert client.get(path).json()["startedAt"]
    client.put(path, json={"status": "blocked", "blockedReason": "paint"})
    assert client.get(path).json()["blockedAt"]
    client.put(path, json={"status": "pending"})
    assert client.get(path).json()["blockedReason"] is None
    client.put(path, json={"status": "completed"})
    assert client.get(path).json()["completedAt"]
    (listed,) = client.get("/tasks", params={"taskListId": "l"}).json()["tasks"]
    assert "result" not in listed


def test_a_task_that_others_depend_on_is_deleted_with_them_or_not_at_all(
    server: FakeQuant, client: httpx.Client
) -> None:
    one = server.add_task("one", taskListId="l")
    two = server.add_task("two", one, taskListId="l")
    three = server.add_task("three", two, taskListId="l")
    shown = client.get("/tasks", params={"dependsOn": one.task_id, "includeDetails": "true"})
    assert shown.json()["taskIds"] == [two.task_id]
    assert len(shown.json()["tasks"]) == 1
    graph = client.get("/tasks/l/dependency-graph").json()
    assert (graph["roots"], graph["leaves"]) == ([one.task_id], [three.task_id])
    refused = client.delete(f"/tasks/{one.task_id}")
    assert refused.status_code == 409
    assert refused.json()["error"] == "TASK_HAS_DEPENDENTS"
    deleted = client.delete(f"/tasks/{one.task_id}", params={"cascade": "true"}).json()
    assert deleted["deletedCount"] == 3
    for method in ("GET", "PUT", "DELETE"):
        gone = client.request(method, f"/tasks/{one.task_id}", json={})
        assert gone.status_code == 404
    assert server.tasks == {}


def test_tools_and_their_names_are_listed(server: FakeQuant, client: httpx.Client) -> None:
    assert client.get("/tools/names").json() == {"tools": ["draw", "cold"], "count": 2}
    assert client.get("/tools").json()["tools"][0]["toolSpec"]["name"] == "draw"


def test_everything_else_is_not_found(client: httpx.Client) -> None:
    assert client.get("/sessions").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", "/tools/executions?status=done", None, "status"),
        ("GET", "/tools/executions?limit=0", None, "limit"),
        ("GET", "/tasks?status=done", None, "status"),
        ("GET", "/tasks?limit=101", None, "limit"),
        ("GET", "/tasks?limit=ten", None, "limit"),
        ("POST", "/tasks", {}, "title"),
        ("POST", "/tasks", {"title": "T", "status": "done"}, "status"),
        ("POST", "/tasks", {"title": "T", "maxRetries": 11}, "maxRetries"),
        ("POST", "/tasks", {"title": "T", "dependsOn": "it"}, "dependsOn"),
        ("POST", "/tasks", ["T"], "body"),
        ("PUT", "/tasks/1", {"progress": 2}, "progress"),
        ("POST", "/chat", {"messages": []}, "modelId"),
        ("POST", "/chat/callback", {"callbackId": "c"}, "toolResults"),
        ("POST", "/agents/a/chat", {}, "message"),
    ],
)
def test_what_the_service_cannot_use_is_a_400(
    client: httpx.Client, method: str, path: str, body: Any, field: str
) -> None:
    refused = client.request(method, path, json=body)
    assert refused.status_code == 400
    assert field in refused.json()["errors"]


@pytest.mark.parametrize("path", ["/tasks", "/chat", "/chat/callback", "/agents/a/chat"])
def test_broken_json_is_a_400(client: httpx.Client, path: str) -> None:
    assert client.post(path, content=b'{"title": ').status_code == 400


def test_a_list_has_a_hundred_tasks_at_most(server: FakeQuant, client: httpx.Client) -> None:
    for number in range(101):
        server.add_task(str(number))
    assert client.get("/tasks", params={"limit": 100}).json()["count"] == 100
    assert client.get("/tasks").json()["count"] == 50


@pytest.mark.parametrize(
    ("shown", "organisation", "status"),
    [
        (None, "acme", 401),
        ("Bearer qc_other", "acme", 403),
        ("Bearer qc_acme", "other", 403),
        ("Bearer qc_acme", "acme", 200),
    ],
)
def test_a_request_needs_the_organisations_token(
    shown: str | None, organisation: str, status: int
) -> None:
    with FakeQuant(token="qc_acme") as server:
        headers = {} if shown is None else {"authorization": shown}
        url = server.url + ROOT.replace("acme", organisation)
        assert httpx.get(f"{url}/tools/names", headers=headers).status_code == status


def test_without_a_token_anybody_may_ask_of_its_organisation(server: FakeQuant) -> None:
    for organisation, status in (("acme", 200), ("other", 403)):
        url = server.url + ROOT.replace("acme", organisation)
        assert httpx.get(f"{url}/tools/names").status_code == status
