"""Authentication of the caller's own, on connections of ours.

An `httpx.Auth` is a conversation: it is given a request, yields what to send, is given the answer, and
may yield once more, e.g. with a token that it has just fetched. Here that conversation is held over
whatever sends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, closing
from http import HTTPStatus
from typing import Any

import aiohttp
import httpx


class ElsewhereError(Exception):
    """Somebody else failed, whom an authentication asks, before anything reached the server.

    Attributes:
        url: Whom it asked.
    """

    def __init__(self, url: httpx.URL) -> None:
        self.url = f"{url.scheme}://{url.netloc.decode()}"


def send_signed(
    auth: httpx.Auth,
    request: httpx.Request,
    send: Callable[[httpx.Request], httpx.Response],
    taken_in: Callable[[], Callable[[bytes], None]],
) -> httpx.Response:
    """Send a request the way an authentication wants it, blocking; the answer to the last one.

    Args:
        auth: Signs the request, and sees every answer.
        request: What is to be sent, with its time-outs among its extensions.
        send: Sends one request; the body of its answer is still to be read.
        taken_in: Makes what takes in an answer's pieces, and raises if they become too many.
    """
    own, patience, history = request.url, request.extensions["timeout"], list[httpx.Response]()
    with closing(auth.sync_auth_flow(request)) as conversation:
        request = next(conversation)
        while True:
            request.extensions.setdefault("timeout", patience)  # also where it fetches a token
            try:
                response = send(request)
            except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
                if _is_elsewhere(request, own, history):
                    raise ElsewhereError(request.url) from error
                raise
            response.request, response.history = request, list(history)
            response.stream = _Bounded(response.stream, taken_in())
            try:
                try:
                    request = conversation.send(response)
                except StopIteration:
                    return response
                response.read()  # which keeps its connection; it may be looked at once more
                history.append(response)
            except BaseException:
                response.close()
                raise


async def asend_signed(
    auth: httpx.Auth,
    request: httpx.Request,
    send: Callable[[httpx.Request], Awaitable[httpx.Response]],
    taken_in: Callable[[], Callable[[bytes], None]],
) -> httpx.Response:
    """`send_signed`, awaiting."""
    own, patience, history = request.url, request.extensions["timeout"], list[httpx.Response]()
    async with aclosing(auth.async_auth_flow(request)) as conversation:
        request = await anext(conversation)
        while True:
            request.extensions.setdefault("timeout", patience)  # also where it fetches a token
            try:
                response = await send(request)
            except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
                if _is_elsewhere(request, own, history):
                    raise ElsewhereError(request.url) from error
                raise
            response.request, response.history = request, list(history)
            response.stream = _AsyncBounded(response.stream, taken_in())
            try:
                try:
                    request = await conversation.asend(response)
                except StopAsyncIteration:
                    return response
                await response.aread()
                history.append(response)
            except BaseException:
                await response.aclose()
                raise


class _Bounded(httpx.SyncByteStream):
    """A body up to a size, also where an authentication reads it."""

    def __init__(self, stream: Any, take_in: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._take_in = take_in

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._take_in(piece)
            yield piece

    def close(self) -> None:
        self._stream.close()


class _AsyncBounded(httpx.AsyncByteStream):
    """`_Bounded`, awaiting."""

    def __init__(self, stream: Any, take_in: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._take_in = take_in

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._take_in(piece)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def _is_elsewhere(request: httpx.Request, own: httpx.URL, history: list[httpx.Response]) -> bool:
    """Whether a request is to another one than the server, who has taken nothing up so far."""
    refused = all(
        seen.status_code == HTTPStatus.UNAUTHORIZED for seen in history if _same(seen.url, own)
    )
    return refused and not _same(request.url, own)


def _same(url: httpx.URL, other: httpx.URL) -> bool:
    return (url.scheme, url.netloc) == (other.scheme, other.netloc)
