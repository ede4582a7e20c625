"""One test body for both colors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

__all__ = ["Color"]

_END = object()


class Color:
    """How something is invoked: `sync` or `async`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def invoke(self, runnable: Any, value: Any, config: Any = None, **options: Any) -> Any:
        """Invoke a graph or a node to its end, each time on an event loop of its own if async."""
        if self.name == "sync":
            return runnable.invoke(value, config, **options)
        return asyncio.run(runnable.ainvoke(value, config, **options))

    def stream(self, runnable: Any, value: Any, config: Any = None, **options: Any) -> list[Any]:
        """All that a graph or a node yields."""
        with self.streaming(runnable, value, config, **options) as items:
            return list(items)

    @contextmanager
    def streaming(
        self, runnable: Any, value: Any, config: Any = None, **options: Any
    ) -> Iterator[Iterator[Any]]:
        """What a graph or a node yields, as it does; leaving early closes it."""
        if self.name == "sync":
            with closing(runnable.stream(value, config, **options)) as items:
                yield items
            return
        with asyncio.Runner() as runner:
            items = runnable.astream(value, config, **options)
            try:
                yield _pulled(runner, items)
            finally:
                runner.run(items.aclose())

    def invoke_each(self, runnable: Any, values: list[Any], config: Any = None) -> list[Any]:
        """Invoke one after the other; if async, all on one event loop."""
        if self.name == "sync":
            return [runnable.invoke(value, config) for value in values]

        async def each() -> list[Any]:
            return [await runnable.ainvoke(value, config) for value in values]

        return asyncio.run(each())

    @contextmanager
    def graph_over(self, builder: Any, database: Path) -> Iterator[Any]:
        """A graph over a SQLite checkpointer, as a process that was just started would have it."""
        if self.name == "sync":
            with ExitStack() as stack:
                saver = stack.enter_context(SqliteSaver.from_conn_string(str(database)))
                yield _Compiled(builder.compile(checkpointer=saver))
        else:
            yield _AsyncOverSqlite(builder, database)


def _pulled(runner: asyncio.Runner, items: AsyncGenerator[Any]) -> Iterator[Any]:
    async def pull() -> Any:
        return await anext(items, _END)

    while (item := runner.run(pull())) is not _END:
        yield item


class _Compiled:
    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def invoke(self, value: Any, config: Any, **options: Any) -> Any:
        return self._graph.invoke(value, config, **options)


class _AsyncOverSqlite:
    """An async saver belongs to an event loop, so it is opened anew for every invocation."""

    def __init__(self, builder: Any, database: Path) -> None:
        self._builder = builder
        self._database = database

    async def ainvoke(self, value: Any, config: Any, **options: Any) -> Any:
        async with AsyncExitStack() as stack:
            saver = await stack.enter_async_context(
                AsyncSqliteSaver.from_conn_string(str(self._database))
            )
            graph = self._builder.compile(checkpointer=saver)
            return await graph.ainvoke(value, config, **options)
