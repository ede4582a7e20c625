"""Locks of a PostgreSQL's sessions: who loses the connection, or dies, loses them."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Any, Final

from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.waking.savers import aexecute, execute

_log = logging.getLogger("acp_langgraph.waking")

_TAKE: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_GIVE: Final = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


class Session:
    """The locks that a saver's session has: that of its connection, or of one that its pool spares.

    Were there a connection for each lock, a pool could run out of them before a checkpoint is stored.

    Args:
        saver: The saver.

    Raises:
        NodeConfigurationError: If the pool has one connection only.
    """

    def __init__(self, saver: Any) -> None:
        self._from, self._savers = saver.conn, saver.lock
        self._is_pool = hasattr(saver.conn, "getconn")
        self._connection: Any = None if self._is_pool else saver.conn
        self._count = 0
        self._guard, self._aguard = threading.Lock(), asyncio.Lock()
        if self._is_pool and getattr(saver.conn, "max_size", None) == 1:
            raise NodeConfigurationError(
                "a pool of one connection has none to spare for locks; give the saver's pool "
                "max_size=2 or more"
            )

    def take(self, thread_id: str) -> Flow[bool]:
        """Take a thread's lock, if it is free."""
        return (yield from Work(lambda: self._take(thread_id), lambda: self._atake(thread_id)))

    def give(self, thread_id: str) -> Flow[None]:
        """Give it back."""
        had = yield from Work(lambda: self._give(thread_id), lambda: self._agive(thread_id))
        if not had:
            _log.warning(
                "the lock of thread %s was lost with its connection while it was needed; somebody else "
                "may have gone on with the thread at the same time",
                thread_id,
            )

    def _take(self, thread_id: str) -> bool:
        with self._guard:
            if self._is_pool and self._connection is None:
                self._connection = self._from.getconn()
            try:
                taken = self._asked(_TAKE, thread_id)
                self._count += taken
            finally:
                self._spare()
            return taken

    async def _atake(self, thread_id: str) -> bool:
        async with self._aguard:
            if self._is_pool and self._connection is None:
                self._connection = await self._from.getconn()
            try:
                taken = await self._aasked(_TAKE, thread_id)
                self._count += taken
            except asyncio.CancelledError:  # it may have been taken nevertheless
                with suppress(Exception):
                    await self._aasked(_GIVE, thread_id)
                raise
            finally:
                await self._aspare()
            return taken

    def _give(self, thread_id: str) -> bool:
        with self._guard:
            self._count -= 1
            try:
                return self._asked(_GIVE, thread_id)
            except Exception:  # noqa: BLE001 - whatever it was, the session has ended or will
                return False
            finally:
                self._spare()

    async def _agive(self, thread_id: str) -> bool:
        async with self._aguard:
            self._count -= 1
            try:
                return await self._aasked(_GIVE, thread_id)
            except Exception:  # noqa: BLE001 - as above
                return False
            finally:
                await self._aspare()

    def _asked(self, query: str, thread_id: str) -> bool:
        if self._is_pool:
            return bool(execute(self._connection, query, (thread_id,))[0][0])
        with self._savers:
            return bool(execute(self._connection, query, (thread_id,))[0][0])

    async def _aasked(self, query: str, thread_id: str) -> bool:
        if self._is_pool:
            return bool((await aexecute(self._connection, query, (thread_id,)))[0][0])
        async with self._savers:
            return bool((await aexecute(self._connection, query, (thread_id,)))[0][0])

    def _spare(self) -> None:
        """Give the pool its connection back, if there is no lock that would be lost."""
        if self._is_pool and (not self._count or self._connection.closed):
            connection, self._connection = self._connection, None
            self._from.putconn(connection)

    async def _aspare(self) -> None:
        if self._is_pool and (not self._count or self._connection.closed):
            connection, self._connection = self._connection, None
            await self._from.putconn(connection)
