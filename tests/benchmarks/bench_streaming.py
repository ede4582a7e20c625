"""How long after an agent emits an event it is seen in the graph's stream.

    python tests/benchmarks/bench_streaming.py [runs]

A run emits five events, 20 ms apart, each with the time at which it is sent; the graph, with a
checkpointer, is watched with `stream_mode="custom"`. Printed, for both colors: milliseconds from
sent to seen, of the first event of every run and of all others, and how many events a second come
through when the agent sends as fast as it can. The server is a thread of this process, so its work
counts as well.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Emit, FakeACPServer, Work

EVENTS, MANY = 5, 5000


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def paced(_: Any) -> Iterator[Any]:
    """An agent that emits now and then."""
    for _ in range(EVENTS):
        yield Work(0.02)
        yield Emit(time.perf_counter())
    yield Answer("done")


def fast(_: Any) -> Iterator[Any]:
    """An agent that emits as fast as it can."""
    for number in range(MANY):
        yield Emit(number)
    yield Answer("done")


def graph_of(server: FakeACPServer, agent: str) -> Any:
    """A graph that consists of the agent."""
    builder = StateGraph(State)
    node = ACPNode("remote", agent, server.url, "ask", None, "answer", None, stream_mode="custom")
    builder.add_node(node)
    builder.add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def latencies(graph: Any, thread: str) -> list[float]:
    """Milliseconds from sent to seen, event by event."""
    config = {"configurable": {"thread_id": thread}}
    stream = graph.stream({"ask": {}}, config, stream_mode="custom")
    return [(time.perf_counter() - e["payload"]) * 1e3 for e in stream if e["kind"] == "custom"]


async def alatencies(graph: Any, thread: str) -> list[float]:
    """`latencies`, awaiting."""
    config = {"configurable": {"thread_id": thread}}
    stream = graph.astream({"ask": {}}, config, stream_mode="custom")
    return [
        (time.perf_counter() - e["payload"]) * 1e3 async for e in stream if e["kind"] == "custom"
    ]


def rate(graph: Any) -> float:
    """Events a second."""
    started = time.perf_counter()
    config = {"configurable": {"thread_id": "fast"}}
    count = sum(1 for _ in graph.stream({"ask": {}}, config, stream_mode="custom"))
    return count / (time.perf_counter() - started)


async def arate(graph: Any) -> float:
    """`rate`, awaiting."""
    started = time.perf_counter()
    config = {"configurable": {"thread_id": "fast"}}
    stream = graph.astream({"ask": {}}, config, stream_mode="custom")
    count = len([event async for event in stream])
    return count / (time.perf_counter() - started)


def spread(times: list[float]) -> str:
    """Median, 95th percentile and longest."""
    ordered = sorted(times)
    late = ordered[int(len(ordered) * 0.95)]
    return f"{statistics.median(ordered):9.2f}{late:9.2f}{ordered[-1]:9.2f}"


def main(runs: int) -> None:
    """Measure and print."""

    async def each(graph: Any) -> list[list[float]]:
        return [await alatencies(graph, f"a{number}") for number in range(runs)]

    with FakeACPServer({"paced": paced, "fast": fast}) as server:
        slow = graph_of(server, "paced")
        latencies(slow, "warm")
        measured = {
            "sync": [latencies(slow, str(number)) for number in range(runs)],
            "async": asyncio.run(each(slow)),
        }
        rates = {
            "sync": rate(graph_of(server, "fast")),
            "async": asyncio.run(arate(graph_of(server, "fast"))),
        }
    print(f"{'ms from sent to seen':24}   median      p95  longest")
    for color, times in measured.items():
        print(f"{color + ', first event':24}{spread([each[0] for each in times])}")
        print(f"{color + ', later events':24}{spread([t for each in times for t in each[1:]])}")
    for color, events in rates.items():
        print(f"{color}: {events:,.0f} events a second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
