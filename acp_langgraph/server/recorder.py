"""Puts on file what becomes of runs: the run, its thread, its checkpoints, what its webhook is told.

The engine decides what happens; here it is recorded. What belongs together is one transaction.
Every now and then what is old goes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from acp_langgraph.acp.models import RunStatus, ThreadStatus
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import Registry
from acp_langgraph.server.records import RunRecord, ThreadRecord, moment_after
from acp_langgraph.server.storage import Storage
from acp_langgraph.server.webhooks import Webhooks
from acp_langgraph.server.wire import Limits, Problem, jsonable

_log = logging.getLogger(__name__)

_THREAD_STATUS: Final = {
    RunStatus.PENDING: ThreadStatus.BUSY,
    RunStatus.SUCCESS: ThreadStatus.IDLE,
    RunStatus.INTERRUPTED: ThreadStatus.INTERRUPTED,
    RunStatus.ERROR: ThreadStatus.ERROR,
    RunStatus.TIMEOUT: ThreadStatus.ERROR,
}


class RunRecorder:
    """Records what becomes of runs.

    Args:
        agents: Whose checkpoints belong to the runs.
        storage: Keeps runs and threads.
        webhooks: Tells clients of changes.
    """

    def __init__(self, agents: Registry, storage: Storage, webhooks: Webhooks) -> None:
        self._agents = agents
        self._storage = storage
        self._webhooks = webhooks

    def add(self, run: RunRecord, *, in_a_hurry: bool) -> asyncio.Future[None]:
        """Put a new run on file, and its thread if that is to be kept; done when it is there.

        Args:
            run: The run.
            in_a_hurry: Whether somebody waits for that already.
        """
        thread = None
        if run.stateless and run.has_thread:
            now = run.created_at
            thread = ThreadRecord(run.thread_id, now, now, agent_id=run.agent_id)
        return self._storage.add_run(run, thread, in_a_hurry=in_a_hurry)

    async def begin(self, old: RunRecord, new: RunRecord) -> None:
        """Note that a run is worked on from now on, and where it starts from.

        Raises:
            LookupError: If it is not on file as it was, and so must not be executed.
        """
        if not await self._storage.begin_run(old, new, ThreadStatus.BUSY):
            raise LookupError(f"run {old.run_id} is not on file any more")

    async def replace(self, old: RunRecord, new: RunRecord) -> bool:
        """Put a record in another's place; tell the client's webhook if the status changed."""
        notice = self._webhooks.notice(new) if new.status is not old.status else None
        won = await self._storage.replace_run(old, new, notice)
        if won and notice:
            self._webhooks.wake(notice.receiver)
        return won

    async def end(self, old: RunRecord, new: RunRecord) -> bool:
        """Put on file what a run came to, and the state that its thread is left in."""
        began = new.base_checkpoint is not None or old.status is RunStatus.INTERRUPTED
        if new.has_thread and began:  # else it changed nothing there
            await self._storage.update_thread(new.thread_id, **await self._shown(new))
        return await self.replace(old, new)

    async def _shown(self, run: RunRecord) -> dict[str, Any]:
        """What clients see of the thread that a run works on."""
        shown: dict[str, Any] = {"status": _THREAD_STATUS[run.status]}
        try:
            agent = self._agents.get(run.agent_id)
            snapshot = await agent.graph.aget_state(checkpoints.thread_config(run.thread_id))
            shown["values"] = jsonable(snapshot.values, whatever=True)
        except Exception:  # noqa: BLE001 - a state that cannot be shown is no fault of the run
            _log.warning("the state of thread %s cannot be shown", run.thread_id, exc_info=True)
        return shown

    async def tidy(self, run: RunRecord) -> None:
        """Drop the checkpoints of a run that leaves no thread."""
        if run.has_thread:
            return
        if agent := self._agents.find(run.agent_id):
            await checkpoints.drop_thread(agent, run.thread_id)

    async def roll_back(self, run: RunRecord, *, told: bool) -> None:
        """Forget a run, with all that it did to its thread.

        Killed in the middle, a run that was pending still is: whoever wanted it undone asks again.

        Args:
            run: The run, with what it came to.
            told: Whether its client is told of that, for the first time.

        Raises:
            Problem: 422, if the checkpoint that it began from is gone.
        """
        agent = self._agents.find(run.agent_id)
        shown = None
        if run.stateless:
            if agent:
                await checkpoints.drop_thread(agent, run.thread_id)
        elif agent and run.base_checkpoint is not None:
            await checkpoints.rewind(agent, run.thread_id, run.base_checkpoint)
            shown = await self._shown(run.changed(status=RunStatus.SUCCESS))
        notice = self._webhooks.notice(run) if told else None
        await self._storage.undo_run(run, notice, shown)
        if notice:
            self._webhooks.wake(notice.receiver)


_SWEEP_EVERY: Final = 60.0  # seconds


async def sweep(
    storage: Storage, limits: Limits, remove_thread: Callable[[ThreadRecord], Awaitable[None]]
) -> None:
    """Forget, every now and then, what ended long ago."""
    started, ticked = moment_after(), time.monotonic()
    while True:
        # A clock that is put forward makes nothing older.
        now = started + timedelta(seconds=time.monotonic() - ticked)
        try:
            await storage.forget_runs(limits.kept_seconds, limits.kept_runs, now)
            if limits.kept_thread_seconds is not None:
                before = now - timedelta(seconds=limits.kept_thread_seconds)
                for thread in await storage.old_threads(before):
                    with suppress(Problem):  # a run has come
                        await remove_thread(thread)
        except Exception:  # noqa: BLE001 - the next time it may work
            _log.exception("what is old could not be forgotten")
        await asyncio.sleep(_SWEEP_EVERY)
