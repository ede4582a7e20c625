"""Whatever happens in whichever order, what is promised holds: every schedule within bounds, not samples.

Of each kind of server there are a hundred thousand at least; `python tests/simulation` goes on to ten million of each.
"""

from __future__ import annotations

import pytest
from simulation.explorer import explore, walk
from simulation.scenarios import SCENARIOS, scenario

OF_EACH_KIND = (
    "searches",
    "lists",
    "neither",
    "AGNTCY's",
    "dev",
    "Aegra",
    "A2A",
    "A2A, that notices answers late",
    "A2A, contexts of its own",
    "A2A, no list of tasks",
    "A2A 0.3",
    "A2A, messages",
    "watched, after the last id",
    "API Bridge, once a human said yes",
    "Quant's tools",
    "Quant's chats",
    "Quant's tasks",
    "suspended, with a question",
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_schedule_keeps_the_promises(name: str) -> None:
    found = explore(scenario(name))
    assert found.circles == 0  # it ends
    assert found.schedules > (100_000 if name in OF_EACH_KIND else 1)


def test_of_each_kind_of_server_there_are_so_many() -> None:
    assert {scenario(name).kind for name in SCENARIOS} == {
        scenario(name).kind for name in OF_EACH_KIND
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_deep_walks_at_random_keep_the_promises(name: str) -> None:
    world = scenario(name, deep=True)
    for seed in range(3):
        assert walk(world, seed)
