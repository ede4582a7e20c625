"""A run that is pending, as the server that executes it knows it."""

from __future__ import annotations

import asyncio

from acp_langgraph.server.execution import Outcome
from acp_langgraph.server.middleware import incoming_trace
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.streams import Feed


class Live:
    """A pending run: `settled` is set as soon as it is no longer pending."""

    def __init__(self, record: RunRecord, feed: Feed, *, again: bool = False) -> None:
        self.record = record
        self.again = again  # another server may have begun it
        self.owner: str | None = None  # the key that it came with, where that matters
        self.alone = False  # it may have ended that server
        self.counted = False  # it is on file that this server is at work on it
        self.rollback = False  # once it is cancelled, it is to be as if it had never been
        self.trace = incoming_trace()  # where its segment belongs
        self.settled = asyncio.Event()
        self.stored: asyncio.Future[None] | None = None  # done when the run is on file
        self.outcome: RunRecord | None = None  # what it came to, once that is on file
        self.unstored = False  # it came to something that could not be put on file
        self.feed = feed
        self.ready = False  # stored, and what it replaces is out of the way
        self.segment: asyncio.Task[Outcome] | None = None
        self.worker: asyncio.Task[None] | None = None
