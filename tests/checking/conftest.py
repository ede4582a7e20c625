from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.declaring import declaring_agents

from acp_langgraph.server import RunningServer, serve


@pytest.fixture(scope="session")
def declaring() -> Iterator[RunningServer]:
    """A server whose agents declare what they take, give and ask."""
    with serve(declaring_agents()) as server:
        yield server
