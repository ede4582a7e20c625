"""Finding the remote nodes of a graph."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from acp_langgraph import (
    ACPNode,
    APIBridgeAgentNode,
    NodeConfigurationError,
    QuantTaskNode,
    check_graph,
)
from acp_langgraph.checking.findings import remote_nodes


class State(TypedDict, total=False):
    text: str
    answer: Any


def node(name: str) -> ACPNode:
    return ACPNode(name, "agent", "http://127.0.0.1:9", "text", str, "answer", None)


def built(**nodes: Any) -> Any:
    builder = StateGraph(State)
    for name, each in nodes.items():
        builder.add_node(name, each)
        builder.add_edge(START, name)
    return builder


def places(graph: Any) -> list[str]:
    return [each.place for each in remote_nodes(graph)]


outside = node("outside")


def test_nodes_are_found_however_they_stand_in_the_graph():
    inside = node("inside")

    def calls_a_global(state: State) -> Any:
        return outside.invoke(state)

    async def calls_from_around(state: State) -> Any:
        return await inside.ainvoke(state)

    graph = built(
        plain=node("plain"),
        method=RunnableLambda(node("method").invoke),
        sequence=RunnableLambda(lambda state: state) | node("second"),
        bound=node("bound").with_config(tags=["x"]),
        calls=calls_a_global,
        awaits=calls_from_around,
        local=lambda state: state,
    ).compile()

    assert places(graph) == [
        "plain",
        "method",
        "sequence:second",
        "bound",
        "calls:outside",
        "awaits:inside",
    ]


def test_nodes_of_subgraphs_are_found_at_their_place():
    inner = built(deep=node("deep")).compile()

    def calls(state: State) -> Any:
        return inner.invoke(state)

    graph = built(team=built(sub=inner, own=node("own")).compile(), calls=calls).compile()

    assert places(graph) == ["team:sub:deep", "team:own", "calls:deep"]


def test_nodes_of_the_functional_api_are_found():
    remote = node("remote")

    @task
    def work(state: State) -> Any:
        return remote.invoke(state)

    @entrypoint()
    def flow(state: State) -> Any:
        return work(state).result()

    assert places(flow) == ["flow:remote"]


def test_the_node_that_does_a_task_of_quants_is_found():
    doing = QuantTaskNode("do", node("worker"), "http://127.0.0.1:9", organisation="a", task_id="7")

    assert places(built(do=doing).compile()) == ["do", "do:worker"]


def test_a_node_called_by_a_function_may_be_handed_another_state():
    remote = node("remote")
    graph = built(direct=remote, calls=lambda state: remote.invoke({"text": state})).compile()

    first, second = remote_nodes(graph)
    assert first.state is not None
    assert first.state.channels == ("text", "answer")
    assert second.state is None


@pytest.mark.parametrize(
    ("above", "below", "can_ask"),
    [
        (None, None, False),
        (InMemorySaver(), None, True),
        (InMemorySaver(), False, False),
        (None, InMemorySaver(), True),
        (InMemorySaver(), True, True),
    ],
)
def test_a_subgraph_waits_with_its_own_checkpointer_or_the_one_above(above, below, can_ask):
    inner = built(deep=node("deep")).compile(checkpointer=below)
    graph = built(sub=inner).compile(checkpointer=above)

    (found,) = remote_nodes(graph)
    assert found.can_ask is can_ask


def test_a_graph_inside_itself_is_looked_at_once():
    def calls(state: State) -> Any:
        return graph.invoke(state)

    graph = built(calls=calls, own=node("own")).compile()

    assert places(graph) == ["own"]


def test_what_is_no_compiled_graph_is_refused_with_what_to_do():
    with pytest.raises(NodeConfigurationError, match=r"check builder\.compile\(\)"):
        check_graph(built(own=node("own")))
    with pytest.raises(NodeConfigurationError, match="a dict is no compiled graph"):
        check_graph({})


def test_remote_nodes_of_other_kinds_have_their_paths_looked_up():
    bridge = APIBridgeAgentNode("send", "http://127.0.0.1:9", "mail", "txet", "answr")

    report = check_graph(built(send=bridge).compile())

    assert [(each.level, each.path) for each in report.findings] == [
        ("error", "input_path"),
        ("error", "output_path"),
    ]
    assert report.nodes[0].agent == ""
