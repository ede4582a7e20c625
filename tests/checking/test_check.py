"""A graph's nodes against their agents' live descriptors."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from support.declaring import Draft, Review, Settings, declaring_agents
from typing_extensions import TypedDict

from acp_langgraph import (
    ACPNode,
    ApiClientConfiguration,
    Finding,
    GraphCheckError,
    NodeConfigurationError,
    acheck_graph,
    achecked,
    check_graph,
    checked,
)
from acp_langgraph.demo import agents, campaign
from acp_langgraph.server import serve
from acp_langgraph.testing import FakeACPServer
from acp_langgraph.testing.runs import FakeAgent


class State(TypedDict, total=False):
    draft: Draft
    review: Review
    settings: Settings
    text: str
    loud: str
    mail: dict[str, Any]
    any: Any


def reviewing(server: Any, **changes: Any) -> ACPNode:
    settings: dict[str, Any] = {
        "input_path": "draft",
        "input_type": Draft,
        "output_path": "review",
        "output_type": Review,
        "config_path": "settings",
        "config_type": Settings,
    }
    return ACPNode("review", "reviewer", server.url, **{**settings, **changes})


def graph_of(*nodes: Any, checkpointer: Any = True) -> Any:
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node)
        builder.add_edge(START, node.name)
    return builder.compile(checkpointer=InMemorySaver() if checkpointer is True else checkpointer)


def check(color: Any, graph: Any, **options: Any) -> Any:
    if color.name == "sync":
        return check_graph(graph, **options)
    return asyncio.run(acheck_graph(graph, **options))


def found(report: Any) -> list[tuple[str, str]]:
    return [(each.level, each.path) for each in report.findings]


def test_what_fits_is_said_to_have_been_compared(declaring, color):
    report = check(color, graph_of(reviewing(declaring)))

    assert report.findings == ()
    (node,) = report.nodes
    assert (node.node, node.agent, node.version, node.url) == (
        "review",
        "reviewer",
        "1.2.0",
        declaring.url,
    )
    assert set(node.compared) == {"input", "output", "config"}
    report.raise_for_errors(strict=True)


class Misshapen(BaseModel):
    audience: int
    limit: int | None = None


class Unknown(TypedDict):
    score: list[str]
    corrected: str
    praise: str


def test_each_misfit_is_named_with_node_agent_path_and_advice(declaring, color):
    node = reviewing(
        declaring,
        input_type=Misshapen,
        output_type=Unknown,
        config_path=None,
        config_type=None,
    )

    report = check(color, graph_of(node))

    assert {(each.level, each.path) for each in report.findings} == {
        ("error", "input.email"),
        ("error", "input.audience"),
        ("warning", "input.limit"),
        ("error", "config.tone"),
        ("error", "output.score"),
        ("warning", "output.corrected"),
        ("warning", "output.praise"),
    }
    assert {(each.node, each.agent) for each in report.findings} == {("review", "reviewer")}
    (email,) = [each for each in report.findings if each.path == "input.email"]
    assert email == Finding(
        "error",
        "review",
        "reviewer",
        "input.email",
        "the agent needs it (string), and the node never gives it",
        "add email to the input_type, or map it with input={'email': ...}",
    )
    with pytest.raises(GraphCheckError, match="the graph does not fit its agents") as raised:
        report.raise_for_errors()
    assert raised.value.findings == list(report.errors)
    assert isinstance(raised.value, NodeConfigurationError)


def test_a_choice_that_the_agent_does_not_take_is_a_doubt(declaring):
    class Wider(Draft):
        audience: Literal["general", "technical", "business"]  # type: ignore[assignment]  # wider

    (finding,) = check_graph(graph_of(reviewing(declaring, input_type=Wider))).findings

    assert (finding.level, finding.path) == ("warning", "input.audience")
    assert finding.problem == (
        'the node may give "business", and the agent takes "general" or "technical"'
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"input": {"email": "text"}}, ("error", "input.audience")),
        ({"input": {"email": "text", "audience": "{text}s"}}, ("warning", "input.audience")),
        (
            {"input": {"email": "text", "audience": "text", "limt": 3}},
            ("warning", "input"),
        ),
        ({"input": {"email": "txet", "audience": "text"}}, ("error", "input")),
    ],
)
def test_a_mapping_without_a_declared_type_is_compared_too(declaring, changes, expected):
    node = reviewing(declaring, input_path=None, input_type=None, **changes)

    assert found(check_graph(graph_of(node))) == [expected]


def test_rules_that_read_what_the_agent_does_not_give_are_found(declaring):
    node = reviewing(declaring, output_path=None, output_type=None, output={"text": "corected"})

    (finding,) = check_graph(graph_of(node)).findings

    assert (finding.level, finding.path) == ("warning", "output")
    assert "did you mean 'corrected'" in finding.problem


def test_paths_are_looked_up_in_the_state(declaring):
    node = reviewing(declaring, input_path="draf", output_path="reviews")

    report = check_graph(graph_of(node))

    assert found(report) == [("error", "input_path"), ("error", "output_path")]
    assert "did you mean 'draft'" in report.findings[0].problem


def test_what_has_no_type_is_taken_from_the_state_which_may_hold_more_than_it_says(declaring):
    by_model = reviewing(declaring, input_path="review", input_type=None)
    by_text = reviewing(declaring, input_path="text", input_type=None)

    assert found(check_graph(graph_of(by_model))) == [
        ("warning", "input.email"),
        ("warning", "input.audience"),
    ]
    assert found(check_graph(graph_of(by_text))) == [("error", "input")]


def test_a_whole_state_is_compared_by_its_channels(declaring):
    whole = {"input_path": None, "input_type": None, "output_path": None, "output_type": None}
    node = reviewing(declaring, **whole)

    assert found(check_graph(graph_of(node))) == [
        ("error", "input.email"),
        ("error", "input.audience"),
        ("warning", "output_path"),
    ]


def test_where_nothing_is_declared_nothing_is_said(declaring, color):
    node = ACPNode("open", "open", declaring.url, "any", None, "any", None)

    report = check(color, graph_of(node))

    assert report.findings == ()
    assert report.nodes[0].compared == ()


def test_an_agent_that_may_ask_needs_a_checkpointer(declaring, color):
    graph = graph_of(reviewing(declaring), checkpointer=None)

    assert found(check(color, graph)) == [("warning", "interrupts")]
    assert check(color, graph, checkpointer=True).findings == ()


def test_what_the_agent_does_not_offer_is_found(color):
    plain = FakeAgent("plain", [], capabilities={"streaming": {"values": True}})
    with FakeACPServer(agents=[plain]) as server:
        node = ACPNode(
            "n", "plain", server.url, "mail", use_threads=True, stream_mode=["values", "custom"]
        )
        report = check(color, graph_of(node))

    assert found(report) == [("error", "use_threads"), ("warning", "stream_mode")]
    assert "stream custom" in report.findings[1].problem


def test_a_descriptor_that_contradicts_itself_is_told():
    odd = FakeAgent("odd", [], capabilities={"interrupts": True}, input={"type": "sentence"})
    with FakeACPServer(agents=[odd]) as server:
        report = check_graph(graph_of(ACPNode("n", "odd", server.url, "mail")))

    assert found(report) == [("warning", "descriptor"), ("warning", "descriptor")]
    assert "interrupts must name at least one" in report.findings[0].problem


def test_an_unknown_agent_is_an_error_and_the_near_names_are_told(declaring, color):
    report = check(color, graph_of(ACPNode("n", "reviewr", declaring.url, "mail")))

    (finding,) = report.errors
    assert finding.path == "agent"
    assert "'reviewer'" in finding.problem


def test_a_server_that_is_away_leaves_the_node_unchecked(color):
    away = ApiClientConfiguration("http://127.0.0.1:9", retries=0)

    report = check(color, graph_of(ACPNode("n", "a", away, "mail")))

    assert found(report) == [("unchecked", "agent")]
    assert report.errors == ()
    with pytest.raises(GraphCheckError, match="cannot connect"):
        report.raise_for_errors()


def test_the_nodes_own_credentials_are_used_and_a_refusal_is_an_error(color):
    with serve(declaring_agents(), api_key="made up") as server:
        with_key = ApiClientConfiguration(server.url, api_key="made up")
        nodes = [
            ACPNode("stranger", "open", server.url, "mail"),
            ACPNode("friend", "open", with_key, "mail"),
        ]
        report = check(color, graph_of(*nodes))

    assert [(each.node, each.level, each.path) for each in report.findings] == [
        ("stranger", "error", "agent")
    ]
    assert "made up" not in str(report)


def test_credentials_that_depend_on_the_user_are_asked_for_with_the_config(color):
    def key_of(config: Any) -> dict[str, str]:
        return {"x-api-key": config["configurable"]["key"]}

    with serve(declaring_agents(), api_key="made up") as server:
        graph = graph_of(ACPNode("n", "open", server.url, "any", headers=key_of))
        anonymous = check(color, graph)
        known = check(color, graph, config={"configurable": {"key": "made up"}})

    assert found(anonymous) == [("unchecked", "agent")]
    assert "config=" in anonymous.findings[0].advice
    assert known.unchecked == known.errors == ()


def test_a_graph_is_checked_where_it_is_made(declaring, color):
    def made(graph: Any) -> Any:
        return checked(graph) if color.name == "sync" else asyncio.run(achecked(graph))

    good = graph_of(reviewing(declaring))
    assert made(good) is good
    with pytest.raises(GraphCheckError, match=r"input\.audience"):
        made(graph_of(reviewing(declaring, input_type=Misshapen)))


def test_nothing_is_run(declaring):
    before = len(declaring.requests)
    check_graph(graph_of(reviewing(declaring)))

    assert [(each.method, each.path.split("/")[1]) for each in declaring.requests[before:]] == [
        ("POST", "agents"),
        ("GET", "agents"),
    ]


def test_the_campaign_of_the_demo_fits_its_agents(color):
    with serve(agents.served()) as server:
        graph = campaign.build(server.url, "http://127.0.0.1:9").compile(
            checkpointer=InMemorySaver()
        )
        report = check(color, graph)

    assert report.findings == ()
    assert [(each.node, set(each.compared)) for each in report.nodes] == [
        ("mailcomposer", {"input", "output"}),
        ("email_reviewer", {"input", "output"}),
        ("sendgrid", set()),
    ]
