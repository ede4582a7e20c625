"""The transports on a socket that misbehaves."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import math
import os
import re
from typing import Any

import aiohttp
import httpx
import pytest
from support.colors import Color
from support.own_client import OwnClient
from support.sending import send

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiTimeoutError,
    ApiTypeError,
    UnexpectedStatusException,
)
from acp_langgraph.testing import FakeHTTPServer, Fault, Gate, Response
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.per_call import transport_to

READ: Call[Any] = Call("read", "GET", "/things/1", dict)
WRITE: Call[Any] = Call("write", "POST", "/things", dict, body={"a": "ä"})


@pytest.fixture
def server() -> Any:
    with FakeHTTPServer(lambda request: Response.json({"path": request.path})) as running:
        yield running


def test_a_call_is_one_request_with_its_body_and_credentials(color: Color, server: Any) -> None:
    configuration = ApiClientConfiguration(server.url, api_key="sesame", headers={"x-a": "b"})
    assert send(color, configuration, WRITE) == [{"path": "/things"}]
    (request,) = server.requests
    assert (request.method, request.json) == ("POST", {"a": "ä"})
    assert request.headers["x-api-key"] == "sesame"
    assert request.headers["x-a"] == "b"
    assert request.headers["content-type"] == "application/json"


def test_a_refused_connection_never_left(color: Color, server: Any) -> None:
    server.stop()
    configuration = ApiClientConfiguration(server.url, retries=0)
    with pytest.raises(ApiConnectionError, match="cannot connect") as caught:
        send(color, configuration, WRITE)
    assert not caught.value.sent


@pytest.mark.parametrize("fault", [Fault.lose_answer(), Fault.drop_after(20)])
def test_a_broken_connection_may_have_left(color: Color, server: Any, fault: Fault) -> None:
    server.faults.add(fault, times=1)
    with pytest.raises(ApiConnectionError) as caught:
        send(color, server.url, WRITE)
    assert caught.value.sent
    assert len(server.requests) == 1


def test_a_read_is_repeated_after_a_broken_connection(color: Color, server: Any) -> None:
    server.faults.add(Fault.lose_answer(), times=1)
    assert send(color, server.url, READ) == [{"path": "/things/1"}]


def test_a_stale_connection_does_not_matter(color: Color, server: Any) -> None:
    server.faults.add(Fault.stale(), times=1)
    assert len(send(color, server.url, READ, READ)) == 2


def test_an_answer_that_does_not_come_is_a_timeout(color: Color, server: Any) -> None:
    gate = Gate()
    server.faults.add(Fault.hold(gate))
    configuration = ApiClientConfiguration(server.url, timeout=0.05, retries=0)
    with pytest.raises(ApiTimeoutError) as caught:
        send(color, configuration, READ)
    gate.open()
    assert caught.value.sent


@pytest.mark.parametrize("setting", ["timeout", "connect_timeout"])
@pytest.mark.parametrize("seconds", [math.inf, 1e300, 1e10])
def test_a_wait_without_end_is_one(color: Color, server: Any, setting: Any, seconds: float) -> None:
    configuration = ApiClientConfiguration(server.url, **{setting: seconds})
    assert send(color, configuration, READ) == [{"path": "/things/1"}]


def test_an_answer_has_a_largest_size(color: Color, server: Any) -> None:
    configuration = ApiClientConfiguration(server.url, max_answer_bytes=10)
    with pytest.raises(AnswerTooLargeError, match="max_answer_bytes"):
        send(color, configuration, READ)


def test_a_redirect_is_not_followed(color: Color, server: Any) -> None:
    with FakeHTTPServer(lambda _: Response.json({})) as elsewhere:
        redirect = Response(302, headers=[("location", f"{elsewhere.url}/x")])
        server.faults.add(Fault.respond(redirect))
        configuration = ApiClientConfiguration(server.url, api_key="sesame")
        with pytest.raises(UnexpectedStatusException, match="redirect"):
            send(color, configuration, READ)
        assert not elsewhere.requests


@pytest.mark.parametrize(
    ("location", "told"),
    [
        (
            "https://elsewhere.example/a/b?token=sesame#sesame",
            "a redirect to https://elsewhere.example/a/b,",
        ),
        (
            "https://joe:sesame@elsewhere.example:8443/a",
            "a redirect to https://elsewhere.example:8443/a,",
        ),
        ("/login?next=sesame", "a redirect to /login,"),
        ("//elsewhere.example/a", "a redirect to //elsewhere.example/a,"),
        ("http://[", "a redirect, which"),
        (None, "a redirect, which"),
    ],
)
def test_a_redirect_says_where_it_leads_to_and_nothing_private(
    color: Color, server: Any, location: str | None, told: str
) -> None:
    headers = () if location is None else (("location", location),)
    server.faults.add(Fault.respond(Response(307, headers)))
    with pytest.raises(UnexpectedStatusException) as caught:
        send(color, server.url, READ)
    assert f"answered 307: {told}" in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_client_of_the_callers_own_is_used_and_stays_open(color: Color, server: Any) -> None:
    if color.name == "sync":
        with httpx.Client(base_url=server.url, headers={"x-own": "1"}) as client:
            with Transport(client=client) as transport:
                transport.send(READ)
            assert not client.is_closed
    else:

        async def run() -> None:
            async with httpx.AsyncClient(base_url=server.url, headers={"x-own": "1"}) as client:
                async with AsyncTransport(client=client) as transport:
                    await transport.send(READ)
                assert not client.is_closed

        asyncio.run(run())
    assert server.requests[0].headers["x-own"] == "1"


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ({}, {}, {"read": 7.0, "connect": 7.0}),
        ({"timeout": 30}, {}, {"read": 30.0, "connect": 7.0}),
        ({"timeout": None}, {}, {"read": None, "connect": 7.0}),
        ({"connect_timeout": 2}, {}, {"read": 7.0, "connect": 2.0}),
        ({}, {"timeout": 40.0}, {"read": 40.0, "connect": 7.0}),
        ({"timeout": 30, "connect_timeout": 2}, {"timeout": 40.0}, {"read": 40.0, "connect": 2.0}),
    ],
)
def test_a_client_of_the_callers_own_waits_as_long_as_was_said_most_closely(
    color: Color, settings: Any, options: Any, expected: Any
) -> None:
    """The call says it, or else the configuration, or else the client."""
    own = OwnClient(color, httpx.Response(200, json={}), timeout=7)
    configuration = ApiClientConfiguration("http://h", **settings)
    send(color, configuration, READ.with_options(**options), client=own.client)
    assert {name: own.waits[0][name] for name in expected} == pytest.approx(expected, abs=1)


def test_a_client_of_another_library_with_the_same_names_is_refused_in_a_sentence(
    color: Color,
) -> None:
    httpx2 = pytest.importorskip("httpx2")
    client = httpx2.Client() if color.name == "sync" else httpx2.AsyncClient()
    with pytest.raises(ApiTypeError, match=r"not httpx2\..*: make the client with httpx"):
        send(color, "http://h", READ, client=client)
    with pytest.raises(ApiTypeError, match=r"or an httpx.Auth, not httpx2\.BasicAuth"):
        transport_to("http://h", auth=httpx2.BasicAuth("u", "sesame"))


def test_auth_of_the_callers_own_signs_requests(color: Color, server: Any) -> None:
    send(color, server.url, READ, auth=httpx.BasicAuth("u", "p"))
    assert server.requests[0].headers["authorization"].startswith("Basic ")


def test_a_transport_serves_several_event_loops_and_closes_with_each(server: Any) -> None:
    transport = AsyncTransport(server.url)

    async def run() -> None:
        for _ in range(3):
            await transport.send(READ)

    for _ in range(3):
        asyncio.run(run())
    gc.collect()  # an unclosed connection would warn, which is an error
    assert server.connections == 3


def test_a_forgotten_transport_closes_its_connections(server: Any) -> None:
    Transport(server.url).send(READ)
    gc.collect()  # an unclosed connection would warn, which is an error


def test_a_transport_that_is_forgotten_while_its_loop_runs_closes_its_connections(
    server: Any,
) -> None:
    async def run() -> None:
        await AsyncTransport(server.url).send(READ)
        gc.collect()  # an unclosed connection would warn, which is an error
        open_before = set(asyncio.all_tasks())
        await asyncio.sleep(0)  # the loop begins to close what nobody has any more
        for closing in asyncio.all_tasks() - open_before:
            await closing
        gc.collect()
        loop = asyncio.get_running_loop()
        sessions = [one for one in gc.get_objects() if isinstance(one, aiohttp.ClientSession)]
        assert not [one for one in sessions if one._loop is loop]

    asyncio.run(run())


def test_debug_logs_every_exchange_without_secrets_and_bodies(
    color: Color, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "acp_langgraph")
    url = server.url.replace("http://", "http://user:sesame@")
    send(color, ApiClientConfiguration(url, api_key="sesame", debug=True), WRITE)
    (line,) = [record.message for record in caplog.records if record.name == "acp_langgraph.http"]
    assert line.startswith(f"POST {server.url}/things: done")
    assert "sesame" not in caplog.text
    assert "ä" not in caplog.text


@pytest.mark.parametrize("fault", [Fault.drop_before_work(), Fault.drop_before_work(reset=True)])
def test_a_server_that_has_answered_is_not_suspected_of_another_scheme(
    color: Color, server: Any, fault: Fault
) -> None:
    server.faults.add(fault, nth=2)
    configuration = ApiClientConfiguration(server.url, retries=0)
    with pytest.raises(ApiConnectionError, match="the connection broke") as caught:
        send(color, configuration, READ, WRITE)
    assert "https" not in str(caught.value)


def test_a_server_that_never_answered_may_be_one_of_another_scheme(
    color: Color, server: Any
) -> None:
    server.faults.add(Fault.drop_before_work(reset=True), times=None)
    # By this name no test has called one, whose port this one may have got.
    url = server.url.replace("127.0.0.1", "LocalHost")
    configuration = ApiClientConfiguration(url, retries=0)
    with pytest.raises(ApiConnectionError, match="is it https:// instead of http://"):
        send(color, configuration, WRITE)


def test_a_server_that_answered_another_client_is_of_the_right_scheme(
    color: Color, server: Any
) -> None:
    send(color, server.url, READ)
    server.faults.add(Fault.drop_before_work(reset=True), times=None)
    configuration = ApiClientConfiguration(server.url, retries=0)
    with pytest.raises(ApiConnectionError, match="the connection broke") as caught:
        send(color, configuration, WRITE)
    assert "https" not in str(caught.value)


def test_what_failed_is_told_alike_in_both_colors_and_in_no_librarys_words(color: Color) -> None:
    with pytest.raises(ApiConnectionError) as caught:
        send(color, ApiClientConfiguration("http://127.0.0.1:9", retries=0), READ)
    assert str(caught.value) == (
        "GET http://127.0.0.1:9/things/1: cannot connect: [Errno "
        f"{errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}. "
        "Is the server running, and is this its host and port?"
    )


def test_what_tls_says_is_told_without_the_context_that_it_was_said_by(
    color: Color, server: Any
) -> None:
    url = server.url.replace("http://", "https://")
    with pytest.raises(ApiConnectionError, match=r"cannot connect: \[SSL: WRONG_V") as caught:
        send(color, ApiClientConfiguration(url, retries=0), READ)
    assert not re.search(r"ssl:|object at|\[\[|\.\.", str(caught.value))


def test_a_full_stop_is_not_doubled(color: Color, server: Any) -> None:
    server.faults.add(Fault.lose_answer(), times=1)
    with pytest.raises(ApiConnectionError, match="disconnected") as caught:
        send(color, ApiClientConfiguration(server.url, retries=0), WRITE)
    assert not re.search(r"[.?]\.|\.$", str(caught.value))


def test_an_error_status_is_an_answer_too(color: Color, server: Any) -> None:
    server.faults.add(Fault.status(500), Fault.drop_before_work(reset=True))
    configuration = ApiClientConfiguration(server.url, retries=1)
    with pytest.raises(ApiConnectionError, match="the connection broke") as caught:
        send(color, configuration, READ)
    assert "https" not in str(caught.value)
