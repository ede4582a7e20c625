"""What a suspended run costs: memory and connections, waking, sweeping, and how soon a graph goes on.

    python tests/benchmarks/bench_suspended.py [--runs 1000] [--threads 100000]

The agents are in a process of their own. So many graphs are suspended over SQLite and over PostgreSQL (where
its programs are installed), each for a run of its own; what this process then has more than before, in memory and
in open sockets, is what they cost it. Before that a tenth of them are suspended, so that pools, caches and the
allocator have grown to their sizes, and what is free is given back to the system. As what the system then says
still is of pages, and not of runs, a thousand more are suspended while Python counts what is allocated and
not freed. Then all runs are done, and a sweep wakes all. For the sweep over many threads, one suspended thread's
rows are copied, and what is measured is finding them, without looks at their runs. Last, one after the other, runs
end whose webhook wakes their graph: the time from the end of the remote run to the node after it.

10,000 runs take a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import uvicorn
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from psycopg_pool import AsyncConnectionPool
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.postgres import AS_SAVERS_NEED_IT, NoPostgresError, running_postgres

from acp_langgraph import ACPNode, Sweeper, WakeApp, WakeURL
from acp_langgraph.core.flow import AWAITING, adrive
from acp_langgraph.core.webhooks import new_secret
from acp_langgraph.server import Limits, WebhookPolicy, serve
from acp_langgraph.waking.finding import find
from acp_langgraph.waking.savers import rows

AT_ONCE = 50
LATENCIES = 50
TRACED = 1000
COPIED = {
    "sqlite": {
        "checkpoints": "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, "
        "checkpoint, metadata",
        "writes": "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, "
        "value",
    },
    "postgres": {
        "checkpoints": "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, "
        "checkpoint, metadata",
        "checkpoint_writes": "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, "
        "channel, type, blob",
        "checkpoint_blobs": "thread_id, checkpoint_ns, channel, version, type, blob",
    },
}


class State(TypedDict, total=False):
    """The state of the graphs and of the agents."""

    text: str
    ended: float
    seen: float


def agents(go_on: Any, told: Any, asked: Any) -> None:
    """Serve one agent that is at work until all are let go, and one that takes a moment."""
    told_to: list[asyncio.Task[Any]] = []

    async def hold(_: State) -> State:
        if not told_to:  # one thread waits for all of them
            told_to.append(asyncio.create_task(asyncio.to_thread(go_on.wait)))
        await asyncio.shield(told_to[0])
        return {"ended": time.time()}

    async def soon(_: State) -> State:
        await asyncio.sleep(0.1)
        return {"ended": time.time()}

    def graph(work: Any) -> Any:
        return StateGraph(State).add_node("work", work).add_edge(START, "work").compile()

    limits = Limits(running=20_000, pending=20_000)
    with serve(
        {"hold": graph(hold), "soon": graph(soon)},
        webhooks=WebhookPolicy(allow=["*"]),
        limits=limits,
    ) as server:
        told.put(server.url)
        while asked.get():
            told.put(server.count_runs())


class Agents(NamedTuple):
    """Where the agents are, what lets them go, and how their runs are counted."""

    url: str
    go_on: Any
    count: Callable[[], dict[str, int]]


@contextmanager
def served() -> Iterator[Agents]:
    """The agents, in a process of their own."""
    processes = multiprocessing.get_context("spawn")
    go_on, told, asked = processes.Event(), processes.SimpleQueue(), processes.SimpleQueue()
    process = processes.Process(target=agents, args=(go_on, told, asked))
    process.start()

    def count() -> dict[str, int]:
        asked.put(True)
        counted: dict[str, int] = told.get()
        return counted

    try:
        yield Agents(told.get(), go_on, count)
    finally:
        process.kill()
        process.join()


@asynccontextmanager
async def saver_in(where: str) -> AsyncIterator[Any]:
    """A saver over a file or a URI."""
    if not where.startswith("postgresql"):
        async with AsyncSqliteSaver.from_conn_string(where) as saver:
            yield saver
        return
    async with AsyncConnectionPool(where, max_size=8, kwargs=AS_SAVERS_NEED_IT) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        yield saver


def graph_of(node: ACPNode, saver: Any, **more: Any) -> Any:
    """A graph of a node, and one after it that tells when it was there."""
    builder = StateGraph(State).add_node(node)
    builder.add_node("after", more.get("after", lambda _: {"seen": time.time()}))
    return (
        builder.add_edge(START, node.name).add_edge(node.name, "after").compile(checkpointer=saver)
    )


async def measure(where: str, agents: Agents, runs: int, threads: int) -> dict[str, str]:
    """All figures over one saver."""
    found: dict[str, str] = {}
    async with saver_in(where) as saver:
        node = ACPNode("hold", "hold", agents.url, "", output_path="", wait="suspend")
        graph = graph_of(node, saver)
        suspending = Suspending(graph)
        await suspending.more(max(100, runs // 10))
        before, began = await left_by(node), time.perf_counter()
        await suspending.more(runs)
        took, after = time.perf_counter() - began, await left_by(node)
        found["suspended"] = f"{runs / took:.0f}/s"
        found["resident memory of one"] = f"{(after.resident - before.resident) / runs:.2f} kB"
        found["objects of one"] = f"{(after.objects - before.objects) / runs:.2f}"
        found["connections to agents, of all"] = str(connections_to(agents.url))
        found["memory of one that Python counts"] = (
            f"{await counted(suspending, node, min(runs, TRACED)):.0f} bytes"
        )
        sweeper, number = Sweeper(graph), suspending.number
        began = time.perf_counter()
        assert (await sweeper.asweep()).found == number
        found["looks, none done"] = f"{number / (time.perf_counter() - began):.0f}/s"
        agents.go_on.set()
        while agents.count().get("success", 0) < number:  # noqa: ASYNC110 - another process says so
            await asyncio.sleep(1)
        began = time.perf_counter()
        assert (await sweeper.asweep()).woken == number
        found["woken by a sweep"] = f"{number / (time.perf_counter() - began):.0f}/s"
        await node.aclose()
        found |= await latency(saver, agents.url)
        found |= await sweeping(saver, where, agents.url, threads)
    return found


class Suspending:
    """Suspends graphs, each on a thread of its own.

    Attributes:
        number: How many so far.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._places = asyncio.Semaphore(AT_ONCE)
        self.number = 0

    async def more(self, number: int) -> None:
        """Suspend so many more."""
        names = [f"thread {self.number + each}" for each in range(number)]
        await asyncio.gather(*map(self._suspend, names))
        self.number += number

    async def _suspend(self, name: str) -> None:
        async with self._places:
            await self._graph.ainvoke({"text": name}, {"configurable": {"thread_id": name}})


class Left(NamedTuple):
    """What a process has: kilobytes in memory, and objects that Python's collector knows."""

    resident: float
    objects: int


async def left_by(node: ACPNode) -> Left:
    """What is left once nothing is at work, and what is free is given back."""
    await node.aclose()
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    return Left(resident(), len(gc.get_objects()))


async def counted(suspending: Suspending, node: ACPNode, number: int) -> float:
    """Bytes that Python has allocated and not freed of one more suspended run."""
    tracemalloc.start()
    await suspending.more(number // 4)
    await left_by(node)
    before, _ = tracemalloc.get_traced_memory()
    await suspending.more(number)
    await left_by(node)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / number


async def latency(saver: Any, url: str) -> dict[str, str]:
    """The time from the end of a run to the node after it, woken by a webhook."""
    secret = new_secret()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    seen: dict[str, asyncio.Future[float]] = {}

    async def after(state: State) -> State:
        seen[state["text"]].set_result(time.time() - state["ended"])
        return {}

    wake_url = WakeURL(f"http://127.0.0.1:{port}/wake", secret)
    node = ACPNode("soon", "soon", url, "", output_path="", wait="suspend", wake_url=wake_url)
    graph = graph_of(node, saver, after=after)
    app = WakeApp(graph, secret=secret)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    running = asyncio.create_task(server.serve())
    took = []
    for number in range(LATENCIES):
        name = f"latency {number}"
        seen[name] = asyncio.get_running_loop().create_future()
        await graph.ainvoke({"text": name}, {"configurable": {"thread_id": name}})
        took.append(await seen[name])
    await app.settled()
    server.should_exit = True
    await running
    await node.aclose()
    middle, late = (statistics.quantiles(took, n=20)[each] * 1000 for each in (9, 18))
    return {"from a run's end to the next node": f"{middle:.0f} ms; of one in twenty {late:.0f} ms"}


async def sweeping(saver: Any, where: str, url: str, threads: int) -> dict[str, str]:
    """What it takes to find many suspended threads."""
    config: Any = {"configurable": {"thread_id": "copied"}}
    node = ACPNode("hold", "soon", url, "", output_path="", wait="suspend")
    await graph_of(node, saver).ainvoke({"text": "copied"}, config)
    kind = "postgres" if where.startswith("postgresql") else "sqlite"
    numbers = (
        f"SELECT generate_series(1, {threads}) AS n"
        if kind == "postgres"
        else f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {threads}) "  # noqa: S608
        "SELECT n FROM c"
    )
    statements = [
        f"INSERT INTO {table} ({columns}) SELECT 'copy ' || n, "  # noqa: S608
        f"{columns.partition(', ')[2]} FROM {table}, ({numbers}) AS numbers "
        "WHERE thread_id = 'copied'"
        for table, columns in COPIED[kind].items()
    ]
    small = await stored(saver, kind)
    if kind == "postgres":
        async with saver.conn.connection() as connection:
            for each in statements:
                await connection.execute(each)
            await connection.execute("ANALYZE")
    else:
        for each in statements:
            await saver.conn.execute(each)
        await saver.conn.commit()
    gc.collect()
    began, cpu, count, after = time.perf_counter(), time.process_time(), 0, ""
    memory, most = resident(), 0.0
    while after is not None:
        page, after = await adrive(find(saver, after), AWAITING)
        count += len(page)
        most = max(most, resident() - memory)
    await node.aclose()
    assert count >= threads, count
    took, used = time.perf_counter() - began, time.process_time() - cpu
    size = (await stored(saver, kind) - small) / threads / 1024
    return {
        f"{threads} suspended threads are found in": f"{took:.1f} s, {used:.1f} s of this process",
        "memory for that": f"{most / 1024:.1f} MB",
        "tables and indexes of one": f"{size:.1f} kB",
    }


async def stored(saver: Any, kind: str) -> int:
    """Bytes that the tables have, with their indexes."""
    query = {
        "postgres": "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables",
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    }[kind]
    return int((await adrive(rows(saver, query, ()), AWAITING))[0][0])


def resident() -> float:
    """Kilobytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def connections_to(url: str) -> int:
    """How many sockets of this process lead to a server of this machine."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    own = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    fields = (line.split() for line in lines)
    return sum(each[2].endswith(port) and f"socket:[{each[9]}]" in own for each in fields)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=100_000)
    options = parser.parse_args()
    columns: dict[str, dict[str, str]] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        places = {"SQLite": f"{folder}/a.sqlite"}
        try:
            places["PostgreSQL"] = stack.enter_context(running_postgres())
        except NoPostgresError as error:
            print(error)
        for name, where in places.items():
            with served() as agents:
                columns[name] = asyncio.run(measure(where, agents, options.runs, options.threads))
    table = Table("", *columns, title=f"{options.runs} runs that are suspended for")
    for row in next(iter(columns.values())):
        table.add_row(row, *(column[row] for column in columns.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
