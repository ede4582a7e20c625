"""What ends or stands still while a stream is open: who watches, the graph, the process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from support.colors import Color

from acp_langgraph.nodes import streaming
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Emit, FakeACPServer, Fault, Gate, Response, Work

STREAM = "stream_stateless_run_output"
WAIT = "wait_for_stateless_run_output"
ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
WATCHING: Any = {"stream_mode": "custom"}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_for(server: FakeACPServer) -> Any:
    builder = StateGraph(State)
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
    builder.add_node(node)
    builder.add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def of_the_agent(event: Any) -> bool:
    """Whether the agent emitted it, and it does not tell of the run's progress."""
    return bool(event["kind"] != "progress")


class Source:
    """A stream of many large events, which knows how many were sent."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.sent = 0
        self._size = size
        self._moved = threading.Event()

    def pieces(self) -> Iterator[bytes]:
        for number in range(1, self.count + 1):
            update = {"n": number, "filling": "x" * self._size}
            data = json.dumps({"type": "custom", "status": "pending", "update": update})
            yield f"id: {number}\ndata: {data}\n\n".encode()
            self.sent = number
            self._moved.set()

    def sent_at_a_standstill(self) -> int:
        """How many were sent when no more are."""
        self._moved.clear()
        while self._moved.wait(0.3):
            self._moved.clear()
        return self.sent


COUNT, SIZE = 2000, 50_000
# The graph's queue, and what operating system and HTTP library hold of it.
IN_BETWEEN = streaming._WAITING_AT_MOST + 20_000_000 // SIZE


def test_a_slow_consumer_slows_the_reading() -> None:
    source = Source(COUNT, SIZE)
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.respond(Response.stream(source.pieces())), on=STREAM)
        with closing(graph_for(server).stream({"ask": {}}, ON_A_THREAD, **WATCHING)) as stream:
            events = filter(of_the_agent, stream)
            seen = [next(events)["payload"]["n"]]
            assert source.sent_at_a_standstill() < IN_BETWEEN
            seen += [event["payload"]["n"] for event in events]
    assert seen == [*range(1, COUNT + 1)]


async def test_a_slow_consumer_slows_the_awaiting_reading() -> None:
    source = Source(COUNT, SIZE)
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.respond(Response.stream(source.pieces())), on=STREAM)
        stream = graph_for(server).astream({"ask": {}}, ON_A_THREAD, **WATCHING)
        events = (event async for event in stream if of_the_agent(event))
        seen = [(await anext(events))["payload"]["n"]]
        assert await asyncio.to_thread(source.sent_at_a_standstill) < IN_BETWEEN
        seen += [event["payload"]["n"] async for event in events]
    assert seen == [*range(1, COUNT + 1)]


def test_a_consumer_that_takes_nothing_does_not_hold_the_run(
    color: Color, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_GIVE_UP", 0.1)
    script = [*[Emit(n) for n in range(1000)], Answer("done")]
    with FakeACPServer(script) as server:
        graph = graph_for(server)

        async def late() -> list[Any]:
            stream = graph.astream({"ask": {}}, ON_A_THREAD, **WATCHING)
            first = await anext(stream)
            await asyncio.to_thread(server.requests.wait_for, WAIT)
            return [first, *[event async for event in stream]]

        if color.name == "async":
            events = asyncio.run(late())
        else:
            with closing(graph.stream({"ask": {}}, ON_A_THREAD, **WATCHING)) as stream:
                events = [next(stream)]
                server.requests.wait_for(WAIT)
                events += stream
        assert server.run.completed
    *shown, gap = [(event["kind"], event["payload"]) for event in filter(of_the_agent, events)]
    assert shown == [("custom", n) for n in range(len(shown))]
    assert len(shown) < 200
    assert gap == ("gap", {"after": str(len(shown)), "before": None})


async def test_cancelling_while_streaming_cancels_the_remote_run() -> None:
    with FakeACPServer([Emit(1), Work(Gate("never")), Answer("done")]) as server:
        graph, first = graph_for(server), asyncio.Event()

        async def watch() -> None:
            async for event in graph.astream({"ask": {}}, ON_A_THREAD, **WATCHING):
                if of_the_agent(event):
                    first.set()

        watching = asyncio.create_task(watch())
        await first.wait()
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(server.wait_until, lambda: server.run.cancelled)
        assert server.requests.count(WAIT) == 0


@pytest.mark.parametrize("kind", ["progress", "custom"])
async def test_leaving_an_iteration_cancels_the_remote_run(kind: str) -> None:
    with FakeACPServer([Emit(1), Work(Gate("never")), Answer("done")]) as server:
        stream = graph_for(server).astream({"ask": {}}, ON_A_THREAD, **WATCHING)
        while (await anext(stream))["kind"] != kind:
            pass
        await stream.aclose()
        await asyncio.to_thread(server.wait_until, lambda: server.run.cancelled)


async def test_a_drain_leaves_the_stream_and_a_later_entry_takes_it_up() -> None:
    gate, control = Gate("work"), RunControl()
    with FakeACPServer([Emit(1), Work(gate), Emit(2), Answer("done")]) as server:
        graph, seen = graph_for(server), []

        async def watch() -> None:
            stream = graph.astream({"ask": {}}, ON_A_THREAD, control=control, **WATCHING)
            async for event in stream:
                if of_the_agent(event):
                    seen.append(event["payload"])
                    control.request_drain("deploy")

        with pytest.raises(GraphDrained):
            await watch()
        gate.open()
        later = graph.astream(None, ON_A_THREAD, **WATCHING)
        seen += [event["payload"] async for event in later if of_the_agent(event)]
        assert server.run.completed
    assert seen == [1, 2, "done"]
