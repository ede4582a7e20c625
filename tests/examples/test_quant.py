"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def output(example: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / example)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    return done.stdout


@pytest.mark.parametrize("word", ["windy", "lighthouse", "harbor", "pier", "3 single looks"])
def test_three_pictures_and_the_weather_come_together(word: str, tools_output: str) -> None:
    assert word in tools_output


def test_two_agents_complete_the_list() -> None:
    assert output("quant_tasks.py").count("completed") == 6


@pytest.fixture(scope="module")
def tools_output() -> str:
    return output("quant_tools.py")
