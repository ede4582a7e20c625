"""A graph on several workers over PostgreSQL: one is killed, another finishes.

    pip install langgraph-checkpoint-postgres "psycopg[binary]"
    POSTGRES_URI=postgresql://me:secret@localhost/mine python examples/postgres_workers.py

The graph is the same as on one machine. Whatever hands out its threads, a queue or a table, may hand
one out twice: who comes second waits until the first is done or dead, and goes on from there.

What sees to that is `thread_lock`. LangGraph itself has no lock: two workers on one thread would start
two remote runs. It is taken on the very connection that the checkpointer writes to. Who dies loses both;
and who loses the connection can store no checkpoint, without which a node starts nothing. So a worker
has a connection of its own, and no pooler that shares them (PgBouncer's transaction mode) in between.

With an AsyncPostgresSaver it is `async with thread_lock(...)`. That a process died is noticed at once;
how soon it is of a machine that vanished, PostgreSQL's settings `tcp_keepalives_*` say.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode, thread_lock
from acp_langgraph.server import serve

try:
    from langgraph.checkpoint.postgres import PostgresSaver
except ImportError as error:
    raise SystemExit(f"There is no {error.name}; see the top of {__file__}") from None


class Page(TypedDict, total=False):
    """The state of the graph, and of the agent."""

    title: str
    text: str


def work(uri: str, agents: str, thread: str, page: Page) -> None:
    """What a worker does with a thread that it is handed, be it the first to have it or not."""
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    with PostgresSaver.from_conn_string(uri) as saver, thread_lock(saver, thread):
        graph = build(agents).compile(checkpointer=saver)
        begun = graph.get_state(config).created_at is not None
        done = graph.invoke(None if begun else page, config)
        print(f"{'continued' if begun else 'begun'} and finished: {done['text']}", flush=True)


def build(agents: str) -> StateGraph[Any, Any, Any, Any]:
    """The graph; all of its work is done elsewhere."""
    node = ACPNode("writer", "writer", agents, "", Page, "", Page, state_type=Page)
    return StateGraph(Page).add_node(node).add_edge(START, "writer")


def main(uri: str) -> None:
    """Kill a worker while the agent is at work for it, and have two others take over."""
    at_work, killed = threading.Event(), threading.Event()

    def write(state: Page) -> Page:
        at_work.set()
        killed.wait()
        return {"text": f"All about {state['title']}."}

    agent = StateGraph(Page).add_node(write).add_edge(START, "write").compile()
    with PostgresSaver.from_conn_string(uri) as saver:
        saver.setup()  # the tables, once, before there are workers
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["acp_langgraph.server", "acp_langgraph.nodes.acp"])
    with serve({"writer": agent}) as server:
        job = (uri, server.url, f"page {os.getpid()}", {"title": "whales"})
        first, *others = [processes.Process(target=work, args=job) for _ in range(3)]
        first.start()
        at_work.wait(timeout=60)
        first.kill()
        print("a worker was killed while the agent was at work for it")
        killed.set()
        for other in others:
            other.start()
        for worker in (first, *others):
            worker.join()
        print(f"remote runs: {server.count_runs()}")


if __name__ == "__main__":
    if os.environ.get("POSTGRES_URI"):
        main(os.environ["POSTGRES_URI"])
    else:
        print("This example needs a PostgreSQL. Say where one is that it may write to:")
        print("POSTGRES_URI=postgresql://... python examples/postgres_workers.py")
