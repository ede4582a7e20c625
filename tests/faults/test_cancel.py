"""What is cancelled here ends there; what is not goes on."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained, NodeTimeoutError
from langgraph.graph import START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command, RetryPolicy
from support.agents import agent
from support.counted import State, graph_with, make_node

from acp_langgraph.errors import ACPRunException, RunTimeoutError
from acp_langgraph.server import serve
from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault, Gate, Work

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": {"text": "hi"}}
_OUTPUT = "_stateless_run_output"


async def seen(server: FakeACPServer, what: str, n: int = 1) -> None:
    """Return once the server has seen so many requests."""
    await asyncio.to_thread(server.requests.wait_for, what, n=n)


async def until(server: FakeACPServer, condition: Any) -> None:
    """Return once a condition of the server holds."""
    await asyncio.to_thread(server.wait_until, condition)


async def test_a_cancelled_call_cancels_the_remote_run() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
        await seen(server, "wait_for_stateless_run_output")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await until(server, lambda: server.runs[0].cancelled)


async def test_a_detached_run_goes_on_and_is_rejoined() -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        node = make_node(server.url, server.agent_id, on_cancel="detach")
        graph = graph_with(node)
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
        await seen(server, "wait_for_stateless_run_output")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        gate.open()
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert server.created == server.completed == 1


async def test_a_run_whose_creation_is_on_its_way_is_found_and_cancelled() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        held = Gate()
        server.faults.add(Fault.hold(held), on="create_stateless_run")
        graph = graph_with(make_node(server.url, server.agent_id))
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
        await seen(server, "create_stateless_run")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        held.open()
        await until(server, lambda: server.runs and server.runs[0].cancelled)


async def test_a_node_time_out_cancels_and_the_retry_is_a_new_run() -> None:
    gate = Gate()

    def script(run: Any) -> Any:
        if len(server.runs) == 1:
            yield Work(gate)
        yield Answer("done")

    with FakeACPServer(script) as server:
        builder = StateGraph(State)
        builder.add_node(
            make_node(server.url, server.agent_id),
            timeout=0.5,
            retry_policy=RetryPolicy(
                max_attempts=2, initial_interval=0.001, jitter=False, retry_on=NodeTimeoutError
            ),
        )
        builder.add_edge(START, "remote")
        done = await builder.compile(checkpointer=InMemorySaver()).ainvoke(INPUT, ON_A_THREAD)
        assert done["answer"] == "done"
        assert [run.cancelled for run in server.runs] == [True, False]


async def test_a_node_with_a_time_out_remembers_and_asks_like_any_other() -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        builder = StateGraph(State)
        builder.add_node(make_node(server.url, server.agent_id), timeout=30)
        graph = builder.add_edge(START, "remote").compile(checkpointer=InMemorySaver())
        asked = await graph.ainvoke(INPUT, ON_A_THREAD)
        assert asked["__interrupt__"][0].value == "color?"
        assert (await graph.ainvoke(Command(resume="blue"), ON_A_THREAD))["answer"] == ["blue"]
        assert server.created == server.completed == 1


async def test_a_failed_sibling_cancels_the_remote_run() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:

        async def fails(_: State) -> State:
            await seen(server, "wait_for_stateless_run_output")
            raise ValueError("broken sibling")

        builder = StateGraph(State)
        builder.add_node(make_node(server.url, server.agent_id))
        builder.add_node("sibling", fails)
        builder.add_edge(START, "remote")
        builder.add_edge(START, "sibling")
        with pytest.raises(ValueError, match="broken sibling"):
            await builder.compile(checkpointer=InMemorySaver()).ainvoke(INPUT, ON_A_THREAD)
        await until(server, lambda: server.runs[0].cancelled)


async def test_a_broken_off_stream_cancels_the_remote_run() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        # With `custom` among them, LangGraph streams while nodes are at work, and not after a step.
        stream = graph.astream(INPUT, ON_A_THREAD, stream_mode=["updates", "custom"])
        async for _, update in stream:
            if "create_run" in update:
                break
        await stream.aclose()
        await until(server, lambda: server.runs[0].cancelled)


async def test_an_interrupt_cancels_nothing() -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        await graph.ainvoke(INPUT, ON_A_THREAD)
        assert (await graph.ainvoke(Command(resume="blue"), ON_A_THREAD))["answer"] == ["blue"]
        assert not server.run.cancelled


def test_an_event_loop_that_ends_still_cancels() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))

        async def leave() -> None:
            job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
            await seen(server, "wait_for_stateless_run_output")
            job.cancel()
            await asyncio.sleep(0)

        asyncio.run(leave())
        assert server.runs[0].cancelled


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgets", "remembers"])
@pytest.mark.parametrize("watched", [False, True], ids=["invoked", "watched"])
def test_an_event_loop_that_ends_around_a_node_at_work_still_cancels(
    caplog: pytest.LogCaptureFixture, saver: Any, watched: bool
) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        builder = StateGraph(State).add_node(make_node(server.url, server.agent_id))
        graph = builder.add_edge(START, "remote").compile(checkpointer=saver)

        async def watch() -> None:
            async for _ in graph.astream(INPUT, ON_A_THREAD, stream_mode="custom"):
                pass

        async def leave() -> asyncio.Task[Any]:
            job = asyncio.create_task(watch() if watched else graph.ainvoke(INPUT, ON_A_THREAD))
            await until(server, lambda: bool(server.runs) and len(server.requests) > waits)
            return job  # which is cancelled by the loop itself, on its way out

        waits = 2 if watched else 1 if saver else 0
        assert asyncio.run(leave()).cancelled()
        assert server.runs[0].cancelled
    gc.collect()
    assert not caplog.records


async def test_a_server_that_cannot_cancel_is_tolerated_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")], cancel=False) as server:
        node = make_node(server.url, server.agent_id)
        graph = graph_with(node)
        for number in range(2):
            config: RunnableConfig = {"configurable": {"thread_id": str(number)}}
            job = asyncio.create_task(graph.ainvoke(INPUT, config))
            await seen(server, "wait_for_stateless_run_output", number + 1)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            while node._ending:
                await asyncio.wait(node._ending.values())
        assert caplog.text.count("goes on") == 1


async def test_a_drain_leaves_the_run_and_a_later_entry_rejoins_it() -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        control = RunControl()
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD, control=control))
        await seen(server, "wait_for_stateless_run_output")
        control.request_drain("deploy")
        with pytest.raises(GraphDrained):
            await job
        gate.open()
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert server.created == server.completed == 1
        assert not server.run.cancelled


def test_a_drain_in_a_blocking_graph_leaves_the_run_too() -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")], wait_limit=0.1, wait_status=204) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        control = RunControl()
        with asyncio.Runner() as runner:

            async def drain() -> None:
                job = asyncio.create_task(
                    asyncio.to_thread(graph.invoke, INPUT, ON_A_THREAD, control=control)
                )
                await seen(server, "wait_for_stateless_run_output")
                control.request_drain("deploy")
                with pytest.raises(GraphDrained):
                    await job

            runner.run(drain())
        gate.open()
        assert graph.invoke(None, ON_A_THREAD)["answer"] == "done"
        assert server.created == server.completed == 1


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Sends this process what Ctrl-C sends; also where whoever started it has switched that off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgets", "remembers"])
def test_ctrl_c_in_a_blocking_graph_cancels_the_remote_run(
    ctrl_c: Callable[[], None], saver: Any
) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        node = make_node(server.url, server.agent_id)
        builder = StateGraph(State).add_node(node).add_edge(START, node.get_name())

        def press() -> None:
            server.wait_until(lambda: bool(server.runs))
            server.requests.wait_for(f"{'wait_for' if saver else 'create_and_wait_for'}{_OUTPUT}")
            ctrl_c()

        pressing = threading.Thread(target=press)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            builder.compile(checkpointer=saver).invoke(INPUT, ON_A_THREAD)
        pressing.join()
        server.wait_until(lambda: server.runs[0].cancelled)
        assert server.created == 1


@pytest.mark.parametrize("on_timeout", ["cancel", "leave"])
async def test_a_run_over_its_deadline_is_ended_or_left_and_named(on_timeout: Any) -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        node = make_node(server.url, server.agent_id, run_timeout=0.2, on_timeout=on_timeout)
        with pytest.raises(RunTimeoutError) as caught:
            await graph_with(node).ainvoke(INPUT, ON_A_THREAD)
        assert caught.value.run_id == server.run.run_id
        assert server.run.cancelled == (on_timeout == "cancel")


async def test_a_run_that_someone_else_cancels_has_failed() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
        await seen(server, "wait_for_stateless_run_output")
        from acp_langgraph import AsyncACPClient  # noqa: PLC0415 - the someone else

        async with AsyncACPClient(server.url) as someone:
            await someone.cancel_stateless_run(server.run.run_id)
        with pytest.raises(ACPRunException, match="cancelled"):
            await job


async def test_of_a_hundred_graphs_at_once_the_cancelled_half_ends_and_the_rest_keeps_its_own(
    tmp_path: Path,
) -> None:
    chance = random.Random(11)

    async def work(state: Any) -> Any:
        await asyncio.sleep(chance.uniform(0.3, 0.8))
        return {"text": state["text"] * 2}

    with serve({"work": agent(work)}) as server:
        graph = graph_with(make_node(server.url, server.agent_ids["work"], timeout=30))

        async def one(number: int) -> Any:
            config: RunnableConfig = {"configurable": {"thread_id": str(number)}}
            return await graph.ainvoke({"ask": {"text": f"<{number}>"}}, config)

        jobs = [asyncio.create_task(one(number)) for number in range(100)]
        chosen = set(chance.sample(range(100), 50))
        for number in chosen:
            await asyncio.sleep(chance.uniform(0, 0.01))
            jobs[number].cancel()
        done = await asyncio.gather(*jobs, return_exceptions=True)
        for number, outcome in enumerate(done):
            if isinstance(outcome, asyncio.CancelledError):
                assert number in chosen
            else:
                assert outcome["answer"]["text"] == f"<{number}>" * 2
        async with asyncio.timeout(5):
            while server.count_runs().get("pending"):  # noqa: ASYNC110 - the server sends no event
                await asyncio.sleep(0.05)
