"""Whatever happens in whichever order, what is promised holds: every schedule within bounds, not samples.

`python -m simulation` in `tests` goes on to ten million and more; see there.
"""

from __future__ import annotations

import pytest
from simulation.explorer import explore, walk
from simulation.scenarios import SCENARIOS, scenario


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_schedule_keeps_the_promises(name: str) -> None:
    found = explore(scenario(name))
    assert found.circles == 0  # it ends
    assert found.schedules > 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_deep_walks_at_random_keep_the_promises(name: str) -> None:
    world = scenario(name, deep=True)
    for seed in range(3):
        assert walk(world, seed)
