"""A run's stream as an HTTP response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from acp_langgraph.acp.models import RunStatus
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.streams import KEEP_ALIVE, Event, Subscription, closing_update
from acp_langgraph.server.wire import disconnected


class EventStream(Response):
    """Server-sent events of one run, until it stops or the client goes.

    Listening begins when the response is made, not when it is sent.

    Args:
        engine: Runs the run.
        run: The run.
        after: The last event that the client has had of an earlier stream of this run.
        keep_alive: Seconds between signs of life.
        on_gone: Awaited if the client goes before the end.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        engine: Engine,
        run: RunRecord,
        *,
        after: int | None,
        keep_alive: float,
        on_gone: Callable[[], Awaitable[None]],
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._engine = engine
        self._run = run
        self._after = after
        self._keep_alive = keep_alive
        self._on_gone = on_gone
        self._subscription = engine.subscribe(run.run_id)

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
        yield b": stream\n"  # so that clients and proxies see the beginning at once
        latest = self._after or 0
        if self._after is not None:
            for event in await self._engine.journal.after(self._run.run_id, latest):
                latest = event.id
                yield event.frame
        if self._subscription:
            async for piece in self._live_pieces(self._subscription, latest):
                yield piece
        elif end := await self._end(latest):
            yield end.frame

    async def _live_pieces(self, subscription: Subscription, latest: int) -> AsyncIterator[bytes]:
        while True:
            try:
                event = await subscription.next_within(self._keep_alive)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if event is None:
                return
            if event.id > latest:  # else it was kept, and sent, already
                yield event.frame

    async def _end(self, latest: int) -> Event | None:
        """What the stream of a run that is not pending ended with, unless the client has had it."""
        kept = await self._engine.journal.end(self._run.run_id)
        if kept is not None:
            return kept if kept.id > latest else None
        run = await self._engine.storage.get_run(self._run.run_id)
        if run is None or run.status is RunStatus.PENDING:
            return None
        return self._engine.journal.event(closing_update(run), last=True)
