"""Graphs with A2A agents are checked, described and drawn as those with others are."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from support.colors import Color
from typer.testing import CliRunner
from typing_extensions import TypedDict

from acp_langgraph import A2ANode, GraphCheckError, acheck_graph, check_graph, describe_graph
from acp_langgraph.cli import app
from acp_langgraph.testing import FakeA2AServer


class Pie(BaseModel):
    size: str


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_of(node: A2ANode) -> Any:
    builder = StateGraph(State).add_node(node).add_edge(START, node.name)
    return builder.compile(checkpointer=InMemorySaver())


def report(color: Color, node: A2ANode) -> Any:
    graph = graph_of(node)
    return check_graph(graph) if color.name == "sync" else asyncio.run(acheck_graph(graph))


def node_at(server: FakeA2AServer, **options: Any) -> A2ANode:
    return A2ANode("baker", server.url, **{"input_path": "ask", "output_path": "answer", **options})


def test_a_node_that_fits_its_card_is_checked_by_asking_for_it(color: Color) -> None:
    with FakeA2AServer() as server:
        found = report(color, node_at(server, input_type=str))
        found.raise_for_errors()
        assert [(each.agent, each.version) for each in found.nodes] == [("baker", "1.2.3")]
        assert server.requests.count("get_agent_card") == 1
        report(color, node_at(server, card=server._card(), input_type=str)).raise_for_errors()
        assert server.requests.count("get_agent_card") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"input_type": Pie}, "agent takes string"),
        ({"input_path": "aks", "input_type": str}, "aks"),
        ({"skill": "cook"}, "no skill 'cook'"),
        ({"card_path": "/elsewhere.json"}, "no agent card"),
    ],
)
def test_what_does_not_fit_the_card_is_found(color: Color, options: Any, problem: str) -> None:
    with FakeA2AServer() as server, pytest.raises(GraphCheckError, match=problem):
        report(color, node_at(server, **options)).raise_for_errors()


def test_a_graph_is_drawn_with_what_is_known_of_the_agent() -> None:
    with FakeA2AServer() as server:
        graph = graph_of(A2ANode.from_card(server.url, input_path="ask", output_path="answer"))
        assert describe_graph(graph).nodes["baker"].metadata["version"] == "1.2.3"


def command(*arguments: str) -> str:
    told = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "80"})
    assert told.exit_code == 0, told.stderr
    return told.stdout


@pytest.mark.parametrize("said", [(), ("--protocol", "a2a")], ids=["asked", "said"])
def test_the_commands_show_a_card(said: tuple[str, ...]) -> None:
    scheme = {"key": {"apiKeySecurityScheme": {"location": "header", "name": "X-API-Key"}}}
    card = {"securitySchemes": scheme, "securityRequirements": [{"schemes": {"key": {}}}]}
    with FakeA2AServer(card=card) as server:
        assert "1 agent" in command("agents", server.url, *said)
        shown = command("agents", server.url, "baker", *said)
        assert f"speaks  A2A 1.0 JSONRPC at {server.url}/rpc" in shown
        assert "wants   an API key in the header X-API-Key" in shown
        assert "skill   bake: Pies." in shown
        (listed,) = json.loads(command("agents", server.url, "--json", *said))
        assert (listed["name"], listed["version"]) == ("baker", "1.2.3")
