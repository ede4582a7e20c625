"""What is put on file of a run's life, and taken from it again.

The engine decides what happens; here it is recorded: the run, what its webhook is to be told, the
thread that it leaves behind, the checkpoints that nobody needs any more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from acp_langgraph.acp.models import RunStatus, ThreadStatus
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import Registry
from acp_langgraph.server.execution import jsonable
from acp_langgraph.server.limits import Limits
from acp_langgraph.server.records import RunRecord, ThreadRecord
from acp_langgraph.server.storage import Storage
from acp_langgraph.server.webhooks import Webhooks

__all__ = ["Archive"]

_log = logging.getLogger(__name__)

_SWEEP_EVERY: Final = 60.0  # seconds

_THREAD_STATUS: Final = {
    RunStatus.PENDING: ThreadStatus.BUSY,
    RunStatus.SUCCESS: ThreadStatus.IDLE,
    RunStatus.INTERRUPTED: ThreadStatus.INTERRUPTED,
    RunStatus.ERROR: ThreadStatus.ERROR,
    RunStatus.TIMEOUT: ThreadStatus.ERROR,
}


class Archive:
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

    def add(self, run: RunRecord) -> asyncio.Future[None]:
        """Put a new run on file, and its thread if that is to be kept; done when it is there."""
        thread = None
        if run.stateless and run.has_thread:
            now = run.created_at
            thread = ThreadRecord(run.thread_id, now, now, agent_id=run.agent_id)
        return self._storage.add_run(run, thread)

    async def begin(self, run: RunRecord, *, base: str | None) -> RunRecord:
        """Note that a run works on its thread from now on, and from which checkpoint it does."""
        changed = run.changed(base_checkpoint=base) if base != run.base_checkpoint else run
        if changed is not run and not await self._storage.replace_run(run, changed):
            changed = run
        await self._storage.update_thread(
            run.thread_id, status=ThreadStatus.BUSY, agent_id=run.agent_id
        )
        return changed

    async def replace(self, old: RunRecord, new: RunRecord) -> bool:
        """Put a record in another's place; tell the client's webhook if the status changed."""
        notice = self._webhooks.notice(new) if new.status is not old.status else None
        won = await self._storage.replace_run(old, new, notice)
        if won and notice:
            self._webhooks.wake()
        return won

    async def end(self, old: RunRecord, new: RunRecord) -> bool:
        """Put on file what a run came to, and the state that its thread is left in."""
        if new.has_thread:
            await self.show_thread(new)
        return await self.replace(old, new)

    async def show_thread(self, run: RunRecord) -> None:
        """Put on file what clients see of the thread that a run works on."""
        changes: dict[str, Any] = {"status": _THREAD_STATUS[run.status]}
        try:
            agent = self._agents.get(run.agent_id)
            snapshot = await agent.graph.aget_state(checkpoints.thread_config(run.thread_id))
            changes["values"] = jsonable(snapshot.values, whatever=True)
        except Exception:  # noqa: BLE001 - a state that cannot be shown is no fault of the run
            _log.warning("the state of thread %s cannot be shown", run.thread_id, exc_info=True)
        await self._storage.update_thread(run.thread_id, **changes)

    async def tidy(self, run: RunRecord) -> None:
        """Drop the checkpoints of a run that leaves no thread."""
        if run.has_thread:
            return
        if agent := self._agents.find(run.agent_id):
            await checkpoints.drop_thread(agent, run.thread_id)

    async def roll_back(self, run: RunRecord) -> None:
        """Forget a run that has ended, with all that it did to its thread."""
        agent = self._agents.find(run.agent_id)
        if run.stateless:
            if agent:
                await checkpoints.drop_thread(agent, run.thread_id)
            await self._storage.delete_thread(run.thread_id)
        elif agent:
            await checkpoints.rewind(agent, run.thread_id, run.base_checkpoint)
            await self.show_thread(run.changed(status=RunStatus.SUCCESS))
        await self._storage.delete_run(run.run_id)

    async def sweep(self, limits: Limits) -> None:
        """Forget, every now and then, what ended long ago."""
        while True:
            try:
                await self._storage.forget_runs(limits.kept_seconds, limits.kept_runs)
            except Exception:  # noqa: BLE001 - the next time it may work
                _log.exception("old runs could not be forgotten")
            await asyncio.sleep(_SWEEP_EVERY)
