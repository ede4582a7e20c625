"""What the documentation does not promise is a schedule that the explorer prints, and it is that very case."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.explorer import shortest
from simulation.limits import LIMITS, Limit

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [
    DOCS / "guarantees.md",
    DOCS / "guides" / "failures.md",
    DOCS / "guides" / "suspended-waits.md",
    *(DOCS / "protocols").glob("*.md"),
]
WORDS = " ".join(" ".join(page.read_text().split()) for page in PAGES)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.said)
def test_a_documented_limit_is_a_schedule(limit: Limit) -> None:
    found = shortest(limit.scenario())
    assert found is not None
    assert limit.promise in found.promise, found
    assert any(limit.cause in line for line in found.trace), found


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.said)
def test_a_limit_is_in_the_documentation_in_these_words(limit: Limit) -> None:
    assert limit.said in WORDS
