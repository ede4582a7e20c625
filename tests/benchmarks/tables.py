"""How measurements are kept and shown."""

from __future__ import annotations

import statistics
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

Figures: TypeAlias = dict[str, dict[str, list[float]]]
"""By contender and by what was measured: the values of the rounds."""


def show(title: str, found: Figures, headings_of: str) -> None:
    """Print a table of medians and spreads; what was measured is down, who is across."""
    table = Table("", *found, title=title, title_justify="left")
    for heading in found[headings_of]:
        table.add_row(heading, *(cell(row.get(heading)) for row in found.values()))
    Console(width=max(100, 24 * (len(found) + 1))).print(table)


def cell(values: list[float] | None) -> str:
    """A median, and where it varies from where to where."""
    if not values:
        return ""
    middle = digits(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({digits(min(values))}-{digits(max(values))})"


def digits(value: float) -> str:
    """Three of them, or all before the point."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def ratio(found: Figures, what: str, mine: str, other: str) -> float:
    """How one's median is to another's."""
    return statistics.median(found[mine][what]) / statistics.median(found[other][what])
