"""A process that works on one thread of a graph over PostgreSQL, as `examples/postgres_workers.py` does.

Through a pipe it says what it is at: `prepares`, before the remote node; `asks`, with the question;
`ends`, with the result; `fails`, with the error. After the first two it waits until it is told to go on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection as Pipe
from typing import Any, Self, TypedDict

import psycopg
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.postgres import ALONE, AS_SAVERS_NEED_IT

from acp_langgraph import ACPNode

__all__ = ["Worker"]


class State(TypedDict, total=False):
    ask: dict[str, Any]
    answer: Any


def build(url: str, agent: str, pipe: Pipe) -> Any:
    """The graph, still to be compiled: something is done here, then something elsewhere."""

    def prepare(_: State, config: RunnableConfig) -> State:
        pipe.send(("prepares", None))
        pipe.recv()
        return {"ask": {"text": config["configurable"]["thread_id"]}}

    builder = StateGraph(State)
    builder.add_node(prepare)
    builder.add_node(ACPNode("remote", agent, url, "ask", None, "answer", None))
    builder.add_edge(START, "prepare")
    builder.add_edge("prepare", "remote")
    return builder


class Worker:
    """A worker's process, seen from the test.

    Args:
        color: `sync` or `async`.
        uri: The database's.
        url: The agents'.
        agent: The agent's name.
        thread: The graph's thread.
    """

    def __init__(self, color: str, uri: str, url: str, agent: str, thread: str) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        job = (uri, url, agent, {"configurable": {"thread_id": thread}}, theirs)
        work = _work if color == "sync" else _work_awaiting
        self._process = context.Process(target=work, args=job, daemon=True)
        self._process.start()
        theirs.close()

    @classmethod
    @contextmanager
    def working(cls, *job: str) -> Iterator[Self]:
        """A worker that is killed, should it still be there at the end."""
        worker = cls(*job)
        try:
            yield worker
        finally:
            worker.kill()

    def hears(self, word: str) -> Any:
        """What the worker says next, which must begin with a word; the rest of it."""
        said, rest = self.pipe.recv()
        assert said == word, (said, rest)
        return rest

    def tell(self, answer: Any = None) -> None:
        """Have it go on, with the answer to what it asks."""
        self.pipe.send(answer)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.join()


@cache
def _context() -> Any:
    """Processes that are forks of one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", __name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def _work(uri: str, url: str, agent: str, config: Any, pipe: Pipe) -> None:
    with psycopg.Connection.connect(uri, **AS_SAVERS_NEED_IT) as connection:
        graph = build(url, agent, pipe).compile(checkpointer=PostgresSaver(connection))
        connection.execute(ALONE, (config["configurable"]["thread_id"],))
        try:
            state = graph.invoke(_next(graph.get_state(config)), config)
            while asked := state.get("__interrupt__"):
                pipe.send(("asks", asked[0].value))
                state = graph.invoke(Command(resume=pipe.recv()), config)
            pipe.send(("ends", state["answer"]))
        except psycopg.Error as error:
            pipe.send(("fails", str(error)))


def _work_awaiting(*job: Any) -> None:
    asyncio.run(_awork(*job))


async def _awork(uri: str, url: str, agent: str, config: Any, pipe: Pipe) -> None:
    connection = await psycopg.AsyncConnection.connect(uri, **AS_SAVERS_NEED_IT)
    async with connection:
        graph = build(url, agent, pipe).compile(checkpointer=AsyncPostgresSaver(connection))
        await connection.execute(ALONE, (config["configurable"]["thread_id"],))
        try:
            state = await graph.ainvoke(_next(await graph.aget_state(config)), config)
            while asked := state.get("__interrupt__"):
                pipe.send(("asks", asked[0].value))
                state = await graph.ainvoke(Command(resume=pipe.recv()), config)
            pipe.send(("ends", state["answer"]))
        except psycopg.Error as error:
            pipe.send(("fails", str(error)))


def _next(state: Any) -> Any:
    """What to invoke the graph with: its input, unless somebody did that before."""
    return None if state.created_at else {}
