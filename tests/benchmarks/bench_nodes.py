"""What a node costs beside the request it makes.

    python tests/benchmarks/bench_nodes.py [--rounds 5]

Everything is interleaved in one run, against a server in a process of its own that answers at once;
medians are shown, with the spread over the rounds. Within a round, too, short measurements are taken in
turns, whose median counts: what slows the machine for a second slows everybody then, and a full garbage
collection, which takes as long as a hundred calls, is that of the one turn that it happens to fall into.

A stall is the longest time that one callback held the event loop; the interpreter's garbage collection,
which is everybody's, is put off meanwhile. A turn is the longest time in which the event loop did not come
round, garbage collection included: with 500 graphs to be advanced at once it is long whatever they do.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from asyncio import events
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from contenders import (
    AGNTCY,
    LOCAL,
    OURS,
    STATE,
    Stub,
    awaiting_nodes,
    blocking_nodes,
    graph,
    stub,
)
from langgraph.checkpoint.memory import InMemorySaver
from tables import Figures, show

ONE: Final = "one at a time, ms"
SAVED: Final = "with a saver, ms"
AT_50: Final = "calls/s, 50 at once"
AT_500: Final = "calls/s, 500 at once"
STALL: Final = "stall at 500, ms"
TURN: Final = "turn of the loop at 500, ms"
REQUESTS: Final = "requests a task"
REQUESTS_SAVED: Final = "requests a task, with a saver"
CONNECTIONS: Final = "connections, 50 at once"
THREADS: Final = "calls/s, 16 threads"


async def in_turns(
    graphs: dict[str, Any], measure: Callable[[str, Any], Awaitable[float]], turns: int = 10
) -> dict[str, float]:
    """The median of each, over so many turns."""
    taken: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(turns):
        for name, compiled in graphs.items():
            taken[name].append(await measure(name, compiled))
    return {name: statistics.median(values) for name, values in taken.items()}


async def each_after_another(name: str, compiled: Any) -> float:
    """Milliseconds per call, one at a time."""
    calls = 2 if name == AGNTCY else 20  # it takes twenty times as long
    started = time.perf_counter()
    for _ in range(calls):
        await compiled.ainvoke(STATE, {"configurable": {"thread_id": str(uuid4())}})
    return (time.perf_counter() - started) / calls * 1000


async def fifty_at_once(name: str, compiled: Any) -> float:
    """Calls per second with 50 at once."""
    return await at_once(compiled, 50 if name == AGNTCY else 600, 50)


async def at_once(compiled: Any, calls: int, width: int) -> float:
    """Calls per second with so many at once."""
    slots = asyncio.Semaphore(width)

    async def one(number: int) -> None:
        async with slots:
            await compiled.ainvoke(STATE, {"configurable": {"thread_id": str(number)}})

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(calls)))
    return calls / (time.perf_counter() - started)


async def stall(compiled: Any, width: int) -> float:
    """The longest time that one callback held the event loop, in milliseconds."""
    with _timed_callbacks() as longest:
        await at_once(compiled, width * 2, width)
    return longest[0] * 1000


async def turn(compiled: Any, width: int) -> float:
    """The longest time in which the event loop did not come round, in milliseconds."""
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


@contextmanager
def _timed_callbacks() -> Iterator[list[float]]:
    longest = [0.0]
    run = events.Handle._run  # type: ignore[attr-defined]  # where every callback is called

    def timed(handle: Any) -> None:
        started = time.perf_counter()
        run(handle)
        longest[0] = max(longest[0], time.perf_counter() - started)

    events.Handle._run = timed  # type: ignore[attr-defined]
    gc.collect()
    gc.disable()
    try:
        yield longest
    finally:
        gc.enable()
        events.Handle._run = run  # type: ignore[attr-defined]


async def counted(server: Stub, compiled: Any, what: str, calls: int, width: int) -> float:
    """How many connections or requests so many calls take."""
    before = server.counts()[what]
    await at_once(compiled, calls, width)
    return server.counts()[what] - before


async def awaiting(server: Stub, rounds: int) -> Figures:
    """All awaiting measurements."""
    found: Figures = {}
    async with awaiting_nodes(server.url) as nodes:
        graphs = {name: graph(node) for name, node in nodes.items()}
        for name, compiled in graphs.items():  # counted once: these do not vary
            row = found[name] = {}
            if name != LOCAL:
                row[CONNECTIONS] = [await counted(server, compiled, "connections", 50, 50)]
                row[REQUESTS] = [await counted(server, compiled, "requests", 20, 1) / 20]
                saving = graph(nodes[name], InMemorySaver())
                row[REQUESTS_SAVED] = [await counted(server, saving, "requests", 20, 1) / 20]
        fast = {name: compiled for name, compiled in graphs.items() if name != AGNTCY}
        for _ in range(rounds):
            saving = {name: graph(nodes[name], InMemorySaver()) for name in fast}
            note(found, ONE, await in_turns(graphs, each_after_another))
            note(found, SAVED, await in_turns(saving, each_after_another))
            note(found, AT_50, await in_turns(graphs, fifty_at_once, 3))
            for name, compiled in fast.items():
                # With no connections left, httpx would begin at a fifth of its rate.
                await at_once(compiled, 200, 50)
                note(found, AT_500, {name: await at_once(compiled, 1500, 500)})
                note(found, STALL, {name: await stall(compiled, 500)})
                note(found, TURN, {name: await turn(compiled, 500)})
    return found


def blocking(server: Stub, rounds: int) -> Figures:
    """All blocking measurements."""
    found: Figures = {}
    with blocking_nodes(server.url) as nodes, ThreadPoolExecutor(16) as threads:
        graphs = {name: graph(node) for name, node in nodes.items()}
        for _ in range(rounds):
            for name, compiled in graphs.items():
                started = time.perf_counter()
                for _ in range(200):
                    compiled.invoke(STATE)
                note(found, ONE, {name: (time.perf_counter() - started) * 5})
                started = time.perf_counter()
                list(threads.map(compiled.invoke, [STATE] * 600))
                note(found, THREADS, {name: 600 / (time.perf_counter() - started)})
    return found


def note(found: Figures, what: str, values: dict[str, float]) -> None:
    """Add what one round found."""
    for name, value in values.items():
        found.setdefault(name, {}).setdefault(what, []).append(value)


def measure(rounds: int) -> dict[str, Figures]:
    """Both colors."""
    with stub() as server:
        return {
            "awaiting": asyncio.run(awaiting(server, rounds)),
            "blocking": blocking(server, rounds),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    for color, found in measure(parser.parse_args().rounds).items():
        show(color, found, OURS)


if __name__ == "__main__":
    main()
