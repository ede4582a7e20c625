"""The events that streams have carried, so that a client that lost its connection misses none.

An event gets its id when it happens. Ids grow over all streams, and over restarts, too: they start
at the time of the server's start, in microseconds. A client names the last one that it has had in
the header `Last-Event-ID`, and gets what came after it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from pydantic_core import to_json

from acp_langgraph.acp.models import RunStatus, StreamingMode
from acp_langgraph.server.database import Database
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.wire import jsonable

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
MOST_BYTES: Final = 8 * 2**20  # the same; also of what waits to be stored, or to be read
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


class Backlog:
    """How much of a run's stream was handed in to be stored, and how much of that is kept."""

    def __init__(self) -> None:
        self.first = 0  # id of the first event
        self.stored = 0  # bytes; counted by the database's thread alone
        self._handed_in = 0
        self._kept: deque[tuple[int, int]] = deque()
        self._bytes = 0

    def add(self, event: Event) -> int | None:
        """Count an event; the oldest one to be kept besides, `None` if it is to be left out."""
        size = len(event.data)
        if not event.last and self._handed_in - self.stored > MOST_BYTES:
            return None
        self._handed_in += size
        self._bytes += size
        self.first = self.first or event.id
        self._kept.append((event.id, size))
        while self._bytes > MOST_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popleft()[1]
        return self._kept[0][0]


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

    def keep(self, run_id: str, event: Event, backlog: Backlog) -> None:
        """Keep an event of a run, of which only so many are kept, and so many bytes.

        What comes faster than it can be stored is left out, but for the end: whoever comes back
        gets what there is.
        """
        oldest = backlog.add(event)
        if oldest is None:
            return

        def job(connection: sqlite3.Connection) -> None:
            backlog.stored += len(event.data)
            connection.execute(
                "INSERT INTO events (id, run_id, last, data) SELECT ?, ?, ?, ? "
                "WHERE EXISTS (SELECT 1 FROM runs WHERE run_id = ?)",  # else who would clear up?
                (event.id, run_id, event.last, event.data, run_id),
            )
            connection.execute(
                "DELETE FROM events WHERE run_id = ? AND id <= ("
                "SELECT id FROM events WHERE run_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (run_id, run_id, _MOST_KEPT),
            )
            if oldest > backlog.first:
                connection.execute(
                    "DELETE FROM events WHERE run_id = ? AND id < ?", (run_id, oldest)
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


_log = logging.getLogger(__name__)

# No empty line after it: some clients, AGNTCY's among them, take one for an event without data.
KEEP_ALIVE: Final = b": keep-alive\n"
_LONGEST_QUEUE: Final = 1000


class Subscription:
    """One listener to a run; its events end when the run stops, or when it falls far behind.

    Then it comes back with the last event that it has had, and gets what is still kept.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(_LONGEST_QUEUE)
        self._bytes = 0
        self._closed = False

    def put(self, event: Event | None) -> None:
        """Hand an event over; `None` ends the subscription, as does a full queue."""
        if self._closed:
            return
        full = self._queue.qsize() >= _LONGEST_QUEUE - 1 or self._bytes > MOST_BYTES
        if event is None or full:
            self._closed = True
            event = None
        else:
            self._bytes += len(event.data)
        self._queue.put_nowait(event)

    async def next_within(self, seconds: float) -> Event | None:
        """The next event, `None` at the end.

        Raises:
            TimeoutError: If there was none in time.
        """
        async with asyncio.timeout(seconds):
            event = await self._queue.get()
        if event is not None:
            self._bytes -= len(event.data)
        return event


class Feed:
    """The stream of one run.

    Args:
        run: The run; it says what its streams carry.
        journal: Keeps the events.
        heard: Whether somebody may have listened before, or is about to.
    """

    def __init__(self, run: RunRecord, journal: Journal, *, heard: bool = False) -> None:
        self._run_id = run.run_id
        self._modes = wanted_modes(run.creation)
        self._journal = journal
        self._heard = heard
        self._backlog = Backlog()
        self._listeners: set[Subscription] = set()

    def subscribe(self) -> Subscription:
        """Listen to what comes from now on."""
        self._heard = True
        subscription = Subscription()
        self._listeners.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Listen no longer."""
        self._listeners.discard(subscription)

    def publish(self, mode: StreamingMode, payload: Any) -> None:
        """Make an event of what a graph streams; costs nothing where nobody ever listened."""
        if not self._heard or mode not in self._modes:
            return
        try:
            json = jsonable(payload)
        except ValueError:  # pydantic's serialization errors included
            _log.warning("run %s streamed something that cannot be written as JSON", self._run_id)
            return
        update: dict[str, Any] = {
            "type": mode.value,
            "run_id": self._run_id,
            "status": RunStatus.PENDING.value,
        }
        if mode is StreamingMode.CUSTOM:
            # The specification has objects there; a graph may write anything.
            update["update"] = json if isinstance(json, dict) else {"value": json}
        elif json is None:  # nothing yet; the specification has no null
            return
        else:
            update["values"] = json
        self._emit(self._journal.event(update))

    def end(self, run: RunRecord) -> None:
        """Tell what the run came to, and end every subscription."""
        if self._heard:
            self._emit(self._journal.event(closing_update(run), last=True))
        self.close()

    def close(self) -> None:
        """End every subscription."""
        for each in self._listeners:
            each.put(None)

    def _emit(self, event: Event) -> None:
        self._journal.keep(self._run_id, event, self._backlog)
        for each in self._listeners:
            each.put(event)


def closing_update(run: RunRecord) -> dict[str, Any]:
    """What a stream ends with: what the run came to."""
    output = dict(run.output or {})
    if output.get("type") == "result":
        output = {"values": {}, **output, "type": StreamingMode.VALUES.value}
    return {**output, "run_id": run.run_id, "status": run.status.value}


def wanted_modes(creation: dict[str, Any]) -> frozenset[StreamingMode]:
    """What the streams of a run carry: what was asked for at its creation, else its values."""
    asked = creation.get("stream_mode") or StreamingMode.VALUES
    return frozenset(map(StreamingMode, asked if isinstance(asked, list) else [asked]))
