"""Starts `support.victim` and gives it jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import acp_langgraph

__all__ = ["Zygote"]

TESTS = Path(__file__).parent.parent
PACKAGE = Path(acp_langgraph.__file__).parent.parent


class Zygote:
    """A process that forks for every job."""

    def __enter__(self) -> Self:
        paths = os.pathsep.join([str(TESTS), str(PACKAGE)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._process as process:
            process.kill()

    def do(self, job: dict[str, Any]) -> dict[str, Any]:
        """Have a job done by a fork; what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
