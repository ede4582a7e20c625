"""The events that streams have carried, so that a client that lost its connection misses none.

An event gets its id when it happens. Ids grow over all streams, and over restarts, too: they start
at the time of the server's start, in microseconds. A client names the last one that it has had in
the header `Last-Event-ID`, and gets what came after it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from pydantic_core import to_json

from acp_langgraph.server.database import Database

__all__ = ["Event", "Journal"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    last INTEGER NOT NULL,        -- whether its stream ended with it
    data BLOB NOT NULL            -- JSON
);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run_id, id);
CREATE TRIGGER IF NOT EXISTS events_go_with_their_run AFTER DELETE ON runs BEGIN
    DELETE FROM events WHERE run_id = OLD.run_id;
END;
"""
_MOST_KEPT: Final = 1000  # per run
_UNICODE_LINE_ENDS: Final = ("\u0085", "\u2028", "\u2029")


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a run's stream.

    Attributes:
        id: Larger than that of every event before.
        data: The update, as JSON.
        last: Whether the stream ends with it.
    """

    id: int
    data: bytes
    last: bool = False

    @property
    def frame(self) -> bytes:
        """The event as it is sent."""
        return b"id: %d\nevent: agent_event\ndata: %s\n\n" % (self.id, self.data)


class Journal:
    """Makes events and keeps them.

    Args:
        database: Where; opened before the first use, after the tables of runs were made.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids = count(1)

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables; to be done while the database is opened."""
        connection.executescript(_SCHEMA)
        [latest] = connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
        self._ids = count(max(latest + 1, time.time_ns() // 1000))

    def event(self, update: Mapping[str, Any], *, last: bool = False) -> Event:
        """Make an event that nobody keeps."""
        data = to_json(update)
        for line_end in _UNICODE_LINE_ENDS:
            # Legal in JSON and in an event, but many clients split lines there, httpx among them.
            data = data.replace(line_end.encode(), b"\\u%04x" % ord(line_end))
        return Event(next(self._ids), data, last)

    def keep(self, run_id: str, event: Event) -> None:
        """Keep an event of a run, of which only so many are kept."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO events (id, run_id, last, data) VALUES (?, ?, ?, ?)",
                (event.id, run_id, event.last, event.data),
            )
            connection.execute(
                "DELETE FROM events WHERE run_id = ? AND id <= ("
                "SELECT id FROM events WHERE run_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (run_id, run_id, _MOST_KEPT),
            )

        self._database.post(job)

    async def after(self, run_id: str, event_id: int) -> list[Event]:
        """The kept events of a run after one of them, oldest first."""
        rows = await self._database.run(
            lambda connection: connection.execute(
                "SELECT id, data, last FROM events WHERE run_id = ? AND id > ? ORDER BY id",
                (run_id, min(event_id, 2**62)),
            ).fetchall()
        )
        return [Event(id_, data, bool(last)) for id_, data, last in rows]

    async def end(self, run_id: str) -> Event | None:
        """The event with which the stream of a run ended, if it did and was kept."""
        rows = await self._database.run(
            lambda connection: connection.execute(
                "SELECT id, data, last FROM events WHERE run_id = ? ORDER BY id DESC LIMIT 1",
                (run_id,),
            ).fetchall()
        )
        return next((Event(id_, data, True) for id_, data, last in rows if last), None)
