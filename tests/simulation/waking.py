"""A world in which a graph is suspended while a run works, and who may wake it.

The server tells what becomes of its runs, by webhooks that are lost, late, doubled and reordered. Wakers hear
them, or sweep; they die between any two effects. Should nothing be left that can happen, time passes, and a
sweep begins: in the end the graph must have been woken, whatever was lost.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulation.acp_model import ACPModel, ACPServer, Run
from simulation.fanout import open_questions
from simulation.invariants import shows_a_wait
from simulation.memory import ERROR, INTERRUPT, OUTPUT, STEP, Ended, Store
from simulation.people import plain
from simulation.process import Input, Request
from simulation.scenario import Scenario
from simulation.suspended import AFTER, IN_HAND, found_in, tasks_of
from simulation.world import Happening, Proc, World

from acp_langgraph import is_suspended

__all__ = ["WakingModel", "WakingScenario"]


class Notice(NamedTuple):
    """A webhook that is on its way.

    Attributes:
        url: Where it goes.
        run: Of which run it is.
        refused: What was stored when it was refused, after which it is sent again.
    """

    url: str
    run: str
    refused: Store | None = None


class TellingServer(NamedTuple):
    """What a server holds that tells what becomes of its runs.

    Attributes:
        runs: Its runs, the oldest first.
        threads: Its threads.
        hooks: Of each run, whom it tells.
        notices: What it tells just now.
        after: How often the node behind the one that waits was at work.
    """

    runs: tuple[Run, ...] = ()
    threads: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    after: int = 0


class WakingModel(ACPModel):
    """A server that calls webhooks; and what else is done in this world, which is counted."""

    empty: Any = TellingServer()

    def _created(self, server: Any, request: Request) -> Any:
        made = super()._created(server, request)
        if isinstance(made[1], int):
            return made
        after, run = made
        hook = json.loads(request.body or b"").get("webhook", "")
        return after._replace(hooks=(*after.hooks, hook)), run

    def moves(self, server: Any) -> list[tuple[str, Any]]:
        """What the agent may do next, each in words; and then the server tells it."""
        return [(said, self._telling(server, after)) for said, after in super().moves(server)]

    def _telling(self, server: TellingServer, after: TellingServer) -> TellingServer:
        for one, now, hook in zip(server.runs, after.runs, after.hooks, strict=True):
            if one != now and hook:
                notice = Notice(hook.partition("/wake")[2], now.run_id)
                after = after._replace(notices=(*after.notices, notice))
        return after

    def respond(self, server: Any, request: Request) -> tuple[Any, int, bytes]:
        """What a request makes of the server, and the answer."""
        if request.operation == AFTER:
            return server._replace(after=server.after + 1), 200, b"{}"
        return super().respond(server, request)

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything."""
        return request.operation == AFTER or super().changes(request)

    def was_answered(self, server: ACPServer, question: Any) -> bool:
        """Whether the latest run has the answer to a question; a wait is none."""
        return not is_suspended(question) and super().was_answered(server, question)


@dataclass
class WakingScenario(Scenario):
    """A graph that is suspended, and who wakes it.

    Attributes:
        wakers: How many processes may wake threads at once.
        loses: Whether notices may be lost.
    """

    wakers: int = 1
    loses: bool = True

    # What happens

    def happenings(self, world: World) -> Iterator[Happening]:
        """Whatever may happen next."""
        nothing = True
        for each in super().happenings(world):
            nothing = False
            yield each
        if nothing or self._only_people_may(world):
            yield from self._in_the_end(world)

    def _only_people_may(self, world: World) -> bool:
        """Whether nothing goes on unless somebody does what need not be done."""
        if any(proc.effects or proc.is_at_work for proc in world.procs):
            return False
        if self.model.moves(world.server) or world.server.notices:
            return False
        return world.human.how not in {"done", "left"} and self._is_asleep(world)

    def _in_the_end(self, world: World) -> Iterator[Happening]:
        """Time passes, and somebody sweeps."""
        if world.human.how in {"done", "left"} or world.store.done:
            return
        dues = [wait["due"] for _, wait in _waits(world.store) if wait["due"] is not None]
        if dues and world.clock <= dues[0] and self.model.stuck:
            said = "time passes, until the run has taken too long"
            yield said, world._replace(clock=dues[0] + 1)
        elif world.budget.rests:
            yield from self._sweeping(world.spending("rests"), "nothing else happens, and ")

    def _sweeping(self, world: World, said: str) -> Iterator[Happening]:
        for place, after in self._waking(world, idle=True):
            begun = self._given(self._as(after, place, "sweeps"), place, ("sweep",))
            yield f"{said}{self._name(after, place)} sweeps", begun

    def of_people(self, world: World) -> Iterator[Happening]:
        """What whoever wants the graph done may do next, and what is told."""
        for index, notice in enumerate(world.server.notices):
            yield from self._of_notice(world, index, notice)
        if world.budget.sweeps and world.store.checkpoint:
            yield from self._sweeping(world.spending("sweeps"), "")
        yield from self._of_whoever_asks(world)

    def _of_notice(self, world: World, index: int, notice: Notice) -> Iterator[Happening]:
        notices = world.server.notices
        without = world._replace(
            server=world.server._replace(notices=notices[:index] + notices[index + 1 :])
        )
        what = f"the notice of {notice.run}"
        if self.loses:
            yield f"{what} is lost", without
        if (
            notice.refused == world.store
        ):  # there must have happened something before it is sent again
            return
        for place, after in self._waking(without, idle=False):
            heard = self._given(self._as(after, place, "hears"), place, ("notice", notice.url))
            yield f"{self._name(after, place)} hears {what}", heard
            if world.budget.echoes:
                twice = heard.spending("echoes")
                again = (*twice.server.notices, notice)
                twice = twice._replace(server=twice.server._replace(notices=again))
                yield f"{self._name(after, place)} hears {what}, which is sent twice", twice

    def _waking(self, world: World, *, idle: bool) -> Iterator[tuple[int, World]]:
        """The wakers that there are, or one that is started, and the world with them."""
        wakers = [(place, proc) for place, proc in enumerate(world.procs) if proc.wakes]
        for place, proc in wakers:
            if proc.wakes == "idle" or (proc.wakes == "hears" and not idle):
                yield place, self._timed(world, place) if proc.wakes == "idle" else world
                return
        if len(wakers) < self.wakers:
            proc = Proc(0, told=True, wakes="idle")
            place = len(world.procs)
            yield place, self._timed(world._replace(procs=(*world.procs, proc)), place)

    def _timed(self, world: World, place: int) -> World:
        return self._given(world, place, ("time", world.clock)) if self.machine.is_timed else world

    def _as(self, world: World, place: int, wakes: str) -> World:
        return self._with(world, place, world.procs[place]._replace(wakes=wakes))

    # Whoever wants the graph done

    def _of_whoever_asks(self, world: World) -> Iterator[Happening]:
        human, store = world.human, world.store
        if human.how in {"done", "left"} or any(proc.is_at_work for proc in world.procs):
            return
        if store.done is not None:
            yield "somebody looks, and it is done", world._replace(human=Ended("done", store.done))
            return
        if self.locked and any(proc.holds for proc in world.procs):
            return
        if store.checkpoint < max(world.inputs, 1):
            yield "somebody invokes the graph", self.entered(world, "new")
            return
        error = self._error(store)
        if error and human.how != "failed":
            kind, _, said = error.partition("(")
            seen = world._replace(human=Ended("failed", kind, said), told=True)
            yield f"somebody looks, and it has failed with {kind}", seen
            return
        if human.how in {"failed", "cancelled"}:
            if self.leaves:
                left = Ended("left", human.what or human.how, human.more)
                yield "and it is left at that", world._replace(human=left)
            if world.budget.agains:
                yield (
                    "somebody invokes the graph again",
                    self._by_people(world.spending("agains"), "none"),
                )
            return
        yield from self._of_what_is_shown(world)

    def _of_what_is_shown(self, world: World) -> Iterator[Happening]:
        store = world.store
        shown = [] if store.of("", STEP) else open_questions(store)
        questions = [each for each in shown if not is_suspended(each[1])]
        if self._is_asleep(world) and not questions:
            if world.budget.gives:
                given_up = store._replace(writes=(), done="null")
                left = world.spending("gives")._replace(
                    store=given_up, human=Ended("left", "given up")
                )
                yield "somebody gives the thread up", left
            if world.budget.nones:
                after = self._by_people(world.spending("nones"), "none")
                yield "somebody invokes the graph although it waits", after
            if world.budget.wrongs:
                after = self._by_people(world.spending("wrongs"), "plain", '"typed"')
                yield "somebody types something into the field of the wait", after
            return
        by_id = self.by_id or len(shown) > 1
        for question_id, question in questions:
            answer = self.answers[plain(question)]
            said = f"somebody answers {plain(question)!r} with {answer!r}"
            given = json.dumps({question_id: answer} if by_id else answer)
            yield said, self._by_people(world, "by_id" if by_id else "plain", given)
        if not questions:
            yield "somebody invokes the graph again", self._by_people(world, "none")

    def _by_people(self, world: World, how: str, given: str = "") -> World:
        """The graph is invoked, with its lock."""
        after = self.entered(world, how, given)
        if not self.locked:
            return after
        place = next(i for i, proc in enumerate(after.procs) if proc.is_at_work)
        return self._with(after, place, after.procs[place]._replace(holds=True))

    # Processes

    def _name(self, world: World, place: int) -> str:
        if not world.procs[place].wakes:
            return "the process"
        return f"waker {sum(bool(proc.wakes) for proc in world.procs[: place + 1])}"

    def _of_effect(
        self, world: World, place: int, proc: Proc, index: int, effect: Any, who: str
    ) -> Iterator[Happening]:
        reply: Any = ("reply", index)
        match effect:
            case ("view",):
                given = self._given(world, place, (*reply, ("value", world.store)))
                yield f"{who} reads the thread", given
            case ("open", _):
                number = proc._replace(number=world.store.checkpoint)
                given = self._with(world, place, number)
                given = self._given(given, place, (*reply, ("value", world.store)))
                yield f"{who} goes on with the graph", given
            case ("rows", which):
                yield from self._of_rows(world, place, proc, index, which, who)
            case ("write", ((_, channel, _),)) if channel == IN_HAND:
                noted = world._replace(store=world.store._replace(note=True))
                given = self._given(noted, place, (*reply, ("value", None)))
                yield f"{who} notes that it has the thread", given
            case ("lock",):
                if not any(each.holds for each in world.procs):
                    given = self._with(world, place, proc._replace(holds=True))
                    given = self._given(given, place, (*reply, ("value", None)))
                    yield f"{who} takes the lock", given
            case ("unlock",):
                given = self._landed(world, place)
                given = self._with(given, place, given.procs[place]._replace(holds=False))
                given = self._given(given, place, (*reply, ("value", None)))
                yield f"{who} gives the lock back", given
            case ("answer", status, url, seen):
                yield from self._of_answer(world, place, index, (status, url, seen), who)
            case _:
                yield from super()._of_effect(world, place, proc, index, effect, who)

    def _of_rows(
        self, world: World, place: int, proc: Proc, index: int, which: str, who: str
    ) -> Iterator[Happening]:
        del proc
        if which == IN_HAND:
            world = self._landed(world, place)
            world = world._replace(store=world.store._replace(note=False))
            found: tuple[Any, ...] = ()
            said = "takes its note away"
        else:
            found = found_in(world.store, which)
            said = "finds the thread" if found else "finds no thread"
        given = self._given(world, place, ("reply", index, ("value", found)))
        yield f"{who} {said}", given

    def _of_answer(
        self, world: World, place: int, index: int, told: tuple[Any, ...], who: str
    ) -> Iterator[Happening]:
        status, url, seen = told
        if status == 503:
            run = next(
                run.run_id
                for run, hook in zip(world.server.runs, world.server.hooks, strict=True)
                if hook.endswith(url)
            )
            notices = (*world.server.notices, Notice(url, run, seen))
            world = world._replace(server=world.server._replace(notices=notices))
        yield (
            f"{who} answers the notice with {status}",
            self._given(world, place, ("reply", index, ("value", None))),
        )

    def _landed(self, world: World, place: int) -> World:
        """The world when all is there that a process has begun to write."""
        return next(self._caught_up(world, place, world.procs[place]))[1]

    def _of_stopping(self, world: World, place: int, who: str) -> Iterator[Happening]:
        if not world.procs[place].wakes:
            yield from super()._of_stopping(world, place, who)
        elif world.budget.cancels:
            after = self._given(world.spending("cancels"), place, ("stop",))
            if not after.procs[place].effects:  # it has ended, and its locks with it
                after = self._with(after, place, after.procs[place]._replace(holds=False))
            yield f"{who} is shut down", after

    def _of_ending(self, world: World, place: int, proc: Proc, who: str) -> Iterator[Happening]:
        for said, after in super()._of_ending(world, place, proc, who):
            if proc.ended is not None and shows_a_wait(proc.ended):
                said = f"the graph in {who} is suspended"  # noqa: PLW2901 - in better words
            yield said, self._with(after, place, after.procs[place]._replace(holds=False))

    def _given(self, world: World, place: int, given: Input) -> World:
        after = super()._given(world, place, given)
        proc = after.procs[place]
        if not proc.wakes:
            return after
        proc = proc._replace(ended=None)
        if not proc.effects:  # it has nothing more to do
            after = self._landed(self._with(after, place, proc), place)
            proc = after.procs[place]._replace(number=0, wakes="idle")
        return self._with(after, place, proc)

    def broken(self, world: World) -> str | None:
        """Whether the node behind was at work too often, or somebody is woken in vain."""
        spent = self.budget.crashes - world.budget.crashes
        spent += self.budget.cancels - world.budget.cancels
        if world.server.after > 1 + spent:
            return f"the node behind the wait was at work {world.server.after} times"
        for proc in world.procs:
            for woken in (each[1] for each in proc.effects if each[0] == "open" and self.locked):
                for wait_id, wait in _waits(world.store):
                    if wait_id in woken and self._is_at_work(world, wait):
                        return f"the graph is woken although {wait['run_id']} is at work"
        return None

    def _is_at_work(self, world: World, wait: dict[str, Any]) -> bool:
        if wait["due"] is not None and world.clock > wait["due"]:
            return False
        runs = {run.run_id: run for run in world.server.runs}
        return runs[wait["run_id"]].status == "pending"

    def _error(self, store: Store) -> str | None:
        """What a task of the graph has failed with, if one has."""
        found = [store.of(task, ERROR) for task in tasks_of(store, self.machine.settings.tasks)]
        return next((json.loads(each) for each in found if each not in {None, "null"}), None)

    def _is_asleep(self, world: World) -> bool:
        """Whether it is the wakers' to go on: the thread is suspended, or one of them died at it."""
        store = world.store
        step = store.of("", STEP)
        if step is not None:
            return bool(json.loads(step)[2]) and store.done is None
        tasks = tasks_of(store, self.machine.settings.tasks)
        over = [store.of(task, OUTPUT) is not None for task in tasks]
        left = [store.of(task, INTERRUPT) is not None for task in tasks]
        if not all(map(operator.or_, over, left)):  # whoever invoked it is at work, or died there
            return False
        # What a task was suspended for is shown until the next step begins.
        shown = [json.loads(text) for _, where, text in store.writes if where == INTERRUPT]
        waits = any(is_suspended(value) for each in shown for _, value in each)
        is_left = waits or (all(over) and store.note)
        return is_left and self._error(store) is None


def _waits(store: Store) -> list[tuple[str, dict[str, Any]]]:
    """What a thread is suspended for, as it shows it, with the ids."""
    if store.of("", STEP) is not None or store.done is not None:
        return []
    return [each for each in open_questions(store) if is_suspended(each[1])]
