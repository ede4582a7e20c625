"""A run's stream as an HTTP response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from acp_langgraph.acp.models import RunStatus, StreamingMode
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.problems import Problem
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.streams import KEEP_ALIVE, Subscription, closing_event, frame
from acp_langgraph.server.wire import disconnected

__all__ = ["EventStream"]


class EventStream(Response):
    """Server-sent events of one run, until it stops or the client goes.

    Listening begins when the response is made, not when it is sent.

    Args:
        engine: Runs the run.
        run: The run.
        modes: What the stream carries besides its end.
        keep_alive: Seconds between signs of life.
        on_gone: Awaited if the client goes before the end.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        engine: Engine,
        run: RunRecord,
        modes: frozenset[StreamingMode],
        *,
        keep_alive: float,
        on_gone: Callable[[], Awaitable[None]],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._engine = engine
        self._run = run
        self._keep_alive = keep_alive
        self._on_gone = on_gone
        self._subscription = engine.subscribe(run.run_id, modes)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send events; the client's going ends it."""
        sending = asyncio.ensure_future(self._send(send))
        listening = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            else:
                await self._on_gone()
        finally:
            sending.cancel()
            listening.cancel()
            if self._subscription:
                self._engine.unsubscribe(self._run.run_id, self._subscription)

    async def _send(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        async for piece in self._pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield b": stream\n\n"  # so that clients and proxies see the beginning at once
        if self._subscription:
            async for piece in self._live_pieces(self._subscription):
                yield piece
        try:
            run = await self._engine.storage.get_run(self._run.run_id)
        except Problem:
            return
        # A run that is still pending fell behind or outlives this server: then there is no end.
        if run is not None and run.status is not RunStatus.PENDING:
            yield frame(closing_event(run))

    async def _live_pieces(self, subscription: Subscription) -> AsyncIterator[bytes]:
        while True:
            try:
                update = await subscription.next_within(self._keep_alive)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if update is None:
                return
            yield frame(update)
