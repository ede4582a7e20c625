"""Closes connections that only take up room: heads and bodies that do not come, and too many.

uvicorn has a time-out for what is idle between requests, and none for what has begun. Whoever opens
connections and sends half a request keeps a descriptor each, until there are none left for others. So
once a second all connections are looked at; and when there is no room for a new one, the one that has
let its request's head be waited for longest makes room, before anybody is refused.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from acp_langgraph.server.wire import Limits

_log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 1.0  # seconds
ACCEPTED_AT_ONCE: Final = 16  # before the first of them is looked at
_OTHER_DESCRIPTORS: Final = 64 + 4 * ACCEPTED_AT_ONCE  # of database, listeners, webhooks
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: 39\r\n\r\n"
    b'"too many connections; try again later"'
)


class Connections:
    """The open connections of a server.

    Args:
        limits: How many there may be, and what they are given time for.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most = max(min(limits.connections, _descriptors() - _OTHER_DESCRIPTORS), 1)
        self._since: dict[Any, tuple[Any, float]] = {}  # what each is at, and since when

    @property
    def protocol(self) -> type[asyncio.Protocol]:
        """What speaks HTTP on a connection: uvicorn's own, which tells of it here."""
        return type("Protocol", (_Protocol,), {"acp_connections": self})

    def opened(self, each: Any) -> bool:
        """Take note of a connection; whether there is room for it."""
        if len(self._since) >= self._most and not self._make_room():
            return False
        self._since[each] = (None, time.monotonic())
        return True

    def closed(self, each: Any) -> None:
        """Forget a connection."""
        self._since.pop(each, None)

    async def watch(self) -> None:
        """Close, every now and then, what has been waited for too long."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = time.monotonic()
            for each, (was_at, since) in list(self._since.items()):
                stands_at, patience = self._at(each)
                if stands_at != was_at:
                    self._since[each] = (stands_at, now)
                elif patience is not None and now - since > patience:
                    _drop(each)

    def _at(self, each: Any) -> tuple[Any, float | None]:
        """What a connection is at, and how long that may take."""
        cycle, unsent = each.cycle, each.transport.get_write_buffer_size()
        if unsent:  # for as long as it gets less, or more, somebody reads
            return ("sending", unsent), self._limits.body_seconds
        if cycle is None or cycle.response_complete:
            if each.timeout_keep_alive_task is not None:
                return ("idle",), None  # uvicorn sees to it
            return ("head", id(cycle)), self._limits.head_seconds
        if cycle.more_body:
            return ("body", id(cycle)), self._limits.body_seconds
        return ("answer",), None

    def _make_room(self) -> bool:
        for spare in ("head", "idle"):
            for each in self._since:  # oldest first
                if self._at(each)[0][0] == spare:
                    _drop(each)
                    del self._since[each]
                    return True
        return False


def _drop(each: Any) -> None:
    _log.info("a connection of %s was closed: nothing came", each.client)
    each.transport.abort()


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two classes
    acp_connections: Connections

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if not self.acp_connections.opened(self):
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.acp_connections.closed(self)
        super().connection_lost(exc)


def _descriptors() -> int:
    """How many descriptors this process may have."""
    if sys.platform == "win32":
        return 10_000
    import resource  # noqa: PLC0415 - not everywhere

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
