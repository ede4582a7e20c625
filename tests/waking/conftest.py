"""Agents to wait for, and no event loop that is blocked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from support.waking import Agents, serving


@pytest.fixture(scope="module", autouse=True)
def unblocked() -> Iterator[None]:
    others = ["acp_langgraph.server", "acp_langgraph.testing"]
    with blockbuster_ctx("acp_langgraph", excluded_modules=others):
        yield


@pytest.fixture(scope="module")
def served_agents() -> Iterator[Agents]:
    with serving() as agents:
        yield agents


@pytest.fixture
def agents(served_agents: Agents) -> Agents:
    return served_agents
