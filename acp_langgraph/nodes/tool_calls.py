"""One call of a tool within a graph: what it is known by, and which other calls it has beside it.

A model may call several tools at once, and LangGraph's `ToolNode` runs them in threads, or gathered,
all within one task. What LangGraph numbers in a task (steps, questions, subgraphs) would then depend
on which of them is faster, and after a resume one call could get what is another's. So each call is
a place in the graph of its own:

* It is known by the task, the tool, the id that the model gave the call, and its arguments. From
  this comes the key of the remote run, so that whoever enters again finds the same run.
* It happens in a graph of its own, whose namespace is made of the same. There steps are remembered
  and questions wait; a call that is over is not performed again when another one beside it asked.
* A call that asks waits for those beside it to come to rest, as LangGraph does for nodes of one
  step, and then all questions are put together, each with an id of its own. An answer is only given
  to a call that waits for it: a plain one, without an id, to the call whose question was put; and
  none to a later question, should a crash have left the earlier one on display.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.errors import GraphInterrupt
from langgraph.types import Interrupt

from acp_langgraph.core.processes import PerProcess
from acp_langgraph.nodes.execution import CALL, Call
from acp_langgraph.nodes.langgraph import (
    CONFIG_KEY_CHECKPOINT_MAP,
    CONFIG_KEY_RESUME_MAP,
    CONFIG_KEY_RESUMING,
    INTERRUPT,
    GraphTask,
    is_resumed,
    questions_in,
    renumbered,
    stored_writes,
)

_NAMESPACE: Final = uuid.UUID("9a0f3c1e-52a7-5c0e-8e0b-6a0d1f3f7c21")

_beside: WeakKeyDictionary[Any, dict[int, Beside]] = WeakKeyDictionary()
_lock = PerProcess(threading.Lock)
_performed: PerProcess[dict[str, _Performance]] = PerProcess(dict)


class Beside:
    """The calls of one attempt at one task, as far as they are performed in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self._begun: Counter[str] = Counter()
        self._asked: dict[str, tuple[Interrupt, ...]] = {}
        self._rest: Future[None] = Future()

    def enter(self, name: str, *, is_named: bool) -> tuple[str, bool]:
        """Begin a call; the name that is its alone, and whether this very call was begun before.

        Args:
            name: What the call is known by.
            is_named: Whether the model gave it an id. If not, each call is a new one.
        """
        with self._lock:
            if not self._at_work:
                self._rest = Future()
            numbers = itertools.count(0 if is_named else self._begun[name])
            alone = next(
                each for number in numbers if (each := f"{name}\n{number}") not in self._at_work
            )
            is_known = alone in self._asked
            self._at_work.add(alone)
            self._begun[name] += 1
            self._asked.setdefault(alone, ())
            return alone, is_known

    def leave(self, name: str, asked: Iterable[Interrupt]) -> Future[None]:
        """End a call; done once all the others have come to rest as well."""
        with self._lock:
            self._asked[name] = tuple(asked)
            self._at_work.discard(name)
            if not self._at_work:
                self._rest.set_result(None)
            return self._rest

    def question(self) -> GraphInterrupt:
        """All that was asked, in the order of the calls."""
        with self._lock:
            return GraphInterrupt(tuple(itertools.chain.from_iterable(self._asked.values())))


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool within a graph.

    Attributes:
        config: What the call is performed with.
        saver: What remembers; `None` if nothing does.
        beside: The calls beside it, and itself.
        name: What it alone is known by.
        performance: What tells other attempts at this very call when it is over.
        before: Done once an earlier attempt at this very call is over, if it is not.
        asked_in: Where the questions are kept that were put for its task, and its own.
        task_id: The task that it is in.
    """

    config: RunnableConfig
    saver: BaseCheckpointSaver[Any] | None
    beside: Beside
    name: str
    performance: _Performance
    before: Future[None] | None
    asked_in: tuple[RunnableConfig, RunnableConfig]
    task_id: str

    @classmethod
    def begin(
        cls, tool: str, call_id: str | None, arguments: Any, config: RunnableConfig
    ) -> ToolCall | None:
        """Begin a call; `None` outside of a graph.

        Args:
            tool: The tool's name.
            call_id: The id that the model gave the call.
            arguments: JSON, what the tool is called with.
            config: The tool's configuration.
        """
        task = GraphTask.of(config, tool)
        if task is None or task.attempts is None:
            return None
        configurable, info, saver = task.configurable, task.info, task.saver
        with _lock.here():
            beside = _beside.setdefault(task.attempts, {}).setdefault(info.node_attempt, Beside())
        said = json.dumps(arguments, sort_keys=True)
        known_by = "\n".join((str(info.thread_id), info.checkpoint_ns, tool, call_id or "", said))
        name, is_known = beside.enter(known_by, is_named=bool(call_id))
        performance, before = _Performance.begin(name)
        key = str(uuid.uuid5(_NAMESPACE, name))
        place = f"{info.checkpoint_ns}|{tool}:{key}"
        changes: dict[str, Any] = {CALL: Call(key, config, task)}
        if saver is not None:
            changes["checkpoint_ns"] = place
            changes |= renumbered(configurable)
        if is_known:
            changes[CONFIG_KEY_RESUMING] = True
        around = info.checkpoint_ns.rpartition("|")[0]
        thread = {"thread_id": configurable.get("thread_id")}
        checkpoint_id = (configurable.get(CONFIG_KEY_CHECKPOINT_MAP) or {}).get(around)
        at = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
        return cls(
            config=patch_config(config, configurable=changes),
            saver=saver,
            beside=beside,
            name=name,
            performance=performance,
            before=before,
            asked_in=(
                {"configurable": {**thread, "checkpoint_ns": around, **at}},
                {"configurable": {**thread, "checkpoint_ns": place}},
            ),
            task_id=info.task_id,
        )

    def leave(self, asked: Iterable[Interrupt]) -> Future[None]:
        """End the call; done once those beside it have come to rest."""
        self.performance.end(self.name)
        return self.beside.leave(self.name, asked)

    def is_answered(self) -> bool:
        """Whether the graph was resumed with an answer, be it to another call's question."""
        return is_resumed(self.config["configurable"])

    def with_its_answers(
        self, task: CheckpointTuple | None, own: CheckpointTuple | None
    ) -> RunnableConfig:
        """The configuration, without answers that are not for this call.

        Args:
            task: Found in the first of `asked_in`.
            own: Found in the second.
        """
        configurable = self.config["configurable"]
        its_own = _interrupts(own, None)
        waits_for = {each.id for each in its_own}
        put = {each.id for each in _interrupts(task, self.task_id)}
        answers = configurable.get(CONFIG_KEY_RESUME_MAP) or {}
        meant = waits_for.union(*(questions_in(each.value) for each in its_own))
        changes: dict[str, Any] = {
            CONFIG_KEY_RESUME_MAP: {each: answers[each] for each in answers if each in meant}
        }
        if put and not put & waits_for:
            changes |= renumbered(configurable, answered=False)
        return patch_config(self.config, configurable=changes)


@dataclass(frozen=True, slots=True, eq=False)
class _Performance:
    """A call that is at work in this process, be it of an attempt that has failed.

    An attempt at a task may fail while a call in it is still at work, for a gathered call is not
    cancelled then; and the next attempt comes to the same call.
    """

    loop: Any
    over: Future[None]

    @classmethod
    def begin(cls, name: str) -> tuple[_Performance, Future[None] | None]:
        """Begin, and what is done once the one before is over, if it is not and can be waited for."""
        try:
            loop: Any = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        own = cls(loop, Future())
        with _lock.here():
            before = _performed.here().get(name)
            _performed.here()[name] = own
        return own, before.over if before is not None and before.loop is loop else None

    def end(self, name: str) -> None:
        """End; whoever waits for it goes on."""
        with _lock.here():
            if _performed.here().get(name) is self:
                del _performed.here()[name]
        self.over.set_result(None)


def _interrupts(found: CheckpointTuple | None, task_id: str | None) -> list[Interrupt]:
    """The questions that a task, or any, put."""
    return [
        each
        for writer, channel, value in stored_writes(found)
        if channel == INTERRUPT and task_id in {None, writer}
        for each in (value if isinstance(value, (list, tuple)) else [value])
    ]
