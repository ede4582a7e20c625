"""What a fake server answers: a status, headers, and a body whole or piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

from acp_langgraph.testing.gate import Gate

__all__ = ["Piece", "Response"]

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
