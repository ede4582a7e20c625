"""What has to be known of a checkpointer beside its interface: its database, and whether it blocks.

Locks and sweeps use the very connection or pool that checkpoints are stored with. Of LangGraph's own
savers these are public attributes (`conn`, `lock`), and so are, in effect, the tables, which other
versions of them must be able to read too. Of others nothing is known: they are listed by their interface.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from acp_langgraph.core.flow import Flow, Work

Kind: TypeAlias = Literal["postgres", "sqlite", "memory", "other"]

_HOMES: Final[dict[str, Kind]] = {
    "langgraph.checkpoint.postgres": "postgres",
    "langgraph.checkpoint.sqlite": "sqlite",
}


def kind_of(saver: Any) -> Kind:
    """Where a saver keeps what it is given."""
    if isinstance(saver, InMemorySaver):
        return "memory"
    for each in type(saver).__mro__:
        for home, kind in _HOMES.items():
            if each.__module__.startswith(home) and hasattr(saver, "conn"):
                return kind
    return "other"


def awaits(saver: Any) -> bool:
    """Whether a saver can be awaited; if not, a graph over it is invoked in a thread."""
    if kind_of(saver) in {"postgres", "sqlite"}:
        return inspect.iscoroutinefunction(type(saver).setup)
    return type(saver).aget_tuple is not BaseCheckpointSaver.aget_tuple


def rows(saver: Any, query: str, values: Sequence[Any]) -> Flow[list[tuple[Any, ...]]]:
    """What a saver's database answers to a query.

    Args:
        saver: One of PostgreSQL or SQLite.
        query: With `%s` for each value.
        values: The values.
    """
    if kind_of(saver) == "sqlite":
        query = query.replace("%s", "?")
        return (
            yield from Work(
                lambda: _of_sqlite(saver, query, values), lambda: _aof_sqlite(saver, query, values)
            )
        )
    return (
        yield from Work(
            lambda: _of_postgres(saver, query, values), lambda: _aof_postgres(saver, query, values)
        )
    )


def _of_sqlite(saver: Any, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with saver.lock:  # which the saver's own setup leaves to who calls it
        saver.setup()
        found = list(saver.conn.execute(query, values).fetchall())
        saver.conn.commit()
        return found


async def _aof_sqlite(saver: Any, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    await saver.setup()
    async with saver.lock:
        async with saver.conn.execute(query, values) as answer:
            found = list(await answer.fetchall())
        await saver.conn.commit()
        return found


def _of_postgres(saver: Any, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    if hasattr(saver.conn, "getconn"):
        with saver.conn.connection() as connection:
            return execute(connection, query, values)
    with saver.lock:
        return execute(saver.conn, query, values)


async def _aof_postgres(saver: Any, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    if hasattr(saver.conn, "getconn"):
        async with saver.conn.connection() as connection:
            return await aexecute(connection, query, values)
    async with saver.lock:
        return await aexecute(saver.conn, query, values)


def execute(connection: Any, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What PostgreSQL answers over a connection, whatever that makes of rows."""
    from psycopg.rows import tuple_row  # noqa: PLC0415 - only for those who have it

    with connection.cursor(row_factory=tuple_row) as cursor:
        found = list(cursor.execute(query, values).fetchall())
    if not connection.autocommit:
        connection.commit()
    return found


async def aexecute(connection: Any, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """`execute`, awaiting."""
    from psycopg.rows import tuple_row  # noqa: PLC0415 - as above

    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, values)
        found = list(await cursor.fetchall())
    if not connection.autocommit:
        await connection.commit()
    return found
