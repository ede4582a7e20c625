"""How many points of failure are tried: a sample, or as many as asked for."""

from __future__ import annotations

import pytest
from support.zygote import Zygote


@pytest.fixture(scope="session")
def zygote():
    with Zygote() as running:
        yield running


@pytest.fixture
def points(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))
