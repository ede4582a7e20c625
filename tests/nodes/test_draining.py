"""Waits that end when the graph is drained."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl, Runtime

from acp_langgraph.nodes import performers
from acp_langgraph.nodes.performers import leave_if_drained, until_drained


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performers, "LOOK_EVERY", 0.001)


def runtime() -> Runtime[None]:
    return Runtime(control=RunControl())


def drain(*runtimes: Runtime[None]) -> None:
    for each in runtimes:
        assert each.control is not None
        each.control.request_drain("deploy")


async def for_ever(entered: asyncio.Event) -> None:
    entered.set()
    await asyncio.Event().wait()


async def at_once() -> None:
    await asyncio.sleep(0)


async def wait(runtime: Runtime[None], entered: asyncio.Event | None = None) -> None:
    await until_drained(runtime, for_ever, entered or asyncio.Event())


async def test_a_drain_ends_the_waits_of_its_graph_and_no_others() -> None:
    first, second = runtime(), runtime()
    waits = [asyncio.create_task(wait(each)) for each in (first, first, second)]
    await asyncio.sleep(0)
    drain(first)
    for each in waits[:2]:
        with pytest.raises(GraphDrained, match="deploy"):
            await each
    assert not waits[2].done()
    drain(second)
    with pytest.raises(GraphDrained):
        await waits[2]


async def test_what_is_drained_already_is_not_begun() -> None:
    drained = runtime()
    drain(drained)
    with pytest.raises(GraphDrained):
        await until_drained(drained, pytest.fail, "begun")
    with pytest.raises(GraphDrained):
        leave_if_drained(drained)


async def test_a_time_out_of_what_is_awaited_stays_one() -> None:
    async def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await until_drained(runtime(), late)


async def test_a_cancelled_wait_is_cancelled_and_not_drained() -> None:
    entered = asyncio.Event()
    task = asyncio.create_task(wait(runtime(), entered))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_awaited_ends_by_itself_where_nothing_is_drained() -> None:
    await until_drained(runtime(), until_drained, None, at_once)


async def test_after_a_pause_without_waits_a_drain_is_seen_again() -> None:
    await until_drained(runtime(), at_once)
    watch = performers._watches[asyncio.get_running_loop()]
    while watch._looks:  # noqa: ASYNC110 - what ends it is a timer of its own
        await asyncio.sleep(0)
    again = runtime()
    entered = asyncio.Event()
    task = asyncio.create_task(wait(again, entered))
    await entered.wait()
    drain(again)
    with pytest.raises(GraphDrained):
        await task


def test_an_event_loop_that_has_ended_is_not_held() -> None:
    loop = asyncio.new_event_loop()
    gone = weakref.ref(loop)
    drained = runtime()
    loop.call_later(0.0001, drain, drained)
    with pytest.raises(GraphDrained):
        loop.run_until_complete(wait(drained))
    loop.close()
    del loop
    gc.collect()
    assert gone() is None
