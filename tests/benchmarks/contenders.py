"""What is compared: graphs of one node that differ in what the node does.

(a) a local node without HTTP, (b) a node that posts with one pooled httpx client, (c) one that posts with
one raw aiohttp session, (d) one that uses AGNTCY's own client as their SDK's node does, where
`agntcy-acp` is installed, and ours.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypedDict

import aiohttp
import httpx
from langgraph.graph import START, StateGraph

from acp_langgraph import ACPNode

try:
    import agntcy_acp
    from agntcy_acp.acp_v0.models import RunCreateStateless
except ImportError:
    agntcy_acp = None

AGENT: Final = "3f2c9a7e-0000-4000-8000-0000000000aa"
STATE: Final = {"ask": {"text": "hi"}}
BODY: Final = {"agent_id": AGENT, "input": {"text": "hi"}, "config": {}}

LOCAL: Final = "(a) local node"
HTTPX: Final = "(b) httpx"
AIOHTTP: Final = "(c) aiohttp"
AGNTCY: Final = "(d) agntcy-acp"
OURS: Final = "ours"


class State(TypedDict, total=False):
    """The state of every graph."""

    ask: dict[str, Any]
    answer: Any


class Stub:
    """The instant server, in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url)

    def counts(self) -> dict[str, int]:
        """How many `connections` and `requests` there were, and how many are `held`."""
        counts: dict[str, int] = self._client.get("/counts").json()
        return counts

    def held(self) -> int:
        """How many runs are waited for."""
        return self.counts()["held"]

    def release(self) -> None:
        """Answer what is held."""
        self._client.post("/release")


@contextmanager
def stub() -> Iterator[Stub]:
    """Start the instant server, and end it."""
    command = [sys.executable, str(Path(__file__).with_name("stub.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield Stub(process.stdout.readline().strip())
        finally:
            process.kill()


def graph(node: Any, saver: Any = None) -> Any:
    """A graph of one node."""
    builder = StateGraph(State)
    builder.add_node("remote", node)
    builder.add_edge(START, "remote")
    return builder.compile(checkpointer=saver)


@asynccontextmanager
async def awaiting_nodes(url: str) -> AsyncIterator[dict[str, Any]]:
    """The nodes that await, by name."""

    async def local(_: State) -> State:
        return {"answer": {"text": "hi"}}

    async def with_httpx(_: State) -> State:
        return {"answer": (await client.post(f"{url}/runs/wait", json=BODY)).json()}

    async def with_aiohttp(_: State) -> State:
        async with session.post(f"{url}/runs/wait", json=BODY) as response:
            return {"answer": await response.json()}

    async def with_agntcy(_: State) -> State:
        configuration = agntcy_acp.ApiClientConfiguration(host=url)
        async with agntcy_acp.AsyncApiClient(configuration) as api:
            run = RunCreateStateless(agent_id=AGENT, input={"text": "hi"}, config={})
            answer = await agntcy_acp.AsyncACPClient(api).create_and_wait_for_stateless_run_output(
                run
            )
            return {"answer": answer.output.actual_instance.values}

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        ours = ACPNode("remote", AGENT, url, "ask", None, "answer", None)
        stack.push_async_callback(ours.aclose)
        nodes = {LOCAL: local, HTTPX: with_httpx, AIOHTTP: with_aiohttp}
        nodes |= {AGNTCY: with_agntcy} if agntcy_acp else {}
        yield {**nodes, OURS: ours}


@contextmanager
def blocking_nodes(url: str) -> Iterator[dict[str, Any]]:
    """The nodes that block, by name."""

    def local(_: State) -> State:
        return {"answer": {"text": "hi"}}

    def with_httpx(_: State) -> State:
        return {"answer": client.post(f"{url}/runs/wait", json=BODY).json()}

    def with_agntcy(_: State) -> State:
        configuration = agntcy_acp.ApiClientConfiguration(host=url)
        with agntcy_acp.ApiClient(configuration) as api:
            run = RunCreateStateless(agent_id=AGENT, input={"text": "hi"}, config={})
            answer = agntcy_acp.ACPClient(api).create_and_wait_for_stateless_run_output(run)
            return {"answer": answer.output.actual_instance.values}

    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client())
        ours = ACPNode("remote", AGENT, url, "ask", None, "answer", None)
        stack.callback(ours.close)
        nodes: dict[str, Any] = {LOCAL: local, HTTPX: with_httpx}
        nodes |= {AGNTCY: with_agntcy} if agntcy_acp else {}
        yield {**nodes, OURS: ours}
