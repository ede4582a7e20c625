"""What the server does with a graph's checkpoints besides running the graph.

Through the interface that every LangGraph checkpointer has; where one does not offer an operation,
checkpoints stay behind, which costs room but loses nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.saver import DatabaseSaver

__all__ = [
    "announce_thread",
    "check_usable",
    "copy_thread",
    "drop_thread",
    "exists",
    "head",
    "rewind",
    "thread_config",
]

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


async def rewind(agent: HostedAgent, thread_id: str, checkpoint_id: str | None) -> None:
    """Bring a thread back to the state it had at a checkpoint, or before its first one."""
    if checkpoint_id is None:
        await drop_thread(agent, thread_id)
        return
    if await head(agent, thread_id) == checkpoint_id:
        return
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
