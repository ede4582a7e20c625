"""Graphs are laid out so that they can be read."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.page_agents import branching, with_middleware

from acp_langgraph.server.page.layout import MOST_EDGES, MOST_NODES, Edge, drawing, drawn


def named(*ids: str) -> dict[str, str]:
    return {each: each for each in ids}


def box(node: dict[str, Any]) -> tuple[float, float, float, float]:
    x, y, width, height = (node[each] for each in ("x", "y", "width", "height"))
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    left, top, right, bottom = box(one)
    left2, top2, right2, bottom2 = box(other)
    return left < right2 and left2 < right and top < bottom2 and top2 < bottom


@st.composite
def graphs(draw: Any) -> tuple[dict[str, str], list[Edge]]:
    nodes = named(*(f"n{number}" for number in range(draw(st.integers(1, 12)))))
    ends = st.sampled_from(list(nodes))
    return nodes, draw(
        st.lists(st.builds(Edge, ends, ends, st.sampled_from(["", "yes"])), max_size=24)
    )


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_of_any_graph_no_node_lies_on_another_and_edges_meet_their_nodes(graph):
    nodes, edges = graph
    found = drawn(nodes, edges)
    places = {each["id"]: each for each in found["nodes"]}

    assert not [pair for pair in combinations(found["nodes"], 2) if overlap(*pair)]
    assert len(found["edges"]) == len(edges)
    for each in found["edges"]:
        for point, name in ((each["points"][0], "source"), (each["points"][-1], "target")):
            left, top, right, bottom = box(places[each[name]])
            assert left - 0.2 <= point[0] <= right + 0.2
            assert top - 0.2 <= point[1] <= bottom + 0.2
        for x, y in each["points"]:
            assert 0 <= x <= found["width"]
            assert 0 <= y <= found["height"]


def test_a_graph_without_loops_goes_downwards():
    chain = named("a", "b", "c", "d")
    edges = [Edge("a", "b"), Edge("b", "c"), Edge("c", "d"), Edge("a", "d")]
    places = {each["id"]: each["y"] for each in drawn(chain, edges)["nodes"]}
    assert all(places[upper] < places[lower] for upper, lower in pairwise(chain))


def test_an_edge_and_its_answer_do_not_lie_on_each_other():
    there, back = drawn(named("agent", "tools"), [Edge("agent", "tools"), Edge("tools", "agent")])[
        "edges"
    ]
    assert not {tuple(each) for each in there["points"]} & {tuple(each) for each in back["points"]}


def test_an_edge_over_several_layers_passes_by_the_nodes_between():
    found = drawn(named("a", "b", "c"), [Edge("a", "b"), Edge("b", "c"), Edge("a", "c")])
    middle = next(each for each in found["nodes"] if each["id"] == "b")
    left, top, right, bottom = box(middle)
    (long,) = (each for each in found["edges"] if (each["source"], each["target"]) == ("a", "c"))
    passing = [x for x, y in long["points"] if top <= y <= bottom]
    assert passing
    assert not [x for x in passing if left <= x <= right]


class Large:
    """A graph of too many nodes, and one that cannot be asked for them."""

    def __init__(self, nodes: int) -> None:
        self.nodes = {str(each): self for each in range(nodes)}
        self.name, self.edges = "node", []

    def get_graph(self) -> Any:
        if not self.nodes:
            raise LookupError("a graph of somebody's own class")
        return self


def test_a_graph_that_is_not_drawn_is_told_why():
    assert drawing(Large(151)) == {
        "problem": "The graph has 151 nodes and 0 edges; that is not drawn."
    }
    assert drawing(Large(0)) == {"problem": "The graph cannot be drawn: LookupError."}


@pytest.mark.parametrize("shape", ["chain", "star", "complete", "long"])
def test_the_largest_graphs_are_laid_out(shape):
    ids = [f"n{number}" for number in range(MOST_NODES)]
    edges = {
        "chain": [Edge(*pair) for pair in pairwise(ids)],
        "star": [Edge(ids[0], each) for each in ids[1:]],
        "long": [*(Edge(*pair) for pair in pairwise(ids)), *(Edge(ids[0], each) for each in ids)],
        "complete": [Edge(*pair) for pair in list(combinations(ids[:28], 2))[:MOST_EDGES]],
    }[shape]
    assert len(drawn(named(*ids), edges)["nodes"]) == MOST_NODES


def test_conditional_edges_keep_their_labels():
    found = drawing(branching())
    labels = {(each["source"], each["target"]): each["label"] for each in found["edges"]}
    assert labels["review", "publish"] == "good"
    assert labels["review", "plan"] == "more sources"
    assert found["mermaid"].startswith("---")


def test_an_agent_of_langchain_is_drawn():
    names = {each["name"] for each in drawing(with_middleware())["nodes"]}
    assert {"model", "tools"} <= names
