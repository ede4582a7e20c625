"""Operations on threads: what clients do with the state between runs.

A thread's state is what the checkpointer of the agent that last ran on it holds. A thread on which
nothing ran yet has none.

Messages are a part of the state like any other: threads and results show them where the graph has
them, among the values, and never a second time as the protocol's `messages`. Clients may write them
that way, though; they go to the graph's `messages`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langgraph.types import StateSnapshot
from pydantic_core import to_json

from acp_langgraph.acp.agents import is_uuid
from acp_langgraph.acp.models import (
    ThreadCheckpoint,
    ThreadCreate,
    ThreadPatch,
    ThreadState,
    ThreadStatus,
)
from acp_langgraph.core.chat import with_messages
from acp_langgraph.core.wire import dump
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.containing import contained
from acp_langgraph.server.engine import Engine
from acp_langgraph.server.records import ThreadRecord, moment_after, new_id
from acp_langgraph.server.wire import (
    conflict,
    demand_little,
    invalid,
    jsonable,
    not_found,
    too_much,
)


class Threads:
    """The threads of a server.

    Args:
        engine: Runs the agents whose state the threads hold.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._storage = engine.storage

    async def create(self, body: ThreadCreate) -> ThreadRecord:
        """Make a thread, or find it if that is allowed.

        Raises:
            Problem: 409, if the id is taken.
        """
        now = moment_after()
        thread = ThreadRecord(body.thread_id or new_id(), now, now, body.metadata or {})
        if await self._storage.add_thread(thread):
            return thread
        if body.if_exists == "raise":
            raise conflict(
                f"thread {thread.thread_id} exists; pass if_exists='do_nothing' to have it returned"
            )
        return await self.get(thread.thread_id)

    async def get(self, thread_id: str) -> ThreadRecord:
        """The thread of an id.

        Raises:
            Problem: 404, if there is none.
        """
        thread = await self._storage.get_thread(thread_id)
        if thread is None:
            raise not_found("thread", thread_id)
        return thread

    async def ensure(self, thread_id: str) -> ThreadRecord:
        """The thread of an id, made if there is none."""
        return await self.create(ThreadCreate(thread_id=thread_id, if_exists="do_nothing"))

    async def patch(self, thread_id: str, body: ThreadPatch) -> ThreadRecord:
        """Merge metadata, and write values as a new state of the thread.

        Raises:
            Problem: 404, if there is no such thread or checkpoint; 422, if the state cannot be
                written now or like this.
        """
        thread = await self.get(thread_id)
        if body.checkpoint is not None and not is_uuid(body.checkpoint.checkpoint_id):
            raise invalid("checkpoint.checkpoint_id: must be a UUID")
        if body.metadata:
            whole = {**thread.metadata, **body.metadata}
            demand_little("metadata", whole, self._engine.limits)
        values = thread.values
        if body.values is not None or body.messages is not None:
            with self._engine.holding(thread_id):
                values = await self._write_state(thread, body)
        changed = await self._storage.update_thread(
            thread_id, metadata=body.metadata, values=values
        )
        if changed is None:
            raise not_found("thread", thread_id)
        return changed

    async def copy(self, thread_id: str) -> ThreadRecord:
        """Make a new thread with the state and history of another.

        Raises:
            Problem: 404, if there is no such thread.
        """
        source = await self.get(thread_id)
        now = moment_after()
        copy = replace(
            source,
            thread_id=new_id(),
            created_at=now,
            updated_at=now,
            status=ThreadStatus.IDLE,  # no run waits on the copy
        )
        if source.agent_id is not None:
            agent = self._engine.agents.get(source.agent_id)
            await checkpoints.copy_thread(agent, thread_id, copy.thread_id)
        await self._storage.add_thread(copy)
        return copy

    async def delete(self, thread_id: str) -> None:
        """Forget a thread, its runs and its checkpoints.

        Raises:
            Problem: 404, if there is none; 422, if a run is pending on it.
        """
        thread = await self.get(thread_id)
        await self._engine.remove_thread(thread)

    async def history(
        self, thread_id: str, *, limit: int, before: str | None
    ) -> list[dict[str, Any]]:
        """The states of a thread, newest first.

        Raises:
            Problem: 404, if there is no such thread; 422, if they are too large for one answer.
        """
        thread = await self.get(thread_id)
        if thread.agent_id is None:
            return []
        graph = self._engine.agents.get(thread.agent_id).graph
        states = graph.aget_state_history(
            checkpoints.thread_config(thread_id),
            before=checkpoints.thread_config(thread_id, before) if before else None,
            limit=limit,
        )
        found, size = list[dict[str, Any]](), 0
        async for snapshot in states:
            state = dump(_state(snapshot))
            size += len(to_json(state))
            if found and size > self._engine.limits.answer:
                raise too_much(self._engine.limits.answer, len(found))
            found.append(state)
        return found

    async def _write_state(self, thread: ThreadRecord, body: ThreadPatch) -> Any:
        if thread.agent_id is None:
            raise invalid("values: nothing has run on this thread yet, so it has no state to write")
        agent = self._engine.agents.get(thread.agent_id)
        checkpoint = body.checkpoint.checkpoint_id if body.checkpoint else None
        if checkpoint and not await checkpoints.exists(agent, thread.thread_id, checkpoint):
            raise not_found("checkpoint", checkpoint)
        written = with_messages(_with_messages(body, agent), agent.graph.channels)
        try:
            config = checkpoints.thread_config(thread.thread_id, checkpoint)
            await contained(agent.graph.aupdate_state(config, written))
        except Exception as error:  # noqa: BLE001 - a graph's own reducers judge what they get
            raise invalid(f"values: the graph does not take them: {type(error).__name__}") from None
        snapshot = await agent.graph.aget_state(checkpoints.thread_config(thread.thread_id))
        return jsonable(snapshot.values, whatever=True)


def _with_messages(body: ThreadPatch, agent: HostedAgent) -> Any:
    """The values of a patch, with its messages where the agent's state has its own."""
    if body.messages is None:
        return body.values
    if "messages" not in agent.graph.channels:
        raise invalid("messages: the state of this thread has none")
    messages = [message.model_dump(exclude_unset=True) for message in body.messages]
    if body.values is None:
        return {"messages": messages}
    if not isinstance(body.values, dict):
        raise invalid("values: must be an object where messages are given, too")
    return {**body.values, "messages": messages}


def _state(snapshot: StateSnapshot) -> ThreadState:
    return ThreadState(
        checkpoint=ThreadCheckpoint(checkpoint_id=snapshot.config["configurable"]["checkpoint_id"]),
        values=jsonable(snapshot.values, whatever=True),
        metadata=jsonable(snapshot.metadata or {}, whatever=True),
    )
