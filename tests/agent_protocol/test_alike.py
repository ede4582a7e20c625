"""What every node has, a `RemoteGraphNode` has as well: drains, users, watchers, a log, one deadline."""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command
from support.colors import Color
from support.events import states
from support.remote_graph import node_for, remembering

from acp_langgraph import HeaderAuth, RunTimeoutError, TokenAuth
from acp_langgraph.testing import Answer, Ask, Fail, FakeLangGraphServer, Fault, Gate, Work

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT: dict[str, Any] = {"ask": {"text": "hi"}}


async def test_a_drained_graph_leaves_the_run_and_the_next_entry_rejoins_it() -> None:
    gate = Gate()
    with FakeLangGraphServer([Work(gate), Answer("done")]) as server:
        graph, control = remembering(server), RunControl()
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD, control=control))
        await asyncio.to_thread(server.requests.wait_for, "wait_run")
        control.request_drain("deploy")
        with pytest.raises(GraphDrained):
            await job
        gate.open()
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert server.created == server.completed == 1
        assert not server.run.cancelled


def test_each_users_token_goes_with_each_request_and_is_renewed_once(color: Color) -> None:
    given: list[str] = []

    def token(config: RunnableConfig) -> str:
        given.append(config["configurable"]["user_id"])
        return f"token-{len(given)}-of-{given[-1]}"

    with FakeLangGraphServer([Ask("?"), Answer("done")]) as server:
        graph = remembering(server, auth=TokenAuth(token, per="user_id"))
        for user in ("ada", "bob"):
            config: RunnableConfig = {"configurable": {"thread_id": user, "user_id": user}}
            color.invoke(graph, INPUT, config)
            server.faults.add(Fault.status(401), on="get_state")
            assert color.invoke(graph, Command(resume="yes"), config)["answer"] == "done"
        assert given == ["ada", "ada", "bob", "bob"]
        shown = [each.headers["authorization"] for each in server.requests]
        assert list(dict.fromkeys(shown)) == [
            f"Bearer token-{n}-of-{user}" for n, user in enumerate(given, 1)
        ]


def test_no_error_holds_what_a_server_repeats_of_a_credential(color: Color) -> None:
    with FakeLangGraphServer([Fail("with the key sesame-open for you")]) as server:
        graph = remembering(server, auth=HeaderAuth(lambda: {"x-api-key": "sesame-open"}))
        with pytest.raises(Exception, match="for you") as caught:
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert "sesame-open" not in str(caught.value)


def test_what_becomes_of_the_run_is_shown_and_logged(
    color: Color, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        FakeLangGraphServer([Ask("?"), Answer({"text": "done"})]) as server,
        caplog.at_level(logging.INFO, "acp_langgraph.runs"),
    ):
        graph = remembering(server)
        seen = color.stream(graph, INPUT, ON_A_THREAD, stream_mode="custom")
        seen += color.stream(graph, Command(resume="yes"), ON_A_THREAD, stream_mode="custom")
        run_id = server.run.run_id
    assert states(seen) == ["created", "waiting", "asked", "resumed", "waiting", "finished"]
    told: Any = caplog.records
    assert [each.event for each in told if each.name == "acp_langgraph.runs"] == [
        *["created", "asked", "rejoined", "resumed", "done"]
    ]
    assert {each.run_id for each in told if each.name == "acp_langgraph.runs"} == {run_id}


@pytest.mark.parametrize("operation", ["start", "get_state"])
def test_one_deadline_holds_whatever_the_server_asks_to_wait(color: Color, operation: str) -> None:
    with FakeLangGraphServer([Answer("done")]) as server:
        busy = Fault.status(503, retry_after=60)
        server.faults.add(busy, on=operation, times=None)
        with pytest.raises(RunTimeoutError, match=r"not done after 0\.3 s"):
            color.invoke(remembering(server, run_timeout=0.3), INPUT, ON_A_THREAD)


def test_a_copy_of_a_node_does_the_same(color: Color) -> None:
    with FakeLangGraphServer([Answer("done")]) as server:
        node = copy.deepcopy(node_for(server, context={"user": "config:user"}))
        config: RunnableConfig = {"configurable": {"user": "ada"}}
        assert color.invoke(node, INPUT, config)["answer"] == "done"
        assert server.requests.matching("start")[0].json["context"] == {"user": "ada"}
