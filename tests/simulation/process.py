"""A process as a function: from where it stands and what it is given, to where it stands then.

In it is what users run: a node, its `ainvoke`, its flow and performer, on asyncio's own tasks. Nothing of
that can be copied, so a process is made again of all that it was ever given. That is seldom needed: its
state is a value (`simulation.local_state`), and what comes of an input in a state is worked out once and
looked up from then on, in however many worlds it happens.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

from simulation.fanout import FanOut
from simulation.local_state import described, opaque
from simulation.memory import Ended, Entry, GraphModel, Put, Settings
from simulation.nested import NestedGraph
from simulation.saver import ModelSaver
from simulation.virtual import VirtualLoop

from acp_langgraph.bridge import flow as bridge
from acp_langgraph.core import retry
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Flow, Listen, Pause, adrive
from acp_langgraph.errors import ApiConnectionError, ApiTimeoutError
from acp_langgraph.jobs.once import Once
from acp_langgraph.nodes import execution
from acp_langgraph.nodes.execution import _invocations
from acp_langgraph.quant import claims, polling

__all__ = [
    "HEARS",
    "OPEN",
    "OPEN_TASK",
    "Effect",
    "Input",
    "ModelTransport",
    "Process",
    "Request",
    "Stand",
    "certain",
    "settle",
]

Effect: TypeAlias = tuple[Any, ...]
"""What a process waits for: a `call` with operation, method, path and body; to `read` or to `write` the
store; a `pause` of so many seconds."""

Input: TypeAlias = tuple[Any, ...]
"""What a process is given: `enter` with an entry; the `reply` to an effect by its place; `cancel`; `drain`."""

OPEN = "wait_for_run_output"
"""The operation of a request that began something and stays open until that is done."""

OPEN_TASK = "the answer to a message"
"""The same of A2A, whose protocol has no name for it."""

HEARS = "hears"
"""The kind of request that is for the next piece of a stream that was joined."""


class Request(NamedTuple):
    """An exchange that a process wants.

    Attributes:
        kind: Tells it from other effects.
        operation: Its name in the protocol.
        path: Where it goes.
        query: Its query parameters.
        body: What it carries.
        limit: Seconds after which it is broken off.
    """

    kind: str
    operation: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    limit: float | None = None


class Stand(NamedTuple):
    """Where a process stands when it waits for the world.

    Attributes:
        state: Its state, by number; 0 is a process that was just started.
        effects: What it waits for.
        puts: What it has begun to store since the last time.
        ended: How the invocation ended, if it did.
        shown: What whoever watches has seen since the last time: numbers of events, and `gap`.
    """

    state: int
    effects: tuple[Effect, ...] = ()
    puts: tuple[Put, ...] = ()
    ended: Ended | None = None
    shown: tuple[int | str, ...] = ()


class ModelTransport:
    """Exchanges by effects.

    Args:
        process: The process that it is in.
        configured: The node's own transport, for what the node reads of it.
    """

    shown = None

    def __init__(self, process: Process, configured: Any) -> None:
        self.endpoint = configured.endpoint
        self.retries = configured.retries
        self._process = process

    async def exchange(self, call: Call[Any]) -> Reply:
        reply: Reply = await self._process.perform(self.request(call, timed=self._process.timed))
        return reply

    async def run(self, flow: Flow[Any]) -> Any:
        return await adrive(flow, self)  # type: ignore[arg-type]  # as far as such flows need it

    call = exchange

    @staticmethod
    def request(call: Call[Any], *, timed: bool) -> Request:
        """The effect that an exchange is."""
        asked = tuple(sorted(call.query.items()))
        limit = call.limit if timed else None
        return Request("call", call.operation, call.path, asked, call.encode(), limit)

    @staticmethod
    def joining(call: Call[Any]) -> Request:
        """The effect by which a stream is joined."""
        after = ("last-event-id", call.headers.get("last-event-id", ""))
        return Request("call", call.operation, call.path, (after,), call.encode())

    async def listen(self, listen: Listen, tell: Any) -> None:
        call = listen.call
        joined = await self._process.perform(self.joining(call))
        if isinstance(joined, Reply):
            call.read(joined)
        place = int(joined)
        while True:
            where = (("joined", str(joined)), ("place", str(place)))
            piece = await self._process.perform(Request(HEARS, call.operation, call.path, where))
            if not piece:
                return
            place += 1
            for progress in listen.reader.feed(piece):
                await tell(progress)
            if listen.reader.done:
                return

    async def pause(self, pause: Pause) -> None:
        if self._process.timed or self._process.pauses:
            await self._process.perform(("pause", pause.seconds))

    def finish(self, job: Any) -> None:
        """It is finished here like all else."""


opaque(ModelTransport)
_NO_CHANCE = SimpleNamespace(random=lambda: 0.5, uniform=lambda least, _: least)
_NO_TIME = SimpleNamespace(monotonic=lambda: 0.0, time=lambda: 0.0)
_CERTAIN: tuple[tuple[Any, str, Any], ...] = (
    (retry, "random", _NO_CHANCE),
    (retry, "time", _NO_TIME),
    (polling, "random", _NO_CHANCE),
    (claims, "random", _NO_CHANCE),
    (bridge, "Once", partial(Once, clock=lambda: 0.0)),
)


@contextmanager
def certain(*more: tuple[Any, str, Any]) -> Iterator[None]:
    """Nothing is left to chance, and no clock is looked at but the process's own."""
    changes = (*_CERTAIN, *more)
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class Process:
    """A process that runs a graph of one node.

    Args:
        make_node: Makes the node.
        settings: How the graph is compiled and invoked.
        timed: Whether time passes.
        pauses: Whether the world is told of pauses.
        watched: Whether somebody watches what the node emits.
    """

    def __init__(
        self,
        make_node: Callable[[Process], Any],
        settings: Settings,
        *,
        timed: bool = False,
        pauses: bool = False,
        watched: bool = False,
    ) -> None:
        self.loop = VirtualLoop()
        self.effects: list[tuple[Effect, asyncio.Future[Any]]] = []
        self.settings = settings
        self.timed = timed
        self.pauses = pauses
        self.watched = watched
        self.shown: list[int | str] = []
        self.now = 0.0
        self.saver = ModelSaver(self.perform)
        self.graph: GraphModel | None = None
        self.main: asyncio.Task[None] | None = None
        self.node = make_node(self)
        self._ids = SimpleNamespace(**vars(uuid) | {"uuid4": self._new_id})

    def _new_id(self) -> str:
        """Of a call outside of a graph: another one for each, and in each process."""
        assert self.graph is not None
        return f"call-{self.graph.entry.number}"

    async def perform(self, effect: Effect) -> Any:
        """Have the world do something."""
        future = self.loop.create_future()
        entry = (effect, future)
        self.effects.append(entry)
        try:
            return await future
        finally:
            if entry in self.effects:
                self.effects.remove(entry)

    def feed(self, given: Input) -> Stand:
        """Give it something, and let it run until it waits; where it stands, but for the number."""
        with self.changed():
            return self._fed(given)

    def feed_all(self, inputs: tuple[Input, ...]) -> None:
        """Give it one after the other."""
        with self.changed():
            for given in inputs:
                self._fed(given)

    def changed(self) -> AbstractContextManager[None]:
        """What is replaced in it."""
        return certain((execution, "uuid", self._ids))

    def _fed(self, given: Input) -> Stand:
        match given:
            case ("enter", entry):
                self._enter(entry)
            case ("reply", place, outcome):
                if outcome[0] in {"passed", "silence"}:
                    self.now += outcome[1]
                _, future = self.effects.pop(place)
                settle(future, outcome)
            case ("cancel",):
                assert self.main is not None
                self.main.cancel()
            case ("drain",):
                assert self.graph is not None
                self.graph.control.request_drain()
                self.loop.run()
                self.loop.move_to(self.loop.now + 1.5)
            case ("time", now):
                self.now = now
            case ("restore", memory):
                self.restore(memory)
        self.loop.run()
        while not self.effects and self.loop.tasks and (due := self.loop.next_moment) is not None:
            self.loop.move_to(due)
        puts: tuple[Put, ...] = ()
        ended = None
        if self.graph is not None:
            puts = tuple(self.graph.puts)
            self.graph.puts.clear()
            ended = self.graph.ended
        shown = tuple(self.shown)
        self.shown.clear()
        return Stand(-1, tuple(effect for effect, _ in self.effects), puts, ended, shown)

    def _enter(self, entry: Entry) -> None:
        self.graph = self.make_graph(entry)
        if self.watched:
            self.graph.writer = self._show
        self.main = self.loop.create_task(self.graph.run(self.node), context=copy_context())

    def make_graph(self, entry: Entry) -> GraphModel:
        """The graph that is invoked."""
        kind: type[GraphModel] = FanOut if self.settings.tasks > 1 else GraphModel
        if self.settings.is_nested:
            kind = NestedGraph
        return kind(entry, self.settings, self.saver, self.loop)

    def memory(self) -> Any:
        """What of it outlives what it is at work on."""
        return self.node.memory()

    def restore(self, memory: Any) -> None:
        """Be as one that remembers this."""
        self.node.restore(memory)

    def _show(self, event: Any) -> None:
        if event["kind"] == "custom":
            self.shown.append(event["payload"]["number"])
        elif event["kind"] == "gap":
            self.shown.append("gap")

    @property
    def is_idle(self) -> bool:
        """Whether nothing of an invocation is left but what the node remembers."""
        return not self.loop.tasks and (self.graph is None or self.graph.ended is not None)

    def state(self) -> Any:
        """All that matters to what it will do."""
        if self.is_idle:
            return ("idle", self.memory(), self.now)
        known: dict[int, Any] = {id(each): place for place, (_, each) in enumerate(self.effects)}
        graph: Any = None
        if self.graph is not None:
            graph = (
                self.graph.entry.number,
                self.graph.ended,
                self.graph.control.drain_requested,
                described(self.graph.resumes, known),
                described(self.graph.known, known),
                tuple(_of_task(each, known) for each in self.graph.parts),
            )
        return (
            tuple(effect for effect, _ in self.effects),
            tuple(described(task.get_coro(), known) for task in self.loop.tasks),
            self.memory(),
            self.now,
            graph,
        )


opaque(Process)


def _of_task(task: GraphModel, known: dict[int, Any]) -> Any:
    noted = _invocations.get(task.attempts)
    held = (described(each, known) for each in (task.writes, task.scratchpad, noted))
    return task.ended, task.attempt, *held


def settle(future: Any, outcome: tuple[Any, ...]) -> None:
    """Let what was waited for have come, or gone wrong."""
    match outcome:
        case ("http", status, content):
            future.set_result(Reply(status, {"content-type": _media_type(content)}, content))
        case ("passed", _):
            future.set_result(None)
        case ("unsent",):
            future.set_exception(ApiConnectionError("connection refused", sent=False))
        case ("unanswered",):
            future.set_exception(ApiConnectionError("connection reset", sent=True))
        case ("late",) | ("silence", _):
            future.set_exception(ApiTimeoutError("no answer in time", sent=True))
        case ("value", value):
            future.set_result(value)


def _media_type(content: bytes) -> str:
    match content[:1]:
        case b"{" | b"[" | b'"':
            return "application/json"
        case b"<":
            return "text/html"
    return "text/plain"
