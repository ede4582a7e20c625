"""From the bytes of a run's stream to its updates, without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from acp_langgraph.acp.models import RunOutputStream
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.sse import ServerSentEvent, SSEDecoder
from acp_langgraph.core.wire import read_json
from acp_langgraph.errors import ApiTypeError

T = TypeVar("T")

# `agent_event` is the protocol's only type; `message` is what an event without a type has.
TYPES = frozenset({"agent_event", "message"})


class EventReader:
    """Reads the stream of one run.

    Events of a type that the protocol does not know are passed on if they carry a JSON object. What is
    no update is skipped: proxies and frameworks put their own kinds of keep-alive into streams.

    Args:
        call: The call that is answered with the stream; named in errors.
        max_event_size: Characters that one event may have.
    """

    def __init__(self, call: Call[RunOutputStream], max_event_size: int) -> None:
        self._call = call
        self._decoder = SSEDecoder(max_event_size=max_event_size)

    @property
    def last_event_id(self) -> str:
        """What to send as `Last-Event-ID` to take the stream up again; empty if nothing."""
        return self._decoder.last_event_id

    def feed(self, chunk: bytes) -> Iterator[RunOutputStream]:
        """Take in the next bytes; the updates that are complete now.

        Raises:
            EventStreamError: If an event is too large.
        """
        return (update for _, update in self.read(chunk))

    def read(self, chunk: bytes) -> Iterator[tuple[ServerSentEvent, RunOutputStream]]:
        """Like `feed`, but every update together with the event that it came in."""
        for event in self._decoder.feed(chunk):
            update = self._update(event)
            if update is not None:
                yield event, update

    def close(self) -> None:
        """Say that the stream has ended; what it cut off is dropped.

        Raises:
            EventStreamError: If an event was too large.
        """
        self._decoder.close()

    def _update(self, event: ServerSentEvent) -> RunOutputStream | None:
        """The update in an event; `None` for what is none: `ping`, `[DONE]`, nothing at all."""
        try:
            data = read_json(event.data)
            if event.event in TYPES and "type" not in data:
                return None
            return RunOutputStream(id=event.id, event=event.event, data=data)
        except (ValueError, TypeError):
            return None


def read_events(call: Call[RunOutputStream], reply: Reply) -> list[RunOutputStream]:
    """The updates of a stream that came as a whole.

    Raises:
        ApiException: If the reply is an error, or something else than a stream of updates.
    """
    reader = EventReader(call, max_event_size=len(reply.content))
    if not call.is_streamed_by(reply):
        call.read(reply)
    return list(reader.feed(reply.content))


def streamed(call: Call[T]) -> Call[T]:
    """The same call.

    Raises:
        ApiTypeError: If it is not answered with a stream.
    """
    if not call.streams:
        raise ApiTypeError(f"{call.operation} is not answered with a stream; use send")
    return call


def unstreamed(call: Call[T]) -> Call[T]:
    """The same call.

    Raises:
        ApiTypeError: If it is answered with a stream, of which nobody would see the events.
    """
    if call.streams:
        raise ApiTypeError(f"{call.operation} is answered with a stream; use stream")
    return call
