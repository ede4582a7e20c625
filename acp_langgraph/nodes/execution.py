"""One execution of a node: what identifies it, what remembers it, and who watches.

What LangGraph tells only under private names is read by `acp_langgraph.nodes.langgraph`; who watches
the execution is `acp_langgraph.nodes.streaming`'s to tell.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from acp_langgraph.core.credentials import Credentials
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.once import Trace
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.nodes.langgraph import GraphTask, Questions, failures_told
from acp_langgraph.nodes.ledger import Ledger
from acp_langgraph.nodes.streaming import Audience

__all__ = ["CALL", "Call", "Execution"]

CALL: Final = "__acp_langgraph_call"
"""Under this name in `configurable` is the `Call`, where a node is called as a tool."""

_NAMESPACE: Final = uuid.UUID("5f1c5f6b-1d60-5ef8-9b1a-2b6c1f3f0a44")
_TASK_ID: Final = re.compile(r":[0-9a-f-]{36}(?=\||$)")


class _Invocations:
    """Of nodes, within one execution of a task."""

    __slots__ = ("counts", "traces")

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], int] = {}
        self.traces: dict[tuple[str, int], Trace] = {}


_invocations: WeakKeyDictionary[Any, _Invocations] = WeakKeyDictionary()
_lock = PerProcess(threading.Lock)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a node as a tool, which is in a graph of its own within another.

    Attributes:
        key: Identifies the call, in whichever process and however often it is entered.
        config: What the tool was given. Who watches the graph around watches the call.
        task: The task of the graph around in which the call is made.
    """

    key: str
    config: RunnableConfig
    task: GraphTask


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a node.

    Attributes:
        key: Identifies what the node was asked to do, in whichever process and however often.
        place: Where it happens: the checkpoint namespace, `None` outside of a graph, and the node.
        thread_id: The graph's thread, if it has one.
        remembered: Whether a checkpointer remembers steps, so that questions can wait.
        again: Whether the node may have been at work on this before.
        runtime: LangGraph's runtime; `None` outside of a graph.
        task: What LangGraph tells of it; `None` outside of a graph.
        questions: Puts its questions; `None` outside of a graph.
        ledger: Where what is remembered is stored, if a crash does not erase it.
        audience: Who watches.
        trace: What its attempts in this process know of each other.
        credentials: What is shown with its calls, if that is not the same for every execution.
    """

    key: str
    place: tuple[str | None, str]
    audience: Audience
    thread_id: str | None = None
    remembered: bool = False
    again: bool = False
    runtime: Runtime[Any] | None = None
    task: GraphTask | None = None
    questions: Questions | None = None
    ledger: Ledger | None = None
    trace: Trace = field(default_factory=Trace)
    credentials: Credentials | None = field(default=None, repr=False)

    @classmethod
    def of(cls, node: str, config: RunnableConfig, *, is_tool: bool = False) -> Execution:
        """What is known of the execution of a node that was given this configuration.

        Args:
            node: The node's name.
            config: Its configuration.
            is_tool: Whether it is called as a tool; then the call says what it was asked to do.
        """
        task = GraphTask.of(config, node)
        if task is None:
            key = str(uuid.uuid4())
            return cls(key=key, place=(None, node), audience=Audience(key, config, None))
        info = task.info
        call: Call | None = task.configurable.get(CALL) if is_tool else None
        invoked = f"{node}\n{call.key}" if call else node
        count, trace = _noted(task.attempts, invoked, info.node_attempt, is_one=call is not None)
        thread_id = None if info.thread_id is None else str(info.thread_id)
        place = [thread_id or "", call.key if call else info.checkpoint_ns, node, str(count)]
        key = str(uuid.uuid5(_NAMESPACE, "\n".join(place)))
        around = (call.config, call.task.runtime) if call else (config, task.runtime)
        return cls(
            key=key,
            place=(info.checkpoint_ns, node),
            audience=Audience(key, *around),
            thread_id=thread_id,
            remembered=task.saver is not None,
            again=task.may_have_run,
            runtime=task.runtime,
            task=task,
            questions=Questions(task),
            ledger=Ledger.of(task),
            trace=trace,
        )

    @property
    def path(self) -> str:
        """The place without the ids of tasks: the same for every execution of the node."""
        namespace, node = self.place
        return node if namespace is None else f"{_TASK_ID.sub('', namespace)}|{node}"

    def failures_told(self) -> Flow[str]:
        """The texts of the errors that an earlier entry ended with, and the graph with it."""
        if self.task is None:
            return ""
        call: Call | None = self.task.configurable.get(CALL)
        return (yield from failures_told(self.task, call.task if call else self.task))

    def remote_thread_id(self) -> str:
        """The id of the node's own remote thread: one per graph thread and place in the graph."""
        if self.thread_id is None:
            return str(uuid.uuid4())
        return str(uuid.uuid5(_NAMESPACE, f"thread\n{self.thread_id}\n{self.path}"))


def _noted(task: Any, node: str, attempt: int, *, is_one: bool = False) -> tuple[int, Trace]:
    """How often the node was invoked before within one execution of a task, and its trace.

    More than never only where a user's own function invokes it, e.g. in the functional API. The trace
    is shared by the attempts of one such invocation; and by all of them if they are said to be one.
    """
    if task is None:
        return 0, Trace()
    with _lock.here():
        invocations = _invocations.get(task)
        if invocations is None:
            invocations = _invocations[task] = _Invocations()
        count = 0 if is_one else invocations.counts.get((node, attempt), 0)
        invocations.counts[node, attempt] = count + 1
        return count, invocations.traces.setdefault((node, count), Trace())
