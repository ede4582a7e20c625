"""The transport that awaits, over aiohttp.

Connections belong to the event loop that opened them, so there is one pool of them per loop. It is
made on the loop's first call, kept open, and closed together with the loop or with the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx

from acp_langgraph.auth.signing import asend_signed
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Ask, Begin, Flow, Listen, Pause, Progress, Step, Work, adrive
from acp_langgraph.core.processes import AsyncClosing, Copied, PerLoop, PerProcess
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.transport.connections import Answer, Connections, answer_of
from acp_langgraph.transport.exchange import (
    Endpoint,
    refuse_forked,
    refuse_other_color,
    refuse_to_ask,
)

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
