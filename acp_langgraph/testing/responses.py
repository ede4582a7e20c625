"""What a fake server answers, whole or piece by piece, and what holds an answer back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias


class Gate:
    """Closed until the test opens it.

    Whatever reaches a closed gate (a request, a piece of a stream, a run of a scripted agent) waits
    there; `wait_arrival` tells the test that it did, so that neither side needs to sleep:

        gate = Gate("composing")
        with FakeACPServer([Work(gate), Answer({"text": "done"})]) as server:
            ...                    # start the client in a thread or a task
            gate.wait_arrival()    # the run is at work now
            gate.open()            # and now it may finish

    Args:
        name: Names the gate in messages.
    """

    def __init__(self, name: str = "gate") -> None:
        self.name = name
        self._condition = threading.Condition()
        self._is_open = False
        self._arrived = 0
        self._listeners: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Gate {self.name!r}, {'open' if self._is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether what arrives may pass."""
        return self._is_open

    @property
    def arrived(self) -> int:
        """How many have come to the gate so far, waiting or passed."""
        return self._arrived

    def open(self) -> None:
        """Let everything pass, now and later."""
        with self._condition:
            self._is_open = True
            listeners, self._listeners = self._listeners, []
        for listener in listeners:  # outside the lock: a listener takes its server's
            listener()

    def close(self) -> None:
        """Hold back what arrives from now on."""
        with self._condition:
            self._is_open = False

    def arrive(self, listener: Callable[[], None]) -> None:
        """Come to the gate; a fake's business.

        Args:
            listener: Called once, when the gate opens.
        """
        with self._condition:
            self._arrived += 1
            self._condition.notify_all()
            if not self._is_open:
                self._listeners.append(listener)

    def wait_arrival(self, n: int = 1, *, timeout: float = 5.0) -> None:
        """Wait until `n` have come to the gate.

        Raises:
            TimeoutError: If fewer came within `timeout` seconds.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._arrived >= n, timeout):
                raise TimeoutError(
                    f"{self._arrived} of {n} arrived at the gate {self.name!r} in {timeout} s"
                )


Piece: TypeAlias = bytes | Gate


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status code.
        headers: Names and values, in the order to send.
        body: Bytes, sent with their length; or pieces, each sent by itself as soon as it is there
            (chunked, unless the headers say a length). A `Gate` among the pieces holds the rest.
        raw: The pieces are everything: status line, headers and framing included. The connection
            is closed after them. For bytes recorded from a real server.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[Piece] = field(default=b"", repr=False)
    raw: bool = False

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Self:
        """A JSON value."""
        return cls.text(
            json.dumps(value, ensure_ascii=False), status, "application/json", headers=headers
        )

    @classmethod
    def text(
        cls,
        text: str,
        status: int = 200,
        content_type: str = "text/plain; charset=utf-8",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Text of any content type."""
        fields = {"content-type": content_type, **(headers or {})}
        return cls(status, tuple(fields.items()), text.encode())

    @classmethod
    def empty(cls, status: int = 204) -> Self:
        """No body and no content type."""
        return cls(status)

    @classmethod
    def stream(
        cls, pieces: Iterable[Piece], content_type: str = "text/event-stream", status: int = 200
    ) -> Self:
        """Pieces, each written by itself; server-sent events unless said otherwise."""
        return cls(status, (("content-type", content_type),), pieces)

    @classmethod
    def recorded(cls, pieces: Iterable[Piece]) -> Self:
        """Bytes of a whole answer as they once were on the wire, from the status line on."""
        return cls(body=pieces, raw=True)

    def pieces(self) -> Iterator[Piece]:
        """The body, piece by piece."""
        if isinstance(self.body, bytes):
            if self.body:
                yield self.body
        else:
            yield from self.body

    def read(self) -> Self:
        """The same answer with its body in one piece; gates in it are passed over."""
        if isinstance(self.body, bytes):
            return self
        return replace(
            self, body=b"".join(piece for piece in self.body if isinstance(piece, bytes))
        )

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def close(self) -> None:
        """Give up a body that is not going to be sent."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()
