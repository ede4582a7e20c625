"""What is seen to while a server runs: what is old goes, and how the server is can be asked."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from acp_langgraph.server.records import moment_after
from acp_langgraph.server.wire import Problem

if TYPE_CHECKING:
    from acp_langgraph.server.engine import Engine

_log = logging.getLogger(__name__)

_SWEEP_EVERY: Final = 60.0  # seconds
_PATIENCE: Final = 5.0  # seconds, with the database


async def sweep(engine: Engine) -> None:
    """Forget, every now and then, what ended long ago."""
    limits, started, ticked = engine.limits, moment_after(), time.monotonic()
    while True:
        # A clock that is put forward makes nothing older.
        now = started + timedelta(seconds=time.monotonic() - ticked)
        try:
            await engine.storage.forget_runs(limits.kept_seconds, limits.kept_runs, now)
            if limits.kept_thread_seconds is not None:
                before = now - timedelta(seconds=limits.kept_thread_seconds)
                for thread in await engine.storage.old_threads(before):
                    with suppress(Problem):  # a run has come
                        await engine.remove_thread(thread)
        except Exception:  # noqa: BLE001 - the next time it may work
            _log.exception("what is old could not be forgotten")
        await asyncio.sleep(_SWEEP_EVERY)


async def health(engine: Engine) -> dict[str, Any]:
    """How a server is; nothing that is anybody's business."""
    words = "ok"
    if engine.is_stopping:
        words = "the server is stopping"
    elif not await engine.storage.answers(_PATIENCE):
        words = "the database does not answer"
    elif engine.storage.lost:
        words = "the database file is gone"
    elif engine.threads.exhausted:
        words = "blocking nodes hold all threads"
    return {
        "status": words,
        "runs": {"pending": engine.pending, "most": engine.limits.pending},
        "threads": {"busy": engine.threads.busy, "disowned": engine.threads.disowned},
    }
