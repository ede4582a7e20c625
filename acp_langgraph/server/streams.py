"""What a run streams, and how it looks on the wire.

A run's feed hands every event to whoever listens at that moment and keeps none: the specification
sends only what is produced after a client joined. Every stream ends with what the run came to:
its final values, its question, or its error; so a stream that just ends was cut off. Joining a run
that is not running gives that end alone.

Event ids grow over the life of the server.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any, Final

from pydantic_core import to_json

from acp_langgraph.acp.models import RunStatus, StreamingMode
from acp_langgraph.server.execution import jsonable
from acp_langgraph.server.records import RunRecord

__all__ = ["KEEP_ALIVE", "Feed", "Subscription", "closing_event", "frame", "wanted_modes"]

_log = logging.getLogger(__name__)

KEEP_ALIVE: Final = b": keep-alive\n\n"
_LONGEST_QUEUE: Final = 1000
_UNICODE_LINE_ENDS: Final = ("\u0085", "\u2028", "\u2029")
_ids: Final = count(1)


class Subscription:
    """One listener to a run; its updates end when the run stops, or when it falls far behind."""

    def __init__(self, modes: frozenset[StreamingMode]) -> None:
        self.modes = modes
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_LONGEST_QUEUE)
        self._closed = False

    def put(self, update: dict[str, Any] | None) -> None:
        """Hand an update over; `None` ends the subscription, as does a full queue."""
        if self._closed:
            return
        if update is None or self._queue.qsize() >= _LONGEST_QUEUE - 1:
            self._closed = True
            update = None
        self._queue.put_nowait(update)

    async def next_within(self, seconds: float) -> dict[str, Any] | None:
        """The next update, `None` at the end.

        Raises:
            TimeoutError: If there was none in time.
        """
        async with asyncio.timeout(seconds):
            return await self._queue.get()


class Feed:
    """The listeners of one run."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._listeners: set[Subscription] = set()

    def subscribe(self, modes: frozenset[StreamingMode]) -> Subscription:
        """Listen to what comes from now on."""
        subscription = Subscription(modes)
        self._listeners.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Listen no longer."""
        self._listeners.discard(subscription)

    def publish(self, mode: StreamingMode, payload: Any) -> None:
        """Hand an update to those who want its mode; costs nothing where nobody does."""
        listeners = [each for each in self._listeners if mode in each.modes]
        if not listeners:
            return
        try:
            json = jsonable(payload)
        except ValueError:  # pydantic's serialization errors included
            _log.warning("run %s streamed something that cannot be written as JSON", self._run_id)
            return
        field = "values" if mode is StreamingMode.VALUES else "update"
        update = {
            "type": mode.value,
            "run_id": self._run_id,
            "status": RunStatus.PENDING.value,
            field: json,
        }
        for each in listeners:
            each.put(update)

    def close(self) -> None:
        """End every subscription."""
        for each in self._listeners:
            each.put(None)


def wanted_modes(creation: dict[str, Any]) -> frozenset[StreamingMode]:
    """What the streams of a run carry: what was asked for at its creation, else its values."""
    asked = creation.get("stream_mode") or StreamingMode.VALUES
    return frozenset(map(StreamingMode, asked if isinstance(asked, list) else [asked]))


def closing_event(run: RunRecord) -> dict[str, Any]:
    """The last update of a stream: what the run came to."""
    output = dict(run.output or {})
    if output.get("type") == "result":
        output = {"values": {}, **output, "type": StreamingMode.VALUES.value}
    return {**output, "run_id": run.run_id, "status": run.status.value}


def frame(update: dict[str, Any]) -> bytes:
    """An update as a server-sent event."""
    data = to_json(update)
    for line_end in _UNICODE_LINE_ENDS:
        # Legal in JSON and in the event, but many clients split lines there, httpx among them.
        data = data.replace(line_end.encode(), b"\\u%04x" % ord(line_end))
    return b"id: %d\nevent: agent_event\ndata: %s\n\n" % (next(_ids), data)
