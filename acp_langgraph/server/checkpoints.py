"""What the server does with a graph's checkpoints besides running the graph.

Through the interface that every LangGraph checkpointer has; where one does not offer an operation,
checkpoints stay behind, which costs room but loses nothing.

Every step that its graph finished is in a checkpoint, every task that was finished within a step is
in that checkpoint's writes; LangGraph goes on from there when it is given nothing new. What must be
found out is what the run had been given already:

* The input is in the thread's state as soon as the latest checkpoint is one of this run.
* Answers are used up as soon as the graph has made a checkpoint after the one at which it asked.
  Before that, LangGraph itself knows by the interrupt's id which answers a task has had, but for
  the first: its id stands, as in older versions, for any later question of that task, too.
* A breakpoint before a node that is next was reached, but not passed, unless it is the one that
  the answer was for.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command, Interrupt, StateSnapshot

from acp_langgraph.core.chat import with_messages
from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.saver import DatabaseSaver
from acp_langgraph.server.wire import invalid

_log = logging.getLogger(__name__)


def thread_config(thread_id: str, checkpoint_id: str | None = None) -> RunnableConfig:
    """The LangGraph configuration that names a thread, or one of its checkpoints."""
    configurable = {"thread_id": thread_id}
    if checkpoint_id is not None:
        configurable |= {"checkpoint_id": checkpoint_id, "checkpoint_ns": ""}
    return {"configurable": configurable}


async def check_usable(agent: HostedAgent) -> None:
    """Check that an agent's checkpointer can be used from an event loop.

    Raises:
        ValueError: If it works only in synchronous code, as LangGraph's `SqliteSaver` does.
    """
    try:
        await agent.saver.aget_tuple(thread_config("no such thread"))
    except NotImplementedError:
        ref = agent.descriptor.metadata.ref
        raise ValueError(
            f"agent {ref.name!r} was compiled with a {type(agent.saver).__name__}, which only works "
            "in synchronous code; compile it with the asynchronous one, or without a checkpointer "
            "to have its state kept in the server's database"
        ) from None


def announce_thread(agent: HostedAgent, thread_id: str) -> None:
    """Say that a thread of a new id is used from now on."""
    if isinstance(agent.saver, DatabaseSaver):
        agent.saver.announce(thread_id)


def running(agent: HostedAgent, thread_id: str) -> AbstractContextManager[None]:
    """Say that an agent's graph runs on a thread, for as long as the block lasts."""
    if isinstance(agent.saver, DatabaseSaver):
        return agent.saver.running(thread_id, agent.graph.trigger_to_nodes)
    return nullcontext()


async def head(agent: HostedAgent, thread_id: str) -> str | None:
    """The id of a thread's latest checkpoint, `None` if it has none."""
    saved = await agent.saver.aget_tuple(thread_config(thread_id))
    return saved.checkpoint["id"] if saved else None


async def exists(agent: HostedAgent, thread_id: str, checkpoint_id: str) -> bool:
    """Whether a thread has a checkpoint."""
    return await agent.saver.aget_tuple(thread_config(thread_id, checkpoint_id)) is not None


async def drop_thread(agent: HostedAgent, thread_id: str) -> None:
    """Delete all checkpoints of a thread."""
    try:
        await agent.saver.adelete_thread(thread_id)
    except NotImplementedError:
        _log.warning("%s cannot delete checkpoints; they stay", type(agent.saver).__name__)


async def base(agent: HostedAgent, run: RunRecord) -> str:
    """The checkpoint that a run begins from; empty if its thread has none but its own."""
    saved = await agent.saver.aget_tuple(thread_config(run.thread_id))
    if saved is None or (saved.metadata or {}).get("run_id") == run.run_id:
        return ""
    return str(saved.checkpoint["id"])


async def stand(agent: HostedAgent, thread_id: str) -> str | None:
    """How far a graph has come on a thread; something else with every task that it finishes."""
    saved = await agent.saver.aget_tuple(thread_config(thread_id))
    return f"{saved.checkpoint['id']}+{len(saved.pending_writes or ())}" if saved else None


async def rewind(agent: HostedAgent, thread_id: str, checkpoint_id: str) -> None:
    """Bring a thread back to the state it had at a checkpoint, or before its first one.

    Raises:
        Problem: 422, if there is no such checkpoint.
    """
    if not checkpoint_id:
        await drop_thread(agent, thread_id)
        return
    if await head(agent, thread_id) == checkpoint_id:
        return
    if not await exists(agent, thread_id, checkpoint_id):
        raise invalid(f"the checkpoint {checkpoint_id}, to go back to, is not there any more")
    config = thread_config(thread_id, checkpoint_id)
    await agent.graph.aupdate_state(config, None, as_node="__copy__")


async def copy_thread(agent: HostedAgent, source: str, target: str) -> None:
    """Copy all checkpoints of a thread, with their pending writes, to a new thread."""
    saver: BaseCheckpointSaver[Any] = agent.saver
    newest_first = [each async for each in saver.alist(thread_config(source))]
    for saved in reversed(newest_first):
        namespace = saved.config["configurable"].get("checkpoint_ns", "")
        parent = (saved.parent_config or {}).get("configurable", {}).get("checkpoint_id")
        written = await saver.aput(
            {
                "configurable": {
                    "thread_id": target,
                    "checkpoint_ns": namespace,
                    "checkpoint_id": parent,
                }
            },
            saved.checkpoint,
            saved.metadata,
            saved.checkpoint["channel_versions"],
        )
        writes: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
        for task_id, channel, value in saved.pending_writes or ():
            writes[task_id].append((channel, value))
        for task_id, pairs in writes.items():
            await saver.aput_writes(written, pairs, task_id)


_RESUME = "__resume__"


async def going_on(agent: HostedAgent, run: RunRecord) -> Any:
    """What to give the graph of a pending run that may have begun: input, answers, or nothing."""
    head = await agent.saver.aget_tuple(thread_config(run.thread_id))
    if run.answers is None:
        began = head is not None and head.metadata.get("run_id") == run.run_id
        return None if began else with_messages(run.creation["input"], agent.graph.channels)
    if head is None or head.checkpoint["id"] != run.asked_at:
        return None
    answers = await _outstanding(agent, run)
    return Command(resume=answers) if answers else None


async def at_breakpoint(agent: HostedAgent, run: RunRecord) -> bool:
    """Whether the graph of a pending run that may have begun stands at a breakpoint."""
    before = agent.graph.interrupt_before_nodes
    if not before:
        return False
    snapshot = await agent.graph.aget_state(thread_config(run.thread_id))
    stands_at = snapshot.config["configurable"].get("checkpoint_id")
    if (snapshot.metadata or {}).get("run_id") != run.run_id or stands_at == run.asked_at:
        return False
    return bool(snapshot.next) and (before == "*" or not set(before).isdisjoint(snapshot.next))


async def _outstanding(agent: HostedAgent, run: RunRecord) -> dict[str, Any]:
    snapshot = await agent.graph.aget_state(thread_config(run.thread_id), subgraphs=True)
    used = await _used(agent, snapshot)
    return {id_: answer for id_, answer in (run.answers or {}).items() if id_ not in used}


async def _used(agent: HostedAgent, snapshot: StateSnapshot) -> set[str]:
    """The ids of first questions whose tasks have had an answer."""
    saved = await agent.saver.aget_tuple(snapshot.config)
    answered = {
        task for task, channel, _ in (saved and saved.pending_writes) or () if channel == _RESUME
    }
    namespace = snapshot.config["configurable"].get("checkpoint_ns", "")
    used = set[str]()
    for task in snapshot.tasks:
        if task.id in answered:
            own = f"{task.name}:{task.id}"
            used.add(Interrupt.from_ns(None, f"{namespace}|{own}" if namespace else own).id)
        if isinstance(task.state, StateSnapshot):
            used |= await _used(agent, task.state)
    return used
