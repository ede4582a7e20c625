"""Every operation, over each binding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from acp_langgraph.a2a.calls import Binding, HttpJson, JsonRpc, OldJsonRpc, reason_of
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


def done(server: FakeA2AServer, operation: Any) -> Any:
    with Transport(server.url) as transport:
        return transport.run(operation.done(JobPolicy(retries=0)))


def test_a_task_is_begun_read_answered_and_ended(server: FakeA2AServer, binding: Binding) -> None:
    begun = done(server, binding.send_message(HELLO, waits=True)).task
    assert (begun.state, begun.status.message.parts[0].text) == ("input-required", "Which size?")
    assert done(server, binding.get_task(begun.id)).history[0].message_id == "m1"
    ids = {"taskId": begun.id, "contextId": begun.context_id}
    ended = done(server, binding.send_message({**HELLO, **ids, "messageId": "m2"}, waits=True)).task
    assert [part.text for each in ended.artifacts for part in each.parts] == ["pie"]
    other = done(server, binding.send_message(HELLO, waits=False)).task
    assert done(server, binding.cancel_task(other.id)).state == "canceled"


def test_tasks_are_listed_by_the_page(server: FakeA2AServer, binding: Binding) -> None:
    if not binding.lists:
        pytest.skip("0.3 has no list")
    for context in ("a", "b", "a"):
        done(server, binding.send_message({**HELLO, "contextId": context}, waits=False))
    listed = done(server, binding.list_tasks(context_id="a"))
    assert {task.context_id for task in listed.tasks} == {"a"}
    assert len(listed.tasks) == 2
    assert done(server, binding.list_tasks(page_token="2")).tasks[0].id == server.tasks[0].task_id


def test_a_url_is_called_or_not(server: FakeA2AServer, binding: Binding) -> None:
    task = done(server, binding.send_message(HELLO, waits=False)).task
    config = {"url": "https://hook.example", "token": "t", "id": "mine"}
    assert done(server, binding.create_push_config(task.id, config))["url"] == config["url"]
    assert done(server, binding.get_push_config(task.id, "mine"))["token"] == "t"
    assert "https://hook.example" in str(done(server, binding.list_push_configs(task.id)))
    assert done(server, binding.delete_push_config(task.id, "mine")) is None
    assert "https://hook.example" not in str(done(server, binding.list_push_configs(task.id)))


def test_the_extended_card_is_read(server: FakeA2AServer, binding: Binding) -> None:
    assert "friends" in done(server, binding.get_extended_agent_card())["description"]


def test_a_message_may_be_followed(server: FakeA2AServer, binding: Binding) -> None:
    with Transport(server.url) as transport:
        body = b"".join(transport.stream(binding.send_streaming_message(HELLO)))
    assert b"Which size?" in body


def test_a_tenant_is_named_where_a_server_has_several() -> None:
    assert HttpJson("/rest/", "acme").get_task("7").call.path == "/rest/acme/tasks/7"
    assert JsonRpc("/rpc", "acme").get_task("7").call.body["params"]["tenant"] == "acme"


def test_what_is_unknown_is_said_alike(server: FakeA2AServer, binding: Binding) -> None:
    with pytest.raises(NotFoundException, match="Task not found") as caught:
        done(server, binding.get_task("nope"))
    assert reason_of(caught.value) == "TASK_NOT_FOUND"


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
            done(server, JsonRpc("/rpc").get_task("7"))
    assert reason_of(caught.value) == reason
