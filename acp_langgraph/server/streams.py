"""What a run streams, and who listens.

A run's feed hands every event to whoever listens at that moment: as the specification says, a client
that joins gets what is produced from then on. Nothing is made of what nobody listens to. From the
first listener on, and from the start if the run was created with a stream mode, events are kept, too,
so that one who names the last event that it has had (0 for none) can be told what it missed.

Every stream ends with what the run came to: its final values, its question, or its error; so a
stream that just ends was cut off. Joining a run that is not running gives that end alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from acp_langgraph.acp.models import RunStatus, StreamingMode
from acp_langgraph.server.execution import jsonable
from acp_langgraph.server.journal import Event, Journal
from acp_langgraph.server.records import RunRecord

__all__ = ["KEEP_ALIVE", "Feed", "Subscription", "closing_update"]

_log = logging.getLogger(__name__)

# No empty line after it: some clients, AGNTCY's among them, take one for an event without data.
KEEP_ALIVE: Final = b": keep-alive\n"
_LONGEST_QUEUE: Final = 1000


class Subscription:
    """One listener to a run; its events end when the run stops, or when it falls far behind."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(_LONGEST_QUEUE)
        self._closed = False

    def put(self, event: Event | None) -> None:
        """Hand an event over; `None` ends the subscription, as does a full queue."""
        if self._closed:
            return
        if event is None or self._queue.qsize() >= _LONGEST_QUEUE - 1:
            self._closed = True
            event = None
        self._queue.put_nowait(event)

    async def next_within(self, seconds: float) -> Event | None:
        """The next event, `None` at the end.

        Raises:
            TimeoutError: If there was none in time.
        """
        async with asyncio.timeout(seconds):
            return await self._queue.get()


class Feed:
    """The stream of one run.

    Args:
        run: The run; it says what its streams carry.
        journal: Keeps the events.
        heard: Whether somebody may have listened before, or is about to.
    """

    def __init__(self, run: RunRecord, journal: Journal, *, heard: bool = False) -> None:
        self._run_id = run.run_id
        self._modes = _wanted_modes(run.creation)
        self._journal = journal
        self._heard = heard
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
        self._journal.keep(self._run_id, event)
        for each in self._listeners:
            each.put(event)


def closing_update(run: RunRecord) -> dict[str, Any]:
    """What a stream ends with: what the run came to."""
    output = dict(run.output or {})
    if output.get("type") == "result":
        output = {"values": {}, **output, "type": StreamingMode.VALUES.value}
    return {**output, "run_id": run.run_id, "status": run.status.value}


def _wanted_modes(creation: dict[str, Any]) -> frozenset[StreamingMode]:
    """What the streams of a run carry: what was asked for at its creation, else its values."""
    asked = creation.get("stream_mode") or StreamingMode.VALUES
    return frozenset(map(StreamingMode, asked if isinstance(asked, list) else [asked]))
