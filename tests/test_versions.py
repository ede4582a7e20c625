"""What is said of versions is what was tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from versions import PYTHONS, QUICK

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TABLE = re.findall(
    r"^\| (3\.\d+)\.\d+ \| (newest|lowest) \|.* \| (\d+ passed) \|$",
    (ROOT / "docs" / "versions.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_every_python_that_the_package_is_for_was_tried() -> None:
    told = "Programming Language :: Python :: "
    classifiers = [each.removeprefix(told) for each in PROJECT["classifiers"] if told in each]
    tried = [python for python, what, _ in TABLE if what == "newest"]
    assert classifiers == list(PYTHONS) == tried
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_the_lowest_dependencies_were_tried() -> None:
    assert [what for _, what, _ in TABLE].count("lowest") == 1


def test_what_is_tried_is_there() -> None:
    assert [each for each in QUICK if not (ROOT / each.partition("::")[0]).is_file()] == []
