"""Every example runs, alone and without warnings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import acp_langgraph

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    package = Path(acp_langgraph.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr


def test_every_example_says_how_to_run_it() -> None:
    for example in EXAMPLES:
        assert f"python examples/{example.name}" in example.read_text(), example
