"""All of the comparison with what a node could be instead, in one run.

    python tests/benchmarks [--rounds 5] [--json FILE]

Needs an idle machine and about eight minutes. First the tables, then what was aimed at and whether it
was reached; ratios compare medians of the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import bench_import
import bench_nodes as nodes
import bench_protocols as protocols
import bench_server
import bench_sse
import bench_waiting as waiting
from contenders import AIOHTTP, HTTPX, OURS
from rich.console import Console
from rich.table import Table
from tables import Figures, digits, ratio, show


class Aim(NamedTuple):
    """What was aimed at: at least, or at most, so much."""

    what: str
    found: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def wanted(self) -> str:
        bound = self.at_least if self.at_most is None else self.at_most
        return f"{'at least' if self.at_most is None else 'at most'} {bound}"

    @property
    def reached(self) -> bool:
        if self.at_most is None:
            return self.at_least is None or self.found >= self.at_least
        return self.found <= self.at_most


def aims(
    awaiting: Figures,
    blocking: Figures,
    others: Figures,
    waits: Figures,
    imports: Figures,
    streams: dict[str, dict[str, float]],
    rates: dict[str, list[bench_server.Rate]],
) -> Iterator[Aim]:
    """What is promised of a node's cost."""
    for what, httpx, aiohttp in ((nodes.AT_50, 1.6, 0.85), (nodes.AT_500, 1.9, 0.85)):
        yield Aim(f"{what}, of (b)", ratio(awaiting, what, OURS, HTTPX), at_least=httpx)
        yield Aim(f"{what}, of (c)", ratio(awaiting, what, OURS, AIOHTTP), at_least=aiohttp)
    one = nodes.ONE
    yield Aim("awaiting, one at a time, of (b)", ratio(awaiting, one, OURS, HTTPX), at_most=1.0)
    saved = ratio(awaiting, nodes.SAVED, OURS, AIOHTTP)
    yield Aim("the same with a saver, of (c)", saved, at_most=1.8)
    yield Aim("blocking, one at a time, of (b)", ratio(blocking, one, OURS, HTTPX), at_most=1.15)
    threads = ratio(blocking, nodes.THREADS, OURS, HTTPX)
    yield Aim("blocking, 16 threads, of (b)", threads, at_least=0.9)
    ours = awaiting[OURS]
    yield Aim("longest stall at 500, ms", statistics.median(ours[nodes.STALL]), at_most=25)
    yield Aim("requests a task", ours[nodes.REQUESTS][0], at_most=1)
    yield Aim("requests a task, with a saver", ours[nodes.REQUESTS_SAVED][0], at_most=1.2)
    for mine, theirs in protocols.PAIRS:
        if theirs in others:
            for what, most in ((nodes.ONE, 1.0), (nodes.SAVED, 1.5)):
                cost = ratio(others, what, mine, theirs)
                yield Aim(f"{mine}, {what.removesuffix(', ms')}, of {theirs}", cost, at_most=most)
            rate = ratio(others, nodes.AT_50, mine, theirs)
            yield Aim(f"{mine}, {nodes.AT_50}, of {theirs}", rate, at_least=1.0)
    for suffix in ("", waiting.SAVED):
        memory = [statistics.median(waits[who][waiting.MEMORY + suffix]) for who in (OURS, AIOHTTP)]
        yield Aim(f"kB a waiting run above (c){suffix}", memory[0] - memory[1], at_most=40)
        growth = statistics.median(waits[OURS][waiting.GROWTH + suffix])
        yield Aim(f"2,000th start to the first{suffix}", growth, at_most=1.3)
    base = bench_import.BASE
    for what, statement in (
        ("acp_langgraph", bench_import.PACKAGE),
        ("ACPNode", bench_import.NODE),
    ):
        cost = ratio(imports, bench_import.TIME, statement, base)
        yield Aim(f"importing {what}, of langgraph.graph, httpx, pydantic", cost, at_most=1.2)
    for name, row in streams.items():
        yield Aim(f"decoding {name}, of httpx-sse", row["ratio"], at_least=1.0)
    answered, bare = (
        statistics.median(r.per_second for r in rates[who]) for who in ("ours", "bare")
    )
    yield Aim("the server, of a bare route", answered / bare, at_least=0.6)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    colors = nodes.measure(options.rounds)
    for color, found in colors.items():
        show(color, found, OURS)
    others = protocols.measure(max(1, (options.rounds + 1) // 2))
    show(protocols.TITLE, others, protocols.GRAPH_NODE)
    waits = waiting.measure(2000, max(1, (options.rounds + 1) // 2))
    show("2,000 runs waiting at once", waits, OURS)
    imports = bench_import.measure(options.rounds)
    show("imports", imports, bench_import.BASE)
    streams = bench_sse.measure(options.rounds)
    bench_sse.show(streams)
    rates = bench_server.compare(2.0, 16, 6)
    bench_server.report(rates, 16)

    table = Table("", "found", "aim", "", title="aims", title_justify="left")
    reached = list(
        aims(**colors, others=others, waits=waits, imports=imports, streams=streams, rates=rates)
    )
    for aim in reached:
        mark = "[green]reached[/green]" if aim.reached else "[red]missed[/red]"
        table.add_row(aim.what, digits(aim.found), aim.wanted, mark)
    Console(width=130).print(table)
    if options.json:
        figures = {
            **colors,
            "protocols": others,
            "waiting": waits,
            "imports": imports,
            "streams": streams,
        }
        server = {name: [rate.per_second for rate in each] for name, each in rates.items()}
        verdicts = [{**aim._asdict(), "reached": aim.reached} for aim in reached]
        everything = {**figures, "server": server, "aims": verdicts}
        options.json.write_text(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
