"""What must hold in every world, and in every one where nothing more can happen."""

from __future__ import annotations

import json
from typing import Any

from simulation.memory import Ended
from simulation.scenario import Scenario
from simulation.world import World

from acp_langgraph import is_suspended

__all__ = ["broken", "broken_at_the_end", "shows_a_wait"]


def broken(scenario: Scenario, world: World) -> str | None:
    """Which promise a world breaks."""
    said: str | None = scenario.model.broken(world.server, scenario.answers, scenario.most_runs)
    if said is None:
        said = _of_what_was_told(scenario, world)
    # The attempts of one process count their steps on.
    if said is None and scenario.ordered and scenario.machine.settings.retry is None:
        said = _two_steps_in_one_place(world)
    return said or scenario.broken(world) or _wrongly_shown(scenario, world)


def _of_what_was_told(scenario: Scenario, world: World) -> str | None:
    human = world.human
    match human.how:
        case "failed" if human.what not in scenario.errors | scenario.finals | _ALWAYS:
            return f"the graph fails with {human.what}: {human.more}"
        case "failed" if human.what == "UnknownOutcomeError":
            now, then = world.budget, scenario.budget
            if (now.crashes, now.faults) == (then.crashes, then.faults):
                return f"nothing happened, and the graph fails with {human.what}"
        case how if world.clock > (until := _until(scenario, how)):
            return f"that was to be known within {until:g} s, and it is {world.clock:g} s"
        case "asked" if scenario.model.was_answered(world.server, json.loads(human.what)):
            return f"{human.what} is asked again, and was answered"
        case "done":
            return _wrong_result(scenario, world)
    return None


def _until(scenario: Scenario, how: str) -> float:
    """Until when somebody must have been told that much."""
    if how == "asked":
        return scenario.asks_until
    return scenario.deadline if how in {"failed", "done"} else float("inf")


_NOT_ENDED = "could not be cancelled"
_ALWAYS = frozenset({"UnprocessableEntityException"})


def _wrong_result(scenario: Scenario, world: World) -> str | None:
    (found,) = json.loads(world.human.what).values()
    results: list[Any] = scenario.model.results(world.server)
    tasks = scenario.machine.settings.tasks
    for result in found if tasks > 1 else [found]:
        if result not in results:
            return f"the graph's result is {result}, and no run's: {results}"
    if tasks > 1 and len(set(map(str, found))) < tasks:
        return f"two tasks have one result: {found}"
    return None


def _two_steps_in_one_place(world: World) -> str | None:
    if world.store.checkpoint == 0:
        return None
    places: dict[str, str] = {}
    inner = world.store.inner
    for task, _, _ in (*world.store.writes, *(inner.writes if inner else ())):
        name, _, number = task.rpartition(" ")
        if name and places.setdefault(number, name) != name:
            return f"two steps have one place: {places[number]} and {name}"
    return None


def _wrongly_shown(scenario: Scenario, world: World) -> str | None:
    """What is wrong with what somebody saw who watched a process: it is in order, and gaps are told."""
    for proc in world.procs:
        # Whoever comes later, or listens later, has not heard what was before.
        last, is_told = 0, True
        for each in proc.shown:
            if isinstance(each, str):
                is_told = True
                continue
            if each <= last:
                return f"event {each} is shown after event {last}"
            if each != last + 1 and not is_told:
                return f"event {each} is shown after event {last}, and nobody is told of a gap"
            last, is_told = each, False
    return None


def _not_shown(scenario: Scenario, world: World) -> str | None:
    for proc in world.procs:
        if not proc.is_at_work and proc.shown and isinstance(last := proc.shown[-1], int):
            emitted = max(run.emitted for run in scenario.model.works(world.server))
            if last < emitted and not scenario.budget.cuts:
                return f"event {emitted} was not shown, and nobody is told of a gap"
    return None


def shows_a_wait(ended: Ended) -> bool:
    """Whether a graph was left with a wait, or with several things of which one is."""
    shown = json.loads(ended.what) if ended.how == "asked" else []
    return any(map(is_suspended, shown if isinstance(shown, list) else [shown]))


def broken_at_the_end(scenario: Scenario, world: World) -> str | None:
    """Which promise a world breaks in which nothing more can happen."""
    human, at_work = world.human, scenario.model.at_work(world.server)
    promise: str | None = None
    match human.how:
        case "left" if human.what == "cancelled" and at_work:
            promise = f"the graph was cancelled, and {at_work[0]} goes on"
        case "left" if human.what == "RunTimeoutError" and at_work and _NOT_ENDED not in human.more:
            promise = f"a deadline was over, and {at_work[0]} goes on"
        case "done" if scenario.must_be_told and not world.told:
            promise = "a run failed, and nobody was told"
        case "done" if at_work:
            promise = f"the graph is done, and {at_work[0]} is at work for nobody"
        case "asked" if shows_a_wait(human):
            promise = "it is suspended, and nobody wakes it"
        case how if how not in {"left", "done"} and human.what not in scenario.finals:
            promise = f"it does not end: {human.how} {human.what}"
    return promise or _not_shown(scenario, world)
