"""What the transports' own connections do beside sending: proxies, authentication, encodings."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport
from support.colors import Color
from support.sending import send
from support.signing import SECRET, ClientCredentials, behind_digest, token_issuer

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import EVENT_STREAM, Call
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiTimeoutError,
    CredentialsUnavailableError,
    MissingCredentialsError,
    UnauthorizedException,
    UnexpectedStatusException,
)
from acp_langgraph.testing import FakeHTTPServer, Fault, Gate, RecordedRequest, Response
from acp_langgraph.transport import AsyncTransport, Transport

READ: Call[Any] = Call("read", "GET", "/things/1", dict)
TEXT: Call[Any] = Call("read", "GET", "/things/1", str)
WRITE: Call[Any] = Call("write", "POST", "/things", dict, body={"a": 1})


@pytest.fixture
def server() -> Iterator[FakeHTTPServer]:
    with FakeHTTPServer(lambda request: Response.json({"path": request.path})) as running:
        yield running


class Renewing(httpx.Auth):
    """Sends a token, and fetches a new one where the old one is not taken."""

    requires_response_body = True

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.token = "old"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {self.token}"
        refused = yield request
        if refused.status_code == 401:
            issued = yield httpx.Request("POST", self.issuer, content=refused.content)
            self.token = issued.json()["token"]
            request.headers["authorization"] = f"Bearer {self.token}"
            yield request


class Fetching(httpx.Auth):
    """Fetches a token elsewhere before anything is sent."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield httpx.Request("POST", "https://issuer.invalid/token")
        yield request


def listen(color: Color, url: str, call: Call[Any], **options: Any) -> bytes:
    """All of a stream."""
    if color.name == "sync":
        with Transport(url, **options) as transport:
            return b"".join(transport.stream(call))

    async def run() -> bytes:
        async with AsyncTransport(url, **options) as transport:
            return b"".join([piece async for piece in transport.stream(call)])

    return asyncio.run(run())


def guarded(request: RecordedRequest) -> Response:
    if request.headers.get("authorization") == "Bearer new":
        return Response.json({"said": request.json if request.body else None})
    return Response.json("too old", 401)


def test_an_authentication_that_renews_its_token_is_asked_again(color: Color) -> None:
    issue = Response.json({"token": "new"})
    with FakeHTTPServer(guarded) as server, FakeHTTPServer(lambda _: issue) as issuer:
        auth = Renewing(f"{issuer.url}/token")
        assert send(color, server.url, WRITE, READ, auth=auth) == [
            {"said": {"a": 1}},
            {"said": None},
        ]
        assert [request.text for request in issuer.requests] == ['"too old"']
        assert len(server.requests) == 3


def test_what_an_authentication_gives_up_on_is_the_servers_error(color: Color) -> None:
    with FakeHTTPServer(guarded) as server, pytest.raises(UnauthorizedException, match="too old"):
        send(color, server.url, READ, auth=httpx.BasicAuth("u", "p"))


def test_an_answer_to_an_authentication_has_its_time_too(color: Color, server: Any) -> None:
    gate = Gate()
    with FakeHTTPServer(guarded) as refusing:
        server.faults.add(Fault.hold(gate))
        configuration = ApiClientConfiguration(refusing.url, timeout=0.05, retries=0)
        with pytest.raises(ApiTimeoutError):
            send(color, configuration, READ, auth=Renewing(f"{server.url}/token"))
        gate.open()


class Looking(httpx.Auth):
    """Looks at all that httpx tells of a response, while the conversation goes on and afterwards."""

    requires_response_body = True

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        first = yield request
        self.seen += [first.raise_for_status() is first, first.url.path, first.request is request]
        self.seen += [first.cookies["session"], first.http_version, first.reason_phrase]
        second = yield request
        self.seen += [first.text, first.is_closed, second.history == [first]]


def test_an_authentication_sees_the_response_as_httpx_shows_it(color: Color) -> None:
    answer = Response.json({"n": 1}, headers={"set-cookie": "session=1"})
    auth = Looking()
    with FakeHTTPServer(lambda _: answer) as server:
        assert send(color, server.url, READ, auth=auth) == [{"n": 1}]
    assert auth.seen[:6] == [True, "/things/1", True, "1", "HTTP/1.1", "OK"]
    assert auth.seen[6:] == ['{"n": 1}', True, True]


def test_a_digest_is_answered_with_the_cookie_of_its_challenge(color: Color) -> None:
    answer = behind_digest(lambda request: Response.json({"n": request.number}), "ada", "sesame")
    with FakeHTTPServer(answer) as server:
        auth = httpx.DigestAuth("ada", "sesame")
        assert send(color, server.url, WRITE, READ, auth=auth) == [{"n": 2}, {"n": 3}]
        assert server.requests[1].headers["cookie"] == "session=1"


def test_a_digest_is_answered_for_what_a_stream_brings(color: Color) -> None:
    events = Response.stream([b"data: 1\n\n"])
    listening = Call("listen", "GET", "/events", dict, headers={"accept": EVENT_STREAM})
    with FakeHTTPServer(behind_digest(lambda _: events, "ada", "sesame")) as server:
        auth = httpx.DigestAuth("ada", "sesame")
        assert listen(color, server.url, listening, auth=auth) == b"data: 1\n\n"


def test_a_wrong_password_for_a_digest_is_the_servers_error(color: Color) -> None:
    answer = behind_digest(lambda _: Response.json({}), "ada", "sesame")
    with FakeHTTPServer(answer) as server:
        with pytest.raises(UnauthorizedException, match="who is there"):
            send(color, server.url, WRITE, auth=httpx.DigestAuth("ada", "wrong"))
        assert len(server.requests) == 2


def test_a_token_for_client_credentials_is_got_once(color: Color, server: Any) -> None:
    with token_issuer() as issuer:
        send(color, server.url, WRITE, READ, auth=ClientCredentials(issuer.url))
        assert len(issuer.requests) == 1
    shown = [request.headers["authorization"] for request in server.requests]
    assert shown == ["Bearer sesame-token"] * 2


def test_an_answer_to_an_authentication_is_read_and_its_connection_kept(color: Color) -> None:
    answer = behind_digest(lambda _: Response.json({}), "ada", "sesame")
    with FakeHTTPServer(answer) as server:
        send(color, server.url, WRITE, READ, auth=httpx.DigestAuth("ada", "sesame"))
        assert server.connections == 1


class InTheURL(httpx.Auth):
    """Gets a token for a secret that is in the URL, as some do."""

    requires_response_body = True

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        issued = yield httpx.Request("GET", f"{self.issuer}/token?client_secret={SECRET}")
        issued.raise_for_status()
        yield request


@pytest.mark.parametrize(
    ("status", "error"), [(401, MissingCredentialsError), (503, CredentialsUnavailableError)]
)
def test_what_an_authentication_raises_is_told_as_of_a_token_and_without_its_secret(
    color: Color, server: Any, status: int, error: type[Exception]
) -> None:
    with FakeHTTPServer(lambda _: Response.json({}, status)) as issuer:
        configuration = ApiClientConfiguration(server.url, retries=0)
        with pytest.raises(error, match="nothing was sent") as caught:
            send(color, configuration, WRITE, auth=InTheURL(issuer.url))
    assert SECRET not in str(caught.value)
    assert not server.requests


def test_an_answer_to_an_authentication_has_a_largest_size_too(color: Color, server: Any) -> None:
    with FakeHTTPServer(lambda _: Response.json("." * 10_000)) as issuer:
        configuration = ApiClientConfiguration(server.url, max_answer_bytes=1000)
        with pytest.raises(AnswerTooLargeError, match="max_answer_bytes"):
            send(color, configuration, WRITE, auth=InTheURL(issuer.url))
    assert not server.requests


def test_where_an_issuer_gives_no_answer_nothing_was_sent(color: Color, server: Any) -> None:
    with token_issuer() as issuer:
        issuer.faults.add(Fault.lose_answer())
        configuration = ApiClientConfiguration(server.url, retries=0)
        with pytest.raises(ApiConnectionError) as caught:
            send(color, configuration, WRITE, auth=ClientCredentials(issuer.url))
    assert not caught.value.sent
    assert not server.requests


@pytest.mark.parametrize("signed", [False, True])
def test_a_proxy_is_asked_with_its_own_credentials(
    color: Color, server: Any, *, signed: bool
) -> None:
    proxy = server.url.replace("http://", "http://guest:let%20me@")
    configuration = ApiClientConfiguration("http://agents.invalid/base", proxy=proxy)
    auth = {"auth": httpx.BasicAuth("u", "p")} if signed else {}
    send(color, configuration, WRITE, **auth)
    (request,) = server.requests
    assert request.target == "http://agents.invalid/base/things"
    assert request.headers["proxy-authorization"] == "Basic Z3Vlc3Q6bGV0IG1l"  # guest:let me
    assert request.json == {"a": 1}


def test_a_tunnel_is_asked_for_with_the_proxys_credentials_too(color: Color, server: Any) -> None:
    proxy = server.url.replace("http://", "http://guest:let%20me@")
    server.faults.add(Fault.status(502), on="*")
    configuration = ApiClientConfiguration("http://agents.invalid", proxy=proxy, retries=0)
    with pytest.raises(ApiConnectionError):
        send(color, configuration, WRITE, auth=Fetching())
    (request,) = server.requests
    assert (request.method, request.target) == ("CONNECT", "issuer.invalid:443")
    assert request.headers["proxy-authorization"] == "Basic Z3Vlc3Q6bGV0IG1l"  # guest:let me


def test_a_proxy_that_is_not_there_has_sent_nothing(color: Color, server: Any) -> None:
    server.stop()
    configuration = ApiClientConfiguration("http://agents.invalid", proxy=server.url, retries=0)
    with pytest.raises(ApiConnectionError) as caught:
        send(color, configuration, WRITE)
    assert not caught.value.sent


@pytest.mark.parametrize(
    "headers",
    [
        {"x-long": "a" * 8_191},
        {"x-long": "a" * 102_000},
        {f"x-{number}": "a" for number in range(301)},
        {f"x-{number}": "a" for number in range(4_000)},
    ],
    ids=["8 kB", "100 kB", "301", "4000"],
)
@pytest.mark.parametrize("signed", [False, True])
def test_an_answer_may_have_long_headers_and_many(
    color: Color, headers: dict[str, str], *, signed: bool
) -> None:
    auth = {"auth": httpx.BasicAuth("u", "p")} if signed else {}
    with FakeHTTPServer(lambda _: Response.json({"a": 1}, headers=headers)) as server:
        assert send(color, server.url, READ, **auth) == [{"a": 1}]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-long": "sesame" * 20_000},
        {"x-long": "sesame" * 100_000},
        {f"x-{number}": "sesame" * 1_000 for number in range(20)},
        {f"x-{number}": "a" for number in range(5_000)},
    ],
    ids=["120 kB", "600 kB", "20 of 6 kB", "5000"],
)
def test_an_answer_with_headers_without_end_is_too_large_and_not_asked_for_again(
    color: Color, headers: dict[str, str]
) -> None:
    with FakeHTTPServer(lambda _: Response.json({}, headers=headers)) as server:
        with pytest.raises(AnswerTooLargeError, match="headers") as caught:
            send(color, server.url, READ)
        assert len(server.requests) == 1
    assert "sesame" not in str(caught.value)


def test_a_header_that_comes_twice_is_one_with_both_values(color: Color) -> None:
    twice = (("x-a", "1"), ("X-A", "2"), ("content-type", "application/json"))
    with (
        FakeHTTPServer(lambda _: Response(418, twice, b"{}")) as server,
        pytest.raises(UnexpectedStatusException) as caught,
    ):
        send(color, server.url, READ)
    assert caught.value.headers["x-a"] == "1, 2"


ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nhalf of it"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("received", [b"", b"half"])
def test_a_reset_is_not_the_end_of_a_body_that_does_not_say_where_it_ends(
    color: Color, received: bytes, *, signed: bool
) -> None:
    auth = {"auth": httpx.BasicAuth("u", "p")} if signed else {}
    with FakeHTTPServer(lambda _: Response.recorded([ENDLESS])) as server:
        at = ENDLESS.index(b"half") + len(received)
        server.faults.default = Fault.drop_after(at, reset=True)
        with pytest.raises(ApiConnectionError) as caught:
            send(color, ApiClientConfiguration(server.url, retries=0), TEXT, **auth)
    assert caught.value.sent


@pytest.mark.parametrize("signed", [False, True])
def test_a_body_that_does_not_say_where_it_ends_ends_with_its_connection(
    color: Color, *, signed: bool
) -> None:
    auth = {"auth": httpx.BasicAuth("u", "p")} if signed else {}
    with FakeHTTPServer(lambda _: Response.recorded([ENDLESS])) as server:
        assert send(color, server.url, TEXT, TEXT, **auth) == ["half of it", "half of it"]


@pytest.mark.parametrize("signed", [False, True])
def test_a_compressed_answer_is_read(color: Color, *, signed: bool) -> None:
    packed = Response(
        headers=(("content-type", "application/json"), ("content-encoding", "gzip")),
        body=gzip.compress(b'{"a": "b"}'),
    )
    auth = {"auth": httpx.BasicAuth("u", "p")} if signed else {}
    with FakeHTTPServer(lambda _: packed) as server:
        assert send(color, server.url, READ, **auth) == [{"a": "b"}]


def test_an_answer_that_cannot_be_decompressed_is_no_answer(color: Color) -> None:
    broken = Response(headers=(("content-encoding", "gzip"),), body=b"this is no gzip")
    with FakeHTTPServer(lambda _: broken) as server, pytest.raises(ApiConnectionError) as caught:
        send(color, ApiClientConfiguration(server.url, retries=0), READ)
    assert caught.value.sent


def test_a_cookie_is_not_kept_for_the_next_who_asks(color: Color) -> None:
    with FakeHTTPServer(lambda _: Response.json({}, headers={"set-cookie": "user=ada"})) as server:
        send(color, server.url, READ, READ)
        assert not any("cookie" in request.headers for request in server.requests)


def test_a_query_and_an_encoded_path_arrive_as_they_are(color: Color, server: Any) -> None:
    call: Call[Any] = Call("list", "GET", "/a%2Fb/%C3%BC", dict, {"q": "x &ü"})
    send(color, server.url, call)
    (request,) = server.requests
    assert request.target.startswith("/a%2Fb/%C3%BC?")
    assert request.query == {"q": "x &ü"}


async def test_a_client_of_the_callers_own_may_be_over_another_pool(server: Any) -> None:
    async with (
        httpx.AsyncClient(transport=AiohttpTransport()) as client,
        AsyncTransport(server.url, client=client) as transport,
    ):
        assert await transport.send(READ) == {"path": "/things/1"}


async def test_where_another_pool_cannot_connect_nothing_was_sent(server: Any) -> None:
    server.stop()
    async with (
        httpx.AsyncClient(transport=AiohttpTransport()) as client,
        AsyncTransport(server.url, client=client) as transport,
    ):
        with pytest.raises(ApiConnectionError, match="cannot connect") as caught:
            await transport.send(WRITE)
    assert not caught.value.sent


def pools() -> int:
    """How many pools of blocking connections there are."""
    gc.collect()
    return sum(type(each) is httpx.HTTPTransport for each in gc.get_objects())


def test_who_closes_and_goes_on_keeps_no_connections_of_before(server: Any) -> None:
    before = pools()
    with Transport(server.url) as transport:
        for _ in range(5):
            transport.send(READ)
            transport.close()
        assert pools() <= before
