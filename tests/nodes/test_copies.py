"""Nodes and tools that are copied, or pickled for another process; connections are not carried."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel
from support.colors import Color

from acp_langgraph import (
    ACPNode,
    APIBridgeAgentNode,
    QuantChatNode,
    QuantOrchestrationNode,
    QuantTaskNode,
    QuantToolNode,
    TokenAuth,
)
from acp_langgraph.testing import Answer, Ask, FakeACPServer, FakeAgent

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
GIVEN: Any = {"ask": {"text": "hi"}}


class Mail(BaseModel):
    text: str


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - its own


COPIES = [copy.copy, copy.deepcopy, pickled]


def issue() -> str:
    return "sesame"


@pytest.fixture
def server() -> Iterator[FakeACPServer]:
    echo = FakeAgent("echo", [Answer(lambda run: run.input)], input=TEXT, output=TEXT)
    with FakeACPServer(agents=[echo]) as running:
        yield running


def acp(server: Any, **changes: Any) -> ACPNode:
    settings = {"input_type": dict, **changes}
    return ACPNode("remote", server.agent_id, server.url, "ask", output_path="answer", **settings)


def used(color: Color, node: Any) -> Any:
    color.invoke(node, GIVEN)
    return node


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("changes", [{}, {"auth": TokenAuth(issue)}, {"input_type": Mail}])
def test_the_copy_of_a_node_works_like_the_node(
    copied: Callable[[Any], Any], changes: dict[str, Any], server: FakeACPServer, color: Color
) -> None:
    node = used(color, acp(server, **changes))
    twin = copied(node)
    assert color.invoke(twin, GIVEN) == color.invoke(node, GIVEN) == {"answer": {"text": "hi"}}
    assert (twin.name, twin.metadata) == (node.name, node.metadata)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_copy_has_connections_and_tokens_of_its_own(
    copied: Callable[[Any], Any], server: FakeACPServer
) -> None:
    node = used(Color("sync"), acp(server, auth=TokenAuth(issue)))
    copied(node).close()
    Color("sync").invoke(node, GIVEN)
    assert b"sesame" not in pickle.dumps(node)
    assert {request.connection for request in server.requests} == {1}


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_described_node_is_still_described_when_it_is_copied(
    copied: Callable[[Any], Any], server: FakeACPServer, color: Color
) -> None:
    node = acp(server)
    node.describe()
    server.requests.clear()
    twin = copied(node)
    assert color.invoke(twin, GIVEN) == {"answer": {"text": "hi"}}
    assert twin.descriptor == node.descriptor
    assert not [request for request in server.requests if "/agents" in request.path]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_a_node_made_from_an_agents_descriptor_can_be_copied(
    copied: Callable[[Any], Any], server: FakeACPServer, color: Color
) -> None:
    node = ACPNode.from_agent(server.url, "echo", input_path="ask", output_path="answer")
    assert color.invoke(copied(node), GIVEN) == {"answer": {"text": "hi"}}


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
@pytest.mark.parametrize(
    "options",
    [{"args_schema": TEXT}, {"args_schema": Mail}, {"arg_types": {"text": str}}],
    ids=["schema", "model", "types"],
)
def test_the_copy_of_a_tool_works_like_the_tool(
    copied: Callable[[Any], Any], options: Any, server: FakeACPServer, color: Color
) -> None:
    tool = acp(server).as_tool(**options, name="echo", description="Says it again.")
    tool.handle_tool_error = True
    twin = copied(tool)
    for each in (tool, twin):
        assert color.invoke(each, {"text": "hi"}) == '{"text": "hi"}'
    told = [
        (each.name, each.description, each.handle_tool_error, each.args) for each in (tool, twin)
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_the_copies_of_other_nodes_know_what_they_are(copied: Callable[[Any], Any]) -> None:
    host = "http://127.0.0.1:9"
    quant = {"organisation": "acme", "output_path": "answer"}
    nodes = [
        APIBridgeAgentNode("n", host, "mail", "ask", "answer", "k"),
        QuantToolNode("n", host, model_id="m", tools=["count"], input_path="ask", **quant),
        QuantChatNode("n", host, model_id="m", input_path="ask", **quant),
        QuantOrchestrationNode("n", host, input_path="ask", **quant),
        QuantTaskNode("n", issue, host, task_path="ask", **quant),
    ]
    for node in nodes:
        assert copied(node).metadata == node.metadata


def test_a_run_that_one_node_began_is_finished_by_its_copy(color: Color) -> None:
    saver = InMemorySaver()
    on_a_thread: Any = {"configurable": {"thread_id": "1"}}
    with FakeACPServer([Ask("color?"), Answer({"text": "done"})]) as server:
        node = used_in = acp(server)
        for each, given in ((node, GIVEN), (pickled(used_in), Command(resume="blue"))):
            builder = StateGraph(State).add_node(each).add_edge(START, "remote")
            done = color.invoke(builder.compile(checkpointer=saver), given, on_a_thread)
        assert done["answer"] == {"text": "done"}
        assert server.created == server.completed == 1


def answered(node: ACPNode) -> Any:
    return node.invoke(GIVEN)["answer"]


def test_a_node_may_be_given_to_another_process(server: FakeACPServer) -> None:
    node = used(Color("sync"), acp(server))
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as processes:
        assert processes.submit(answered, node).result(60) == {"text": "hi"}


def test_a_client_of_ones_own_is_shared_by_a_copy_and_cannot_be_pickled(
    server: FakeACPServer,
) -> None:
    with httpx.Client() as client:
        node = acp(server, client=client)
        assert copy.deepcopy(node).invoke(GIVEN) == {"answer": {"text": "hi"}}
        with pytest.raises(TypeError, match=r"client= .* cannot be pickled"):
            pickle.dumps(node)


class Guarded(httpx.Auth):
    """Keeps something under a lock, as what caches tokens does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        with self.lock:
            request.headers["authorization"] = "Bearer sesame"
        yield request


class Issuer:
    """Gives tokens, under a lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def token(self) -> str:
        with self.lock:
            return "sesame"


@pytest.mark.parametrize("make", [Guarded, lambda: TokenAuth(Issuer())], ids=["httpx", "tokens"])
def test_a_node_can_be_copied_whose_authentication_holds_a_lock(
    make: Callable[[], Any], server: FakeACPServer, color: Color
) -> None:
    twin = copy.deepcopy(used(color, acp(server, auth=make())))
    assert color.invoke(twin, GIVEN) == {"answer": {"text": "hi"}}
