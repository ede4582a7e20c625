"""Clients that wait for runs: as long as it takes, unless they are told otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from support.colors import Color

from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import ApiTimeoutError
from acp_langgraph.testing import Answer, FakeACPServer, Fault, Gate, Work

LONGER = 0.6  # seconds that a run takes, which is more than a request may
WAITS = ["create_and_wait_for_stateless_run_output", "create_and_wait_for_thread_run_output"]
REJOINS = ["wait_for_stateless_run_output", "wait_for_thread_run_output"]


def call(
    color: Color,
    server: Any,
    name: str,
    *,
    raw: bool = False,
    configured: float = LONGER / 3,
    **options: Any,
) -> Any:
    """Start a run, if the operation does not, and wait for it by the operation."""
    configuration = ApiClientConfiguration(server.url, timeout=configured, retries=0)
    body = {"agent_id": server.agent_id, "input": {}}
    on_a_thread = "thread" in name
    if color.name == "sync":
        with ACPClient(configuration) as client:
            arguments = [client.create_thread().thread_id] if on_a_thread else []
            if name in REJOINS:
                create = client.create_thread_run if on_a_thread else client.create_stateless_run
                arguments.append(create(*arguments, body).run_id)
            else:
                arguments.append(body)
            return getattr(client.with_raw_response if raw else client, name)(*arguments, **options)

    async def waiting() -> Any:
        async with AsyncACPClient(configuration) as client:
            arguments = [(await client.create_thread()).thread_id] if on_a_thread else []
            if name in REJOINS:
                create = client.create_thread_run if on_a_thread else client.create_stateless_run
                arguments.append((await create(*arguments, body)).run_id)
            else:
                arguments.append(body)
            operation = getattr(client.with_raw_response if raw else client, name)
            return await operation(*arguments, **options)

    return asyncio.run(waiting())


@pytest.mark.parametrize("raw", [False, True], ids=["plain", "raw"])
@pytest.mark.parametrize("name", WAITS + REJOINS)
def test_waiting_for_a_run_takes_as_long_as_the_run(color: Color, name: str, raw: bool) -> None:
    with FakeACPServer([Work(LONGER), Answer("done")]) as server:
        answer = call(color, server, name, raw=raw)
        assert (answer.data if raw else answer).output.values == "done"
        assert server.created == 1


@pytest.mark.parametrize("name", WAITS + REJOINS)
def test_a_time_out_of_a_wait_names_the_setting_and_says_that_the_run_may_go_on(
    color: Color, name: str
) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")], honor_disconnect=False) as server:
        with pytest.raises(ApiTimeoutError, match=r"timeout.*run may go on") as caught:
            call(color, server, name, configured=30.0, timeout=0.2)
        assert caught.value.sent
        assert server.created == server.running == 1
        gate.open()


def test_a_time_out_of_any_other_call_names_the_setting_and_speaks_of_no_run(color: Color) -> None:
    gate = Gate()
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.hold(gate), on="search_agents")
        with pytest.raises(ApiTimeoutError, match="timeout") as caught:
            call(color, server, "search_agents")
        gate.open()
    assert "go on" not in str(caught.value)


def search_by_ones_own(color: Color, server: FakeACPServer) -> None:
    """Search with a client that has a time-out of its own."""
    configuration = ApiClientConfiguration(server.url, retries=0)
    if color.name == "sync":
        with httpx.Client(timeout=0.2) as own:
            ACPClient(configuration, client=own).search_agents({})
        return

    async def search() -> None:
        async with httpx.AsyncClient(timeout=0.2) as own:
            await AsyncACPClient(configuration, client=own).search_agents({})

    asyncio.run(search())


def test_a_time_out_of_a_client_of_ones_own_is_not_said_to_be_the_configurations(
    color: Color,
) -> None:
    gate = Gate()
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.hold(gate), times=None)
        try:
            with pytest.raises(ApiTimeoutError, match="client") as caught:
                search_by_ones_own(color, server)
        finally:
            gate.open()
        assert "configuration" not in str(caught.value)
