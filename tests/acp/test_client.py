from __future__ import annotations

import asyncio
import inspect
import json
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import BaseModel, SecretBytes, SecretStr
from support.acp_calls import call_acp
from support.acp_operations import (
    AGENT_ID,
    BY_NAME,
    CREATE,
    EVENT,
    NOTHING,
    OPERATIONS,
    OUTCOME,
    RUN,
    RUN_ID,
    THREAD,
    THREAD_ID,
    UPDATE,
)
from support.recorder import Answer, recording

from acp_langgraph import errors
from acp_langgraph.acp import calls
from acp_langgraph.acp.client import ACPClient, AsyncACPClient, AsyncRawResponses, RawResponses
from acp_langgraph.acp.models import RunOutputStream, RunStateless, RunStatus
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.wire import dump

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)


class Login(BaseModel):
    user: str = "ada"
    password: SecretStr


@pytest.fixture(params=["sync", "async"])
def color(request):
    return request.param


@pytest.fixture(scope="module")
def shared_server():
    with recording() as recorder:
        yield recorder


@pytest.fixture
def server(shared_server):
    shared_server.requests.clear()
    shared_server.hung_up.clear()
    shared_server.answer = Answer()
    return shared_server


def good_answer(operation):
    if operation.answer is NOTHING:
        return Answer(204)
    if operation.streams:
        return Answer.events(sse(EVENT))
    return Answer.json(operation.answer)


def sse(event):
    lines = [f"id: {event['id']}", f"event: {event['event']}", f"data: {json.dumps(event['data'])}"]
    return "\n".join([*lines, "", ""]).encode()


def plain(result):
    if isinstance(result, list):
        return [dump(item) for item in result]
    return NOTHING if result is None else dump(result)


# What is sent, and what is read


@every_operation
def test_an_operation_sends_what_the_specification_says(server, color, operation):
    server.answer = good_answer(operation)
    call_acp(color, server.url, operation.name, *operation.arguments, **operation.query)
    request = server.only
    assert (request.method, request.path) == (operation.method, operation.path)
    assert request.query == operation.on_the_wire
    if operation.body is NOTHING:
        assert request.content == b""
        assert "content-type" not in request.headers
    else:
        assert request.body == operation.body
        assert request.headers["content-type"] == "application/json"
    wanted = "text/event-stream" if operation.streams else "application/json"
    assert request.headers["accept"] == wanted


@every_operation
def test_an_operation_reads_its_answer(server, color, operation):
    server.answer = good_answer(operation)
    result = call_acp(color, server.url, operation.name, *operation.arguments)
    assert plain(result) == operation.answer


@every_operation
def test_the_raw_response_holds_status_headers_result_and_body(server, color, operation):
    server.answer = good_answer(operation)
    response = call_acp(color, server.url, operation.name, *operation.arguments, raw=True)
    assert response.status_code == server.answer.status
    assert response.headers.get("content-type") == server.answer.headers.get("content-type")
    assert plain(response.data) == operation.answer
    assert response.raw_data == server.answer.content


@every_operation
def test_time_out_and_headers_are_options_of_every_operation(server, color, operation):
    server.answer = good_answer(operation)
    options = {"timeout": 5, "headers": {"X-Trace": "t1"}}
    call_acp(color, server.url, operation.name, *operation.arguments, **options)
    assert server.only.headers["x-trace"] == "t1"


@pytest.mark.parametrize("answer", ["yes", ["a"], 0, False, None, {"ok": 1}, "", 1.5])
def test_an_answer_to_an_interrupt_arrives_as_it_is(server, color, answer):
    server.answer = Answer.json(RUN)
    call_acp(color, server.url, "resume_stateless_run", RUN_ID, answer)
    assert server.only.body == answer
    assert type(server.only.body) is type(answer)


@pytest.mark.parametrize("name", ["search_agents", "search_threads", "search_stateless_runs"])
def test_a_search_for_nothing_in_particular_sends_an_empty_object(server, color, name):
    server.answer = Answer.json([])
    assert call_acp(color, server.url, name) == []
    assert server.only.content == b"{}"


def test_an_id_cannot_lead_out_of_its_place_in_the_path(server, color):
    server.answer = Answer.json(THREAD)
    call_acp(color, server.url, "get_thread", "a/../b?c#e ü")
    assert server.only.path == "/threads/a%2F..%2Fb%3Fc%23e%20%C3%BC"
    assert server.only.query == {}


def test_a_header_of_the_call_replaces_the_one_of_the_configuration(server):
    server.answer = Answer.json(THREAD)
    with ACPClient(ApiClientConfiguration(server.url, api_key="general")) as client:
        client.get_thread(THREAD_ID, headers={"X-API-Key": "special"})
    assert server.only.headers["x-api-key"] == "special"


# Liberal reading


def test_a_run_is_read_with_null_for_what_is_absent_and_without_a_time_zone(server, color):
    server.answer = Answer.json(
        {
            **RUN,
            "created_at": "2026-11-22T06:27:16.383300",
            "thread_id": None,
            "creation": {**CREATE, "webhook": None, "config": {"tags": None}, "metadata": None},
        }
    )
    run = call_acp(color, server.url, "get_stateless_run", RUN_ID)
    assert run.created_at == datetime(2026, 11, 22, 6, 27, 16, 383300, tzinfo=UTC)
    assert run.creation.webhook is None


def test_unknown_fields_and_statuses_stay_readable(server, color):
    server.answer = Answer.json({**RUN, "status": "cancelled", "vendor": {"x": 1}})
    run = call_acp(color, server.url, "get_stateless_run", RUN_ID)
    assert run.status == "cancelled"
    assert run.vendor == {"x": 1}


def test_a_known_status_is_a_member_of_the_enumeration(server, color):
    server.answer = Answer.json(RUN)
    run = call_acp(color, server.url, "get_stateless_run", RUN_ID)
    assert run.status is RunStatus.PENDING


def test_a_delete_answered_200_with_a_body_is_a_success(server, color):
    server.answer = Answer.json({"deleted": True})
    assert call_acp(color, server.url, "delete_thread", THREAD_ID) is None


# Errors

OF_STATUS = {
    302: errors.UnexpectedStatusException,
    400: errors.BadRequestException,
    401: errors.UnauthorizedException,
    403: errors.ForbiddenException,
    404: errors.NotFoundException,
    408: errors.RequestTimeoutException,
    409: errors.ConflictException,
    418: errors.UnexpectedStatusException,
    422: errors.UnprocessableEntityException,
    429: errors.TooManyRequestsException,
    500: errors.ServiceException,
    502: errors.ServiceException,
    504: errors.ServiceException,
}
ONE_OF_EACH_KIND = [
    "get_stateless_run",
    "create_stateless_run",
    "cancel_stateless_run",
    "search_agents",
    "stream_stateless_run_output",
]


@every_operation
def test_every_error_status_of_the_specification_raises_its_class(server, color, operation):
    for status in operation.errors:
        server.answer = Answer.json("the server's own words", status)
        with pytest.raises(OF_STATUS[status], match="the server's own words") as caught:
            call_acp(color, server.url, operation.name, *operation.arguments)
        assert caught.value.status == status
        assert operation.path in str(caught.value)


@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
@pytest.mark.parametrize("status", OF_STATUS)
def test_any_other_error_status_raises_its_class(server, color, name, status):
    server.answer = Answer(status, b'{"detail": "no"}', {"location": "http://example.com/"})
    with pytest.raises(errors.ApiException) as caught:
        call_acp(color, server.url, name, *BY_NAME[name].arguments)
    assert type(caught.value) is OF_STATUS[status]
    assert caught.value.status == status


def test_a_raw_response_to_an_error_raises_too(server, color):
    server.answer = Answer.json("no", 404)
    with pytest.raises(errors.NotFoundException):
        call_acp(color, server.url, "get_thread", THREAD_ID, raw=True)
    with pytest.raises(errors.NotFoundException):
        call_acp(color, server.url, "stream_stateless_run_output", RUN_ID, raw=True)


UNREADABLE = {
    "no body": Answer(204),
    "an empty body": Answer(200),
    "a page": Answer(200, b"<html>Sign in</html>", {"content-type": "text/html"}),
    "broken JSON": Answer(200, b'{"run_id": "x', {"content-type": "application/json"}),
    "another type": Answer.json([1]),
    "bytes": Answer(200, b"\xff\xfe\x00", {"content-type": "application/octet-stream"}),
    "depth": Answer(200, b"[" * 100_000, {"content-type": "application/json"}),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("raw", [False, True], ids=["plain", "raw"])
@pytest.mark.parametrize(
    "name", ["wait_for_stateless_run_output", "stream_stateless_run_output", "search_agents"]
)
def test_a_success_that_cannot_be_read_is_an_error_of_ours(server, color, name, raw, kind):
    if kind == "another type" and name == "search_agents":
        server.answer = Answer.json({"agents": []})
    else:
        server.answer = UNREADABLE[kind]
    with pytest.raises(errors.UnreadableAnswerException) as caught:
        call_acp(color, server.url, name, *BY_NAME[name].arguments, raw=raw)
    assert caught.value.status == server.answer.status
    assert caught.value.body == server.answer.content.decode("utf-8", "replace")


def test_nobody_listening_is_an_error_of_ours(color):
    with recording() as recorder:
        url = recorder.url
    with pytest.raises(errors.ApiConnectionError) as caught:
        call_acp(color, url, "get_thread", THREAD_ID)
    assert caught.value.sent is False


# Arguments refused before anything is sent

REFUSED = {
    "an empty id": (errors.ApiValueError, "get_thread", ("",), {}),
    "no id": (errors.ApiTypeError, "get_thread", (None,), {}),
    "dots for an id": (errors.ApiValueError, "get_thread_run", (THREAD_ID, ".."), {}),
    "a run for its id": (
        errors.ApiTypeError,
        "get_stateless_run",
        (RunStateless(run_id="SECRET", status="pending"),),
        {},
    ),
    "no text for an id": (errors.ApiValueError, "get_thread", ("\ud800",), {}),
    "a body of another type": (errors.ApiTypeError, "create_stateless_run", (["SECRET"],), {}),
    "no body": (errors.ApiTypeError, "patch_thread", (THREAD_ID, None), {}),
    "a field of another type": (
        errors.ApiTypeError,
        "create_stateless_run",
        ({"agent_id": ["SECRET"]},),
        {},
    ),
    "a field with an impossible value": (
        errors.ApiValueError,
        "create_thread",
        ({"if_exists": "SECRET"},),
        {},
    ),
    "a limit out of bounds": (errors.ApiValueError, "search_agents", ({"limit": 1001},), {}),
    "an input that is not JSON": (
        errors.ApiValueError,
        "create_stateless_run",
        ({"input": object()},),
        {},
    ),
    "an input that is not finite": (
        errors.ApiValueError,
        "create_stateless_run",
        ({"input": float("nan")},),
        {},
    ),
    "an input that contains itself": (
        errors.ApiValueError,
        "create_stateless_run",
        ({"input": (circle := [], circle.append(circle))[0]},),
        {},
    ),
    "an answer that is not JSON": (
        errors.ApiValueError,
        "resume_stateless_run",
        (RUN_ID, {"said": ["SECRET", object()]}),
        {},
    ),
    "a query of another type": (
        errors.ApiTypeError,
        "list_thread_runs",
        (THREAD_ID,),
        {"limit": "SECRET"},
    ),
    "a query with an impossible value": (
        errors.ApiValueError,
        "cancel_stateless_run",
        (RUN_ID,),
        {"action": "SECRET"},
    ),
    "a negative offset": (errors.ApiValueError, "list_thread_runs", (THREAD_ID,), {"offset": -1}),
    "a time-out of nothing": (errors.ApiValueError, "get_thread", (THREAD_ID,), {"timeout": 0}),
    "a time-out in words": (errors.ApiTypeError, "get_thread", (THREAD_ID,), {"timeout": "5 s"}),
    "an endless time-out": (
        errors.ApiValueError,
        "get_thread",
        (THREAD_ID,),
        {"timeout": float("inf")},
    ),
    "a line break in a header": (
        errors.ApiValueError,
        "get_thread",
        (THREAD_ID,),
        {"headers": {"x-a": "b\r\nSECRET: 1"}},
    ),
    "a header that is no text": (
        errors.ApiTypeError,
        "get_thread",
        (THREAD_ID,),
        {"headers": {"x-a": 1}},
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_wrong_argument_is_refused_before_anything_is_sent(server, color, kind):
    error, name, args, kwargs = REFUSED[kind]
    with pytest.raises(error) as caught:
        call_acp(color, server.url, name, *args, **kwargs)
    assert type(caught.value) is error
    assert "SECRET" not in str(caught.value)
    assert server.requests == []


HALF = "half of a pair: \ud800"
NO_JSON = {
    "a secret": (SecretStr("sesame"), "Secret"),
    "a secret of bytes": (SecretBytes(b"sesame"), "Secret"),
    "a model's secret": (Login(password="sesame"), "password.*Secret"),
    "half of a surrogate pair": (HALF, "surrogate"),
    "half of one in a key": ({HALF: 1}, "surrogate"),
    "no number": (float("nan"), "nan"),
    "infinity": (float("-inf"), "inf"),
    "an object": (object(), "type object"),
    "a set of objects": ({"a": {object()}}, "type (object|set)"),
}
OWN_DATA = {
    "input": ("create_stateless_run", lambda value: ({"agent_id": AGENT_ID, "input": value},)),
    "configurable": (
        "create_and_wait_for_stateless_run_output",
        lambda value: ({"config": {"configurable": value}},),
    ),
    "metadata": ("create_stateless_run", lambda value: ({"metadata": {"sent": value}},)),
    "values": ("patch_thread", lambda value: (THREAD_ID, {"values": value})),
    "searched": ("search_stateless_runs", lambda value: ({"metadata": {"searched": value}},)),
    "answer": ("resume_stateless_run", lambda value: (RUN_ID, {"answer": value})),
}


@pytest.mark.parametrize("place", OWN_DATA)
@pytest.mark.parametrize("kind", NO_JSON)
def test_what_is_no_json_is_refused_with_its_place_and_without_its_value(
    server, color, kind, place
):
    operation, given = OWN_DATA[place]
    value, says = NO_JSON[kind]
    body = given({"kept": 1, "deep": [{"er": value}]})
    with pytest.raises(errors.ApiValueError, match=rf"{place}.*deep\.0\.er.*{says}") as caught:
        call_acp(color, server.url, operation, *body)
    assert "sesame" not in str(caught.value)
    assert "half of a pair" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("text", ["**********", "\U0001f600", "\x00", "\u2028", "\ufffd"])
def test_every_text_that_json_can_hold_is_sent(server, color, text):
    server.answer = Answer.json(RUN)
    call_acp(color, server.url, "create_stateless_run", {"input": {"text": text, text: [text]}})
    assert server.only.body["input"] == {"text": text, text: [text]}


def test_a_refusal_names_the_field(server, color):
    with pytest.raises(errors.ApiTypeError, match=r"RunCreateStateless\.config\.tags: "):
        call_acp(color, server.url, "create_stateless_run", {"config": {"tags": 1}})


def test_an_unknown_keyword_is_refused(server, color):
    with pytest.raises(errors.ApiValueError, match="tmeout"):
        call_acp(color, server.url, "get_thread", THREAD_ID, tmeout=1)


# Streams


def test_events_arrive_while_the_stream_is_open_and_closing_hangs_up(server):
    server.answer = Answer(
        200, headers={"content-type": "text/event-stream"}, endless=(sse(EVENT), sse(EVENT))
    )
    with ACPClient(server.url) as client:
        events = client.stream_stateless_run_output(RUN_ID)
        assert next(events).data.values == UPDATE["values"]
        assert not server.hung_up.is_set()
        events.close()
        assert server.hung_up.wait(10)


async def test_leaving_the_loop_over_a_stream_hangs_up(server):
    server.answer = Answer(
        200, headers={"content-type": "text/event-stream"}, endless=(sse(EVENT), sse(EVENT))
    )
    async with AsyncACPClient(server.url) as client:
        async for event in client.stream_stateless_run_output(RUN_ID):
            assert event.data.values == UPDATE["values"]
            assert not server.hung_up.is_set()
            break
        assert await asyncio.to_thread(server.hung_up.wait, 10)


def test_a_stream_is_requested_with_its_first_event_and_not_before(server):
    with ACPClient(server.url) as client:
        client.stream_stateless_run_output(RUN_ID)
    assert server.requests == []


def test_an_event_that_is_no_update_is_skipped(server, color):
    server.answer = Answer.events(b"event: agent_event\ndata: {broken\n\n")
    assert call_acp(color, server.url, "stream_stateless_run_output", RUN_ID) == []


def test_events_of_foreign_types_are_passed_on_if_they_are_objects_and_skipped_if_not(
    server, color
):
    server.answer = Answer.events(
        b"event: ping\ndata: now\n\n" + sse(EVENT) + b'event: end\ndata: {"x": 1}\n\n'
    )
    events = call_acp(color, server.url, "stream_stateless_run_output", RUN_ID)
    assert [event.event for event in events] == ["agent_event", "end"]
    assert events[1].data == {"x": 1}


def test_an_event_over_the_limit_is_an_error_of_ours(server):
    server.answer = Answer.events(b"data: " + b"x" * 5000 + b"\n\n")
    configuration = ApiClientConfiguration(server.url, max_answer_bytes=1000)
    with (
        ACPClient(configuration) as client,
        pytest.raises(errors.EventStreamError, match="1000 characters"),
    ):
        list(client.stream_stateless_run_output(RUN_ID))


def test_every_kind_of_update_is_read_as_its_model(server, color):
    updates = [
        UPDATE,
        {"type": "custom", "run_id": RUN_ID, "status": "pending", "update": {"x": 1}},
        {"type": "interrupt", "status": "interrupted", "interrupt": {"ask": "ok?"}},
        {"type": "error", "run_id": RUN_ID, "errcode": 1, "description": "boom", "status": "error"},
        {"type": "of tomorrow", "x": 1},
    ]
    server.answer = Answer.events(b"".join(sse({**EVENT, "data": data}) for data in updates))
    events = call_acp(color, server.url, "stream_stateless_run_output", RUN_ID)
    assert [type(event.data).__name__ for event in events] == [
        "ValueRunResultUpdate",
        "CustomRunResultUpdate",
        "ValueRunInterruptUpdate",
        "ValueRunErrorUpdate",
        "dict",
    ]


def test_a_call_that_streams_is_not_sent_as_one_that_does_not(server):
    stream, plain_call = calls.stream_stateless_run_output(RUN_ID), calls.get_thread(THREAD_ID)
    with ACPClient(server.url) as client:
        for send in (client.send, client.with_raw_response.send):
            with pytest.raises(errors.ApiTypeError, match="use stream"):
                send(stream)
        for send in (client.stream, client.with_raw_response.collect):
            with pytest.raises(errors.ApiTypeError, match="use send"):
                send(plain_call)
    assert server.requests == []


# The clients themselves


def test_a_call_made_by_hand_is_sent(server, color):
    server.answer = Answer.json(OUTCOME)
    call = calls.wait_for_stateless_run_output(RUN_ID)
    outcome = call_acp(color, server.url, "send", call)
    assert outcome.output.values == {"text": "hi!"}


def test_a_client_of_the_callers_own_is_used_and_stays_open(server):
    server.answer = Answer.json(THREAD)
    with httpx.Client(base_url=server.url, headers={"x-mine": "1"}) as own:
        with ACPClient(client=own) as client:
            client.get_thread(THREAD_ID)
        assert not own.is_closed
    assert server.only.headers["x-mine"] == "1"


async def test_an_async_client_of_the_callers_own_is_used_and_stays_open(server):
    server.answer = Answer.json(THREAD)
    async with httpx.AsyncClient(base_url=server.url, headers={"x-mine": "1"}) as own:
        async with AsyncACPClient(client=own) as client:
            await client.get_thread(THREAD_ID)
        assert not own.is_closed
    assert server.only.headers["x-mine"] == "1"


def test_authentication_of_the_callers_own_is_used(server):
    server.answer = Answer.json(THREAD)
    with ACPClient(server.url, auth=httpx.BasicAuth("me", "pw")) as client:
        client.get_thread(THREAD_ID)
    assert server.only.headers["authorization"].startswith("Basic ")


def public(kind):
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if name[0] != "_" and name not in {"close", "aclose"}
    }


def shape(method):
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


@pytest.mark.parametrize(
    ("one", "other"),
    [(ACPClient, AsyncACPClient), (RawResponses, AsyncRawResponses)],
    ids=["clients", "raw responses"],
)
def test_both_clients_have_the_same_methods_parameters_and_documentation(one, other):
    assert public(one).keys() == public(other).keys() >= BY_NAME.keys()
    for name, method in public(one).items():
        twin = public(other)[name]
        assert shape(method) == shape(twin), name
        assert inspect.getdoc(method) == inspect.getdoc(twin), name
        assert inspect.getdoc(method), name


@every_operation
def test_a_method_shows_its_arguments_options_and_result(operation):
    signature = inspect.signature(getattr(ACPClient, operation.name))
    assert {"timeout", "headers", *operation.query} <= signature.parameters.keys()
    result = inspect.signature(getattr(calls, operation.name)).return_annotation
    assert signature.return_annotation in {
        result.removeprefix("Call[").removesuffix("]"),
        "Generator[RunOutputStream, None, None]",
    }
    asynchronous = inspect.iscoroutinefunction(getattr(AsyncACPClient, operation.name))
    assert asynchronous is not operation.streams


def test_a_stream_is_typed_by_the_events_it_carries(server, color):
    server.answer = Answer.events(sse(EVENT))
    (event,) = call_acp(color, server.url, "stream_stateless_run_output", RUN_ID)
    assert isinstance(event, RunOutputStream)
    assert (event.id, event.event) == ("1", "agent_event")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"a\udc00b", "a\ufffdb"),
        (rb"\udc00\ud800", "\ufffd\ufffd"),
        (rb"\ud83d\ude00 \ud83d", "\U0001f600 \ufffd"),
        (rb"\\ud800", "\\ud800"),  # no escape, but a backslash and letters
        (b"\xed\xa0\x80", None),  # as some write it in bytes: however many characters it is
    ],
)
def test_half_of_a_surrogate_pair_hides_no_result(server, color, wire, text):
    outcome = json.dumps(OUTCOME).encode().replace(b"hi!", wire)
    server.answer = Answer(200, outcome, {"content-type": "application/json"})
    found = call_acp(color, server.url, "wait_for_stateless_run_output", RUN_ID)
    told = found.output.values["text"]
    assert told == text if text is not None else set(told) == {"\ufffd"}
    told.encode()  # it can be stored and sent on


def test_half_of_a_surrogate_pair_hides_no_event(server, color):
    event = sse(EVENT).replace(b'"h"', rb'"\ud800"')
    server.answer = Answer.events(event + sse(EVENT))
    first, second = call_acp(color, server.url, "stream_stateless_run_output", RUN_ID)
    assert first.data.values == {"text": "\ufffd"}
    assert second.data.values == {"text": "h"}
