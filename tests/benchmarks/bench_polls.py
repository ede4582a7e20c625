"""What a long poll costs a server in memory, beside one of a bare Starlette route.

    python tests/benchmarks/bench_polls.py

A thousand connections are opened, then as many again, each with a request that is not answered: of the
second thousand the memory is counted, sockets of the kernel's not included. Every server is uvicorn in a
process of its own.

* bare: a route that waits for an event
* poll: `GET /runs/{run_id}/wait`, all for one run
* run: `POST /runs/wait`, each with a run of its own, 200 of which are at work at once
* at work: the same where all are at work, in a node that waits
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

import aiohttp
import bench_server
from bench_server import PROJECT, Server, Text, server
from rich.console import Console
from rich.table import Table

POLLS = 1000


def waiting() -> Any:
    from langgraph.graph import START, StateGraph  # noqa: PLC0415 - for the servers alone

    async def wait(_: Text) -> Text:
        await asyncio.Event().wait()
        raise AssertionError

    builder = StateGraph(Text)
    builder.add_node("wait", wait)
    builder.add_edge(START, "wait")
    return builder.compile()


def serve_ours(running: str) -> None:
    from acp_langgraph.server import Limits, run_server  # noqa: PLC0415 - for this server alone

    limits = Limits(running=int(running))
    run_server({"waiting": waiting()}, limits=limits, on_ready=lambda url: print(url, flush=True))


def serve_bare() -> None:
    from starlette.requests import Request  # noqa: PLC0415 - for this server alone
    from starlette.responses import Response  # noqa: PLC0415 - for this server alone

    async def wait(request: Request) -> Response:
        await request.body()
        await asyncio.Event().wait()
        return Response()

    bench_server.serve_route("/wait", wait)


def resident(each: Server) -> int:
    """Bytes of memory of a server."""
    pages = int(Path(f"/proc/{each.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def ask(url: str, path: str, body: Any, method: str) -> asyncio.StreamWriter:
    """Send a request over a connection of its own, and do not wait for the answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-length: {len(content)}\r\n"
    writer.write(f"{head}content-type: application/json\r\n\r\n".encode() + content)
    await writer.drain()
    return writer


async def measure(each: Server, path: str, body: Any = None, method: str = "POST") -> float:
    """Memory that one request takes, in kB, which is waited for."""
    sizes, connections = [], []
    for _ in range(2):
        for _ in range(POLLS // 50):
            some = (ask(each.url, path, body, method) for _ in range(50))
            connections += await asyncio.gather(*some)
        await settled(each)
        sizes.append(resident(each))
    for connection in connections:
        connection.transport.abort()
    return (sizes[1] - sizes[0]) / POLLS / 1000


async def settled(each: Server) -> None:
    """Return when a server has nothing to do."""
    cpu = -1.0
    while each.cpu - cpu > 0.02:
        cpu = each.cpu
        await asyncio.sleep(1)


async def poll(each: Server) -> float:
    """Memory of a long poll, in kB, for a run that is there."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{each.url}/runs", json=bench_server.BODY) as answer,
    ):
        run = await answer.json()
    return await measure(each, f"/runs/{run['run_id']}/wait", method="GET")


def compare() -> dict[str, float]:
    """By what is waited for: kB of memory."""
    here, many = __file__, str(4 * POLLS)
    found = {}
    with server("bare", program=here) as each:
        found["bare"] = asyncio.run(measure(each, "/wait", bench_server.BODY))
    with server("ours", many, program=here) as each:
        found["poll"] = asyncio.run(poll(each))
    for name, running in (("run", "200"), ("at work", many)):
        with server("ours", running, program=here) as each:
            found[name] = asyncio.run(measure(each, "/runs/wait", bench_server.BODY))
    return found


def show(found: dict[str, float]) -> None:
    """Print what was measured."""
    table = Table("", "kB of one", "beside bare")
    for name, size in found.items():
        table.add_row(name, f"{size:.1f}", f"{size / found['bare']:.2f}")
    Console(width=100).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        kind, *arguments = options.serve
        serve_ours(*arguments) if kind == "ours" else serve_bare()
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * POLLS), hard))  # for servers, too
    show(compare())


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
