"""Every durability mode keeps to one run, as far as docs/guarantees.md promises it."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import NodeError
from langgraph.types import Command
from support.colors import Color
from support.counted import graph_with, make_node

from acp_langgraph.errors import ACPRunException
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Fault

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": {"text": "hi"}}
SCRIPT = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]
MODES = ["sync", "async", "exit"]


def run(color: Color, graph: Any, durability: str) -> Any:
    color.invoke(graph, INPUT, ON_A_THREAD, durability=durability)
    color.invoke(graph, Command(resume="blue"), ON_A_THREAD, durability=durability)
    return color.invoke(graph, Command(resume="rice"), ON_A_THREAD, durability=durability)


@pytest.mark.parametrize("durability", MODES)
def test_questions_are_answered_on_one_run(color: Color, durability: str, tmp_path: Path) -> None:
    with FakeACPServer(SCRIPT) as server:
        builder = graph_with(make_node(server.url, server.agent_id)).builder
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            assert run(color, graph, durability)["answer"] == ["blue", "rice"]
        assert server.created == server.completed == 1


@pytest.mark.parametrize("durability", MODES)
def test_retries_find_the_run_again(color: Color, durability: str) -> None:
    with FakeACPServer(SCRIPT) as server:
        server.faults.add(*[Fault.lose_answer()] * 4, on="create_stateless_run")
        server.faults.add(*[Fault.status(503)] * 9, on="search_stateless_runs")
        graph = graph_with(make_node(server.url, server.agent_id), attempts=9)
        assert run(color, graph, durability)["answer"] == ["blue", "rice"]
        assert server.created == server.completed == 1


@pytest.mark.parametrize("durability", MODES)
def test_a_failed_graph_that_is_entered_again_finds_its_run(color: Color, durability: str) -> None:
    with FakeACPServer([Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        rule = server.faults.add(Fault.status(403), on="wait_for_stateless_run_output", times=None)
        with pytest.raises(Exception, match="403"):
            color.invoke(graph, INPUT, ON_A_THREAD, durability=durability)
        assert rule.hits
        server.faults.clear()
        assert color.invoke(graph, None, ON_A_THREAD, durability=durability)["answer"] == "done"
        assert server.created == 1


def test_the_same_input_under_the_same_run_id_is_the_same_task(color: Color) -> None:
    """So LangGraph's own servers enter a graph again when a worker of theirs is gone."""

    def job(number: int) -> RunnableConfig:
        return {**ON_A_THREAD, "metadata": {"run_id": f"job {number}"}}

    with FakeACPServer([Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        server.faults.add(Fault.status(403), on="wait_for_stateless_run_output", times=None)
        with pytest.raises(Exception, match="403"):
            color.invoke(graph, INPUT, job(1))
        server.faults.clear()
        assert color.invoke(graph, INPUT, job(1))["answer"] == "done"
        assert server.created == 1
        color.invoke(graph, INPUT, job(2))
        assert server.created == 2


def test_without_a_checkpointer_retries_find_the_run_again(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.lose_answer(), on="create_and_wait_for_stateless_run_output")
        server.faults.add(*[Fault.status(503)] * 9, on="search_stateless_runs")
        graph = graph_with(make_node(server.url, server.agent_id), attempts=9).builder.compile()
        assert color.invoke(graph, INPUT)["answer"] == "done"
        assert server.created == server.completed == 1


def test_a_failed_run_is_not_run_again_by_a_retry_policy(color: Color) -> None:
    with FakeACPServer([Fail("no ink")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id), attempts=5)
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert server.created == 1


def test_an_error_handler_gets_the_typed_error(color: Color) -> None:
    with FakeACPServer([Fail("no ink")]) as server:
        seen: list[Any] = []

        def handle(state: Any, error: NodeError) -> Any:
            seen.append(error)
            return {"answer": "handled"}

        graph = graph_with(make_node(server.url, server.agent_id), error_handler=handle)
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "handled"
        (error,) = seen
        assert isinstance(error.error, ACPRunException)


def test_a_fork_is_a_new_run_and_a_finished_checkpoint_is_not(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id), saver=InMemorySaver())
        color.invoke(graph, INPUT, ON_A_THREAD)
        history = list(graph.get_state_history(ON_A_THREAD))
        before = next(state for state in history if state.next == ("remote",))
        color.invoke(graph, None, graph.get_state(ON_A_THREAD).config)
        assert server.created == 1
        color.invoke(graph, None, before.config)
        assert server.created == 2
