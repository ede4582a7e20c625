"""How long `acp-langgraph serve` takes until it answers, beside a bare Starlette route with the same graph.

    python tests/benchmarks/bench_start.py

From the start of the process to the first answer of `GET /health`, or of the route. In turns; both are
compiled to bytecode before, and ours has a database file of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tables import Figures, ratio, show

PROJECT: Final = Path(__file__).parents[2]
GRAPH: Final = """
from typing import TypedDict
from langgraph.graph import START, StateGraph

class Text(TypedDict):
    text: str

builder = StateGraph(Text)
builder.add_node("shout", lambda state: {"text": state["text"].upper()})
builder.add_edge(START, "shout")
graph = builder.compile()
"""
BARE: Final = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from graph import graph

async def run(request):
    return JSONResponse(await graph.ainvoke((await request.json())["input"]))

app = Starlette(routes=[Route("/health", run, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off")
"""
UNTIL: Final = "seconds until it answers"
CPU: Final = "of processor time"
OURS: Final = ("-m", "acp_langgraph", "serve", "graph.py:graph")


def started(*arguments: str, folder: str, port: int) -> tuple[float, float]:
    """Start a server and stop it: seconds until it answers, and of processor time until then."""
    begun, cpu = time.perf_counter(), used()
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            while not answers(port):
                if process.poll() is not None:
                    raise RuntimeError("the server ended")
                time.sleep(0.01)
            took = time.perf_counter() - begun
        finally:
            process.kill()
    return took, used() - cpu


def used() -> float:
    """Seconds of processor time of all servers that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def answers(port: int) -> bool:
    """Whether a server says anything, whatever it is, to a request."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            return connection.recv(1) == b"H"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def measure(rounds: int) -> Figures:
    found: Figures = {name: {UNTIL: [], CPU: []} for name in ("bare", "ours")}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "graph.py").write_text(GRAPH)
        Path(folder, "bare.py").write_text(BARE)
        for number in range(rounds + 1):
            for name in found:
                port = free_port()
                database = str(Path(folder, f"{number}.sqlite"))
                ours = (*OURS, "--port", str(port), "--database", database)
                arguments = ours if name == "ours" else ("bare.py", str(port))
                took, cpu = started(*arguments, folder=folder, port=port)
                if number:  # the first one compiles
                    found[name][UNTIL].append(took)
                    found[name][CPU].append(cpu)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    found = measure(options.rounds)
    show("Start of a server", found, "bare")
    ratios = [ratio(found, what, "ours", "bare") for what in (UNTIL, CPU)]
    print(
        f"ours answers after {ratios[0]:.2f} times as long as the bare route, for {ratios[1]:.2f} of "
        "its processor time"
    )


if __name__ == "__main__":
    main()
