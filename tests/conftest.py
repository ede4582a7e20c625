"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings
from langgraph.checkpoint.postgres import PostgresSaver
from support.colors import Color
from support.peers import Certificates
from support.postgres import NoPostgresError, running_postgres

from acp_langgraph.acp import order
from acp_langgraph.transport import exchange

__all__ = ["certificates", "color", "postgres"]


@pytest.fixture(autouse=True)
def _servers_are_not_known_from_earlier_tests() -> None:
    """A test's server may have the port that an earlier one had."""
    order._known.clear()
    exchange._answered.clear()


@pytest.fixture(params=["sync", "async"])
def color(request: pytest.FixtureRequest) -> Color:
    """Runs a graph or a node the blocking or the awaiting way; a test that takes it runs twice."""
    return Color(request.param)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates for servers that speak TLS; nobody but a test's own settings trusts them."""
    return Certificates.made_in(tmp_path_factory.mktemp("certificates"))


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


# Where a shell runs this in the background, Ctrl-C is ignored, also by whatever the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("million", max_examples=200_000)  # several tests multiply it


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", default=5, help="how often each kill test kills; 200 is the full count"
    )
    parser.addoption(
        "--suspended",
        default=30,
        help="how many graphs are suspended at once where many are; 1000 is the full count",
    )
    parser.addoption(
        "--must-run",
        action="append",
        default=[],
        metavar="MARK",
        help="fail tests with this mark, instead of skipping them, where what they need is missing",
    )


def pytest_collection_finish() -> None:
    """Have no garbage collection look at what is there for all tests, again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    must = [mark for mark in item.config.getoption("--must-run") if item.get_closest_marker(mark)]
    if report.skipped and must:
        report.outcome = "failed"
        report.longrepr = f"--must-run {must[0]}, and this was skipped: {report.longrepr[2]}"
    return report
