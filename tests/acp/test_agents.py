"""Finding a server's agents."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.colors import Color

from acp_langgraph.acp.agents import find_agent, list_agents
from acp_langgraph.errors import (
    ApiConnectionError,
    UnknownAgentError,
    UnprocessableEntityException,
)
from acp_langgraph.testing import FakeACPServer
from acp_langgraph.testing.runs import FakeAgent
from acp_langgraph.transport import AsyncTransport, Transport

SYNC = Color("sync")


def run(color: Any, server: Any, flow: Any) -> Any:
    if color.name == "sync":
        with Transport(server.url) as transport:
            return transport.run(flow)

    async def awaiting() -> Any:
        async with AsyncTransport(server.url) as transport:
            return await transport.run(flow)

    return asyncio.run(awaiting())


def test_all_agents_are_listed_page_by_page(color):
    names = [f"agent{number:03}" for number in range(230)]
    with FakeACPServer(agents=[FakeAgent(name, []) for name in names]) as server:
        listed = run(color, server, list_agents(0))

        assert [each.metadata.ref.name for each in listed] == names
        assert len(server.requests) == 3


def test_a_server_that_knows_no_pages_is_asked_once_more_and_then_believed():
    agents = [FakeAgent(f"a{number}", []) for number in range(120)]
    with FakeACPServer(agents=agents) as server:
        server._page = lambda found, _: found  # whatever limit and offset say
        listed = run(SYNC, server, list_agents(0))

        assert len(listed) == 120
        assert len(server.requests) == 2


def test_an_agent_is_found_by_its_name_or_its_id(color):
    with FakeACPServer(agents=[FakeAgent("one", []), FakeAgent("two", [])]) as server:
        by_name = run(color, server, find_agent("two", 0))
        by_id = run(color, server, find_agent(by_name.agent_id, 0))

    assert by_name == by_id
    assert by_name.name == "two"


@pytest.mark.parametrize("asked", ["tow", "6f2b7f0e-0d4f-5a36-9a2c-6c1f0c3f7d11"])
def test_an_unknown_agent_is_told_with_what_the_server_has(color, asked):
    with (
        FakeACPServer(agents=[FakeAgent("two", [])]) as server,
        pytest.raises(UnknownAgentError, match=rf"{asked}.*; it has 'two'"),
    ):
        run(color, server, find_agent(asked, 0))


def test_a_server_that_lists_nothing_without_a_name_says_so():
    with FakeACPServer.like_agntcy({"two": []}) as server:
        assert run(SYNC, server, find_agent("two", 0)).name == "two"
        with pytest.raises(UnprocessableEntityException):
            run(SYNC, server, list_agents(0))


def test_a_server_that_is_away_is_told(color):
    class Away:
        url = "http://127.0.0.1:9"

    with pytest.raises(ApiConnectionError):
        run(color, Away, find_agent("two", 0))
