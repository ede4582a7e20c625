"""The README keeps its word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_the_readme_runs(block: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_python_block_is_run() -> None:
    assert README.count("```python") == len(BLOCKS) > 0


def test_ci_runs_the_readmes_test_command() -> None:
    (command,) = re.findall(r"```console\n(.*pytest.*)\n```", README)
    assert command in (ROOT / ".ci" / "run").read_text()


def test_the_first_line_says_which_acp_this_is() -> None:
    assert "AGNTCY's Agent Connect Protocol" in README.splitlines()[0]
