"""How often to look, and for how long: the values that waiting is made from."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["CHAT", "IMAGES", "ORCHESTRATION", "TASKS", "TOOLS", "Pace", "QuantPolicy"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look at something that is at work elsewhere, and when to give up.

    The first look comes after `shortest`, then the time between looks doubles up to `longest`; half
    of each is left to chance, so that many who wait do not all look at once.

    Attributes:
        shortest: Seconds between looks, at least.
        longest: Seconds between looks, at most.
        deadline: Seconds after the start at which waiting ends; `None`: never.
    """

    shortest: float
    longest: float
    deadline: float | None

    def __post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise ValueError("a pace needs 0 < shortest <= longest")
        if self.deadline is not None and self.deadline <= 0:
            raise ValueError("a deadline is a number of seconds above 0")

    def waits(self) -> Iterator[float]:
        """Seconds between looks, without end."""
        ceiling = self.shortest
        while True:
            yield random.uniform(max(self.shortest, ceiling / 2), ceiling)
            ceiling = min(self.longest, ceiling * 2)


# As the API's documentation recommends.
IMAGES: Final = Pace(2.0, 3.0, 300.0)
TOOLS: Final = Pace(1.0, 5.0, 300.0)
ORCHESTRATION: Final = Pace(2.0, 2.0, 600.0)
CHAT: Final = Pace(1.0, 30.0, 900.0)
# The documentation says nothing about tasks: people and agents work on them, for any time.
TASKS: Final = Pace(1.0, 15.0, None)


@dataclass(frozen=True, slots=True)
class QuantPolicy:
    """How patient to be, and what to do where nothing certain can be known.

    Attributes:
        pace: How often to look, and when to give up.
        grace: Seconds after the start for which "no such thing" means "not yet".
        patience: Seconds without any answer from the server after which waiting fails.
        retries: How often a request that may be repeated is tried again.
        on_unknown: What to do where it cannot be told whether something was started: `raise`
            UnknownOutcomeError, or `rerun` and accept that it may run twice.
        clock: Tells the time in seconds; must mean the same in every process.
    """

    pace: Pace
    grace: float = 30.0
    patience: float = 300.0
    retries: int = 3
    on_unknown: Literal["raise", "rerun"] = "raise"
    clock: Callable[[], float] = field(default=time.time, repr=False)
