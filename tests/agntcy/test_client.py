"""The 30 operations in the reference's three forms and both colors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from support.acp_operations import AGENT_ID, CREATE, NOTHING, OPERATIONS, RUN, RUN_ID, UPDATE
from support.agntcy_calls import call_agntcy
from support.colors import Color

from acp_langgraph import agntcy, errors
from acp_langgraph.agntcy import (
    ACPClient,
    ApiClient,
    ApiClientConfiguration,
    ApiException,
    AsyncACPClient,
    AsyncApiClient,
    models,
)
from acp_langgraph.agntcy.client import OPERATIONS as HERE
from acp_langgraph.testing import FakeHTTPServer, Fault, Gate, Response

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)
TABLE = {each.name: each for each in HERE}
SECRET = "sesame-4711-opens"
FORMS = ("", "_with_http_info", "_without_preload_content")


class Server(FakeHTTPServer):
    """Gives one answer to all."""

    answer = Response.json({})

    def respond(self, _: Any) -> Response:
        return self.answer


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def good(operation: Any) -> Response:
    if operation.answer is NOTHING:
        return Response.text("", 204)
    if operation.streams:
        event = f"id: 1\nevent: agent_event\ndata: {json.dumps(UPDATE)}\n\n"
        return Response.text(event, 200, "text/event-stream")
    return Response.json(operation.answer)


def to(server: Server) -> ApiClientConfiguration:
    return ApiClientConfiguration(server.url, retries=0)


def given(operation: Any) -> list[Any]:
    """The ids, and the body as the model that the operation takes."""
    arguments = list(operation.arguments)
    if (kind := TABLE[operation.name].takes) is not None:
        arguments[-1] = kind.from_dict(arguments[-1])
    return arguments


@pytest.mark.parametrize("form", FORMS)
@every_operation
def test_a_form_sends_and_reads_what_the_specification_says(
    color: Color, server: Server, operation: Any, form: str
) -> None:
    server.answer = good(operation)
    name = operation.name + form
    result = call_agntcy(color, to(server), name, *given(operation), **operation.query)

    (request,) = server.requests
    assert f"{request.method} {request.path}" == f"{operation.method} {operation.path}"
    assert {name: [value] for name, value in request.query.items()} == operation.on_the_wire
    if operation.body is not NOTHING:
        sent = request.json
        assert operation.body == (
            {k: sent[k] for k in operation.body} if isinstance(sent, dict) else sent
        )
    wanted = "text/event-stream" if operation.streams else "application/json"
    assert request.headers["accept"] == wanted

    gives = TABLE[operation.name].gives
    if form == "_without_preload_content":
        answer, body = result
        assert (answer.status, answer.reason) == (
            server.answer.status,
            "OK" if body else "No Content",
        )
        assert answer.headers["Content-Type"] == answer.getheader("content-type")
        assert operation.answer is NOTHING or body
    elif operation.streams:
        assert [type(each) for each in result] == [models.RunOutputStream]
        assert result[0].data.to_dict() == UPDATE
    else:
        data = result.data if form else result
        if form:
            assert (result.status_code, result.headers["CONTENT-TYPE"] != "") == (
                server.answer.status,
                True,
            )
        assert (data is None) if gives is None else data
        kind = get_args(gives)[0] if isinstance(data, list) else gives
        assert all(
            type(each) is (kind or type(None))
            for each in (data if isinstance(data, list) else [data])
        )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, agntcy.BadRequestException),
        (401, agntcy.UnauthorizedException),
        (403, agntcy.ForbiddenException),
        (404, agntcy.NotFoundException),
        (409, agntcy.ConflictException),
        (422, agntcy.UnprocessableEntityException),
        (429, agntcy.ApiException),
        (503, agntcy.ServiceException),
    ],
)
@pytest.mark.parametrize("name", ["get_stateless_run", "stream_stateless_run_output"])
def test_an_error_is_the_references_and_the_packages(
    color: Color, server: Server, status: int, kind: Any, name: str
) -> None:
    whole = {"detail": "no", "ids": ["x" * 40] * 500}
    server.answer = Response.json(whole, status)
    with pytest.raises(kind) as failed:
        call_agntcy(color, to(server), name, RUN_ID)
    error = failed.value
    assert isinstance(error, ApiException)
    assert isinstance(error, errors.error_for_status("", status, {}, b"").__class__)
    assert (error.status, json.loads(error.body)) == (status, whole)
    assert error.headers["Content-TYPE"] == "application/json"
    assert str(error).startswith(f"({status})\nReason: {error.reason}\n")
    assert error.data == (str(whole) if status in {404, 409, 422} else None)


def test_a_success_that_cannot_be_read_says_why(color: Color, server: Server) -> None:
    server.answer = Response.text("<html>", 200, "text/html")
    with pytest.raises(ApiException, match="base URL of the server's API"):
        call_agntcy(color, to(server), "get_stateless_run", RUN_ID)


@pytest.mark.parametrize(
    ("auth", "where", "name", "value"),
    [
        (
            {"in": "header", "type": "bearer", "key": "Authorization", "value": "Bearer of-one"},
            "headers",
            "authorization",
            "Bearer of-one",
        ),
        (
            {"in": "cookie", "type": "api_key", "key": "c", "value": "c=of-one"},
            "headers",
            "cookie",
            "c=of-one",
        ),
        (
            {"in": "query", "type": "api_key", "key": "key", "value": "of-one"},
            "query",
            "key",
            "of-one",
        ),
    ],
)
def test_credentials_of_one_request_are_shown_in_it(
    color: Color, server: Server, auth: Any, where: str, name: str, value: str
) -> None:
    server.answer = Response.json(RUN)
    config = ApiClientConfiguration(server.url, access_token="of-all-others")
    call_agntcy(color, config, "get_stateless_run", RUN_ID, _request_auth=auth)
    assert getattr(server.requests[0], where)[name] == value


def test_the_options_of_a_request_may_be_given_by_position(server: Server) -> None:
    server.answer = Response.json(RUN)
    client: Any = ACPClient(configuration=to(server))
    client.get_stateless_run(RUN_ID, 5.0, None, None, {"x-mine": 1}, 0)
    assert server.requests[0].headers["x-mine"] == "1"


def test_another_content_type_is_sent(color: Color, server: Server) -> None:
    server.answer = Response.json([])
    call_agntcy(
        color,
        to(server),
        "search_agents",
        models.AgentSearchRequest(),
        _content_type="application/vnd.acp+json",
    )
    assert server.requests[0].headers["content-type"] == "application/vnd.acp+json"


@pytest.mark.parametrize("seconds", [0.2, (0.1, 0.1)])
def test_a_request_that_takes_too_long_is_given_up(
    color: Color, server: Server, seconds: Any
) -> None:
    server.answer = Response.json(RUN)
    gate = Gate()
    server.faults.add(Fault.hold(gate))
    with pytest.raises(errors.ApiTimeoutError):
        call_agntcy(color, to(server), "get_stateless_run", RUN_ID, _request_timeout=seconds)
    gate.open()


@pytest.mark.parametrize(
    ("name", "arguments", "options", "kind"),
    [
        ("get_stateless_run", [""], {}, agntcy.ApiValueError),
        ("get_stateless_run", [None], {}, agntcy.ApiTypeError),
        ("get_stateless_run", [RUN_ID], {"_host_index": 1}, agntcy.ApiValueError),
        ("get_stateless_run", [RUN_ID], {"_headers": {"a": "b\nc"}}, agntcy.ApiValueError),
        ("create_stateless_run", [{"agent_id": 5}], {}, ValidationError),
        ("create_stateless_run", [{"input": {"a": float("nan")}}], {}, agntcy.ApiValueError),
        ("create_stateless_run", [], {}, TypeError),
        ("create_stateless_run", [{}], {"body": {}}, TypeError),
    ],
)
def test_what_cannot_be_sent_is_refused_before_it_is(
    color: Color, server: Server, name: str, arguments: Any, options: Any, kind: Any
) -> None:
    with pytest.raises(kind):
        call_agntcy(color, to(server), name, *arguments, **options)
    assert not server.requests


def test_a_body_may_be_a_dict(color: Color, server: Server) -> None:
    server.answer = Response.json(RUN)
    call_agntcy(color, to(server), "create_stateless_run", {**CREATE, "stream_mode": "values"})
    assert server.requests[0].json["stream_mode"] == "values"


def test_an_update_of_an_unknown_type_is_left_out(color: Color, server: Server) -> None:
    unknown, known = '{"type": "of later"}', json.dumps(UPDATE)
    server.answer = Response.text(f"data: {unknown}\n\ndata: {known}\n\n", 200, "text/event-stream")
    (event,) = call_agntcy(color, to(server), "stream_stateless_run_output", RUN_ID)
    assert (event.id, event.event) == ("", "agent_event")


def test_an_answer_is_read_piece_by_piece(server: Server) -> None:
    server.answer = Response.text("one\ntwo\nthree", 200)
    client = ACPClient(configuration=to(server))
    read = client.get_agent_by_id_without_preload_content
    assert list(read(AGENT_ID)) == [b"one\n", b"two\n", b"three"]
    assert b"".join(read(AGENT_ID).stream(3)) == b"one\ntwo\nthree"
    with read(AGENT_ID) as answer:
        assert (answer.read(2), answer.read(2), answer.data) == (b"on", b"e\n", b"two\nthree")
        assert answer.data == b"two\nthree"
    assert answer.closed


async def test_an_answer_is_read_piece_by_piece_awaiting(server: Server) -> None:
    server.answer = Response.text("one\ntwo\nthree", 200)
    async with AsyncACPClient(configuration=to(server)) as client:
        read = client.get_agent_by_id_without_preload_content
        assert [each async for each in (await read(AGENT_ID)).content] == [
            b"one\n",
            b"two\n",
            b"three",
        ]
        pieces = [each async for each in (await read(AGENT_ID)).content.iter_chunked(3)]
        assert (b"".join(pieces), max(map(len, pieces))) == (b"one\ntwo\nthree", 3)
        async with await read(AGENT_ID) as answer:
            assert answer.ok
            assert (await answer.read(2), await answer.readline()) == (b"on", b"e\n")
            assert await answer.text() == "two\nthree"
        given_up = await read(AGENT_ID)
        await given_up.release()
        assert given_up.closed


def test_a_client_works_without_a_block_and_after_one(server: Server) -> None:
    server.answer = Response.json([])
    request = models.AgentSearchRequest()
    api = ApiClient(to(server))
    with api:
        assert ACPClient(api).search_agents(request) == []
    assert ACPClient(api).search_agents(request) == []

    async def twice() -> None:
        awaiting = AsyncACPClient(AsyncApiClient(to(server)))
        assert await awaiting.search_agents(request) == []
        async with awaiting:
            assert await awaiting.search_agents(request) == []

    asyncio.run(twice())


def test_a_client_without_anything_uses_the_default(server: Server) -> None:
    server.answer = Response.json([])
    ApiClientConfiguration.set_default(to(server))
    try:
        for kind in (ApiClient, AsyncApiClient):
            assert kind.get_default() is kind.get_default()
            kind.set_default(None)
        assert ACPClient().search_agents(models.AgentSearchRequest()) == []
    finally:
        ApiClientConfiguration.set_default(None)
        ApiClient.set_default(None)


def test_an_api_client_makes_json_of_objects_and_objects_of_json() -> None:
    api = ApiClient(ApiClientConfiguration("http://h"))
    run = models.RunCreateStateless(agent_id="a")
    text = json.dumps(api.sanitize_for_serialization(run))
    assert api.deserialize(text, "RunCreateStateless", "application/json").agent_id == "a"
    assert api.deserialize(f"[{text}]", "List[RunCreateStateless]")[0].agent_id == "a"
    assert api.deserialize("words", "str", "text/plain") == "words"
    assert api.deserialize('{"a": 1}', "object") == {"a": 1}


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"api_key": {"x-api-key": SECRET}}, {}),
        ({"access_token": SECRET}, {}),
        ({"username": "ada", "password": SECRET}, {}),
        ({}, {"_headers": {"x-token": SECRET}}),
        ({}, {"_request_auth": {"in": "query", "key": "key", "value": SECRET}}),
        ({}, {"_request_auth": {"in": "cookie", "key": "c", "value": f"c={SECRET}"}}),
    ],
)
def test_no_error_holds_what_was_shown_to_a_server_that_repeats_it(
    color: Color, settings: Any, options: Any
) -> None:
    def repeat(request: Any) -> Response:
        return Response.json({"detail": [request.target, dict(request.headers)]}, 403)

    with FakeHTTPServer(repeat) as server:
        config = ApiClientConfiguration(server.url, **settings)
        with pytest.raises(agntcy.ForbiddenException) as failed:
            call_agntcy(color, config, "get_stateless_run", RUN_ID, **options)
    error = failed.value
    assert SECRET not in f"{error} {error!r} {error.body} {error.data} {error.headers}"
    assert "detail" in error.body
