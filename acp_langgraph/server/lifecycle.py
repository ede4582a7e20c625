"""From the first request, or the start of the application, to its end.

Servers tell an application when they start and stop (ASGI's lifespan). One that is mounted into
another is told nothing, unless the outer one passes it on; so it also starts with its first request.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Protocol

from acp_langgraph.server.database import Database
from acp_langgraph.server.engine import Engine

__all__ = ["Lifecycle", "Stored"]


class Stored(Protocol):
    """What has tables of its own in the database."""

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make them, if they are not there."""


class Lifecycle:
    """Opens the database and starts the engine, once; and ends both.

    Args:
        database: Where everything is kept.
        stored: What has tables there, in the order in which they are made.
        engine: Runs the agents.
    """

    def __init__(self, database: Database, stored: Sequence[Stored], engine: Engine) -> None:
        self._database = database
        self._stored = stored
        self._engine = engine
        self._starting = asyncio.Lock()
        self.started = False
        self.failure: Exception | None = None

    async def start(self) -> None:
        """Start, unless that was done already.

        Raises:
            DatabaseError: If the database cannot be used.
            ValueError: If an agent cannot be run.
        """
        async with self._starting:
            if self.started:
                return
            try:
                self._database.open(self._prepare)
                await self._engine.start()
            except Exception as error:
                self.failure = error  # ASGI carries only a text
                await self.stop()
                raise
            self.started = True

    async def stop(self) -> None:
        """End all runs for now; what is pending goes on at the next start."""
        await self._engine.close()
        self._database.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        for each in self._stored:
            each.prepare(connection)
