"""Many suspended runs, a process that ends, and another one that finishes them, whatever becomes of the post."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from support.colors import Color
from support.receiving import Notice, receiving
from support.waking import SECRET, State, at, serving, suspending

from acp_langgraph import Sweeper, WakeApp, WakeURL


@pytest.fixture
def number(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--suspended"))


def graph_over(agents: Any, url: str, secret: str, saver: Any, seen: Counter[str]) -> Any:
    """The graph, in one process or the next."""
    lock = threading.Lock()

    def after(state: State) -> dict[str, Any]:
        with lock:
            seen[state["text"]] += 1
        return {"after": [state["text"]]}

    node = suspending(agents, wake_url=WakeURL(f"{url}/wake", secret))
    builder = StateGraph(State).add_node(node).add_node("after", after)
    builder.add_edge(START, "remote").add_edge("remote", "after")
    return builder.compile(checkpointer=saver)


def suspend(
    color: str, database: str, agents_url: str, url: str, secret: str, texts: list[str]
) -> None:
    """What the first process does, and then it ends."""
    agents, seen = SimpleNamespace(url=agents_url), Counter[str]()

    async def asuspend() -> None:
        async with AsyncSqliteSaver.from_conn_string(database) as saver:
            graph = graph_over(agents, url, secret, saver, seen)
            places = asyncio.Semaphore(16)

            async def one(text: str) -> None:
                async with places:
                    await graph.ainvoke({"text": text}, at(text))

            await asyncio.gather(*map(one, texts))

    if color == "async":
        asyncio.run(asuspend())
        return
    with SqliteSaver.from_conn_string(database) as saver, ThreadPoolExecutor(16) as threads:
        graph = graph_over(agents, url, secret, saver, seen)
        list(threads.map(lambda each: graph.invoke({"text": each}, at(each)), texts))


class Waker:
    """A `WakeApp` that opens its saver on the event loop that it is served by."""

    def __init__(self, color: Color, database: str, make: Callable[[Any], Any]) -> None:
        self._color, self._database, self._make = color, database, make
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[WakeApp] | None = None

    async def __call__(self, *request: Any) -> None:
        self._opening = self._opening or asyncio.create_task(self._open())
        await (await self._opening)(*request)

    async def settled(self) -> None:
        """Return when all is gone on with, and the saver is closed."""
        if self._opening is not None:
            await (await self._opening).settled()
            await self._stack.aclose()

    async def _open(self) -> WakeApp:
        saver = await entered(self._color, self._database, self._stack)
        return WakeApp(self._make(saver), secret=SECRET)


async def entered(color: Color, database: str, stack: AsyncExitStack) -> Any:
    """A saver, until the stack is closed."""
    if color.name == "sync":
        return stack.enter_context(SqliteSaver.from_conn_string(database))
    return await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(database))


@contextmanager
def opened(color: Color, database: str) -> Iterator[tuple[Any, Callable[..., Any]]]:
    """A saver, and what calls a method, or the one that is awaited."""
    with asyncio.Runner() as runner:

        def do(of: Any, name: str, *given: Any) -> Any:
            if color.name == "sync":
                return getattr(of, name)(*given)
            return runner.run(getattr(of, f"a{name}")(*given))

        stack = AsyncExitStack()
        try:
            yield runner.run(entered(color, database, stack)), do
        finally:
            runner.run(stack.aclose())


def test_all_are_finished_once_though_notices_are_lost_doubled_forged_and_late(
    color: Color, number: int, tmp_path: Path
) -> None:
    texts = [f"{uuid.uuid4().hex}" for _ in range(number)]
    chance, seen = random.Random(7), Counter[str]()
    database = str(tmp_path / "a.sqlite")
    with receiving() as post, serving() as agents:
        given = (color.name, database, agents.url, post.url, SECRET, texts)
        if color.name == "async" or number > 100:  # a process costs some seconds
            first = multiprocessing.get_context("spawn").Process(target=suspend, args=given)
            first.start()
            first.join()
            assert first.exitcode == 0
        else:
            suspend(*given)
        assert agents.runs() == {"pending": number}

        def make(saver: Any) -> Any:
            return graph_over(agents, post.url, SECRET, saver, seen)

        fates: dict[str, int] = {}

        def times(notice: Notice) -> int:
            return fates.setdefault(notice.path, chance.choice([0, 0, 0, 1, 1, 1, 1, 1, 2, 3]))

        post.times, post.app = times, Waker(color, database, make)
        with opened(color, database) as (saver, do):
            graph = make(saver)
            agents.let_go(*texts)
            forge = WakeURL(f"{post.url}/wake", "whsec_" + "A" * 32)
            sweeper = Sweeper(graph)
            while len(seen) < number:
                do(sweeper, "sweep")
                forged = forge.of(chance.choice(texts), "key")
                fates[forged.removeprefix(post.url)] = 1
                assert httpx.post(forged).status_code == 404
            genuine = [each for each in post.notices if each.answered != 404]
            for notice in chance.sample(genuine, min(len(genuine), 20)):
                fates[notice.path] = 1
                assert httpx.post(post.url + notice.path).status_code in {200, 202}
            while do(sweeper, "sweep").woken:
                pass
            done = [do(graph, "get_state", at(each)).values["after"] for each in texts]
        assert set(seen.values()) == {1}
        assert done == [[each.upper()] for each in texts]
        assert agents.runs() == {"success": number}
