from __future__ import annotations

import asyncio
import inspect

import pytest

from acp_langgraph.server.containing import ExitError, contained


async def work():
    await asyncio.sleep(0)
    return "done"


async def test_how_far_a_task_is_shows_in_its_coroutine():
    task = contained(work())
    states = [inspect.getcoroutinestate(task.get_coro())]
    await asyncio.sleep(0)
    states.append(inspect.getcoroutinestate(task.get_coro()))

    assert await task == "done"
    states.append(inspect.getcoroutinestate(task.get_coro()))
    assert states == [inspect.CORO_CREATED, inspect.CORO_SUSPENDED, inspect.CORO_CLOSED]


async def test_a_task_that_is_cancelled_before_it_began_is_closed():
    task = contained(work())
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CLOSED


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
async def test_whoever_wants_to_end_the_process_ends_his_task(error):
    async def leave():
        raise error("enough")

    with pytest.raises(ExitError, match=f"{error.__name__}.*enough"):
        await contained(leave())
