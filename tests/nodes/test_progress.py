"""What becomes of remote runs, for whoever watches the graph."""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color
from support.events import states

from acp_langgraph import ACPNode, APIBridgeAgentNode, QuantToolNode
from acp_langgraph.core.flow import Progress
from acp_langgraph.errors import ACPRunException
from acp_langgraph.nodes.reporting import ProgressTeller
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, FakeBridge, Gate, Work
from acp_langgraph.testing.quant import FakeQuant, FakeTool

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_of(node: Any, saver: Any = None) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile(saver)


def remote(server: FakeACPServer, **options: Any) -> ACPNode:
    return ACPNode("remote", "agent", server.url, "ask", None, "answer", None, **options)


def progress(items: list[Any]) -> list[Any]:
    return [item for item in items if item["kind"] == "progress"]


def test_who_watches_is_told_what_becomes_of_a_run(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer("done")]) as server:
        graph = graph_of(remote(server), InMemorySaver())
        before = time.time()
        first = color.stream(graph, {"ask": {}}, ON_A_THREAD, stream_mode="custom")
        second = color.stream(graph, Command(resume=1), ON_A_THREAD, stream_mode="custom")
        assert states(first) == ["created", "waiting", "asked"]
        assert states(second) == ["resumed", "waiting", "finished"]
        for event in progress(first + second):
            assert event["node"] == "remote"
            assert event["agent"] == "agent"
            assert event["run_id"] == server.run.run_id
            assert before <= event["payload"]["since"] <= time.time()


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["plain", "durable"])
@pytest.mark.parametrize("mode", [None, "auto"])
def test_a_wait_is_told_while_it_goes_on(color: Color, saver: Any, mode: Any) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        graph = graph_of(remote(server, stream_mode=mode), saver)
        told = []
        with color.streaming(graph, {"ask": {}}, ON_A_THREAD, stream_mode="custom") as items:
            for item in items:
                told += states([item])
                if states([item]) == ["waiting"]:
                    assert not server.completed
                    gate.open()
        assert "waiting" in told
        assert told[-1] == "finished"


def test_a_run_that_failed_is_told_of_before_the_graph_fails(color: Color) -> None:
    told: list[Any] = []
    with FakeACPServer([Fail("no ink")]) as server:
        graph = graph_of(remote(server))
        with (
            pytest.raises(ACPRunException),
            color.streaming(graph, {"ask": {}}, stream_mode="custom") as items,
        ):
            told.extend(items)
    assert states(told)[-1] == "failed"


async def test_who_enters_again_is_told_since_when_the_run_is_at_work() -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        graph = graph_of(remote(server, on_cancel="detach"), InMemorySaver())
        job = asyncio.create_task(graph.ainvoke({"ask": {}}, ON_A_THREAD))
        await asyncio.to_thread(server.requests.wait_for, "wait_for_stateless_run_output")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        left_at = time.time()
        gate.open()
        items = [each async for each in graph.astream(None, ON_A_THREAD, stream_mode="custom")]
        assert states(items) == ["waiting", "finished"]
        assert all(item["payload"]["since"] < left_at for item in progress(items))


def test_if_nobody_watches_no_event_is_made(color: Color, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressTeller, "event", None)  # calling it would fail
    with FakeACPServer([Answer("done")]) as server:
        graph = graph_of(remote(server), InMemorySaver())
        assert color.invoke(graph, {"ask": {}}, ON_A_THREAD)["answer"] == "done"


def test_a_bridge_and_quants_nodes_tell_of_their_waits_as_well(color: Color) -> None:
    with FakeBridge({"mail": lambda query: "sent"}) as bridge:
        graph = graph_of(APIBridgeAgentNode("mail", bridge.url, "mail", "ask", "answer"))
        items = color.stream(graph, {"ask": "a mail"}, stream_mode="custom")
        assert states(items) == ["waiting", "finished"]
        assert {item["agent"] for item in items} == {"mail"}
    slow = FakeTool("count", result=7, states=(("pending", 1.0), ("running", 1.0)))
    with FakeQuant([slow], scale=0.01) as server:
        node = QuantToolNode(
            "count",
            server.url,
            organisation="acme",
            model_id="m",
            tools=["count"],
            input_path="ask",
            output_path="answer",
            pace=Pace(0.01, 0.02, 30.0),
        )
        items = color.stream(graph_of(node), {"ask": "count"}, stream_mode="custom")
        assert states(items)[0] == "created"
        assert {item["run_id"] for item in items} == {server.executions[0].execution_id}


def test_a_state_is_told_once_and_again_with_another_status() -> None:
    teller = ProgressTeller("node", "agent")
    said = [
        Progress("created", "1"),
        Progress("running", "1"),
        Progress("waiting", "1", {"status": "pending", "since": 5.0}),
        Progress("waiting", "1", {"status": "pending"}),
        Progress("waiting", "1", {"status": "running"}),
        Progress("ended", "1"),
    ]
    events = [event for each in said if (event := teller.event(each))]
    assert [event["payload"]["state"] for event in events] == [
        *["created", "waiting", "waiting", "finished"]
    ]
    assert [event["payload"]["since"] for event in events[1:]] == [5.0, 5.0, 5.0]
    assert [event["payload"].get("status") for event in events[1:]] == ["pending", "running", None]


def test_a_node_that_fails_before_it_sent_anything_tells_nothing() -> None:
    assert ProgressTeller("node", "agent").event(Progress("failed")) is None
