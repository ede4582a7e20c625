"""A small world in which everything is a value.

A server, a network, a checkpointer, processes and somebody who wants the graph done. What of it is real is
in the processes (`simulation.process`); the rest are a few tuples.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from simulation.memory import NOTHING_STORED, Ended, Put, Store
from simulation.process import Request

__all__ = ["Budget", "Happening", "Proc", "World"]


class Budget(NamedTuple):
    """How much may go wrong, or happen that need not.

    Attributes:
        crashes: Processes that die.
        faults: Exchanges that fail.
        lates: Requests that arrive after their senders gave them up, whenever that is.
        doubles: Requests that arrive twice.
        silences: Exchanges to which nobody answers for as long as anybody waits; where time passes.
        cuts: Streams that end as if they were at their end.
        waits: Waits that the server ends before there is anything to say.
        stale: Looks at the checkpointer before what was written in the background is there.
        nones: Times that somebody invokes the graph without an answer although it asks.
        wrongs: Answers that the agent refuses.
        repeats: Answers that are given again, by their ids.
        cancels: Times that the graph is cancelled.
        drains: Times that it is drained.
        handovers: Times that another process goes on.
        seconds: Second workers that come while the first is at work.
        agains: Times that somebody invokes the graph again after an error or a cancel.
        sweeps: Sweeps over suspended threads while something else could happen.
        rests: Those when nothing else can.
        gives: Times that somebody gives the thread up.
        echoes: Notices of what became of a run that arrive twice.
    """

    crashes: int = 0
    faults: int = 0
    lates: int = 0
    doubles: int = 0
    silences: int = 0
    cuts: int = 0
    waits: int = 0
    stale: int = 0
    nones: int = 0
    wrongs: int = 0
    repeats: int = 0
    cancels: int = 0
    drains: int = 0
    handovers: int = 0
    seconds: int = 0
    agains: int = 3
    sweeps: int = 0
    rests: int = 0
    gives: int = 0
    echoes: int = 0


class Proc(NamedTuple):
    """A process.

    Attributes:
        state: Where it stands, in the machine's numbers.
        effects: What it waits for.
        puts: What it has begun to store and is not there yet.
        number: Which input it is at work on.
        ended: How its invocation ended, if it did.
        told: Whether somebody was told.
        lags: For how many more looks what is written in the background is late.
        shown: What whoever watches has seen: numbers of events, and `gap`.
        wakes: How it wakes suspended threads, if that is what it is for: it is `idle`, `hears`, `sweeps`.
        holds: Whether it has the thread's lock.
    """

    state: int
    effects: tuple[Any, ...] = ()
    puts: tuple[Put, ...] = ()
    number: int = 0
    ended: Ended | None = None
    told: bool = False
    lags: int = 0
    shown: tuple[int | str, ...] = ()
    wakes: str = ""
    holds: bool = False

    @property
    def is_at_work(self) -> bool:
        """Whether the graph is."""
        return self.number > 0 and not self.told


class World(NamedTuple):
    """All there is.

    Attributes:
        server: The server.
        store: What is stored of the graph's thread.
        procs: The processes.
        late: Requests that are on their way although nobody waits for them.
        human: What somebody knows of the graph.
        inputs: How often it was begun with an input.
        budget: What may happen yet.
        asked: By id, the question that was shown first.
        told: Whether somebody was told of a failure, or whoever looks finds it stored.
        clock: The time, in seconds.
        begun: How often a graph within the graph was begun.
    """

    server: Any
    store: Store = NOTHING_STORED
    procs: tuple[Proc, ...] = ()
    late: tuple[Request, ...] = ()
    human: Ended = Ended("start")
    inputs: int = 0
    budget: Budget = Budget()
    asked: tuple[str, str] = ("", "")
    told: bool = False
    clock: float = 0.0
    begun: int = 0

    def spending(self, what: str) -> World:
        """The world with one less of something in its budget."""
        left = getattr(self.budget, what) - 1
        return self._replace(budget=self.budget._replace(**{what: left}))


Happening: TypeAlias = tuple[str, World]
"""What happens, in a line, and the world then."""
