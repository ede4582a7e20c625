"""Every private name of LangGraph that the nodes need to keep their promise, and what happens without it.

Public, and used as it is: `Runtime.execution_info` with the thread, the checkpoint namespace of the task,
which stays the same over retries, re-entries and processes and differs for every `Send` item and loop
pass, and the attempt. No public name tells the rest, so it is read from what LangGraph hands to a node
in `config["configurable"]`. The names are imported as constants: one that is renamed is an
`ImportError` here, and one that is no longer handed over is refused with LangGraph's version in the
sentence where a promise would break without a word (`GraphTask.of`). Each is pinned by a test.

| name | gives | if LangGraph handed it over no more |
| --- | --- | --- |
| `CONFIG_KEY_RUNTIME` | the runtime, outside of LangGraph's own calls too | the node is outside of a graph |
| `CONFIG_KEY_CALL` | the runner's function for tasks, and through it the loop | refused where there is a checkpointer; a node with a time-out has it behind a guard |
| `CONFIG_KEY_CHECKPOINTER` | what remembers | refused |
| `CONFIG_KEY_RESUMING` | whether the step is entered again | its absence means a first entry, so the import is the guard |
| `CONFIG_KEY_READ` | one object per execution of a task and all of its attempts | attempts look each other up |
| `CONFIG_KEY_DURABILITY` | `exit`, if nothing is stored on the way | `exit` waits for what is not stored, and fails |
| `CONFIG_KEY_CHECKPOINT_MAP`, `_NS` | where the checkpoints around a task are | refused |
| the writers among a node's steps, the channels that `CONFIG_KEY_READ` reads | where a node's change goes | an answer that is lost is not refused |
| what a stream writer closes over, the queue `stream` among it | who watches, and how much is not taken yet | no stream of `custom`, or no back-pressure |
| `CONFIG_KEY_SCRATCHPAD`, `_RESUME_MAP`, `_SEND` | the answers that a task was given | questions are asked by LangGraph's rules alone |
| `CONFIG_KEY_STRICT_RESUME` | an answer by id is refused that is not awaited | the id of a task's first question is taken for a later one, where both are not a node's of ours |
| `loop.checkpointer` | whether a graph stores what its own nodes do | taken for yes |
| `loop._put_checkpoint_fut`, the executor's `tasks` | why something could not be stored | that it was not, after 30 s |
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from queue import Queue
from typing import Any, NoReturn, Self, TypeAlias

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config, set_config_context
from langgraph import types
from langgraph._internal._constants import (
    CONF,
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
    CONFIG_KEY_STREAM,
    CONFIG_KEY_STRICT_RESUME,
    ERROR,
    INTERRUPT,
    NULL_TASK_ID,
    RESUME,
)
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.errors import GraphInterrupt
from langgraph.func import task
from langgraph.pregel._call import CACHE as PREPARED
from langgraph.pregel._call import get_runnable_for_task
from langgraph.runtime import ExecutionInfo, Runtime
from langgraph.types import interrupt
from langgraph.version import __version__

from acp_langgraph.core.flow import Ask, Flow, Pause, Work
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.nodes.suspending import WOKEN, is_suspended

__all__ = [
    "CONFIG_KEY_CALL",
    "CONFIG_KEY_CHECKPOINT_MAP",
    "CONFIG_KEY_READ",
    "CONFIG_KEY_RESUME_MAP",
    "CONFIG_KEY_RESUMING",
    "CONFIG_KEY_RUNTIME",
    "CONFIG_KEY_SCRATCHPAD",
    "CONFIG_KEY_STREAM",
    "CONFIG_KEY_STRICT_RESUME",
    "INTERRUPT",
    "Asked",
    "GraphTask",
    "Questions",
    "Saver",
    "arun_as_task",
    "channels_taking",
    "failures_told",
    "is_resumed",
    "questions_in",
    "queues_behind",
    "renumbered",
    "run_as_task",
    "stored_writes",
    "writer_of",
]

Saver: TypeAlias = BaseCheckpointSaver[Any]

_TO_BE_STORED = (0.001, 0.01, 0.1, 1.0)
"""Seconds between looks for what LangGraph has begun to store."""


@dataclass(slots=True)
class GraphTask:
    """What LangGraph tells of the task that a node is executed as.

    Attributes:
        configurable: What it hands to the node.
        runtime: Its runtime.
        info: Public: which task it is.
        saver: What remembers the task's steps; `None` if nothing does.
        loops: The loops of the graphs that the task is in, the innermost first; none where something
            else than LangGraph runs the node.
    """

    configurable: Mapping[str, Any]
    runtime: Runtime[Any]
    info: ExecutionInfo
    saver: Saver | None
    loops: tuple[Any, ...]

    @classmethod
    def of(cls, config: RunnableConfig, node: str = "") -> Self | None:
        """The task; `None` outside of a graph.

        Args:
            config: What the node was given.
            node: The node's name, for errors.

        Raises:
            NodeConfigurationError: If LangGraph does not say what remembers, or where: a question would
                be lost, or a run started twice.
        """
        configurable: Mapping[str, Any] = config.get(CONF, {})
        if CONFIG_KEY_RUNTIME not in configurable:
            configurable = _around()
        runtime = configurable.get(CONFIG_KEY_RUNTIME)
        info = runtime.execution_info if isinstance(runtime, Runtime) else None
        if info is None:
            return None
        loops = tuple(_loops(configurable))
        saver = configurable.get(CONFIG_KEY_CHECKPOINTER)
        if loops:
            for needed in (CONFIG_KEY_CHECKPOINTER, CONFIG_KEY_CHECKPOINT_MAP):
                if needed not in configurable:
                    _refuse_this_version(f"{needed} is missing", node)
        elif CONFIG_KEY_SCRATCHPAD in configurable and isinstance(saver, BaseCheckpointSaver):
            _refuse_this_version(f"{CONFIG_KEY_CALL} is not what it was", node)
        # A graph compiled with `checkpointer=False` hands its parent's saver on, and stores nothing.
        stores = loops and all(getattr(loop, "checkpointer", saver) is not None for loop in loops)
        if not isinstance(saver, BaseCheckpointSaver) or not stores:
            saver = None
        return cls(configurable, runtime, info, saver, loops)  # type: ignore[arg-type]  # it is one

    @property
    def attempt(self) -> int:
        """Which attempt at the task it is, from 1; of Temporal's, where that has the task done."""
        temporal = None if self.loops else sys.modules.get("temporalio.activity")
        if temporal is not None and temporal.in_activity():
            return int(temporal.info().attempt)
        return self.info.node_attempt

    @property
    def is_kept_from_remembering(self) -> bool:
        """Whether a graph around the task was compiled with `checkpointer=False` in one that remembers."""
        savers = [getattr(loop, "checkpointer", None) for loop in self.loops]
        within = savers[savers.index(None) :] if None in savers else ()
        return any(saver is not None for saver in within)

    @property
    def attempts(self) -> Any:
        """One object for this execution of the task and all of its attempts; `None` if not known."""
        return self.configurable.get(CONFIG_KEY_READ)

    @property
    def may_have_run(self) -> bool:
        """Whether the task may have been at work before; certain only where LangGraph runs it."""
        again = self.configurable.get(CONFIG_KEY_RESUMING) is True
        return again or self.attempt > 1 or not self.loops

    @property
    def survives(self) -> bool:
        """Whether what is remembered outlives the process, and is stored on the way."""
        lasts = self.saver is not None and not isinstance(self.saver, InMemorySaver)
        return lasts and self.stores

    @property
    def stores(self) -> bool:
        """Whether what is remembered is stored on the way, and not only when the graph is left."""
        return self.configurable.get(CONFIG_KEY_DURABILITY) != "exit"

    @property
    def places(self) -> tuple[RunnableConfig, ...]:
        """Where the checkpoints of the graphs around the task are in the saver, the innermost last."""
        checkpoints: Mapping[str, str] = self.configurable.get(CONFIG_KEY_CHECKPOINT_MAP) or {}
        thread = {"thread_id": self.configurable.get("thread_id")}
        # A task of the functional API has its caller listed as well, with the checkpoint of its graph.
        inwards = {checkpoints[ns]: ns for ns in sorted(checkpoints, key=len, reverse=True)}
        return tuple(
            {"configurable": {**thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}
            for checkpoint_id, ns in reversed(inwards.items())
        )

    def raise_why_not_stored(self) -> None:
        """Raise why something around the task could not be stored, if that is known by now.

        LangGraph itself raises it only when the graph is left.
        """
        configurable = self.configurable
        for loop in self.loops:
            call = _unguarded(configurable[CONFIG_KEY_CALL])
            assert call is not None  # noqa: S101 - by which the loop was found
            for stored in (getattr(loop, "_put_checkpoint_fut", None), *_stored_beside(call)):
                if stored is None or not stored.done() or stored.cancelled():
                    continue
                error = stored.exception()
                if error is not None:
                    raise error
            configurable = loop.config.get(CONF, {})


def _around() -> Mapping[str, Any]:
    """What the task was given around whoever invokes the node with a configuration of its own.

    Temporal's plugin hands its functions one without the runtime, and has the whole in the context.
    """
    try:
        return get_config().get(CONF, {})
    except RuntimeError:
        return {}


def _refuse_this_version(what: str, node: str) -> NoReturn:
    raise NodeConfigurationError(
        f"langgraph {__version__} does not say what remembers this graph ({what}), so that a remote run "
        "could be started twice; nothing was started. Use a version of langgraph that this package was "
        "tried with",
        node=node,
    )


def _stored_beside(call: partial[Any]) -> Iterator[Any]:
    """What was done in the background of a graph and is no task: what stores."""
    submit, futures = (call.keywords.get(name, lambda: None)() for name in ("submit", "futures"))
    work = getattr(getattr(submit, "__self__", None), "tasks", None)
    if work is None or futures is None:
        return
    for each in list(work):
        if each.done() and each not in futures and each not in getattr(futures, "done", ()):
            yield each


def _loops(configurable: Mapping[str, Any]) -> Iterator[Any]:
    """The loops of the graphs that a task is in, the innermost first."""
    seen: set[int] = set()
    while (loop := _loop(configurable)) is not None and id(loop) not in seen:
        seen.add(id(loop))
        yield loop
        configurable = loop.config.get(CONF, {})


def _loop(configurable: Mapping[str, Any]) -> Any:
    call = _unguarded(configurable.get(CONFIG_KEY_CALL))
    schedule = call.keywords.get("schedule_task") if call is not None else None
    loop = getattr(schedule, "__self__", None)
    return loop if isinstance(getattr(loop, "config", None), Mapping) else None


def _unguarded(call: Any) -> partial[Any] | None:
    """What makes tasks, without the guard that a node with a time-out has around it."""
    if isinstance(call, partial):
        return call
    cells = getattr(call, "__closure__", None) or ()
    within = (cell.cell_contents for cell in cells)
    return next((each for each in within if isinstance(each, partial)), None)


@dataclass(slots=True)
class Asked:
    """What was asked by one execution of a task, in all of its attempts.

    Attributes:
        numbers: LangGraph's number of each question.
        taken: The ids of an agent's questions whose answers were taken from the graph's.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)


class Questions:
    """The questions of one entry into a task, and their answers.

    LangGraph hands out a plain answer (`Command(resume=...)`) whenever a task asks, until another one
    is given: it stays with the checkpoint. An answer to a task's first question, given by its id, is
    also taken for a later one. And questions are told apart by their order, which another attempt may
    begin in the middle. So four rules are added here:

    * an answer is only for a question that was put: of a later question of a task, the store shows it;
    * an answer that was given is stored with its task, and taken from where it would be found again;
    * a question has the same number in every attempt;
    * where several questions were put as one, by their own ids, a dict of these ids answers them,
      although LangGraph takes such a dict for one of its own interrupts' ids.

    Args:
        task: The task that asks.
        who: Who asks within it.
        asked: What else was asked there.
        around: The task that fails if this one does: for a call of a tool, the one that it is made in.
    """

    __slots__ = ("_answers", "_around", "_asked", "_is_left", "_task", "_who")

    def __init__(self, task: GraphTask, who: str, asked: Asked, around: GraphTask) -> None:
        self._task = task
        self._around = around
        self._who = who
        self._asked = asked
        self._answers: Mapping[str, Any] = dict(task.configurable.get(CONFIG_KEY_RESUME_MAP) or {})
        self._is_left: bool | None = None  # the plain answer, where a later question would find it

    def put(self, ask: Ask) -> Flow[Any]:
        """Put a question as the graph's interrupt, or give the answer that the graph was resumed with.

        Raises:
            GraphInterrupt: If it has no answer yet.
        """
        scratchpad = self._task.configurable.get(CONFIG_KEY_SCRATCHPAD)
        saver = self._task.saver
        if saver is None or scratchpad is None:
            return interrupt(ask.payload, response_schema=ask.schema)
        stored: list[Any] | None = None
        changes: dict[str, Any] = {"interrupt_counter": lambda: self._number(ask, scratchpad)}
        is_plain = scratchpad.get_null_resume(False) is not None
        if self._is_left is None:  # LangGraph goes on to hand out what was given
            self._is_left = is_plain
        if self._answers or is_plain:
            found = yield from _read(saver, *self._task.places)
            stored, is_meant = self._meant(scratchpad, found, again=ask.again)
            if not is_meant:
                changes["get_null_resume"] = lambda _consume=False: None
        try:
            answer = _interrupt(ask, replace(scratchpad, **changes))
        except GraphInterrupt:
            answer = self._answer_by_parts(ask)
            if not answer:
                if scratchpad.resume:  # what an earlier attempt was told would be forgotten
                    self._send(scratchpad)
                yield from self._take_away(saver, _TO_BE_STORED if self._task.stores else ())
                if is_suspended(ask.payload) and self._task.may_have_run:
                    yield from _forget_failure(self._around)
                raise
            scratchpad.resume.append(answer)
            self._send(scratchpad)
        if stored is not None and len(scratchpad.resume) > len(stored):
            yield from self._store(saver, list(scratchpad.resume))
            yield from self._take_away(saver)
        return answer

    def _answer_by_parts(self, ask: Ask) -> dict[str, Any]:
        """The answers to several questions that were put as one, each taken once."""
        given = self._answers.keys() - self._asked.taken
        parts = [each for each in questions_in(ask.payload) if each in given]
        self._asked.taken.update(parts)
        return {each: self._answers[each] for each in parts}

    def _number(self, ask: Ask, scratchpad: Any) -> int:
        """Which of the task's questions this is; the same in every attempt, whatever is asked first."""
        numbers = self._asked.numbers
        about = f"{self._who}\n{ask.about}"
        while about not in numbers:
            number: int = scratchpad.interrupt_counter()
            if self._is_for_a_wait(number, ask, scratchpad):
                continue
            if not ask.about:
                return number
            if number not in numbers.values():
                numbers[about] = number
        return numbers[about]

    def _is_for_a_wait(self, number: int, ask: Ask, scratchpad: Any) -> bool:
        """Whether the graph was woken where this question would be: the wait was there, and is lost."""
        is_woken = number < len(scratchpad.resume) and scratchpad.resume[number] == WOKEN
        return is_woken and not is_suspended(ask.payload)

    def _send(self, scratchpad: Any) -> None:
        self._task.configurable[CONFIG_KEY_SEND]([(RESUME, list(scratchpad.resume))])

    def _meant(
        self, scratchpad: Any, found: Sequence[CheckpointTuple | None], *, again: bool
    ) -> tuple[list[Any], bool]:
        """Drop an answer by id that is for another question.

        Returns:
            The answers that are stored with the task; and whether a plain answer is for this question:
            it is on display, or was before its answer was refused, or nothing is on display and the task
            has asked nothing before, as in a fork.
        """
        task_id = self._task.info.task_id
        writes = [each for checkpoint in found for each in stored_writes(checkpoint)]
        stored: Any = next((v for t, c, v in writes if (t, c) == (task_id, RESUME)), [])
        stored = stored if isinstance(stored, list) else [stored]
        shown = {(t, each.id) for t, c, value in writes if c == INTERRUPT for each in value}
        namespace = str(self._task.configurable.get(CONFIG_KEY_CHECKPOINT_NS, ""))
        its_id = _question_id(namespace, len(stored))
        if its_id is None:
            return stored, True
        if stored and its_id not in self._answers:  # LangGraph may have taken the first question's
            del scratchpad.resume[len(stored) :]
        own = {each for task, each in shown if task == task_id}
        return stored, its_id in own or (again and bool(own)) or not (shown or stored)

    def _store(self, saver: Saver, answers: list[Any]) -> Flow[None]:
        place, task_id = self._task.places[-1], self._task.info.task_id
        yield from _write(saver, place, [(RESUME, answers)], task_id)

    def _take_away(self, saver: Saver, pauses: Sequence[float] = ()) -> Flow[None]:
        """Take the plain answer from where a later question would find it.

        Args:
            saver: Where it is; or will be, for LangGraph writes it in the background.
            pauses: Before each further look for one that this entry was given.
        """
        place = self._task.places[0]
        for pause in (*pauses, None):
            (found,) = yield from _read(saver, place)
            for task_id, channel, value in stored_writes(found):
                if (task_id, channel) == (NULL_TASK_ID, RESUME) and value is not None:
                    yield from _write(saver, place, [(RESUME, None)], NULL_TASK_ID)
                    self._is_left = False
                    return
            if pause is None or not self._is_left:
                return
            yield Pause(pause)


def failures_told(own: GraphTask, around: GraphTask) -> Flow[list[str]]:
    """What was told of failures of a task before it was entered again.

    LangGraph stores the error with which a task failed. Only if the task itself has failed with it was
    anybody told: a tool's failure that a model was told of is none of the graph's.

    Args:
        own: The task whose steps failed.
        around: The task that must have failed: for a call of a tool, which is in a graph of its own,
            the one in which the call was made.

    Returns:
        The errors, each as its `repr`; empty if nobody was told.
    """
    if around.saver is None:
        return []
    (outer,) = yield from _read(around.saver, around.places[-1])
    if not any(each[:2] == (around.info.task_id, ERROR) for each in stored_writes(outer)):
        return []
    inner = outer
    if own is not around and own.saver is not None:
        (inner,) = yield from _read(own.saver, own.places[-1])
    errors = [value for _, channel, value in stored_writes(inner) if channel == ERROR and value]
    return [each if isinstance(each, str) else repr(each) for each in errors]


def _forget_failure(task: GraphTask) -> Flow[None]:
    """Take away the error with which a task failed that is suspended now.

    LangGraph keeps it until the step is over, and who wakes threads leaves those alone that failed.
    """
    if task.saver is None:
        return
    (found,) = yield from _read(task.saver, task.places[-1])
    its_own = (each for each in stored_writes(found) if each[0] == task.info.task_id)
    if any(channel == ERROR and value is not None for _, channel, value in its_own):
        yield from _write(task.saver, task.places[-1], [(ERROR, None)], task.info.task_id)


def _read(saver: Saver, *places: RunnableConfig) -> Flow[list[CheckpointTuple | None]]:
    async def awaiting() -> list[CheckpointTuple | None]:
        return [await saver.aget_tuple(place) for place in places]

    return (yield from Work(lambda: [saver.get_tuple(place) for place in places], awaiting))


def _write(
    saver: Saver, place: RunnableConfig, writes: list[tuple[str, Any]], task_id: str
) -> Flow[None]:
    yield from Work(
        partial(saver.put_writes, place, writes, task_id),
        partial(saver.aput_writes, place, writes, task_id),
    )


def stored_writes(found: CheckpointTuple | None) -> list[tuple[str, str, Any]]:
    """What is stored with a checkpoint of tasks that are not over: by whom, where, what."""
    return list(found.pending_writes or ()) if found is not None else []


def _question_id(namespace: str, answered: int) -> str | None:
    """The id of a task's question after so many answers; `None` if they all have the same."""
    make = getattr(types, "_interrupt_id", None)
    return None if make is None else str(make(namespace, answered))


def _interrupt(ask: Ask, scratchpad: Any) -> Any:
    """LangGraph's `interrupt`, with a scratchpad of ours."""
    config = patch_config(get_config(), configurable={CONFIG_KEY_SCRATCHPAD: scratchpad})
    with set_config_context(config) as context:
        return context.run(interrupt, ask.payload, response_schema=ask.schema)


def questions_in(payload: Any) -> list[str]:
    """The ids of the questions that an agent asks as one, in an object of its questions by id."""
    match payload:
        case {"interrupts": {**asked}} | {**asked}:
            return [each for each in asked if isinstance(each, str)]
    return []


def channels_taking(node: Any, config: RunnableConfig) -> Mapping[str, Any] | None:
    """The channels of the graph that takes the node's change as it is; `None` if not known."""
    configurable = config.get(CONF, {})
    call = _unguarded(configurable.get(CONFIG_KEY_CALL))
    try:
        task = call.args[0]()  # type: ignore[union-attr]  # if it is none, as below
        channels = configurable[CONFIG_KEY_READ].args[1]
        first, *others = task.proc.steps
    except (KeyError, AttributeError, IndexError, TypeError, ValueError):
        return None
    writes = all(type(each).__name__.startswith("ChannelWrite") for each in others)
    known = first is node and writes and isinstance(channels, dict)
    return channels if known and "__root__" not in channels else None


def renumbered(configurable: Mapping[str, Any], *, answered: bool = True) -> dict[str, Any]:
    """The scratchpad for a graph that is the only one in its place."""
    scratchpad = configurable.get(CONFIG_KEY_SCRATCHPAD)
    if scratchpad is None:
        return {}
    changes: dict[str, Any] = {"subgraph_counter": itertools.count().__next__}
    if not answered:
        changes["get_null_resume"] = lambda _consume=False: None
    return {CONFIG_KEY_SCRATCHPAD: replace(scratchpad, **changes)}


def is_resumed(configurable: Mapping[str, Any]) -> bool:
    """Whether the graph was resumed with an answer, be it to whichever question."""
    scratchpad = configurable.get(CONFIG_KEY_SCRATCHPAD)
    plain = scratchpad is not None and scratchpad.get_null_resume(False) is not None
    return plain or bool(configurable.get(CONFIG_KEY_RESUME_MAP))


def writer_of(runtime: Runtime[Any]) -> Callable[[Any], None] | None:
    """The writer of the stream `custom`, if anybody watches it."""
    return runtime.stream_writer if runtime.stream_writer.__closure__ else None


def queues_behind(functions: Iterable[Any]) -> Iterator[Any]:
    """The queues behind LangGraph's streaming functions, each once."""
    found: list[Any] = []
    for function in functions:
        if isinstance(function, partial):  # of a loop's call_soon_threadsafe
            function = function.args[0] if function.args else None  # noqa: PLW2901 - unwrapped
        if inspect.ismethod(function):
            queue = function.__self__
        elif inspect.isfunction(function) and function.__closure__:
            cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
            queue = cells["stream"].cell_contents if "stream" in cells else None
        else:
            continue
        if hasattr(queue, "qsize") and not any(queue is other for other in found):
            found.append(queue)
            yield queue


# Steps as LangGraph tasks, run in the place that the node has already.
#
# LangGraph has only so many places to work in: threads for blocking graphs, `max_concurrency` for
# awaiting ones. A task wants one of its own, and the node that waits for it keeps its own meanwhile;
# where as many nodes as there are places wait like that, none ever goes on. So a step's task is run
# where the node is. `CONFIG_KEY_CALL` is a `partial` whose keyword `submit` leads to what takes up the
# task; where it is not, tasks are run as LangGraph runs them.


def run_as_task(body: Callable[[], Any]) -> Any:
    """Run a function as a task of the node that this is called in; its result is remembered.

    Args:
        body: Names the task by its `__name__`.

    Raises:
        NodeConfigurationError: If it would block the event loop that it waits for.
    """
    call = _call()
    if call is None:
        return task(body)().result()
    if "loop" not in call.keywords:
        return _begin(call, body, _submit_here).result()
    if _running() is not None:
        raise NodeConfigurationError(
            "invoke() blocks the event loop that the graph runs on; nothing was started. Use "
            "`await node.ainvoke(...)`, or a function that does not await, which LangGraph calls in a "
            "thread"
        )
    return _run_from_thread(call, body)


async def arun_as_task(body: Callable[[], Awaitable[Any]]) -> Any:
    """`run_as_task`, awaiting."""
    call = _call()
    if call is not None and call.keywords.get("loop") is not _running():
        raise NodeConfigurationError(
            "ainvoke() is awaited on another event loop than the graph's, or in a graph that blocks; "
            "what it does could not be remembered there, and nothing was started. Use node.invoke(...), "
            "or let the graph's own node await: async def ...: await node.ainvoke(...)"
        )
    if call is None:
        return await task(body)()
    executor = getattr(call.keywords["submit"](), "__self__", None)
    has_places = getattr(executor, "semaphore", None) is not None
    return await _begin(call, body, partial(_submit_beside, executor) if has_places else None)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _call() -> partial[Any] | None:
    """What makes tasks of the node that this is called in, if it can be told where to run them."""
    call = get_config().get(CONF, {}).get(CONFIG_KEY_CALL)
    found = isinstance(call, partial) and callable(call.keywords.get("submit"))
    return call if found else None


def _begin(call: partial[Any], body: Callable[[], Any], submit: Callable[..., Any] | None) -> Any:
    function = _task_named(body.__name__, awaits=inspect.iscoroutinefunction(body))
    told = {**call.keywords, "callbacks": get_config().get("callbacks")}
    told |= {"retry_policy": None, "cache_policy": None, "timeout": None}
    if submit is not None:
        told["submit"] = lambda: submit
    return call.func(*call.args, function, ((body,), {}), **told)


@lru_cache
def _task_named(name: str, *, awaits: bool) -> Callable[..., Any]:
    """What does the steps of a name: one function, for LangGraph prepares much for each, and keeps it.

    It is told by a task's name which it was, and `self` is the argument that no trace shows.
    """

    async def awaiting(self: Callable[[], Awaitable[Any]]) -> Any:
        return await self()

    def blocking(self: Callable[[], Any]) -> Any:
        return self()

    made: Callable[..., Any] = awaiting if awaits else blocking
    made.__name__ = name
    PREPARED[made, True] = get_runnable_for_task(made)
    return made


def _submit_here(function: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
    """Do it now, in this thread; what ends the thread is raised, and all else is the future's."""
    future: Future[Any] = Future()
    meant = {name: options[name] for name in options if not name.startswith("__")}
    try:
        result = copy_context().run(function, *args, **meant)
    except Exception as error:  # noqa: BLE001 - whoever waits for it is told
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


def _run_from_thread(call: partial[Any], body: Callable[[], Any]) -> Any:
    """Run a step of a graph that awaits in this thread, which is one of its functions'."""
    begun: Queue[Context | None] = Queue()
    over: Future[Any] = Future()
    over.set_running_or_notify_cancel()  # whoever leaves the graph does not cancel what is at work here

    async def wait() -> Any:
        begun.put(copy_context())
        return await asyncio.wrap_future(over)

    wait.__name__ = body.__name__
    future = _begin(call, wait, partial(_submit_beside, call.keywords["submit"]().__self__))
    future.add_done_callback(lambda _: begun.put(None))  # it was remembered, or could not begin
    context = begun.get()
    if context is not None:
        try:
            over.set_result(context.run(body))
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            over.set_exception(error)
        except BaseException:
            over.set_exception(CancelledError())
            raise
    return future.result()


def _submit_beside(executor: Any, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Have it done without a place of its own."""
    places, executor.semaphore = executor.semaphore, None
    try:
        return executor.submit(function, *args, **options)
    finally:
        executor.semaphore = places
