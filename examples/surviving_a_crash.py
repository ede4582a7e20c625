"""A process is killed in the middle of a remote run; another one finishes it. One run, counted.

    python examples/surviving_a_crash.py

The agent runs here. The graph runs in a process of its own, which this one kills with SIGKILL while the
agent is at work, and then starts again. All that the second process knows is in the checkpointer's file.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode
from acp_langgraph.server import serve


class Sum(TypedDict, total=False):
    """The agent's state, and the graph's."""

    numbers: list[int]
    total: int


def run_graph(agents: str, database: str) -> None:
    """What both processes do: go on with what there is, or begin."""
    config: RunnableConfig = {"configurable": {"thread_id": "invoice 7"}}
    node = ACPNode("adder", "adder", agents, "", Sum, "", Sum)
    with SqliteSaver.from_conn_string(database) as saver:
        graph = StateGraph(Sum).add_node(node).add_edge(START, "adder").compile(checkpointer=saver)
        begun = graph.get_state(config).created_at is not None
        print("I go on" if begun else "I begin", flush=True)
        done = graph.invoke(None if begun else {"numbers": [1, 2, 3]}, config)
        print(f"The total is {done['total']}", flush=True)


def main() -> None:
    """Serve the agent, and have the graph's first process killed."""
    at_work, go_on = threading.Event(), threading.Event()

    def add(state: Sum) -> Sum:
        at_work.set()
        go_on.wait()
        return {"total": sum(state["numbers"])}

    agent = StateGraph(Sum).add_node(add).add_edge(START, "add").compile()
    with serve({"adder": agent}) as server, tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "checkpoints.sqlite"))
        command = [sys.executable, __file__, server.url, database]
        with subprocess.Popen(command) as first:
            at_work.wait(timeout=60)
            first.kill()
        print(f"Killed. Remote runs: {server.count_runs()}", flush=True)
        go_on.set()
        subprocess.run(command, check=True)
        print(f"Remote runs: {server.count_runs()}")


if __name__ == "__main__":
    if sys.argv[1:]:
        run_graph(*sys.argv[1:])
    else:
        main()
