"""What is known of remote agents in the drawings of graphs."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.prebuilt import ToolNode
from nodes.conftest import Watched
from pydantic import BaseModel
from support.colors import Color

from acp_langgraph import ACPNode, APIBridgeAgentNode, QuantTaskNode, QuantToolNode, describe_graph
from acp_langgraph.config import ApiClientConfiguration

SECRETS = ("geheim", "sesame", "hunter2", "token=")


class Draft(BaseModel):
    """What a reviewer takes."""

    text: str
    tone: str = "plain"


class State(TypedDict, total=False):
    draft: Any
    review: Any


def reviewer(url: Any, agent: str = "email_reviewer", **options: Any) -> ACPNode:
    return ACPNode("reviewer", agent, url, "draft", options.pop("input_type", Draft), "review")


def graph_with(node: Any, **options: Any) -> Any:
    builder = StateGraph(State).add_node("node", node, **options).add_edge(START, "node")
    return builder.compile()


def drawn(graph: Any, name: str = "node") -> dict[str, Any]:
    return describe_graph(graph).nodes[name].metadata or {}


def test_a_remote_node_is_drawn_with_agent_host_and_what_its_types_tell() -> None:
    graph = graph_with(reviewer("http://mail.example:8000/v1"))
    assert drawn(graph) == {
        "agent": "email_reviewer",
        "host": "http://mail.example:8000",
        "takes": ["text", "tone?"],
    }
    picture = describe_graph(graph).draw_mermaid()
    assert "agent = email_reviewer" in picture
    assert "takes = text, tone?" in picture


def test_a_descriptor_that_was_read_is_drawn_too(color: Color, server: Watched) -> None:
    node = reviewer(server.url, "ask", input_type=None)
    if color.name == "sync":
        node.describe()
    else:
        asyncio.run(node.adescribe())
    before = len(server.requests)
    shown = drawn(graph_with(node))
    assert shown["agent"] == "ask"
    assert shown["takes"] == ["text?", "answers?"]
    assert shown["version"]
    assert len(server.requests) == before


def test_drawing_requests_nothing(server: Watched) -> None:
    node = reviewer(server.url, "ask")
    graph = graph_with(node, metadata=node.metadata)
    describe_graph(graph).draw_mermaid()
    node.get_graph().draw_mermaid()
    graph.get_graph(xray=True).draw_mermaid()
    assert not server.requests


def test_metadata_given_where_a_node_is_added_is_drawn_by_langgraph_itself() -> None:
    node = reviewer("http://mail.example:8000")
    graph = graph_with(node, metadata=node.metadata)
    assert "host = http://mail.example:8000" in graph.get_graph().draw_mermaid()


def test_what_a_user_says_of_a_node_stands_beside_it_and_wins() -> None:
    graph = graph_with(reviewer("http://mail.example"), metadata={"agent": "mine", "team": "a"})
    shown = drawn(graph)
    assert (shown["agent"], shown["team"]) == ("mine", "a")
    assert shown["host"] == "http://mail.example"


def test_remote_nodes_in_subgraphs_are_described() -> None:
    inner = graph_with(reviewer("http://mail.example"))
    outer = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile()
    shown = describe_graph(outer).nodes
    assert [each.metadata["agent"] for each in shown.values() if each.metadata] == [
        "email_reviewer"
    ]
    assert not [each for each in describe_graph(outer, xray=False).nodes.values() if each.metadata]


def test_a_tool_node_is_drawn_with_the_agents_behind_its_tools() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    tools = ToolNode([reviewer("http://mail.example").as_tool(), add])
    assert drawn(graph_with(tools))["tool reviewer"] == "email_reviewer at http://mail.example"
    assert "tool add" not in drawn(graph_with(tools))


def test_no_credential_is_in_a_drawing() -> None:
    configuration = ApiClientConfiguration(
        "https://user:geheim@mail.example/path", api_key={"x-api-key": "sesame"}
    )
    nodes = [
        ACPNode("a", "agent", configuration, auth_header={"x": "hunter2"}),
        APIBridgeAgentNode(
            "b", "https://mail.example", "mail", "draft", "review", "hunter2", apikey="sesame"
        ),
        QuantToolNode(
            "c",
            ApiClientConfiguration("https://quant.example", access_token="sesame"),
            organisation="acme",
            model_id="m",
            tools=["draw"],
        ),
    ]
    for node in nodes:
        shown = describe_graph(graph_with(node)).draw_mermaid() + node.get_graph().draw_mermaid()
        assert "mail.example" in shown or "quant.example" in shown
        assert not [secret for secret in SECRETS if secret in shown]


def test_every_kind_of_node_says_what_does_the_work_and_where() -> None:
    options: Any = {"organisation": "acme"}
    nodes = [
        APIBridgeAgentNode("a", "http://gateway", "sendgrid", "draft", "review"),
        QuantToolNode("b", "https://q", model_id="m", tools=["draw", "count"], **options),
        QuantTaskNode("c", lambda given: given, "https://q", task_id="1", worker="ada", **options),
    ]
    assert [node.metadata for node in nodes] == [
        {"agent": "sendgrid", "host": "http://gateway"},
        {"agent": "count, draw", "host": "https://q"},
        {"agent": "ada", "host": "https://q"},
    ]


def test_a_node_by_itself_is_drawn_between_what_goes_in_and_what_comes_out() -> None:
    drawing = reviewer("http://mail.example").get_graph()
    assert list(drawing.nodes) == ["input", "reviewer", "output"]
    assert drawing.nodes["input"].metadata == {"takes": ["text", "tone?"]}
    assert drawing.nodes["reviewer"].metadata == {
        "agent": "email_reviewer",
        "host": "http://mail.example",
    }


def test_what_an_agent_with_many_fields_takes_is_cut_short() -> None:
    many: Any = TypedDict("many", {f"field{number}": str for number in range(40)})  # type: ignore[misc]
    shown = drawn(graph_with(reviewer("http://x", input_type=many)))["takes"]
    assert shown[-1] == "28 more"
    assert len(shown) == 13
