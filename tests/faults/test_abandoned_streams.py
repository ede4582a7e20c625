"""Whoever watches a graph is gone, in whatever way a web framework has it: the remote run ends too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any, TypedDict

import anyio
import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from support.asgi import served

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Emit, FakeACPServer, Gate, Work

STREAM = "stream_stateless_run_output"
WAIT = "wait_for_stateless_run_output"
CREATE_AND_WAIT = "create_and_wait_for_stateless_run_output"
ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
WATCHING: Any = {"stream_mode": "custom"}
INPUT: Any = {"ask": {"text": "hi"}}


class State(TypedDict, total=False):
    ask: Any
    answer: Any
    other: Any
    messages: Annotated[list[AnyMessage], add_messages]


class Text(TypedDict):
    text: str


Graph = Callable[[FakeACPServer], Any]
Form = Callable[[Any, asyncio.Event], Awaitable[None]]


def node_for(server: FakeACPServer, **options: Any) -> ACPNode:
    return ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", None, **options)


def alone(server: FakeACPServer, **options: Any) -> Any:
    return StateGraph(State).add_node(node_for(server, **options)).add_edge(START, "remote")


def beside_another(server: FakeACPServer) -> Any:
    async def other(_: State) -> State:
        return {"other": 1}

    return alone(server).add_node("other", other).add_edge(START, "other")


def in_subgraphs(server: FakeACPServer) -> Any:
    inner = StateGraph(State).add_node("inner", alone(server).compile()).add_edge(START, "inner")
    return StateGraph(State).add_node("outer", inner.compile()).add_edge(START, "outer")


def as_a_tool(server: FakeACPServer) -> Any:
    def call(_: State) -> Any:
        wanted = {"name": "remote", "args": {"text": "hi"}, "id": "1"}
        return {"messages": AIMessage("", id="calls", tool_calls=[wanted])}

    node = ACPNode("remote", server.agent_id, server.url, input_type=Text)
    builder = StateGraph(State).add_node("model", call)
    builder.add_node("tools", ToolNode([node.as_tool()]))
    return builder.add_edge(START, "model").add_edge("model", "tools")


GRAPHS = [alone, beside_another, in_subgraphs, as_a_tool]


async def at_work(server: FakeACPServer) -> None:
    """Return once the agent is at work, and the node waits for it."""
    waiting = (STREAM, WAIT, CREATE_AND_WAIT)
    await asyncio.to_thread(server.wait_until, lambda: bool(server.runs))
    await asyncio.to_thread(server.wait_until, lambda: any(map(server.requests.count, waiting)))


async def ended(server: FakeACPServer) -> None:
    """Return once the remote run is cancelled."""
    await asyncio.to_thread(server.wait_until, lambda: bool(server.run.cancelled))


def working() -> FakeACPServer:
    """A server whose agent says something and then works for ever."""
    return FakeACPServer([Emit(1), Work(Gate("never")), Answer("done")])


def tells(item: Any, seen: asyncio.Event) -> bool:
    """Whether an item is what the agent says, after which there is nothing more to see."""
    if item["kind"] == "custom":
        seen.set()
    return seen.is_set()


async def iterated(graph: Any, seen: asyncio.Event) -> None:
    async for item in graph.astream(INPUT, ON_A_THREAD, **WATCHING):
        tells(item, seen)


async def iterated_and_closed(graph: Any, seen: asyncio.Event) -> None:
    async with aclosing(graph.astream(INPUT, ON_A_THREAD, **WATCHING)) as items:
        async for item in items:
            tells(item, seen)


async def busy_between_items(graph: Any, seen: asyncio.Event) -> None:
    async with aclosing(graph.astream(INPUT, ON_A_THREAD, **WATCHING)) as items:
        async for item in items:
            if tells(item, seen):
                await asyncio.Event().wait()


async def busy_and_not_closed(graph: Any, seen: asyncio.Event) -> None:
    async for item in graph.astream(INPUT, ON_A_THREAD, **WATCHING):
        if tells(item, seen):
            await asyncio.Event().wait()


async def watched_with_subgraphs(graph: Any, seen: asyncio.Event) -> None:
    async for _, item in graph.astream(INPUT, ON_A_THREAD, subgraphs=True, **WATCHING):
        tells(item, seen)


async def watched_by_events(graph: Any, seen: asyncio.Event) -> None:
    async for event in graph.astream_events(INPUT, ON_A_THREAD, version="v2"):
        if event["event"] == "on_custom_event":
            tells(event["data"], seen)


async def watched_by_steps(graph: Any, seen: asyncio.Event) -> None:
    seen.set()
    async for _ in graph.astream(INPUT, ON_A_THREAD, stream_mode=["updates", "values"]):
        pass


async def invoked(graph: Any, seen: asyncio.Event) -> None:
    seen.set()
    await graph.ainvoke(INPUT, ON_A_THREAD)


FORMS = [
    iterated,
    iterated_and_closed,
    busy_between_items,
    busy_and_not_closed,
    watched_by_events,
    watched_by_steps,
    invoked,
]


async def abandoned(form: Form, graph: Any, server: FakeACPServer) -> None:
    """Have a graph watched, and its watcher cancelled as web frameworks do it, while it is at work."""
    seen = asyncio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(form, graph, seen)
        await at_work(server)
        await seen.wait()
        group.cancel_scope.cancel()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgets", "remembers"])
async def test_a_cancel_scope_that_is_left_ends_the_remote_run(form: Form, saver: Any) -> None:
    with working() as server:
        await abandoned(form, alone(server).compile(checkpointer=saver), server)
        await ended(server)
        assert server.created == 1


@pytest.mark.parametrize("form", [watched_with_subgraphs, invoked], ids=lambda form: form.__name__)
@pytest.mark.parametrize("build", GRAPHS, ids=lambda build: build.__name__)
async def test_wherever_the_node_is_a_cancel_scope_ends_its_run(build: Graph, form: Form) -> None:
    with working() as server:
        await abandoned(form, build(server).compile(checkpointer=InMemorySaver()), server)
        await ended(server)
        assert server.created == 1


async def test_a_node_on_its_own_that_is_watched_no_longer_ends_its_run() -> None:
    async def watched(node: Any, seen: asyncio.Event) -> None:
        async for item in node.astream(INPUT):
            tells(item, seen)

    with working() as server:
        await abandoned(watched, node_for(server), server)
        await ended(server)


async def test_a_task_that_is_cancelled_again_and_again_ends_the_remote_run() -> None:
    with working() as server:
        seen = asyncio.Event()
        watching = asyncio.create_task(iterated(alone(server).compile(), seen))
        await seen.wait()

        def cancel() -> None:  # as a supervisor does that will not wait
            if not watching.done():
                watching.cancel()
                asyncio.get_running_loop().call_soon(cancel)

        cancel()
        await asyncio.wait({watching})
        await ended(server)


async def test_a_run_that_is_to_go_on_goes_on_when_its_stream_is_abandoned() -> None:
    gate = Gate()
    with FakeACPServer([Emit(1), Work(gate), Answer("done")]) as server:
        graph = alone(server, on_cancel="detach").compile(checkpointer=InMemorySaver())
        await abandoned(iterated, graph, server)
        gate.open()
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert server.created == server.completed == 1


async def test_what_was_abandoned_is_done_by_a_new_run_when_entered_again() -> None:
    gates = iter([Gate("never")])

    def script(_: Any) -> Any:
        yield Emit(1)
        if gate := next(gates, None):
            yield Work(gate)
        yield Answer("done")

    with FakeACPServer(script) as server:
        graph = alone(server).compile(checkpointer=InMemorySaver())
        await abandoned(iterated, graph, server)
        await ended(server)
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert [run.cancelled for run in server.runs] == [True, False]


def streaming_app(graph: Any, items: Callable[[Any], AsyncIterator[Any]]) -> Starlette:
    async def stream(_: Request) -> StreamingResponse:
        return StreamingResponse(items(graph), media_type="application/x-ndjson")

    return Starlette(routes=[Route("/", stream)])


async def plain_lines(graph: Any) -> AsyncIterator[str]:
    async for item in graph.astream(INPUT, ON_A_THREAD, **WATCHING):
        yield json.dumps(item) + "\n"


async def closed_lines(graph: Any) -> AsyncIterator[str]:
    async with aclosing(graph.astream(INPUT, ON_A_THREAD, **WATCHING)) as items:
        async for item in items:
            yield json.dumps(item) + "\n"


@pytest.mark.parametrize("lines", [plain_lines, closed_lines], ids=lambda lines: lines.__name__)
def test_a_client_that_goes_from_a_streaming_response_ends_the_remote_run(lines: Any) -> None:
    with working() as server:
        app = streaming_app(alone(server).compile(checkpointer=InMemorySaver()), lines)
        with served(app) as client:
            with client.stream("GET", "/") as response:
                for line in response.iter_lines():
                    if json.loads(line)["kind"] == "custom":
                        break
            server.wait_until(lambda: server.run.cancelled)
        assert server.created == 1


def test_a_client_that_stays_gets_all_of_a_streaming_response() -> None:
    with FakeACPServer([Emit(1), Emit(2), Answer("done")]) as server:
        app = streaming_app(alone(server).compile(checkpointer=InMemorySaver()), plain_lines)
        with served(app) as client:
            seen = [json.loads(line) for line in client.get("/").iter_lines()]
        assert [each["payload"] for each in seen if each["kind"] != "progress"] == [1, 2, "done"]
        assert server.completed == 1
