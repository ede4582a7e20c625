"""Every operation, over each binding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from acp_langgraph.a2a.calls import (
    CANCEL_TASK,
    CREATE_PUSH_CONFIG,
    DELETE_PUSH_CONFIG,
    GET_EXTENDED_AGENT_CARD,
    GET_PUSH_CONFIG,
    GET_TASK,
    LIST_PUSH_CONFIGS,
    LIST_TASKS,
    SEND_MESSAGE,
    SEND_STREAMING_MESSAGE,
    SUBSCRIBE_TO_TASK,
    Binding,
    HttpJson,
    JsonRpc,
    OldJsonRpc,
    Operation,
    reason_of,
)
from acp_langgraph.a2a.card import AgentCard
from acp_langgraph.a2a.peer import Peer
from acp_langgraph.errors import (
    ApiException,
    BadRequestException,
    NotFoundException,
    ServiceException,
    UnexpectedStatusException,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.testing import Answer, Ask, FakeA2AServer, Fault, Response
from acp_langgraph.transport import Transport

HELLO = {"role": "ROLE_USER", "messageId": "m1", "parts": [{"text": "hello"}]}
BINDINGS = {
    "JSONRPC 1.0": JsonRpc("/rpc"),
    "HTTP+JSON 1.0": HttpJson("/rest"),
    "JSONRPC 0.3": OldJsonRpc("/rpc"),
}


@pytest.fixture(params=BINDINGS)
def spoken(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(spoken: str) -> Iterator[FakeA2AServer]:
    binding, version = spoken.split()
    with FakeA2AServer([Ask("Which size?"), Answer("pie")], binding=binding, version=version) as it:  # type: ignore[arg-type]
        yield it


@pytest.fixture
def binding(spoken: str) -> Binding:
    return BINDINGS[spoken]


def done(server: FakeA2AServer, binding: Binding, operation: Operation[Any], **given: Any) -> Any:
    with Transport(server.url) as transport:
        asked = Peer(AgentCard(), [binding]).asked(operation, given, JobPolicy(retries=0))
        return transport.run(asked)


def send(
    server: FakeA2AServer, binding: Binding, message: Any = HELLO, *, waits: bool = False
) -> Any:
    asked = {"message": message, "configuration": {"returnImmediately": not waits}}
    return done(server, binding, SEND_MESSAGE, **asked).task


def test_a_task_is_begun_read_answered_and_ended(server: FakeA2AServer, binding: Binding) -> None:
    begun = send(server, binding, waits=True)
    assert (begun.state, begun.status.message.parts[0].text) == ("input-required", "Which size?")
    assert (
        done(server, binding, GET_TASK, id=begun.id, historyLength=10).history[0].message_id == "m1"
    )
    ids = {"taskId": begun.id, "contextId": begun.context_id}
    ended = send(server, binding, {**HELLO, **ids, "messageId": "m2"}, waits=True)
    assert [part.text for each in ended.artifacts for part in each.parts] == ["pie"]
    other = send(server, binding)
    assert done(server, binding, CANCEL_TASK, id=other.id).state == "canceled"


def test_tasks_are_listed_by_the_page(server: FakeA2AServer, binding: Binding) -> None:
    if not binding.lists:
        pytest.skip("0.3 has no list")
    for context in ("a", "b", "a"):
        send(server, binding, {**HELLO, "contextId": context})
    listed = done(server, binding, LIST_TASKS, contextId="a")
    assert {task.context_id for task in listed.tasks} == {"a"}
    assert len(listed.tasks) == 2
    assert done(server, binding, LIST_TASKS, pageToken="2").tasks[0].id == server.tasks[0].task_id


def test_the_extended_card_is_read(server: FakeA2AServer, binding: Binding) -> None:
    assert "friends" in done(server, binding, GET_EXTENDED_AGENT_CARD).description


def test_a_task_may_be_followed(server: FakeA2AServer, binding: Binding) -> None:
    task = send(server, binding)
    followed = binding.call(SUBSCRIBE_TO_TASK, {"id": task.id})
    with Transport(server.url) as transport:
        first = next(transport.stream(followed))
    assert b"Which size?" in first


def test_a_message_may_be_followed_at_once(server: FakeA2AServer, binding: Binding) -> None:
    with Transport(server.url) as transport:
        chunks = b"".join(
            transport.stream(binding.call(SEND_STREAMING_MESSAGE, {"message": HELLO}))
        )
    told = [
        binding.read(SEND_STREAMING_MESSAGE, json.loads(line.removeprefix(b"data: ")))
        for line in chunks.splitlines()
        if line.startswith(b"data: ")
    ]
    assert told[0].task.id == server.task.task_id
    assert told[-1].status_update.status.message.parts[0].text == "Which size?"


def test_a_tasks_webhooks_are_made_read_listed_and_deleted(
    server: FakeA2AServer, binding: Binding
) -> None:
    task = send(server, binding).id
    hook = {"url": "https://hooks.example/7", "token": "t0ken"}
    made = done(server, binding, CREATE_PUSH_CONFIG, taskId=task, **hook)
    assert (made.task_id, made.url, made.token) == (task, *hook.values())
    assert "t0ken" not in repr(made)
    ids = {"taskId": task, "id": made.id}
    assert done(server, binding, GET_PUSH_CONFIG, **ids) == made
    assert done(server, binding, LIST_PUSH_CONFIGS, taskId=task).configs == [made]
    done(server, binding, DELETE_PUSH_CONFIG, **ids)
    assert done(server, binding, LIST_PUSH_CONFIGS, taskId=task).configs == []


def test_a_tenant_is_named_where_a_server_has_several() -> None:
    assert HttpJson("/rest/", "acme").call(GET_TASK, {"id": "7"}).path == "/rest/acme/tasks/7"
    assert JsonRpc("/rpc", "acme").call(GET_TASK, {"id": "7"}).body["params"]["tenant"] == "acme"


def test_what_is_unknown_is_said_alike(server: FakeA2AServer, binding: Binding) -> None:
    with pytest.raises(NotFoundException, match="Task not found") as caught:
        done(server, binding, GET_TASK, id="nope")
    assert reason_of(caught.value) == "TASK_NOT_FOUND"


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (400, "INVALID_PARAMS", UnprocessableEntityException),
        (400, "CONTENT_TYPE_NOT_SUPPORTED", UnprocessableEntityException),
        (404, "METHOD_NOT_FOUND", UnexpectedStatusException),
        (404, "TASK_NOT_FOUND", NotFoundException),
        (400, "SOMETHING_ELSE", BadRequestException),
    ],
)
def test_an_error_of_http_json_is_the_one_that_json_rpc_has_for_its_reason(
    status: int, reason: str, error: type[ApiException]
) -> None:
    told = {"code": status, "message": "so it is", "details": [{"reason": reason}]}
    with FakeA2AServer(binding="HTTP+JSON") as server:
        refused = Fault.respond(Response.json({"error": told}, status))
        server.faults.add(refused, on="GetTask", times=None)
        with pytest.raises(error, match="so it is") as caught:
            done(server, HttpJson("/rest"), GET_TASK, id="7")
    assert type(caught.value) is error
    assert reason_of(caught.value) == reason


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (-32001, NotFoundException, "TASK_NOT_FOUND"),
        (-32004, BadRequestException, "UNSUPPORTED_OPERATION"),
        (-32005, UnprocessableEntityException, "CONTENT_TYPE_NOT_SUPPORTED"),
        (-32601, UnexpectedStatusException, "METHOD_NOT_FOUND"),
        (-32602, UnprocessableEntityException, "INVALID_PARAMS"),
        (-32603, ServiceException, "INTERNAL_ERROR"),
        (-32099, ServiceException, ""),
        (None, ServiceException, ""),
    ],
)
def test_an_error_of_json_rpc_is_the_error_that_http_has_for_it(
    code: Any, error: type[ApiException], reason: str
) -> None:
    told = {"jsonrpc": "2.0", "id": "1", "error": {"code": code, "message": "so it is"}}
    with FakeA2AServer() as server:
        server.faults.add(Fault.respond(Response.json(told)), on="GetTask", times=None)
        with pytest.raises(error, match="so it is") as caught:
            done(server, JsonRpc("/rpc"), GET_TASK, id="7")
    assert reason_of(caught.value) == reason
