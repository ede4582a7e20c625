"""The nodes of `acp_langgraph.agntcy.langgraph`, where they differ from the package's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel
from support.agntcy_calls import call_agntcy
from support.colors import Color

import acp_langgraph
from acp_langgraph import agntcy, bridge, nodes
from acp_langgraph.agntcy import ApiClientConfiguration
from acp_langgraph.agntcy.langgraph import api_bridge, io_mapper
from acp_langgraph.agntcy.langgraph.acp_node import ACPNode
from acp_langgraph.agntcy.models import AgentSearchRequest
from acp_langgraph.config import ApiClientConfiguration as PlainConfiguration
from acp_langgraph.errors import NodeInputError
from acp_langgraph.mapping import edges
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Fault


class State(TypedDict, total=False):
    ask: Any
    answer: Any


class Tone(BaseModel):
    tone: str = "kind"


def node_at(server: FakeACPServer, **options: Any) -> ACPNode:
    config = ApiClientConfiguration(server.url, retries=0)
    return ACPNode("remote", server.agent_id, config, "ask", None, "answer", None, **options)


def graph_of(node: ACPNode) -> Any:
    builder: Any = StateGraph(State).add_node(node).add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def config(**configurable: Any) -> Any:
    return {"configurable": {"thread_id": "1", **configurable}}


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ({"question": "ok?", "draft": "hi"}, "ok?"),
        ({"confirm": {"question": "ok?"}}, {"question": "ok?"}),
        ({"interrupts": {"1": "a?", "2": "b?"}}, {"interrupts": {"1": "a?", "2": "b?"}}),
        ({}, {}),
        ("ok?", "ok?"),
    ],
)
def test_an_interrupt_shows_what_is_under_the_first_key_unless_several_are_asked(
    color: Color, payload: Any, value: Any
) -> None:
    script = [Ask(payload), Answer(lambda run: {"answers": run.answers})]
    with FakeACPServer(script, interrupt_style="payload") as server:
        graph = graph_of(node_at(server))
        (asked,) = color.invoke(graph, {"ask": 1}, config())["__interrupt__"]
        assert asked.value == value
        done = color.invoke(graph, Command(resume={"fine": True}), config())
        assert done["answer"] == {"answers": [{"fine": True}]}
        assert server.created == 1


def test_the_agents_configuration_is_in_the_configurable(color: Color) -> None:
    with FakeACPServer() as server:
        graph = graph_of(node_at(server, config_path="for.agent", config_type=Tone))
        color.invoke(graph, {"ask": 1}, config(**{"for": {"agent": {"tone": "stern"}}}))
        assert server.run.config["configurable"] == {"tone": "stern"}


def test_a_configuration_that_is_not_there_is_not_sent(color: Color) -> None:
    with FakeACPServer() as server:
        color.invoke(graph_of(node_at(server, config_path="for.agent")), {"ask": 1}, config())
        assert "configurable" not in (server.run.config or {})


def test_a_configuration_of_a_wrong_type_is_refused(color: Color) -> None:
    with FakeACPServer() as server:
        graph = graph_of(node_at(server, config_path="agent", config_type=Tone))
        with pytest.raises(NodeInputError, match="config Tone: tone"):
            color.invoke(graph, {"ask": 1}, config(agent={"tone": 5}))
        assert not server.runs


def test_a_servers_error_is_caught_by_the_references_name(color: Color) -> None:
    with FakeACPServer() as server:
        server.faults.add(Fault.status(403))
        with pytest.raises(agntcy.ForbiddenException) as failed:
            color.invoke(graph_of(node_at(server)), {"ask": 1}, config())
        assert failed.value.status == 403


def test_a_failed_run_is_caught_by_the_references_name(color: Color) -> None:
    with FakeACPServer([Fail("it broke", 7)]) as server:
        with pytest.raises(agntcy.ACPRunException, match="it broke") as failed:
            color.invoke(graph_of(node_at(server)), {"ask": 1}, config())
        assert (failed.value.errcode, failed.value.run_id) == (7, server.run.run_id)


def test_a_key_is_refreshed_before_each_execution(color: Color) -> None:
    with FakeACPServer() as server:
        settings, keys = ApiClientConfiguration(server.url), iter("abc")
        settings.refresh_api_key_hook = lambda it: it.api_key.update(
            {"x-api-key": f"key-{next(keys)}"}
        )
        headers = {"x-mine": "yes"}
        node = ACPNode(
            "remote", server.agent_id, settings, "ask", None, "answer", None, None, None, headers
        )
        graph = graph_of(node)
        color.invoke(graph, {"ask": 1}, config())
        color.invoke(graph, {"ask": 2}, config())
        sent = [each.headers for each in server.requests if each.path.startswith("/runs")]
        assert {each["x-api-key"] for each in sent} == {"key-b", "key-c"}
        assert all(each["x-mine"] == "yes" for each in sent)


@pytest.mark.parametrize("kind", [lambda url: url, PlainConfiguration])
def test_a_node_takes_what_the_packages_own_takes(color: Color, kind: Callable[[str], Any]) -> None:
    with FakeACPServer() as server:
        node = ACPNode(
            "remote", server.agent_id, kind(server.url), output_path="answer", run_timeout=5
        )
        assert color.invoke(node, {"ask": 1}) == {"answer": {"ask": 1}}


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))],  # noqa: S301 - of our own making
)
def test_a_node_can_be_copied(again: Callable[[Any], Any]) -> None:
    with FakeACPServer() as server:
        assert again(node_at(server)).invoke({"ask": 1}) == {"answer": 1}


def test_the_other_names_are_the_packages_own() -> None:
    assert api_bridge.APIBridgeAgentNode is nodes.bridge.APIBridgeAgentNode
    assert api_bridge.APIBridgeInput is bridge.calls.APIBridgeInput
    assert io_mapper.add_io_mapped_edge is edges.add_io_mapped_edge


def test_a_configuration_of_one_may_be_given_to_the_other(color: Color) -> None:
    with FakeACPServer() as server:
        theirs: Any = ApiClientConfiguration(server.url, {"x-api-key": "a key of theirs"})
        made = ACPNode.from_agent(theirs, "agent", input_path="ask", output_path="answer")
        own = acp_langgraph.ACPNode("own", "agent", theirs, "ask", None, "answer")
        for node in (made, own):
            assert color.invoke(node, {"ask": {"a": 1}}) == {"answer": {"a": 1}}
        assert {each.headers["x-api-key"] for each in server.requests} == {"a key of theirs"}
        ours: Any = PlainConfiguration(server.url)
        (agent,) = call_agntcy(color, ours, "search_agents", AgentSearchRequest())
        assert agent.metadata.ref.name == "agent"
