"""An agent made with the A2A project's own SDK, served from a thread; what it does is `support.baking`'s.

The SDK of 0.3 cannot be beside that of 1.0, so its agent (`support.old_a2a_agent`) is served by the Python of
another environment, which `OLD_A2A_PYTHON` names:

    python -m venv .old-a2a && .old-a2a/bin/pip install "a2a-sdk[http-server]<0.4" uvicorn
    OLD_A2A_PYTHON=.old-a2a/bin/python python -m pytest tests/interop/test_a2a_sdk.py
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from a2a.helpers import new_data_part, new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import (
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
    TaskUpdater,
)
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from support.asgi import served
from support.baking import Baking, Release
from support.graphs import Gate

__all__ = ["SPOKEN_BY_SDKS", "Baker", "baker"]

SPOKEN_BY_SDKS = ["JSONRPC 1.0", "HTTP+JSON 1.0", "JSONRPC 0.3", "SDK 0.3"]
OLD_AGENT = Path(__file__).parent / "old_a2a_agent.py"


def _value(part: Any) -> Any:
    shown = MessageToDict(part)
    return shown.get("text", shown.get("data", shown))


RELEASE = Release(
    updater=TaskUpdater,
    new_task=new_task_from_user_message,
    new_message=new_text_message,
    text=new_text_part,
    data=new_data_part,
    value=_value,
)


class Baker(Baking, AgentExecutor):
    """The agent.

    Attributes:
        url: Where it is.
        is_old: Whether it speaks 0.3.
        gate: Holds those whose word is `hold`.
        ended: Counts the cancelled ones.
    """

    def __init__(self) -> None:
        self.url = ""
        self.is_old = False
        self.gate = Gate()
        self.ended = threading.Semaphore(0)
        super().__init__(RELEASE, self.gate.wait, self.ended.release)

    def said(self, value: Any) -> Any:
        """A value as the agent says it."""
        return value


class OldBaker:
    """The agent that is made with the SDK of 0.3; what a `Baker` tells, it is asked for."""

    is_old = True

    def __init__(self, url: str) -> None:
        self.url = url
        self._url = url
        self.gate = SimpleNamespace(
            entered=SimpleNamespace(acquire=lambda: self._told("/when/held")), open=lambda: None
        )
        self.ended = SimpleNamespace(acquire=lambda: self._told("/when/canceled"))

    def __getattr__(self, name: str) -> Any:
        if name not in {"executed", "inputs", "answers", "canceled"}:
            raise AttributeError(name)
        return self._told("/told")[name]

    def said(self, value: Any) -> Any:
        """A value as the agent says it: only objects are data there."""
        return {"value": value} if isinstance(value, list) else value

    def _told(self, path: str) -> Any:
        return httpx.get(f"{self._url}{path}", timeout=60).raise_for_status().json()


@contextmanager
def old_baker() -> Iterator[Any]:
    """The agent that is made with the SDK of 0.3, in a process of its own."""
    python = os.environ.get("OLD_A2A_PYTHON")
    if python is None:
        pytest.skip(
            'needs OLD_A2A_PYTHON, a Python that has "a2a-sdk[http-server]<0.4" and uvicorn'
        )
    with subprocess.Popen([python, str(OLD_AGENT)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield OldBaker(json.loads(process.stdout.readline()))
        finally:
            process.kill()


@contextmanager
def baker(binding: str = "JSONRPC", version: str = "1.0") -> Iterator[Any]:
    """The agent, served over one binding.

    Args:
        binding: Which the card offers; `SDK` for the one that is made with the SDK of 0.3.
        version: Of the protocol; `0.3` is spoken by the SDK's compatibility mode.
    """
    if binding == "SDK":
        with old_baker() as old:
            yield old
        return
    agent = Baker()
    agent.is_old = version == "0.3"
    interface = AgentInterface(
        url=f"http://localhost/{'rest' if binding == 'HTTP+JSON' else 'rpc'}",
        protocol_binding=binding,
        protocol_version=version,
    )
    skill = AgentSkill(id="bake", name="Baking", description="Bakes pies.", tags=["pie"])
    card = AgentCard(
        name="baker",
        description="Bakes pies.",
        version="1.2.3",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["text/plain", "application/json"],
        skills=[skill],
    )
    handler = DefaultRequestHandler(
        agent_executor=agent,
        task_store=InMemoryTaskStore(),
        agent_card=card,
        push_config_store=InMemoryPushNotificationConfigStore(),
    )
    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=agent.is_old),
        *create_rest_routes(handler, path_prefix="/rest"),
    ]
    with served(Starlette(routes=routes)) as client:
        agent.url = str(client.base_url).rstrip("/")
        try:
            yield agent
        finally:
            agent.gate.open()
