"""What performs flows is there twice: a blocking process does what an awaiting one does, in the same order."""

from __future__ import annotations

import random

import pytest
from simulation.blocking import awaiting, blocking
from simulation.explorer import explore
from simulation.machine import forget_machines
from simulation.scenarios import scenario

HISTORIES = 60


@pytest.mark.parametrize(
    "name",
    [
        "searches",
        "AGNTCY's, on threads",
        "what somebody may do",
        "by id",
        "fails once, and is tried again at once",
        "API Bridge, once a human said yes",
        "without a checkpointer",
        "dev",
        "A2A, fails once",
        "watched, after the last id",
    ],
)
def test_a_blocking_process_does_what_an_awaiting_one_does(name: str) -> None:
    forget_machines()  # and what others were given
    world = scenario(name)
    explore(world)
    machine = world.machine
    chance = random.Random(1)
    states = range(1, machine.states)
    compared = 0
    for state in chance.sample(states, min(HISTORIES, len(states))):
        inputs = machine.inputs_of(state)
        assert blocking(machine, inputs) == awaiting(machine, inputs)
        compared += len(inputs)
    assert compared > HISTORIES
