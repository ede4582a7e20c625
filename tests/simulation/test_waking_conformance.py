"""What is suspended behaves in the model as LangGraph over SQLite does, with the real wakers and locks."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.waking_conformance import NOT_BEGUN, Case, in_reality, in_the_model

SLEPT = ("invoke", "run", "sweep")
TOLD = ("invoke", "run", "notice")


def compare(case: Case, folder: Path) -> None:
    said, found = in_the_model(case), in_reality(case, folder)
    assert said == found


@pytest.mark.parametrize("plan", [SLEPT, TOLD, ("invoke", "sweep"), (*TOLD, "sweep")])
def test_undisturbed(plan: tuple[str, ...], tmp_path: Path) -> None:
    compare(Case(plan), tmp_path)


@pytest.mark.parametrize("more", ["sweep", "notice"])
def test_a_question_in_between(more: str, tmp_path: Path) -> None:
    plan = ("invoke", "run", more, "answer", "run", more)
    compare(Case(plan, questions=("color?",)), tmp_path)
    assert in_the_model(Case(plan, questions=("color?",))).views[-1]["is_over"]


@pytest.mark.parametrize("begun", ["type", "invoke all the same"])
def test_somebody_goes_on_with_what_waits(begun: str, tmp_path: Path) -> None:
    compare(Case(("invoke", begun, "run", begun)), tmp_path)


@pytest.mark.parametrize("happening", ["unanswered", "lost", "dies before", "dies after"])
@pytest.mark.parametrize("number", range(1, 5))
def test_something_happens_to_a_waker(number: int, happening: str, tmp_path: Path) -> None:
    compare(Case((*SLEPT, "sweep", "sweep"), {number: happening}), tmp_path)


@pytest.mark.parametrize("happening", ["dies before", "dies after", NOT_BEGUN])
@pytest.mark.parametrize("plan", [SLEPT, TOLD])
def test_a_waker_dies_at_the_node_behind(
    plan: tuple[str, ...], happening: str, tmp_path: Path
) -> None:
    number = in_the_model(Case(plan)).requests.index("the node behind it")
    case = Case((*plan, "sweep", "sweep"), {number: happening})
    compare(case, tmp_path)
    assert in_the_model(case).views[-1]["is_over"]


def test_a_run_fails_and_is_done_again(tmp_path: Path) -> None:
    compare(Case((*SLEPT, "invoke", "run", "sweep"), failing=1), tmp_path)


@pytest.mark.parametrize("plan", [("invoke", "run", "sweep", "run", "sweep"), ("invoke", "sweep")])
def test_two_runs_at_once(plan: tuple[str, ...], tmp_path: Path) -> None:
    """Which is looked at first is by LangGraph's ids, so that the other may be looked at once more."""
    case = Case(plan, tasks=2)
    said, found = in_the_model(case), in_reality(case, tmp_path)
    for seen in (said, found):
        seen.requests = sorted(each for each in seen.requests if not each.startswith("get_"))
    assert said == found
