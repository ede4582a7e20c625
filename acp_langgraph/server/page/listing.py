"""The list of all runs, as the page shows it: what stands in a row, and only when something changed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from acp_langgraph.acp.models import RunStatus
from acp_langgraph.server.database import Database
from acp_langgraph.server.records import microseconds, moment_after

MOST: Final = 1000

_COLUMNS: Final = "run_id, agent_id, thread_id, stateless, status, created_at, updated_at"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs to list, newest first; `None` matches all.

    Attributes:
        agent_id: Of this agent.
        status: In this status.
        thread_id: On this thread.
        limit: How many; 0 only counts.
        seen: The version that is known already: how much was stored until then.
    """

    agent_id: str | None
    status: RunStatus | None
    thread_id: str | None
    limit: int
    seen: int | None


async def list_runs(database: Database, wanted: Wanted) -> dict[str, Any] | None:
    """The runs that match, in few words.

    Returns:
        `version`, `now`, the `counts` of all runs by status, and `runs`; times are in microseconds
        since 1970. `None`, if nothing was stored since the version that was seen.
    """
    return await database.run(partial(_list_runs, wanted))


def _list_runs(wanted: Wanted, connection: sqlite3.Connection) -> dict[str, Any] | None:
    version = connection.total_changes
    if wanted.seen == version:
        return None
    counts = connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    rules = {
        "agent_id": wanted.agent_id,
        "status": wanted.status,
        "thread_id": wanted.thread_id,
    }
    given = {column: value for column, value in rules.items() if value is not None}
    where = " AND ".join([f"{column} = ?" for column in given] or ["TRUE"])
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - of the words above
        (*given.values(), wanted.limit),
    )
    names = _COLUMNS.split(", ")
    return {
        "version": version,
        "now": microseconds(moment_after()),
        "counts": dict(counts),
        "runs": [dict(zip(names, row, strict=True)) for row in rows],
    }
