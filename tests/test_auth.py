"""`TokenAuth` and `HeaderAuth`, in clients of every kind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
from langchain_core.runnables import RunnableLambda
from pydantic import SecretStr
from support.colors import Color
from support.guarded import GuardedServer, Tokens

from acp_langgraph import (
    ACPClient,
    ApiClientConfiguration,
    AsyncACPClient,
    AsyncBridgeClient,
    AsyncQuantClient,
    BridgeClient,
    CredentialsUnavailableError,
    HeaderAuth,
    MissingCredentialsError,
    QuantClient,
    TokenAuth,
)
from acp_langgraph.auth import credentials_of
from acp_langgraph.core.flow import adrive, drive
from acp_langgraph.errors import (
    ApiTypeError,
    ApiValueError,
    UnauthorizedException,
)
from acp_langgraph.testing import Answer, Emit, FakeBridge, FakeHTTPServer, Response
from acp_langgraph.transport import AsyncTransport, Transport

ADA = {"configurable": {"user_id": "ada"}}
GRACE = {"configurable": {"user_id": "grace"}}


@pytest.fixture
def server() -> Iterator[GuardedServer]:
    with GuardedServer([Emit({"n": 1}), Answer({"text": "done"})]) as running:
        yield running


@pytest.fixture
def tokens(server: GuardedServer) -> Tokens:
    return Tokens(server)


def call(color: Color, server: Any, auth: Any, *, times: int = 1, **options: Any) -> list[Any]:
    """Have a client ask for the agents, one time after the other."""
    if color.name == "sync":
        with ACPClient(server.url, auth=auth, **options) as client:
            return [client.search_agents({}) for _ in range(times)]

    async def calls() -> list[Any]:
        async with AsyncACPClient(server.url, auth=auth, **options) as client:
            return [await client.search_agents({}) for _ in range(times)]

    return asyncio.run(calls())


def stream(color: Color, server: Any, auth: Any) -> list[Any]:
    """Have a client create a run and listen to it."""
    body = {"input": {}, "stream_mode": "custom"}
    if color.name == "sync":
        with ACPClient(server.url, auth=auth) as client:
            return list(client.create_and_stream_stateless_run_output(body))

    async def events() -> list[Any]:
        async with AsyncACPClient(server.url, auth=auth) as client:
            return [each async for each in client.create_and_stream_stateless_run_output(body)]

    return asyncio.run(events())


def query(color: Color, bridge: Any, auth: Any) -> Any:
    """Have a client ask a bridge."""
    if color.name == "sync":
        with BridgeClient(bridge.url, auth=auth) as client:
            return client.query("mail", "Send it")

    async def run() -> Any:
        async with AsyncBridgeClient(bridge.url, auth=auth) as client:
            return await client.query("mail", "Send it")

    return asyncio.run(run())


def shown(auth: HeaderAuth, config: Any = None, *, refused: int = 0) -> dict[str, str]:
    """What is shown in an invocation, after it was refused so often."""
    credentials = credentials_of([auth], config or {}, "node 'n'")
    with Transport("http://127.0.0.1:9") as transport:
        found = drive(credentials.shown(), transport)
        for _ in range(refused):
            found = drive(credentials.renewed(found), transport)
    return dict(found[0].headers)


def test_a_token_is_got_once_and_sent_with_every_call(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    call(color, server, TokenAuth(lambda: tokens.issue("a")), times=3)
    assert server.shown() == ["Bearer sesame-a-1"] * 3


def test_a_refused_token_is_got_anew_once_and_the_call_repeated(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    auth = TokenAuth(lambda: tokens.issue("a"))
    call(color, server, auth)
    tokens.revoke()
    call(color, server, auth, times=2)
    assert server.shown()[1:] == ["Bearer sesame-a-1", "Bearer sesame-a-2", "Bearer sesame-a-2"]


def test_a_second_refusal_is_the_callers_error_without_the_token(
    color: Color, server: GuardedServer
) -> None:
    issued = iter(["sesame-1", "sesame-2", "sesame-3"])
    with pytest.raises(UnauthorizedException, match="is not accepted") as caught:
        call(color, server, TokenAuth(lambda: next(issued)))
    assert server.shown() == ["Bearer sesame-1", "Bearer sesame-2"]
    assert "sesame" not in f"{caught.value} {caught.value.body} {caught.value.headers}"


def test_the_same_token_again_is_not_sent_again(color: Color, server: GuardedServer) -> None:
    with pytest.raises(UnauthorizedException):
        call(color, server, TokenAuth(lambda: "sesame-1"))
    assert len(server.requests) == 1


def test_a_stream_begins_anew_after_a_refusal(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    auth = TokenAuth(lambda: tokens.issue("a"))
    call(color, server, auth)
    tokens.revoke()
    seen = stream(color, server, auth)
    assert len(seen) >= 2
    assert server.created == 1
    assert server.shown()[1:] == ["Bearer sesame-a-1", "Bearer sesame-a-2"]


def test_a_stream_that_is_refused_twice_is_an_error_without_the_token(
    color: Color, server: GuardedServer
) -> None:
    issued = iter(["sesame-1", "sesame-2", "sesame-3"])
    auth = TokenAuth(lambda: next(issued))

    with pytest.raises(UnauthorizedException) as caught:
        stream(color, server, auth)
    assert len(server.requests) == 2
    assert "sesame" not in f"{caught.value} {caught.value.body}"


def test_a_function_that_awaits_gives_tokens_to_who_awaits(
    server: GuardedServer, tokens: Tokens
) -> None:
    async def fetch() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"access_token": tokens.issue("a"), "token_type": "Bearer", "expires_in": 3600}

    call(Color("async"), server, TokenAuth(fetch), times=2)
    assert tokens.issued == ["sesame-a-1"]
    with pytest.raises(ApiTypeError, match=r"can only be awaited.*ainvoke"):
        call(Color("sync"), server, TokenAuth(fetch))


def test_an_object_gives_tokens_to_both(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    class Vault:
        def token(self) -> str:
            return tokens.issue("blocking")

        async def atoken(self) -> str:
            return tokens.issue("awaiting")

    call(color, server, TokenAuth(Vault()))
    assert tokens.issued == ["sesame-blocking-1" if color.name == "sync" else "sesame-awaiting-1"]


def test_a_function_that_blocks_does_not_block_the_loop(
    server: GuardedServer, tokens: Tokens
) -> None:
    threads = []

    def fetch() -> str:
        threads.append(threading.current_thread())
        return tokens.issue("a")

    call(Color("async"), server, TokenAuth(fetch))
    assert threads != [threading.main_thread()]


def test_a_token_that_is_nearly_over_is_not_shown_any_more() -> None:
    issued = iter(
        [
            {"access_token": "sesame-1", "expires_in": 0},
            {"access_token": "sesame-2", "expires_at": time.time() + 3600},
            {"access_token": "sesame-3"},
        ]
    )
    auth = TokenAuth(lambda: next(issued))
    assert [shown(auth)["authorization"] for _ in range(3)] == [
        "Bearer sesame-1",
        "Bearer sesame-2",
        "Bearer sesame-2",
    ]


@pytest.mark.parametrize("lasts", ["soon", float("nan"), [], None])
def test_an_end_that_cannot_be_understood_is_none(lasts: Any) -> None:
    issued = iter([{"access_token": "sesame-1", "expires_in": lasts}])
    auth = TokenAuth(lambda: next(issued))
    assert shown(auth) == shown(auth) == {"authorization": "Bearer sesame-1"}


def test_a_provider_is_told_that_its_token_was_refused() -> None:
    asked = []

    def fetch(refresh: bool) -> str:
        asked.append(refresh)
        return f"sesame-{len(asked)}"

    assert shown(TokenAuth(fetch), refused=1) == {"authorization": "Bearer sesame-2"}
    assert asked == [False, True]


def test_the_header_and_its_scheme_can_be_chosen() -> None:
    assert shown(TokenAuth(lambda: "k", header="X-Api-Key", scheme="")) == {"x-api-key": "k"}
    assert shown(TokenAuth(lambda: "k", scheme="Token")) == {"authorization": "Token k"}


def test_every_user_has_a_token_of_his_own_that_is_kept() -> None:
    asked = []

    def fetch(config: Any) -> str:
        asked.append(config["configurable"]["user_id"])
        return f"sesame-{asked[-1]}-{len(asked)}"

    auth = TokenAuth(fetch, per="user_id")
    found = [shown(auth, config)["authorization"] for config in (ADA, GRACE, ADA, GRACE)]
    assert found == ["Bearer sesame-ada-1", "Bearer sesame-grace-2"] * 2


def test_users_that_look_alike_are_not_the_same() -> None:
    auth = TokenAuth(lambda config: f"t{config['configurable']['user_id']!r}", per="user_id")
    found = {
        shown(auth, {"configurable": {"user_id": user}})["authorization"] for user in (1, "1", 1.0)
    }
    assert len(found) == 3


def test_who_was_away_for_longest_is_forgotten() -> None:
    asked: list[str] = []

    def fetch(config: Any) -> str:
        asked.append(config["configurable"]["user_id"])
        return "sesame"

    auth = TokenAuth(fetch, per="user_id", remember=2)
    for user in ("a", "b", "a", "c", "a", "b"):
        shown(auth, {"configurable": {"user_id": user}})
    assert asked == ["a", "b", "c", "b"]


def test_without_a_user_what_depends_on_the_config_is_not_kept() -> None:
    auth = TokenAuth(lambda config: config["configurable"]["user_id"])
    assert shown(auth, ADA) == {"authorization": "Bearer ada"}
    assert shown(auth, GRACE) == {"authorization": "Bearer grace"}


def test_what_is_kept_for_everybody_cannot_be_somebodys_own(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    user: ContextVar[str] = ContextVar("user")
    auth = TokenAuth(lambda: tokens.issue(user.get()))
    user.set("ada")
    with pytest.raises(MissingCredentialsError, match=r"LookupError.*name such a parameter"):
        call(color, server, auth)
    assert not server.requests
    call(color, server, TokenAuth(lambda config: tokens.issue(user.get())))
    assert server.shown() == ["Bearer sesame-ada-1"]


def test_what_is_kept_for_everybody_is_awaited_outside_of_any_context(
    server: GuardedServer, tokens: Tokens
) -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def fetch() -> str:
        await asyncio.sleep(0)
        return tokens.issue(user.get())

    user.set("ada")
    call(Color("async"), server, TokenAuth(fetch))
    assert server.shown() == ["Bearer sesame-nobody-1"]


def test_headers_that_take_nothing_are_made_for_each_call(
    color: Color, server: GuardedServer
) -> None:
    server.accepted |= {"1", "2"}
    numbers = iter("12")
    call(color, server, HeaderAuth(lambda: {"authorization": next(numbers)}), times=2)
    assert server.shown() == ["1", "2"]


def test_a_client_in_a_graph_knows_for_whom_it_works(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    auth = TokenAuth(lambda config: tokens.issue(config["configurable"]["user_id"]), per="user_id")
    if color.name == "sync":
        client: Any = ACPClient(server.url, auth=auth)

        def work(_: Any) -> Any:
            return client.search_agents({})

        with client:
            for config in (ADA, GRACE, ADA):
                RunnableLambda(work).invoke({}, config)
    else:

        async def run() -> None:
            async with AsyncACPClient(server.url, auth=auth) as client:

                async def work(_: Any) -> Any:
                    return await client.search_agents({})

                for config in (ADA, GRACE, ADA):
                    await RunnableLambda(work).ainvoke({}, config)

        asyncio.run(run())
    assert server.shown() == [
        "Bearer sesame-ada-1",
        "Bearer sesame-grace-2",
        "Bearer sesame-ada-1",
    ]


def test_a_missing_user_is_said_before_anything_is_sent(
    color: Color, server: GuardedServer
) -> None:
    with pytest.raises(MissingCredentialsError, match=r"'user_id' is neither in.*nothing was sent"):
        call(color, server, TokenAuth(lambda: "sesame", per="user_id"))
    assert not server.requests


@pytest.mark.parametrize("nothing", [None, "", {}, {"access_token": None}, SecretStr("")])
def test_a_missing_token_is_said_before_anything_is_sent(
    color: Color, server: GuardedServer, nothing: Any
) -> None:
    with pytest.raises(MissingCredentialsError, match="there is none; nothing was sent"):
        call(color, server, TokenAuth(lambda: nothing))
    assert not server.requests


def test_a_provider_that_fails_is_explained_and_what_may_pass_is_tried_again(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    failures: list[Exception] = [httpx.ConnectError("sesame")]

    def fetch() -> str:
        if failures:
            raise failures.pop()
        return tokens.issue("a")

    call(color, server, TokenAuth(fetch))
    assert tokens.issued == ["sesame-a-1"]


@pytest.mark.parametrize(
    ("failure", "error", "words"),
    [
        (KeyError("token"), MissingCredentialsError, "KeyError: 'token'; nothing was sent"),
        (ValueError("sesame"), MissingCredentialsError, "ValueError; nothing was sent"),
        (ConnectionResetError("sesame"), CredentialsUnavailableError, "ConnectionResetError"),
        (
            httpx.HTTPStatusError("sesame", request=None, response=httpx.Response(400)),  # type: ignore[arg-type]
            MissingCredentialsError,
            "HTTPStatusError",
        ),
        (
            httpx.HTTPStatusError("sesame", request=None, response=httpx.Response(503)),  # type: ignore[arg-type]
            CredentialsUnavailableError,
            "HTTPStatusError",
        ),
    ],
)
def test_a_failure_of_a_provider_tells_whether_it_may_pass(
    failure: Exception, error: type[Exception], words: str
) -> None:
    def fetch() -> str:
        raise failure

    with pytest.raises(error, match=words) as caught:
        shown(TokenAuth(fetch))
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize("value", ["sesame\r\nx-more: 1", "sesäme-lock", "sesame\x00", b"sesame"])
def test_what_no_header_can_hold_is_refused_without_being_shown(value: Any) -> None:
    with pytest.raises((ApiValueError, ApiTypeError), match="header 'x-key'") as caught:
        shown(HeaderAuth(lambda: {"x-key": value}))
    assert "ses" not in str(caught.value)


def test_a_secret_may_stay_wrapped_up_to_the_end() -> None:
    assert shown(HeaderAuth(lambda: {"X-Key": SecretStr("sesame")})) == {"x-key": "sesame"}
    assert shown(TokenAuth(lambda: SecretStr("sesame"))) == {"authorization": "Bearer sesame"}


def test_what_a_call_brings_itself_stays_as_it_is(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    auth = TokenAuth(lambda: tokens.issue("a"))
    tokens.issue("other")
    headers = {"Authorization": "Bearer sesame-other-1"}
    if color.name == "sync":
        with ACPClient(server.url, auth=auth) as client:
            client.search_agents({}, headers=headers)
    else:

        async def run() -> None:
            async with AsyncACPClient(server.url, auth=auth) as client:
                await client.search_agents({}, headers=headers)

        asyncio.run(run())
    assert server.shown() == ["Bearer sesame-other-1"]


def test_a_token_takes_the_place_of_what_the_configuration_says(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    configuration = ApiClientConfiguration(server.url, headers={"Authorization": "Bearer old"})
    auth = TokenAuth(lambda: tokens.issue("a"))
    if color.name == "sync":
        with ACPClient(configuration, auth=auth) as client:
            client.search_agents({})
    else:

        async def run() -> None:
            async with AsyncACPClient(configuration, auth=auth) as client:
                await client.search_agents({})

        asyncio.run(run())
    assert server.shown() == ["Bearer sesame-a-1"]


def test_many_that_need_a_token_at_once_wait_for_one_call(color: Color) -> None:
    asked: list[int] = []
    count = 20
    all_are_here = threading.Barrier(count)

    def fetch() -> str:
        asked.append(1)
        return f"sesame-{len(asked)}"

    auth = TokenAuth(fetch)
    found: list[Any] = []

    def get() -> None:
        credentials = credentials_of([auth], {}, "n")
        all_are_here.wait()
        first = drive(credentials.shown(), transport)
        all_are_here.wait()
        found.append(drive(credentials.renewed(first), transport))

    async def get_all() -> list[Any]:
        credentials = [credentials_of([auth], {}, "n") for _ in range(count)]
        async with AsyncTransport("http://127.0.0.1:9") as transport:
            first = await asyncio.gather(*(adrive(c.shown(), transport) for c in credentials))
            again = [c.renewed(shown) for c, shown in zip(credentials, first, strict=True)]
            return await asyncio.gather(*(adrive(flow, transport) for flow in again))

    if color.name == "sync":
        with Transport("http://127.0.0.1:9") as transport:
            threads = [threading.Thread(target=get) for _ in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    else:
        found = asyncio.run(get_all())
    assert len(asked) == 2
    assert {grants[0].headers["authorization"] for grants in found} == {"Bearer sesame-2"}


def test_who_waits_for_a_call_that_fails_is_told_so_too() -> None:
    asked: list[int] = []

    async def fetch() -> str:
        asked.append(1)
        for _ in range(10):  # the other comes meanwhile
            await asyncio.sleep(0)
        raise ConnectionError

    async def run() -> list[Any]:
        auth = TokenAuth(fetch)
        async with AsyncTransport("http://127.0.0.1:9") as transport:
            waiting = [
                asyncio.create_task(adrive(credentials_of([auth], {}, who).shown(), transport))
                for who in ("first", "second")
            ]
            return await asyncio.gather(*waiting, return_exceptions=True)

    errors = asyncio.run(run())
    assert [type(error) for error in errors] == [CredentialsUnavailableError] * 2
    assert [str(error).partition(":")[0] for error in errors] == ["first", "second"]
    assert len(asked) == 1


def test_who_waits_for_somebody_who_is_cancelled_asks_himself() -> None:
    asked: list[int] = []
    is_asked = asyncio.Event()

    async def fetch() -> str:
        asked.append(1)
        is_asked.set()
        if len(asked) == 1:
            await asyncio.Event().wait()
        return "sesame"

    async def run() -> Any:
        auth = TokenAuth(fetch)
        async with AsyncTransport("http://127.0.0.1:9") as transport:
            first, second, third = (
                asyncio.create_task(adrive(credentials_of([auth], {}, "n").shown(), transport))
                for _ in range(3)
            )
            await is_asked.wait()
            third.cancel()  # one who only waits takes nobody along
            first.cancel()
            return await second

    (grant,) = asyncio.run(run())
    assert grant.headers == {"authorization": "Bearer sesame"}
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (lambda: TokenAuth("sesame"), ApiTypeError, "must be a function, or an object with token"),
        (lambda: TokenAuth(lambda config, state: ""), ApiTypeError, "'state'.*config, refresh"),
        (lambda: TokenAuth(str, remember=0), ApiValueError, "at least 1"),
        (lambda: TokenAuth(str, header="a b"), ApiValueError, "name of a header"),
        (lambda: TokenAuth(str, scheme="a\nb"), ApiValueError, "line break"),
        (lambda: HeaderAuth(str, per=5), ApiTypeError, "per must be a function"),
    ],
)
def test_a_wrong_use_is_told_when_it_is_made(made: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        made()


def test_a_function_that_needs_what_it_is_to_give_is_told_so(server: GuardedServer) -> None:
    def fetch() -> str:
        return str(call(Color("sync"), server, blocking))

    async def afetch() -> str:
        async with AsyncACPClient(server.url, auth=awaiting) as client:
            return str(await client.search_agents({}))

    blocking, awaiting = TokenAuth(fetch), TokenAuth(afetch)
    for color, auth in (("sync", blocking), ("async", awaiting)):
        with pytest.raises(ApiTypeError, match="the very token that it is asked for"):
            call(Color(color), server, auth)
    assert not server.requests


@pytest.mark.parametrize("auth", ["sesame", ("user", "sesame"), lambda: "sesame"])
def test_what_cannot_authenticate_is_refused_with_what_could(auth: Any) -> None:
    for made in (ACPClient, AsyncACPClient):
        with pytest.raises(ApiTypeError, match=r"TokenAuth\(function\).*access_token") as caught:
            made("http://h", auth=auth)
        assert "sesame" not in str(caught.value)


def test_nothing_secret_is_in_a_repr() -> None:
    auth = TokenAuth(lambda: "sesame")
    shown(auth)
    credentials = credentials_of([auth], {}, "n")
    with Transport("http://127.0.0.1:9") as transport:
        found = drive(credentials.shown(), transport)
    assert "sesame" not in repr((auth, credentials, found, auth.__dict__))


def test_an_auth_of_httpx_goes_on_working(color: Color, server: GuardedServer) -> None:
    class TwoTries(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            request.headers["authorization"] = "Bearer old"
            response = yield request
            if response.status_code == 401:
                request.headers["authorization"] = "Bearer new"
                yield request

    server.accepted.add("Bearer new")
    call(color, server, TwoTries())
    assert server.shown() == ["Bearer old", "Bearer new"]


def test_no_session_of_one_user_becomes_another_ones(color: Color) -> None:
    def respond(_: Any) -> Response:
        return Response.json([], headers={"set-cookie": "s=1"})

    with FakeHTTPServer(respond) as plain:
        call(color, plain, None, times=2)
        assert all("cookie" not in request.headers for request in plain.requests)


def test_a_client_of_quants_takes_a_token(color: Color) -> None:
    def respond(request: Any) -> Response:
        if request.headers.get("authorization") != "Bearer sesame-2":
            return Response.json({"message": "Unauthenticated."}, 401)
        return Response.json({"tools": [], "count": 0})

    issued = iter(["sesame-1", "sesame-2"])
    auth = TokenAuth(lambda: next(issued))

    async def run(url: str) -> Any:
        async with AsyncQuantClient(url, "acme", auth=auth) as client:
            return await client.list_ai_tool_names()

    with FakeHTTPServer(respond) as quant:
        if color.name == "sync":
            with QuantClient(quant.url, "acme", auth=auth) as client:
                assert client.list_ai_tool_names().tools == []
        else:
            assert asyncio.run(run(quant.url)).tools == []


def test_a_client_of_a_bridge_takes_the_gateways_key(color: Color) -> None:
    with FakeBridge({"mail": lambda query: "sent"}, apikey="sesame-key") as bridge:
        query(color, bridge, TokenAuth(lambda: "sesame-key", header="apikey", scheme=""))
        assert len(bridge.queries) == 1


def test_a_bridge_gets_no_authorization_that_is_not_the_services(color: Color) -> None:
    with FakeBridge({"mail": lambda query: "sent"}) as bridge:
        with pytest.raises(ApiValueError, match="service_api_key"):
            query(color, bridge, TokenAuth(lambda: "sesame"))
        assert not bridge.requests
