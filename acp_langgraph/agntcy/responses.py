"""Answers whose body is still to come, for `..._without_preload_content`.

They have what programs use of `urllib3.HTTPResponse` and of `aiohttp.ClientResponse`, which the reference
returns. No status is an error here. Who does not read to the end closes the answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from http.client import responses
from typing import Any, Self

import httpx

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.errors import Headers
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.exchange import Endpoint
from acp_langgraph.transport.nonblocking import Answer


class _Head:
    """What an answer begins with.

    Attributes:
        status: HTTP status code.
        reason: What HTTP calls it.
        headers: The headers; looked up in whatever case.
        closed: Whether it is over.
    """

    def __init__(self, endpoint: Endpoint, call: Call[Any], reply: Reply) -> None:
        self.status = reply.status
        self.reason = responses.get(reply.status, "")
        self.headers = Headers(reply.headers)
        self.closed = False
        self._endpoint, self._call = endpoint, call
        self._data: bytes | None = None
        self._left = b""

    def getheaders(self) -> Headers:
        """The headers."""
        return self.headers

    def getheader(self, name: str, default: Any = None) -> Any:
        """One of the headers."""
        return self.headers.get(name, default)

    def _take(self, most: int) -> bytes:
        taken, self._left = self._left[:most], self._left[most:]
        return taken

    def _take_line(self, *, last: bool) -> bytes | None:
        end = self._left.find(b"\n") + 1
        return self._take(end) if end else self._take(len(self._left)) if last else None


class RawResponse(_Head):
    """An answer whose body is still to come, blocking."""

    def __init__(
        self, endpoint: Endpoint, call: Call[Any], reply: Reply, response: httpx.Response
    ) -> None:
        super().__init__(endpoint, call, reply)
        self._response = response
        self._pieces = response.iter_bytes()

    @property
    def data(self) -> bytes:
        """The whole body."""
        if self._data is None:
            with self._endpoint.explained(self._call, logs=False):
                body = self._endpoint.body(self._call)
                with closing(self._response):
                    body.add(self._left)
                    for piece in self._pieces:
                        body.add(piece)
            self._data, self._left, self.closed = body.bytes(), b"", True
        return self._data

    def read(self, amt: int | None = None) -> bytes:
        """So many bytes of the body, or less at its end; all that is left of it by default."""
        if amt is None:
            return self.data
        while len(self._left) < amt and (piece := self._next()):
            self._left += piece
        return self._take(amt)

    def stream(self, amt: int | None = 65536) -> Iterator[bytes]:
        """The body as it comes, in pieces of at most so many bytes."""
        while self._left or not self.closed:
            self._left = self._left or self._next()
            if self._left:
                yield self._take(amt or len(self._left))

    def __iter__(self) -> Iterator[bytes]:
        """The lines of the body."""
        while (line := self._take_line(last=self.closed)) != b"":
            if line is not None:
                yield line
            else:
                self._left += self._next()

    def json(self) -> Any:
        """The JSON value of the body."""
        return json.loads(self.data)

    def close(self) -> None:
        """Hang up, unless it is over."""
        self.closed = True
        self._response.close()

    release_conn = drain_conn = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> bytes:
        if self.closed:
            return b""
        with self._endpoint.explained(self._call, logs=False):
            piece = next(self._pieces, b"")
        if not piece:
            self.close()
        return piece


class AsyncRawResponse(_Head):
    """An answer whose body is still to come, awaiting."""

    def __init__(self, endpoint: Endpoint, call: Call[Any], reply: Reply, answer: Answer) -> None:
        super().__init__(endpoint, call, reply)
        self._answer = answer
        self._pieces = aiter(answer.pieces)

    @property
    def content(self) -> Self:
        """The body as it comes: this answer itself."""
        return self

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400  # noqa: PLR2004 - where HTTP's errors begin

    async def read(self, n: int = -1) -> bytes:
        """So many bytes of the body, or less at its end; the whole body by default."""
        if n >= 0:
            while len(self._left) < n and (piece := await self._next()):
                self._left += piece
            return self._take(n)
        if self._data is None:
            with self._endpoint.explained(self._call, logs=False):
                body = self._endpoint.body(self._call)
                async with aclosing(self._answer):
                    body.add(self._left)
                    async for piece in self._answer.pieces:
                        body.add(piece)
            self._data, self._left, self.closed = body.bytes(), b"", True
        return self._data

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """The whole body as text."""
        return (await self.read()).decode(encoding or "utf-8", errors)

    async def json(self, **_: Any) -> Any:
        """The JSON value of the body."""
        return json.loads(await self.read())

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        while self._left or not self.closed:
            self._left = self._left or await self._next()
            if self._left:
                yield self._take(len(self._left))

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """The body as it comes, in pieces of at most so many bytes."""
        async for piece in self.iter_any():
            self._left = piece
            while self._left:
                yield self._take(n)

    async def readline(self) -> bytes:
        """The next line of the body; empty at its end."""
        while (line := self._take_line(last=self.closed)) is None:
            self._left += await self._next()
        return line

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines of the body."""
        while line := await self.readline():
            yield line

    async def aclose(self) -> None:
        """Hang up, unless it is over."""
        self.closed = True
        await self._answer.aclose()

    def release(self) -> asyncio.Task[None]:
        """Hang up, unless it is over; need not be awaited."""
        self._closing = asyncio.ensure_future(self.aclose())
        return self._closing

    close = release

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _next(self) -> bytes:
        if self.closed:
            return b""
        with self._endpoint.explained(self._call, logs=False):
            piece = await anext(self._pieces, b"")
        if not piece:
            await self.aclose()
        return piece


def opened(transport: Transport, call: Call[Any]) -> RawResponse:
    """Perform a call up to the body of its answer, whatever its status.

    Raises:
        ApiConnectionError: If no answer came.
    """
    with transport.endpoint.explained(call):
        response = transport._open(call)  # noqa: SLF001 - no other use would be right for who is no transport
        reply = transport.endpoint.reply(call, response.status_code, response.headers)
    return RawResponse(transport.endpoint, call, reply, response)


async def async_opened(transport: AsyncTransport, call: Call[Any]) -> AsyncRawResponse:
    """`opened`, awaiting."""
    with transport.endpoint.explained(call):
        answer = await transport._open(call)  # noqa: SLF001 - as above
        reply = transport.endpoint.reply(call, answer.status, answer.headers)
    return AsyncRawResponse(transport.endpoint, call, reply, answer)
