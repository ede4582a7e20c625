"""Fixtures that every test may use."""

from __future__ import annotations

import pytest
from hypothesis import settings
from support.colors import Color

__all__ = ["color"]


@pytest.fixture(params=["sync", "async"])
def color(request: pytest.FixtureRequest) -> Color:
    """Runs a graph or a node the blocking or the awaiting way; a test that takes it runs twice."""
    return Color(request.param)


settings.register_profile("million", max_examples=200_000)  # several tests multiply it


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", default=10, help="how often each kill test kills; 200 is the full count"
    )
