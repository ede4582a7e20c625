"""Clients of which a few are hostile, for as long as you like: no run may be lost, and nothing may grow.

    python tests/benchmarks/soak_server.py                          # 200 clients, 10 minutes, 5 % hostile
    python tests/benchmarks/soak_server.py --seconds 60 --clients 50

Every client runs an agent and checks what it says. A hostile request is one of those that once stopped the
server for others. Every second somebody asks for something small: the longest answer is the longest stall.
Ends with 1 if a run was lost or refused, if a stall was longer than `--stall`, or if memory or descriptors grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

PROJECT = Path(__file__).parents[2]


def serve(database: str) -> None:
    sys.path.insert(0, str(PROJECT / "tests"))
    from support.graphs import asking, echo  # noqa: PLC0415 - for the server alone

    from acp_langgraph.server import Limits, run_server  # noqa: PLC0415 - see above

    limits = Limits(kept_seconds=60, head_seconds=5, body_seconds=5, wait_seconds=5)
    agents = {"echo": echo(), "asking": asking("one")}
    run_server(
        agents, database=database, limits=limits, on_ready=lambda url: print(url, flush=True)
    )


class Soak:
    """What happened so far."""

    def __init__(self, url: str, agents: dict[str, str]) -> None:
        self.url = url
        self.agents = agents
        self.done: Counter[str] = Counter()
        self.lost: list[str] = []
        self.stalls: list[float] = []

    async def client(self, session: aiohttp.ClientSession, end: float, hostile: float) -> None:
        while time.monotonic() < end:
            if random.random() < hostile:
                await self._attack(session)
            else:
                await self._run(session)

    async def _run(self, session: aiohttp.ClientSession) -> None:
        text = f"{random.random()}"
        body = {"agent_id": self.agents["echo"], "input": {"text": text}}
        try:
            async with session.post(f"{self.url}/runs/wait", json=body) as answer:
                said = await answer.json()
                if answer.status == 503:
                    self.done["refused"] += 1
                    return
                if answer.status != 200 or said["output"]["values"] != {"text": text.upper()}:
                    self.lost.append(f"{answer.status}: {str(said)[:200]}")
                    return
        except (aiohttp.ClientError, TimeoutError) as error:
            self.lost.append(f"{type(error).__name__}: {error}")
            return
        self.done["runs"] += 1

    async def _attack(self, session: aiohttp.ClientSession) -> None:
        attack = random.choice(ATTACKS)
        self.done[attack.__name__] += 1
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with asyncio.timeout(20):
                await attack(self, session)

    async def watch(self, session: aiohttp.ClientSession, end: float) -> None:
        while time.monotonic() < end:
            begun = time.monotonic()
            async with session.get(f"{self.url}/health") as answer:
                await answer.read()
            self.stalls.append(time.monotonic() - begun)
            await asyncio.sleep(1)

    async def post(self, session: aiohttp.ClientSession, path: str, body: Any) -> Any:
        async with session.post(f"{self.url}{path}", json=body) as answer:
            return await answer.json()


async def half_request(soak: Soak, _: aiohttp.ClientSession) -> None:
    host, port = soak.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /runs HTTP/1.1\r\nhost: localhost\r\n")
    await writer.drain()
    await asyncio.sleep(random.random() * 8)
    writer.close()


async def many_values(soak: Soak, session: aiohttp.ClientSession) -> None:
    body = b'{"input": {"text": [' + b"{}," * 1_000_000 + b"{}]}}"
    headers = {"content-type": "application/json"}
    async with session.post(f"{soak.url}/runs", data=body, headers=headers) as answer:
        await answer.read()


async def much_metadata(soak: Soak, session: aiohttp.ClientSession) -> None:
    await soak.post(session, "/threads", {"metadata": {str(each): each for each in range(20_000)}})


async def many_terms(soak: Soak, session: aiohttp.ClientSession) -> None:
    terms = {str(each): each for each in range(1000)}
    await soak.post(session, "/threads/search", {"values": terms, "limit": 1000})


async def queue_behind_a_question(soak: Soak, session: aiohttp.ClientSession) -> None:
    thread = (await soak.post(session, "/threads", {}))["thread_id"]
    path, asking = f"/threads/{thread}/runs", {"agent_id": soak.agents["asking"], "input": {}}
    await soak.post(session, f"{path}/wait", asking)
    for _ in range(110):
        await soak.post(session, path, {**asking, "multitask_strategy": "enqueue"})
    await soak.post(session, f"{path}/wait", {**asking, "multitask_strategy": "rollback"})
    async with session.delete(f"{soak.url}/threads/{thread}") as answer:
        await answer.read()


async def unread_stream(soak: Soak, session: aiohttp.ClientSession) -> None:
    body = {"agent_id": soak.agents["echo"], "input": {"text": "a" * 300_000}}
    async with session.post(f"{soak.url}/runs/stream", json=body):
        await asyncio.sleep(random.random())


async def webhook_inside(soak: Soak, session: aiohttp.ClientSession) -> None:
    body = {"agent_id": soak.agents["echo"], "input": {"text": "hi"}}
    url = "http://127\u30020\u30020\u30021:1/"
    await soak.post(session, "/runs/wait", {**body, "webhook": url})


ATTACKS = (
    half_request,
    many_values,
    much_metadata,
    many_terms,
    queue_behind_a_question,
    unread_stream,
    webhook_inside,
)


def held(pid: int) -> tuple[float, int]:
    """Megabytes and descriptors of a process, on Linux."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(memory.split()[1]) / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def soak(options: argparse.Namespace, url: str, pid: int) -> int:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async with session.post(f"{url}/agents/search", json={}) as answer:
            found = {
                each["metadata"]["ref"]["name"]: each["agent_id"] for each in await answer.json()
            }
        one = Soak(url, found)
        end = time.monotonic() + options.seconds
        work = [one.client(session, end, options.hostile) for _ in range(options.clients)]
        tasks = [asyncio.create_task(each) for each in (*work, one.watch(session, end))]
        early: tuple[float, int] | None = None
        while time.monotonic() < end:
            await asyncio.sleep(min(30, max(end - time.monotonic(), 0)))
            memory, descriptors = held(pid)
            early = early or (memory, descriptors)
            print(
                f"{one.done['runs']:8} runs, {memory:6.0f} MB, {descriptors} descriptors",
                flush=True,
            )
        await asyncio.gather(*tasks)
    await asyncio.sleep(10)  # what hangs is closed
    memory, descriptors = held(pid)
    stall = max(one.stalls)
    print(json.dumps(one.done, indent=1))
    print(f"lost {len(one.lost)}: {one.lost[:3]}")
    print(f"stalls: median {statistics.median(one.stalls):.3f} s, longest {stall:.3f} s")
    print(f"at the end {memory:.0f} MB and {descriptors} descriptors, early {early}")
    grew = early is not None and memory > early[0] * 1.5 + 50
    lost = bool(one.lost or one.done["refused"])
    return int(lost or stall > options.stall or grew or descriptors > 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--hostile", type=float, default=0.05)
    parser.add_argument("--stall", type=float, default=1.0)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, __file__, "--serve", str(Path(folder, "db"))],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            sys.exit(asyncio.run(soak(options, url, process.pid)))
        finally:
            process.kill()


if __name__ == "__main__":
    main()
