"""What ends while a stream is open: the consumer, the process, the patience."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from support.colors import Color

from acp_langgraph.nodes import ACPNode
from acp_langgraph.nodes import streaming
from acp_langgraph.testing import Answer, Emit, FakeACPServer, Gate, Work


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_for(server: FakeACPServer, **changes: Any) -> Any:
    builder = StateGraph(State)
    settings = {"stream_mode": "custom", **changes}
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None, **settings)
    builder.add_node(node)
    builder.add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


CONFIG: Any = {"configurable": {"thread_id": "1"}}


async def test_cancelling_while_streaming_cancels_the_remote_run() -> None:
    with FakeACPServer([Emit(1), Work(Gate("never")), Answer("done")]) as server:
        graph = graph_for(server)
        first = asyncio.Event()

        async def watch() -> None:
            async for _ in graph.astream({"ask": {}}, CONFIG, stream_mode="custom"):
                first.set()

        watching = asyncio.create_task(watch())
        await first.wait()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(server.wait_until, lambda: server.run.cancelled)
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections <= 1)
