"""A remote agent watched through FastAPI; a client that goes away takes its remote run with it, or leaves it.

    pip install fastapi
    python examples/fastapi_app.py

The application has one node for all requests. `/told/...` cancels the remote run when its client has gone,
which is the default; `/kept/...` lets it go on, for whoever enters the thread again.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import httpx
import uvicorn
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode
from acp_langgraph.server import RunningServer, serve

try:
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse
except ImportError as error:
    raise SystemExit(f"There is no {error.name}; see the top of {__file__}") from None


class Book(TypedDict, total=False):
    """The agent's state, and the graph's."""

    title: str
    pages: int


PRINTING = threading.Event()


def write(state: Book) -> Book:
    """Say what the agent is at, and be at it until somebody prints."""
    get_stream_writer()({"writing": state["title"]})
    PRINTING.wait(60)
    return {"pages": len(state["title"])}


def make_app(agents: str) -> FastAPI:
    """The application: everything that lasts is made here, once."""
    app = FastAPI()
    graphs: dict[str, Any] = {}
    for place, on_cancel in (("told", "cancel"), ("kept", "detach")):
        options: dict[str, Any] = {"on_cancel": on_cancel}
        node = ACPNode("writer", "writer", agents, **options)
        builder = StateGraph(Book).add_node(node).add_edge(START, "writer")
        graphs[place] = builder.compile(checkpointer=InMemorySaver())

    @app.get("/{place}/{title}")
    async def watch(place: str, title: str) -> StreamingResponse:
        graph = graphs[place]
        config: RunnableConfig = {"configurable": {"thread_id": title}}
        begun = (await graph.aget_state(config)).created_at is not None
        given = None if begun else {"title": title}

        async def events() -> AsyncIterator[str]:
            async for mode, seen in graph.astream(given, config, stream_mode=["custom", "values"]):
                if mode == "values" or seen["kind"] == "custom":
                    yield f"data: {json.dumps(seen if mode == 'values' else seen['payload'])}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


@contextmanager
def running(app: FastAPI) -> Iterator[httpx.Client]:
    """The application in a thread, and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with httpx.Client(base_url=url, timeout=60) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def read(client: httpx.Client, path: str, until: str) -> None:
    """Watch until something is told, and go away then."""
    with client.stream("GET", path) as answer:
        for line in answer.iter_lines():
            if line:
                print(f"{path}: {line}")
            if until in line:
                return


def settled(server: RunningServer, **counts: int) -> None:
    """Wait until the agent's server has so many runs of each status."""
    until = time.monotonic() + 30
    while not counts.items() <= server.count_runs().items():
        if time.monotonic() > until:
            raise SystemExit(f"there are {server.count_runs()}, not {counts}")
        time.sleep(0.02)
    print(f"remote runs: {server.count_runs()}")


def main() -> None:
    """Watch two runs, leave both, and come back to one."""
    agent = StateGraph(Book).add_node(write).add_edge(START, "write").compile()
    with serve({"writer": agent}) as server, running(make_app(server.url)) as client:
        read(client, "/told/Whales", until="writing")
        settled(server, error=1)  # ACP has no status of its own for a run that was cancelled
        read(client, "/kept/Winds", until="writing")
        settled(server, error=1, pending=1)
        PRINTING.set()
        read(client, "/kept/Winds", until="pages")
        settled(server, error=1, success=1)


if __name__ == "__main__":
    main()
