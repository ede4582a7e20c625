"""The transport that awaits, over aiohttp.

Connections belong to the event loop that opened them, so there is one pool of them per loop. It is
made on the loop's first call, kept open, and closed together with the loop or with the transport.

httpx is what users hand in, but its own pool collapses with hundreds of requests at once, and even
over another pool an `httpx.AsyncClient` costs more than all else that a node does. So where the
connections are ours, aiohttp is used as it is.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, TypeVar

import aiohttp
import httpx
from yarl import URL

from acp_langgraph.auth.signing import asend_signed
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Ask, Begin, Flow, Listen, Pause, Progress, Step, Work, adrive
from acp_langgraph.core.processes import AsyncClosing, Copied, PerLoop, PerProcess
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.transport.exchange import (
    LONGEST_HEAD,
    MOST_HEADERS,
    Endpoint,
    authorization_for,
    refuse_forked,
    refuse_other_color,
    refuse_to_ask,
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


T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _OnLoop:
    """What belongs to one event loop: connections, and the jobs that must be done before it ends."""

    connections: Connections | None
    jobs: set[asyncio.Task[Any]] = field(default_factory=set)

    async def aclose(self) -> None:
        while self.jobs:
            await asyncio.wait(self.jobs)
        if self.connections is not None:
            await self.connections.aclose()


class AsyncTransport(Copied, AsyncClosing):
    """Performs calls over one pool of connections per event loop, and runs flows.

    Args:
        configuration: Where and as whom to connect; a URL will do.
        client: A client of the caller's own, which stays open when this is closed.
        auth: Authentication of the caller's own.
        headers: Sent with every request.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        client: httpx.AsyncClient | None = None,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        refuse_other_color(client, httpx.AsyncClient)
        self.endpoint = Endpoint(configuration, client, headers)
        self.retries = self.endpoint.configuration.retries
        self.shown = self.endpoint.shown
        self._auth = auth
        self._given = client
        self._on_loop: PerProcess[PerLoop[_OnLoop]] = PerProcess(PerLoop)

    async def exchange(self, call: Call[Any]) -> Reply:
        """Perform one exchange, without retries; an error status is a reply like any other.

        Raises:
            ApiValueError: If the body cannot be sent.
            ApiConnectionError: If no answer came.
            AnswerTooLargeError: If the answer is larger than configured.
        """
        with self.endpoint.explained(call):
            async with (
                asyncio.timeout(self.endpoint.seconds(call)),
                aclosing(await self._open(call, is_timed=True)) as answer,
            ):
                body = self.endpoint.body(call)
                async for piece in answer.pieces:
                    body.add(piece)
        return self.endpoint.reply(call, answer.status, answer.headers, body.bytes())

    async def stream(self, call: Call[Any]) -> AsyncGenerator[bytes]:
        """Perform a call and yield its body as it arrives; closing the iterator hangs up.

        Raises:
            ApiException: If the server answers with an error status, or with something else than
                the stream that was asked for.
            ApiConnectionError: If the connection breaks.
        """
        seconds = self.endpoint.seconds(call)
        with self.endpoint.explained(call):
            loop = asyncio.get_running_loop()
            until = None if call.limit is None else loop.time() + call.limit
            async with asyncio.timeout(seconds):
                opened = await self._open(call)
            async with aclosing(opened) as answer:
                reply = self.endpoint.reply(call, answer.status, answer.headers)
                if not call.is_streamed_by(reply):
                    body = self.endpoint.body(call)
                    async with asyncio.timeout(seconds):
                        async for piece in answer.pieces:
                            body.add(piece)
                    call.read(replace(reply, content=body.bytes()))
                pieces = aiter(answer.pieces)
                while True:
                    async with asyncio.timeout_at(until):
                        piece = await anext(pieces, b"")
                    if not piece:
                        return
                    yield piece

    async def send(self, call: Call[T]) -> T:
        """Perform a call, repeating it where that does no harm, and read its result."""
        return await adrive(self.endpoint.timely(call, with_retries(call, self.retries)), self)

    async def reply(self, call: Call[Any]) -> Reply:
        """Like `send`, but the reply as it came, error statuses included."""
        return await adrive(self.endpoint.timely(call, exchange(call, self.retries)), self)

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end; its steps are performed and not remembered."""
        return await adrive(flow, self)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._on_loop.here().aclose()

    def finish(self, job: asyncio.Task[Any]) -> None:
        """Have a job done before its event loop ends, or the connections that it needs."""
        jobs = self._here().jobs
        jobs.add(job)
        job.add_done_callback(jobs.discard)

    # The performer's side: what a flow's effects mean outside of a graph.

    call = exchange

    async def listen(
        self, listen: Listen, tell: Callable[[Progress], Awaitable[None]] | None = None
    ) -> None:
        """Read a stream, telling what it says before reading on."""
        async with aclosing(self.stream(listen.call)) as pieces:
            async for piece in pieces:
                for progress in listen.reader.feed(piece):
                    await (tell or self.progress)(progress)
                if listen.reader.done:
                    return

    async def ask(self, ask: Ask) -> Any:
        """Refuse: outside of a graph nobody is there to answer."""
        return refuse_to_ask(ask)

    async def pause(self, pause: Pause) -> None:
        """Sleep."""
        await asyncio.sleep(pause.seconds)

    async def begin(self, begin: Begin) -> None:
        """Nobody could end it: what is run outside of a graph is run to its end."""

    async def progress(self, progress: Progress) -> None:
        """Nobody listens."""

    async def work(self, work: Work[Any]) -> Any:
        """Do it."""
        return await work.awaiting()

    async def step(self, step: Step[Any]) -> Any:
        """Run the step's body."""
        return await adrive(step.body(), self)

    def _open(self, call: Call[Any], *, is_timed: bool = False) -> Awaitable[Answer]:
        """Send a call's request; the body of the answer is still to be read."""
        if self._given is None and self._auth is None:
            return self._connections().open(call, is_timed=is_timed)
        return self._open_otherwise(call)

    async def _open_otherwise(self, call: Call[Any]) -> Answer:
        """By a client of the caller's own, or with an authentication of its own."""
        if self._given is not None:
            auth = httpx.USE_CLIENT_DEFAULT if self._auth is None else self._auth
            refuse_forked(self._given)
            request = self.endpoint.request_by(self._given, call)
            # Credentials go to the configured origin only, whatever the client's own habit is.
            response = await self._given.send(
                request, auth=auth, stream=True, follow_redirects=False
            )
            self.endpoint.note(response.request)
            return answer_of(response)
        assert self._auth is not None  # noqa: S101 - the caller has checked
        request, send = self.endpoint.request(call), self._connections().send
        signed = await asend_signed(
            self._auth, request, send, lambda: self.endpoint.body(call).count
        )
        return answer_of(signed)

    def _connections(self) -> Connections:
        connections = self._here().connections
        assert connections is not None  # noqa: S101 - the caller has checked
        return connections

    def _here(self) -> _OnLoop:
        on_loop = self._on_loop.here()
        here = on_loop.here()
        if here is None:
            refuse_forked(asyncio.get_running_loop())
            here = _OnLoop(Connections(self.endpoint) if self._given is None else None)
            on_loop.keep(here, here.aclose)
        return here
