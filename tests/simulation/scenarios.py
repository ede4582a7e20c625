"""The worlds that are explored: the kinds of servers, and what may happen with each."""

from __future__ import annotations

from collections.abc import Callable

from simulation.building import (
    FAILED,
    GATEWAY,
    LATE,
    LOST,
    ON_EVERYTHING,
    ON_FAILURE,
    OUTPUT,
    PASSING,
    PLAIN,
    UNKNOWN,
    a2a,
    acp,
    bridge,
    chat,
    graph,
    quant,
    stream,
    task,
)
from simulation.memory import Settings
from simulation.scenario import Scenario
from simulation.waking_scenarios import WAKING
from simulation.world import Budget

__all__ = ["SCENARIOS", "scenario"]

ONE = Budget(crashes=1, faults=1)
TWO = Budget(crashes=2, faults=2)
HUMAN = Budget(crashes=1, nones=1, wrongs=1, repeats=1, handovers=1, waits=1)
ALL = Budget(crashes=1, faults=1, nones=1, wrongs=1, repeats=1, handovers=1, waits=1)
ASKS_ONCE = ("color?",)

SCENARIOS: dict[str, Callable[[bool], Scenario]] = {
    "searches": lambda deep: acp("searches", TWO if deep else Budget(crashes=2, faults=1)),
    "in one request": lambda deep: acp(
        "searches",
        TWO if deep else Budget(crashes=2, faults=1),
        ASKS_ONCE,
        node={"known": {"finds_done": True}},
    ),
    "in one request, done at once": lambda deep: acp(
        "searches",
        TWO if deep else Budget(crashes=2, faults=1, cancels=1),
        (),
        node={"known": {"finds_done": True}},
        most_runs=2,
    ),
    "lists": lambda deep: acp(
        "lists", TWO if deep else Budget(crashes=2, faults=1), errors=PASSING
    ),
    "neither": lambda deep: acp(
        "neither",
        Budget(crashes=2, faults=2, agains=6) if deep else Budget(crashes=2, faults=1, agains=5),
        errors=PASSING,
        finals=UNKNOWN,
        leaves=True,
    ),
    "AGNTCY's": lambda deep: acp(
        "agntcy", TWO if deep else Budget(crashes=2, faults=1), errors=PASSING
    ),
    "AGNTCY's, on threads": lambda deep: acp(
        "agntcy",
        TWO if deep else Budget(crashes=2, faults=1),
        node={"use_threads": True},
        errors=PASSING,
    ),
    "on threads": lambda deep: acp("searches", TWO if deep else ONE, node={"use_threads": True}),
    "what somebody may do": lambda deep: acp("searches", ALL if deep else HUMAN),
    "without an answer": lambda deep: acp("searches", Budget(nones=2, crashes=1, faults=int(deep))),
    "by id": lambda deep: acp(
        "searches", Budget(crashes=1, faults=1, nones=1, repeats=1), by_id=True
    ),
    "late writes": lambda deep: acp(
        "searches", Budget(stale=1, nones=1, faults=int(deep)), machine={"pauses": True}
    ),
    "drained": lambda deep: acp("searches", Budget(drains=1, crashes=1, faults=1 + deep)),
    "fails once": lambda deep: acp(
        "searches", Budget(crashes=1 + deep, faults=1), ASKS_ONCE, failing=1, errors=FAILED
    ),
    "fails once, and is tried again at once": lambda deep: acp(
        "searches",
        Budget(crashes=1 + deep, faults=int(deep)),
        ASKS_ONCE,
        failing=1,
        settings=Settings(retry=ON_FAILURE),
        errors=FAILED,
    ),
    "fails once, and nobody enters again": lambda _: acp(
        "searches", Budget(crashes=1, agains=0), (), failing=1, finals=FAILED, must_be_told=True
    ),
    "tried again at once": lambda deep: acp(
        "searches",
        Budget(crashes=1, faults=2 + deep),
        ASKS_ONCE,
        settings=Settings(retry=PLAIN),
        errors=OUTPUT,
    ),
    "cancelled": lambda deep: acp(
        "searches", Budget(cancels=1, faults=1 + deep, agains=0), ASKS_ONCE, leaves=True
    ),
    "cancelled and entered again": lambda deep: acp(
        "searches", Budget(cancels=1, faults=1, crashes=int(deep)), (), most_runs=2
    ),
    "cancelled, on a server that does not say so": lambda _: acp(
        "searches", Budget(cancels=1), (), most_runs=2, says_cancelled=False
    ),
    "over its deadline": lambda deep: acp(
        "searches",
        Budget(silences=2, faults=int(deep), agains=0),
        (),
        policy={"run_timeout": 60.0},
        machine={"timed": True},
        errors=PASSING | OUTPUT,
        finals=LATE | PASSING | OUTPUT,
        leaves=True,
        deadline=60.0 + 3.0,
    ),
    "over its deadline, with an agent that is stuck": lambda deep: acp(
        "searches",
        Budget(silences=4, faults=1 + deep, agains=0),
        (),
        stuck=True,
        policy={"run_timeout": 60.0},
        machine={"timed": True},
        errors=PASSING,
        finals=LATE,
        leaves=True,
        deadline=60.0 + 3.0,
    ),
    "a question, and nobody answers": lambda deep: acp(
        "searches",
        Budget(silences=1, faults=int(deep), agains=0),
        ASKS_ONCE,
        policy={"run_timeout": 30.0},
        machine={"timed": True},
        errors=PASSING,
        finals=LATE | PASSING,
        leaves=True,
        asks_until=30.0 + 10.0 + 5.0,
    ),
    "outside of a graph": lambda deep: acp(
        "searches",
        Budget(faults=2 + deep),
        (),
        settings=Settings(remembers=False, survives=False, is_graph=False),
        in_memory=True,
        errors=PASSING if deep else frozenset(),
    ),
    "in a subgraph": lambda deep: acp(
        "searches",
        TWO if deep else Budget(crashes=2),
        ASKS_ONCE,
        settings=Settings(is_nested=True),
    ),
    "in a subgraph, fails once": lambda deep: acp(
        "searches",
        Budget(crashes=1, faults=int(deep)),
        (),
        failing=1,
        settings=Settings(is_nested=True),
        errors=FAILED,
    ),
    "two tasks at once": lambda deep: acp(
        "searches",
        Budget(crashes=1) if deep else Budget(faults=1),
        (),
        settings=Settings(tasks=2),
    ),
    "two tasks at once, one fails": lambda deep: acp(
        "searches",
        Budget(crashes=int(deep), agains=1 + deep),
        (),
        failing=1,
        settings=Settings(tasks=2),
        errors=FAILED,
    ),
    "two workers with a lock": lambda deep: acp(
        "searches", Budget(seconds=1, crashes=1, faults=int(deep)), locked=True
    ),
    "dev": lambda deep: graph(
        "dev", TWO._replace(waits=1) if deep else Budget(crashes=1, faults=1, waits=1)
    ),
    "dev, done at once": lambda deep: graph("dev", TWO if deep else ONE, ()),
    "dev, fails once": lambda deep: graph(
        "dev", Budget(crashes=1 + deep, faults=1), ASKS_ONCE, model={"failing": 1}, errors=FAILED
    ),
    "dev, cancelled": lambda deep: graph(
        "dev", Budget(cancels=1, faults=1 + deep, agains=0), ASKS_ONCE, leaves=True
    ),
    "dev, cancelled and entered again": lambda deep: graph(
        "dev", Budget(cancels=1, faults=int(deep), crashes=1), (), most_runs=2
    ),
    "dev, killed": lambda deep: graph(
        "dev",
        Budget(crashes=1, faults=int(deep), agains=2),
        ASKS_ONCE,
        model={"kills": 1},
        errors=LOST,
        finals=LOST,
        leaves=True,
    ),
    "dev, behind a proxy that sends twice": lambda deep: graph(
        "dev", Budget(doubles=2, faults=1, crashes=int(deep))
    ),
    "dev, on a thread that remembers": lambda deep: graph(
        "dev", TWO if deep else ONE, node={"use_threads": True}
    ),
    "dev, on a thread that remembers, fails once": lambda deep: graph(
        "dev",
        Budget(crashes=1, faults=int(deep)),
        ASKS_ONCE,
        model={"failing": 1},
        node={"use_threads": True},
        errors=FAILED,
    ),
    "Aegra": lambda deep: graph(
        "aegra", TWO._replace(waits=1) if deep else Budget(crashes=1, faults=1, waits=1)
    ),
    "Aegra, cancelled": lambda deep: graph(
        "aegra", Budget(cancels=1, faults=1 + deep, agains=0), ASKS_ONCE, leaves=True
    ),
    "Aegra, killed, with a deadline": lambda deep: graph(
        "aegra",
        Budget(silences=4, faults=int(deep), agains=0),
        (),
        model={"kills": 1},
        policy={"run_timeout": 60.0},
        machine={"timed": True},
        errors=PASSING,
        finals=LATE | PASSING,
        leaves=True,
        deadline=60.0 + 3.0,
    ),
    "Aegra, on a thread that remembers": lambda deep: graph(
        "aegra", TWO if deep else ONE, node={"use_threads": True}
    ),
    "A2A": lambda deep: a2a("keeps contexts", Budget(crashes=2, faults=1 + deep, waits=1)),
    "A2A, on a context that remembers": lambda deep: a2a(
        "keeps contexts", TWO if deep else ONE, node={"use_threads": True}
    ),
    "A2A, on a context that remembers, fails once": lambda deep: a2a(
        "keeps contexts",
        Budget(crashes=1, faults=int(deep)),
        ASKS_ONCE,
        model={"failing": 1},
        node={"use_threads": True},
        errors=FAILED,
    ),
    "A2A, that notices answers late": lambda deep: a2a(
        "late", Budget(crashes=2, faults=1 + deep, waits=1 + deep)
    ),
    "A2A, fails once": lambda deep: a2a(
        "keeps contexts",
        Budget(crashes=1 + deep, faults=1),
        ASKS_ONCE,
        model={"failing": 1},
        errors=FAILED,
    ),
    "A2A, cancelled": lambda deep: a2a(
        "keeps contexts", Budget(cancels=1, faults=1 + deep, agains=0), ASKS_ONCE, leaves=True
    ),
    "A2A, contexts of its own": lambda deep: a2a(
        "own contexts", Budget(crashes=2, faults=1 + deep, waits=int(deep))
    ),
    "A2A, contexts of its own, fails once": lambda deep: a2a(
        "own contexts",
        Budget(crashes=1, faults=1 + deep),
        ASKS_ONCE,
        model={"failing": 1},
        errors=FAILED,
    ),
    "A2A, no list of tasks": lambda deep: a2a(
        "no list",
        Budget(crashes=2, faults=1 + 2 * deep, agains=5),
        errors=PASSING if deep else frozenset(),
        finals=UNKNOWN,
        leaves=True,
    ),
    "A2A 0.3": lambda deep: a2a(
        "0.3",
        Budget(crashes=2, faults=1 + 2 * deep, agains=5),
        errors=PASSING if deep else frozenset(),
        finals=UNKNOWN,
        leaves=True,
    ),
    "A2A, messages": lambda deep: a2a(
        "messages",
        Budget(crashes=1 + deep, faults=2 + deep, agains=5),
        (),
        known={"makes_tasks": False},
        errors=PASSING if deep else frozenset(),
        finals=UNKNOWN,
        leaves=True,
    ),
    "A2A, in one request": lambda deep: a2a(
        "keeps contexts",
        TWO if deep else ONE,
        ASKS_ONCE,
        known={"finds_done": True},
    ),
    "A2A, in one request, done at once": lambda deep: a2a(
        "keeps contexts",
        Budget(crashes=1, faults=int(deep), cancels=1),
        (),
        known={"finds_done": True},
        most_runs=2,
    ),
    "A2A, without a checkpointer": lambda _: a2a(
        "keeps contexts",
        Budget(faults=2),
        (),
        settings=Settings(remembers=False, survives=False),
        in_memory=True,
    ),
    "watched, after the last id": lambda deep: stream(
        "after the last id", Budget(crashes=1, faults=1 + deep), ASKS_ONCE
    ),
    "watched, everything again": lambda deep: stream(
        "everything again", Budget(crashes=int(deep), faults=2), ()
    ),
    "watched, everything again, without ids": lambda deep: stream(
        "everything again, without ids", Budget(crashes=int(deep), faults=2), ()
    ),
    "watched, what is new": lambda deep: stream(
        "what is new", Budget(crashes=int(deep), faults=1 + deep), (), emits=3
    ),
    "watched, what is new, without ids": lambda deep: stream(
        "what is new, without ids", Budget(crashes=int(deep), faults=1 + deep), (), emits=3
    ),
    "watched, through something that cuts streams": lambda deep: stream(
        "after the last id", Budget(faults=1 + deep, cuts=1), ()
    ),
    "API Bridge": lambda deep: bridge(
        Budget(crashes=2, faults=3 + deep, agains=6),
        errors=PASSING | GATEWAY,
        finals=UNKNOWN,
        leaves=True,
    ),
    "API Bridge, once a human said yes": lambda deep: bridge(
        Budget(crashes=2 + deep, faults=1 + 2 * deep, nones=1, handovers=1, agains=5 + 2 * deep),
        node={"confirm": True},
        answers={"send it": "yes"},
        errors=PASSING | GATEWAY,
        finals=UNKNOWN,
        leaves=True,
    ),
    "API Bridge, tried again at once": lambda deep: bridge(
        Budget(crashes=2, faults=3 + deep, agains=6),
        errors=PASSING | GATEWAY,
        finals=UNKNOWN,
        leaves=True,
        retry=ON_EVERYTHING,
    ),
    "Quant's tools": lambda deep: quant(
        Budget(crashes=2, faults=1 + 2 * deep, waits=1, agains=5),
        errors=PASSING,
        finals=UNKNOWN,
        leaves=True,
    ),
    "Quant's chats": lambda deep: chat(
        Budget(crashes=2, faults=1 + deep, agains=5),
        errors=PASSING,
        finals=UNKNOWN,
        leaves=True,
    ),
    "Quant's chats, fails once": lambda deep: chat(
        Budget(crashes=1, faults=int(deep)),
        ASKS_ONCE,
        model={"failing": 1},
        errors=frozenset({"QuantRunError"}),
        finals=UNKNOWN,
        leaves=True,
    ),
    "Quant's tasks": lambda deep: task(
        Budget(crashes=2, faults=2 + deep), most_runs=3, errors=PASSING, ordered=False
    ),
    "without a checkpointer": lambda _: acp(
        "searches",
        Budget(faults=2),
        (),
        settings=Settings(remembers=False, survives=False),
        in_memory=True,
    ),
    **WAKING,
}


def scenario(name: str, *, deep: bool = False) -> Scenario:
    """A scenario by its name.

    Args:
        name: Its name.
        deep: Whether to go as far as two crashes and two faults, or to ten million schedules of its kind.
    """
    made = SCENARIOS[name](deep)
    made.name = name
    return made
