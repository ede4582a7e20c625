"""What keeps graphs that are suspended safe and awake, each measure taken out by itself."""

from __future__ import annotations

from typing import Final

from simulation.mutating import Mutant

__all__ = ["WAKING_MUTANTS"]

WAKING_MUTANTS: Final = (
    Mutant(
        "waking: the lock of the thread",
        "acp_langgraph.waking.threads",
        "async with lock:\n                return await adrive(flow(), AWAITING)",
        "return await adrive(flow(), AWAITING)",
        "suspended, two wakers",
    ),
    Mutant(
        "waking: a thread that has failed is left to who is told of it",
        "acp_langgraph.waking.waker",
        "if view.has_failed or view.is_over:",
        "if view.is_over:",
        "suspended, fails once",
    ),
    Mutant(
        "waking: looking at the run before the graph is woken",
        "acp_langgraph.waking.waker",
        "return not is_at_work",
        "return True",
        "suspended, two wakers",
    ),
    Mutant(
        "waking: the run is over in time, too",
        "acp_langgraph.waking.waker",
        "if wait.due is not None and now > wait.due:",
        "if False:",
        "suspended, over its deadline",
    ),
    Mutant(
        "waking: a waker leaves a note of the thread that it has in hand",
        "acp_langgraph.waking.threads",
        "yield from take(self._saver, thread_id)",
        "yield from ()",
        "suspended, a waker dies twice",
    ),
    Mutant(
        "waking: the checkpoints that a waker makes tell so",
        "acp_langgraph.waking.threads",
        'config["metadata"] = {**config.get("metadata", {}), WOKEN: True}',
        'config["metadata"] = {}',
        "suspended, a waker dies twice",
    ),
    Mutant(
        "waking: a thread that its waker has left is gone on with",
        "acp_langgraph.waking.waker",
        "return view.is_woken and view.is_entered and not view.is_paused",
        "return False",
        "suspended, a waker dies twice",
    ),
    Mutant(
        "waking: a step whose tasks are all done is gone on with",
        "acp_langgraph.waking.waker",
        "if view.is_entered or view.is_stuck:",
        "if view.is_entered:",
        "suspended, a waker dies twice",
    ),
    Mutant(
        "waking: a notice that comes before the wait is stored is to be sent again",
        "acp_langgraph.waking.app",
        "return 503 if view.stored_at < wake.made_at and is_at_work else 200",
        "return 200",
        "suspended, woken by webhooks alone",
    ),
    Mutant(
        "waking: a thread that shows a question may be at work behind it",
        "acp_langgraph.waking.app",
        "is_at_work = view.asks or (may_come",
        "is_at_work = (may_come",
        "suspended, woken by webhooks alone",
    ),
    Mutant(
        "waking: a graph that failed once and is suspended again has not failed",
        "acp_langgraph.nodes.langgraph",
        "yield from _forget_failure(self._around)",
        "yield from ()",
        "suspended, fails once",
    ),
    Mutant(
        "waking: a wait is on file before the graph stops",
        "acp_langgraph.jobs.waiting",
        "settled = self._suspension is not None and _stops_the_graph",
        "settled = False",
        "suspended, late writes",
        also=Mutant(
            "waking: what a graph is woken with answers no question",
            "acp_langgraph.nodes.langgraph",
            "return is_woken and not is_suspended(ask.payload)",
            "return False",
            "suspended, late writes",
        ),
    ),
    Mutant(
        "waking: each wait is woken by its interrupt's id",
        "acp_langgraph.waking.threads",
        "Command(resume={each.id: WOKEN for each in waits})",
        "Command(resume=WOKEN)",
        "suspended, two runs at once",
    ),
    Mutant(
        "waking: what is told while a thread is gone on with is looked at afterwards",
        "acp_langgraph.waking.app",
        "while hints := self._hints.pop(thread_id, None):",
        "if hints := self._hints.pop(thread_id, None):",
        "suspended, two runs at once, woken by webhooks alone",
    ),
    Mutant(
        "waking: where no node here can look, whoever told of the run is believed",
        "acp_langgraph.waking.waker",
        "return wait.key in hints or",
        "return False or",
        "suspended, and wakers have other nodes",
    ),
    Mutant(
        "waking: whoever is woken reads the run, whatever it was woken with",
        "acp_langgraph.jobs.waiting",
        'if outcome["type"] != SUSPENDED:',
        'if outcome["type"] != SUSPENDED or self._times:',
        "suspended, and somebody types into it",
    ),
    Mutant(
        "waking: suspensions are told apart by their number",
        "acp_langgraph.jobs.waiting",
        "self._times += 1",
        "self._times += 0",
        "suspended, and somebody types into it",
    ),
)
