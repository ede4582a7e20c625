"""Nodes that something else than LangGraph's own loop runs, with what LangGraph tells in public."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.runtime import ExecutionInfo, Runtime
from langgraph.types import Command
from support.colors import Color
from support.counted import State, make_node

from acp_langgraph import APIBridgeAgentNode
from acp_langgraph.errors import ACPRunException, NodeConfigurationError, UnknownOutcomeError
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, FakeBridge, Fault

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": {"text": "hi"}}


def as_an_activity(task_id: str, attempt: int = 1) -> RunnableConfig:
    """What a runner tells that does each task elsewhere, without a checkpointer of LangGraph's."""
    info = ExecutionInfo(
        checkpoint_id="1",
        checkpoint_ns=f"remote:{task_id}",
        task_id=task_id,
        thread_id="1",
        node_attempt=attempt,
    )
    runtime = Runtime(execution_info=info)
    known = {"thread_id": "1", "__pregel_runtime": runtime, "__pregel_checkpointer": None}
    return {"configurable": known}


def test_an_activity_that_is_done_again_finds_its_run(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        for _ in range(2):  # each in a process of its own
            node = make_node(server.url, server.agent_id)
            done = color.invoke(node, INPUT, as_an_activity("a"))
            assert done == {"answer": "done"}
        assert server.created == 1
        color.invoke(make_node(server.url, server.agent_id), INPUT, as_an_activity("b"))
        assert server.created == 2


def test_an_activity_that_was_done_elsewhere_is_told_a_failure_again(color: Color) -> None:
    """Nothing remembers that it was told before."""
    with FakeACPServer([Fail("no ink")]) as server:
        for _ in range(2):
            with pytest.raises(ACPRunException, match="no ink"):
                color.invoke(make_node(server.url, server.agent_id), INPUT, as_an_activity("a"))
        assert server.created == 1


def test_langgraphs_own_first_entry_looks_nothing_up(color: Color, tmp_path: Path) -> None:
    """In the first step and in a later one, in a graph and in one within, and with the functional API."""
    with FakeACPServer([Answer("done")]) as server:
        node = make_node(server.url, server.agent_id)
        inner = StateGraph(State).add_node(node).add_edge(START, "remote").compile()
        builder = StateGraph(State).add_node("first", lambda _: {}).add_node("inner", inner)
        builder.add_node(node).add_edge(START, "first").add_edge("first", "inner")
        builder.add_edge("inner", "remote")
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            color.invoke(graph, INPUT, ON_A_THREAD)
        color.invoke(builder.compile(), INPUT)
        assert server.created == 4
        # Whether one that is done is found is looked for once, and not when it is entered.
        assert server.requests.count("search_stateless_runs") == 1
        assert server.requests[4].route.operation == "search_stateless_runs"


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgetful", "remembering"])
def test_a_langgraph_that_does_not_tell_of_its_checkpointer_is_refused_by_its_version(
    color: Color, saver: Any
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        node = make_node(server.url, server.agent_id)

        def untold(config: RunnableConfig) -> RunnableConfig:
            known = dict(config["configurable"])
            del known["__pregel_checkpointer"]
            return {**config, "configurable": known}

        def work(state: State, config: RunnableConfig) -> Any:
            return node.invoke(state, untold(config))

        async def awork(state: State, config: RunnableConfig) -> Any:
            return await node.ainvoke(state, untold(config))

        builder = StateGraph(State).add_node("work", work if color.name == "sync" else awork)
        graph = builder.add_edge(START, "work").compile(checkpointer=saver)
        with pytest.raises(NodeConfigurationError, match=f"(?i)langgraph {version('langgraph')}"):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert server.created == 0


# Tasks of the functional API


def flow_of(color: Color, node: Any, saver: Any) -> Any:
    """An entrypoint that invokes a node in a task of its own."""

    def once(text: str) -> Any:
        return node.invoke({"ask": text})["answer"]

    async def aonce(text: str) -> Any:
        return (await node.ainvoke({"ask": text}))["answer"]

    def work(text: str) -> Any:
        return task(once)(text).result()

    async def awork(text: str) -> Any:
        return await task(aonce)(text)

    return entrypoint(checkpointer=saver)(work if color.name == "sync" else awork)


class Flow:
    """A flow for `Color.graph_over`, which compiles what it is given."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def compile(self, checkpointer: Any) -> Any:
        return self._make(checkpointer)


def test_a_task_of_the_functional_api_has_a_run_at_once_and_asks(
    color: Color, tmp_path: Path
) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        flow = Flow(lambda saver: flow_of(color, make_node(server.url, server.agent_id), saver))
        begun = time.monotonic()
        for step in ("hi", None, Command(resume="blue")):
            with color.graph_over(flow, tmp_path / "c.sqlite") as graph:
                done = color.invoke(graph, step, ON_A_THREAD)
        assert time.monotonic() - begun < 15
        assert done == ["blue"]
        assert server.created == 1


def test_a_failed_run_of_a_task_of_the_functional_api_is_done_again(
    color: Color, tmp_path: Path
) -> None:
    runs: list[Any] = []

    def script(run: Any) -> Any:
        runs.append(run)
        yield Fail("no ink") if len(runs) == 1 else Answer("done")

    with FakeACPServer(script) as server:
        flow = Flow(lambda saver: flow_of(color, make_node(server.url, server.agent_id), saver))
        with color.graph_over(flow, tmp_path / "c.sqlite") as graph:
            with pytest.raises(ACPRunException, match="no ink"):
                color.invoke(graph, "hi", ON_A_THREAD)
            assert color.invoke(graph, None, ON_A_THREAD) == "done"
        assert server.created == 2


# What cannot be looked up


class Renewed:
    """Makes tasks as LangGraph does, and tells nothing else."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._call(*given, **named)


def mailing(bridge: FakeBridge) -> APIBridgeAgentNode:
    return APIBridgeAgentNode(
        "remote", bridge.url, "mail", "ask", "answer", "sesame", input_type=None, output_type=None
    )


@pytest.fixture
def bridge() -> Iterator[FakeBridge]:
    with FakeBridge({"mail": lambda _: "sent"}) as running:
        running.faults.add(Fault.lose_answer())
        yield running


def test_an_activity_that_is_tried_again_does_not_send_again_what_may_have_been_sent(
    color: Color, bridge: FakeBridge
) -> None:
    for attempt in (1, 2):  # each in a process of its own
        with pytest.raises(UnknownOutcomeError):
            color.invoke(mailing(bridge), {"ask": "hi"}, as_an_activity("a", attempt))
    assert len(bridge.requests) == 1


def test_a_langgraph_whose_way_of_making_tasks_is_another_does_not_work_without_memory(
    color: Color, bridge: FakeBridge
) -> None:
    node = mailing(bridge)

    def renewed(config: RunnableConfig) -> RunnableConfig:
        known = dict(config["configurable"])
        known["__pregel_call"] = Renewed(known["__pregel_call"])
        return {**config, "configurable": known}

    def work(state: State, config: RunnableConfig) -> Any:
        return node.invoke(state, renewed(config))

    async def awork(state: State, config: RunnableConfig) -> Any:
        return await node.ainvoke(state, renewed(config))

    builder = StateGraph(State).add_node("work", work if color.name == "sync" else awork)
    graph = builder.add_edge(START, "work").compile(checkpointer=InMemorySaver())
    for given in ({"ask": "hi"}, None):
        with pytest.raises((UnknownOutcomeError, NodeConfigurationError)):
            color.invoke(graph, given, ON_A_THREAD)
    assert len(bridge.requests) <= 1
