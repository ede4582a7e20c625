"""Over PostgreSQL, too, each answer reaches its own question, and a failed run is done again."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color
from support.counted import State, graph_with, make_node

from acp_langgraph.errors import ACPRunException
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer

pytestmark = pytest.mark.postgres

INPUT = {"ask": {"text": "hi"}}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]


@pytest.fixture
def thread() -> RunnableConfig:
    return {"configurable": {"thread_id": uuid.uuid4().hex}}


def invoked(color: Color, uri: str, builder: Any, value: Any, config: Any, **options: Any) -> Any:
    """What a process that was just started makes of it."""
    if color.name == "sync":
        with PostgresSaver.from_conn_string(uri) as saver:
            return builder.compile(checkpointer=saver).invoke(value, config, **options)

    async def run() -> Any:
        async with AsyncPostgresSaver.from_conn_string(uri) as saver:
            return await builder.compile(checkpointer=saver).ainvoke(value, config, **options)

    return asyncio.run(run())


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("nested", [False, True], ids=["graph", "subgraph"])
def test_a_second_question_is_asked_again_and_not_given_the_first_answer(
    color: Color, postgres: str, thread: RunnableConfig, durability: str, nested: bool
) -> None:
    with FakeACPServer(TWICE) as server:
        builder = graph_with(make_node(server.url, server.agent_id)).builder
        if nested:
            inner = builder.compile()
            builder = StateGraph(State).add_node("inner", inner).add_edge(START, "inner")
        for step in (INPUT, Command(resume="blue"), None, None, Command(resume="rice")):
            state = invoked(color, postgres, builder, step, thread, durability=durability)
            if step is None:
                assert [each.value for each in state["__interrupt__"]] == ["food?"]
        assert state["answer"] == server.run.answers == ["blue", "rice"]


def test_a_failed_run_is_done_again(color: Color, postgres: str, thread: RunnableConfig) -> None:
    runs: list[Any] = []

    def script(run: Any) -> Any:
        runs.append(run)
        yield Fail("no ink") if len(runs) == 1 else Answer("done")

    with FakeACPServer(script) as server:
        builder = graph_with(make_node(server.url, server.agent_id)).builder
        with pytest.raises(ACPRunException, match="no ink"):
            invoked(color, postgres, builder, INPUT, thread)
        assert invoked(color, postgres, builder, None, thread)["answer"] == "done"
        assert server.created == 2
