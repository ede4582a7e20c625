"""The models behave as what they are models of: short schedules in both, and the same is seen of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from langgraph.types import RetryPolicy
from simulation.conformance import HAPPENINGS, Case, in_reality, in_the_model

from acp_langgraph.errors import A2ATaskError, ACPRunException, RemoteGraphError

ON_FAILURE = RetryPolicy(
    max_attempts=3,
    initial_interval=0.0,
    jitter=False,
    retry_on=(ACPRunException, RemoteGraphError, A2ATaskError),
)
KINDS = ("searches", "lists", "agntcy")


def compare(case: Case, folder: Path) -> None:
    said, found = in_the_model(case), in_reality(case, folder)
    assert said == found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [False, True], ids=["by itself", "on threads"])
def test_undisturbed(kind: str, threads: bool, tmp_path: Path) -> None:
    compare(Case(kind, threads=threads), tmp_path)


@pytest.mark.parametrize("happening", HAPPENINGS)
@pytest.mark.parametrize("number", range(9))
def test_something_happens_to_an_exchange(number: int, happening: str, tmp_path: Path) -> None:
    compare(Case("searches", {number: happening}), tmp_path)


@pytest.mark.parametrize("happening", [None, "unanswered", "dies before", "dies after"])
@pytest.mark.parametrize("number", [0, 1, 4, 5])
def test_something_happens_to_an_exchange_with_this_projects_server(
    number: int, happening: str | None, tmp_path: Path
) -> None:
    compare(Case("own", {number: happening} if happening else {}), tmp_path)


@pytest.mark.parametrize("happening", ["unanswered", "dies after"])
@pytest.mark.parametrize("number", range(0, 9, 2))
def test_something_happens_to_an_exchange_of_agntcys(
    number: int, happening: str, tmp_path: Path
) -> None:
    compare(Case("agntcy", {number: happening}), tmp_path)


@pytest.mark.parametrize("happening", ["unanswered", "dies before", "dies after"])
@pytest.mark.parametrize("number", range(0, 14, 2))
def test_something_happens_to_an_exchange_of_agntcys_on_a_thread(
    number: int, happening: str, tmp_path: Path
) -> None:
    compare(Case("agntcy", {number: happening}, threads=True), tmp_path)


@pytest.mark.parametrize("happening", ["unanswered", "dies before", "dies after"])
@pytest.mark.parametrize("number", range(7))
def test_a_failed_run_is_done_again_by_a_retry_policy(
    number: int, happening: str, tmp_path: Path
) -> None:
    """Here the attempts of one process count their steps on."""
    case = Case("searches", {number: happening}, ("color?",), failing=1, retry=ON_FAILURE)
    compare(case, tmp_path)


@pytest.mark.parametrize("happening", [None, "unanswered", "dies before", "dies after"])
@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_in_a_subgraph(number: int, happening: str | None, tmp_path: Path) -> None:
    happenings = {number: happening} if happening else {}
    compare(Case("searches", happenings, ("color?",), is_nested=True), tmp_path)


@pytest.mark.parametrize("number", [1, 3])
def test_a_run_fails_in_a_subgraph(number: int, tmp_path: Path) -> None:
    compare(Case("searches", {number: "dies after"}, (), failing=1, is_nested=True), tmp_path)


@pytest.mark.parametrize("second", ["unanswered", "dies after"])
@pytest.mark.parametrize("first", ["lost", "dies before", "dies after"])
@pytest.mark.parametrize("number", [0, 2, 4])
def test_two_things_happen(number: int, first: str, second: str, tmp_path: Path) -> None:
    compare(Case("searches", {number: first, number + 1: second}), tmp_path)


GRAPHS = ("dev", "aegra")
AGENTS = ("keeps contexts", "late", "own contexts", "0.3")


@pytest.mark.parametrize("happening", ["unanswered", "dies before", "dies after"])
@pytest.mark.parametrize("number", [1, 6])
@pytest.mark.parametrize("threads", [False, True], ids=["by itself", "on threads"])
@pytest.mark.parametrize("kind", GRAPHS)
def test_something_happens_to_an_exchange_with_a_server_of_langgraphs(
    kind: str, threads: bool, number: int, happening: str, tmp_path: Path
) -> None:
    compare(Case(kind, {number: happening}, threads=threads), tmp_path)


@pytest.mark.parametrize("happening", ["unanswered", "dies after"])
@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("kind", AGENTS)
def test_something_happens_to_an_exchange_of_a2a(
    kind: str, number: int, happening: str, tmp_path: Path
) -> None:
    compare(Case(kind, {number: happening}), tmp_path)


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("kind", ["dev", "keeps contexts"])
def test_failed_work_of_other_protocols_is_done_again_by_a_retry_policy(
    kind: str, number: int, tmp_path: Path
) -> None:
    case = Case(kind, {number: "dies after"}, ("color?",), failing=1, retry=ON_FAILURE)
    compare(case, tmp_path)


def test_a_refusal_to_search_is_not_asked_for_again_after_a_lost_one(tmp_path: Path) -> None:
    """Servers that cannot search say 500, which would be worth repeating anywhere else."""
    case = Case("lists", {0: "dies after", 1: "lost"}, ())
    compare(case, tmp_path)
    searches = ["search_stateless_runs"] * 3  # the lost one, the refusal, and the list
    assert in_the_model(case).requests[1:4] == searches
    assert in_the_model(case).requests[4] != searches[0]
