"""Steps that wait until what must survive a crash is stored."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import Runnable
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph

from acp_langgraph.core.flow import Flow, Pause, Step, adrive, drive
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.performers import AsyncGraphPerformer, GraphPerformer
from acp_langgraph.transport import AsyncTransport, Transport


class State(TypedDict, total=False):
    x: int


class Slow(SqliteSaver):
    """Stores nothing until it is allowed to, and notes what it is asked for meanwhile."""

    allowed: threading.Event
    asked: threading.Event

    def put(self, *args: Any) -> Any:
        self.allowed.wait(10)
        return super().put(*args)

    def put_writes(self, *args: Any) -> None:
        self.allowed.wait(10)
        super().put_writes(*args)

    def get_tuple(self, config: Any) -> Any:
        found = super().get_tuple(config)
        if config["configurable"].get("checkpoint_id"):
            self.asked.set()
        return found


class Node(Runnable[Any, Any]):
    name = "node"

    def __init__(self, step: Any, after: Any) -> None:
        self.step = step
        self.after = after

    def flow(self) -> Flow[Any]:
        yield from self.step
        self.after()
        yield from Pause(0)

    def invoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        drive(self.flow(), GraphPerformer(Transport("http://x"), Execution.of("node", config)))
        return {}

    async def ainvoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        execution = Execution.of("node", config)
        await adrive(self.flow(), AsyncGraphPerformer(AsyncTransport("http://x"), execution))
        return {}


@pytest.mark.parametrize("kind", ["anchored", "settled"])
def test_the_flow_goes_on_only_when_it_is_stored(kind: str, tmp_path: Path) -> None:
    order: list[str] = []

    def body() -> Flow[str]:
        order.append("body")
        yield from Pause(0)
        return "done"

    step = Step("part", body, **{kind: True})
    with Slow.from_conn_string(str(tmp_path / "c.sqlite")) as saver:
        saver.allowed, saver.asked = threading.Event(), threading.Event()

        def allow() -> None:
            saver.asked.wait(10)
            order.append("stored")
            saver.allowed.set()

        helper = threading.Thread(target=allow)
        helper.start()
        builder = StateGraph(State)
        builder.add_node(Node(step, lambda: order.append("after")))
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=saver)
        graph.invoke({}, {"configurable": {"thread_id": "1"}})
        helper.join()
    expected = ["stored", "body"] if kind == "anchored" else ["body", "stored"]
    assert order == [*expected, "after"]


@pytest.mark.parametrize("kind", ["anchored", "settled"])
def test_an_awaiting_flow_finds_it_stored_as_well(kind: str, tmp_path: Path) -> None:
    seen: list[Any] = []

    def body() -> Flow[str]:
        yield from Pause(0)
        return "done"

    async def run() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "c.sqlite")) as saver:
            builder = StateGraph(State)
            step = Step("part", body, **{kind: True})
            builder.add_node(Node(step, lambda: seen.append("after")))
            builder.add_edge(START, "node")
            graph = builder.compile(checkpointer=saver)
            await graph.ainvoke({}, {"configurable": {"thread_id": "1"}})

    asyncio.run(run())
    assert seen == ["after"]
