from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from acp_langgraph.server import RunningServer, serve


class Client(httpx.Client):
    """A client of one server, which knows the agents' ids."""

    def __init__(self, server: RunningServer, **options: Any) -> None:
        super().__init__(base_url=server.url, timeout=30, **options)
        self.server = server

    def create(self, agent: str, /, path: str = "/runs", **body: Any) -> dict[str, Any]:
        sent = {"agent_id": self.server.agent_ids[agent], **body}
        return self.post(path, json=sent).raise_for_status().json()

    def outcome(self, agent: str, /, path: str = "/runs", **body: Any) -> dict[str, Any]:
        return self.create(agent, f"{path}/wait", **body)

    def resume(self, run: dict[str, Any], answer: Any, path: str = "/runs") -> dict[str, Any]:
        sent = self.post(f"{path}/{run['run_id']}", content=json.dumps(answer))
        return sent.raise_for_status().json()

    def wait(self, run: dict[str, Any], path: str = "/runs") -> dict[str, Any]:
        return self.get(f"{path}/{run['run_id']}/wait").raise_for_status().json()

    def thread(self, **body: Any) -> str:
        return self.post("/threads", json=body).raise_for_status().json()["thread_id"]


@pytest.fixture
def serving() -> Iterator[Callable[..., Client]]:
    """Serves agents for the length of a test."""
    with ExitStack() as stack:

        def start(agents: Any, *, headers: dict[str, str] | None = None, **settings: Any) -> Client:
            server = stack.enter_context(serve(agents, **settings))
            return stack.enter_context(Client(server, headers=headers))

        yield start
