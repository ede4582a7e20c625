"""What processes of one kind do, each thing worked out once: real code is slow, and worlds are many."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from simulation.memory import Ended, Settings
from simulation.process import Input, Process, Stand

__all__ = ["Machine", "forget_machines", "machine_of"]

_MOST_ALIVE = 500
_MOST_INPUTS = 60


_machines: dict[str, Machine] = {}


def machine_of(make: partial[Any], settings: Settings, **options: Any) -> Machine:
    """The machine whose nodes are made so; one for all scenarios, which have much in common.

    Args:
        make: Makes what makes the nodes.
        settings: Of the graph.
        **options: Of a `Machine`.
    """
    key = repr((make.func.__qualname__, make.args, make.keywords, settings, options))
    if key not in _machines:
        _machines[key] = Machine(make(), settings, **options)
    return _machines[key]


def forget_machines() -> None:
    """Let all be worked out anew, as the code has changed, or somebody looks at how that is done."""
    _machines.clear()


class Machine:
    """What processes of one kind do, each thing worked out once.

    Attributes:
        worked_out: How often something had to be worked out.
        looked_up: How often it was known.
    """

    def __init__(
        self,
        make_node: Callable[[Process], Any],
        settings: Settings,
        *,
        kind: type[Process] = Process,
        **options: bool,
    ) -> None:
        self.make_node = make_node
        self._kind = kind
        self.settings = settings
        self._options = options
        self._inputs: list[tuple[Input, ...]] = [()]
        self._numbers: dict[Any, int] = {self.again(()).state(): 0}
        self._known: dict[tuple[int, Input], Stand] = {}
        self._alive: dict[int, Process] = {}
        self.worked_out = 0
        self.looked_up = 0

    def step(self, state: int, given: Input) -> Stand:
        """Where a process stands that was given something in a state."""
        stand = self._known.get((state, given))
        if stand is not None:
            self.looked_up += 1
            return stand
        self.worked_out += 1
        if len(self._inputs[state]) > _MOST_INPUTS:
            stand = Stand(state, ended=Ended("failed", "EndlessError", "it goes on and on"))
            self._known[state, given] = stand
            return stand
        process = self._alive.pop(state, None) or self.again(self._inputs[state])
        stand = process.feed(given)
        value = process.state()
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self._inputs)
            before = self._inputs[state]
            if process.is_idle:  # whatever it went through
                self._inputs.append((("time", process.now), ("restore", process.memory())))
            else:
                self._inputs.append((*before, given))
        self._alive[number] = process
        if len(self._alive) > _MOST_ALIVE:
            del self._alive[next(iter(self._alive))]
        stand = self._known[state, given] = stand._replace(state=number)
        return stand

    def rest(self) -> None:
        """Let go of the processes, which are made again where they are needed."""
        self._alive.clear()

    @property
    def is_timed(self) -> bool:
        """Whether time passes."""
        return self._options.get("timed", False)

    @property
    def is_watched(self) -> bool:
        """Whether somebody watches what nodes emit."""
        return self._options.get("watched", False)

    @property
    def states(self) -> int:
        """How many states are known."""
        return len(self._inputs)

    def inputs_of(self, state: int) -> tuple[Input, ...]:
        """All that a process in a state was given."""
        return self._inputs[state]

    def given_to(self, state: int) -> list[Input]:
        """What processes in a state were given next."""
        return [given for known, given in self._known if known == state]

    def again(self, inputs: tuple[Input, ...]) -> Process:
        """A process that was given all that."""
        process = self._kind(self.make_node, self.settings, **self._options)
        process.feed_all(inputs)
        return process
