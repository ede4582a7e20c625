"""What the documentation does not promise is a schedule that the explorer prints, and it is that very case."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.explorer import shortest
from simulation.scenarios import LIMITS, Limit

PAGE = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text()


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.said)
def test_a_documented_limit_is_a_schedule(limit: Limit) -> None:
    found = shortest(limit.scenario())
    assert found is not None
    assert limit.promise in found.promise, found
    assert any(limit.cause in line for line in found.trace), found


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.said)
def test_a_limit_is_in_the_documentation_in_these_words(limit: Limit) -> None:
    assert limit.said in " ".join(PAGE.split())
