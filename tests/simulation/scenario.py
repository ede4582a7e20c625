"""Whatever can happen next in a world.

It may go on in many ways, and each is told in a line, so that the way to a world reads as a story.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulation.machine import Machine
from simulation.memory import CHECKPOINT, NOTHING_STORED, Ended, Entry, Put, Store, landed
from simulation.people import what_people_do
from simulation.process import HEARS, OPEN, OPEN_TASK, Input, Request, Stand
from simulation.world import Budget, Happening, Proc, World

from acp_langgraph.nodes.langgraph import ERROR

__all__ = ["Scenario"]

_OPENS = frozenset({OPEN, OPEN_TASK})
_OPENED_BY = "SendMessage"
_LATE = 8  # looks for what is late, before it is there
_INNER = 100  # times the number of a checkpoint, and a number, is one of a graph within
_PATIENCE = 60.0  # seconds that this side waits for an answer at most
_FAULTS: tuple[tuple[str, bool, tuple[Any, ...]], ...] = (
    ("is lost on the way", False, ("unanswered",)),
    ("is done, and its answer is lost", True, ("unanswered",)),
    ("is refused a connection", False, ("unsent",)),
    ("is answered 502 by something in between", False, ("http", 502, b"")),
    ("is done, and answered 504 by something in between", True, ("http", 504, b"")),
    ("is done, and answered with a page", True, ("http", 200, b"<html>")),
)


@dataclass
class Scenario:
    """A world to begin with, and how it goes on.

    Attributes:
        name: What it is, in words: the kind of its server, if nothing else is said.
        model: The server.
        machine: What processes do.
        budget: What may happen.
        answers: What is answered to what.
        by_id: Whether answers are given by the ids of their questions.
        faults: How many of the kinds of faults there are, the first ones.
        stores: Whether what is stored on the way outlives a process that dies; not with durability
            `exit`.
        in_memory: Whether nothing does.
        errors: Errors of which somebody may be told, by their classes.
        finals: Those with which it may end.
        most_runs: How many runs may complete.
        leaves: Whether somebody may leave it at a cancel, or an error.
        locked: Whether workers lock the thread that they are at work on.
        must_be_told: Whether somebody must have been told of a failure.
        deadline: Until when whoever is told of a deadline must have been, in seconds.
        stored_is_told: Whether whoever looks finds a failure that is stored, and so was told.
        ordered: Whether steps have the same names in the same places, whatever became known meanwhile.
        asks_until: Until when whoever is asked must have been, in seconds.
        in_turn: Whether of what a process waits for the first comes first, and not any.
    """

    name: str
    model: Any
    machine: Machine
    budget: Budget
    answers: Mapping[str, str] = field(default_factory=lambda: {"color?": "blue", "food?": "rice"})
    by_id: bool = False
    faults: int = 5
    stores: bool = True
    in_memory: bool = False
    errors: frozenset[str] = frozenset()
    finals: frozenset[str] = frozenset()
    most_runs: int = 1
    leaves: bool = False
    locked: bool = False
    must_be_told: bool = False
    deadline: float = float("inf")
    stored_is_told: bool = True
    ordered: bool = True
    asks_until: float = float("inf")
    in_turn: bool = False

    def __post_init__(self) -> None:
        self.kind = self.name

    @property
    def beginning(self) -> World:
        """The world before anything happened."""
        return World(self.model.empty, budget=self.budget)

    def happenings(self, world: World) -> Iterator[Happening]:
        """Whatever may happen next."""
        for place, proc in enumerate(world.procs):
            yield from self._of_process(world, place, proc)
        for said, server in self.model.moves(world.server):
            yield f"{said}", world._replace(server=server)
        for index, request in enumerate(world.late):
            others = world.late[:index] + world.late[index + 1 :]
            server = self.model.respond(world.server, request)[0]
            yield (
                f"a late {request.operation} arrives at the server",
                world._replace(server=server, late=others),
            )
        yield from self.of_people(world)

    def of_people(self, world: World) -> Iterator[Happening]:
        """What whoever wants the graph done may do next."""
        return what_people_do(self, world)

    def broken(self, _: World) -> str | None:
        """Which promise a world breaks that only some scenarios have."""
        return None

    # Processes

    def _of_process(self, world: World, place: int, proc: Proc) -> Iterator[Happening]:
        who = self._name(world, place)
        for index, effect in enumerate(proc.effects[:1] if self.in_turn else proc.effects):
            yield from self._of_effect(world, place, proc, index, effect, who)
        if proc.ended is not None and not proc.told:
            yield from self._of_ending(world, place, proc, who)
        if proc.effects or not proc.told:
            yield from self._of_dying(world, place, proc, who)
        if proc.ended is None and proc.effects:
            yield from self._of_stopping(world, place, who)

    def _name(self, world: World, place: int) -> str:
        return f"process {place + 1}" if len(world.procs) > 1 else "the process"

    def _of_effect(
        self, world: World, place: int, proc: Proc, index: int, effect: Any, who: str
    ) -> Iterator[Happening]:
        match effect:
            case Request():
                yield from self._of_request(world, place, proc, index, effect, who)
            case ("read", inner):
                yield from self._of_reading(world, place, proc, index, inner, who)
            case ("write", writes):
                yield from self._of_writing(world, place, proc, index, writes, who)
            case ("pause", seconds):
                _, after = next(self._caught_up(world, place, proc))
                if self.machine.is_timed:
                    after = after._replace(clock=after.clock + seconds)
                yield (
                    f"{who} pauses for {seconds:g} s",
                    self._given(after, place, ("reply", index, ("passed", seconds))),
                )

    def _of_stopping(self, world: World, place: int, who: str) -> Iterator[Happening]:
        if world.budget.cancels:
            after = self._given(world.spending("cancels"), place, ("cancel",))
            yield f"somebody cancels the graph in {who}", after
        if world.budget.drains:
            after = self._given(world.spending("drains"), place, ("drain",))
            yield f"somebody drains the graph in {who}", after

    def _of_writing(
        self, world: World, place: int, proc: Proc, index: int, writes: Put, who: str
    ) -> Iterator[Happening]:
        for said, after in self._caught_up(world, place, proc):
            stored = after._replace(store=self._all(after.store, proc.number, (writes,)))
            yield (
                f"{who} stores {_in_words((writes,))}{said}",
                self._given(stored, place, ("reply", index, ("value", None))),
            )

    def _of_request(
        self, world: World, place: int, proc: Proc, index: int, request: Request, who: str
    ) -> Iterator[Happening]:
        if self.model.is_stream(request):
            yield from self._of_stream(world, place, index, request, who)
            return
        name, model = request.operation, self.model
        reply: Any = ("reply", index)
        server, status, content = model.respond(world.server, request)
        done = world._replace(server=server)
        if isinstance(content, Request):  # it is answered when what it began is done
            content = content._replace(limit=request.limit)
            effects = (*proc.effects[:index], content, *proc.effects[index + 1 :])
            yield (
                f"{who}: {name} arrives, and is open",
                self._with(done, place, proc._replace(effects=effects)),
            )
        elif not model.waits(world.server, request):
            yield (
                f"{who}: {name} -> {status}",
                self._given(done, place, (*reply, ("http", status, content))),
            )
        elif world.budget.waits:
            yield (
                f"{who}: {name} -> {status}, before there is anything to tell",
                self._given(done.spending("waits"), place, (*reply, ("http", status, content))),
            )
        if request.kind == "call":  # and not what is done on this side
            yield from self._of_network(world, done, place, index, request, who)

    def _of_stream(
        self, world: World, place: int, index: int, request: Request, who: str
    ) -> Iterator[Happening]:
        """A stream is joined, or goes on by an event, or ends; which it may do before its time."""
        reply: Any = ("reply", index)
        name = request.operation
        if request.kind != HEARS:
            outcome = self.model.joined(world.server, request)
            yield f"{who}: {name} is joined", self._given(world, place, (*reply, outcome))
        else:
            said, event = self.model.event(world.server, request)
            if event is not None:
                told = f"{who} hears {said}" if event else f"{who}: {name} is at its end"
                yield told, self._given(world, place, (*reply, ("value", event)))
            if world.budget.cuts:
                after = self._given(world.spending("cuts"), place, (*reply, ("value", b"")))
                yield f"{who}: {name} ends before its time, as if it were its end", after
        if world.budget.faults:
            after = self._given(world.spending("faults"), place, (*reply, ("unanswered",)))
            yield f"{who}: {name} breaks off", after

    def _of_network(
        self, world: World, done: World, place: int, index: int, request: Request, who: str
    ) -> Iterator[Happening]:
        """What goes wrong on the way; `done` is the world in which the request did what it asks for."""
        name, changes = request.operation, self.model.changes(request)
        reply: Any = ("reply", index)
        if world.budget.faults:
            for said, arrives, outcome in _FAULTS[: self.faults]:
                if arrives and not changes:
                    continue  # the same as if it had never arrived
                if outcome == ("unsent",) and name in _OPENS:
                    continue
                after = (done if arrives else world).spending("faults")
                yield f"{who}: {name} {said}", self._given(after, place, (*reply, outcome))
        if world.budget.silences:
            seconds = _PATIENCE if request.limit is None else min(_PATIENCE, request.limit)
            for said, heard in (("does not arrive", world), ("arrives", done)):
                if heard is world or changes:
                    after = heard.spending("silences")
                    after = after._replace(clock=world.clock + seconds)
                    told = f"{who}: {name} {said}, and there is no answer for {seconds:g} s"
                    yield told, self._given(after, place, (*reply, ("silence", seconds)))
        if changes:
            yield from self._of_proxies(world, done, place, index, request, who)

    def _of_proxies(
        self, world: World, done: World, place: int, index: int, request: Request, who: str
    ) -> Iterator[Happening]:
        """What becomes of a request that something in between delays, or sends twice."""
        name, reply = request.operation, ("reply", index)
        if world.budget.lates:
            late = world.spending("lates")._replace(late=(*world.late, request))
            said = f"{who}: {name} is held up, and given up"
            yield said, self._given(late, place, (*reply, ("late",)))
        if world.budget.doubles:
            server, status, content = self.model.respond(world.server, request)
            twice = done.spending("doubles")
            twice = twice._replace(server=self.model.respond(server, request)[0])
            if isinstance(content, Request):
                content = content._replace(limit=request.limit)
                proc = world.procs[place]
                effects = (*proc.effects[:index], content, *proc.effects[index + 1 :])
                is_open = self._with(twice, place, proc._replace(effects=effects))
                yield f"{who}: {name} arrives twice, and is open", is_open
                return
            yield (
                f"{who}: {name} arrives twice -> {status}",
                self._given(twice, place, (*reply, ("http", status, content))),
            )

    def _of_reading(
        self, world: World, place: int, proc: Proc, index: int, inner: int, who: str
    ) -> Iterator[Happening]:
        what = "the checkpoint within" if inner else "the checkpoint"
        for said, after in self._caught_up(world, place, proc, inner=bool(inner)):
            store = (after.store.inner or NOTHING_STORED) if inner else after.store
            found = store.writes if store.checkpoint == (inner or proc.number) else None
            yield (
                f"{who} reads {what}{said}",
                self._given(after, place, ("reply", index, ("value", found))),
            )

    def _caught_up(
        self, world: World, place: int, proc: Proc, *, inner: bool | None = None
    ) -> Iterator[tuple[str, World]]:
        """What was written in the background is there; or it is late, and stays so for a while.

        Who reads one of two checkpoints, the `inner` one or the other, has not waited for the other one.
        """
        store = self._all(world.store, proc.number, proc.puts)
        caught_up = proc._replace(puts=(), lags=0)
        yield "", self._with(world._replace(store=store), place, caught_up)
        if inner is not None and self.machine.settings.is_nested:
            others = tuple(each for each in proc.puts if ("|" in each[0][0]) != inner)
            here = tuple(each for each in proc.puts if each not in others)
            store = self._all(world.store, proc.number, here)
            if others:
                after = world._replace(store=store)
                behind = self._with(after, place, proc._replace(puts=others))
                yield f", before {_in_words(others)} is there", behind
        late = tuple(each for each in proc.puts if each != (CHECKPOINT,))
        if late and (proc.lags or world.budget.stale):
            after = world if proc.lags else world.spending("stale")
            there = tuple(each for each in proc.puts if each == (CHECKPOINT,))
            after = after._replace(store=self._all(after.store, proc.number, there))
            lagging = proc._replace(puts=late, lags=(proc.lags or _LATE) - 1)
            yield f", before {_in_words(late)} is there", self._with(after, place, lagging)

    def _of_ending(self, world: World, place: int, proc: Proc, who: str) -> Iterator[Happening]:
        assert proc.ended is not None
        store = self._all(world.store, proc.number, proc.puts)
        told_of_failure = world.told or proc.ended.how == "failed"
        after = world._replace(store=store, human=proc.ended, told=told_of_failure)
        if proc.ended.how == "asked" and not world.asked[0]:
            after = after._replace(asked=(proc.ended.more, proc.ended.what))
        told = self._with(after, place, proc._replace(puts=(), told=True))
        yield f"the graph in {who} {_ending(proc.ended)}", told

    def _of_dying(self, world: World, place: int, proc: Proc, who: str) -> Iterator[Happening]:
        if not world.budget.crashes:
            return
        world = world.spending("crashes")
        others = world.procs[:place] + world.procs[place + 1 :]
        human = world.human if proc.told or any(p.is_at_work for p in others) else Ended("died")
        sent = [e for e in proc.effects if isinstance(e, Request) and self.model.changes(e)]
        for arriving in _subsets(tuple(sent)):
            server = world.server
            for request in arriving:
                server = self.model.respond(server, request)[0]
            for stored in _subsets(proc.puts if self.stores else ()):
                store = self._all(world.store, proc.number, stored)
                if self.in_memory:
                    store = NOTHING_STORED
                said = [f"{who} dies"]
                said += [f"{each.operation} still arrives" for each in arriving]
                lost = tuple(each for each in proc.puts if each not in stored)
                if lost:
                    said.append(f"{_in_words(lost)} was not stored yet")
                told = world.told or (
                    self.stored_is_told
                    and any(
                        channel == ERROR and " " not in task
                        for put in stored
                        for task, channel, _ in put
                    )
                )
                after = world._replace(server=server, store=store, procs=others, human=human)
                yield "; ".join(said), after._replace(told=told)

    # What they share

    def entered(self, world: World, how: str, given: str = "", *, fresh: bool = False) -> World:
        number = world.inputs + 1 if how == "new" else world.store.checkpoint
        world, inner = self._within(world, number)
        entry = Entry(how, given, number, world.store, inner)
        idle = next((i for i, p in enumerate(world.procs) if not (p.is_at_work or p.wakes)), None)
        if idle is None or fresh:
            idle, world = len(world.procs), world._replace(procs=(*world.procs, Proc(0)))
        world = self._with(world, idle, world.procs[idle]._replace(number=number, told=False))
        world = world._replace(inputs=max(world.inputs, number), human=Ended("invoked"))
        if self.machine.is_timed:
            world = self._given(world, idle, ("time", world.clock))
        return self._given(world, idle, ("enter", entry))

    def _within(self, world: World, number: int) -> tuple[World, int]:
        """The number of the inner graph's checkpoint, if there is one: what is not stored is begun anew."""
        if not self.machine.settings.is_nested:
            return world, 0
        inner = world.store.inner
        if inner is not None and inner.checkpoint // _INNER == number:
            return world, inner.checkpoint
        begun = world.begun + 1
        return world._replace(begun=begun), number * _INNER + begun

    def _given(self, world: World, place: int, given: Input) -> World:
        """The world after a process was given something."""
        proc = world.procs[place]
        stand: Stand = self.machine.step(proc.state, given)
        effects = list(stand.effects)
        known = proc.effects
        if given[0] == "reply":
            known = known[: given[1]] + known[given[1] + 1 :]
        for index, (one, now) in enumerate(zip(known, effects, strict=False)):
            if isinstance(one, Request) and one.operation in _OPENS and _opens(now):
                effects[index] = one  # it is open already
        return self._with(
            world,
            place,
            proc._replace(
                state=stand.state,
                effects=tuple(effects),
                puts=(*proc.puts, *stand.puts),
                ended=stand.ended,
                shown=(*proc.shown, *stand.shown),
            ),
        )

    def _with(self, world: World, place: int, proc: Proc) -> World:
        procs = (*world.procs[:place], proc, *world.procs[place + 1 :])
        return world._replace(procs=procs)

    def _all(self, store: Store, number: int, puts: tuple[Put, ...]) -> Store:
        if not self.machine.settings.remembers:
            return store
        for write in itertools.chain(*puts):
            store = landed(store, number, write)
        return store


def _opens(effect: Any) -> bool:
    """Whether it is a request that is answered when what it begins is done."""
    return isinstance(effect, Request) and (
        "create_and" in effect.operation or effect.operation == _OPENED_BY
    )


def _subsets(things: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """All subsets of a few things; of many, the ways to break off somewhere."""
    if len(things) <= 3:
        for size in range(len(things) + 1):
            yield from itertools.combinations(things, size)
        return
    for size in range(len(things) + 1):
        yield things[:size]


def _in_words(puts: tuple[Put, ...]) -> str:
    names = {
        "checkpoint": "the checkpoint",
        "__interrupt__": "the question",
        "__resume__": "the answer",
        "__error__": "the error",
        "done": "the result",
        "output": "the node's result",
        "step": "the next step",
    }
    said = []
    for task, channel, _ in itertools.chain(*puts):
        _, is_inner, name = task.rpartition("|")
        what = names.get(channel, f"what {name.split()[0] if name else name} came to")
        what += " within" if is_inner else ""
        if what not in said:
            said.append(what)
    return " and ".join(said)


def _ending(ended: Ended) -> str:
    match ended.how:
        case "asked":
            return f"asks {ended.what}"
        case "failed":
            return f"fails with {ended.what}"
        case "done":
            return "is done"
        case how:
            return f"is {how}"
