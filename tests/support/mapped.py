"""One test body for both colors of a graph or a mapping."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acp_langgraph.mapping import (
    aask,
    amake_delta,
    amake_value,
    apropose,
    ask,
    make_delta,
    make_value,
    propose,
)

both_colors = pytest.mark.parametrize("color", ["sync", "async"])


def run_graph(color: str, graph: Any, state: Any, config: Any = None) -> Any:
    """`invoke` or `ainvoke`."""
    if color == "sync":
        return graph.invoke(state, config)
    return asyncio.run(graph.ainvoke(state, config))


_PAIRS = {
    "ask": (ask, aask),
    "make_delta": (make_delta, amake_delta),
    "make_value": (make_value, amake_value),
    "propose": (propose, apropose),
}


def run(color: str, name: str, *args: Any, **kwargs: Any) -> Any:
    """One of the mapping functions that exist in both colors."""
    plain, awaited = _PAIRS[name]
    return plain(*args, **kwargs) if color == "sync" else asyncio.run(awaited(*args, **kwargs))
