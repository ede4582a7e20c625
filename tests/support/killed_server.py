"""A server to be killed: `python -m support.killed_server DATABASE LOG`.

Its first line on standard output is its URL. Every step of its agents notes in the log that it was
begun, in a single write, so that the log tells what was executed even of a process that was killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from support.graphs import Notes, one_node

from acp_langgraph.server import run_server

__all__ = ["STEPS"]

STEPS = ("first", "second", "third", "last")
_LENGTH = 0.005  # seconds that a step takes


def agents(log: str) -> dict[str, Any]:
    """The agents: steps, steps with questions, a death, and one that lasts until it is let go."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def step(name: str, *, asks: bool) -> Any:
        async def take(state: Notes, config: RunnableConfig) -> dict[str, Any]:
            answer = interrupt(name) if asks else None
            os.write(file, f"{config['metadata']['run_id']} {name}\n".encode())
            await asyncio.sleep(_LENGTH)
            return {"notes": [answer if asks else f"{state['text']} {name}"]}

        return take

    def graph(asking: set[str]) -> Any:
        builder = StateGraph(Notes)
        builder.add_sequence([(name, step(name, asks=name in asking)) for name in STEPS])
        builder.add_edge(START, STEPS[0])
        return builder.compile()

    async def kill(state: Notes) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    async def last(state: Notes) -> dict[str, Any]:
        while not Path(f"{log}.open").exists():  # noqa: ASYNC110, ASYNC240 - who opens it is another process
            await asyncio.sleep(_LENGTH)
        return {"notes": [state["text"]]}

    return {
        "steps": graph(set()),
        "asking": graph({"second", "last"}),
        "poison": one_node(Notes, kill),
        "lasting": one_node(Notes, last),
    }


if __name__ == "__main__":
    database, log = sys.argv[1:]
    run_server(agents(log), database=database, on_ready=lambda url: print(url, flush=True))
