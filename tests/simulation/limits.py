"""What the documentation does not promise, or says that it cannot be excluded: each is a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulation.building import FAILED, PASSING, a2a, acp, graph, suspended, task
from simulation.memory import Settings
from simulation.scenario import Scenario
from simulation.world import Budget

__all__ = ["LIMITS", "Limit"]


@dataclass(frozen=True)
class Limit:
    """What the documentation does not promise, or says that it cannot be excluded.

    Attributes:
        said: The documentation's words.
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
_OUTSIDE = Settings(remembers=False, survives=False, is_graph=False)

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
    Limit(
        "outside of a graph (`node.invoke`) | one run per call",
        lambda: acp("searches", Budget(crashes=1), (), settings=_OUTSIDE, in_memory=True),
        "run-1",
        "dies",
    ),
    Limit(
        "outside of a graph (`node.invoke`) | one run per call | one run; unknown if an answer is lost",
        lambda: acp("neither", Budget(faults=1), (), settings=_OUTSIDE, in_memory=True),
        "UnknownOutcomeError",
        "create_and_wait_for_stateless_run_output",
    ),
    Limit(
        "or each wait for that broke off, for seconds",
        lambda: acp("searches", Budget(faults=3), ("color?",), errors=PASSING),
        "RunOutputError",
        "wait_for_stateless_run_output is lost on the way",
    ),
    Limit(
        "unless it was stored in the very moment when the process died",
        lambda: acp(
            "searches",
            Budget(crashes=1, agains=0),
            (),
            failing=1,
            finals=FAILED,
            must_be_told=True,
            stored_is_told=False,
        ),
        "a run failed, and nobody was told",
        "dies",
    ),
    Limit(
        "LangGraph takes an answer to a node's earlier question for the one that is open",
        lambda: graph("dev", Budget(lates=1), most_runs=2, errors=FAILED),
        "was answered 'blue' to 'food?'",
        "a late create_run arrives",
    ),
    Limit(
        "may be two, at work on one thread: `reject` is ignored",
        lambda: graph("aegra", Budget(seconds=1), ()),
        "2 runs",
        "a second worker takes the thread",
    ),
    Limit(
        "what is younger than ten seconds is gone: `RunLostError`",
        lambda: graph("dev", Budget(), (), model={"kills": 1}),
        "RunLostError",
        "is killed",
    ),
    Limit(
        "runs at work stay so for ever: give a `run_timeout`",
        lambda: graph("aegra", Budget(), (), model={"kills": 1}),
        "it does not end",
        "is killed",
    ),
    Limit(
        "0.3, which has no list | `UnknownOutcomeError` where an answer was lost or a process died "
        "before it was remembered",
        lambda: a2a("0.3", Budget(faults=1), ()),
        "UnknownOutcomeError",
        "SendMessage",
    ),
    Limit(
        "1.0, refuses contexts or lists nothing | its error; `UnknownOutcomeError`",
        lambda: a2a("no list", Budget(faults=1), ()),
        "UnknownOutcomeError",
        "SendMessage",
    ),
    Limit(
        "of a message nothing remains: as 0.3, once the node has seen that it does so",
        lambda: a2a("messages", Budget(faults=1), ()),
        "2 runs",
        "SendMessage",
    ),
    Limit(
        "**A server that dies** leaves its tasks at work for ever",
        lambda: a2a("keeps contexts", Budget(), (), model={"stuck": True}),
        "it does not end",
        "SendMessage",
    ),
    Limit(
        "Two workers may both begin a task, for its API knows no compare-and-set",
        lambda: task(Budget(), rivals=1, errors=frozenset({"TaskTakenError"})),
        "was recorded although another worker has the task",
        "another worker takes the task",
    ),
    Limit(
        "who answers while somebody wakes has the rest of the graph done twice",
        lambda: suspended(Budget(wrongs=1, rests=2), (), locked=False),
        "at work 2 times",
        "types something into the field of the wait",
    ),
)
