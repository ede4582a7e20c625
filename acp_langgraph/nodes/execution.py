"""One execution of a node: what identifies it, what remembers it, and who watches.

What LangGraph tells only under private names is read by `acp_langgraph.nodes.langgraph`; who watches
the execution is `acp_langgraph.nodes.streaming`'s to tell.

LangGraph writes checkpoints and the results of tasks behind the graph's back (durability `async`, its
default, and for tasks also `sync`). Mostly that is only fast. Before something is started elsewhere
it matters: if the process dies before the checkpoint is stored, nothing leads from the graph to what
was started. So the checkpoints are read until it shows what it must.

There is nothing to wait for where nothing outlives the process anyway: with durability `exit`, and
with an `InMemorySaver`.
"""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.errors import GraphInterrupt
from langgraph.runtime import Runtime

from acp_langgraph.auth.credentials import Credentials
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.errors import NodeError
from acp_langgraph.jobs.life import how_to_remember
from acp_langgraph.jobs.once import Failures, Trace
from acp_langgraph.nodes.langgraph import Asked, GraphTask, Questions, Saver, failures_told
from acp_langgraph.nodes.streaming import UNWATCHED, EventSink

_LONGEST: Final = 30.0
_PAUSES: Final = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


@dataclass(frozen=True, slots=True)
class CheckpointBarrier:
    """The checkpoints that an execution of a node belongs to, in the graph and those around it.

    Attributes:
        task: The task that the execution is.
        saver: The checkpointer.
        places: Where the checkpoints are in it, the innermost last.
    """

    task: GraphTask
    saver: Saver
    places: tuple[RunnableConfig, ...]

    @classmethod
    def of(cls, task: GraphTask) -> CheckpointBarrier | None:
        """The barrier of an execution; `None` if a crash erases everything in any case."""
        if task.saver is None or not task.survives:
            return None
        return cls(task, task.saver, task.places)

    def await_checkpoints(self) -> None:
        """Return once every checkpoint is stored, blocking."""
        for place in self.places:
            for pause in self._pauses():
                if self.saver.get_tuple(place) is not None:
                    break
                time.sleep(pause)

    async def aawait_checkpoints(self) -> None:
        """Return once every checkpoint is stored, awaiting."""
        for place in self.places:
            for pause in self._pauses():
                if await self.saver.aget_tuple(place) is not None:
                    break
                await asyncio.sleep(pause)

    def await_result(self, task_id: str) -> None:
        """Return once the result of a task is stored, blocking."""
        for pause in self._pauses():
            if _has_result(self.saver.get_tuple(self.places[-1]), task_id):
                return
            time.sleep(pause)

    async def aawait_result(self, task_id: str) -> None:
        """Return once the result of a task is stored, awaiting."""
        for pause in self._pauses():
            if _has_result(await self.saver.aget_tuple(self.places[-1]), task_id):
                return
            await asyncio.sleep(pause)

    def _pauses(self) -> Iterator[float]:
        give_up = time.monotonic() + _LONGEST
        yield from _PAUSES
        while time.monotonic() < give_up:
            self.task.raise_why_not_stored()
            yield _PAUSES[-1]
        raise NodeError(
            f"the checkpointer has not stored what it was given {_LONGEST:.0f} s ago; nothing was "
            "started, because a crash now would lose it"
        )


def _has_result(found: CheckpointTuple | None, task_id: str) -> bool:
    return found is not None and any(write[0] == task_id for write in found.pending_writes or ())


CALL: Final = "__acp_langgraph_call"
"""Under this name in `configurable` is the `Call`, where a node is called as a tool."""

_NAMESPACE: Final = uuid.UUID("5f1c5f6b-1d60-5ef8-9b1a-2b6c1f3f0a44")
_TASK_ID: Final = re.compile(r":[0-9a-f-]{36}(?=\||$)")


_NONE: Final[Mapping[Any, Any]] = {}  # shared, for nothing of the kind happens to most tasks


class _Invocations:
    """Of nodes, within one execution of a task."""

    __slots__ = ("asked", "counts", "failed", "put", "traces")

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], int] = {}
        self.traces: dict[tuple[str, int], Trace] = {}
        self.asked: Asked | None = None
        self.put: Mapping[int, GraphInterrupt] = _NONE
        self.failed: Mapping[tuple[str, int], tuple[tuple[_Given, int], ...]] = _NONE

    def failed_with(self, node: str, attempt: int, state: Any) -> int | None:
        """Which invocation failed that was given the same, if one did; it is no longer noted as failed."""
        failed = self.failed.get((node, attempt), ())
        found = next((each for each in failed if each[0].is_again(state)), None)
        if found is None:
            return None
        left = tuple(each for each in failed if each is not found)
        self.failed = {**self.failed, (node, attempt): left}
        return found[1]


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


@dataclass(slots=True)
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
        barrier: Where what is remembered is stored, if a crash does not erase it.
        sink: Who watches.
        trace: What its attempts in this process know of each other.
        credentials: What is shown with its calls, if that is not the same for every execution.
        invocation: Which of the task's it is; `None` outside of a graph.
    """

    key: str
    place: tuple[str | None, str]
    sink: EventSink
    thread_id: str | None = None
    remembered: bool = False
    again: bool = False
    runtime: Runtime[Any] | None = None
    task: GraphTask | None = None
    barrier: CheckpointBarrier | None = None
    trace: Trace = field(default_factory=Trace)
    credentials: Credentials | None = field(default=None, repr=False)
    invocation: _Invocation | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, node: str, config: RunnableConfig, *, state: Any = None, is_tool: bool = False
    ) -> Execution:
        """What is known of the execution of a node that was given this configuration.

        Args:
            node: The node's name.
            config: Its configuration.
            state: What it was given. Whoever repeats what failed gives the same again.
            is_tool: Whether it is called as a tool; then the call says what it was asked to do.

        Raises:
            GraphInterrupt: If a node asked within this attempt, and somebody who took the question for
                a failure tries again.
        """
        task = GraphTask.of(config, node)
        if task is None:
            key = str(uuid.uuid4())
            return cls(key=key, place=(None, node), sink=UNWATCHED)
        info = task.info
        call: Call | None = task.configurable.get(CALL) if is_tool else None
        invoked = f"{node}\n{call.key}" if call else node
        attempt = task.attempt
        invocation = _Invocation(_of_task(task), invoked, attempt, state, is_one=call is not None)
        trace = invocation.trace
        if call is not None:  # which a wrapper may repeat within the task around
            trace = _Invocation(_of_task(call.task), invoked, attempt, state, is_one=True).trace
        if attempt > 1 and not task.loops:  # and not of LangGraph: what came before is not known
            trace.begun = True
        thread_id = None if info.thread_id is None else str(info.thread_id)
        place = [
            thread_id or "",
            call.key if call else info.checkpoint_ns,
            node,
            str(invocation.count),
        ]
        key = str(uuid.uuid5(_NAMESPACE, "\n".join(place)))
        around = (call.config, call.task.runtime) if call else (config, task.runtime)
        return cls(
            key=key,
            place=(info.checkpoint_ns, node),
            sink=EventSink.of(key, *around),
            thread_id=thread_id,
            remembered=task.saver is not None,
            again=invocation.repeated or task.may_have_run,
            runtime=task.runtime,
            task=task,
            barrier=CheckpointBarrier.of(task),
            trace=trace,
            invocation=invocation,
        )

    def left(self, error: BaseException) -> None:
        """Note how it was left, if not by its result."""
        if self.invocation is not None:
            self.invocation.left(error)

    def questions(self) -> Questions | None:
        """Puts the questions of this entry into it; `None` outside of a graph."""
        if self.task is None or self.invocation is None:
            return None
        call: Call | None = self.task.configurable.get(CALL)
        around = call.task if call else self.task
        return Questions(self.task, self.key, self.invocation.asked, around)

    def how_to_remember(self) -> str:
        """What to do so that questions can wait; a sentence without its full stop."""
        if self.task is not None and self.task.is_kept_from_remembering:
            return (
                "The node is in a subgraph that was compiled with checkpointer=False; compile that "
                "without it, so that it uses the checkpointer of the graph around it"
            )
        return how_to_remember()

    @property
    def path(self) -> str:
        """The place without the ids of tasks: the same for every execution of the node."""
        namespace, node = self.place
        return node if namespace is None else f"{_TASK_ID.sub('', namespace)}|{node}"

    @property
    def failures(self) -> Failures:
        """Which failures of remote jobs were told before."""
        if self.task is None or not self.again:
            return Failures(trace=self.trace)
        call: Call | None = self.task.configurable.get(CALL)
        look = partial(failures_told, self.task, call.task if call else self.task)
        return Failures(self.again, self.trace, look)

    def remote_thread_id(self) -> str:
        """The id of the node's own remote thread: one per graph thread and place in the graph."""
        if self.thread_id is None:
            return str(uuid.uuid4())
        return str(uuid.uuid5(_NAMESPACE, f"thread\n{self.thread_id}\n{self.path}"))


class _Invocation:
    """What is known of one invocation of a node within one execution of a task.

    Args:
        among: The invocations of the task; `None` if it cannot be told which execution of it this is.
        node: What is invoked.
        attempt: Which attempt at the task it is.
        state: What it is given.
        is_one: Whether all invocations of it are one, however often it is repeated.

    Attributes:
        count: How often the node was invoked there before. More than never only where a user's own
            function invokes it, e.g. in the functional API.
        repeated: Whether this is again what failed before, as a wrapper that retries has it.
        trace: Shared by the attempts of one such invocation; by all of them if they are said to be one.

    Raises:
        GraphInterrupt: If a question of this attempt was caught, as wrappers do that take it for a
            failure: it is raised again.
    """

    __slots__ = ("_among", "_attempt", "_node", "_state", "count", "repeated", "trace")

    def __init__(
        self, among: _Invocations | None, node: str, attempt: int, state: Any, *, is_one: bool
    ) -> None:
        self._among, self._node, self._attempt, self._state = among, node, attempt, state
        self.count, self.repeated = 0, False
        if among is None:
            self.trace = Trace()
            return
        with _lock.here():
            if not is_one and (put := among.put.get(attempt)) is not None:
                raise GraphInterrupt(*put.args)
            again = among.failed_with(node, attempt, state)
            if again is not None:
                self.count, self.repeated = again, True
            else:
                self.count = 0 if is_one else among.counts.get((node, attempt), 0)
                among.counts[node, attempt] = self.count + 1
            self.trace = among.traces.setdefault((node, self.count), Trace())

    @property
    def asked(self) -> Asked:
        """What was asked by all that the task invokes."""
        if self._among is None:
            return Asked()
        with _lock.here():
            self._among.asked = self._among.asked or Asked()
            return self._among.asked

    def left(self, error: BaseException) -> None:
        """Note how it was left, if not by its result."""
        if self._among is None:
            return
        with _lock.here():
            if isinstance(error, GraphInterrupt):
                # Not itself: its traceback holds all that led there, and that what this is kept for.
                put = GraphInterrupt(*error.args)
                self._among.put = {**self._among.put, self._attempt: put}
            elif isinstance(error, Exception):
                key = self._node, self._attempt
                failed = (*self._among.failed.get(key, ()), (_Given(self._state), self.count))
                self._among.failed = {**self._among.failed, key: failed}


def _of_task(task: GraphTask) -> _Invocations | None:
    """What is invoked within one execution of a task, in all of its attempts; `None` if not known."""
    if task.attempts is None:
        return None
    with _lock.here():
        found = _invocations.get(task.attempts)
        if found is None:
            found = _invocations[task.attempts] = _Invocations()
        return found


class _Given:
    """What an invocation was given that failed, as it was then: whoever invokes again may change it.

    Args:
        state: What was given.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self._bytes = _pickled(state)
        try:
            self._then = state if self._bytes is None else copy.deepcopy(state)
        except Exception:  # noqa: BLE001 - what users put into their states
            self._then = state

    def is_again(self, state: Any) -> bool:
        """Whether this is the same again."""
        if state is self._state and self._bytes == _pickled(state):
            return True
        try:
            return type(self._then) is type(state) and bool(self._then == state)
        except Exception:  # noqa: BLE001 - what users compare in their own ways
            return False


def _pickled(state: Any) -> bytes | None:
    try:
        return pickle.dumps(state)
    except Exception:  # noqa: BLE001 - what users put into their states
        return None
