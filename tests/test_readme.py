"""The README and SECURITY.md keep their word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "SECURITY.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_and_prints_what_it_says(page: str, tmp_path: Path) -> None:
    """All of it in a process of its own, where a warning is an error."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_ci_runs_the_test_command_of_a_page(page: str) -> None:
    (command,) = re.findall(r"(?m)^(.*--group dev.*pytest.*)$", (ROOT / page).read_text())
    assert command in (ROOT / ".ci" / "run").read_text()


def test_the_first_line_says_what_it_is_and_then_which_acp() -> None:
    first = README.splitlines()[0]
    what, which = "durable remote agents for LangGraph", "AGNTCY's Agent Connect Protocol"
    assert 0 < first.index(what) < first.index(which)


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 200
