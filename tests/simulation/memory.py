"""LangGraph as far as it matters to a node: what a graph of one node hands to it, and remembers of it.

This is a model of `langgraph.pregel`: the loop, the runner, the retries and the saver. What it says is
checked against the real ones (`test_conformance`). LangGraph's own functions are used where they are
functions: `_scratchpad`, `interrupt`, the rule of what is retried.

What is stored is a value: a checkpoint's number, and what was written by whom where, as JSON. A write is
in the background until it has landed; who awaits one gives an effect, and the world says when.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._constants import RETURN
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.pregel._algo import _scratchpad
from langgraph.pregel._retry import _should_retry_on
from langgraph.runtime import ExecutionInfo, RunControl, Runtime
from langgraph.types import Interrupt, RetryPolicy

from acp_langgraph.nodes.langgraph import (
    CONFIG_KEY_CALL,
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_CHECKPOINT_NS,
    CONFIG_KEY_CHECKPOINTER,
    CONFIG_KEY_DURABILITY,
    CONFIG_KEY_READ,
    CONFIG_KEY_RESUME_MAP,
    CONFIG_KEY_RESUMING,
    CONFIG_KEY_RUNTIME,
    CONFIG_KEY_SCRATCHPAD,
    CONFIG_KEY_SEND,
    ERROR,
    INTERRUPT,
    NULL_TASK_ID,
    RESUME,
)

__all__ = [
    "NOTHING_STORED",
    "OUTPUT",
    "RETURN",
    "STEP",
    "Ended",
    "Entry",
    "GraphModel",
    "Put",
    "Settings",
    "Store",
    "Write",
    "as_stored",
    "landed",
    "written",
]

Write: TypeAlias = tuple[str, str, str]
"""By which task, where, and what, as JSON."""

Put: TypeAlias = tuple[Write, ...]
"""What is stored at once."""

CHECKPOINT = ("", "checkpoint", "")
OUTPUT = "output"
"""Where is what a task came to that is not the graph's last."""

STEP = "step"
"""Where is that the next step has begun; what was written before is of another checkpoint then."""


class Store(NamedTuple):
    """What a checkpointer holds of one thread.

    Attributes:
        checkpoint: Which input the latest checkpoint is of; 0 if there is none.
        writes: What was written with it.
        done: What the graph came to, as JSON.
        note: Whether there is a note that a waker has the thread in hand.
        inner: The same of the graph within the graph, if there is one.
    """

    checkpoint: int = 0
    writes: tuple[Write, ...] = ()
    done: str | None = None
    note: bool = False
    inner: Store | None = None

    def of(self, task: str, channel: str) -> str | None:
        """What a task wrote."""
        return next((v for t, c, v in self.writes if (t, c) == (task, channel)), None)


NOTHING_STORED = Store()


def landed(store: Store, number: int, write: Write) -> Store:
    """The store after a write of an entry on a checkpoint has landed."""
    within, is_inner, task = write[0].partition("|")
    if is_inner:
        inner = landed(store.inner or NOTHING_STORED, int(within), (task, *write[1:]))
        return store._replace(inner=inner)
    if write == CHECKPOINT:
        return Store(number, note=store.note) if number > store.checkpoint else store
    goes_on = write[1] in {"done", STEP}
    if number != store.checkpoint or (store.of("", STEP) is not None and not goes_on):
        return store  # of a checkpoint that was never stored, or that another one has replaced
    if goes_on:
        is_done = write[1] == "done"
        return store._replace(done=write[2]) if is_done else store._replace(writes=(write,))
    others = tuple(each for each in store.writes if each[:2] != write[:2])
    return store._replace(writes=(*others, write))


class Entry(NamedTuple):
    """One invocation of the graph.

    Attributes:
        how: `new` with an input, `none`, `plain` with an answer, `by_id` with answers by their ids.
        given: The answer, as JSON.
        number: Which input it is of.
        store: What is stored when it begins.
        inner: The number of the checkpoint of the graph within the graph, if there is one.
    """

    how: str
    given: str
    number: int
    store: Store
    inner: int = 0


class Ended(NamedTuple):
    """How an invocation ended.

    Attributes:
        how: `done`, `asked`, `failed`, `cancelled`, `drained`.
        what: The result, the question or the error's class, as text.
        more: The question's id, or the error's text.
    """

    how: str
    what: str = ""
    more: str = ""


@dataclass(frozen=True)
class Settings:
    """How a graph is compiled and invoked.

    Attributes:
        durability: LangGraph's.
        survives: Whether what is stored outlives the process.
        remembers: Whether there is a checkpointer.
        retry: The node's retry policy.
        state: What the graph is invoked with.
        is_graph: Whether there is a graph at all, and not only the node.
        tasks: How many tasks of the node there are at once.
        is_nested: Whether the node is in a graph within the graph.
    """

    durability: str = "async"
    survives: bool = True
    remembers: bool = True
    retry: RetryPolicy | None = None
    state: Mapping[str, Any] = field(default_factory=lambda: {"ask": {"text": "hi"}})
    is_graph: bool = True
    tasks: int = 1
    is_nested: bool = False


class Calls:
    """LangGraph's counters, to be looked at."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count - 1


class ReadKey:
    """One object per execution of a task."""


def written(channel: str, value: Any) -> str:
    """What is stored of a write."""
    if channel == ERROR and value is not None:
        return json.dumps(repr(value))
    if channel == INTERRUPT:
        return json.dumps([[each.id, each.value] for each in value])
    return json.dumps(value, sort_keys=True)


def read(write: Write) -> tuple[str, str, Any]:
    """What is loaded of a write."""
    task, channel, text = write
    value = json.loads(text)
    if channel == INTERRUPT:
        value = tuple(Interrupt(value=said, id=each) for each, said in value)
    return task, channel, value


def as_stored(value: Any) -> Any:
    """A value after it was stored."""
    return json.loads(json.dumps(value))


class GraphModel:
    """One invocation of a graph of one node.

    Attributes:
        entry: How it is invoked.
        pending: What LangGraph's loop knows of writes.
        puts: What it has begun to write since anybody looked.
        scratchpad: The node's.
        attempts: One object for all attempts at the node's task.
        checkpointer: The saver; by this name nodes find it on a loop.
        writer: Takes what nodes emit, if anybody watches.
        outer: What the task around it was answered, if it is in another graph.
    """

    outer: Any = None

    config: Mapping[str, Any] = {}  # of a graph that is in no other

    @property
    def _place(self) -> dict[str, Any]:
        """What LangGraph hands over where tasks are awaited."""
        return {"loop": self.loop}

    def __init__(self, entry: Entry, settings: Settings, saver: Any, loop: Any) -> None:
        self.entry = entry
        self.settings = settings
        self.checkpointer = saver if settings.remembers else None
        self.loop = loop
        self.control = RunControl()
        self.task_id = f"00000000-0000-0000-0000-{entry.number:012}"
        self.namespace = f"remote:{self.task_id}"
        self.pending = [read(each) for each in entry.store.writes]
        self.puts: list[Put] = []
        self.attempts = ReadKey()
        self.attempt = 0
        self.resumes: dict[str, Any] | None = None
        self.scratchpad: Any = None
        self.writes: list[tuple[str, Any]] = []
        self.ended: Ended | None = None
        self.writer: Callable[[Any], None] | None = None

    @property
    def parts(self) -> list[GraphModel]:
        """The tasks that it has: it stands for its only one."""
        return [self]

    @property
    def known(self) -> Any:
        """What is known of writes, by itself and by its tasks."""
        return self.pending

    @property
    def checkpoints(self) -> dict[str, str]:
        """The ids of the checkpoints around its node, by their namespaces."""
        return {"": str(self.entry.number)}

    def task_of(self, name: str, number: int) -> str:
        """The id of one of the node's steps."""
        return f"{name} {number}"

    async def run(self, node: Any) -> None:
        """Invoke the graph; how it ended is in `ended`."""
        await asyncio.sleep(0)
        if self._begin():
            return
        with self._ending():
            self._finish(written("", await self._attempts(node)))

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Note how an invocation ends that comes to no result."""
        try:
            yield
        except GraphInterrupt as asked:
            (question,) = asked.args[0]
            resumes = [each for each in self.writes if each[0] == RESUME]
            self._put(self.task_id, [(INTERRUPT, [question]), *resumes])
            self.ended = Ended("asked", json.dumps(question.value), question.id)
        except GraphBubbleUp:
            self.ended = Ended("drained")
        except asyncio.CancelledError:
            self.ended = Ended("cancelled")
        except Exception as error:  # noqa: BLE001 - as LangGraph tells it
            self._put(self.task_id, [*self.writes, (ERROR, error)])
            self.ended = Ended("failed", type(error).__name__, str(error))

    def _begin(self) -> bool:
        """Take up what the graph is invoked with; whether it is done already."""
        done = self.entry.store.of(self.task_id, "done")
        given = json.loads(self.entry.given) if self.entry.given else None
        if self.entry.how == "new":
            self._store(CHECKPOINT)
        elif self.entry.how == "by_id":
            self.resumes = given
        elif self.entry.how == "plain":
            self._put(NULL_TASK_ID, [(RESUME, given)])
        if self.entry.how != "new" and done is not None:
            self._finish(done)
            return True
        return False

    def _finish(self, result: str) -> None:
        self._store((self.task_id, "done", result))
        self.ended = Ended("done", result)

    async def _attempts(self, node: Any) -> Any:
        while True:
            config = self._attempt()
            try:
                return await node.ainvoke(dict(self.settings.state), config)
            except GraphBubbleUp:
                raise
            except Exception as error:
                if not self._is_retried(error):
                    raise
            await asyncio.sleep(1)

    def _attempt(self) -> Any:
        """Begin an attempt at the node's task; its configuration."""
        counter = {"interrupt_counter": Calls()}
        if self.scratchpad is None:
            self.scratchpad = _scratchpad(
                self.outer, self.pending, self.task_id, self.namespace, self.resumes, 1, 25
            )
            counter |= {each: Calls() for each in ("call_counter", "subgraph_counter")}
        self.scratchpad = replace(self.scratchpad, **counter)
        self.attempt += 1
        self.writes.clear()
        config = self._config() if self.settings.is_graph else None
        var_child_runnable_config.set(config)
        return config

    def _is_retried(self, error: Exception) -> bool:
        policy = self.settings.retry
        if policy is None or not _should_retry_on(policy, error):
            return False
        return self.attempt < policy.max_attempts

    def _config(self) -> Any:
        call = partial(
            self._call,
            schedule_task=self._schedule_task,
            submit=lambda: self._schedule_task,
            futures=dict,
            **self._place,
        )
        configurable: dict[str, Any] = {
            CONFIG_KEY_RUNTIME: self._runtime(self.task_id, self.namespace),
            CONFIG_KEY_CALL: call,
            CONFIG_KEY_CHECKPOINTER: self.checkpointer,
            CONFIG_KEY_READ: self.attempts,
            CONFIG_KEY_CHECKPOINT_MAP: self.checkpoints,
            CONFIG_KEY_CHECKPOINT_NS: self.namespace,
            CONFIG_KEY_SCRATCHPAD: self.scratchpad,
            CONFIG_KEY_SEND: self.writes.extend,
            CONFIG_KEY_RESUME_MAP: self.resumes,
            CONFIG_KEY_DURABILITY: self.settings.durability,
            "thread_id": "1",
        }
        if self.entry.how != "new" or self.attempt > 1:
            configurable[CONFIG_KEY_RESUMING] = True
        return {"configurable": configurable, "callbacks": None, "metadata": {}, "tags": []}

    def _runtime(self, task_id: str, namespace: str) -> Runtime[Any]:
        thread = "1" if self.settings.remembers else None
        info = ExecutionInfo(
            str(self.entry.number), namespace, task_id, thread, node_attempt=self.attempt
        )
        if self.writer is None:
            return Runtime(execution_info=info, control=self.control)
        stream = self.writer

        def write(event: Any) -> None:  # by what it closes over nodes tell that somebody watches
            stream(event)

        return Runtime(execution_info=info, control=self.control, stream_writer=write)

    def _schedule_task(self) -> None:
        """By this method nodes find the loop that they are in."""

    def _call(self, function: Any, given: Any, **_: Any) -> asyncio.Future[Any]:
        task_id, known, context = self._called(function)
        future: asyncio.Future[Any] = self.loop.create_future()
        if known:
            future.set_result(known[0])
            return future
        step = self._step(partial(function, *given[0]), task_id, future)
        task = self.loop.create_task(step, context=context)
        future.add_done_callback(lambda done: task.cancel() if done.cancelled() else None)
        return future

    def _called(self, function: Any) -> tuple[str, list[Any], Context]:
        """The id of a task that is called, its result if that is remembered, and where it runs."""
        name, number = function.__name__, self.scratchpad.call_counter()
        task_id = self.task_of(name, number)
        known = [as_stored(v) for t, c, v in self.pending if (t, c) == (task_id, RETURN)]
        context, config = copy_context(), dict(var_child_runnable_config.get() or {})
        runtime = self._runtime(task_id, f"{self.namespace}|{name}:{task_id}")
        config["configurable"] = {**config["configurable"], CONFIG_KEY_RUNTIME: runtime}
        context.run(var_child_runnable_config.set, config)
        return task_id, known, context

    async def _step(self, function: Any, task_id: str, future: asyncio.Future[Any]) -> None:
        try:
            result = await function()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            self._put(task_id, [(ERROR, error)])
            if not future.done():
                future.set_exception(error)
        else:
            self._put(task_id, [(RETURN, result)])
            if not future.done():
                future.set_result(as_stored(result))

    def _put(self, task_id: str, writes: list[tuple[str, Any]]) -> None:
        self.pending[:] = [each for each in self.pending if each[0] != task_id]
        last = {channel: (task_id, channel, written(channel, value)) for channel, value in writes}
        self.pending += map(read, last.values())
        self._store(*last.values())

    def _store(self, *put: Write) -> None:
        if self.settings.remembers:
            self.puts.append(put)
