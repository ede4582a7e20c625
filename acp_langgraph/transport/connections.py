"""The connections of one event loop to one server, over aiohttp.

httpx is what users hand in, but its own pool collapses with hundreds of requests at once, and even
over another pool an `httpx.AsyncClient` costs more than all else that a node does. So where the
connections are ours, aiohttp is used as it is.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import aiohttp
import httpx
from yarl import URL

from acp_langgraph.core.calls import Call
from acp_langgraph.transport.exchange import (
    LONGEST_HEAD,
    MOST_HEADERS,
    Endpoint,
    authorization_for,
    trusting_nobody,
)
from acp_langgraph.transport.peers import Connector, is_socks, socks_connector


@dataclass(frozen=True, slots=True)
class Answer:
    """The beginning of an answer; the body is still to come.

    Attributes:
        status: HTTP status code.
        headers: As they came.
        pieces: The decoded body, as it arrives.
        aclose: Ends the exchange; hangs up if there is more to come.
    """

    status: int
    headers: Mapping[str, str]
    pieces: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


def answer_of(response: httpx.Response) -> Answer:
    """What a response of httpx is."""
    return Answer(response.status_code, response.headers, response.aiter_bytes(), response.aclose)


class Connections:
    """A pool of connections; belongs to the event loop that it is made in."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._ways: dict[URL, _Way] = {}
        self._by_socks: dict[Any, aiohttp.ClientSession] = {}
        # Hundreds of runs wait at once, each on a connection of its own: no limit (0).
        # Each request says whom it trusts; what forgets to trusts nobody.
        self._session = _session(Connector(limit=0, ssl=trusting_nobody()))

    async def open(self, call: Call[Any], *, is_timed: bool = False) -> Answer:
        """Send a call's request.

        Args:
            call: What is sent.
            is_timed: Whether the caller has an eye on the time that all of it takes, so that no timer is
                needed for each piece of the answer.

        Raises:
            ApiValueError: If the body cannot be sent.
        """
        endpoint = self._endpoint
        url, headers, body = endpoint.url(call), endpoint.headers(call), call.encode()
        patience = endpoint.timeout(call)
        seconds = patience.connect, None if is_timed else patience.read
        response = await self._request(call.method, url, headers, body, *seconds)
        return Answer(
            response.status,
            response.headers,
            _Pieces(response),
            partial(_end, response),
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request of httpx's, for an authentication that reads and writes those."""
        self._endpoint.note(request)
        response = await self._request(
            request.method,
            str(request.url),
            request.headers,
            await request.aread(),
            *(request.extensions["timeout"][each] for each in ("connect", "read")),
        )
        headers = [
            (name, value)
            for name, value in response.headers.items()
            if name.lower() != "content-encoding"  # aiohttp has decoded the body
        ]
        return httpx.Response(
            response.status, headers=headers, stream=_Stream(response), request=request
        )

    async def aclose(self) -> None:
        """Close the connections."""
        for session in (self._session, *self._by_socks.values()):
            await session.close()

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        connect: float | None,
        read: float | None,
    ) -> Awaitable[aiohttp.ClientResponse]:
        where = URL(url, encoded=True)
        way = self._ways.get(where.origin())
        if way is None:
            way = self._ways[where.origin()] = self._way_to(where.origin())
        # Through a tunnel, what is for the proxy is said when it is built, and not within.
        tunnels = where.scheme == "https"
        return way.session.request(
            method,
            where,
            headers={**headers, **way.for_proxy} if way.for_proxy and not tunnels else headers,
            data=body,
            allow_redirects=False,  # credentials go to the configured origin only
            timeout=_aiohttp_timeout(connect, read),
            proxy=way.proxy,
            proxy_headers=way.for_proxy if tunnels else None,
            ssl=way.tls,
        )

    def _way_to(self, origin: URL) -> _Way:
        endpoint = self._endpoint
        proxy = endpoint.proxy(httpx.URL(str(origin)))
        is_tls = origin.scheme == "https" or (proxy is not None and proxy.url.scheme == "https")
        tls = endpoint.tls() if is_tls else True  # True: the connector's, which trusts nobody
        if proxy is None or not is_socks(proxy):
            url = None if proxy is None else str(proxy.url)
            return _Way(self._session, url, _credentials_for(proxy), tls)
        session = self._by_socks.get(key := (proxy.url, proxy.auth))
        if session is None:
            session = _session(socks_connector(proxy, limit=0, ssl=trusting_nobody()))
            self._by_socks[key] = session
        return _Way(session, None, {}, tls)


@dataclass(frozen=True, slots=True)
class _Way:
    """How an origin is reached: by which proxy, what that wants to see, and who vouches for them."""

    session: aiohttp.ClientSession
    proxy: str | None
    for_proxy: Mapping[str, str]
    tls: ssl.SSLContext | bool


@lru_cache
def _aiohttp_timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=read)


def _session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        # Cookies that one user of a node was given would be sent with another's requests.
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=["content-type"],  # what has no body has no type
        max_line_size=LONGEST_HEAD,
        max_field_size=LONGEST_HEAD,
        max_headers=MOST_HEADERS,
    )
    # It would repeat a PUT or a DELETE by itself; what may be repeated is a call's to say.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    return session


def _credentials_for(proxy: httpx.Proxy | None) -> dict[str, str]:
    """The headers that a proxy wants to see."""
    if proxy is None or proxy.raw_auth is None:
        return {}
    return {"proxy-authorization": authorization_for(proxy)}


class _Pieces(AsyncIterator[bytes]):
    """The decoded body of an answer, as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._content = response.content
        self._protocol = None if _has_an_end(response) else response._protocol  # noqa: SLF001 - see below

    async def __anext__(self) -> bytes:
        if piece := await self._content.readany():
            return piece
        # A body that says nothing of its end has it with the connection's. aiohttp does not tell if that
        # was a reset in the midst of it, but its protocol knows.
        if self._protocol is not None and isinstance(
            reset := self._protocol.exception(), aiohttp.ClientOSError
        ):
            raise reset
        raise StopAsyncIteration


def _has_an_end(response: aiohttp.ClientResponse) -> bool:
    """Whether an answer says where its body ends, or has none."""
    return (
        "content-length" in response.headers
        or "transfer-encoding" in response.headers
        or response.status in {204, 304}
        or response.method == "HEAD"
    )


class _Stream(httpx.AsyncByteStream):
    """The body of an answer, as httpx reads it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in _Pieces(self._response):
            yield piece

    async def aclose(self) -> None:
        await _end(self._response)


async def _end(response: aiohttp.ClientResponse) -> None:
    response.close()  # which leaves a connection alone that was read to the end
