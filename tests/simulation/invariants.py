"""What must hold in every world, and in every one where nothing more can happen."""

from __future__ import annotations

import json
from typing import Any

from simulation.world import Scenario, World

__all__ = ["broken", "broken_at_the_end"]


def broken(scenario: Scenario, world: World) -> str | None:
    """Which promise a world breaks."""
    model = scenario.model
    said: str | None = model.broken(world.server, scenario.answers, scenario.most_runs)
    if said is not None:
        return said
    human = world.human
    if human.how == "failed" and human.what not in scenario.errors | scenario.finals | _ALWAYS:
        return f"the graph fails with {human.what}: {human.more}"
    if human.how == "failed" and human.what == "UnknownOutcomeError":
        now, then = world.budget, scenario.budget
        if (now.crashes, now.faults) == (then.crashes, then.faults):
            return f"nothing happened, and the graph fails with {human.what}"
    if human.how == "asked" and model.was_answered(world.server, json.loads(human.what)):
        return f"{human.what} is asked again, and was answered"
    if human.how == "done":
        return _wrong_result(scenario, world)
    # The attempts of one process count their steps on.
    return None if scenario.machine.settings.retry else _two_steps_in_one_place(world)


_ALWAYS = frozenset({"UnprocessableEntityException"})


def _wrong_result(scenario: Scenario, world: World) -> str | None:
    (result,) = json.loads(world.human.what).values()
    results: list[Any] = scenario.model.results(world.server)
    if result not in results:
        return f"the graph's result is {result}, and no run's: {results}"
    return None


def _two_steps_in_one_place(world: World) -> str | None:
    if world.store.checkpoint == 0:
        return None
    places: dict[str, str] = {}
    for task, _, _ in world.store.writes:
        name, _, number = task.rpartition(" ")
        if name and places.setdefault(number, name) != name:
            return f"two steps have one place: {places[number]} and {name}"
    return None


def broken_at_the_end(scenario: Scenario, world: World) -> str | None:
    """Which promise a world breaks in which nothing more can happen."""
    human = world.human
    if human.how == "left":
        left = scenario.model.at_work(world.server)
        if human.what == "cancelled" and left:
            return f"the graph was cancelled, and {left[0]} goes on"
        return None
    if human.how != "done":
        if human.how == "failed" and human.what in scenario.finals:
            return None
        return f"it does not end: {human.how} {human.what}"
    if scenario.must_be_told and not world.told:
        return "a run failed, and nobody was told"
    left = scenario.model.at_work(world.server)
    if left:
        return f"the graph is done, and {left[0]} is at work for nobody"
    return None
