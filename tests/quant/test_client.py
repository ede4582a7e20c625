"""Quant's operations over real HTTP: what is sent, what is read, which error stands for what."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import UTC, datetime

import pytest
from support.quant_operations import (
    ACCEPTED,
    CHAT,
    EXECUTION,
    EXECUTION_ID,
    NOTHING,
    OPERATIONS,
    TASK,
    TASK_ID,
)
from support.recorder import Answer, recording

from acp_langgraph import errors
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.quant import calls
from acp_langgraph.quant.client import AsyncQuantClient, QuantClient

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)


@pytest.fixture(scope="module")
def shared_server():
    with recording() as recorder:
        yield recorder


@pytest.fixture
def server(shared_server):
    shared_server.requests.clear()
    shared_server.answer = Answer()
    return shared_server


def call_quant(color, url, name, *args, retries=0, **kwargs):
    """Call one method of a fresh client; a stream's events come as a list."""
    token = ApiClientConfiguration(url, access_token="qc_secret", retries=retries)
    if color.name == "sync":
        with QuantClient(token, "acme") as client:
            result = getattr(client, name)(*args, **kwargs)
            return list(result) if inspect.isgenerator(result) else result

    async def call():
        async with AsyncQuantClient(token, "acme") as client:
            result = getattr(client, name)(*args, **kwargs)
            if inspect.isasyncgen(result):
                return [event async for event in result]
            return await result

    return asyncio.run(call())


def as_sent(answer):
    """An answer read, and written again, with its moments as they came."""
    return answer.model_dump(mode="json", exclude_unset=True, by_alias=True)


def without_times(value):
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if not name.endswith("At")}
        return {name: without_times(each) for name, each in kept.items()}
    return [without_times(each) for each in value] if isinstance(value, list) else value


@every_operation
def test_an_operation_sends_what_the_specification_says(server, color, operation):
    server.answer = Answer.json(operation.answer, operation.status)
    call_quant(color, server.url, operation.name, *operation.arguments, **operation.query)
    request = server.only
    assert request.method == operation.method
    # aiohttp writes a `=` plainly, which means the same in a path.
    assert request.path.replace("=", "%3D") == operation.path
    assert request.query == operation.on_the_wire
    assert request.headers["authorization"] == "Bearer qc_secret"
    assert request.headers["accept"] == "application/json"
    if operation.body is NOTHING:
        assert request.content == b""
    else:
        assert request.body == operation.body


@every_operation
def test_an_operation_reads_its_answer_and_keeps_what_it_does_not_know(server, color, operation):
    answer = {**operation.answer, "somethingNew": {"a": [1]}}
    server.answer = Answer.json(answer, operation.status)
    read = as_sent(call_quant(color, server.url, operation.name, *operation.arguments))
    if operation.name == "get_dependency_graph":  # nodes are given their ids
        assert read["graph"][TASK_ID].pop("taskId") == TASK_ID
    assert without_times(read) == without_times(
        {name: value for name, value in answer.items() if name != "blockedByTaskIds" or value}
    )


@pytest.mark.parametrize(
    ("operation", "status"),
    [(operation, status) for operation in OPERATIONS for status in operation.statuses],
    ids=lambda value: value if isinstance(value, int) else value.name,
)
def test_a_documented_error_status_is_its_own_error(server, color, operation, status):
    kinds = {
        400: errors.BadRequestException,
        403: errors.ForbiddenException,
        404: errors.NotFoundException,
        409: errors.ConflictException,
        500: errors.ServiceException,
    }
    server.answer = Answer.json({"error": "no such luck"}, status)
    with pytest.raises(kinds[status], match="no such luck") as caught:
        call_quant(color, server.url, operation.name, *operation.arguments)
    assert caught.value.status == status
    assert "qc_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "Execution not found", "executionId": EXECUTION_ID}, "Execution not found"),
        (
            {"error": "TASK_HAS_DEPENDENTS", "message": "2 depend on it", "dependentTaskIds": []},
            "TASK_HAS_DEPENDENTS: 2 depend on it",
        ),
        ({"message": "Not allowed", "error": True}, "Not allowed"),
        ({"errors": {"title": ["is required", "is text"]}}, "title: is required, is text"),
        ({"message": "Invalid.", "errors": {"title": ["is required"]}}, "title: is required"),
        ({"error": {"ErrorMessage": "timed out", "ErrorType": "T"}}, "timed out"),
        ({"error": {"message": "deep"}}, "deep"),
        (["nothing to read"], ""),
        ({}, ""),
    ],
)
def test_every_shape_of_an_error_body_is_told(server, color, body, said):
    server.answer = Answer.json(body, 422)
    with pytest.raises(errors.UnprocessableEntityException) as caught:
        call_quant(color, server.url, "get_task", TASK_ID)
    assert caught.value.reason == said


@pytest.mark.parametrize("dependents", [206, 1000])
def test_an_error_keeps_all_the_ids_of_the_tasks_that_are_in_the_way(server, color, dependents):
    ids = [f"550e8400-e29b-41d4-a716-{number:012}" for number in range(dependents)]
    said = {"error": "TASK_HAS_DEPENDENTS", "message": f"{dependents} tasks depend on it"}
    server.answer = Answer.json({**said, "dependentTaskIds": ids}, 409)
    with pytest.raises(errors.ConflictException, match=f"{dependents} tasks depend") as caught:
        call_quant(color, server.url, "delete_task", TASK_ID)
    assert json.loads(caught.value.body)["dependentTaskIds"] == ids
    assert len(str(caught.value)) < 1000


def test_the_message_of_an_error_is_short_all_the_same(server, color):
    server.answer = Answer.json({"error": "x" * 10_000_000}, 409)
    with pytest.raises(errors.ConflictException) as caught:
        call_quant(color, server.url, "delete_task", TASK_ID)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("status", [401, 408, 422, 429, 502, 503, 504])
def test_what_no_document_names_is_an_error_all_the_same(server, color, status):
    server.answer = Answer(status, b"<html>busy</html>")
    with pytest.raises(errors.ApiException) as caught:
        call_quant(color, server.url, "list_ai_tools")
    assert caught.value.status == status


def test_moments_in_all_three_units_come_out_as_the_same_kind_of_datetime(server, color):
    seconds = datetime(2024, 10, 30, 7, 0, tzinfo=UTC)
    server.answer = Answer.json(EXECUTION)
    execution = call_quant(color, server.url, "get_ai_tool_execution_status", EXECUTION_ID)
    assert execution.created_at == seconds
    listed = {"executionId": EXECUTION_ID, "createdAt": "2024-10-30T07:00:00"}
    server.answer = Answer.json({"executions": [listed]})
    (item,) = call_quant(color, server.url, "list_ai_tool_executions").executions
    assert item.created_at == seconds
    server.answer = Answer.json({**TASK, "createdAt": 1730271600000, "expiresAt": 1730271600})
    task = call_quant(color, server.url, "get_task", TASK_ID)
    assert task.created_at == task.expires_at == seconds


@pytest.mark.parametrize("moment", ["", "soon", 1e300, True, [], {}, float(10**17)])
def test_a_time_that_cannot_be_read_does_not_lose_the_result(server, color, moment):
    server.answer = Answer.json({**EXECUTION, "completedAt": moment})
    execution = call_quant(color, server.url, "get_ai_tool_execution_status", EXECUTION_ID)
    assert execution.completed_at is None
    assert execution.status == "complete"


@pytest.mark.parametrize("result", [{"answer": 42}, "text", [1], 7, None])
def test_a_tools_result_may_be_any_json(server, color, result):
    server.answer = Answer.json({**EXECUTION, "result": result})
    execution = call_quant(color, server.url, "get_ai_tool_execution_status", EXECUTION_ID)
    assert execution.result == result


@pytest.mark.parametrize(
    "graph",
    [
        {"a": {"dependsOn": ["b"]}, "b": {"dependents": ["a"]}},
        [{"taskId": "a", "dependsOn": ["b"]}, {"taskId": "b", "dependents": ["a"]}],
        {"nodes": [{"id": "a", "dependsOn": ["b"]}, {"id": "b"}], "edges": []},
        {"nodes": {"a": {"dependsOn": ["b"]}, "b": {}}},
    ],
)
def test_a_dependency_graph_may_be_an_object_or_a_list(server, color, graph):
    server.answer = Answer.json({"taskListId": "l", "graph": graph})
    read = call_quant(color, server.url, "get_dependency_graph", "l").graph
    assert sorted(read) == ["a", "b"]
    assert read["a"].depends_on == ["b"]


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (lambda: calls.get_task(""), "must name a resource"),
        (lambda: calls.list_tasks(limit=101), "limit"),
        (lambda: calls.list_tasks(status="done"), "status"),
        (lambda: calls.update_task("t", {"progress": 2}), "progress"),
        (lambda: calls.create_task({}), "title"),
        (lambda: calls.chat_inference({"modelId": "m", "messages": []}), "messages"),
        (lambda: calls.chat_inference({**CHAT, "async": True}), "chat_inference_async"),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_sent(refused, says):
    with pytest.raises((errors.ApiValueError, errors.ApiTypeError), match=says):
        refused()


def test_a_chat_that_may_have_been_started_is_not_sent_again(server, color):
    server.answer = Answer.json({}, 503)
    with pytest.raises(errors.ServiceException):
        call_quant(color, server.url, "chat_inference", CHAT, retries=3)
    assert len(server.requests) == 1


# Streams


def sse(name, data):
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def test_a_stream_comes_event_by_event_and_unknown_events_are_passed_on(server, color):
    named = sse("start", {"model": "m"}) + sse("content", {"delta": "Hel", "complete": False})
    unnamed = b'data: {"type": "content", "delta": "lo"}\n\n' + sse("tool_round", {"n": 1})
    server.answer = Answer.events(named + unnamed + b"data: [DONE]\n\n" + sse("done", {}))
    events = call_quant(color, server.url, "chat_inference_stream", CHAT)
    assert server.only.headers["accept"] == "text/event-stream"
    assert [event.event for event in events] == [
        "start",
        "content",
        "content",
        "tool_round",
        "done",
    ]
    assert "".join(event.delta for event in events) == "Hello"
    assert [event.is_last for event in events][-2:] == [False, True]


def test_an_error_in_a_stream_is_raised(server, color):
    server.answer = Answer.events(sse("start", {}) + sse("error", {"error": "no tokens left"}))
    with pytest.raises(errors.QuantRunError, match="no tokens left"):
        call_quant(color, server.url, "chat_inference_stream", CHAT)


def test_a_stream_with_something_unreadable_says_where(server, color):
    server.answer = Answer.events(b"event: content\ndata: {oops\n\n")
    with pytest.raises(errors.UnreadableAnswerException, match="'content'"):
        call_quant(color, server.url, "chat_inference_stream", CHAT)


# Where the API is


def test_everything_can_come_from_the_environment(server, color, monkeypatch):
    monkeypatch.setenv("QUANT_BASE_URL", server.url + "/api/v3/")
    monkeypatch.setenv("QUANT_ORGANISATION", "acme co")
    monkeypatch.setenv("QUANT_API_TOKEN", "qc_env")
    server.answer = Answer.json({"tools": []})
    if color.name == "sync":
        with QuantClient() as client:
            client.list_ai_tool_names()
    else:
        asyncio.run(_names())
    assert server.only.path == "/api/v3/organizations/acme%20co/ai/tools/names"
    assert server.only.headers["authorization"] == "Bearer qc_env"


async def _names():
    async with AsyncQuantClient() as client:
        await client.list_ai_tool_names()


def test_credentials_of_a_configuration_come_before_those_of_the_environment(
    server, color, monkeypatch
):
    monkeypatch.setenv("QUANT_API_TOKEN", "qc_env")
    server.answer = Answer.json({"tools": []})
    call_quant(color, server.url, "list_ai_tool_names")
    assert server.only.headers["authorization"] == "Bearer qc_secret"


def test_spelling_prefix_and_host_can_be_said(server):
    server.answer = Answer.json(ACCEPTED)
    with QuantClient(server.url, "acme", spelling="organisations", prefix="v4/x") as client:
        client.chat_inference_async(CHAT)
    assert server.only.path == "/v4/x/organisations/acme/ai/chat"


def test_a_missing_organisation_is_said(monkeypatch):
    monkeypatch.delenv("QUANT_ORGANISATION", raising=False)
    with pytest.raises(errors.ApiValueError, match="QUANT_ORGANISATION"):
        QuantClient("http://127.0.0.1")


def test_both_clients_have_the_same_methods():
    assert {name for name in vars(QuantClient) if not name.startswith("_")} - {"close"} == {
        name for name in vars(AsyncQuantClient) if not name.startswith("_")
    } - {"aclose"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("list_ai_tool_names", ["acme"]), ("get_task", ["acme", TASK_ID]), ("list_tasks", ["acme"])],
)
def test_who_gives_the_organisation_to_a_method_is_told_whose_it_is(server, color, name, arguments):
    with pytest.raises(errors.ApiTypeError, match=r"organisation=\.\.\."):
        call_quant(color, server.url, name, *arguments)
    assert not server.requests


@pytest.mark.parametrize(
    ("name", "arguments", "near"),
    [
        ("create_task", [{"title": "T", "assignedAgent": "a"}], "assigned_agent_id"),
        ("create_task", [{"title": "T", "max_retrys": 1}], "max_retries"),
        ("update_task", [TASK_ID, {"progres": 1}], "progress"),
    ],
)
def test_a_misspelt_field_of_a_task_is_refused_before_it_is_sent(
    server, color, name, arguments, near
):
    with pytest.raises(
        errors.ApiValueError, match=f"there is no such field; did you mean '{near}'"
    ):
        call_quant(color, server.url, name, *arguments)
    assert not server.requests
