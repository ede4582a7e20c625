"""The bridge clients, over real HTTP: what is sent, and what comes of it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

import httpx
import pytest
from support.bridge_calls import call_bridge
from support.colors import Color

from acp_langgraph.bridge.client import AsyncBridgeClient, BridgeClient, Operations
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import (
    AnswerRejectedError,
    ApiConnectionError,
    ApiException,
    ApiTimeoutError,
    ApiTypeError,
    ApiValueError,
    BridgeError,
    BridgeInternalError,
    BridgeSetupError,
    ForbiddenException,
    GatewayError,
    GatewayTimeoutError,
    NoMatchingOperationError,
    NoServiceError,
    NotFoundException,
    QueryNotUnderstoodError,
    QueryPassedThroughError,
    QueryTooLargeError,
    ServiceException,
    TooManyRequestsException,
    UnauthorizedException,
    UnexpectedStatusException,
)
from acp_langgraph.testing import (
    BridgeQuery,
    BridgeService,
    FakeBridge,
    FakeHTTPServer,
    Fault,
    Gate,
    Response,
)

TEXT = "Bitte sende \u201eGrüße\u201c an jane@example.com \U0001f4e8"
KEY = "SG.very-secret-key"


def mailer(query: BridgeQuery) -> Response:
    return Response.empty(202)


@pytest.fixture
def bridge() -> Any:
    service = BridgeService(mailer, operations=frozenset({"POST /v3/mail/send", "PUT /v3/x"}))
    with FakeBridge({"sendgrid": service}, tools=lambda _: "14 degrees", direct=True) as server:
        yield server


def nlq(path: str, **more: str) -> tuple[str, str, dict[str, str]]:
    return "POST", path, {"content-type": "application/nlq", **more}


def direct(method: str, path: str, response: str, **more: str) -> tuple[str, str, dict[str, str]]:
    headers = {
        "content-type": "text/plain",
        "x-nl-query-enabled": "yes",
        "x-nl-response-type": response,
    }
    return method, path, {**headers, **more}


OPERATION = ("sendgrid", "/v3/mail/send", TEXT)
TRUSTED = {"service_api_key": KEY, "any_receiver": True}
PRESETS = [
    ("current", "query", ("sendgrid", TEXT), {}, nlq("/sendgrid/")),
    ("legacy", "query", ("/sendgrid/", TEXT), {}, nlq("/sendgrid/")),
    ("current", "query", ("sendgrid/v3/mail/send", TEXT), {}, nlq("/sendgrid/v3/mail/send/")),
    ("current", "query", ("s p ä c e", TEXT), {}, nlq("/s%20p%20%C3%A4%20c%20e/")),
    (
        "current",
        "query",
        ("sendgrid", TEXT),
        {"service_api_key": KEY},
        nlq("/sendgrid/", authorization=f"Bearer {KEY}"),
    ),
    (
        "current",
        "query",
        ("jira", TEXT),
        {"service_api_key": "Basic dXNlcjpwdw=="},
        nlq("/jira/", authorization="Basic dXNlcjpwdw=="),
    ),
    (
        "current",
        "query_operation",
        OPERATION,
        {},
        direct("POST", "/sendgrid/v3/mail/send", "upstream"),
    ),
    (
        "legacy",
        "query_operation",
        ("sendgrid", "v3/users/7/", TEXT),
        {"method": "GET", "response": "nl", "service_api_key": KEY},
        direct("GET", "/sendgrid/v3/users/7/", "nl", authorization=f"Bearer {KEY}"),
    ),
    ("current", "query_services", (TEXT,), {}, nlq("/api-bridge-agent/openapis")),
    ("legacy", "query_services", (TEXT,), {}, nlq("/aba/")),
    (
        "current",
        "query_services",
        (TEXT,),
        TRUSTED,
        nlq("/api-bridge-agent/openapis", authorization=f"Bearer {KEY}"),
    ),
    (
        "current",
        "query_services",
        (TEXT,),
        {"path": "/api-bridge-agent/aba"},
        nlq("/api-bridge-agent/aba"),
    ),
    ("current", "query_mcp", (TEXT,), {}, nlq("/api-bridge-agent/mcp")),
    ("legacy", "query_mcp", (TEXT,), {}, nlq("/mcp/")),
    ("current", "query_any", (TEXT,), {}, nlq("/api-bridge-agent/nlq")),
]


@pytest.mark.parametrize(("generation", "operation", "args", "options", "expected"), PRESETS)
def test_every_mode_sends_exactly_the_documented_request(
    color: Color, generation: str, operation: str, args: Any, options: Any, expected: Any
) -> None:
    with FakeHTTPServer(lambda _: Response.text("Done.")) as server:
        gateway = {"generation": generation, "apikey": "gw-1", "headers": {"X-Team": "mail"}}
        call_bridge(color, server.url, operation, *args, client=gateway, **options)
        (request,) = server.requests
    method, path, headers = expected
    assert (request.method, request.target, request.body) == (method, path, TEXT.encode())
    ours = {
        name: value
        for name, value in request.headers.items()
        if name not in {"host", "connection", "user-agent", "content-length"}
    }
    assert ours == {
        "accept": "*/*",
        "accept-encoding": "identity",
        "apikey": "gw-1",
        "x-team": "mail",
        **headers,
    }
    assert request.headers["content-length"] == str(len(TEXT.encode()))


def test_the_bridges_own_endpoints_get_no_service_credential(color: Color, bridge: Any) -> None:
    assert call_bridge(color, bridge.url, "init_mcp") == "MCP Server(s) Initialized"
    info = call_bridge(color, bridge.url, "info", client={"apikey": "gw-1"})
    assert info.version == "1.0.0"
    assert info.mcp_servers["demo"].tools[0].name == "tool"
    asked = [(request.method, request.path) for request in bridge.requests]
    assert asked == [
        ("POST", "/api-bridge-agent/mcp/init"),
        ("GET", "/api-bridge-agent/info"),
    ]
    assert not [request for request in bridge.requests if "authorization" in request.headers]


def test_a_legacy_bridge_is_initialized_the_legacy_way(color: Color) -> None:
    with FakeBridge({}, tools=lambda _: "done", generation="legacy") as server:
        call_bridge(color, server.url, "init_mcp", client={"generation": "legacy"})
        legacy = {"generation": "legacy"}
        assert call_bridge(color, server.url, "query_mcp", "go", client=legacy).result == "done"
        assert (server.requests[0].method, server.requests[0].path) == ("GET", "/mcp/init")


def test_a_service_answers_in_words(color: Color, bridge: Any) -> None:
    output = call_bridge(color, bridge.url, "query", "sendgrid", TEXT)
    assert output.result == "The service answered 202 Accepted."
    assert (output.status, output.content_type) == (200, "text/plain; charset=utf-8")
    assert (output.mode, output.parsed) == ("service", None)
    assert bridge.queries[0].text == TEXT


def test_a_direct_call_gives_the_services_own_answer(color: Color) -> None:
    def create(query: BridgeQuery) -> Response:
        return Response.json({"id": 7, "name": "Zoë"}, 201)

    service = BridgeService(create, operations=frozenset({"PUT /users/7"}))
    with FakeBridge({"crm": service}, direct=True) as server:
        output = call_bridge(
            color, server.url, "query_operation", "crm", "/users/7", "Name her Zoë", method="PUT"
        )
    assert (output.status, output.parsed) == (201, {"id": 7, "name": "Zoë"})
    assert (output.content_type, output.mode) == ("application/json", "direct")


def test_services_are_found_across_once_they_have_been_asked(color: Color, bridge: Any) -> None:
    call_bridge(color, bridge.url, "query", "sendgrid", "Send it")
    assert call_bridge(color, bridge.url, "query_services", "Send it").mode == "cross_api"
    assert [query.service for query in bridge.queries] == ["sendgrid", "sendgrid"]


def test_tools_answer_where_no_service_fits(color: Color, bridge: Any) -> None:
    call_bridge(color, bridge.url, "init_mcp")
    assert call_bridge(color, bridge.url, "query_any", "How warm is it?").result == "14 degrees"


@pytest.mark.parametrize(
    ("content_type", "body", "result"),
    [
        ("text/plain", "café".encode(), "café"),
        (None, "café \u201cja\u201d".encode(), "café \u201cja\u201d"),
        ("text/plain; charset=iso-8859-1", "café".encode("latin-1"), "café"),
        ("text/plain; charset=no-such", "café".encode(), "café"),
        ("text/plain; charset=utf-8", b"caf\xe9", "caf\ufffd"),
        ("text/plain; charset=utf-8", "\ufeffcafé".encode(), "café"),
        ("text/plain; charset=utf-16", "café".encode("utf-16"), "café"),
    ],
)
def test_an_answer_is_utf8_unless_it_says_something_else(
    color: Color, content_type: str | None, body: bytes, result: str
) -> None:
    headers = () if content_type is None else (("content-type", content_type),)
    with FakeHTTPServer(lambda _: Response(200, headers, body)) as server:
        assert call_bridge(color, server.url, "query", "s", "hi").result == result


@pytest.mark.parametrize(
    ("text", "parsed"),
    [('{"ok": true}', {"ok": True}), ("[1]", [1]), ("{not json", None), ("42 mails", None)],
)
def test_json_is_parsed_where_there_is_any(color: Color, text: str, parsed: Any) -> None:
    with FakeHTTPServer(lambda _: Response.text(text)) as server:
        output = call_bridge(color, server.url, "query", "s", "hi")
    assert (output.result, output.parsed) == (text, parsed)


def test_a_page_that_is_a_services_own_answer_is_its_answer(color: Color) -> None:
    with FakeHTTPServer(lambda _: Response.text("<p>hi", 200, "text/html")) as server:
        output = call_bridge(color, server.url, "query_operation", "wiki", "/pages/1", "Show it")
    assert (output.result, output.content_type) == ("<p>hi", "text/html")


def test_json_is_parsed_behind_a_byte_order_mark(color: Color) -> None:
    with FakeHTTPServer(lambda _: Response.text('\ufeff{"ok": true}')) as server:
        assert call_bridge(color, server.url, "query", "s", "hi").parsed == {"ok": True}


JSON_PROBLEM = {"error": "There was a problem proxying the request"}
ERRORS = [
    # The fact sheet's table, row by row.
    ("query", FakeBridge.error("no_operation"), NoMatchingOperationError, "No matching operation"),
    ("query_services", FakeBridge.error("no_service"), NoServiceError, "No service available"),
    ("query", FakeBridge.error("no_path"), NoServiceError, "nothing at this path"),
    ("query", FakeBridge.error("too_large"), QueryTooLargeError, "too large"),
    ("query", FakeBridge.error("internal"), BridgeInternalError, "before or after"),
    ("query_mcp", FakeBridge.error("internal"), BridgeInternalError, "internal error"),
    ("query", FakeBridge.error("not_understood"), QueryNotUnderstoodError, "not able to under"),
    ("query_operation", FakeBridge.error("no_route"), NoMatchingOperationError, "path and method"),
    ("query", FakeBridge.error("no_llm"), BridgeSetupError, "LLM configuration"),
    ("init_mcp", FakeBridge.error("no_mcp_configuration"), BridgeSetupError, "MCP configuration"),
    ("init_mcp", FakeBridge.error("no_mcp"), BridgeSetupError, "MCP sub-system"),
    ("query", Response.json(JSON_PROBLEM, 500), GatewayError, "problem proxying"),
    ("query", Response.json(JSON_PROBLEM, 502), GatewayError, "problem proxying"),
    ("query", Response.json({"error": "timed out"}, 408), GatewayTimeoutError, "timed out"),
    ("query", Response.json({"error": "timed out"}, 504), GatewayTimeoutError, "timed out"),
    ("query", Response.json({"error": "key missing"}, 401), UnauthorizedException, "key missing"),
    ("query", Response.json({"error": "disallowed"}, 403), ForbiddenException, "disallowed"),
    ("query", Response.json({"error": "limit"}, 429), TooManyRequestsException, "limit"),
    ("query", Response.json({"sent": True}, 200), QueryPassedThroughError, "plugin"),
    ("query", Response.text("<p>hi", 200, "image/png"), QueryPassedThroughError, "image/png"),
    ("query", Response.text("<p>hi", 200, "text/html"), QueryPassedThroughError, "text/html"),
    ("query", Response.text("<p>hi", 200, "Text/HTML; a=b"), QueryPassedThroughError, "text/html"),
    ("query_mcp", Response.text("<p>", 200, "text/html"), QueryPassedThroughError, "text/html"),
    ("query_any", Response.text("<p>", 200, "text/html"), QueryPassedThroughError, "text/html"),
    ("init_mcp", Response.text("<p>hi", 200, "text/html"), QueryPassedThroughError, "text/html"),
    ("query", Response.json({"error": "media type"}, 415), QueryPassedThroughError, "media type"),
    ("query", Response.json({"error": "bad"}, 400), QueryPassedThroughError, "as it was"),
    ("query_operation", Response.json({"error": "no mail"}, 404), NotFoundException, "no mail"),
    ("query_operation", Response.json({"error": "down"}, 503), ServiceException, "down"),
]


@pytest.mark.parametrize(("operation", "answer", "error", "says"), ERRORS)
def test_every_error_of_bridge_and_gateway_has_its_type_and_keeps_its_body(
    color: Color, operation: str, answer: Response, error: Any, says: str
) -> None:
    arguments = {"query": ("s", "hi"), "query_operation": ("s", "/x", "hi"), "init_mcp": ()}
    with FakeHTTPServer(lambda _: answer) as server:
        gateway = ApiClientConfiguration(server.url, retries=0)
        with pytest.raises(error, match=says) as caught:
            call_bridge(color, gateway, operation, *arguments.get(operation, ("hi",)))
        assert len(server.requests) == 1
    assert type(caught.value) is error
    assert caught.value.status == answer.status
    assert caught.value.body == answer.body.decode()


def test_what_the_service_refused_comes_as_success_and_the_check_tells(color: Color) -> None:
    def refuses(query: BridgeQuery) -> Response:
        return Response.json({"errors": ["bad key"]}, 401)

    with FakeBridge({"sendgrid": refuses}) as server:
        output = call_bridge(color, server.url, "query", "sendgrid", "hi")
        assert (output.status, "401" in output.result) == (200, True)
        for check in ("(?i)accepted", lambda output: "401" not in output.result):
            with pytest.raises(AnswerRejectedError, match="bad key") as caught:
                call_bridge(color, server.url, "query", "sendgrid", "hi", check=check)
            assert caught.value.body == output.result


@pytest.mark.parametrize("check", ["(?i)ACCEPTED", lambda output: None, lambda output: True])
def test_a_check_lets_a_good_answer_pass(color: Color, bridge: Any, check: Any) -> None:
    assert call_bridge(color, bridge.url, "query", "sendgrid", "hi", check=check).status == 200


def test_an_answer_that_does_not_come_is_a_timeout_and_the_query_is_not_sent_again(
    color: Color, bridge: Any
) -> None:
    gate = Gate()
    bridge.faults.add(Fault.hold(gate, at="work"))
    with pytest.raises(ApiTimeoutError) as caught:
        call_bridge(color, bridge.url, "query", "sendgrid", "hi", timeout=0.1)
    gate.open()
    bridge.wait_until(lambda: bridge.open_connections == 0)
    assert caught.value.sent
    assert len(bridge.requests) == 1


@pytest.mark.parametrize("operation", ["query", "query_operation"])
@pytest.mark.parametrize("fault", [Fault.lose_answer(), Fault.status(503), Fault.drop_after(20)])
def test_a_query_that_may_have_arrived_is_not_repeated(
    color: Color, bridge: Any, operation: str, fault: Fault
) -> None:
    bridge.faults.add(fault)
    args = {"query": ("sendgrid", "hi"), "query_operation": ("sendgrid", "/v3/x", "hi")}[operation]
    options = {"method": "PUT"} if operation == "query_operation" else {}
    with pytest.raises((ApiConnectionError, ApiException)):
        call_bridge(color, bridge.url, operation, *args, **options)
    assert len(bridge.requests) == 1


def test_not_even_an_idempotent_method_is_repeated_on_a_stale_connection(
    color: Color, bridge: Any
) -> None:
    bridge.faults.add(Fault.stale())
    args = ("sendgrid", "/v3/x", "hi")
    arrived = []

    def send_twice() -> None:
        with BridgeClient(bridge.url) as client:
            for _ in range(2):
                arrived.append(client.query_operation(*args, method="PUT"))  # noqa: PERF401 - the first is kept

    async def asend_twice() -> None:
        async with AsyncBridgeClient(bridge.url) as client:
            for _ in range(2):
                arrived.append(await client.query_operation(*args, method="PUT"))  # noqa: PERF401 - the first is kept

    run = send_twice if color.name == "sync" else lambda: asyncio.run(asend_twice())
    with pytest.raises(ApiConnectionError) as caught:
        run()
    assert caught.value.sent
    assert len(arrived) == len(bridge.requests) == 1


def test_a_query_turned_away_for_now_is_sent_again_as_soon_as_it_may(
    color: Color, bridge: Any
) -> None:
    bridge.faults.add(Fault.status(429, retry_after=0))
    assert call_bridge(color, bridge.url, "query", "sendgrid", "hi").status == 200
    assert len(bridge.queries) == 1


def test_a_gateway_that_is_not_there_is_tried_again(color: Color, bridge: Any) -> None:
    url = bridge.url
    bridge.stop()
    with pytest.raises(ApiConnectionError) as caught:
        call_bridge(color, ApiClientConfiguration(url, retries=1), "query", "sendgrid", "hi")
    assert not caught.value.sent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("own_client", [False, True])
def test_a_redirect_is_an_error_and_nothing_follows_it(
    color: Color, status: int, own_client: bool
) -> None:
    with FakeHTTPServer() as elsewhere, FakeHTTPServer() as gateway:
        headers = (("location", f"{elsewhere.url}/steal"),)
        gateway.faults.default = Fault.respond(Response(status, headers))
        options: dict[str, Any] = {"apikey": "gw-secret"}
        if own_client:
            kind = httpx.Client if color.name == "sync" else httpx.AsyncClient
            options["client"] = kind(follow_redirects=True)
        with pytest.raises(UnexpectedStatusException, match=f"redirect to {elsewhere.url}/steal"):
            call_bridge(color, gateway.url, "query", "s", "hi", client=options, service_api_key=KEY)
        assert (len(gateway.requests), len(elsewhere.requests)) == (1, 0)


@pytest.mark.parametrize("operation", ["query_services", "query_mcp", "query_any"])
def test_a_credential_goes_to_a_service_of_the_bridges_choice_only_where_that_is_allowed(
    color: Color, bridge: Any, operation: str
) -> None:
    with pytest.raises(ApiValueError, match="any_receiver=True") as caught:
        call_bridge(color, bridge.url, operation, "hi", service_api_key=KEY)
    assert KEY not in str(caught.value)
    assert len(bridge.requests) == 0


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response.json({"error": f"bad header Bearer {KEY}"}, 403), ForbiddenException),
        (Response.text(f"{KEY} gw-secret", 500), GatewayError),
        (Response.json({"you sent": [KEY, "user:hunter22"]}, 200), QueryPassedThroughError),
        (Response.text(f"I used {KEY}"), AnswerRejectedError),
    ],
)
def test_a_credential_that_the_server_repeats_shows_in_no_error_and_no_log(
    color: Color, answer: Response, error: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeHTTPServer(lambda _: answer) as server:
        gateway = ApiClientConfiguration(server.url, debug=True, retries=0)
        with pytest.raises(error) as caught:
            call_bridge(
                color,
                gateway,
                "query",
                "s",
                "hi",
                client={"apikey": "gw-secret"},
                service_api_key=KEY,
                check="never",
            )
    told = [str(caught.value), repr(caught.value), caught.value.body, caplog.text, repr(gateway)]
    assert not [text for text in told if KEY in text or "gw-secret" in text]
    assert "POST" in caplog.text


@pytest.mark.parametrize(
    ("client", "args", "options", "says"),
    [
        ({"headers": {"authorization": "x"}}, ("s", "hi"), {}, "service_api_key"),
        ({"headers": {"X-NL-Config": "x"}}, ("s", "hi"), {}, "hangs"),
        ({"headers": {"x-tyk-authorization": "x"}}, ("s", "hi"), {}, "admin"),
        ({"headers": {"content-type": "x"}}, ("s", "hi"), {}, "mode"),
        ({"apikey": ""}, ("s", "hi"), {}, "apikey is empty"),
        ({"apikey": "a\nb"}, ("s", "hi"), {}, "apikey holds"),
        ({"generation": "old"}, ("s", "hi"), {}, "current or legacy"),
        ({}, ("s", " \n"), {}, "query is empty"),
        ({}, ("s", "\ud800"), {}, "surrogate"),
        ({}, ("s", 5), {}, "query is text, got int"),
        ({}, ("", "hi"), {}, "needs a service"),
        ({}, ("../admin", "hi"), {}, "without query, dots"),
        ({}, ("s?x=1", "hi"), {}, "without query"),
        ({}, ("s", "hi"), {"service_api_key": "  "}, "service_api_key is empty"),
        ({}, ("s", "hi"), {"service_api_key": "a\r\nb"}, "service_api_key holds"),
        ({}, ("s", "hi"), {"check": "(sent"}, "no regular expression"),
        ({}, ("s", "hi"), {"check": 5}, "check is a callable"),
        ({}, ("s", "hi"), {"path": "aba/"}, "begins with a slash"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(
    color: Color, bridge: Any, client: Any, args: Any, options: Any, says: str
) -> None:
    with pytest.raises((ApiValueError, ApiTypeError), match=says):
        call_bridge(color, bridge.url, "query", *args, client=client, **options)
    assert len(bridge.requests) == 0


def test_a_gateways_url_brings_no_credential_for_the_service(color: Color) -> None:
    with pytest.raises(ApiValueError, match="service_api_key") as caught:
        call_bridge(color, "http://user:hunter22@127.0.0.1:1", "info")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize("kind", [BridgeClient, AsyncBridgeClient])
def test_what_is_no_client_is_refused_in_a_sentence(kind: Any) -> None:
    with pytest.raises(ApiTypeError, match="a client of your own"):
        kind("http://h", client=object())


def test_a_client_of_ones_own_brings_no_credential_either(color: Color, bridge: Any) -> None:
    kind = httpx.Client if color.name == "sync" else httpx.AsyncClient
    own = {"client": kind(headers={"authorization": "Bearer x"})}
    with pytest.raises(ApiValueError, match="service_api_key"):
        call_bridge(color, bridge.url, "info", client=own)


def test_an_answer_over_the_limit_is_refused(color: Color, bridge: Any) -> None:
    bridge.faults.add(Fault.oversized(5000))
    small = ApiClientConfiguration(bridge.url, max_answer_bytes=1000)
    with pytest.raises(Exception, match="larger than 1000 bytes"):
        call_bridge(color, small, "query", "sendgrid", "hi")


@pytest.mark.parametrize(
    "name",
    [name for name, _ in inspect.getmembers(Operations, inspect.isfunction) if name[0] != "_"],
)
def test_both_clients_have_every_operation_with_the_same_signature(name: str) -> None:
    blocking, awaiting = getattr(BridgeClient, name), getattr(AsyncBridgeClient, name)
    assert inspect.signature(blocking) == inspect.signature(awaiting)
    assert blocking.__doc__ == awaiting.__doc__ == getattr(Operations, name).__doc__
    assert inspect.iscoroutinefunction(awaiting)


def test_every_error_of_the_bridge_is_an_api_exception() -> None:
    assert issubclass(BridgeError, ApiException)
    assert issubclass(GatewayError, ServiceException)
