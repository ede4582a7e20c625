"""LangGraph's v3 streams, in which a message is a stream of its own, over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import anyio
import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.stream.transformers import CustomTransformer
from langgraph.types import Command
from support.colors import Color
from support.events import emitted

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, Emit, FakeACPServer, Gate, Work

pytestmark = pytest.mark.filterwarnings("ignore:The v3 streaming protocol")

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
USED: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def graph_for(server: FakeACPServer, **options: Any) -> Any:
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None)
    return StateGraph(State).add_node(node).add_edge(START, "remote").compile(**options)


def piece(content: Any, message_id: str = "a", **more: Any) -> Emit:
    return Emit(AIMessageChunk(content, id=message_id, **more).model_dump(mode="json"))


class Seen:
    """What came of a v3 stream."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.pieces: list[list[str]] = []
        self.custom: list[Any] = []
        self.output: Any = None
        self.interrupts: list[Any] = []


def watch(color: Color, graph: Any, value: Any, take: str = "messages") -> Seen:
    """Watch a run to its end, by one of its projections."""
    seen, options = Seen(), {"version": "v3", "transformers": [CustomTransformer]}

    def look() -> None:
        with graph.stream_events(value, ON_A_THREAD, **options) as run:
            for each in getattr(run, take):
                if take == "messages":
                    seen.pieces.append(list(each.text))
                    seen.messages.append(each.output)
                else:
                    seen.custom.append(each)
            seen.output, seen.interrupts = run.output, run.interrupts

    async def alook() -> None:
        async with await graph.astream_events(value, ON_A_THREAD, **options) as run:
            async for each in getattr(run, take):
                if take == "messages":
                    seen.pieces.append([text async for text in each.text])
                    seen.messages.append(await each.output)
                else:
                    seen.custom.append(each)
            seen.output, seen.interrupts = await run.output(), await run.interrupts()

    if color.name == "sync":
        look()
    else:
        asyncio.run(alook())
    return seen


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgets", "remembers"])
def test_what_an_agent_says_piece_by_piece_arrives_piece_by_piece(color: Color, saver: Any) -> None:
    script = [piece("He"), piece("llo"), piece("", usage_metadata=USED), Answer("done")]
    with FakeACPServer(script) as server:
        seen = watch(color, graph_for(server, checkpointer=saver), {"ask": {}})
    assert seen.pieces == [["He", "llo"]]
    (message,) = seen.messages
    assert (message.id, message.text, message.usage_metadata) == ("a", "Hello", USED)
    assert seen.output["answer"] == "done"


def test_pieces_of_several_messages_and_whole_ones_are_each_a_message(color: Color) -> None:
    whole = {"role": "assistant", "content": "Whole", "id": "b"}
    script = [
        piece("He"),
        piece("llo"),
        Emit({"messages": [{**whole, "id": "a", "content": "Hello"}, whole]}, "values"),
        piece("Bye", "c"),
        Answer({"messages": [whole]}),
    ]
    with FakeACPServer(script) as server:
        seen = watch(color, graph_for(server), {"ask": {}})
    assert [(each.id, each.text) for each in seen.messages] == [
        ("a", "Hello"),
        ("b", "Whole"),
        ("c", "Bye"),
    ]


def test_reasoning_and_calls_of_tools_are_parts_of_a_message(color: Color) -> None:
    def calling(args: str, **first: Any) -> Emit:
        part = {"name": None, "id": None, "args": args, "index": 1, "type": "tool_call_chunk"}
        return piece("", tool_call_chunks=[{**part, **first}])

    script = [
        piece([{"type": "reasoning", "reasoning": "hm", "index": 0}]),
        calling('{"a"', name="add", id="c"),
        calling(": 1}"),
        Answer("done"),
    ]
    with FakeACPServer(script) as server:
        (message,) = watch(color, graph_for(server), {"ask": {}}).messages
    assert message.content_blocks[0]["reasoning"] == "hm"
    assert [(call["name"], call["args"]) for call in message.tool_calls] == [("add", {"a": 1})]


@contextmanager
def opened(gate: Gate) -> Iterator[None]:
    """Opens a gate in the end, and after ten seconds in any case."""
    timer = threading.Timer(10, gate.open)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        gate.open()


def test_a_piece_is_seen_while_the_agent_still_speaks() -> None:
    with FakeACPServer([piece("He"), Work(gate := Gate()), piece("llo"), Answer("done")]) as server:
        graph = graph_for(server)
        with (
            opened(gate),
            graph.stream_events({"ask": {}}, version="v3") as run,
        ):
            pieces = iter(next(iter(run.messages)).text)
            assert next(pieces) == "He"
            assert server.run.status == "pending"
            gate.open()
            assert list(pieces) == ["llo"]


async def test_a_piece_is_seen_while_the_agent_still_speaks_awaiting() -> None:
    with FakeACPServer([piece("He"), Work(gate := Gate()), piece("llo"), Answer("done")]) as server:
        graph = graph_for(server)
        with opened(gate):
            async with await graph.astream_events({"ask": {}}, version="v3") as run:
                pieces = aiter((await anext(aiter(run.messages))).text)
                assert await anext(pieces) == "He"
                assert server.run.status == "pending"
                gate.open()
                assert [text async for text in pieces] == ["llo"]


def test_a_question_and_its_answer_pass_a_v3_stream(color: Color) -> None:
    script = [piece("He"), Ask("color?"), piece("Bye", "b"), Answer(lambda run: run.answers)]
    with FakeACPServer(script) as server:
        graph = graph_for(server, checkpointer=InMemorySaver())
        first = watch(color, graph, {"ask": {}})
        second = watch(color, graph, Command(resume="blue"))
        assert server.created == 1
    assert [question.value for question in first.interrupts] == ["color?"]
    assert [each.text for each in first.messages + second.messages] == ["He", "Bye"]
    assert second.output["answer"] == ["blue"]


def test_remote_events_reach_the_custom_projection(color: Color) -> None:
    with FakeACPServer([Emit({"n": 1}), Emit({"n": 2}), Answer("done")]) as server:
        seen = watch(color, graph_for(server), {"ask": {}}, "custom")
    assert [event["payload"] for event in emitted(seen.custom)] == [{"n": 1}, {"n": 2}, "done"]


async def test_a_v3_stream_that_is_left_ends_the_remote_run() -> None:
    with FakeACPServer([piece("He"), Work(Gate("never")), Answer("done")]) as server:
        graph = graph_for(server)
        async with (
            asyncio.timeout(10),
            await graph.astream_events({"ask": {}}, version="v3") as run,
        ):
            async for message in run.messages:
                assert await anext(aiter(message.text)) == "He"
                break
        await asyncio.to_thread(server.wait_until, lambda: server.run.cancelled)


async def test_a_v3_stream_whose_watcher_is_cancelled_ends_the_remote_run() -> None:
    with FakeACPServer([piece("He"), Work(Gate("never")), Answer("done")]) as server:
        graph, heard = graph_for(server), asyncio.Event()

        async def listen() -> None:
            async with await graph.astream_events({"ask": {}}, version="v3") as run:
                async for message in run.messages:
                    async for _ in message.text:
                        heard.set()

        async with asyncio.timeout(10), anyio.create_task_group() as group:
            group.start_soon(listen)
            await heard.wait()
            group.cancel_scope.cancel()
        await asyncio.to_thread(server.wait_until, lambda: server.run.cancelled)
