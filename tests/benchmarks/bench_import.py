"""What importing costs, beside importing what everybody here imports anyway.

    python tests/benchmarks/bench_import.py

Fresh processes, interleaved. Names of the package are imported when they are first used, so a node is
measured as well as the package.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from tables import Figures, show

BASE: Final = "import langgraph.graph, httpx, pydantic"
PACKAGE: Final = f"{BASE}, acp_langgraph"
ALONE: Final = "import acp_langgraph"
NODE: Final = "from acp_langgraph import ACPNode"
TIME: Final = "ms"


def milliseconds(statement: str) -> float:
    """How long a statement takes in a process of its own."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout) * 1000


def measure(rounds: int) -> Figures:
    """By statement."""
    found: Figures = {}
    for _ in range(rounds):
        for statement in (BASE, ALONE, PACKAGE, NODE):
            found.setdefault(statement, {}).setdefault(TIME, []).append(milliseconds(statement))
    return found


if __name__ == "__main__":
    show("imports", measure(7), BASE)
