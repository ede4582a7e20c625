"""The explorer looks where it says that it looks."""

from __future__ import annotations

import random

from simulation.building import acp
from simulation.explorer import explore, walk
from simulation.machine import forget_machines
from simulation.world import Budget


def test_processes_that_are_taken_for_equal_go_on_alike() -> None:
    """Going on from another history of the same state gives the same, for some hundreds of pairs."""
    forget_machines()
    scenario = acp("searches", Budget(crashes=1, faults=2), ("color?",))
    machine = scenario.machine
    others: dict[int, tuple[int, object]] = {}
    step = machine.step

    def noting(state: int, given: object) -> object:
        stand = step(state, given)  # type: ignore[arg-type]
        if machine.inputs_of(stand.state) != (*machine.inputs_of(state), given):
            others.setdefault(stand.state, (state, given))
        return stand

    machine.step = noting  # type: ignore[method-assign,assignment]
    explore(scenario)
    forget_machines()
    chance = random.Random(1)
    pairs = chance.sample(sorted(others), min(100, len(others)))
    assert len(pairs) > 50
    compared = 0
    for state in pairs:
        before, given = others[state]
        histories = (machine.inputs_of(state), (*machine.inputs_of(before), given))
        for known in machine.given_to(state):
            made = [machine.again(history) for history in histories]
            stands = [process.feed(known) for process in made]
            assert stands[0] == stands[1], histories
            assert made[0].state() == made[1].state(), histories
            compared += 1
    assert compared > 100


def test_a_story_is_as_long_as_what_happened() -> None:
    found = explore(acp("searches", Budget(), ()))
    assert (found.schedules, found.circles) == (1, 0)
    assert found.ends == {"done": 1}


def test_more_that_may_go_wrong_is_more_schedules() -> None:
    counts = [
        explore(acp("searches", Budget(crashes=crashes, faults=faults), ())).schedules
        for crashes, faults in ((0, 0), (1, 0), (1, 1), (2, 1))
    ]
    assert counts == sorted(set(counts))


def test_nobody_pauses_for_an_answer_that_is_stored_by_then() -> None:
    trace = walk(acp("searches", Budget(), machine={"pauses": True}), 0)
    assert [line for line in trace if "pauses" in line] == []
