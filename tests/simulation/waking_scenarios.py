"""The worlds in which a graph is suspended, and what may happen to whoever wakes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulation.building import FAILED, LATE, suspended
from simulation.memory import Settings
from simulation.scenario import Scenario
from simulation.world import Budget

__all__ = ["WAKING"]

TWO_TASKS = Settings(tasks=2)

WAKING: Final[dict[str, Callable[[bool], Scenario]]] = {
    "suspended, with a question": lambda deep: suspended(Budget(rests=4 + deep, crashes=int(deep))),
    "suspended, two wakers": lambda deep: suspended(
        Budget(crashes=1 + deep, sweeps=1, rests=6), (), wakers=2
    ),
    "suspended, a waker dies twice": lambda deep: suspended(
        Budget(crashes=2, faults=int(deep), rests=6), ()
    ),
    "suspended, exchanges fail": lambda deep: suspended(Budget(faults=1 + deep, rests=6)),
    "suspended, without webhooks": lambda deep: suspended(
        Budget(crashes=1 + deep, faults=int(deep), rests=6), webhooks=False
    ),
    "suspended, woken by webhooks alone": lambda deep: suspended(
        Budget(nones=int(deep)), loses=False, by_id=True
    ),
    "suspended, a webhook is sent twice": lambda deep: suspended(
        Budget(echoes=1 + deep), (), loses=False
    ),
    "suspended, late writes": lambda deep: suspended(
        Budget(stale=1 + deep, crashes=1, rests=3), webhooks=False, machine={"pauses": True}
    ),
    "suspended, two runs at once": lambda deep: suspended(
        Budget(rests=2 + deep, crashes=1), (), settings=TWO_TASKS, webhooks=False, in_turn=True
    ),
    "suspended, two runs at once, woken by webhooks alone": lambda deep: suspended(
        Budget(crashes=int(deep), rests=int(deep)),
        (),
        settings=TWO_TASKS,
        loses=False,
        in_turn=True,
    ),
    "suspended, and wakers have other nodes": lambda deep: suspended(
        Budget(nones=int(deep)), machine={"is_blind": True}, loses=False, by_id=True
    ),
    "suspended, over its deadline": lambda deep: suspended(
        Budget(rests=4, agains=0, crashes=1 + deep),
        (),
        model={"stuck": True},
        policy={"run_timeout": 60.0},
        machine={"timed": True},
        finals=LATE | FAILED,  # who dies in between knows only that the run was cancelled
        leaves=True,
        deadline=60.0 + 3.0,
    ),
    "suspended, fails once": lambda deep: suspended(
        Budget(crashes=int(deep), sweeps=1, rests=3 + 3 * deep, agains=1 + 2 * deep),
        (),
        model={"failing": 1},
        errors=FAILED,
        must_be_told=True,
        webhooks=deep,
    ),
    "suspended, cancelled": lambda deep: suspended(
        Budget(cancels=1, faults=int(deep), rests=6), (), most_runs=2, errors=FAILED
    ),
    "suspended, and invoked although it waits": lambda deep: suspended(
        Budget(nones=1 + deep, rests=4), (), by_id=True
    ),
    "suspended, and somebody types into it": lambda deep: suspended(
        Budget(wrongs=1 + deep, crashes=int(deep), rests=4 + deep), webhooks=False
    ),
    "suspended, and given up": lambda _: suspended(Budget(gives=1, sweeps=1, rests=4), ()),
}
