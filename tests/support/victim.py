"""A process that runs a graph, and dies where it is told to.

It is a zygote: everything is imported once, and every line of JSON on standard input is a job that is
done in a fork. A job names its module's `build(job)`, which gives the graph's builder, and what to
invoke it with; it may be `watched`, and by a process to which its server's habits are `known`; what is suspended is
`woken` by a "sweep" or a "notice". The fork kills itself with SIGKILL at the given tick; ticks are
counted before, during and after every HTTP exchange, before and after every write of the checkpointer,
and at everything that is watched.

Answers, a line each: {"exit": status, "ticks": ticks so far, "error": ..., "values": ...}.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import aiosqlite
import httpcore  # noqa: F401 - httpx would in every fork
import httpx
import langchain_core.tracers.context  # noqa: F401 - as LangChain would
import psycopg
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from support.postgres import ALONE, AS_SAVERS_NEED_IT

from acp_langgraph import Sweeper, WakeApp, WakeURL, split_interrupts
from acp_langgraph.core.webhooks import new_secret
from acp_langgraph.nodes.suspending import WOKEN

__all__ = ["main"]

SECRET = new_secret()


class Ticks:
    """Counts what happens, and kills the process at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.fatal = 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


tick = Ticks()


def streams(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def tick_at_exchanges() -> None:
    """Tick before and after every exchange, and once its body is read, on every user's connections."""
    send, ask = httpx.HTTPTransport.handle_request, aiohttp.ClientSession._request
    end = aiohttp.ClientResponse.close

    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        tick()
        response = send(self, request)
        tick()
        if not streams(response):
            response.read()
        tick()
        return response

    async def request(self: aiohttp.ClientSession, *args: Any, **options: Any) -> Any:
        tick()
        response = await ask(self, *args, **options)
        tick()
        return response

    def close(self: aiohttp.ClientResponse) -> None:
        end(self)
        tick()

    httpx.HTTPTransport.handle_request = handle_request  # type: ignore[method-assign]
    aiohttp.ClientSession._request = request  # type: ignore[method-assign]
    aiohttp.ClientResponse.close = close  # type: ignore[method-assign]


class Ticking:
    """A saver's writes, each with a tick before and after."""

    def put(self, *args: Any) -> Any:
        tick()
        done = super().put(*args)
        tick()
        return done

    def put_writes(self, *args: Any) -> None:
        tick()
        super().put_writes(*args)
        tick()


class AsyncTicking:
    """A saver's writes, each with a tick before and after."""

    async def aput(self, *args: Any) -> Any:
        tick()
        done = await super().aput(*args)
        tick()
        return done

    async def aput_writes(self, *args: Any) -> None:
        tick()
        await super().aput_writes(*args)
        tick()


class Saver(Ticking, SqliteSaver):
    pass


class AsyncSaver(AsyncTicking, AsyncSqliteSaver):
    pass


class SaverOnServer(Ticking, PostgresSaver):
    pass


class AsyncSaverOnServer(AsyncTicking, AsyncPostgresSaver):
    pass


@contextmanager
def saver_of(job: dict[str, Any]) -> Iterator[Any]:
    """A saver over a SQLite file, or over PostgreSQL with nobody else on the thread."""
    if not job["database"].startswith("postgresql:"):
        with Saver.from_conn_string(job["database"]) as saver:
            yield saver
        return
    with psycopg.Connection.connect(job["database"], **AS_SAVERS_NEED_IT) as connection:
        connection.execute(ALONE, (job["thread"],))
        yield SaverOnServer(connection)


@asynccontextmanager
async def async_saver_of(job: dict[str, Any]) -> AsyncIterator[Any]:
    """`saver_of`, awaiting."""
    if not job["database"].startswith("postgresql:"):
        async with aiosqlite.connect(job["database"]) as connection:
            yield AsyncSaver(connection)
        return
    opened = psycopg.AsyncConnection.connect(job["database"], **AS_SAVERS_NEED_IT)
    async with await opened as connection:
        await connection.execute(ALONE, (job["thread"],))
        yield AsyncSaverOnServer(connection)


def answer_to(question: Any, job: dict[str, Any]) -> Any:
    """The answer that a job holds for a question; without any, the question itself."""
    return job["answers"][question] if "answers" in job else question


def next_input(state: Any, job: dict[str, Any]) -> Any:
    """What to invoke the graph with, as someone would who finds it in this state."""
    if state.interrupts:
        asked = {
            each.id: job.get("answer") or answer_to(each.value, job) for each in state.interrupts
        }
        return Command(resume=asked if len(asked) > 1 else next(iter(asked.values())))
    return None if state.created_at else job["input"]


def wants_somebody(state: Any) -> bool:
    """Whether nobody goes on with a thread by itself: it asks, is to begin, or who began it has died."""
    questions, waits = split_interrupts(state)
    return bool(questions) or not (waits or WOKEN in (state.metadata or {}))


async def notify(graph: Any, job: dict[str, Any], state: Any) -> bool:
    """Have a `WakeApp` told of a thread's runs; whether it went on with one."""
    app, url = WakeApp(graph, secret=SECRET), WakeURL("http://app/wake", SECRET)
    _, waits = split_interrupts(state)
    keys = [wait.value["key"] for wait in waits] or ["of a wait that is over"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        notices = [await client.post(url.of(job["thread"], key)) for key in keys]
    await app.settled()
    return any(notice.status_code == 202 for notice in notices)


def is_done(state: Any) -> bool:
    """Whether the graph has come to its end; `next` is also empty before a checkpoint's last write."""
    return "answer" in state.values


def run(job: dict[str, Any]) -> Any:
    """Run the graph until it is done, blocking."""
    config = {"configurable": {"thread_id": job["thread"]}}
    options = {"durability": job["durability"]}
    with saver_of(job) as saver:
        graph = importlib.import_module(job["module"]).build(job).compile(checkpointer=saver)
        while not is_done(state := graph.get_state(config)):
            if job.get("woken") and not wants_somebody(state):
                if job["woken"] == "sweep" or not asyncio.run(notify(graph, job, state)):
                    Sweeper(graph).sweep()
                continue
            given = next_input(state, job)
            if job.get("watched"):
                for _ in graph.stream(given, config, stream_mode="custom", **options):
                    tick()
            else:
                graph.invoke(given, config, **options)
        return state.values


async def arun(job: dict[str, Any]) -> Any:
    """Run the graph until it is done, awaiting."""
    config = {"configurable": {"thread_id": job["thread"]}}
    options = {"durability": job["durability"]}
    async with async_saver_of(job) as saver:
        graph = importlib.import_module(job["module"]).build(job).compile(checkpointer=saver)
        while not is_done(state := await graph.aget_state(config)):
            if job.get("woken") and not wants_somebody(state):
                if job["woken"] == "sweep" or not await notify(graph, job, state):
                    await Sweeper(graph).asweep()
                continue
            given = next_input(state, job)
            if job.get("watched"):
                async for _ in graph.astream(given, config, stream_mode="custom", **options):
                    tick()
            else:
                await graph.ainvoke(given, config, **options)
        return state.values


def make_known(job: dict[str, Any]) -> None:
    """Have the job done twice over a saver in memory, after which a server's habits are known."""
    for name in ("first", "second"):
        config = {"configurable": {"thread_id": name}}
        again = {**job, "input": {"ask": {"text": name}}}
        builder = importlib.import_module(job["module"]).build(job)
        graph = builder.compile(checkpointer=InMemorySaver())
        while not is_done(state := graph.get_state(config)):
            graph.invoke(next_input(state, again), config)
    tick.count = 0


def in_a_fork(job: dict[str, Any]) -> None:
    """Do a job and tell what came of it."""
    tick.fatal = job["fatal"]
    answer: dict[str, Any] = {"exit": 0}
    try:
        values = run(job) if job["color"] == "sync" else asyncio.run(arun(job))
        answer["values"] = values["answer"]
    except Exception as error:  # noqa: BLE001 - told to the parent
        answer = {"exit": 1, "error": type(error).__name__, "message": str(error)}
    print(json.dumps({**answer, "ticks": tick.count}), flush=True)


def main() -> None:
    """Fork for every job."""
    tick_at_exchanges()
    known = set[str]()
    for line in sys.stdin:
        job = json.loads(line)
        importlib.import_module(job["module"])  # here, and not again in every fork
        if job.get("known") and job["url"] not in known:
            known.add(job["url"])
            make_known(job)
        child = os.fork()
        if not child:
            in_a_fork(job)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print(json.dumps({"exit": -os.WTERMSIG(status)}), flush=True)


if __name__ == "__main__":
    main()
