"""What a node sends of a secret: its value where its type declares one, else nothing at all."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel, SecretBytes, SecretStr, field_serializer, model_serializer
from support.agents import agent
from support.colors import Color
from typing_extensions import TypedDict

from acp_langgraph import ACPNode, APIBridgeAgentNode, QuantChatNode, QuantToolNode
from acp_langgraph.errors import AcpLangGraphError, NodeInputError
from acp_langgraph.quant.polling import Pace
from acp_langgraph.server import serve
from acp_langgraph.testing import (
    Answer,
    Ask,
    BridgeService,
    FakeACPServer,
    FakeAgent,
    FakeBridge,
    Response,
)
from acp_langgraph.testing.quant import FakeQuant, FakeTool

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
MASK = "**********"
QUICK = Pace(0.01, 0.02, 30.0)


class Login(BaseModel):
    user: str = "ada"
    password: SecretStr = SecretStr("hunter2")


class PlainLogin(BaseModel):
    user: str
    password: str


class Typed(TypedDict):
    user: str
    password: SecretStr


class Open(BaseModel):
    """Declares nothing of what it takes."""

    model_config = {"extra": "allow"}

    user: Any = None


class User(TypedDict):
    user: str


class Wanted(BaseModel):
    text: str


class WantedSecret(BaseModel):
    text: SecretStr


class State(TypedDict, total=False):
    ask: Any
    config: Any
    answer: Any


@pytest.fixture
def server() -> Any:
    with FakeACPServer([Answer("done")]) as running:
        yield running


def make(server: Any, **changes: Any) -> ACPNode:
    settings: dict[str, Any] = {"input_path": "ask", "output_path": "answer", **changes}
    return ACPNode("remote", server.agent_id, server.url, **settings)


def built(node: Any, **options: Any) -> Any:
    return StateGraph(State).add_node(node).add_edge(START, node.get_name()).compile(**options)


def sent(server: Any) -> dict[str, Any]:
    """The body that created the only run."""
    (body,) = [each.json for each in server.requests if each.path in {"/runs", "/runs/wait"}]
    return dict(body)


def everything(server: Any) -> str:
    """All that went to a server."""
    return "\n".join(f"{each.path} {each.headers} {each.body!r}" for each in server.requests)


PASSWORD = SecretStr("hunter2")
KEPT = {"user": "ada", "password": "hunter2"}
DECLARED = [
    ({"input_type": SecretStr}, PASSWORD, "hunter2"),
    ({"input_type": SecretStr}, "hunter2", "hunter2"),
    ({"input_type": SecretBytes}, SecretBytes(b"hunter2"), "hunter2"),
    ({"input_type": Login}, Login(), KEPT),
    ({"input_type": Login}, KEPT, KEPT),
    ({"input_type": Login}, {"user": "ada", "password": PASSWORD}, KEPT),
    ({"input_type": Typed}, {"user": "ada", "password": PASSWORD}, KEPT),
    ({"input_type": list[Login]}, [Login()], [KEPT]),
    ({"input_type": dict[str, SecretStr]}, {"a": PASSWORD}, {"a": "hunter2"}),
    ({"input_type": Login | None}, Login(), KEPT),
    ({"input_path": None, "input_type": Login, "input": {"password": "ask"}}, PASSWORD, KEPT),
    ({"input_path": None, "input_type": WantedSecret, "input": {"text": "As {ask}"}}, PASSWORD, {"text": "As hunter2"}),
    ({"input_path": None, "input": lambda state: state["ask"].get_secret_value()}, PASSWORD, "hunter2"),
]  # fmt: skip
UNDECLARED = [
    ({}, PASSWORD),
    ({}, {"user": "ada", "password": PASSWORD}),
    ({}, Login()),
    ({}, [Login()]),
    ({}, SecretBytes(b"hunter2")),
    ({"input_type": str}, PASSWORD),
    ({"input_type": bytes}, SecretBytes(b"hunter2")),
    ({"input_type": dict}, {"user": "ada", "password": PASSWORD}),
    ({"input_type": dict[str, str]}, {"user": "ada", "password": PASSWORD}),
    ({"input_type": PlainLogin}, Login()),
    ({"input_type": Open}, {"user": PASSWORD}),
    ({"input_type": Open}, {"user": "ada", "password": PASSWORD}),
    ({"input_path": None}, PASSWORD),
    ({"input_path": None, "input": "As {ask}"}, PASSWORD),
    ({"input_path": None, "input": {"password": "ask"}}, PASSWORD),
    ({"input_path": None, "input": {"text": "ask"}, "input_type": Wanted}, PASSWORD),
    ({"input_path": None, "input": lambda state: state["ask"]}, PASSWORD),
]


@pytest.mark.parametrize(("changes", "given", "wanted"), DECLARED)
@pytest.mark.parametrize("saver", [False, True])
def test_a_secret_that_the_input_declares_is_sent_as_its_value(
    server: Any, color: Color, changes: Any, given: Any, wanted: Any, saver: bool
) -> None:
    graph = built(make(server, **changes), checkpointer=InMemorySaver() if saver else None)
    color.invoke(graph, {"ask": given}, ON_A_THREAD)
    assert sent(server)["input"] == wanted


@pytest.mark.parametrize(("changes", "given"), UNDECLARED)
def test_a_secret_that_the_input_does_not_declare_is_refused_by_name(
    server: Any, color: Color, changes: Any, given: Any
) -> None:
    with pytest.raises(AcpLangGraphError, match="Secret") as caught:
        color.invoke(make(server, **changes), {"ask": given})
    assert isinstance(caught.value, ValueError)  # which no retry repeats
    assert "hunter2" not in str(caught.value)
    assert server.created == 0


def test_a_refusal_says_where_the_secret_is(server: Any, color: Color) -> None:
    with pytest.raises(NodeInputError, match=r"'ask'.*logins\.1\.password.*SecretStr"):
        color.invoke(make(server), {"ask": {"logins": [{}, {"password": PASSWORD}]}})


@pytest.mark.parametrize("text", [MASK, f"a list:\n{MASK}", {"stars": [MASK]}])
def test_asterisks_of_ones_own_are_sent_like_any_text(server: Any, color: Color, text: Any) -> None:
    color.invoke(make(server), {"ask": text})
    assert sent(server)["input"] == text


def test_asterisks_beside_a_secret_stay_what_they_are(server: Any, color: Color) -> None:
    color.invoke(make(server, input_type=Login), {"ask": Login(user=MASK)})
    assert sent(server)["input"] == {"user": MASK, "password": "hunter2"}


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [(Login, Login(), KEPT), (None, Login(), None), (PlainLogin, Login(), None)],
)
def test_the_agents_configuration_is_treated_alike(
    server: Any, color: Color, kind: Any, given: Any, wanted: Any
) -> None:
    node = make(server, config_path="config", config_type=kind)
    state = {"ask": 1, "config": given}
    if wanted is None:
        with pytest.raises(NodeInputError, match=r"password.*Secret"):
            color.invoke(node, state)
        assert server.created == 0
    else:
        color.invoke(node, state)
        assert sent(server)["config"]["configurable"] == wanted


def test_a_secret_in_the_metadata_of_an_invocation_stays_here(server: Any, color: Color) -> None:
    config: Any = {"metadata": {"key": PASSWORD, "login": Login(), "plain": "kept"}}
    color.invoke(make(server), {"ask": 1}, config)
    assert sent(server)["metadata"]["plain"] == "kept"
    assert not any(secret in everything(server) for secret in ("hunter2", MASK))


@pytest.mark.parametrize(
    "password", [{"type": "string", "format": "password"}, {"type": "string", "writeOnly": True}]
)
def test_what_an_agents_schema_calls_a_secret_is_declared_as_one(
    color: Color, password: dict[str, Any]
) -> None:
    schema = {
        "type": "object",
        "properties": {"user": {"type": "string"}, "password": password},
        "required": ["password"],
    }
    offered = FakeAgent("keeper", [Answer("done")], input=schema)
    with FakeACPServer(agents=[offered]) as server:
        node = ACPNode.from_agent(server.url, "keeper", input_path="ask", output_path="answer")
        color.invoke(node, {"ask": {"user": "ada", "password": PASSWORD}})
        assert sent(server)["input"] == KEPT
        with pytest.raises(AcpLangGraphError, match=r"user.*Secret"):
            color.invoke(node, {"ask": {"user": PASSWORD, "password": PASSWORD}})
        assert server.created == 1


def test_a_graph_that_declares_a_secret_is_given_its_value(color: Color) -> None:
    seen = []

    def work(state: Login) -> dict[str, Any]:
        seen.append(state.password.get_secret_value())
        return {"user": "bob"}

    with serve({"keeper": agent(work, Login, output_schema=User)}) as server:
        node = ACPNode.from_agent(
            server.url, "keeper", input_path="ask", output=lambda _: {"answer": "done"}
        )
        color.invoke(node, {"ask": Login()})
    assert seen == ["hunter2"]


# Answers to questions


@pytest.mark.parametrize("given", [PASSWORD, {"password": PASSWORD}, Login()])
def test_an_answer_with_a_secret_that_no_schema_asks_for_is_refused_and_asked_for_again(
    color: Color, given: Any
) -> None:
    script = [Ask("password?"), Answer(lambda run: run.answers)]
    with FakeACPServer(agents=[FakeAgent("asking", script)]) as server:
        graph = built(make(server), checkpointer=InMemorySaver())
        color.invoke(graph, {"ask": 1}, ON_A_THREAD)
        with pytest.raises(AcpLangGraphError, match="Secret"):
            color.invoke(graph, Command(resume=given), ON_A_THREAD)
        again = color.invoke(graph, Command(resume="open"), ON_A_THREAD)
        assert again["answer"] == ["open"]
        assert MASK not in everything(server)


# Tools


class Arguments(BaseModel):
    user: str = "ada"
    password: SecretStr


@pytest.mark.parametrize("named", ["input_type", "args_schema"])
def test_an_argument_that_is_declared_a_secret_reaches_the_agent(
    server: Any, color: Color, named: str
) -> None:
    if named == "input_type":
        tool = make(server, input_path=None, output_path=None, input_type=Arguments).as_tool()
    else:
        tool = make(server, input_path=None, output_path=None).as_tool(args_schema=Arguments)
    color.invoke(tool, {"user": "ada", "password": "hunter2"})
    assert sent(server)["input"] == KEPT


@pytest.mark.parametrize(("kind", "wanted"), [(Login, KEPT), (None, None)])
def test_a_tools_configuration_is_treated_alike(server: Any, kind: Any, wanted: Any) -> None:
    node = make(server, config_path="config", config_type=kind)
    if wanted is None:
        with pytest.raises(AcpLangGraphError, match=r"password.*Secret"):
            node.as_tool(args_schema=Wanted, config=Login())
        return
    node.as_tool(args_schema=Wanted, config=Login()).invoke({"text": "hi"})
    assert sent(server)["config"]["configurable"] == wanted


# The API Bridge


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({}, {"query": PASSWORD}),
        ({}, PASSWORD),
        ({"input_type": None}, {"query": PASSWORD}),
        ({"input_type": str}, PASSWORD),
        ({"input_path": None, "input": "Log in with {mail}"}, PASSWORD),
    ],
)
def test_no_mask_is_asked_of_a_bridge(color: Color, changes: Any, given: Any) -> None:
    with FakeBridge({"mail": BridgeService(lambda _: Response.empty(202))}) as bridge:
        settings: dict[str, Any] = {"input_path": "mail", "output_path": "answer", **changes}
        node = APIBridgeAgentNode("bridge", bridge.url, "mail", service_api_key="k", **settings)
        with pytest.raises(AcpLangGraphError, match="Secret"):
            color.invoke(node, {"mail": given})
        assert len(bridge.requests) == 0


# Quant


@pytest.mark.parametrize("given", [PASSWORD, [{"role": "user", "content": PASSWORD}]])
@pytest.mark.parametrize("chats", [False, True])
def test_no_mask_is_sent_to_quant(color: Color, given: Any, chats: bool) -> None:
    with FakeQuant([FakeTool("count", is_async=False, result=7)], scale=0.01) as quant:
        settings: dict[str, Any] = {
            "organisation": "acme",
            "model_id": "m",
            "input_path": "ask",
            "output_path": "answer",
            "pace": QUICK,
        }
        node: Any
        if chats:
            node = QuantChatNode("quant", quant.url, **settings)
        else:
            node = QuantToolNode("quant", quant.url, tools=["count"], **settings)
        with pytest.raises(AcpLangGraphError, match="Secret"):
            color.invoke(node, {"ask": given})
        assert not [each for each in quant.requests if "chat" in each.path]
        assert MASK not in everything(quant)


class Telling(BaseModel):
    """Says itself how its secret is sent, as pydantic's manual shows it."""

    user: str = "ada"
    password: SecretStr = SecretStr("hunter2")

    @field_serializer("password", when_used="json")
    def tell(self, password: SecretStr) -> str:
        return password.get_secret_value()


@pytest.mark.parametrize("given", [Telling(), {"login": Telling()}, [Telling()]])
def test_a_secret_whose_model_says_how_it_is_sent_is_sent_like_that(
    server: Any, color: Color, given: Any
) -> None:
    color.invoke(make(server), {"ask": given})
    assert "hunter2" in everything(server)
    assert MASK not in everything(server)


class Adding(BaseModel):
    """Writes more as JSON than it is in Python."""

    password: SecretStr = SecretStr("hunter2")

    @model_serializer(mode="wrap")
    def add(self, write: Any, info: Any) -> Any:
        return write(self) | ({"kind": "login"} if info.mode == "json" else {})


@pytest.mark.parametrize(
    "given",
    [
        deque([SecretStr("hunter2")]),
        {"several": deque([SecretStr("hunter2")])},
        {SecretStr("hunter2"): 1},
        Adding(),
    ],
)
def test_no_mask_is_sent_whatever_a_secret_is_in(server: Any, color: Color, given: Any) -> None:
    with pytest.raises(NodeInputError, match="Secret"):
        color.invoke(make(server), {"ask": given})
    assert server.created == 0


def test_no_mask_is_told_to_a_chat_as_what_a_tool_gave(color: Color) -> None:
    def look_up() -> Any:
        """Looks it up."""
        return {"token": SecretStr("hunter2")}

    with FakeQuant([], scale=0.01) as quant:
        quant.make_chat = lambda _: {"rounds": [{"look_up": {}}], "reply": "ok"}
        node = QuantChatNode(
            "quant",
            quant.url,
            organisation="acme",
            model_id="m",
            input_path="ask",
            output_path="answer",
            pace=QUICK,
            tools=[look_up],
        )
        with contextlib.suppress(AcpLangGraphError):
            color.invoke(node, {"ask": "hi"})
        assert MASK not in everything(quant)
