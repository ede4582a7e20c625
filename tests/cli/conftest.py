from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.declaring import declaring_agents
from typer.testing import CliRunner, Result

from acp_langgraph.cli import app
from acp_langgraph.server import RunningServer, serve

KEY = "made up"


@pytest.fixture(scope="session")
def declaring() -> Iterator[RunningServer]:
    """A server whose agents declare what they take, give and ask; it demands a key."""
    with serve(declaring_agents(), api_key=KEY) as server:
        yield server


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command as in a terminal of 80 columns, or a pipe; it has the key unless told."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ACP_LANGGRAPH_API_KEY", KEY)
    monkeypatch.delenv("ACP_LANGGRAPH_TOKEN", raising=False)

    def run(*arguments: str, key: str | None = KEY) -> Result:
        if key is None:
            monkeypatch.delenv("ACP_LANGGRAPH_API_KEY")
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False, prog_name="acp")

    return run


@pytest.fixture
def closed_port() -> Any:
    return "http://127.0.0.1:9"
