"""`POST /runs/wait` of a trivial graph per second, beside the same graph in a bare Starlette route.

    python tests/benchmarks/bench_server.py                 # both, in turns
    python tests/benchmarks/bench_server.py --stored        # the same with 1,000 to 1,000,000 stored

Both servers are uvicorn in a process of their own; ours keeps its runs in a file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import aiohttp

PROJECT = Path(__file__).parents[2]
BODY = {"input": {"text": "hi"}}


class Text(TypedDict):
    text: str


def graph() -> Any:
    from langgraph.graph import START, StateGraph  # noqa: PLC0415 - for the servers alone

    builder = StateGraph(Text)
    builder.add_node("shout", lambda state: {"text": state["text"].upper()})
    builder.add_edge(START, "shout")
    return builder.compile()


def serve_ours(database: str) -> None:
    from acp_langgraph.server import run_server  # noqa: PLC0415 - for this server alone

    run_server({"shout": graph()}, database=database, on_ready=lambda url: print(url, flush=True))


def serve_bare() -> None:
    from starlette.requests import Request  # noqa: PLC0415 - for this server alone
    from starlette.responses import JSONResponse  # noqa: PLC0415 - for this server alone

    compiled = graph()

    async def run(request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse(await compiled.ainvoke(body["input"]))

    serve_route("/runs/wait", run)


def serve_route(path: str, endpoint: Any) -> None:
    """Serve one route, with nothing else that takes time."""
    import uvicorn  # noqa: PLC0415 - for this server alone
    from starlette.applications import Starlette  # noqa: PLC0415 - for this server alone
    from starlette.routing import Route  # noqa: PLC0415 - for this server alone

    from acp_langgraph.server.serving import _bind, _url  # noqa: PLC0415 - a free port

    with _bind("127.0.0.1", 0) as bound:
        print(_url("127.0.0.1", bound), flush=True)
        app = Starlette(routes=[Route(path, endpoint, methods=["POST"])])
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        uvicorn.Server(config).run(sockets=[bound])


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far; on Linux, else 0."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*arguments: str, program: str = __file__) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, program, "--serve", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), process.pid)
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True)
class Rate:
    per_second: float
    median: float  # milliseconds that a client waits
    cpu: float  # milliseconds of processor time per run; what counts on a busy machine

    def __str__(self) -> str:
        return (
            f"{self.per_second:6.0f}/s, median {self.median:6.2f} ms, processor {self.cpu:.2f} ms"
        )


def measure(server: Server, seconds: float, clients: int) -> Rate:
    return asyncio.run(_measure(server, seconds, clients))


async def _measure(server: Server, seconds: float, clients: int) -> Rate:
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(session: aiohttp.ClientSession) -> None:
        while (begun := time.perf_counter()) < end:
            async with session.post(f"{server.url}/runs/wait", json=BODY) as answer:
                answer.raise_for_status()
                await answer.read()
            times.append(time.perf_counter() - begun)

    cpu = server.cpu
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(ask(session) for _ in range(clients)))
    used = (server.cpu - cpu) / len(times)
    return Rate(len(times) / seconds, statistics.median(times) * 1000, used * 1000)


def compare(seconds: float, clients: int, rounds: int) -> dict[str, list[Rate]]:
    """Measure `ours` and a `bare` route in turn."""
    with (
        tempfile.TemporaryDirectory() as folder,
        server("bare") as bare,
        server("ours", str(Path(folder, "runs.sqlite"))) as ours,
    ):
        contenders = {"bare": bare, "ours": ours}
        for each in contenders.values():
            measure(each, 0.5, clients)
        found: dict[str, list[Rate]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, each in contenders.items():
                found[name].append(measure(each, seconds, clients))
        return found


def report(found: dict[str, list[Rate]], clients: int) -> None:
    """Print what was found."""
    for name, each in found.items():
        for rate in each:
            print(f"{name}: {rate}")
    rates = [statistics.median(r.per_second for r in found[name]) for name in ("ours", "bare")]
    cpus = [statistics.median(r.cpu for r in found[name]) for name in ("ours", "bare")]
    print(
        f"{clients} clients: ours answers {rates[0] / rates[1]:.2f} of the bare route, for "
        f"{cpus[0] / cpus[1]:.2f} of its processor time"
    )


def fill(database: Path, count: int) -> None:
    """Copy the newest run until so many are stored, made one after another in the last hours."""
    from acp_langgraph.server.records import new_id  # noqa: PLC0415 - not for the bare server

    with closing(sqlite3.connect(database)) as connection:
        [there] = connection.execute("SELECT count(*) FROM runs").fetchone()
        names = [name for _, name, *_ in connection.execute("PRAGMA table_info(runs)")]
        row = dict(zip(names, connection.execute("SELECT * FROM runs").fetchone(), strict=True))
        then = row["updated_at"] - 10_000 * count  # microseconds: a hundred runs a second
        connection.executemany(
            f"INSERT INTO runs VALUES ({', '.join(f':{name}' for name in names)})",  # noqa: S608 - their own names
            (
                {
                    **row,
                    "seq": None,
                    "run_id": new_id(),
                    "thread_id": new_id(),
                    "created_at": then + 10_000 * number,
                    "updated_at": then + 10_000 * number,
                }
                for number in range(count - there)
            ),
        )
        connection.commit()


def flatness(seconds: float, clients: int, rounds: int) -> None:
    """Measure servers with few and with many stored runs in turn."""
    counts = (1_000, 100_000, 1_000_000)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {}
        for count in counts:
            database = Path(folder, f"{count}.sqlite")
            with server("ours", str(database)) as each:
                measure(each, 0.2, 1)
            fill(database, count)
            servers[count] = stack.enter_context(server("ours", str(database)))
            measure(servers[count], 0.5, clients)
        found: dict[int, list[Rate]] = {count: [] for count in counts}
        for _ in range(rounds):
            for count, each in servers.items():
                found[count].append(measure(each, seconds, clients))
                print(f"{count:9,} stored: {found[count][-1]}", flush=True)
    for count in counts[1:]:
        rates, cpus = (
            statistics.median(
                getattr(many, what) / getattr(few, what)
                for many, few in zip(found[count], found[counts[0]], strict=True)
            )
            for what in ("per_second", "cpu")
        )
        print(
            f"{count:,} stored: {rates:.2f} of the runs per second with {counts[0]:,}, for "
            f"{cpus:.2f} of the processor time"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--stored", action="store_true", help="measure with more and more stored")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    if options.serve:
        kind, *arguments = options.serve
        serve_ours(*arguments) if kind == "ours" else serve_bare()
    elif options.stored:
        flatness(options.seconds, options.clients, options.rounds)
    else:
        report(compare(options.seconds, options.clients, options.rounds), options.clients)


if __name__ == "__main__":
    main()
