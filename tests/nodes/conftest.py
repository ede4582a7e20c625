"""A server with small agents, one per test process; and no event loop is blocked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from support.agents import asking, echo, failing, shouting

from acp_langgraph.server import RunningServer, serve


@pytest.fixture(scope="module", autouse=True)
def unblocked() -> Iterator[None]:
    """Whatever a node does on an event loop, it does not block it: `langgraph dev` refuses that."""
    others = ["acp_langgraph.server", "acp_langgraph.testing"]
    with blockbuster_ctx("acp_langgraph", excluded_modules=others):
        yield


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RunningServer]:
    agents = {
        "echo": echo(),
        "shout": shouting(),
        "fail": failing(),
        "ask": asking("color?"),
        "ask_twice": asking("color?", "food?"),
    }
    with serve(agents) as server:
        yield server


@pytest.fixture
def server(shared_server: RunningServer) -> Watched:
    return Watched(shared_server)


class Watched:
    """The server, as seen from the beginning of one test."""

    def __init__(self, server: RunningServer) -> None:
        self.url = server.url
        self.agent_ids = server.agent_ids
        self._server = server
        self._before = len(server.requests)

    @property
    def requests(self) -> list[Any]:
        return self._server.requests[self._before :]

    def created(self) -> int:
        """How many runs were created."""
        creating = {"/runs", "/runs/wait", "/runs/stream"}
        return sum(
            request.method == "POST"
            and (request.path in creating or request.path.endswith(("/runs", "/runs/wait")))
            for request in self.requests
        )

    def connections(self) -> int:
        """How many connections were used."""
        return len({request.client for request in self.requests})
