"""A web app whose graphs wait for a remote agent, while nothing of the app is there.

    pip install fastapi && python examples/suspended_waits.py

The graph is suspended while the agent works: no process waits, and no connection is open. Here the app is
even stopped meanwhile. The agent's server calls the webhook that it was given with the run, again and again
until the app is there to take it; then the graph goes on.

Should a webhook be lost for good, `acp-langgraph wake` finds the thread, or a task of the app's own does:
`Sweeper(graph).arun()`. `WakeApp` is an ASGI app, to be mounted into any other.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import httpx
import uvicorn
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode, WakeApp, WakeURL, split_interrupts
from acp_langgraph.core.webhooks import new_secret
from acp_langgraph.server import WebhookPolicy, serve

try:
    from fastapi import FastAPI
except ImportError:
    raise SystemExit(f"There is no fastapi; see the top of {__file__}") from None

SECRET = new_secret()  # in earnest one of the environment's, ACP_LANGGRAPH_WAKE_SECRET
THREAD: Any = {"configurable": {"thread_id": "order 7"}}


class Page(TypedDict, total=False):
    """The state of the graph, and of the agent."""

    title: str
    text: str


@contextmanager
def running_app(graph: Any, address: tuple[str, int]) -> Iterator[None]:
    """The app, for as long as the block lasts."""
    app = FastAPI()
    app.mount("/wake", WakeApp(graph, secret=SECRET))
    server = uvicorn.Server(uvicorn.Config(app, *address, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def main() -> None:
    """Suspend a graph, stop the app, let the agent finish, and start the app again."""
    told, finished = threading.Event(), threading.Event()

    def write(state: Page) -> Page:
        told.wait()
        return {"text": f"All about {state['title']}."}

    def publish(state: Page) -> Page:
        print(f"published: {state['text']}")
        finished.set()
        return {}

    agent = StateGraph(Page).add_node(write).add_edge(START, "write").compile()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    with (
        tempfile.TemporaryDirectory() as folder,
        SqliteSaver.from_conn_string(f"{folder}/app.sqlite") as saver,
        serve({"writer": agent}, webhooks=WebhookPolicy(allow=["*"], first_pause=0.2)) as server,
    ):
        wake_url = WakeURL("http://{}:{}/wake".format(*address), SECRET)
        node = ACPNode("writer", "writer", server.url, wait="suspend", wake_url=wake_url)
        builder = StateGraph(Page).add_node(node).add_node(publish)
        builder.add_edge(START, "writer").add_edge("writer", "publish")
        graph = builder.compile(checkpointer=saver)
        with running_app(graph, address):
            questions, waits = split_interrupts(graph.invoke({"title": "whales"}, THREAD))
            print(f"asked {len(questions)} questions, and waits for {len(waits)} run")
            print(f"what a person would be shown: {waits[0].value['message']}")
        print("the app is stopped; now the agent finishes")
        told.set()
        while (
            httpx.get(f"{server.url}/runs/{waits[0].value['run_id']}").json()["status"] != "success"
        ):
            pass
        with running_app(graph, address):
            finished.wait(timeout=60)
        print(f"remote runs: {server.count_runs()}")


if __name__ == "__main__":
    main()
