"""What kill tests share: processes to kill, and how often to."""

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
