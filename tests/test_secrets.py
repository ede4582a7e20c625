"""What was shown to a server is in nothing that is told of it, also where the server repeats it."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import logging
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

import httpx
import pytest
from langchain_core.messages import AIMessage
from langchain_core.tracers.base import BaseTracer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from support.colors import Color

from acp_langgraph import (
    ACPClient,
    ACPNode,
    APIBridgeAgentNode,
    ApiClientConfiguration,
    AsyncACPClient,
    AsyncBridgeClient,
    AsyncQuantClient,
    BridgeClient,
    HeaderAuth,
    QuantClient,
    TokenAuth,
    check_graph,
)
from acp_langgraph.errors import (
    ACPRunException,
    ApiConnectionError,
    ApiException,
    ApiValueError,
    ForbiddenException,
    QuantRunError,
    UnprocessableEntityException,
    UnreadableAnswerException,
)
from acp_langgraph.testing import (
    Answer,
    Fail,
    FakeACPServer,
    FakeBridge,
    FakeHTTPServer,
    Fault,
    RecordedRequest,
    Response,
)

KEY = "sesame-open/the+door=="
WORD = "sesame-word"
PAIR = base64.b64encode(f"ali:{WORD}".encode()).decode()
RUN: dict[str, Any] = {"input": {}}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


class Signing(httpx.Auth):
    """Signs by a header of its own."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-signature"] = KEY
        yield request


class SigningTheURL(httpx.Auth):
    """Signs by a parameter."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.url = request.url.copy_merge_params({"key": WORD})
        yield request


@dataclass(frozen=True)
class Way:
    """A way to show something to a server.

    Attributes:
        settings: Of the configuration.
        auth: The authentication.
        own: Of a client of the caller's own.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    auth: Callable[[], Any] = lambda: None
    own: dict[str, Any] | None = None


WAYS = {
    "api_key": Way({"api_key": KEY}),
    "api_key of another name": Way({"api_key": {"x-team": KEY}, "api_key_prefix": "Token"}),
    "access_token": Way({"access_token": KEY}),
    "basic": Way({"username": "ali", "password": WORD}),
    "configured headers": Way({"headers": {"x-tenant": KEY}}),
    "configured cookies": Way({"headers": {"cookie": f"session={WORD}; theme=dark"}}),
    "TokenAuth": Way(auth=lambda: TokenAuth(lambda: KEY)),
    "HeaderAuth": Way(auth=lambda: HeaderAuth(lambda: {"x-key": KEY})),
    "httpx.BasicAuth": Way(auth=lambda: httpx.BasicAuth("ali", WORD)),
    "httpx.Auth": Way(auth=Signing),
    "headers of an own client": Way(own={"headers": {"x-key": KEY}}),
    "auth of an own client": Way(own={"auth": ("ali", WORD)}),
    "cookies of an own client": Way(own={"cookies": {"session": WORD}}),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def client_of(
    kind: Any, color: Color, way: Way, url: str, method: str, *arguments: Any, **options: Any
) -> Any:
    """What a client's method comes to, or all that it yields."""
    blocking, awaiting = kind
    configuration = ApiClientConfiguration(url, retries=0, **way.settings)
    more = {**options, "auth": way.auth()}
    if color.name == "sync":
        own = None if way.own is None else httpx.Client(**way.own)
        with blocking(configuration, client=own, **more) as client:
            try:
                found = getattr(client, method)(*arguments)
                return list(found) if isinstance(found, Generator) else found
            finally:
                if own is not None:
                    own.close()

    async def run() -> Any:
        own = None if way.own is None else httpx.AsyncClient(**way.own)
        async with awaiting(configuration, client=own, **more) as client:
            try:
                found = getattr(client, method)(*arguments)
                if hasattr(found, "__aiter__"):
                    return [each async for each in found]
                return await found
            finally:
                if own is not None:
                    await own.aclose()

    return asyncio.run(run())


def ask(color: Color, way: Way, url: str, method: str = "create_stateless_run") -> Any:
    """Have a client of an ACP server do something."""
    return client_of((ACPClient, AsyncACPClient), color, way, url, method, RUN)


def told(error: BaseException) -> str:
    """All that is told by an error, and by those that a traceback of it shows."""
    found = "".join(traceback.TracebackException.from_exception(error).format())
    shown: BaseException | None = error
    while shown is not None:
        found += f"{shown!r} {vars(shown)} {shown.args}"
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    return found


def hides(text: str) -> bool:
    """Whether nothing secret is in a text."""
    return not any(each in text for each in ("sesame", PAIR))


def repeated(request: RecordedRequest) -> str:
    """All that came with a request, as servers repeat it: header by header, and in parts."""
    headers = request.headers
    parts = [part for value in headers.values() for part in value.replace(";", " ").split(" ")]
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme == "Basic":
        parts.append(base64.b64decode(credential).decode())
        parts.append(parts[-1].partition(":")[2])
    parts += [part.partition("=")[2] for part in parts if part.startswith("session=")]
    return "\n".join([*(f"{name}: {value}" for name, value in headers.items()), *parts])


def refusing(request: RecordedRequest) -> Response:
    """What API gateways say that show what they were sent."""
    said = repeated(request)
    body = {"detail": f"you may not: {said}", "headers": dict(request.headers)}
    return Response.json(body, 403, {"x-echo": " ".join(said.split("\n"))})


# Answers


def test_a_refusal_shows_nothing_that_was_sent(color: Color, way: Way) -> None:
    with (
        FakeHTTPServer(refusing) as server,
        pytest.raises(ForbiddenException, match="you may not") as caught,
    ):
        ask(color, way, server.url)
    assert hides(told(caught.value))
    assert "[credential]" in caught.value.body


def test_what_is_no_secret_stays_readable(color: Color, way: Way) -> None:
    def wanting(request: RecordedRequest) -> Response:
        words = f"{request.headers['content-type']} from {request.headers['host']} is not taken"
        return Response.json({"detail": words}, 403)

    with (
        FakeHTTPServer(wanting) as server,
        pytest.raises(
            ForbiddenException, match=r"403: application/json from 127\.0\.0\.1:\d+ is not taken"
        ),
    ):
        ask(color, way, server.url)


def test_a_page_in_place_of_an_answer_shows_nothing_that_was_sent(color: Color, way: Way) -> None:
    def page(request: RecordedRequest) -> Response:
        return Response.text(f"<html>{repeated(request)}</html>", content_type="text/html")

    with FakeHTTPServer(page) as server, pytest.raises(UnreadableAnswerException) as caught:
        ask(color, way, server.url)
    assert hides(told(caught.value))


def test_a_refused_stream_shows_nothing_that_was_sent(color: Color, way: Way) -> None:
    with FakeHTTPServer(refusing) as server, pytest.raises(ForbiddenException) as caught:
        ask(color, way, server.url, "create_and_stream_stateless_run_output")
    assert hides(told(caught.value))


def test_an_answer_that_is_no_http_shows_nothing_that_was_sent(color: Color, way: Way) -> None:
    def broken(request: RecordedRequest) -> Response:
        line = " ".join(repeated(request).split("\n"))
        return Response.recorded([f"HTTP/1.1 200 OK\r\nbad header {line}\r\n\r\n".encode()])

    with FakeHTTPServer(broken) as server, pytest.raises(ApiConnectionError) as caught:
        ask(color, way, server.url)
    assert hides(told(caught.value))


def test_a_broken_answer_does_not_show_a_url_that_was_signed(color: Color) -> None:
    broken = Response.recorded([b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"])
    with FakeHTTPServer(lambda _: broken) as server, pytest.raises(ApiConnectionError) as caught:
        ask(color, Way(auth=SigningTheURL), server.url)
    assert hides(told(caught.value))


def test_a_refusal_does_not_show_a_url_that_was_signed(color: Color) -> None:
    def refuse(request: RecordedRequest) -> Response:
        return Response.json({"detail": f"{request.target} is not for you"}, 403)

    with FakeHTTPServer(refuse) as server, pytest.raises(ForbiddenException) as caught:
        ask(color, Way(auth=SigningTheURL), server.url)
    assert hides(told(caught.value))


def _as_php(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", "\\/")


def _as_java(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", "\\u002f").replace("=", "\\u003d")


@pytest.mark.parametrize("written", [_as_php, _as_java, html.escape, quote])
@pytest.mark.parametrize("name", ["access_token", "TokenAuth"])
def test_another_spelling_of_what_was_sent_is_not_shown_either(
    color: Color, written: Callable[[str], str], name: str
) -> None:
    key = 'sesame-open/the"<door>=='
    ways = {
        "access_token": Way({"access_token": key}),
        "TokenAuth": Way(auth=lambda: TokenAuth(lambda: key)),
    }

    def refuse(request: RecordedRequest) -> Response:
        said = written(request.headers["authorization"])
        return Response.text(f'{{"detail": "no {said}"}}', 403, "application/json")

    with FakeHTTPServer(refuse) as server, pytest.raises(ForbiddenException) as caught:
        ask(color, ways[name], server.url)
    assert hides(told(caught.value))


@pytest.mark.parametrize(
    "method", ["create_stateless_run", "create_and_stream_stateless_run_output"]
)
@pytest.mark.parametrize("name", ["api_key", "TokenAuth"])
@pytest.mark.parametrize("before", [4096 - 9, 400 - 9])
def test_what_is_cut_short_ends_in_no_half_of_what_was_sent(
    color: Color, method: str, name: str, before: int
) -> None:
    def refuse(request: RecordedRequest) -> Response:
        shown = request.headers.get("x-api-key") or request.headers["authorization"][7:]
        return Response.text(f"{'.' * before}{shown}{'.' * 5000}", 403)

    with FakeHTTPServer(refuse) as server, pytest.raises(ForbiddenException) as caught:
        ask(color, WAYS[name], server.url, method)
    assert hides(told(caught.value))


# Nodes


def graph_of(node: Any) -> StateGraph[Any]:
    return StateGraph(State).add_node(node).add_edge(START, node.name)


def remote(url: str, way: Way, **options: Any) -> ACPNode:
    agent, configuration = (
        "6f2b7f0e-0d4f-5a36-9a2c-6c1f0c3f7d11",
        ApiClientConfiguration(url, retries=0, **way.settings),
    )
    return ACPNode(
        "remote", agent, configuration, "ask", None, "answer", None, auth=way.auth(), **options
    )


def test_a_refused_node_shows_and_stores_nothing_that_was_sent(
    color: Color, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "acp_langgraph")
    way = Way({"api_key": KEY, "debug": True}, auth=lambda: httpx.BasicAuth("ali", WORD))
    with FakeHTTPServer(refusing) as server:
        node = remote(server.url, way, headers={"x-tenant": KEY})
        with (
            color.graph_over(graph_of(node), tmp_path / "c.sqlite") as graph,
            pytest.raises(ForbiddenException) as caught,
        ):
            color.invoke(graph, {"ask": {"text": "hi"}}, {"configurable": {"thread_id": "1"}})
    assert server.requests[0].headers["x-tenant"] == KEY
    assert hides(told(caught.value))
    assert hides(caplog.text + str([vars(record) for record in caplog.records]))
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert hides(stored.decode("latin-1"))


def test_what_an_agent_says_of_its_failure_shows_nothing_that_was_sent(color: Color) -> None:
    way = Way({"api_key": KEY}, auth=lambda: TokenAuth(lambda: WORD))
    with FakeACPServer([Fail(f"401 of the service for {KEY} and {WORD}")]) as server:
        configuration = ApiClientConfiguration(server.url, **way.settings)
        node = ACPNode(
            "remote", server.agent_id, configuration, "ask", None, "answer", None, auth=way.auth()
        )
        with pytest.raises(ACPRunException, match="401 of the service for") as caught:
            color.invoke(graph_of(node).compile(), {"ask": {"text": "hi"}})
    assert hides(told(caught.value))


class Keeping(BaseTracer):
    """Keeps what a tracer would report."""

    def __init__(self) -> None:
        super().__init__()
        self.told = ""

    def _persist_run(self, run: Any) -> None:
        self.told += repr(run.__dict__)


def test_a_trace_of_a_failure_shows_nothing_that_was_sent(color: Color) -> None:
    tracer = Keeping()
    with FakeHTTPServer(refusing) as server:
        graph = graph_of(remote(server.url, WAYS["api_key"])).compile()
        with pytest.raises(ForbiddenException):
            color.invoke(graph, {"ask": {"text": "hi"}}, {"callbacks": [tracer]})
    assert "you may not" in tracer.told
    assert hides(tracer.told)


@pytest.mark.parametrize("said_by", ["tool", "node"])
def test_a_model_is_told_of_a_failure_without_what_was_sent(color: Color, said_by: str) -> None:
    with FakeHTTPServer(refusing) as server:
        tool = remote(server.url, WAYS["access_token"]).as_tool(arg_types={"text": str})
        tool.handle_tool_error = said_by == "tool"
        tools = ToolNode([tool], handle_tool_errors=said_by == "node")
        graph = StateGraph(MessagesState).add_node("tools", tools).add_edge(START, "tools")
        calls = [{"name": "remote", "id": "1", "args": {"text": "hi"}}]
        asked = {"messages": [AIMessage("", tool_calls=calls)]}
        said = color.invoke(graph.compile(), asked)["messages"][-1].content
    assert "you may not" in said
    assert hides(said)


def test_the_findings_of_a_check_show_nothing_that_was_sent() -> None:
    with FakeHTTPServer(refusing) as server:
        graph = graph_of(remote(server.url, WAYS["api_key"])).compile()
        report = check_graph(graph)
    assert "you may not" in str(report)
    assert hides(f"{report} {report!r}")


# The bridge and Quant


@pytest.mark.parametrize("name", ["configured headers", "headers of an own client"])
def test_a_bridges_refusal_shows_nothing_that_was_sent(color: Color, name: str) -> None:
    clients = BridgeClient, AsyncBridgeClient
    way, method = WAYS[name], ("query_services", "Send it")
    with FakeHTTPServer(refusing) as server, pytest.raises(ApiException) as caught:
        client_of(clients, color, way, server.url, *method, apikey=WORD)
    assert hides(told(caught.value))


def test_an_answer_of_no_bridge_shows_nothing_that_was_sent(color: Color) -> None:
    own: Any = {"headers": {"x-key": KEY}}
    clients = BridgeClient, AsyncBridgeClient

    def page(request: RecordedRequest) -> Response:
        return Response.json({"headers": dict(request.headers)})

    with FakeHTTPServer(page) as server, pytest.raises(ApiException) as caught:
        client_of(clients, color, Way(own=own), server.url, "query_services", "Send it")
    assert hides(told(caught.value))


def test_a_bridge_node_with_an_own_client_shows_nothing_that_it_sent(color: Color) -> None:
    def node(url: str, **own: Any) -> APIBridgeAgentNode:
        return APIBridgeAgentNode("send", url, "mail", "ask", "answer", check="never", **own)

    def invoke(url: str) -> None:
        if color.name == "sync":
            with httpx.Client(headers={"x-key": KEY}) as client:
                node(url, client=client).invoke({"ask": {"query": "Send it"}})
            return

        async def run() -> None:
            async with httpx.AsyncClient(headers={"x-key": KEY}) as client:
                await node(url, async_client=client).ainvoke({"ask": {"query": "Send it"}})

        asyncio.run(run())

    service = FakeBridge({"mail": lambda query: f"your key is {query.headers['x-key']}"})
    with service as bridge, pytest.raises(ApiException, match="did not accept") as caught:
        invoke(bridge.url)
    assert hides(told(caught.value))


def test_quants_refusal_shows_nothing_that_was_sent(color: Color, way: Way) -> None:
    clients = QuantClient, AsyncQuantClient
    with FakeHTTPServer(refusing) as server, pytest.raises(ForbiddenException) as caught:
        client_of(clients, color, way, server.url, "list_ai_tool_names", organisation="acme")
    assert hides(told(caught.value))


def test_what_quant_says_of_a_failed_chat_shows_nothing_that_was_sent(color: Color) -> None:
    def failing(request: RecordedRequest) -> Response:
        failure = json.dumps({"error": f"no model for {repeated(request)}"})
        return Response.stream([f"event: error\ndata: {failure}\n\n".encode()])

    body = {"messages": [{"role": "user", "content": "hi"}], "modelId": "m"}
    clients = QuantClient, AsyncQuantClient
    arguments = "chat_inference_stream", body
    with FakeHTTPServer(failing) as server, pytest.raises(QuantRunError, match="no mod") as caught:
        client_of(clients, color, WAYS["access_token"], server.url, *arguments, organisation="acme")
    assert hides(told(caught.value))


# Proxies


def test_a_proxy_without_a_scheme_is_taken_from_the_environment_as_by_httpx(
    color: Color, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeHTTPServer(refusing) as proxy:
        monkeypatch.setenv("http_proxy", f"ali:{WORD}@127.0.0.1:{proxy.port}")
        with pytest.raises(ForbiddenException) as caught:
            ask(color, Way(), "http://agents.invalid")
    assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {PAIR}"
    assert hides(told(caught.value))


@pytest.mark.parametrize("proxy", [f"ali:{WORD}@:3128", f"ftp://ali:{WORD}@corp"])
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(
    color: Color, proxy: str
) -> None:
    with pytest.raises(ApiValueError, match="proxy") as caught:
        ask(color, Way({"proxy": proxy}), "http://agents.invalid")
    assert hides(told(caught.value))


def test_a_proxy_that_repeats_its_password_is_told_of_without_it(color: Color) -> None:
    def refuse(request: RecordedRequest) -> Response:
        return Response.text(f"{request.headers['proxy-authorization']} is not accepted", 407)

    with FakeHTTPServer(refuse) as server:
        proxy = server.url.replace("http://", f"http://ali:{WORD}@")
        with pytest.raises(ApiException, match="is not accepted") as caught:
            ask(color, Way({"proxy": proxy}), "http://agents.invalid")
    assert hides(told(caught.value))


def test_a_refusal_is_told_soon_although_many_tokens_were_shown(color: Color) -> None:
    """Whoever serves many users has shown many, and servers say `Bearer` in what they refuse."""
    tokens = (f"Bearer {number:04}-{'x' * 300}-{'y' * 300}" for number in range(1000))
    auth = HeaderAuth(lambda config: {"authorization": next(tokens)})
    with FakeACPServer([Answer("done")]) as server:
        node = ACPNode("n", server.agent_id, server.url, "ask", None, "answer", None, auth=auth)
        color.invoke_each(node, [{"ask": {}}] * 600)
        server.faults.add(Fault.status(422, "the Bearer token has no such scope"), times=None)
        began = time.process_time()
        with pytest.raises(UnprocessableEntityException, match="no such scope"):
            color.invoke(node, {"ask": {}})
        assert time.process_time() - began < 0.5  # seconds in which nothing else could be done


@pytest.mark.parametrize("kilobytes", [96, 288])
def test_a_long_answer_that_repeats_what_was_sent_is_not_cut_in_the_midst_of_it(
    color: Color, kilobytes: int
) -> None:
    token = f"sesame/{'x/' * 1500}"

    def repeating(_: RecordedRequest) -> Response:
        said = f"{token} " * 12
        return Response.text(said + "-" * (kilobytes * 1024 - len(said) - 1000) + token, 403)

    way = Way({"access_token": token})
    with FakeHTTPServer(repeating) as server, pytest.raises(ForbiddenException) as caught:
        ask(color, way, server.url)
    assert "sesame" not in caught.value.body
