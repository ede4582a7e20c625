"""What the nodes for LangGraph's servers and for A2A agents cost, beside what they could be instead.

    python tests/benchmarks/bench_protocols.py [--rounds 5]

A `RemoteGraphNode` beside LangGraph's own `RemoteGraph`, and an `A2ANode` beside a node of a few lines around
the client of the A2A project's SDK (where that is installed), against one server that answers at once.
Awaiting, interleaved in one run; medians, with the spread over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import httpx
from bench_nodes import (
    AT_50,
    ONE,
    REQUESTS,
    REQUESTS_SAVED,
    SAVED,
    at_once,
    counted,
    each_after_another,
    fifty_at_once,
    in_turns,
    note,
)
from contenders import State, Stub, graph, stub
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.pregel.remote import RemoteGraph
from tables import Figures, show

from acp_langgraph import A2ANode, RemoteGraphNode

try:
    from a2a.client import ClientConfig, ClientFactory
    from a2a.types import AgentCard, SendMessageRequest
    from google.protobuf.json_format import MessageToDict, ParseDict
except ImportError:
    ClientFactory = None

REMOTE_GRAPH: Final = "RemoteGraph"
GRAPH_NODE: Final = "RemoteGraphNode"
A2A_SDK: Final = "a2a-sdk"
A2A_NODE: Final = "A2ANode"
PAIRS: Final = ((GRAPH_NODE, REMOTE_GRAPH), (A2A_NODE, A2A_SDK))
TITLE: Final = "LangGraph's servers, and A2A agents; awaiting"


@asynccontextmanager
async def nodes_of(url: str) -> AsyncIterator[dict[str, Any]]:
    """The nodes, by name."""
    card = {
        "name": "agent",
        "description": "Answers.",
        "version": "1",
        "capabilities": {},
        "supportedInterfaces": [
            {"url": f"{url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        ],
        "skills": [],
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
    }
    paths: dict[str, Any] = {"input_path": "ask", "output_path": "answer"}
    async with AsyncExitStack() as stack:
        nodes: dict[str, Any] = {REMOTE_GRAPH: RemoteGraph("agent", url=url, name="remote")}
        ours = RemoteGraphNode("remote", "agent", url, **paths)
        stack.push_async_callback(ours.aclose)
        nodes[GRAPH_NODE] = ours
        if ClientFactory is not None:
            http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
            config = ClientConfig(streaming=False, httpx_client=http)
            client = ClientFactory(config).create(ParseDict(card, AgentCard()))

            async def with_sdk(state: State) -> State:
                parts = [{"data": state["ask"]}]
                message = {"messageId": "1", "role": "ROLE_USER", "parts": parts}
                request = ParseDict({"message": message}, SendMessageRequest())
                async for event in client.send_message(request):
                    part = event.task.artifacts[0].parts[0]
                    return {"answer": MessageToDict(part.data)}
                raise RuntimeError("no answer")

            nodes[A2A_SDK] = with_sdk
        agent = A2ANode("remote", url, card=card, **paths)
        stack.push_async_callback(agent.aclose)
        yield {**nodes, A2A_NODE: agent}


async def _measured(server: Stub, rounds: int) -> Figures:
    found: Figures = {}
    async with nodes_of(server.url) as nodes:
        graphs = {name: graph(node) for name, node in nodes.items()}
        for name, compiled in graphs.items():  # counted once: these do not vary
            saving = graph(nodes[name], InMemorySaver())
            await at_once(saving, 3, 1)  # what is found out of a server is found out
            row = found[name] = {}
            row[REQUESTS] = [await counted(server, compiled, "requests", 20, 1) / 20]
            row[REQUESTS_SAVED] = [await counted(server, saving, "requests", 20, 1) / 20]
        for _ in range(rounds):
            saving = {name: graph(node, InMemorySaver()) for name, node in nodes.items()}
            note(found, ONE, await in_turns(graphs, each_after_another))
            note(found, SAVED, await in_turns(saving, each_after_another))
            note(found, AT_50, await in_turns(graphs, fifty_at_once, 1))
    return found


def measure(rounds: int) -> Figures:
    """All of them."""
    with stub() as server:
        return asyncio.run(_measured(server, rounds))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    show(TITLE, measure(parser.parse_args().rounds), GRAPH_NODE)


if __name__ == "__main__":
    main()
