"""What a run goes on from whose server was stopped, or killed, while it was pending.

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

from typing import Any

from langgraph.types import Command, Interrupt, StateSnapshot

from acp_langgraph.core.chat import with_messages
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.records import RunRecord

__all__ = ["at_breakpoint", "going_on"]

_RESUME = "__resume__"


async def going_on(agent: HostedAgent, run: RunRecord) -> Any:
    """What to give the graph of a pending run that may have begun: input, answers, or nothing."""
    head = await agent.saver.aget_tuple(checkpoints.thread_config(run.thread_id))
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
    snapshot = await agent.graph.aget_state(checkpoints.thread_config(run.thread_id))
    stands_at = snapshot.config["configurable"].get("checkpoint_id")
    if (snapshot.metadata or {}).get("run_id") != run.run_id or stands_at == run.asked_at:
        return False
    return bool(snapshot.next) and (before == "*" or not set(before).isdisjoint(snapshot.next))


async def _outstanding(agent: HostedAgent, run: RunRecord) -> dict[str, Any]:
    snapshot = await agent.graph.aget_state(
        checkpoints.thread_config(run.thread_id), subgraphs=True
    )
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
