"""Every example runs, alone and without warnings, and is on the list."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import acp_langgraph

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))


def first_line(example: Path) -> str:
    told = ast.get_docstring(ast.parse(example.read_text()))
    assert told, example
    return told.splitlines()[0]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    package = Path(acp_langgraph.__file__).parent.parent
    services = {"POSTGRES_URI"}  # none of the user's own
    environment = {name: value for name, value in os.environ.items() if name not in services}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(package)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr
    assert not list(tmp_path.iterdir())


def test_every_example_says_how_to_run_it() -> None:
    for example in EXAMPLES:
        assert f"python examples/{example.name}" in example.read_text(), example


def test_the_list_of_examples_names_each_in_its_own_words() -> None:
    """Those in folders of their own, run by tests of their own, by the file that says how."""
    listed = re.findall(
        r"^\| \[`.*`\]\((.*)\) \| (.*) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    there = {path.relative_to(FOLDER).parts[0] for path in FOLDER.rglob("*.py")}
    assert {Path(name).parts[0] for name, _ in listed} == there
    for name, words in listed:
        assert words == first_line(FOLDER / name), name
