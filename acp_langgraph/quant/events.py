"""The events of a streamed chat, from bytes, without I/O.

The API's documents show three (`start`, `content`, `done`); its own applications read a dozen more.
So an event is its name and its data, and the two that matter are at hand: `delta` and `is_last`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from acp_langgraph.core.calls import Call
from acp_langgraph.core.sse import SSEDecoder
from acp_langgraph.core.wire import read_json
from acp_langgraph.errors import QuantRunError, UnreadableAnswerException
from acp_langgraph.quant.wire import QuantWire

__all__ = ["ChatEvent", "ChatEventReader"]


class ChatEvent(QuantWire):
    """One event of a streamed chat.

    Attributes:
        event: E.g. `start`, `content`, `tool_start`, `tool_complete`, `tool_request`, `done`.
        data: What belongs to it.
    """

    event: str
    data: dict[str, Any]

    @property
    def delta(self) -> str:
        """The piece of text that this event adds to the answer."""
        delta = self.data.get("delta") if self.event == "content" else None
        return delta if isinstance(delta, str) else ""

    @property
    def is_last(self) -> bool:
        """Whether the stream is over; not whether the answer is: see `data["complete"]`."""
        return self.event == "done"


class ChatEventReader:
    """Reads the stream of one chat.

    Args:
        call: The call that is answered with the stream; named in errors.
        max_event_size: Characters that one event may have.
    """

    def __init__(self, call: Call[ChatEvent], max_event_size: int) -> None:
        self._call = call
        self._decoder = SSEDecoder(max_event_size=max_event_size)

    def feed(self, chunk: bytes) -> Iterator[ChatEvent]:
        """Take in the next bytes; the events that are complete now.

        Raises:
            EventStreamError: If an event is too large.
            QuantRunError: If the server says that the chat failed.
            UnreadableAnswerException: If an event holds no JSON object.
        """
        for event in self._decoder.feed(chunk):
            if event.data.strip() == "[DONE]":
                continue
            try:
                data = read_json(event.data)
            except ValueError:
                data = None
            if not isinstance(data, dict):
                raise UnreadableAnswerException(
                    f"{self._call.method} {self._call.path}",
                    200,
                    content=event.data.encode(),
                    problem=f"the event {event.event!r} of the stream holds no JSON object",
                )
            # Without an `event:` line the name is in the data.
            name = event.event if event.event != "message" else str(data.get("type", "message"))
            if name == "error":
                raise QuantRunError("chat", data.get("error") or data.get("message"))
            yield ChatEvent(event=name, data=data)

    def close(self) -> None:
        """Say that the stream has ended; what it cut off is dropped."""
        self._decoder.close()
