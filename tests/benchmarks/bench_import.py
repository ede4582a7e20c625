"""What importing costs, beside importing what everybody here imports anyway.

    python tests/benchmarks/bench_import.py

Fresh processes, interleaved. Names of the package are imported when they are first used, so a node is
measured as well as the package. Everything is compiled to bytecode before, as installers do it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Final

from tables import Figures, show

BASE: Final = "import langgraph.graph, httpx, pydantic"
PACKAGE: Final = f"{BASE}, acp_langgraph"
ALONE: Final = "import acp_langgraph"
NODE: Final = "from acp_langgraph import ACPNode"
TIME: Final = "ms"


def milliseconds(statement: str, compiled: str) -> float:
    """How long a statement takes in a process of its own.

    Args:
        statement: The statement.
        compiled: The directory for bytecode.
    """
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    return float(done.stdout) * 1000


def measure(rounds: int) -> Figures:
    """By statement."""
    found: Figures = {}
    statements = (BASE, ALONE, PACKAGE, NODE)
    with tempfile.TemporaryDirectory() as compiled:
        for statement in statements:
            milliseconds(statement, compiled)
        for _ in range(rounds):
            for statement in statements:
                took = milliseconds(statement, compiled)
                found.setdefault(statement, {}).setdefault(TIME, []).append(took)
    return found


if __name__ == "__main__":
    show("imports", measure(7), BASE)
