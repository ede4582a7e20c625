"""A process that blocks, given what an awaiting one was given: it must do the same, in the same order.

The flows are the same for both; what performs them is there twice. An awaiting process is explored; what
it was given on some way is then told to a blocking one, whose every effect, and all that it stores, is
compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphBubbleUp
from simulation.local_state import opaque
from simulation.machine import Machine
from simulation.memory import RETURN, Entry, GraphModel, Put, as_stored, written
from simulation.process import HEARS, Effect, Input, ModelTransport, Request, certain, settle
from simulation.saver import Found

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Listen, Pause
from acp_langgraph.nodes import execution
from acp_langgraph.nodes.langgraph import ERROR

__all__ = ["Done", "awaiting", "blocking"]


class Done(NamedTuple):
    """What a process did after it was given something.

    Attributes:
        puts: What it began to store.
        shown: What whoever watches has seen.
        effects: What it waits for.
        ended: How its invocation ended, if it did.
    """

    puts: tuple[Put, ...]
    shown: tuple[int | str, ...]
    effects: tuple[Effect, ...]
    ended: Any


class OverError(BaseException):
    """Nothing more is given."""


def awaiting(machine: Machine, inputs: tuple[Input, ...]) -> list[Done]:
    """What an awaiting process does that is given all that."""
    process = machine.again(())
    stands = [process.feed(given) for given in inputs]
    return [Done(each.puts, each.shown, each.effects, each.ended) for each in stands]


def blocking(machine: Machine, inputs: tuple[Input, ...]) -> list[Done]:
    """What a blocking process does that is given all that."""
    process = BlockingProcess(machine, inputs)
    patient = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)
    with certain((execution, "time", patient)), suppress(OverError):
        process.run()
    return process.done


class BlockingProcess:
    """A process whose node is invoked blocking; see `Process`."""

    def __init__(self, machine: Machine, inputs: tuple[Input, ...]) -> None:
        self.done: list[Done] = []
        self.now, self.timed, self.pauses = 0.0, machine.is_timed, False
        self.shown: list[int | str] = []
        self.graph: BlockingGraph | None = None
        self._machine = machine
        self._inputs = iter(inputs)
        self.node = machine.make_node(self)
        self.node.transport = BlockingTransport(self, self.node.transport)

    def run(self) -> None:
        """Take what it is given, to its end."""
        for given in self._inputs:
            match given:
                case ("time", now):
                    self.now = now
                case ("restore", memory):
                    self.node.restore(memory)
                case ("enter", entry):
                    copy_context().run(self._enter, entry)
            self._note(())

    def perform(self, effect: Effect) -> Any:
        """Have the world do something."""
        self._note((effect,))
        given = next(self._inputs, None)
        if given is None:
            raise OverError
        assert given[:2] == ("reply", 0), given
        future: Future[Any] = Future()
        settle(future, given[2])
        return future.result()

    def _enter(self, entry: Entry) -> None:
        self.graph = BlockingGraph(entry, self._machine.settings, BlockingSaver(self.perform), None)
        if self._machine.is_watched:
            self.graph.writer = self._show
        self.graph.invoke(self.node)

    def _show(self, event: Any) -> None:
        if event["kind"] == "custom":
            self.shown.append(event["payload"]["number"])
        elif event["kind"] == "gap":
            self.shown.append("gap")

    def _note(self, effects: tuple[Effect, ...]) -> None:
        graph, puts = self.graph, ()
        if graph is not None:
            puts = tuple(graph.puts)
            graph.puts.clear()
        ended = None if graph is None else graph.ended
        self.done.append(Done(puts, tuple(self.shown), effects, ended))
        self.shown.clear()


class BlockingGraph(GraphModel):
    """LangGraph where it blocks: a step is run where its node is."""

    @property
    def _place(self) -> dict[str, Any]:
        return {}

    def invoke(self, node: Any) -> None:
        """`run`, blocking."""
        if self._begin():
            return
        with self._ending():
            self._finish(written("", self._attempts_here(node)))

    def _attempts_here(self, node: Any) -> Any:
        while True:
            config = self._attempt()
            try:
                return node.invoke(dict(self.settings.state), config)
            except GraphBubbleUp:
                raise
            except Exception as error:
                if not self._is_retried(error):
                    raise

    def _call(self, function: Any, given: Any, **_: Any) -> Any:
        task_id, known, context = self._called(function)
        future: Future[Any] = Future()
        if known:
            future.set_result(known[0])
            return future
        try:
            result = context.run(function, *given[0])
        except Exception as error:  # noqa: BLE001 - whoever waits for it is told
            self._put(task_id, [(ERROR, error)])
            future.set_exception(error)
        else:
            self._put(task_id, [(RETURN, result)])
            future.set_result(as_stored(result))
        return future


class BlockingSaver(BaseCheckpointSaver[Any]):
    """Reads and writes by effects."""

    def __init__(self, perform: Any) -> None:
        self._perform = perform

    def get_tuple(self, config: Any) -> Any:
        found = self._perform(("read", 0))
        return None if found is None else Found(found)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        made = tuple((task_id, channel, written(channel, value)) for channel, value in writes)
        self._perform(("write", made))


class BlockingTransport:
    """Exchanges by effects."""

    shown = None

    def __init__(self, process: BlockingProcess, configured: Any) -> None:
        self.endpoint = configured.endpoint
        self.retries = configured.retries
        self._process = process

    def exchange(self, call: Call[Any]) -> Reply:
        reply: Reply = self._process.perform(
            ModelTransport.request(call, timed=self._process.timed)
        )
        return reply

    def listen(self, listen: Listen, tell: Any) -> None:
        call = listen.call
        joined = self._process.perform(ModelTransport.joining(call))
        for piece in self._pieces(call, joined):
            for progress in listen.reader.feed(piece):
                tell(progress)
            if listen.reader.done:
                return

    def pause(self, pause: Pause) -> None:
        """Nothing is told of it where time does not pass."""

    def _pieces(self, call: Call[Any], joined: Any) -> Iterator[bytes]:
        if isinstance(joined, Reply):
            call.read(joined)
        place = int(joined)
        while True:
            where = (("joined", str(joined)), ("place", str(place)))
            piece = self._process.perform(Request(HEARS, call.operation, call.path, where))
            if not piece:
                return
            place += 1
            yield piece


opaque(BlockingProcess)
