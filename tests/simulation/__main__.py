"""Goes every way that the scenarios have, and tells how many there were: `python tests/simulation`.

    python tests/simulation                  two crashes and two faults: ten million schedules and more of each kind of server
    python tests/simulation --ci             what the tests go through
    python tests/simulation --mutants        the shortest schedule that each missing measure breaks
    python tests/simulation --limits         the schedules of what the documentation does not promise
    python tests/simulation --walks 10000    so many deep walks at random, from --seed on, of each

`--only TEXT` takes what has the text in its name.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.explorer import explore, shortest, story, told, walk
from simulation.limits import LIMITS
from simulation.mutants import MUTANTS
from simulation.mutating import living
from simulation.scenarios import SCENARIOS, scenario


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ci", action="store_true")
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--walks", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    if asked.mutants:
        show_mutants(asked.only)
    elif asked.limits:
        show_limits(asked.only)
    elif asked.walks:
        walk_about(asked.only, asked.walks, asked.seed)
    else:
        count(asked.only, deep=not asked.ci)


def count(only: str, *, deep: bool) -> None:
    """Explore the scenarios, and print a table."""
    print(f"{'':45} {'schedules':>18} {'worlds':>9} {'steps':>9} {'longest':>8} {'CPU s':>7}")
    kinds: dict[str, list[int]] = {}  # of each its schedules, worlds and steps
    began = time.process_time()
    for name in SCENARIOS:
        if only not in name:
            continue
        since = time.process_time()
        made = scenario(name, deep=deep)
        found = explore(made)
        took = time.process_time() - since
        print(
            f"{name:45} {found.schedules:18,} {found.worlds:9,} {found.happenings:9,} "
            f"{found.longest:8} {took:7.1f}",
            flush=True,
        )
        counts = kinds.setdefault(made.kind, [0, 0, 0])
        for index, more in enumerate((found.schedules, found.worlds, found.happenings)):
            counts[index] += more
    print("\nof each kind of server:")
    for kind, counts in kinds.items():
        print(f"{kind:45} {counts[0]:18,} {counts[1]:9,} {counts[2]:9,}")
    schedules, worlds, steps = (sum(each[index] for each in kinds.values()) for index in range(3))
    took = time.process_time() - began
    print(f"{'in all':45} {schedules:18,} {worlds:9,} {steps:9,} {'':8} {took:7.1f}")


def show_mutants(only: str) -> None:
    """Print what breaks without each measure."""
    for mutant in MUTANTS:
        if only not in mutant.name:
            continue
        with living(mutant):
            found = shortest(scenario(mutant.scenario))
        print(f"\nwithout {mutant.name} ({mutant.module}):")
        if found is None:
            print("  nothing is broken")
        else:
            print(f"  {found.promise}, in {len(told(found.trace))} lines\n{story(found.trace)}")


def show_limits(only: str) -> None:
    """Print the schedules of what is not promised."""
    for limit in LIMITS:
        if only not in limit.said:
            continue
        found = shortest(limit.scenario())
        print(f"\n{limit.said}:")
        print("  it does not show" if found is None else story(found.trace))


def walk_about(only: str, walks: int, seed: int) -> None:
    """Walk at random."""
    for name in SCENARIOS:
        if only not in name:
            continue
        world = scenario(name, deep=True)
        longest = max(len(walk(world, each)) for each in range(seed, seed + walks))
        print(f"{name:45} {walks:9,} walks, the longest of {longest}", flush=True)


if __name__ == "__main__":
    main()
