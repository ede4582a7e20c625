"""Every schedule of a scenario, and what must hold in each.

Worlds that are equal go on alike, so each is looked at once: what is counted are the ways through them.
A way that breaks a promise is told from its beginning, a line an event, and it is the shortest there is.
"""

from __future__ import annotations

import gc
import random
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from simulation.invariants import broken, broken_at_the_end
from simulation.process import Request
from simulation.scenario import Scenario
from simulation.world import World

__all__ = ["Explored", "ViolationError", "explore", "shortest", "story", "told", "walk"]

sys.setrecursionlimit(20_000)


class ViolationError(AssertionError):
    """A promise is broken.

    Attributes:
        promise: Which.
        trace: The way to it, a line an event.
    """

    def __init__(self, scenario: Scenario, promise: str, trace: list[str]) -> None:
        self.promise = promise
        self.trace = trace
        super().__init__(f"{scenario.name}: {promise}\n" + story(trace))


_OF_NO_ACCOUNT = re.compile(
    r"(reads the (checkpoint( within)?|thread)|stores the answer|finds (the|no) thread|gives the lock back"
    r"|get_acp_descriptor_by_id -> 200|takes its note away"
    r"|waker \d: (get_stateless_run|wait_for_stateless_run_output) -> 200)$"
)


def told(trace: list[str]) -> list[str]:
    """A trace as it is told: without what always happens and changes nothing."""
    lines = [line for line in trace if not _OF_NO_ACCOUNT.search(line)]
    for begin in range(len(lines)):
        for length in range(1, 13):
            first, *others = (
                lines[begin + n * length : begin + (n + 1) * length] for n in range(3)
            )
            if first and all(each == first for each in others):
                return [*lines[: begin + length], "and so on, again and again", lines[-1]]
    return lines


def story(trace: list[str]) -> str:
    """A trace as it reads."""
    return "\n".join(f"  {number:2} {line}" for number, line in enumerate(told(trace), 1))


@dataclass
class Explored:
    """What an exploration saw.

    Attributes:
        schedules: The ways from the beginning to an end.
        worlds: The worlds that they lead through.
        happenings: The steps between them.
        longest: The most happenings of one of them.
        circles: How often something led back to a world that was gone through.
        ends: How many worlds of each kind there were at the end.
    """

    schedules: int = 0
    worlds: int = 0
    happenings: int = 0
    longest: int = 0
    circles: int = 0
    ends: dict[str, int] | None = None


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Processes are large and many; to look through all of them for garbage takes as long as all else."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@seldom_collected()
def explore(scenario: Scenario) -> Explored:
    """Go every way there is, depth first.

    Raises:
        ViolationError: If one breaks a promise.
    """
    seen: dict[World, tuple[int, int] | None] = {}
    found = Explored(ends={})
    trace: list[str] = []

    def visit(world: World) -> tuple[int, int]:
        known = seen.get(world, ())
        if known is None:
            found.circles += 1
            return 0, 0
        if known:
            return known
        seen[world] = None
        _check(scenario, world, trace)
        ways, longest, is_end = 0, 0, True
        for said, after in scenario.happenings(world):
            is_end = False
            found.happenings += 1
            trace.append(said)
            more, length = visit(after)
            trace.pop()
            ways += more
            longest = max(longest, length + 1)
        if is_end:
            _check_end(scenario, world, trace)
            assert found.ends is not None
            found.ends[world.human.how] = found.ends.get(world.human.how, 0) + 1
            ways = 1
        seen[world] = ways, longest
        return ways, longest

    found.schedules, found.longest = visit(scenario.beginning)
    scenario.machine.rest()
    found.worlds = len(seen)
    return found


@seldom_collected()
def shortest(scenario: Scenario, most: int = 400_000) -> ViolationError | None:
    """The shortest way to break a promise, breadth first; `None` if there is none.

    Args:
        scenario: Where to look.
        most: How many worlds to look at.
    """
    beginning = scenario.beginning
    before: dict[World, tuple[World, str] | None] = {beginning: None}
    queue = deque([beginning])
    while queue and len(before) < most:
        world = queue.popleft()
        ends = True
        try:
            _check(scenario, world, [])
            for said, after in scenario.happenings(world):
                ends = False
                if after not in before:
                    before[after] = world, said
                    queue.append(after)
            if ends:
                _check_end(scenario, world, [])
        except ViolationError as violation:
            return ViolationError(scenario, violation.promise, _way(before, world))
    return None


def _way(before: dict[World, Any], world: World) -> list[str]:
    trace = []
    while (step := before[world]) is not None:
        world, said = step
        trace.append(said)
    return trace[::-1]


def walk(scenario: Scenario, seed: int, most: int = 500) -> list[str]:
    """Go one way at random; what happened on it.

    Raises:
        ViolationError: If it breaks a promise.
    """
    chance = random.Random(seed)
    world, trace = scenario.beginning, []
    for _ in range(most):
        _check(scenario, world, trace)
        ways = list(scenario.happenings(world))
        if not ways:
            _check_end(scenario, world, trace)
            return trace
        said, world = chance.choice(ways)
        trace.append(said)
    raise ViolationError(scenario, f"it does not end within {most} happenings", trace)


def _check(scenario: Scenario, world: World, trace: list[str]) -> None:
    promise = broken(scenario, world)
    if promise is not None:
        raise ViolationError(scenario, promise, list(trace))


def _check_end(scenario: Scenario, world: World, trace: list[str]) -> None:
    promise = broken_at_the_end(scenario, world)
    if promise is not None:
        raise ViolationError(scenario, promise, list(trace))


def requests(world: World) -> Iterator[Request]:
    """The requests that processes wait for."""
    for proc in world.procs:
        for effect in proc.effects:
            if isinstance(effect, Request):
                yield effect
