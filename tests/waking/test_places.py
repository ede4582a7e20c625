"""Where waits can be: in tools, behind other protocols, in other processes' databases."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Send
from support.colors import Color
from support.waking import SECRET, Agents, Said, at, of_one, suspending, swept

from acp_langgraph import (
    A2ANode,
    ACPNode,
    QuantToolNode,
    RemoteGraphNode,
    Sweeper,
    WakeURL,
    is_suspended,
    split_interrupts,
)
from acp_langgraph.testing import (
    Answer,
    FakeA2AServer,
    FakeLangGraphServer,
    FakeQuant,
    FakeTool,
    Gate,
    Work,
)


class Chat(TypedDict, total=False):
    """The state of a graph with tools."""

    messages: Annotated[list[AnyMessage], add_messages]


SUSPENDING: Any = {
    "wait": "suspend",
    "wake_url": WakeURL("https://me.example/wake", SECRET),
}


def one(found: Any) -> bool:
    return bool(found.woken == 1)


@pytest.fixture
def text() -> str:
    return uuid.uuid4().hex


def test_two_tool_calls_of_one_message_wait_and_each_is_woken_by_itself(
    color: Color, agents: Agents, text: str
) -> None:
    before = sum(agents.runs().values())
    tool = ACPNode("work", "work", agents.url, input_type=Said, wait="suspend").as_tool()
    builder = StateGraph(Chat).add_node("tools", ToolNode([tool])).add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    calls = [{"name": "work", "id": each, "args": {"text": f"{text}{each}"}} for each in "ab"]
    suspended = color.invoke(graph, {"messages": [AIMessage("", tool_calls=calls)]}, at("1"))
    assert [is_suspended(each) for each in suspended["__interrupt__"]] == [True, True]
    agents.let_go(f"{text}b")
    swept(color, graph, lambda found: bool(found.woken))
    assert len(split_interrupts(graph.get_state(at("1"))).waits) == 1
    agents.let_go(f"{text}a")
    swept(color, graph, lambda _: not graph.get_state(at("1")).tasks)
    said = [each.artifact["text"] for each in graph.get_state(at("1")).values["messages"][1:]]
    assert said == [f"{text}A".upper(), f"{text}B".upper()]
    assert sum(agents.runs().values()) - before == 2


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_process_that_knows_nothing_but_the_database_finishes_all(
    color: Color, kind: str, agents: Agents, text: str, tmp_path: Path, postgres: str
) -> None:
    texts = [f"{text}{number}" for number in range(5)]
    where = str(tmp_path / "a.sqlite") if kind == "sqlite" else postgres
    saver = {
        ("sqlite", "sync"): SqliteSaver,
        ("sqlite", "async"): AsyncSqliteSaver,
        ("postgres", "sync"): PostgresSaver,
        ("postgres", "async"): AsyncPostgresSaver,
    }[kind, color.name]

    def suspend() -> None:
        with ExitStack() as stack:
            graph = of_one(suspending(agents), stack.enter_context(saver.from_conn_string(where)))
            for each in texts:
                graph.invoke({"text": each}, at(each))

    async def asuspend() -> None:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(saver.from_conn_string(where))
            graph = of_one(suspending(agents), opened)
            for each in texts:
                await graph.ainvoke({"text": each}, at(each))

    def wake() -> list[Any]:
        with ExitStack() as stack:
            graph = of_one(suspending(agents), stack.enter_context(saver.from_conn_string(where)))
            sweeper, woken = Sweeper(graph), 0
            while woken < len(texts):
                woken += sweeper.sweep().woken
            assert sweeper.sweep().woken == 0
            return [graph.get_state(at(each)).values["after"] for each in texts]

    async def awake() -> list[Any]:
        async with AsyncExitStack() as stack:
            opened = await stack.enter_async_context(saver.from_conn_string(where))
            graph = of_one(suspending(agents), opened)
            sweeper, woken = Sweeper(graph), 0
            while woken < len(texts):
                woken += (await sweeper.asweep()).woken
            assert (await sweeper.asweep()).woken == 0
            return [(await graph.aget_state(at(each))).values["after"] for each in texts]

    if color.name == "sync":
        suspend()
        agents.let_go(*texts)
        after = wake()
    else:
        asyncio.run(asuspend())
        agents.let_go(*texts)
        after = asyncio.run(awake())
    assert after == [[each.upper()] for each in texts]


def test_a_graph_over_a_saver_that_blocks_is_swept_from_an_event_loop(
    agents: Agents, text: str, tmp_path: Path
) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "a.sqlite")) as saver:
        graph = of_one(suspending(agents), saver)
        graph.invoke({"text": text}, at("1"))
        agents.let_go(text)
        sweeper = Sweeper(graph)
        while asyncio.run(sweeper.asweep()).woken == 0:
            pass
        assert graph.get_state(at("1")).values["text"] == text.upper()


def test_a_remote_graph_is_given_a_webhook_and_waited_for(color: Color) -> None:
    gate = Gate()
    with FakeLangGraphServer([Work(gate), Answer({"text": "HI"})]) as server:
        node = RemoteGraphNode("remote", "agent", server.url, "", output_path="", **SUSPENDING)
        graph = of_one(node)
        color.invoke(graph, {"text": "hi"}, at("1"))
        assert swept(color, graph).woken == 0
        gate.open()
        swept(color, graph, one)
        assert graph.get_state(at("1")).values["text"] == "HI"
        (created,) = (each.json for each in server.requests if each.operation == "create_run")
        assert created["webhook"].startswith("https://me.example/wake/")


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_an_a2a_agent_is_given_a_webhook_and_waited_for(color: Color, version: str) -> None:
    gate = Gate()
    with FakeA2AServer([Work(gate), Answer("HI")], version=version) as server:
        graph = of_one(A2ANode("remote", server.url, "text", output_path="text", **SUSPENDING))
        color.invoke(graph, {"text": "hi"}, at("1"))
        assert swept(color, graph).woken == 0
        gate.open()
        swept(color, graph, one)
        assert graph.get_state(at("1")).values["text"] == "HI"
        (sent,) = (each.json for each in server.requests if each.operation == "SendMessage")
        assert "https://me.example/wake/" in str(sent["params"]["configuration"])


@pytest.mark.parametrize("kind", ["langgraph", "a2a", "quant"])
def test_what_other_protocols_are_waited_for_can_be_ended_if_these_can(
    color: Color, kind: str
) -> None:
    script, tool = [Work(Gate()), Answer("HI")], FakeTool("draw", states=(("running", Gate()),))
    with (
        FakeLangGraphServer(script) as langgraph,
        FakeA2AServer(script) as a2a,
        FakeQuant([tool]) as quant,
    ):
        given: Any = {"input_path": "text", "output_path": "text", "wait": "suspend"}
        made = {"model_id": "m", "tools": ["draw"], "organisation": "acme"}
        node = {
            "langgraph": lambda: RemoteGraphNode("remote", "agent", langgraph.url, **given),
            "a2a": lambda: A2ANode("remote", a2a.url, **given),
            "quant": lambda: QuantToolNode("remote", quant.url, **made, **given),
        }[kind]()
        graph = of_one(node)
        color.invoke(graph, {"text": "hi"}, at("1"))
        sweeper = Sweeper(graph)
        cancel = sweeper.cancel if color.name == "sync" else sweeper.acancel
        ended = cancel("1") if color.name == "sync" else asyncio.run(cancel("1"))  # type: ignore[arg-type]  # the colour's
        assert ended == (0 if kind == "quant" else 1)


def test_an_a2a_agent_that_calls_nobody_is_given_no_webhook(color: Color) -> None:
    with FakeA2AServer(card={"capabilities": {"pushNotifications": False}}) as server:
        graph = of_one(A2ANode("remote", server.url, "text", output_path="text", **SUSPENDING))
        color.invoke(graph, {"text": "hi"}, at("1"))
        (sent,) = (each.json for each in server.requests if each.operation == "SendMessage")
        assert "me.example" not in str(sent)


def test_a_tool_call_that_is_sent_by_itself_waits_beside_the_others(
    color: Color, agents: Agents, text: str
) -> None:
    tool = ACPNode("work", "work", agents.url, input_type=Said, wait="suspend").as_tool()
    calls = [
        {"name": "work", "id": each, "args": {"text": f"{text}{each}"}, "type": "tool_call"}
        for each in "ab"
    ]
    builder = StateGraph(Chat).add_node("tools", ToolNode([tool]))
    builder.add_conditional_edges(START, lambda _: [Send("tools", [each]) for each in calls])
    graph = builder.compile(checkpointer=InMemorySaver())
    _, waits = split_interrupts(color.invoke(graph, {"messages": []}, at("1")))
    assert len(waits) == 2
    agents.let_go(f"{text}a", f"{text}b")
    swept(color, graph, lambda _: not graph.get_state(at("1")).tasks)
    said = [each.artifact["text"] for each in graph.get_state(at("1")).values["messages"]]
    assert sorted(said) == [f"{text}A".upper(), f"{text}B".upper()]
