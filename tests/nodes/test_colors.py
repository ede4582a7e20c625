"""A node that a function calls, in a graph of the other color."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send

from acp_langgraph import ACPNode
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.testing import Answer, Ask, FakeACPServer

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
GIVEN: Any = {"ask": {"text": "hi"}}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def acp(server: Any) -> ACPNode:
    return ACPNode("remote", server.agent_id, server.url, "ask", dict, "answer", None)


def graph_of(function: Any, checkpointer: Any) -> Any:
    builder = StateGraph(State).add_node("node", function).add_edge(START, "node")
    return builder.compile(checkpointer=checkpointer)


def in_a_function(node: ACPNode) -> Any:
    def call(state: State) -> Any:
        return node.invoke(state)

    return call


def in_a_thread(node: ACPNode) -> Any:
    async def call(state: State) -> Any:
        return await asyncio.to_thread(node.invoke, state)

    return call


@pytest.mark.parametrize("calling", [in_a_function, in_a_thread])
def test_a_function_that_blocks_may_call_a_node_in_a_graph_that_awaits(
    calling: Any, tmp_path: Path
) -> None:
    async def run(server: Any) -> tuple[Any, Any]:
        database = str(tmp_path / "checkpoints.sqlite")
        async with AsyncSqliteSaver.from_conn_string(database) as saver:
            asked = await graph_of(calling(acp(server)), saver).ainvoke(GIVEN, ON_A_THREAD)
        async with AsyncSqliteSaver.from_conn_string(database) as saver:
            graph = graph_of(calling(acp(server)), saver)
            return asked, await graph.ainvoke(Command(resume="blue"), ON_A_THREAD)

    with FakeACPServer([Ask("color?"), Answer({"text": "done"})]) as server:
        asked, done = asyncio.run(run(server))
        assert asked["__interrupt__"][0].value == "color?"
        assert done["answer"] == {"text": "done"}
        assert server.run.answers == ["blue"]


def test_as_many_functions_as_there_are_places_may_call_nodes_at_once() -> None:
    """None waits for a place that another one holds, as they would if steps took one each."""
    count = 40

    async def run(server: Any) -> None:
        graph = (
            StateGraph(State)
            .add_node("node", lambda state: node.invoke(state) and {})
            .add_conditional_edges(START, lambda _: [Send("node", GIVEN)] * count, ["node"])
            .compile(checkpointer=InMemorySaver())
        )
        async with asyncio.timeout(30):
            await graph.ainvoke({}, {**ON_A_THREAD, "max_concurrency": 3})

    with FakeACPServer() as server:
        node = acp(server)
        asyncio.run(run(server))
        assert server.created == server.completed == count


def awaited_in_a_loop_of_its_own(node: ACPNode) -> Any:
    def call(state: State) -> Any:
        return asyncio.run(node.ainvoke(state))

    return call


def blocking_the_loop(node: ACPNode) -> Any:
    async def call(state: State) -> Any:
        return node.invoke(state)

    return call


def run_blocking(graph: Any) -> None:
    graph.invoke(GIVEN, ON_A_THREAD)


def run_awaiting(graph: Any) -> None:
    asyncio.run(graph.ainvoke(GIVEN, ON_A_THREAD))


@pytest.mark.parametrize(
    ("calling", "run", "advice"),
    [
        (awaited_in_a_loop_of_its_own, run_blocking, r"node\.invoke"),
        (awaited_in_a_loop_of_its_own, run_awaiting, r"node\.invoke"),
        (blocking_the_loop, run_awaiting, r"await node\.ainvoke"),
    ],
)
def test_what_could_not_be_remembered_on_another_loop_is_refused_before_it_begins(
    calling: Any, run: Any, advice: str
) -> None:
    with FakeACPServer() as server:
        graph = graph_of(calling(acp(server)), InMemorySaver())
        with pytest.raises(NodeConfigurationError, match=advice):
            run(graph)
        assert server.created == 0


def test_an_entrypoint_that_awaits_is_told_to_await_the_node() -> None:
    with FakeACPServer() as server:
        node = acp(server)

        @entrypoint(checkpointer=InMemorySaver())
        async def flow(state: State) -> Any:
            return node.invoke(state)

        with pytest.raises(NodeConfigurationError, match=r"await node\.ainvoke"):
            run_awaiting(flow)
        assert server.created == 0


@pytest.mark.parametrize(
    ("calling", "run"),
    [
        (in_a_function, run_awaiting),
        (in_a_thread, run_awaiting),
        (awaited_in_a_loop_of_its_own, run_blocking),
        (awaited_in_a_loop_of_its_own, run_awaiting),
    ],
)
def test_without_a_checkpointer_a_function_may_call_a_node_in_any_color(
    calling: Any, run: Any
) -> None:
    with FakeACPServer() as server:
        run(graph_of(calling(acp(server)), None))
        assert server.completed == 1
