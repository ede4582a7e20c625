"""Looking runs up on servers that cannot search by metadata: found out once, and remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from support.colors import Color

from acp_langgraph.errors import UnknownOutcomeError
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, FakeACPServer, Fault

ECHO = [Answer(lambda run: run.input)]


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_of(server: FakeACPServer, **options: Any) -> Any:
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
    return StateGraph(State).add_node(node).add_edge(START, "remote").compile(**options)


def by_metadata(server: FakeACPServer) -> int:
    """How often runs were searched by their metadata."""
    searches = [each for each in server.requests if each.path == "/runs/search"]
    return sum("metadata" in each.json for each in searches)


def in_thread(number: int) -> Any:
    return {"configurable": {"thread_id": str(number)}}


def test_a_search_that_the_server_never_can_is_made_once(color: Color) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        server.faults.add(Fault.lose_answer(), on="create_stateless_run", times=None)
        graph = graph_of(server, checkpointer=InMemorySaver())
        for number in range(3):
            asked = {"ask": {"n": number}}
            assert color.invoke(graph, asked, in_thread(number))["answer"] == {"n": number}
        assert server.created == 3
        assert by_metadata(server) == 1


def test_what_one_node_found_out_every_node_of_the_server_knows(color: Color) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        server.faults.add(Fault.lose_answer(), on="create_stateless_run", times=None)
        for number in range(3):
            graph = graph_of(server, checkpointer=InMemorySaver())
            asked = {"ask": {"n": number}}
            assert color.invoke(graph, asked, in_thread(number))["answer"] == {"n": number}
        assert by_metadata(server) == 1


def test_so_it_is_where_nothing_is_remembered_by_the_graph(color: Color) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        waiting = "create_and_wait_for_stateless_run_output"
        server.faults.add(Fault.lose_answer(), on=waiting, times=None)
        graph = graph_of(server)
        answers = color.invoke_each(graph, [{"ask": number} for number in range(3)])
        assert [each["answer"] for each in answers] == [0, 1, 2]
        assert server.created == 3
        assert by_metadata(server) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_failure_that_passes_says_nothing_of_what_a_server_can(color: Color, status: int) -> None:
    with FakeACPServer(ECHO) as server:
        server.faults.add(Fault.lose_answer(), on="create_stateless_run", times=None)
        server.faults.add(Fault.status(status), on="search_stateless_runs")
        graph = graph_of(server, checkpointer=InMemorySaver())
        for number in range(2):
            color.invoke(graph, {"ask": number}, in_thread(number))
        assert server.created == 2
        assert by_metadata(server) == 3  # the one that failed, and one for each run


def test_a_server_that_could_not_be_searched_at_all_is_asked_anew(color: Color) -> None:
    with FakeACPServer(ECHO, search="none") as server:
        server.faults.add(Fault.lose_answer(), on="create_stateless_run")
        graph = graph_of(server, checkpointer=InMemorySaver())
        with pytest.raises(UnknownOutcomeError):
            color.invoke(graph, {"ask": 1}, in_thread(1))
        server.behavior = replace(server.behavior, search="metadata")
        assert color.invoke(graph, None, in_thread(1))["answer"] == 1
        assert server.created == 1
