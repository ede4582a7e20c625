"""`use_threads=True` on AGNTCY's server, which has habits of its own there, over real HTTP.

It lists all runs of a thread or, asked for a page, none; it cannot start a run on a thread in the
background, only with a wait; it tells what such a run asks, and takes the answer, below `/runs` only;
and it has no queue.
"""

from __future__ import annotations

import threading
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import ACPRunException
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Fault, Gate, Work

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
ECHO = [Answer(lambda run: run.input)]
START_AND_WAIT = "create_and_wait_for_thread_run_output"


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def make(server: FakeACPServer, **changes: Any) -> ACPNode:
    settings: dict[str, Any] = {"client_config": server.url, **changes}
    where = settings.pop("client_config")
    return ACPNode(
        "remote", server.agent_id, where, "ask", None, "answer", None, use_threads=True, **settings
    )


def built(node: ACPNode) -> Any:
    return StateGraph(State).add_node(node).add_edge(START, "remote")


@pytest.fixture(params=["no saver", "saver"])
def saver(request: pytest.FixtureRequest) -> Any:
    return InMemorySaver() if request.param == "saver" else None


def test_a_run_on_a_thread_is_one_run(color: Color, saver: Any) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        graph = built(make(server)).compile(checkpointer=saver)
        for number in range(3):
            asked = {"ask": {"n": number}}
            assert color.invoke(graph, asked, ON_A_THREAD)["answer"] == {"n": number}
        assert server.created == server.completed == 3
        assert len({run.thread_id for run in server.runs}) == 1


def test_what_cannot_be_had_there_is_asked_for_once(color: Color) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        graph = built(make(server)).compile(checkpointer=InMemorySaver())
        color.invoke_each(graph, [{"ask": {"n": number}} for number in range(4)], ON_A_THREAD)
        assert server.created == 4
        assert server.requests.count("create_thread_run") == 1
        pages = [each for each in server.requests if each.method == "GET" and each.query]
        assert len(pages) <= 1


def test_a_run_whose_answer_got_lost_is_found_in_the_whole_list(color: Color, saver: Any) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        server.faults.add(Fault.lose_answer(), on=START_AND_WAIT)
        graph = built(make(server)).compile(checkpointer=saver)
        assert color.invoke(graph, {"ask": {"n": 1}}, ON_A_THREAD)["answer"] == {"n": 1}
        assert server.created == 1


def test_a_run_is_found_again_by_whoever_enters_next(color: Color) -> None:
    with FakeACPServer.like_agntcy(ECHO) as server:
        server.faults.add(Fault.lose_answer(), on=START_AND_WAIT, times=None)
        lost = server.faults.add(Fault.drop_before_work(), on="list_thread_runs", times=None)
        graph = built(make(server)).compile(checkpointer=InMemorySaver())
        with pytest.raises(Exception, match="threads/"):
            color.invoke(graph, {"ask": {"n": 1}}, ON_A_THREAD)
        assert lost.hits
        server.faults.clear()
        assert color.invoke(graph, None, ON_A_THREAD)["answer"] == {"n": 1}
        assert server.created == 1


def test_a_run_that_takes_longer_than_a_wait_is_waited_for(color: Color, saver: Any) -> None:
    gate = Gate()
    with FakeACPServer.like_agntcy([Work(gate), Answer("done")]) as server:
        # Once the wait that began the run has been given up, the run is looked at.
        looked = threading.Thread(
            target=lambda: (
                server.wait_until(
                    lambda: server.requests.count("list_thread_runs") > 0, timeout=20
                ),
                gate.open(),
            )
        )
        looked.start()
        where = ApiClientConfiguration(server.url, timeout=0.5)
        graph = built(make(server, client_config=where)).compile(checkpointer=saver)
        assert color.invoke(graph, {"ask": 1}, ON_A_THREAD)["answer"] == "done"
        looked.join()
        assert server.created == 1


def test_what_the_agent_asks_is_answered_on_the_same_run(color: Color) -> None:
    script = [Ask({"color": "?"}, name="ask_color"), Answer(lambda run: run.answers)]
    with FakeACPServer.like_agntcy(script) as server:
        graph = built(make(server)).compile(checkpointer=InMemorySaver())
        paused = color.invoke(graph, {"ask": 1}, ON_A_THREAD)
        assert paused["__interrupt__"][0].value == {"ask_color": {"color": "?"}}
        done = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert done["answer"] == ["blue"]
        assert server.created == 1


def test_a_run_that_fails_is_told_with_the_agents_own_words(color: Color, saver: Any) -> None:
    with FakeACPServer.like_agntcy([Fail("no ink")]) as server:
        graph = built(make(server)).compile(checkpointer=saver)
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(graph, {"ask": 1}, ON_A_THREAD)
        assert server.created == 1


def test_a_server_that_fails_to_tell_a_result_is_not_taken_for_one_that_tells_it_elsewhere(
    color: Color,
) -> None:
    with FakeACPServer(ECHO) as server:  # which knows no run of a thread below `/runs`
        server.faults.add(Fault.status(404), on="wait_for_stateless_run_output", times=None)
        failing = server.faults.add(Fault.status(500), on="wait_for_thread_run_output", times=2)
        graph = built(make(server)).compile(checkpointer=InMemorySaver())
        for number in range(3):
            asked = {"ask": {"n": number}}
            assert color.invoke(graph, asked, ON_A_THREAD)["answer"] == {"n": number}
        assert failing.hits == 2
        assert server.created == 3
        assert server.requests.count("wait_for_stateless_run_output") <= 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_once_to_take_an_answer_is_given_it_again_in_the_same_place(
    color: Color, status: int
) -> None:
    """It keeps the runs of threads apart from those without, as the protocol has it."""
    script = [Ask("color?"), Answer(lambda run: run.answers)]
    with FakeACPServer(script) as server:
        for operation in ("resume_stateless_run", "wait_for_stateless_run_output"):
            server.faults.add(Fault.status(404), on=operation, times=None)
        server.faults.add(Fault.status(status), on="resume_thread_run")
        graph = built(make(server)).compile(checkpointer=InMemorySaver())
        color.invoke(graph, {"ask": {}}, ON_A_THREAD)
        done = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert done["answer"] == ["blue"]
        assert server.created == server.completed == 1


def test_an_answer_that_was_taken_before_the_server_failed_is_not_given_to_the_next_question(
    color: Color,
) -> None:
    script = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]
    with FakeACPServer(script) as server:
        server.faults.add(Fault.status(500, after_work=True), on="resume_thread_run")
        graph = built(make(server)).compile(checkpointer=InMemorySaver())
        color.invoke(graph, {"ask": {}}, ON_A_THREAD)
        asked = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert [each.value for each in asked["__interrupt__"]] == ["food?"]
        done = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
        assert done["answer"] == ["blue", "rice"]
