"""Server-sent events: bytes in, events out, no I/O.

The rules are those of WHATWG's HTML standard (section 9.2, server-sent events): lines end with CR,
LF or CRLF and with nothing else, a blank line dispatches an event, an event without data or one
that the end of the stream cuts off is dropped, and bytes that are not UTF-8 become U+FFFD. However
the network cuts the stream into chunks, the events are the same, and each one is out as soon as its
blank line is in.

One liberty is taken. AGNTCY's workflow server keeps a connection alive with a bare `:` that no
newline follows, so that it sticks to the next event: `:id: 5`. To the letter that is a comment, and
the id would be lost. So on the first line after a blank one, colons followed without a space by a
known field and its own colon are that field. `: id: 5` stays a comment, and so does `:id: 5` in the
midst of an event, where no keep-alive is ever sent. What is lost is a comment that is written like
a field where an event begins, which nobody has a reason to send.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from acp_langgraph.errors import EventStreamError

__all__ = ["SSEDecoder", "ServerSentEvent"]

_BOM: Final = b"\xef\xbb\xbf"
_GLUED: Final = re.compile(r"\A\n*:+(?=(?:id|event|data|retry):)")
_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """An event of a stream.

    Attributes:
        event: Its type; `message` if the server gave none.
        data: Its data; several `data` lines are joined by a newline.
        id: Its own id, `None` if it came without; `SSEDecoder.last_event_id` is what counts for
            taking up the stream again.
        retry: Milliseconds to wait before connecting again, if this event says so.
    """

    event: str
    data: str
    id: str | None = None
    retry: int | None = None


class SSEDecoder:
    """Reads one stream of server-sent events.

    Attributes:
        last_event_id: The id to take the stream up again with, as `Last-Event-ID`; empty if the
            server gave none. It stays until the server sends another one.

    Args:
        max_event_size: Bytes that may come without a blank line.
    """

    __slots__ = ("_after_cr", "_failure", "_limit", "_pending", "_started", "last_event_id")

    def __init__(self, *, max_event_size: int = 16 * 2**20) -> None:
        self.last_event_id = ""
        self._limit = max_event_size
        self._pending = bytearray()  # an event that is not complete yet
        self._started = False
        self._after_cr = False
        self._failure: EventStreamError | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take in the next bytes of the stream.

        Returns:
            The events that are complete now.

        Raises:
            EventStreamError: If an event is over the limit. Events that were complete before it are
                returned first, and the next call raises the error.
        """
        if self._failure:
            raise self._failure
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_newlines(chunk)
        events: list[ServerSentEvent] = []
        pending = self._pending
        if b"\n\n" in chunk or (chunk.startswith(b"\n") and pending.endswith(b"\n")):
            if pending:
                pending += chunk
                chunk = bytes(pending)
                pending.clear()
            *blocks, rest = chunk.split(b"\n\n")
            pending += rest
            for block in blocks:
                if len(block) > self._limit:
                    self._fail()
                    break
                event = self._event(block)
                if event:
                    events.append(event)
        else:
            pending += chunk
        # A newline at the end may be half of the blank line, and so no part of the event.
        if len(pending) > self._limit and len(pending) - pending.endswith(b"\n") > self._limit:
            self._fail()
        if self._failure and not events:
            raise self._failure
        return events

    def close(self) -> bool:
        """Say that the stream has ended.

        Returns:
            Whether the end cut something off, which is dropped. A keep-alive is not something.

        Raises:
            EventStreamError: If an event was over the limit.
        """
        if self._failure:
            raise self._failure
        cut_off = bool(self._pending.strip(b":\n"))
        self._pending.clear()
        return cut_off

    def _with_newlines(self, chunk: bytes) -> bytes:
        """The chunk with LF as its only line end.

        A CR at its end counts as one at once, for the LF that makes it a CRLF may be long in
        coming.
        """
        if not chunk:
            return chunk
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _event(self, block: bytes) -> ServerSentEvent | None:
        """What the lines up to a blank line say; `None` if they have no data."""
        if not self._started:
            self._started = True
            block = block.removeprefix(_BOM)
        text = block.decode("utf-8", "replace")
        if text.startswith((":", "\n")):
            text = _GLUED.sub("", text)
        kind, own_id, retry = "", None, None
        data: list[str] = []
        for line in text.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id":
                if "\0" not in value:
                    self.last_event_id = own_id = value
            elif name == "retry" and _MILLISECONDS.fullmatch(value):
                retry = int(value)
        return ServerSentEvent(kind or "message", "\n".join(data), own_id, retry) if data else None

    def _fail(self) -> None:
        self._pending.clear()
        self._failure = EventStreamError(
            f"an event of the stream is larger than {self._limit} bytes"
        )
