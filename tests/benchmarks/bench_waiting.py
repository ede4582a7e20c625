"""What a run that is waited for costs: memory, and the start of one more beside many.

    python tests/benchmarks/bench_waiting.py [--runs 2000] [--minute]

So many graphs wait at once in one process, each for a run of its own on one server, which answers none
before all are there. Every contender does it in a fresh process. Memory is what the process takes
more than before the first, by the operating system's account; a start is processor time, as a median
over the first and the last tenth.

With `--minute`, what waiting costs is counted as well, over the second minute in which all of them wait:
requests and new connections at the server, and processor time here. A run that waits is one open request, which
is given up now and then for a look at the run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from contenders import AIOHTTP, OURS, STATE, Stub, awaiting_nodes, graph, stub
from langgraph.checkpoint.memory import InMemorySaver
from tables import Figures, show

MEMORY: Final = "kB a waiting run"
FIRST: Final = "a start, first tenth, ms"
LAST: Final = "a start, last tenth, ms"
GROWTH: Final = "last start to first"
SAVED: Final = " (with a saver)"
OPEN: Final = "connections for all"
REQUESTS: Final = "requests a minute for all"
CONNECTIONS: Final = "new connections a minute"
PROCESSOR: Final = "processor of waiting, %"
CONTENDERS: Final = (AIOHTTP, OURS)
AT_A_TIME: Final = 20
_MINUTE: Final = 60.0  # seconds


async def wait(url: str, name: str, runs: int, *, saves: bool, minute: bool) -> dict[str, float]:
    """Have so many graphs wait, measure, and have them end."""
    server = Stub(url)
    async with awaiting_nodes(f"{url}/hold") as nodes:
        compiled = graph(nodes[name], InMemorySaver() if saves else None)
        waiting: list[asyncio.Task[object]] = []

        async def start(number: int) -> None:
            config = {"configurable": {"thread_id": str(number)}}
            waiting.append(asyncio.create_task(compiled.ainvoke(STATE, config)))

        async def arrived() -> None:
            while await asyncio.to_thread(server.held) < len(waiting):  # noqa: ASYNC110 - see below
                await asyncio.sleep(0.005)  # the server is another process: nothing here tells

        for number in range(AT_A_TIME):  # what is made once is not a run's
            await start(number)
        await arrived()
        gc.collect()
        before, starts = _resident(), []
        for number in range(AT_A_TIME, runs + AT_A_TIME, AT_A_TIME):
            gc.disable()  # when it collects is chance
            started = time.process_time()
            for each in range(AT_A_TIME):
                await start(number + each)
            await arrived()
            starts.append((time.process_time() - started) * 1000 / AT_A_TIME)
            gc.enable()
        gc.collect()
        found = {MEMORY: (_resident() - before) / runs}
        found[OPEN] = server.counts()["connections"] - 1  # but the one that asks
        if minute:
            found |= await _of_a_minute(server)
        server.release()
        await asyncio.gather(*waiting)
    tenth = max(1, len(starts) // 10)
    first, last = statistics.median(starts[:tenth]), statistics.median(starts[-tenth:])
    return {**found, FIRST: first, LAST: last, GROWTH: last / first}


async def _of_a_minute(server: Stub) -> dict[str, float]:
    """What it takes to wait, once all are used to it."""
    await asyncio.sleep(_MINUTE)
    before, started = server.counts(), time.process_time()
    await asyncio.sleep(_MINUTE)
    used, now = time.process_time() - started, server.counts()
    return {
        REQUESTS: now["requests"] - before["requests"],
        CONNECTIONS: now["connections"] - before["connections"],
        PROCESSOR: used / _MINUTE * 100,
    }


def _resident() -> float:
    """Kilobytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def measure(runs: int, rounds: int, *, minute: bool = False) -> Figures:
    """All contenders, with and without a saver, in processes of their own."""
    found: Figures = {}
    for _ in range(rounds):
        for saves in (False, True):
            for name in CONTENDERS:
                with stub() as server:
                    job = json.dumps([server.url, name, runs, saves, minute])
                    done = subprocess.run(
                        [sys.executable, __file__, "--job", job],
                        stdout=subprocess.PIPE,
                        text=True,
                        check=True,
                    )
                for what, value in json.loads(done.stdout).items():
                    row = found.setdefault(name, {})
                    row.setdefault(what + (SAVED if saves else ""), []).append(value)
    return found


def main() -> None:
    """Measure and print, or do one job of the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minute", action="store_true", help="count what waiting takes, too")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        url, name, runs, saves, minute = json.loads(options.job)
        print(json.dumps(asyncio.run(wait(url, name, runs, saves=saves, minute=minute))))
        return
    title = f"{options.runs} runs waiting at once"
    show(title, measure(options.runs, options.rounds, minute=options.minute), OURS)


if __name__ == "__main__":
    main()
