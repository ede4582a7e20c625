"""Each safety measure is there for a reason: without it, the explorer finds a schedule that breaks a promise."""

from __future__ import annotations

import pytest
from simulation.explorer import shortest, told
from simulation.mutants import MUTANTS
from simulation.mutating import Mutant, living
from simulation.scenarios import scenario


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_a_safety_measure_a_promise_is_broken(mutant: Mutant) -> None:
    with living(mutant):
        found = shortest(scenario(mutant.scenario))
    assert found is not None
    assert len(told(found.trace)) <= 25, found


def test_a_mutant_is_gone_when_its_time_is_over() -> None:
    with living(MUTANTS[0]):
        pass
    assert shortest(scenario("fails once, and nobody enters again")) is None


def test_a_mutant_that_is_not_in_the_code_any_more_is_told() -> None:
    gone = Mutant("gone", MUTANTS[0].module, "what is not there", "", "searches")
    with pytest.raises(ValueError, match="0 times"), living(gone):
        pass
