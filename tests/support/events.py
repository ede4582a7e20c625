"""What is in a graph's stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["emitted", "states"]


def emitted(items: Iterable[Any]) -> list[Any]:
    """A stream without what became of the runs: what agents emitted, and what the graph did."""
    return [item for item in items if _state(item) is None]


def states(items: Iterable[Any]) -> list[str]:
    """What became of the runs."""
    return [state for item in items if (state := _state(item)) is not None]


def _state(item: Any) -> str | None:
    last = item[-1] if isinstance(item, tuple) and item else item
    if isinstance(last, dict) and last.get("kind") == "progress":
        return str(last["payload"]["state"])
    return None
