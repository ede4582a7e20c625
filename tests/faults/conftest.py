"""What kill tests share: processes to kill, how often to, and a database that outlives them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langgraph.checkpoint.postgres import PostgresSaver
from support.postgres import NoPostgresError, running_postgres
from support.zygote import Zygote


@pytest.fixture(scope="session")
def zygote():
    with Zygote() as running:
        yield running


@pytest.fixture
def points(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL with a saver's tables; its URI."""
    try:
        with running_postgres() as uri:
            with PostgresSaver.from_conn_string(uri) as saver:
                saver.setup()  # before there are workers: it is not made to be run by several
            yield uri
    except NoPostgresError as error:
        pytest.skip(str(error))
