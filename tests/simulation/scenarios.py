"""The worlds that are explored: the kinds of servers, and what may happen with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langgraph.types import RetryPolicy
from simulation.acp_model import KINDS, ACPModel, node_maker
from simulation.memory import Settings
from simulation.once_models import BridgeModel, QuantModel, bridge_maker, quant_maker
from simulation.process import Machine
from simulation.world import Budget, Scenario

from acp_langgraph.errors import ACPRunException

__all__ = ["LIMITS", "SCENARIOS", "Limit", "scenario"]

PASSING = frozenset({"ApiConnectionError", "ServiceException", "UnreadableAnswerException"})
UNKNOWN = frozenset({"UnknownOutcomeError"})
GATEWAY = frozenset({"GatewayError", "GatewayTimeoutError", "BridgeInternalError"})
OUTPUT = frozenset({"RunOutputError"})
LATE = frozenset({"RunTimeoutError"})
FAILED = frozenset({"ACPRunException"})
PLAIN = RetryPolicy(max_attempts=3, jitter=False)
ON_EVERYTHING = RetryPolicy(max_attempts=3, jitter=False, retry_on=Exception)
ON_FAILURE = RetryPolicy(max_attempts=3, jitter=False, retry_on=ACPRunException)


def acp(
    kind: str,
    budget: Budget,
    questions: tuple[str, ...] = ("color?", "food?"),
    *,
    failing: int = 0,
    says_cancelled: bool = True,
    stuck: bool = False,
    settings: Settings | None = None,
    node: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    machine: dict[str, bool] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one `ACPNode`.

    Args:
        kind: Of the server.
        budget: What may happen.
        questions: What the agent asks.
        failing: How many of its first runs fail.
        says_cancelled: Whether the server tells a cancelled run from one that failed.
        stuck: Whether its agent never comes to anything.
        settings: Of the graph.
        node: Options of the node.
        policy: Settings of the node's job policy.
        machine: Options of the machine.
        **more: Fields of the scenario.
    """
    model = ACPModel(
        KINDS[kind], questions, failing=failing, says_cancelled=says_cancelled, stuck=stuck
    )
    made = Machine(node_maker(policy, **(node or {})), settings or Settings(), **(machine or {}))
    return Scenario(kind, model, made, budget, **more)


def bridge(
    budget: Budget,
    *,
    retry: RetryPolicy | None = None,
    node: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """A graph of one node of an API Bridge's."""
    settings = Settings(state={"ask": {"query": "send it"}}, retry=retry)
    machine = Machine(bridge_maker(**(node or {})), settings)
    return Scenario("bridge", BridgeModel(), machine, budget, **more)


def quant(budget: Budget, *, node: dict[str, Any] | None = None, **more: Any) -> Scenario:
    """A graph of one node of Quant's tools."""
    machine = Machine(quant_maker(**(node or {})), Settings(state={"ask": "make it"}), timed=True)
    return Scenario("quant", QuantModel(), machine, budget, **more)


ONE = Budget(crashes=1, faults=1)
TWO = Budget(crashes=2, faults=2)
HUMAN = Budget(crashes=1, nones=1, wrongs=1, repeats=1, handovers=1, waits=1)
ALL = Budget(crashes=1, faults=1, nones=1, wrongs=1, repeats=1, handovers=1, waits=1)
ASKS_ONCE = ("color?",)

SCENARIOS: dict[str, Callable[[bool], Scenario]] = {
    "searches": lambda deep: acp("searches", TWO if deep else Budget(crashes=2, faults=1)),
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
    "two workers with a lock": lambda deep: acp(
        "searches", Budget(seconds=1, crashes=1, faults=int(deep)), locked=True
    ),
    "API Bridge": lambda deep: bridge(
        Budget(crashes=2, faults=3 + deep, agains=6),
        errors=PASSING | GATEWAY,
        finals=UNKNOWN,
        leaves=True,
    ),
    "API Bridge, once a human said yes": lambda deep: bridge(
        Budget(crashes=2, faults=1 + deep, nones=1, handovers=1, agains=5),
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
        Budget(crashes=2, faults=1 + deep, waits=1, agains=5),
        errors=PASSING,
        finals=UNKNOWN,
        leaves=True,
    ),
    "without a checkpointer": lambda _: acp(
        "searches",
        Budget(faults=2),
        (),
        settings=Settings(remembers=False, survives=False),
        in_memory=True,
    ),
}


def scenario(name: str, *, deep: bool = False) -> Scenario:
    """A scenario by its name.

    Args:
        name: Its name.
        deep: Whether to go as far as the issue's bounds: two crashes and two faults.
    """
    made = SCENARIOS[name](deep)
    made.name = name
    return made


@dataclass(frozen=True)
class Limit:
    """What docs/guarantees.md does not promise, or says that it cannot be excluded.

    Attributes:
        said: The page's words.
        scenario: Makes the world in which it shows.
        promise: What of the promise that is broken there is in its words.
        cause: What must have happened.
    """

    said: str
    scenario: Callable[[], Scenario]
    promise: str
    cause: str


_FORGETS = Settings(durability="exit", survives=False)
_IN_MEMORY = Settings(survives=False)

LIMITS = (
    Limit(
        "a request that a proxy delays for longer than this side waits before it looks again",
        lambda: acp("searches", Budget(lates=1), ()),
        "2 runs",
        "is held up, and given up",
    ),
    Limit(
        "or that a proxy sends twice, may start a second run",
        lambda: acp("searches", Budget(doubles=1), ()),
        "2 runs",
        "arrives twice",
    ),
    Limit(
        "An answer that is delayed like that may reach the run's next question",
        lambda: acp("searches", Budget(lates=1), most_runs=2),
        "was answered 'blue' to 'food?'",
        "a late resume_stateless_run arrives",
    ),
    Limit(
        "a process that is killed forgets that it ever began, and a new `invoke` is a new task",
        lambda: acp("searches", Budget(crashes=1), (), settings=_FORGETS, stores=False),
        "run-1",
        "dies",
    ),
    Limit(
        "one run as long as the process lives",
        lambda: acp("searches", Budget(crashes=1), (), settings=_IN_MEMORY, in_memory=True),
        "run-1",
        "dies",
    ),
    Limit(
        "`UnknownOutcomeError` if the process died, or the answer was lost, between sending and "
        "remembering",
        lambda: acp("neither", Budget(faults=1), ()),
        "UnknownOutcomeError",
        "create_stateless_run",
    ),
    Limit(
        "LangGraph lets two of them run one thread at the same time, and each would start a run",
        lambda: acp("searches", Budget(seconds=1), ()),
        "2 runs",
        "a second worker takes the thread",
    ),
    Limit(
        "unknown if an answer is lost",
        lambda: acp(
            "neither",
            Budget(faults=1),
            (),
            settings=Settings(remembers=False, survives=False),
            in_memory=True,
        ),
        "UnknownOutcomeError",
        "create_and_wait_for_stateless_run_output",
    ),
)
