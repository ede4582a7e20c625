"""Nodes that make each request as whoever the graph is run for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from pydantic import SecretStr
from support.colors import Color
from support.guarded import GuardedServer, Tokens
from support.peers import Certificates, speaking_tls
from support.signing import ClientCredentials, behind_digest, token_issuer

from acp_langgraph import (
    ACPNode,
    APIBridgeAgentNode,
    HeaderAuth,
    MissingCredentialsError,
    NodeConfigurationError,
    QuantTaskNode,
    QuantToolNode,
    TokenAuth,
)
from acp_langgraph.errors import (
    AcpLangGraphError,
    ApiConnectionError,
    ApiValueError,
    CheckpointerRequiredError,
    UnauthorizedException,
)
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import (
    Answer,
    Ask,
    BridgeService,
    Emit,
    FakeACPServer,
    FakeBridge,
    FakeQuant,
    FakeTool,
    RecordedRequest,
    Response,
    Work,
)


@dataclass
class Context:
    """What the graph is run with."""

    user_id: str = ""
    token: str = ""


class State(TypedDict, total=False):
    ask: dict[str, Any]
    answer: Any


def as_user(user: str, thread: str = "1", **more: Any) -> RunnableConfig:
    return {"configurable": {"user_id": user, "thread_id": thread, **more}}


@pytest.fixture
def server() -> Iterator[GuardedServer]:
    with GuardedServer([Answer(lambda run: run.input)]) as running:
        yield running


@pytest.fixture
def tokens(server: GuardedServer) -> Tokens:
    return Tokens(server)


def make(server: GuardedServer, **options: Any) -> ACPNode:
    return ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None, **options)


def built(node: Any) -> Any:
    builder = StateGraph(State, context_schema=Context)
    builder.add_node(node)
    return builder.add_edge(START, node.get_name())


def by_user(tokens: Tokens, **options: Any) -> TokenAuth:
    """Tokens for the user that the config names."""
    return TokenAuth(
        lambda config: tokens.issue(config["configurable"]["user_id"]), per="user_id", **options
    )


@pytest.mark.parametrize("name", ["headers", "auth_header"])
def test_headers_are_made_of_the_config(color: Color, server: GuardedServer, name: str) -> None:
    server.accepted.add("ada")

    def headers(config: RunnableConfig) -> dict[str, str]:
        return {"Authorization": config["configurable"]["user_id"]}

    node = make(server, **{name: headers})
    color.invoke(node, {"ask": {"text": "hi"}}, as_user("ada"))
    assert server.shown() == ["ada"]


def test_headers_are_made_of_the_runtimes_context(color: Color, server: GuardedServer) -> None:
    server.accepted.add("Token sesame")

    def headers(runtime: Runtime[Context]) -> dict[str, Any]:
        return {"authorization": SecretStr(f"Token {runtime.context.token}")}

    graph = built(make(server, headers=headers)).compile()
    color.invoke(graph, {"ask": {"text": "hi"}}, context=Context(token="sesame"))
    assert set(server.shown()) == {"Token sesame"}


def test_headers_may_be_awaited(server: GuardedServer) -> None:
    server.accepted.add("ada")

    async def headers(config: RunnableConfig) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"authorization": config["configurable"]["user_id"]}

    node = make(server, headers=headers)
    Color("async").invoke(node, {"ask": {"text": "hi"}}, as_user("ada"))
    assert server.created == 1


def test_headers_are_made_once_for_an_execution_and_once_more_if_refused(
    color: Color, server: GuardedServer
) -> None:
    server.accepted.add("new")
    made: list[bool] = []

    def headers(refresh: bool) -> dict[str, str]:
        made.append(refresh)
        return {"authorization": "new" if refresh else "old"}

    graph = built(make(server, headers=headers)).compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"ask": {"text": "hi"}}, as_user("ada"))
    assert made == [False, True]
    assert server.shown()[:2] == ["old", "new"]
    assert set(server.shown()[2:]) == {"new"}
    assert server.created == 1


def test_a_refused_token_is_replaced_and_the_run_is_one(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    graph = built(make(server, auth=by_user(tokens))).compile()
    color.invoke(graph, {"ask": {"text": "hi"}}, as_user("ada"))
    tokens.revoke()
    color.invoke(graph, {"ask": {"text": "hi"}}, as_user("ada"))
    assert tokens.issued == ["sesame-ada-1", "sesame-ada-2"]
    assert server.created == 2


def test_users_of_one_node_at_the_same_time_are_kept_apart(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    graph = built(make(server, auth=by_user(tokens))).compile(checkpointer=InMemorySaver())
    users = [f"user{number % 8}" for number in range(40)]
    work = [
        ({"ask": {"text": user}}, as_user(user, str(number))) for number, user in enumerate(users)
    ]

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(graph.ainvoke(*each) for each in work))

    if color.name == "sync":
        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(lambda each: graph.invoke(*each), work))
    else:
        done = asyncio.run(all_at_once())
    assert [each["answer"]["text"] for each in done] == users
    owners = {run.run_id: run.input["text"] for run in server.runs}
    for request in server.requests:
        shown = request.headers["authorization"].split("-")[1]
        told = request.json["input"]["text"] if request.body else None
        run_id = request.route.parameters.get("run_id") if request.route else None
        assert shown == (told or owners[run_id])
    assert sorted(token.split("-")[1] for token in tokens.issued) == sorted(set(users))


def test_after_a_restart_the_answer_goes_out_as_who_gives_it(
    color: Color, server: GuardedServer, tmp_path: Path
) -> None:
    server.accepted |= {"Bearer before", "Bearer after"}
    auth = TokenAuth(lambda runtime: runtime.context.token)
    config = as_user("ada")
    with GuardedServer([Ask("really?"), Answer({"text": "done"})]) as asking:
        asking.accepted |= server.accepted
        for value, token in (
            ({"ask": {"text": "hi"}}, "before"),
            (Command(resume="yes"), "after"),
        ):
            builder = built(make(asking, auth=auth))
            with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
                color.invoke(graph, value, config, context=Context(token=token))
        shown = asking.shown()
        assert asking.created == asking.completed == 1
    resumed = shown.index("Bearer after")
    assert set(shown[:resumed]) == {"Bearer before"}
    assert set(shown[resumed:]) == {"Bearer after"}
    files = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"Bearer" not in files
    assert b"before" not in files


def test_nothing_secret_is_remembered_forwarded_or_logged(
    color: Color,
    server: GuardedServer,
    tokens: Tokens,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = TokenAuth(lambda config: tokens.issue("ada"), per="user_id")
    node = make(server, auth=auth, headers=lambda config: {"x-key": config["configurable"]["key"]})
    config = as_user("ada", key=SecretStr("sesame-key"), plain="kept")
    config["metadata"] = {"purpose": "test"}
    with color.graph_over(built(node), tmp_path / "c.sqlite") as graph:
        color.invoke(graph, {"ask": {"text": "hi"}}, config)
    assert server.requests[0].headers["x-key"] == "sesame-key"
    (run,) = server.runs
    assert "sesame" not in str(run.metadata) + repr(node) + repr(node.__dict__)
    assert run.metadata["purpose"] == "test"
    assert "plain" not in run.metadata
    assert "sesame" not in caplog.text
    assert all("sesame" not in str(record.__dict__) for record in caplog.records)
    assert b"sesame" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_a_secret_that_langgraph_stores_is_warned_of_once(
    server: GuardedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.accepted.add("Bearer sesame")
    node = make(server, auth=TokenAuth(lambda config: config["configurable"]["token"]))
    graph = built(node).compile(checkpointer=InMemorySaver())
    for thread in "12":
        graph.invoke({"ask": {"text": "hi"}}, as_user("ada", thread, token="sesame"))
    (record,) = [each for each in caplog.records if each.name == "acp_langgraph.nodes"]
    assert "'token' as plain text" in record.getMessage()
    assert "sesame" not in record.getMessage()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auth": TokenAuth(lambda: "t", per="user_id")}, "'user_id' is neither in"),
        ({"auth": TokenAuth(lambda config: config["configurable"]["token"])}, "KeyError: 'token'"),
        ({"auth": TokenAuth(lambda runtime: runtime.context.key)}, "AttributeError: 'key'"),
        ({"headers": lambda config: {"x-key": config["configurable"].get("k")}}, "header x-key"),
        ({"headers": lambda: None}, "gives nothing"),
    ],
)
def test_missing_credentials_are_said_before_anything_is_done(
    color: Color, server: GuardedServer, options: Any, words: str
) -> None:
    graph = built(make(server, **options)).compile(checkpointer=InMemorySaver())
    with pytest.raises(MissingCredentialsError, match=words) as caught:
        color.invoke(graph, {}, {"configurable": {"thread_id": "1"}})
    assert str(caught.value).startswith("node 'remote': ")
    assert "graph.invoke(..., config={" in str(caught.value)
    assert not server.requests


def test_a_missing_user_is_found_in_the_context_instead(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    auth = TokenAuth(lambda runtime: tokens.issue(runtime.context.user_id), per="user_id")
    graph = built(make(server, auth=auth)).compile()
    color.invoke(graph, {"ask": {"text": "hi"}}, context=Context(user_id="ada"))
    assert tokens.issued == ["sesame-ada-1"]


def test_a_refusal_of_everything_fails_the_node_with_the_servers_words(
    color: Color, server: GuardedServer
) -> None:
    node = make(server, headers=lambda: {"authorization": "sesame"})
    with pytest.raises(UnauthorizedException, match="is not accepted") as caught:
        color.invoke(node, {"ask": {"text": "hi"}})
    assert "sesame" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_run_that_cannot_be_answered_is_cancelled_as_who_began_it(color: Color) -> None:
    with GuardedServer([Ask("really?")]) as asking:
        graph = built(make(asking, auth=by_user(Tokens(asking)))).compile()
        with pytest.raises(CheckpointerRequiredError):
            color.invoke(graph, {"ask": {"text": "hi"}}, {"configurable": {"user_id": "ada"}})
        assert asking.requests[-1].operation == "cancel_stateless_run"
        assert set(asking.shown()) == {"Bearer sesame-ada-1"}


def test_a_run_is_cancelled_in_the_background_as_who_began_it() -> None:
    with GuardedServer([Work(60)]) as working:
        graph = built(make(working, auth=by_user(Tokens(working)))).compile()

        async def run() -> None:
            job = asyncio.create_task(graph.ainvoke({"ask": {"text": "hi"}}, as_user("ada")))
            await asyncio.to_thread(working.requests.wait_for, "POST /runs/wait")
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            await asyncio.to_thread(working.requests.wait_for, "cancel_stateless_run")

        asyncio.run(run())
        assert set(working.shown()) == {"Bearer sesame-ada-1"}
        assert working.run.cancelled


def test_a_stream_is_listened_to_with_the_users_token(
    color: Color, tokens: Tokens, server: GuardedServer
) -> None:
    with GuardedServer([Emit({"n": 1}), Answer({"text": "done"})]) as emitting:
        graph = built(make(emitting, auth=by_user(Tokens(emitting)))).compile()
        events = color.stream(graph, {"ask": {"text": "hi"}}, as_user("ada"), stream_mode="custom")
        assert [event["payload"] for event in events if event["kind"] == "custom"] == [{"n": 1}]
        assert set(emitting.shown()) == {"Bearer sesame-ada-1"}


def test_a_provider_that_is_away_for_a_moment_does_not_fail_the_node(
    color: Color, server: GuardedServer, tokens: Tokens
) -> None:
    failures: list[Exception] = [ConnectionError(), ConnectionError()]

    def fetch() -> str:
        if failures:
            raise failures.pop()
        return tokens.issue("a")

    color.invoke(make(server, auth=TokenAuth(fetch)), {"ask": {"text": "hi"}})
    assert server.created == 1


def test_who_has_to_log_in_first_is_asked_to_by_the_graph(
    color: Color, server: GuardedServer
) -> None:
    server.accepted.add("Bearer sesame")

    def fetch(config: RunnableConfig) -> str:
        return interrupt(f"log in, {config['configurable']['user_id']}")

    node = make(server, auth=TokenAuth(fetch, per="user_id"))
    graph = built(node).compile(checkpointer=InMemorySaver())
    paused = color.invoke(graph, {"ask": {"text": "hi"}}, as_user("ada"))
    assert paused["__interrupt__"][0].value == "log in, ada"
    assert not server.requests
    done = color.invoke(graph, Command(resume="sesame"), as_user("ada"))
    assert done["answer"] == {"text": "hi"}


def test_an_auth_of_httpx_goes_on_working(color: Color, server: GuardedServer) -> None:
    server.accepted.add("Basic dTpw")
    node = make(server, auth=httpx.BasicAuth("u", "p"))
    assert color.invoke(node, {"ask": {"text": "hi"}}) == {"answer": {"text": "hi"}}


def test_a_token_for_client_credentials_is_got_by_an_auth_of_httpx(
    color: Color, server: GuardedServer
) -> None:
    server.accepted.add("Bearer sesame-token")
    with token_issuer() as issuer:
        graph = built(make(server, auth=ClientCredentials(issuer.url))).compile()
        assert color.invoke(graph, {"ask": {"text": "hi"}})["answer"] == {"text": "hi"}
        assert len(issuer.requests) == 1
    assert server.created == 1


def test_a_digest_is_answered_by_an_auth_of_httpx(color: Color) -> None:
    with DigestServer([Emit({"n": 1}), Answer({"text": "done"})]) as asking:
        graph = built(make(asking, auth=httpx.DigestAuth("ada", "sesame"))).compile()
        events = color.stream(graph, {"ask": {"text": "hi"}}, stream_mode=["custom", "values"])
        assert events[-1] == ("values", {"ask": {"text": "hi"}, "answer": {"text": "done"}})
        said = [event["payload"] for mode, event in events if mode == "custom"]
        assert {"n": 1} in said
        assert asking.created == 1


class DigestServer(FakeACPServer):
    """Lets in who answers its challenge for `ada` and `sesame`."""

    def respond(self, request: RecordedRequest) -> Response:
        return behind_digest(super().respond, "ada", "sesame")(request)


def test_a_node_shows_its_secret_to_no_issuer_that_nobody_vouches_for(
    color: Color, server: GuardedServer, certificates: Certificates
) -> None:
    with (
        token_issuer() as issuer,
        speaking_tls(issuer.url, certificates.here) as impostor,
    ):
        graph = built(make(server, auth=ClientCredentials(impostor.url))).compile()
        with pytest.raises(ApiConnectionError, match=r"(?i)certificate"):
            color.invoke(graph, {"ask": {"text": "hi"}})
        assert not issuer.requests
        assert not server.requests


def test_two_names_for_headers_are_one_too_many(server: GuardedServer) -> None:
    with pytest.raises(NodeConfigurationError, match="give one of them"):
        make(server, headers={}, auth_header={})


@pytest.mark.parametrize("options", [{"auth": "sesame"}, {"headers": "sesame"}])
def test_what_cannot_authenticate_is_refused(server: GuardedServer, options: Any) -> None:
    with pytest.raises(AcpLangGraphError, match="str") as caught:
        make(server, **options)
    assert "sesame" not in str(caught.value)


def test_headers_that_want_what_they_cannot_be_given_are_refused(server: GuardedServer) -> None:
    with pytest.raises(NodeConfigurationError, match="wants 'state'"):
        make(server, headers=lambda config, state: {})


@pytest.fixture
def bridge() -> Iterator[FakeBridge]:
    with FakeBridge({"mail": lambda query: f"sent as {query.authorization}"}) as running:
        yield running


def bridge_node(bridge: FakeBridge, **options: Any) -> APIBridgeAgentNode:
    return APIBridgeAgentNode("send", bridge.url, "mail", "ask", "answer", **options)


def test_a_bridge_node_sends_each_users_own_service_key(color: Color, bridge: FakeBridge) -> None:
    node = bridge_node(
        bridge,
        service_api_key=lambda config: f"sesame-{config['configurable']['user_id']}",
        headers=lambda config: {"x-team": config["configurable"]["user_id"]},
        auth=TokenAuth(lambda: "gateway-key", header="apikey", scheme=""),
    )
    graph = built(node).compile()
    for user in ("ada", "grace"):
        color.invoke(graph, {"ask": {"query": "Send it"}}, as_user(user))
    shown = [
        (seen.headers["authorization"], seen.headers["x-team"], seen.headers["apikey"])
        for seen in bridge.requests
    ]
    assert shown == [
        ("Bearer sesame-ada", "ada", "gateway-key"),
        ("Bearer sesame-grace", "grace", "gateway-key"),
    ]


def test_a_bridge_node_repeats_what_was_refused_with_a_new_key(color: Color) -> None:
    issued = iter(["Basic old", "Basic new"])

    def perform(query: Any) -> Any:
        accepted = query.authorization == "Basic new"
        return Response.json({"ok": True}) if accepted else Response.json({}, 401)

    service = BridgeService(perform, operations=frozenset({"POST /v3/send"}))
    with FakeBridge({"mail": service}, direct=True) as bridge:
        node = bridge_node(
            bridge,
            service_api_key=lambda: next(issued),
            mode="direct",
            operation="/v3/send",
        )
        done = color.invoke(node, {"ask": {"query": "Send it"}})
        assert "ok" in str(done["answer"])
        assert [seen.headers["authorization"] for seen in bridge.requests] == [
            "Basic old",
            "Basic new",
        ]


def test_a_key_that_a_service_repeats_is_not_in_the_error(color: Color, bridge: FakeBridge) -> None:
    node = bridge_node(bridge, service_api_key=lambda: "sesame-key", check="never")
    with pytest.raises(Exception, match="credential") as caught:
        color.invoke(node, {"ask": {"query": "Send it"}})
    assert "sesame" not in str(caught.value)


def test_a_bridge_nodes_headers_keep_to_what_a_bridge_may_be_sent(
    color: Color, bridge: FakeBridge
) -> None:
    node = bridge_node(bridge, headers=lambda: {"Authorization": "x"})
    with pytest.raises(ApiValueError, match="give it as service_api_key"):
        color.invoke(node, {"ask": {"query": "Send it"}})
    assert not bridge.requests


def test_a_users_service_key_does_not_go_to_whoever_the_bridge_picks(bridge: FakeBridge) -> None:
    with pytest.raises(NodeConfigurationError, match="any_receiver"):
        APIBridgeAgentNode("n", bridge.url, None, mode="any", service_api_key=lambda: "k")


def test_quants_nodes_work_as_each_user(color: Color) -> None:
    tool = FakeTool("lookup", result={"found": True})
    auth = TokenAuth(lambda config: config["configurable"]["user_id"])
    with FakeQuant([tool], scale=0.01) as quant:
        node = QuantToolNode(
            "look", quant.url, organisation="acme", model_id="m", tools=["lookup"],
            input_path="ask", output_path="answer", auth=auth, pace=Pace(0.01, 0.01, 10),
        )  # fmt: skip
        for user in ("ada", "grace"):
            before = len(quant.requests)
            color.invoke(node, {"ask": "look it up"}, as_user(user))
            shown = {seen.headers["authorization"] for seen in list(quant.requests)[before:]}
            assert shown == {f"Bearer {user}"}


def test_a_lease_is_renewed_as_who_does_the_task(color: Color) -> None:
    auth = HeaderAuth(lambda config: {"x-user": config["configurable"]["user_id"]})
    with FakeQuant() as quant:

        def work(given: Any) -> Any:
            quant.requests.wait_for("PUT /*", n=3)
            return {"ok": True}

        async def awork(given: Any) -> Any:
            return await asyncio.to_thread(work, given)

        node = QuantTaskNode(
            "do", awork if color.name == "async" else work, quant.url, organisation="acme",
            task_path="ask", output_path="answer", lease=0.15, settle=0, auth=auth,
        )  # fmt: skip
        color.invoke(node, {"ask": {"title": "T", "taskListId": "l"}}, as_user("ada"))
        assert {seen.headers["x-user"] for seen in quant.requests} == {"ada"}


def test_a_tool_is_called_as_the_user_of_the_graph(color: Color, server: GuardedServer) -> None:
    server.accepted.update({"Token sesame", "Token other"})
    node = make(server, headers=lambda runtime: {"authorization": f"Token {runtime.context.token}"})
    called = node.as_tool(arg_types={"text": str})
    calls = [{"name": "remote", "id": "1", "args": {"text": "hi"}}]
    builder = StateGraph(MessagesState, context_schema=Context)
    builder.add_node("tools", ToolNode([called])).add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    for number, token in enumerate(("sesame", "other")):
        config = {"configurable": {"thread_id": str(number)}}
        asked = {"messages": [AIMessage("", tool_calls=calls)]}
        color.invoke(graph, asked, config, context=Context(token=token))
    assert set(server.shown()) == {"Token sesame", "Token other"}


def test_a_descriptor_is_read_as_the_user_that_the_config_names(
    color: Color, server: GuardedServer
) -> None:
    server.accepted.add("ada")
    node = make(server, headers=lambda config: {"authorization": _user(config)})
    if color.name == "sync":
        node.describe(as_user("ada"))
    else:
        asyncio.run(node.adescribe(as_user("ada")))
    assert set(server.shown()) == {"ada"}
    assert node.metadata["version"]


def _user(config: RunnableConfig) -> str:
    return str(config["configurable"]["user_id"])
