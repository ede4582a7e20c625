"""What a node costs beside the request it makes.

    python tests/benchmarks/bench_nodes.py [--rounds 5] [--json FILE]

Ours beside (a) a local node without HTTP, (b) a node that posts with one pooled httpx client, and (c)
one that posts with one raw aiohttp session, against an ACP server in a process of its own that answers
at once. Everything is interleaved in one run; the medians are shown, with the spread over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import aiohttp
import httpx
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from rich.console import Console
from rich.table import Table

from acp_langgraph import ACPNode

AGENT = "3f2c9a7e-0000-4000-8000-0000000000aa"
STATE = {"ask": {"text": "hi"}}
BODY = {"agent_id": AGENT, "input": {"text": "hi"}, "config": {}}


class State(TypedDict, total=False):
    """The state of every graph."""

    ask: dict[str, Any]
    answer: Any


@contextmanager
def stub() -> Iterator[str]:
    """The instant server."""
    command = [sys.executable, str(Path(__file__).with_name("stub.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.kill()


def graph(node: Any, saver: Any = None) -> Any:
    """A graph of one node."""
    builder = StateGraph(State)
    builder.add_node("remote", node)
    builder.add_edge(START, "remote")
    return builder.compile(checkpointer=saver)


async def each_after_another(compiled: Any, calls: int) -> float:
    """Seconds per call, one at a time."""
    started = time.perf_counter()
    for number in range(calls):
        await compiled.ainvoke(STATE, {"configurable": {"thread_id": str(number)}})
    return (time.perf_counter() - started) / calls


async def at_once(compiled: Any, calls: int, width: int) -> float:
    """Calls per second with so many at once."""
    slots = asyncio.Semaphore(width)

    async def one(number: int) -> None:
        async with slots:
            await compiled.ainvoke(STATE, {"configurable": {"thread_id": str(number)}})

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(calls)))
    return calls / (time.perf_counter() - started)


async def longest_stall(compiled: Any, width: int) -> float:
    """The longest time that the event loop did not come round, in milliseconds."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)

    watcher = asyncio.create_task(watch())
    await at_once(compiled, width * 2, width)
    watcher.cancel()
    return longest * 1000


async def asynchronous(url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """All awaiting measurements."""
    client = httpx.AsyncClient(timeout=60)  # its pool is slow at 500 at once
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def local(_: State) -> State:
        return {"answer": {"text": "hi"}}

    async def with_httpx(_: State) -> State:
        return {"answer": (await client.post(f"{url}/runs/wait", json=BODY)).json()}

    async def with_aiohttp(_: State) -> State:
        async with session.post(f"{url}/runs/wait", json=BODY) as response:
            return {"answer": await response.json()}

    ours = ACPNode("remote", AGENT, url, "ask", None, "answer", None)
    plain = {
        "(a) local": graph(local),
        "(b) httpx": graph(with_httpx),
        "(c) aiohttp": graph(with_aiohttp),
        "ours": graph(ours),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for name, compiled in plain.items():
            row = found.setdefault(name, {})
            row.setdefault("one at a time, ms", []).append(
                1000 * await each_after_another(compiled, 200)
            )
            row.setdefault("calls/s, 50 at once", []).append(await at_once(compiled, 600, 50))
            row.setdefault("calls/s, 500 at once", []).append(await at_once(compiled, 1500, 500))
            row.setdefault("stall at 500, ms", []).append(await longest_stall(compiled, 500))
        for name, node in (("(b) httpx", with_httpx), ("ours", ours)):
            compiled = graph(node, InMemorySaver())
            found[name].setdefault("with a saver, ms", []).append(
                1000 * await each_after_another(compiled, 200)
            )
    await client.aclose()
    await session.close()
    return found


def synchronous(url: str, rounds: int) -> dict[str, dict[str, list[float]]]:
    """All blocking measurements."""
    client = httpx.Client()

    def with_httpx(_: State) -> State:
        return {"answer": client.post(f"{url}/runs/wait", json=BODY).json()}

    compared = {
        "(b) httpx": graph(with_httpx),
        "ours": graph(ACPNode("remote", AGENT, url, "ask", None, "answer", None)),
    }
    found: dict[str, dict[str, list[float]]] = {}
    with ThreadPoolExecutor(16) as threads:
        for _ in range(rounds):
            for name, compiled in compared.items():
                row = found.setdefault(name, {})
                started = time.perf_counter()
                for _ in range(200):
                    compiled.invoke(STATE)
                row.setdefault("one at a time, ms", []).append((time.perf_counter() - started) * 5)
                started = time.perf_counter()
                list(threads.map(compiled.invoke, [STATE] * 600))
                row.setdefault("calls/s, 16 threads", []).append(
                    600 / (time.perf_counter() - started)
                )
    client.close()
    return found


def show(title: str, found: dict[str, dict[str, list[float]]], console: Console) -> None:
    """Print a table of medians and spreads."""
    headings = list(found["ours"])
    table = Table("", *headings, title=title, title_justify="left")
    for name, row in found.items():
        cells = []
        for heading in headings:
            values = row.get(heading)
            cells.append("" if not values else _cell(values))
        table.add_row(name, *cells)
    console.print(table)


def _cell(values: list[float]) -> str:
    def digits(value: float) -> str:
        return f"{value:.2f}" if value < 100 else f"{value:.0f}"

    return f"{digits(statistics.median(values))} ({digits(min(values))}-{digits(max(values))})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with stub() as url:
        awaiting = asyncio.run(asynchronous(url, options.rounds))
        blocking = synchronous(url, options.rounds)
    console = Console(width=140)
    show("awaiting: median (lowest-highest) of the rounds", awaiting, console)
    show("blocking: median (lowest-highest) of the rounds", blocking, console)
    if options.json:
        options.json.write_text(json.dumps({"async": awaiting, "sync": blocking}, indent=2))


if __name__ == "__main__":
    main()
