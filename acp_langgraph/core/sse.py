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

import codecs
import re
from typing import Final, NamedTuple, TypeAlias

from acp_langgraph.errors import EventStreamError

_UTF8: Final = codecs.getincrementaldecoder("utf-8")
_BOM: Final = "\ufeff"
_GLUED: Final = re.compile(r"\A:+(?=(?:id|event|data|retry):)")
_Partial: TypeAlias = tuple[list[str], str, str | None, int | None, int, bool]
"""Of an event that is not complete: `data`, `event`, `id` and `retry`; its size, line ends included; and
whether there is more to it than colons."""
_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")


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
        max_event_size: Characters that may come without a blank line.
    """

    __slots__ = (
        "_after_cr",
        "_begun",
        "_decode",
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
        self._decode = _UTF8("replace").decode
        self._begun = False
        self._after_cr = False
        self._failure: EventStreamError | None = None
        self._event: _Partial = ([], "", None, None, 0, False)
        self._loose: list[str] = []  # pieces of a line that is not complete yet
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
        text = self._decode(chunk)
        if not self._begun and text:
            self._begun = True
            text = text.removeprefix(_BOM)
        # Looked for among the bytes, which takes a tenth of the time where the text is not ASCII.
        has_cr = b"\r" in chunk
        if self._after_cr or has_cr:
            text = self._with_newlines(text)
        *lines, rest = text.split("\n") if has_cr or b"\n" in chunk else [text]
        events: list[ServerSentEvent] = []
        if lines:
            if self._loose:
                lines[0] = "".join([*self._loose, lines[0]])
                self._loose.clear()
                self._loose_size = 0
            self._take(lines, events)
        if rest:
            self._loose.append(rest)
            self._loose_size += len(rest)
        # A newline at the end may be half of the blank line, and so no part of the event.
        if self._event[4] + self._loose_size > self._limit + (not self._loose_size):
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
        data, *_, counts = self._event
        self._loose.append(self._decode(b"", final=True))
        cut_off = bool(data) or counts or bool("".join(self._loose).strip(":"))
        self._event = ([], "", None, None, 0, False)
        self._loose.clear()
        self._loose_size = 0
        return cut_off

    def _with_newlines(self, text: str) -> str:
        """The text with LF as its only line end.

        A CR at its end counts as one at once, for the LF that makes it a CRLF may be long in
        coming.
        """
        if not text:
            return text
        if self._after_cr:
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _take(self, lines: list[str], events: list[ServerSentEvent]) -> None:  # noqa: C901 - one loop, for speed
        """Take in whole lines, and add the events that they complete."""
        data, kind, own_id, retry, size, counts = self._event
        for line in lines:
            if not line:
                if size > self._limit + 1:  # what is counted ends with a newline
                    self._fail()
                    return
                if own_id is not None:
                    self.last_event_id = own_id
                if data:
                    whole = data[0] if len(data) == 1 else "\n".join(data)
                    events.append(ServerSentEvent(kind or "message", whole, own_id, retry))
                data, kind, own_id, retry, size, counts = [], "", None, None, 0, False
                continue
            if not size and line.startswith(":"):
                line = _GLUED.sub("", line)  # noqa: PLW2901 - see the module's docstring
            size += len(line) + 1
            if line.startswith("data: "):  # may be large, and is not copied twice
                data.append(line[6:])
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id":
                if "\0" not in value:
                    own_id = value
            elif name == "retry" and _MILLISECONDS.fullmatch(value):
                retry = int(value)
            counts = counts or bool(line.strip(":"))
        self._event = data, kind, own_id, retry, size, counts

    def _fail(self) -> None:
        self._loose.clear()
        self._failure = EventStreamError(
            f"an event of the stream is larger than {self._limit} characters"
        )
