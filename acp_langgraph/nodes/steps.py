"""Steps as LangGraph tasks, run in the place that the node has already.

LangGraph has only so many places to work in: threads for blocking graphs, `max_concurrency` for awaiting
ones. A task wants one of its own, and the node that waits for it keeps its own meanwhile; where as many
nodes as there are places wait like that, none ever goes on. So a step's task is run where the node is.

What is private in this, and pinned by tests: `__pregel_call` is a `partial` whose keyword `submit` leads
to what takes up the task. Where it is not, tasks are run as LangGraph runs them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any

from langgraph.config import get_config
from langgraph.func import task

__all__ = ["arun_as_task", "run_as_task"]


def run_as_task(body: Callable[[], Any]) -> Any:
    """Run a function as a task of the node that this is called in; its result is remembered.

    Args:
        body: Names the task by its `__name__`.
    """
    call = _call()
    if call is None:
        return task(body)().result()
    return _begin(call, body, _submit_here).result()


async def arun_as_task(body: Callable[[], Awaitable[Any]]) -> Any:
    """`run_as_task`, awaiting."""
    call = _call()
    executor = getattr(call.keywords["submit"](), "__self__", None) if call is not None else None
    if call is None or getattr(executor, "semaphore", None) is None:
        return await task(body)()
    return await _begin(call, body, partial(_submit_beside, executor))


def _call() -> partial[Any] | None:
    """What makes tasks of the node that this is called in, if it can be told where to run them."""
    call = get_config().get("configurable", {}).get("__pregel_call")
    found = isinstance(call, partial) and callable(call.keywords.get("submit"))
    return call if found else None


def _begin(call: partial[Any], body: Callable[[], Any], submit: Callable[..., Any]) -> Any:
    told = {**call.keywords, "submit": lambda: submit, "callbacks": get_config().get("callbacks")}
    told |= {"retry_policy": None, "cache_policy": None, "timeout": None}
    return call.func(*call.args, body, ((), {}), **told)


def _submit_here(function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
    """Do it now, in this thread; what ends the thread is raised, and all else is the future's."""
    future: Future[Any] = Future()
    meant = {name: options[name] for name in options if not name.startswith("__")}
    try:
        result = copy_context().run(function, *args, **meant)
    except Exception as error:  # noqa: BLE001 - whoever waits for it is told
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


def _submit_beside(executor: Any, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Have it done without a place of its own."""
    places, executor.semaphore = executor.semaphore, None
    try:
        return executor.submit(function, *args, **options)
    finally:
        executor.semaphore = places
