"""The transport that awaits, over `httpx.AsyncClient`.

Connections belong to the event loop that opened them, so there is one client per loop. It is made
on the loop's first call, kept open, and closed together with the loop: an async generator that
waits inside `try/finally` holds it, and event loops finalize their generators before they close.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.drive import adrive
from acp_langgraph.core.flow import Ask, Flow, Listen, Pause, Progress, Step, Work
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.transport.closing import AsyncClosing
from acp_langgraph.transport.exchange import Endpoint, refuse_other_color, refuse_to_ask

__all__ = ["AsyncTransport"]

T = TypeVar("T")


class AsyncTransport(AsyncClosing):
    """Performs calls with one pooled `httpx.AsyncClient` per event loop, and runs flows.

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
        self._auth = auth
        self._given = client
        self._made: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncGenerator[None]]
        ] = weakref.WeakKeyDictionary()

    async def exchange(self, call: Call[Any]) -> Reply:
        """Perform one exchange, without retries; an error status is a reply like any other.

        Raises:
            ApiValueError: If the body cannot be sent.
            ApiConnectionError: If no answer came.
            AnswerTooLargeError: If the answer is larger than configured.
        """
        client = await self._client()
        request = self.endpoint.request(client, call)
        with self.endpoint.explained(request):
            response = await client.send(request, stream=True, **self._sending())
            try:
                body = self.endpoint.body(response)
                async for piece in response.aiter_bytes():
                    body.add(piece)
            finally:
                await response.aclose()
        return self.endpoint.reply(response, body.bytes())

    async def stream(self, call: Call[Any]) -> AsyncGenerator[bytes]:
        """Perform a call and yield its body as it arrives; closing the iterator hangs up.

        Raises:
            ApiException: If the server answers with an error status, or with something else than
                the stream that was asked for.
            ApiConnectionError: If the connection breaks.
        """
        client = await self._client()
        request = self.endpoint.request(client, call)
        with self.endpoint.explained(request):
            response = await client.send(request, stream=True, **self._sending())
            try:
                if not call.is_streamed_by(self.endpoint.reply(response, b"")):
                    body = self.endpoint.body(response)
                    async for piece in response.aiter_bytes():
                        body.add(piece)
                    call.read(self.endpoint.reply(response, body.bytes()))
                async for piece in response.aiter_bytes():
                    yield piece
            finally:
                await response.aclose()

    async def send(self, call: Call[T]) -> T:
        """Perform a call, repeating it where that does no harm, and read its result."""
        return await adrive(with_retries(call, self.retries), self)

    async def reply(self, call: Call[Any]) -> Reply:
        """Like `send`, but the reply as it came, error statuses included."""
        return await adrive(exchange(call, self.retries), self)

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end; its steps are performed and not remembered."""
        return await adrive(flow, self)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        made = self._made.pop(asyncio.get_running_loop(), None)
        if made is not None:
            await made[1].aclose()

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

    async def progress(self, progress: Progress) -> None:
        """Nobody listens."""

    async def work(self, work: Work[Any]) -> Any:
        """Do it."""
        return await work.awaiting()

    async def step(self, step: Step[Any]) -> Any:
        """Run the step's body."""
        return await adrive(step.body(), self)

    async def _client(self) -> httpx.AsyncClient:
        if self._given is not None:
            return self._given
        loop = asyncio.get_running_loop()
        made = self._made.get(loop)
        if made is None:
            client = self._make()
            keeper = _keep_open(client)
            self._made[loop] = client, keeper
            await anext(keeper)
            return client
        return made[0]

    def _make(self) -> httpx.AsyncClient:
        tls = self.endpoint.tls()
        proxy = self.endpoint.proxy()

        def session() -> aiohttp.ClientSession:
            # Hundreds of runs wait at once, each on a connection of its own: no limit (0).
            connector = aiohttp.TCPConnector(limit=0, ssl=tls)
            made = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=["content-type"],  # what has no body has no type
            )
            # It would repeat a PUT or a DELETE by itself; what may be repeated is a call's to say.
            made._retry_connection = False  # noqa: SLF001 - there is no public switch
            return made

        transport = AiohttpTransport(
            client=session, verify=tls, proxy=httpx.Proxy(proxy) if proxy else None
        )
        return httpx.AsyncClient(
            transport=transport,
            auth=self._auth,
            trust_env=False,  # the endpoint decides about proxies, once
            **self.endpoint.client_options(),
        )

    def _sending(self) -> dict[str, Any]:
        auth = {"auth": self._auth} if self._auth is not None else {}
        # Credentials go to the configured origin only, whatever a client of the caller's own does.
        return {"follow_redirects": False, **auth}


async def _keep_open(client: httpx.AsyncClient) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.aclose()
