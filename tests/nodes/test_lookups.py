"""Looking runs up on servers that cannot search by metadata: found out once, and remembered."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color
from support.counted import QUICK

from acp_langgraph.errors import ACPRunException, ServiceException, UnknownOutcomeError
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Fault, Gate, Response, Work

ECHO = [Answer(lambda run: run.input)]
IN_ONE = "create_and_wait_for_stateless_run_output"


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
        # The one that failed, one for each run, and one whether a run that is done is found.
        assert by_metadata(server) == 4


def test_a_server_that_could_not_be_searched_at_all_is_asked_anew(color: Color) -> None:
    with FakeACPServer(ECHO, search="none") as server:
        server.faults.add(Fault.lose_answer(), on="create_stateless_run")
        graph = graph_of(server, checkpointer=InMemorySaver())
        with pytest.raises(UnknownOutcomeError):
            color.invoke(graph, {"ask": 1}, in_thread(1))
        server.behavior = replace(server.behavior, search="metadata")
        assert color.invoke(graph, None, in_thread(1))["answer"] == 1
        assert server.created == 1


def requests_of(server: FakeACPServer, color: Color, graph: Any, number: int) -> list[str]:
    """The operations that one run took."""
    before = len(server.requests)
    assert color.invoke(graph, {"ask": number}, in_thread(number))["answer"] == number
    return [each.route.operation for each in list(server.requests)[before:]]


def known(server: FakeACPServer, color: Color) -> Any:
    """A graph over a server of which two runs were seen that were done."""
    graph = graph_of(server, checkpointer=InMemorySaver())
    for number in (-1, -2):
        color.invoke(graph, {"ask": number}, in_thread(number))
    return graph


def test_where_a_run_that_is_done_is_found_one_request_is_enough(color: Color) -> None:
    with FakeACPServer(ECHO) as server:
        graph = graph_of(server, checkpointer=InMemorySaver())
        two = ["create_stateless_run", "wait_for_stateless_run_output"]
        assert requests_of(server, color, graph, 1)[-2:] == two
        assert requests_of(server, color, graph, 2) == [*two, "search_stateless_runs"]
        for number in (3, 4):
            assert requests_of(server, color, graph, number) == [IN_ONE]
        assert server.created == server.completed == 4


@pytest.mark.parametrize("search", ["agent_only", "none"])
def test_where_it_is_not_found_two_requests_remain(color: Color, search: Any) -> None:
    with FakeACPServer(ECHO, search=search) as server:
        graph = known(server, color)
        taken = requests_of(server, color, graph, 3)
        assert taken == ["create_stateless_run", "wait_for_stateless_run_output"]


@pytest.mark.parametrize(
    "fault", [Fault.drop_before_work(), Fault.lose_answer(), Fault.status(503), Fault.status(500)]
)
def test_the_one_request_that_breaks_off_is_found_by_its_key(color: Color, fault: Fault) -> None:
    with FakeACPServer(ECHO) as server:
        graph = known(server, color)
        server.faults.add(fault, on=IN_ONE)
        assert color.invoke(graph, {"ask": 1}, in_thread(1))["answer"] == 1
        assert server.created == server.completed == 3


@pytest.mark.parametrize("status", [204, 504])
@pytest.mark.parametrize("remembers", [True, False])
def test_a_server_that_does_not_wait_is_asked_which_run_it_was(
    color: Color, remembers: bool, status: int
) -> None:
    with FakeACPServer(ECHO) as server:
        known(server, color)
        server.faults.add(Fault.respond(Response(status), after_work=True), on=IN_ONE)
        graph = graph_of(server, checkpointer=InMemorySaver() if remembers else None)
        assert color.invoke(graph, {"ask": 1}, in_thread(1))["answer"] == 1
        assert server.completed == server.created


def test_a_question_that_the_one_request_brings_is_the_graphs(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        graph = graph_of(server, checkpointer=InMemorySaver())
        for number in range(4):
            asked = color.invoke(graph, {"ask": number}, in_thread(number))
            assert [each.value for each in asked["__interrupt__"]] == ["color?"]
            answered = color.invoke(graph, Command(resume="blue"), in_thread(number))
            assert answered["answer"] == ["blue"]
        assert server.created == server.completed == 4
        assert IN_ONE in [each.route.operation for each in server.requests if each.route]


def test_a_failure_that_the_one_request_brings_is_the_nodes_and_is_done_again_later(
    color: Color,
) -> None:
    failed: list[Any] = []

    def script(run: Any) -> Any:
        if run.input == 1 and not failed:
            failed.append(run)
            yield Fail("no ink")
        yield Answer(run.input)

    with FakeACPServer(script) as server:
        graph = known(server, color)
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(graph, {"ask": 1}, in_thread(1))
        assert color.invoke(graph, None, in_thread(1))["answer"] == 1
        assert server.created == 4


def working_at_1(gate: Gate) -> Any:
    """A script that says what it was told, and is at work on a 1 until a gate is open."""

    def script(run: Any) -> Any:
        if run.input == 1:
            yield Work(gate)
        yield Answer(run.input)

    return script


async def test_a_run_that_is_cancelled_within_its_one_request_is_found_and_cancelled() -> None:
    gate = Gate()
    with FakeACPServer(working_at_1(gate)) as server:
        graph = graph_of(server, checkpointer=InMemorySaver())
        for number in (-1, -2):
            await graph.ainvoke({"ask": number}, in_thread(number))
        job = asyncio.create_task(graph.ainvoke({"ask": 1}, in_thread(1)))
        await asyncio.to_thread(server.requests.wait_for, IN_ONE)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.to_thread(server.wait_until, lambda: server.runs[2].cancelled)


def test_a_run_that_outlasts_one_wait_is_waited_for_by_its_id(color: Color) -> None:
    gate = Gate()
    with FakeACPServer(working_at_1(gate)) as server:
        known(server, color)
        opening = threading.Thread(
            target=lambda: (
                server.requests.wait_for("wait_for_stateless_run_output", n=3),
                gate.open(),
            )
        )
        opening.start()
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
        node.policy = JobPolicy(long_poll=0.2)
        graph = StateGraph(State).add_node(node).add_edge(START, "remote")
        compiled = graph.compile(checkpointer=InMemorySaver())
        assert color.invoke(compiled, {"ask": 1}, in_thread(1))["answer"] == 1
        opening.join()
        assert server.created == server.completed == 3


@pytest.mark.parametrize("remembers", [True, False])
def test_a_server_that_is_away_after_one_long_request_is_waited_for(
    color: Color, remembers: bool
) -> None:
    gate = Gate()
    with FakeACPServer(ECHO) as server:
        known(server, color)
        server.faults.add(Fault.hold(gate), on="start")
        away = server.faults.add(Fault.status(503), on="search_stateless_runs", times=20)
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
        node.policy = JobPolicy(long_poll=0.1, backoff=QUICK)
        builder = StateGraph(State).add_node(node).add_edge(START, "remote")
        graph = builder.compile(checkpointer=InMemorySaver() if remembers else None)
        assert color.invoke(graph, {"ask": 1}, in_thread(1))["answer"] == 1
        gate.open()
        assert away.spent
        assert server.created == server.completed == 3


def test_a_server_that_is_away_at_once_is_told(color: Color) -> None:
    with FakeACPServer(ECHO) as server:
        known(server, color)
        server.faults.default = Fault.status(503)
        graph = graph_of(server, checkpointer=InMemorySaver())
        with pytest.raises(ServiceException):
            color.invoke(graph, {"ask": 1}, in_thread(1))
