"""A graph that is suspended while a run works, and those who wake it, in processes.

The wakers are the real ones: `WakeApp`, `Sweeper` and `GraphThreads`. What is replaced is beneath them: the graph is
a model of one with a node behind the one that waits; the database's answers, the lock and the clock are effects.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, copy_context
from types import SimpleNamespace, TracebackType
from typing import Any

from langgraph.errors import UnknownInterruptError
from simulation.fanout import FanOut, branch_of, open_questions
from simulation.local_state import opaque
from simulation.memory import (
    ERROR,
    INTERRUPT,
    OUTPUT,
    STEP,
    Entry,
    GraphModel,
    Store,
    read,
    written,
)
from simulation.process import Input, Process, Request, Stand, certain

from acp_langgraph.core import wake_urls
from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.core.wake_urls import WakeURL
from acp_langgraph.errors import AcpLangGraphError
from acp_langgraph.nodes import execution
from acp_langgraph.nodes import suspending as noted
from acp_langgraph.nodes.suspending import WOKEN
from acp_langgraph.waking import app, finding, sweeping, waker
from acp_langgraph.waking.app import WakeApp
from acp_langgraph.waking.sweeping import Sweeper

__all__ = ["AFTER", "IN_HAND", "WAKE_URL", "WakingProcess", "found_in", "snapshot", "tasks_of"]

AFTER = "the node behind it"
"""The operation of what the next node does, which the world counts."""

IN_HAND = "in_hand"
"""The channel of the note that a waker has a thread in hand."""

THREAD = "1"
SECRET = "whsec_" + "A" * 43 + "="
WAKE_URL = WakeURL("https://me.invalid/wake", SECRET)

_BEFORE, _AFTER = "1969-12-31T00:00:00+00:00", "2100-01-01T00:00:00+00:00"
"""When the checkpoint before the wait was made, and that behind it, on a clock that begins with 1970."""

_seen: ContextVar[Store | None] = ContextVar("seen", default=None)


class Followed(GraphModel):
    """One invocation of a graph of two nodes: one that waits for runs, and one behind it.

    Args:
        process: The process that it is in.
        entry: How it is invoked.
        is_by_waker: Whether a waker invokes it.
        is_woken: Whether who invokes it leaves a note of that in its checkpoints.
    """

    def __init__(
        self, process: Process, entry: Entry, *, is_by_waker: bool = False, is_woken: bool = False
    ) -> None:
        super().__init__(entry, process.settings, process.saver, process.loop)
        self.process = process
        self.is_by_waker = is_by_waker
        self.is_woken = is_woken

    async def run(self, node: Any) -> None:
        """Invoke the graph; how it ended is in `ended`."""
        await asyncio.sleep(0)
        store = self.entry.store
        if self.entry.how != "new" and store.done is not None:
            self._finish(store.done)
            return
        self._begin()
        with self._ending():
            step = None if self.entry.how == "new" else store.of("", STEP)
            if step is not None:
                result: str | None = json.loads(step)[1]
            elif (result := await self._first(node)) is not None:
                self._store(("", STEP, json.dumps([self.is_woken, result, self.is_by_waker])))
            if result is not None:
                await self.process.perform(Request("work", AFTER, ""))
                self._finish(result)

    async def _first(self, node: Any) -> str | None:
        """Execute the node that waits; what it came to, if it is over."""
        raise NotImplementedError


class SuspendedGraph(Followed):
    """One task of the node waits."""

    async def _first(self, node: Any) -> str | None:
        result = self.entry.store.of(self.task_id, OUTPUT)
        if result is None:
            result = written("", await self._attempts(node))
            self._store((self.task_id, OUTPUT, result))
        return result


class SuspendedTasks(Followed, FanOut):
    """Several tasks of the node wait at once."""

    async def _first(self, node: Any) -> str | None:
        ended = await self._tasks(node)
        if ended.how == "done":
            return ended.what
        self.ended = ended
        return None


class ThreadsGraph:
    """The graph as wakers have it, with what of it they use.

    Args:
        process: The process that they are in.
    """

    interrupt_before_nodes = interrupt_after_nodes = ()

    def __init__(self, process: WakingProcess) -> None:
        self.checkpointer = process.saver
        self._process = process

    async def aget_state(self, _: Any) -> Any:
        store = await self._process.perform(("view",))
        _seen.set(store)
        return snapshot(store, self._process.settings.tasks)

    async def ainvoke(self, value: Any, config: Any) -> None:
        process = self._process
        is_answered = value is not None
        given = value.resume if is_answered else None
        by_id = isinstance(given, Mapping)
        store = await process.perform(("open", tuple(given) if by_id else ()))
        pending = [question_id for question_id, _ in open_questions(store)]
        if by_id and not set(given) <= set(pending):
            raise UnknownInterruptError("it is not pending", reason="not_pending")
        if is_answered and not by_id and len(pending) > 1:
            raise GraphFailedError("RuntimeError: there are multiple pending interrupts")
        how = ("by_id" if by_id else "plain") if is_answered else "none"
        entry = Entry(how, json.dumps(given) if is_answered else "", store.checkpoint, store)
        is_woken = bool(config["metadata"].get(WOKEN))
        graph = process.graph_of(entry, is_by_waker=True, is_woken=is_woken)
        process.graph = graph
        process.main = process.loop.create_task(graph.run(process.node), context=copy_context())
        await process.main
        assert graph.ended is not None
        if graph.ended.how == "cancelled":
            raise asyncio.CancelledError
        if graph.ended.how == "failed":
            raise GraphFailedError(f"{graph.ended.what}: {graph.ended.more}")


def tasks_of(store: Store, number: int) -> list[str]:
    """The ids of the tasks that wait, as many as there are."""
    return [
        branch_of(each, store.checkpoint) for each in (range(1, number + 1) if number > 1 else [0])
    ]


def _read(shown: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = read(("", INTERRUPT, shown))[2]
    return found


def snapshot(store: Store, number: int) -> Any:
    """How LangGraph tells what is stored."""
    step = store.of("", STEP)
    tasks, metadata = [], {}
    if step is not None:
        tasks = [SimpleNamespace(error=None, result=None, interrupts=())]
        metadata = {WOKEN: True} if json.loads(step)[0] else {}
    else:
        tasks = [_snapshot_of(store, task) for task in tasks_of(store, number)]
    return SimpleNamespace(
        created_at=(_AFTER if step else _BEFORE) if store.checkpoint else None,
        tasks=[] if store.done else tasks,
        next=() if store.done else tuple("a node" for each in tasks if each.result is None),
        metadata=metadata,
    )


def _snapshot_of(store: Store, task: str) -> Any:
    error, shown = store.of(task, ERROR), store.of(task, INTERRUPT)
    return SimpleNamespace(
        error=json.loads(error) if error else None,
        result=store.of(task, OUTPUT),
        interrupts=_read(shown) if shown else (),
    )


def found_in(store: Store, which: str) -> tuple[tuple[Any, ...], ...]:
    """What a database answers who asks it for suspended threads, or for those in a waker's hand."""
    if which == finding._LEFT:
        return ((THREAD, "", None, None, None),) if store.note else ()
    shown = [value for _, channel, value in store.writes if channel == INTERRUPT]
    return tuple((THREAD, f"{store.checkpoint}", "json", each, True) for each in shown)


class GraphFailedError(RuntimeError):
    """What the graph that was woken failed with."""


class ModelLock:
    """A thread's lock.

    Args:
        process: The process that wants it.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    async def __aenter__(self) -> None:
        await self._process.perform(("lock",))

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not GeneratorExit:  # the process is forgotten
            await self._process.perform(("unlock",))


opaque(asyncio.Semaphore, ModelLock, SuspendedGraph, SuspendedTasks, ThreadsGraph, TracebackType)
_EXPECTED = (AcpLangGraphError, GraphFailedError)


class WakingProcess(Process):
    """A process that invokes the graph, or wakes its thread.

    Args:
        *args: As of a `Process`.
        is_blind: Whether its wakers find no node that could look at a run.
        **options: As of a `Process`.
    """

    def __init__(self, *args: Any, is_blind: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.saver.serde = SimpleNamespace(loads_typed=lambda typed: _read(typed[1]))
        graph = ThreadsGraph(self)
        self.app = WakeApp(graph, secret=SECRET, lock=self._lock)
        self.sweeper = Sweeper(graph, lock=self._lock)
        clock = SimpleNamespace(time=lambda: self.now)
        modules: tuple[Any, ...] = (app, sweeping, waker)
        self._changes = (
            (execution, "uuid", self._ids),
            (noted, "_nodes", () if is_blind else (self.node,)),
            (finding, "kind_of", lambda _: "sqlite"),
            (finding, "rows", self._rows),
            *((module, "time", clock) for module in (*modules, wake_urls)),
            *((module, "_log", self) for module in modules),
        )
        self._mistakes: list[BaseException] = []

    def exception(self, *_: Any) -> None:
        """What would be logged of an error is of no account, unless that is none that there may be."""
        error = sys.exception()
        if error is not None and not isinstance(error, _EXPECTED):
            self._mistakes.append(error)

    info = warning = exception

    def changed(self) -> AbstractContextManager[None]:
        """What is replaced in it."""
        return certain(*self._changes)

    def _lock(self, _: str) -> ModelLock:
        return ModelLock(self)

    def _rows(self, _: Any, query: str, values: Any) -> Flow[list[tuple[Any, ...]]]:
        names = {text: name for name, text in finding._FIND["sqlite"].items()}
        which = IN_HAND if names[query] == finding._IN_HAND else names[query]
        del values
        return (yield from Work(list, lambda: self.perform(("rows", which))))

    def make_graph(self, entry: Entry) -> GraphModel:
        """The graph that is invoked."""
        return self.graph_of(entry)

    def graph_of(self, entry: Entry, **options: bool) -> Followed:
        """The graph, with who invokes it."""
        kind = SuspendedTasks if self.settings.tasks > 1 else SuspendedGraph
        return kind(self, entry, **options)

    def _fed(self, given: Input) -> Stand:
        match given:
            case ("notice", url):
                self.loop.create_task(self._notified(url))
            case ("sweep",):
                self.loop.create_task(self.sweeper.asweep())
            case ("stop",):
                for task in list(self.loop.tasks):
                    task.cancel()
        stand = super()._fed(given)
        for mistake in self._mistakes:
            raise mistake
        return stand

    async def _notified(self, url: str) -> None:
        """Take a notice as a server for the app does, and say what it was answered."""
        told: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            told.append(message.get("status"))

        scope = {"type": "http", "method": "POST", "path": url, "headers": []}
        await self.app(scope, receive, send)
        await self.perform(("answer", told[0], url, _seen.get()))

    def memory(self) -> Any:
        """What of it outlives what it is at work on."""
        return (self.node.memory(), tuple(self.sweeper._settled))

    def restore(self, memory: Any) -> None:
        """Be as one that remembers this."""
        known, settled = memory
        self.node.restore(known)
        self.sweeper._settled = dict.fromkeys(settled)


opaque(WakingProcess)
