"""What is logged, and that nothing is printed unless somebody asks for it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command
from support.colors import Color

from acp_langgraph import ACPNode, APIBridgeAgentNode, ApiClientConfiguration, TokenAuth
from acp_langgraph.errors import ACPRunException
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, FakeBridge, Fault, Work

THREAD: Any = {"configurable": {"thread_id": "t1"}}
SECRET = "what was said"


class State(TypedDict, total=False):
    ask: dict[str, Any]
    answer: Any


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[Any]]:
    """What `acp_langgraph.runs` says."""
    logger, kept = logging.getLogger("acp_langgraph.runs"), _Kept()
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    yield kept.records
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(kept)


def graph(server: FakeACPServer, *, key: str = "", **options: Any) -> Any:
    configuration = ApiClientConfiguration(server.url, api_key=key or None)
    node = ACPNode("remote", server.agent_id, configuration, "ask", None, "answer", None, **options)
    return StateGraph(State).add_node(node).add_edge(START, "remote")


def events(records: list[Any], level: int = logging.INFO) -> list[Any]:
    return [record.event for record in records if record.levelno >= level]


def test_the_life_of_a_run_is_told_without_what_was_said(color: Color, records: list[Any]) -> None:
    with FakeACPServer([Ask({"q": SECRET}), Answer({"text": SECRET})]) as server:
        compiled = graph(server, key="sesame-key").compile(checkpointer=InMemorySaver())
        color.invoke(compiled, {"ask": {"text": SECRET}}, THREAD)
        color.invoke(compiled, Command(resume=SECRET), THREAD)
        run = server.run
    assert events(records) == ["created", "asked", "rejoined", "resumed", "done"]
    for record in records:
        assert record.node == "remote"
        assert record.agent == server.agent_id
        assert record.host == server.url.removeprefix("http://")
        assert record.run_id == run.run_id
        assert record.thread_id == "t1"
        assert record.seconds >= 0
        assert SECRET not in str(record.__dict__)
        assert "sesame" not in str(record.__dict__)
    agent_and_run = f"(agent {server.agent_id}, run {run.run_id})"
    assert records[0].getMessage() == f"node 'remote': created {agent_and_run}"


def test_a_run_that_is_awaited_for_long_is_waiting_at_debug(
    color: Color, records: list[Any]
) -> None:
    with FakeACPServer([Work(0.3), Answer({"text": "done"})]) as server:
        server.faults.add(Fault.status(504), on="wait_for_stateless_run_output")
        compiled = graph(server).compile(checkpointer=InMemorySaver())
        color.invoke(compiled, {"ask": {"text": "hi"}}, THREAD)
    assert events(records, logging.DEBUG) == ["created", "waiting", "done"]


def test_a_failed_run_is_told_with_the_kind_of_error(color: Color, records: list[Any]) -> None:
    with (
        FakeACPServer([Fail(SECRET)]) as server,
        pytest.raises(ACPRunException),
    ):
        color.invoke(graph(server).compile(), {"ask": {"text": "hi"}})
    assert events(records) == ["created", "failed"]
    assert "failed with ACPRunException (agent" in records[-1].getMessage()
    assert SECRET not in str([record.__dict__ for record in records])


def test_a_cancelled_run_is_told(records: list[Any]) -> None:
    async def run(server: FakeACPServer) -> None:
        compiled = graph(server).compile(checkpointer=InMemorySaver())
        job = asyncio.create_task(compiled.ainvoke({"ask": {"text": "hi"}}, THREAD))
        await asyncio.to_thread(server.requests.wait_for, "wait_for_stateless_run_output")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.to_thread(server.requests.wait_for, "cancel_stateless_run")

    with FakeACPServer([Work(60)]) as server:
        asyncio.run(run(server))
    assert events(records) == ["created", "cancelled"]


def test_a_run_that_a_drain_leaves_is_told(records: list[Any]) -> None:
    control = RunControl()

    async def run(server: FakeACPServer) -> None:
        compiled = graph(server).compile(checkpointer=InMemorySaver())
        job = asyncio.create_task(
            compiled.ainvoke({"ask": {"text": "hi"}}, THREAD, control=control)
        )
        await asyncio.to_thread(server.requests.wait_for, "wait_for_stateless_run_output")
        control.request_drain()
        await asyncio.gather(job, return_exceptions=True)

    with FakeACPServer([Work(60)]) as server:
        asyncio.run(run(server))
    assert events(records) == ["created", "left"]


def test_a_query_to_a_bridge_is_told(color: Color, records: list[Any]) -> None:
    with FakeBridge({"mail": lambda query: SECRET}) as bridge:
        node = APIBridgeAgentNode("send", bridge.url, "mail", "ask", "answer")
        color.invoke(node, {"ask": {"query": SECRET}})
    assert events(records, logging.DEBUG) == ["sending", "answered", "done"]
    assert {record.agent for record in records} == {"mail"}
    assert SECRET not in str([record.__dict__ for record in records])


def test_nothing_is_printed_unless_logging_is_configured() -> None:
    code = """
import logging, sys
import acp_langgraph
for name in ("runs", "nodes", "http", "server.engine"):
    logging.getLogger(f"acp_langgraph.{name}").critical("heard")
logging.basicConfig(stream=sys.stdout, format="%(name)s", level="INFO")
logging.getLogger("acp_langgraph.runs").info("heard")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("acp_langgraph.runs\n", "")


def test_who_does_not_listen_gets_no_report(color: Color, monkeypatch: pytest.MonkeyPatch) -> None:
    from acp_langgraph.nodes import reporting  # noqa: PLC0415

    made: list[Any] = []
    monkeypatch.setattr(reporting.Report, "__enter__", made.append)
    with FakeACPServer([Answer({"text": "done"})]) as server:
        color.invoke(graph(server).compile(), {"ask": {"text": "hi"}})
    assert not made


def test_an_exchange_is_told_once_whoever_adds_credentials(color: Color) -> None:
    logger, kept = logging.getLogger("acp_langgraph.http"), _Kept()
    logger.addHandler(kept)
    logger.setLevel(logging.DEBUG)
    try:
        with FakeACPServer([Answer("done")]) as server:
            configuration = ApiClientConfiguration(server.url, debug=True)
            auth = TokenAuth(lambda: "sesame")
            node = ACPNode(
                "remote", server.agent_id, configuration, "ask", None, "answer", None, auth=auth
            )
            color.invoke(node, {"ask": {}})
            assert len(kept.records) == len(server.requests)
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(kept)
