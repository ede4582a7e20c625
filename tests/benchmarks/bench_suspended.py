"""What a suspended run costs: memory and connections, waking, sweeping, and how soon a graph goes on.

    python tests/benchmarks/bench_suspended.py [--runs 1000] [--threads 100000]

The agents are in a process of their own. So many graphs are suspended over SQLite and over PostgreSQL (where
its programs are installed), each for a run of its own; what this process then has more than before, in memory and
in open sockets, is what they cost it. Then all runs are done, and a sweep wakes all. For the sweep over many
threads, one suspended thread's rows are copied, and what is measured is finding them, without looks at their
runs. Last, one after the other, runs end whose webhook wakes their graph: the time from the end of the remote
run to the node after it, as a median.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypedDict

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
from acp_langgraph.core.webhooks import new_secret
from acp_langgraph.server import Limits, WebhookPolicy, serve
from acp_langgraph.waking.finding import find

AT_ONCE = 50
LATENCIES = 50
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


def agents(go_on: Any, told: Any) -> None:
    """Serve one agent that is at work until all are let go, and one that takes a moment."""

    async def hold(_: State) -> State:
        while not go_on.is_set():  # noqa: ASYNC110 - another process says so
            await asyncio.sleep(1)
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
        told.get()


@contextmanager
def served() -> Iterator[tuple[str, Any]]:
    """The agents' URL, and what lets them go."""
    processes = multiprocessing.get_context("spawn")
    go_on, told = processes.Event(), processes.SimpleQueue()
    process = processes.Process(target=agents, args=(go_on, told))
    process.start()
    try:
        yield told.get(), go_on
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


async def measure(where: str, url: str, go_on: Any, runs: int, threads: int) -> dict[str, str]:
    """All figures over one saver."""
    found: dict[str, str] = {}
    async with saver_in(where) as saver:
        node = ACPNode("hold", "hold", url, "", output_path="", wait="suspend")
        graph = graph_of(node, saver)
        places = asyncio.Semaphore(AT_ONCE)

        async def suspend(name: str) -> None:
            async with places:
                await graph.ainvoke({"text": name}, {"configurable": {"thread_id": name}})

        await suspend("first")  # what is made once is not a run's
        gc.collect()
        memory, began = resident(), time.perf_counter()
        await asyncio.gather(*(suspend(f"thread {number}") for number in range(runs)))
        took = time.perf_counter() - began
        await node.aclose()
        gc.collect()
        found["suspended"] = f"{runs / took:.0f}/s"
        found["memory of one"] = f"{(resident() - memory) / runs:.2f} kB"
        found["connections to agents"] = str(connections_to(url))
        began = time.perf_counter()
        sweeper = Sweeper(graph)
        await sweeper.asweep()
        found["looks, none done"] = f"{(runs + 1) / (time.perf_counter() - began):.0f}/s"
        go_on.set()
        await asyncio.sleep(5)
        began, woken = time.perf_counter(), 0
        while woken <= runs:
            woken += (await sweeper.asweep()).woken
        found["woken by a sweep"] = f"{woken / (time.perf_counter() - began):.0f}/s"
        await node.aclose()
        found |= await latency(saver, url)
        found |= await sweeping(saver, graph, where, url, threads)
    return found


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
    return {"from a run's end to the next node": f"{statistics.median(took) * 1000:.1f} ms"}


async def sweeping(saver: Any, graph: Any, where: str, url: str, threads: int) -> dict[str, str]:
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
    if kind == "postgres":
        async with saver.conn.connection() as connection:
            for each in statements:
                await connection.execute(each)
            await connection.execute("ANALYZE")
    else:
        for each in statements:
            await saver.conn.execute(each)
        await saver.conn.commit()
    from acp_langgraph.core.flow import adrive  # noqa: PLC0415 - what a sweep is made of
    from acp_langgraph.waking.performing import AWAITING  # noqa: PLC0415 - as above

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
    return {
        f"{threads} suspended threads are found in": f"{took:.1f} s, {used:.1f} s of this process",
        "memory for that": f"{most / 1024:.1f} MB",
    }


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
            with served() as (url, go_on):
                columns[name] = asyncio.run(
                    measure(where, url, go_on, options.runs, options.threads)
                )
    table = Table("", *columns, title=f"{options.runs} runs that are suspended for")
    for row in next(iter(columns.values())):
        table.add_row(row, *(column[row] for column in columns.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
