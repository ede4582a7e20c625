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
from typing import Final, NamedTuple

from acp_langgraph.errors import EventStreamError

__all__ = ["SSEDecoder", "ServerSentEvent"]

_LONG: Final = 1024
_BOM: Final = b"\xef\xbb\xbf"
_GLUED: Final = re.compile(rb"\A:+(?=(?:id|event|data|retry):)")
_MILLISECONDS: Final = re.compile(rb"[0-9]{1,15}")


class ServerSentEvent(NamedTuple):
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

    __slots__ = (
        "_after_cr",
        "_begun",
        "_event",
        "_failure",
        "_limit",
        "_loose",
        "_loose_size",
        "last_event_id",
    )

    def __init__(self, *, max_event_size: int = 16 * 2**20) -> None:
        self.last_event_id = ""
        self._limit = max_event_size
        self._begun = False
        self._after_cr = False
        self._failure: EventStreamError | None = None
        self._event = _Event()
        self._loose: list[bytes] = []  # pieces of a line that is not complete yet
        self._loose_size = 0

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
        *lines, rest = chunk.split(b"\n")
        events: list[ServerSentEvent] = []
        if lines:
            if self._loose:
                lines[0] = b"".join([*self._loose, lines[0]])
                self._loose.clear()
                self._loose_size = 0
            if not self._begun:
                self._begun = True
                lines[0] = lines[0].removeprefix(_BOM)
            self._take(lines, events)
        if rest:
            self._loose.append(rest)
            self._loose_size += len(rest)
        # A newline at the end may be half of the blank line, and so no part of the event.
        if self._event.size + self._loose_size > self._limit + (not self._loose_size):
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
        cut_off = self._event.is_something or bool(b"".join(self._loose).strip(b":"))
        self._event = _Event()
        self._loose.clear()
        self._loose_size = 0
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

    def _take(self, lines: list[bytes], events: list[ServerSentEvent]) -> None:
        """Take in whole lines, and add the events that they complete."""
        event = self._event
        for line in lines:
            if not line:
                if event.size > self._limit + 1:  # what is counted ends with a newline
                    self._fail()
                    return
                if event.id is not None:
                    self.last_event_id = event.id
                if event.data:
                    kind, data = event.kind or "message", "\n".join(event.data)
                    events.append(ServerSentEvent(kind, data, event.id, event.retry))
                event = self._event = _Event()
                continue
            if not event.size and line.startswith(b":"):
                line = _GLUED.sub(b"", line)  # noqa: PLW2901 - see the module's docstring
            event.size += len(line) + 1
            if len(line) > _LONG and line.startswith(b"data: "):  # is not cut up first
                event.data.append(line.decode("utf-8", "replace")[6:])
                event.is_something = True
                continue
            name, _, value = line.partition(b":")
            if name == b"data":
                event.data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            elif name == b"event":
                event.kind = value.removeprefix(b" ").decode("utf-8", "replace")
            elif name == b"id":
                if b"\0" not in value:
                    event.id = value.removeprefix(b" ").decode("utf-8", "replace")
            elif name == b"retry":
                if _MILLISECONDS.fullmatch(value := value.removeprefix(b" ")):
                    event.retry = int(value)
            elif not line.strip(b":"):
                continue
            event.is_something = True

    def _fail(self) -> None:
        self._loose.clear()
        self._failure = EventStreamError(
            f"an event of the stream is larger than {self._limit} bytes"
        )


class _Event:
    """What the lines since the last blank one say; `size` counts them with their ends."""

    __slots__ = ("data", "id", "is_something", "kind", "retry", "size")

    def __init__(self) -> None:
        self.kind = ""
        self.data: list[str] = []
        self.id: str | None = None
        self.retry: int | None = None
        self.size = 0
        self.is_something = False
