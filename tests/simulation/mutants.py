"""Safety measures, each taken out by itself: what the explorer must notice.

A mutant is a piece of a module's text and what stands in its place. The functions that change by it get the
code of the changed text for as long as the mutant lives; nothing is written, and nothing is imported
anew. A piece that is not found is an error, so that the mutants keep up with the code.
"""

from __future__ import annotations

import importlib
import inspect
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant", "living"]


@dataclass(frozen=True)
class Mutant:
    """A safety measure that is not there.

    Attributes:
        name: The measure.
        module: Where it is.
        text: The code that it is.
        instead: What stands there.
        scenario: Where its absence shows, by the scenario's name in `simulation.scenarios`.
    """

    name: str
    module: str
    text: str
    instead: str
    scenario: str


MUTANTS = (
    Mutant(
        "look-up before a run is started that may have been started",
        "acp_langgraph.jobs.life",
        "found = (yield from job.find()) if entry.again else None",
        "found = None",
        "searches",
    ),
    Mutant(
        "look-up after the answer to a start was lost",
        "acp_langgraph.jobs.life",
        "found = yield from _find_after_failure(job, max(next(waits), asked_to_wait(error)))",
        "found = next(waits) and None",
        "searches",
    ),
    Mutant(
        "waiting for the stored checkpoint before anything is started",
        "acp_langgraph.jobs.life",
        "partial(_create, job, entry, in_one=in_one), anchored=True)",
        "partial(_create, job, entry, in_one=in_one))",
        "searches",
    ),
    Mutant(
        "reading before an answer is sent",
        "acp_langgraph.jobs.life",
        "if not (yield from _still_asks(job, job_id, question)):\n            return",
        "if False:\n            return",
        "searches",
    ),
    Mutant(
        "recognising the question that is answered",
        "acp_langgraph.acp.job",
        "return asked_at is None or run.updated_at is None or run.updated_at.isoformat() == asked_at",
        "return True",
        "searches",
    ),
    Mutant(
        "an answer is only for a question that was put",
        "acp_langgraph.nodes.langgraph",
        "return stored, its_id in own or (again and bool(own)) or not (shown or stored)",
        "return stored, True",
        "searches",
    ),
    Mutant(
        "taking a plain answer away once it was given",
        "acp_langgraph.nodes.langgraph",
        "yield from _write(saver, place, [(RESUME, None)], NULL_TASK_ID)",
        "yield from ()",
        "without an answer",
    ),
    Mutant(
        "waiting until a plain answer is there to be taken away",
        "acp_langgraph.nodes.langgraph",
        "if pause is None or not self._is_left:",
        "if True:",
        "late writes",
    ),
    Mutant(
        "storing an answer with its task before it is sent",
        "acp_langgraph.nodes.langgraph",
        "yield from self._store(saver, list(scratchpad.resume))",
        "yield from ()",
        "without an answer",
    ),
    Mutant(
        "strict resume: an answer by id is for the question of that id",
        "acp_langgraph.nodes.langgraph",
        "del scratchpad.resume[len(stored) :]",
        "pass",
        "by id",
    ),
    Mutant(
        "the key of the next life",
        "acp_langgraph.jobs.job",
        'return f"{key}/{int(life or 1) + 1}"',
        "return self.key",
        "fails once",
    ),
    Mutant(
        "replay of steps by what they are about, and not by their place alone",
        "acp_langgraph.jobs.life",
        'while segment.get("key", job.key) != job.key:',
        "while False:",
        "fails once, and is tried again at once",
    ),
    Mutant(
        "whoever is told of a failure first is told, and the run is not done again before",
        "acp_langgraph.jobs.waiting",
        "if (yield from entry.failures.were_told_of(job_id, failure)):\n        return True",
        "if True:\n        return True",
        "fails once, and nobody enters again",
    ),
    Mutant(
        "a cancel that waits for the run's creation",
        "acp_langgraph.jobs.waiting",
        "_LOOKS_FOR_A_LATE_JOB: Final = (0.1, 0.2, 0.4, 0.8, 0.0)",
        "_LOOKS_FOR_A_LATE_JOB: Final = ()",
        "cancelled",
    ),
    Mutant(
        "a cancel ends the remote run",
        "acp_langgraph.nodes.base",
        'if self.on_cancel == "cancel" and performer.key is not None:\n                self._end_in_background',
        "if False:\n                self._end_in_background",
        "cancelled",
    ),
    Mutant(
        "a run that was cancelled is not waited for again",
        "acp_langgraph.jobs.waiting",
        "if job_id in entry.cancelled:",
        "if False:",
        "cancelled, on a server that does not say so",
    ),
    Mutant(
        "after a wait that failed, the run is read",
        "acp_langgraph.jobs.waiting",
        "except (*NOT_YET, NotFoundException) as error:\n            problem = error",
        "except NotFoundException as error:\n            problem = error",
        "searches",
    ),
    Mutant(
        "who waits while another attempt's ending is at work",
        "acp_langgraph.nodes.base",
        "await asyncio.wait({job})",
        "pass",
        "cancelled and entered again",
    ),
    Mutant(
        "listing where a search by metadata fails",
        "acp_langgraph.acp.job",
        "raise_what_passes(error)\n            failed = True",
        "raise _CannotSearchError(str(error)) from None",
        "lists",
    ),
    Mutant(
        "an answer that a thread does not take is sent on the run by itself, and looked after before",
        "acp_langgraph.acp.job",
        "habits.answers_on_threads is False or (unsure and habits.failed_on_thread)",
        "False",
        "AGNTCY's, on threads",
    ),
    Mutant(
        "storing the intention before what cannot be looked up is done",
        "acp_langgraph.jobs.once",
        "anchored=True, settled=True)",
        "anchored=True)",
        "API Bridge",
    ),
    Mutant(
        "an intention of which nothing came is a doubt",
        "acp_langgraph.jobs.once",
        'elif earlier is not None and self.on_unknown == "raise":',
        "elif False:",
        "API Bridge",
    ),
    Mutant(
        "attempts that know of each other",
        "acp_langgraph.jobs.once",
        'trace.begun, trace.since = True, intention["since"]',
        "pass",
        "API Bridge, tried again at once",
    ),
    Mutant(
        "a start of Quant's whose answer was lost is not made again",
        "acp_langgraph.quant.starting",
        "if not may_be_done(error):\n                raise\n            found = yield from _settle(order, policy, since, str(error))",
        "if not may_be_done(error):\n                raise\n            found = None",
        "Quant's tools",
    ),
    Mutant(
        "a start of Quant's that may have been made is settled first",
        "acp_langgraph.jobs.once",
        'found = yield from self.look(earlier["since"])\n            if found:\n                return {"result": found[0]}',
        'found = earlier["since"]',
        "Quant's tools",
    ),
    Mutant(
        "making a thread again whose making got no answer",
        "acp_langgraph.acp.job",
        "yield from self.policy.repeat(replace(making, repeatable=True))",
        "yield from self.policy.repeat(making)",
        "on threads",
    ),
    Mutant(
        "a deadline over all of a wait",
        "acp_langgraph.jobs.waiting",
        "return (yield from within(left, _wait(job, entry, segment, left)))",
        "return (yield from _wait(job, entry, segment, left))",
        "over its deadline",
    ),
    Mutant(
        "a run over its deadline is ended",
        "acp_langgraph.jobs.waiting",
        "became = yield from _ended(job, job_id, _TO_CANCEL_LATE)",
        'yield from ()\n        became = "was cancelled"',
        "over its deadline, with an agent that is stuck",
    ),
    Mutant(
        "ending a run over its deadline takes no longer than it may",
        "acp_langgraph.jobs.waiting",
        "_TO_CANCEL_LATE: Final = 3.0  # seconds beyond a deadline",
        "_TO_CANCEL_LATE: Final = 30.0",
        "over its deadline",
    ),
    Mutant(
        "a question waits for nobody who only describes its answer",
        "acp_langgraph.jobs.life",
        "return (yield from within(job.policy.for_seconds(_FOR_A_SCHEMA), looking))",
        "return (yield from looking)",
        "a question, and nobody answers",
    ),
    Mutant(
        "LangGraph's: whether the run that asked is the newest",
        "acp_langgraph.agent_protocol.job",
        'return run.run_id == question["asked_at"] and not run.is_at_work',
        "return not run.is_at_work",
        "dev",
    ),
    Mutant(
        "LangGraph's: that a run asks is read from its thread, whatever its status",
        "acp_langgraph.agent_protocol.job",
        "        if questions:\n            payload",
        '        if questions and run.status == "interrupted":\n            payload',
        "dev",
    ),
    Mutant(
        "LangGraph's: a run that was cancelled is known for one",
        "acp_langgraph.agent_protocol.job",
        'if run.status == "interrupted":\n            return _failed(',
        "if False:\n            return _failed(",
        "dev, cancelled and entered again",
    ),
    Mutant(
        "LangGraph's: what asks is ended with its thread",
        "acp_langgraph.agent_protocol.job",
        "yield from self.policy.repeat(calls.delete_thread(thread_id))",
        "pass",
        "dev, cancelled",
    ),
    Mutant(
        "LangGraph's: after a cancel, what asks is looked for",
        "acp_langgraph.agent_protocol.job",
        "yield from self.policy.repeat(calls.cancel_run(thread_id, run.run_id))\n",
        "yield from self.policy.repeat(calls.cancel_run(thread_id, run.run_id))\n            return\n",
        "Aegra, cancelled",
    ),
    Mutant(
        "LangGraph's: a second start is refused where one is at work",
        "acp_langgraph.agent_protocol.order",
        'strategy = "reject" if self.shared_thread is None else self.multitask_strategy',
        "strategy = self.multitask_strategy",
        "dev, behind a proxy that sends twice",
    ),
    Mutant(
        "LangGraph's: the key is in a run's configuration, too",
        "acp_langgraph.agent_protocol.order",
        '"config": {**self.config, "metadata": {KEY: self.key}},',
        '"config": dict(self.config),',
        "Aegra, on a thread that remembers",
    ),
    Mutant(
        "LangGraph's: the key tells the runs of a thread apart",
        "acp_langgraph.agent_protocol.job",
        "return [run for run in runs if run.key == self.key]",
        "return runs",
        "dev, on a thread that remembers, fails once",
    ),
    Mutant(
        "A2A: a task that was answered and has not noticed does not ask",
        "acp_langgraph.a2a.job",
        "return answered_here or self._has_message(task, self._answer_id(task))",
        "return False",
        "A2A, that notices answers late",
    ),
    Mutant(
        "A2A: by the answer's id another process knows that it was given",
        "acp_langgraph.a2a.job",
        "return answered_here or self._has_message(task, self._answer_id(task))",
        "return answered_here",
        "A2A, that notices answers late",
    ),
    Mutant(
        "A2A: recognising the question that is answered",
        "acp_langgraph.a2a.job",
        'return not known or task.asked_at == question["asked_at"]',
        "return True",
        "A2A",
    ),
    Mutant(
        "A2A: looking at the latest tasks where contexts are not kept",
        "acp_langgraph.a2a.job",
        "found = yield from self._latest()",
        "found = []",
        "A2A, contexts of its own",
    ),
    Mutant(
        "A2A: contexts are taken for kept only once one was",
        "acp_langgraph.a2a.job",
        "if not found and not self.peer.keeps_context:",
        "if not found and not self.peer.makes_tasks:",
        "A2A, contexts of its own, fails once",
    ),
    Mutant(
        "A2A: what cannot be listed is a doubt",
        "acp_langgraph.a2a.job",
        'raise CannotListError("the server has no list of tasks")',
        "return []",
        "A2A 0.3",
    ),
    Mutant(
        "A2A: of a message nothing remains, which is a doubt",
        "acp_langgraph.a2a.job",
        'raise CannotListError("the agent answers with messages, of which nothing remains")',
        "return found",
        "A2A, messages",
    ),
    Mutant(
        "A2A: what a message says is stored with the start",
        "acp_langgraph.a2a.job",
        'return {} if kept is None else {"answer": kept}',
        "return {}",
        "A2A, messages",
    ),
    Mutant(
        "A2A: the first message's id tells the tasks of a context apart",
        "acp_langgraph.a2a.job",
        "is_told = self.thread is None or self._has_message(task, self.message_id)",
        "is_told = True",
        "A2A, on a context that remembers, fails once",
    ),
    Mutant(
        "A2A: a cancel ends the task",
        "acp_langgraph.a2a.job",
        'yield from self.peer.asked(CANCEL_TASK, {"id": job_id}, self.policy)',
        "yield from ()",
        "A2A, cancelled",
    ),
    Mutant(
        "streams: what was heard is not shown twice",
        "acp_langgraph.jobs.listening",
        "if cursor.is_repeated(event):",
        "if False:",
        "watched, everything again",
    ),
    Mutant(
        "streams: without ids, an event is known by its place",
        "acp_langgraph.jobs.listening",
        "if not self._has_news_here and self.has_at(self._unnamed_here, event):",
        "if False:",
        "watched, everything again, without ids",
    ),
    Mutant(
        "streams: a gap between two connections is told",
        "acp_langgraph.jobs.listening",
        "if not self._joined and cursor.torn and not self.leads_on:",
        "if False:",
        "watched, what is new",
    ),
    Mutant(
        "streams: a gap before the end is told",
        "acp_langgraph.jobs.listening",
        'if cursor.torn == "broken":',
        "if False:",
        "watched, what is new",
    ),
    Mutant(
        "the lock that keeps a second worker from a thread",
        "simulation.people",
        "if world.budget.seconds and scenario.locked:",
        "if False:",
        "two workers with a lock",
    ),
)


@contextmanager
def living(mutant: Mutant) -> Iterator[None]:
    """The measure is not there.

    Raises:
        ValueError: If it is not where it was, or nothing of it is in a function or a plain value.
    """
    module = importlib.import_module(mutant.module)
    source = inspect.getsource(module)
    if source.count(mutant.text) != 1:
        raise ValueError(f"{mutant.name}: {mutant.module} has it {source.count(mutant.text)} times")
    before = dict(_functions(module))
    changed = types.ModuleType(module.__name__)
    vars(changed).update(__file__=module.__file__, __package__=module.__package__)
    code = compile(source.replace(mutant.text, mutant.instead), str(module.__file__), "exec")
    made = dict(_codes(code))
    undo = []
    for name, function in before.items():
        new = made.get(name)
        if new is not None and new != function.__code__:
            undo.append((function, function.__code__))
            function.__code__ = new
    value = _value(mutant)
    if value is not None:
        undo.append((module, {value[0]: getattr(module, value[0])}))  # type: ignore[arg-type]
        setattr(module, *value)
    try:
        if not undo:
            raise ValueError(f"{mutant.name}: nothing changes by it")
        yield
    finally:
        for owner, old in undo:
            if isinstance(owner, types.ModuleType):
                vars(owner).update(old)
            else:
                owner.__code__ = old


def _value(mutant: Mutant) -> tuple[str, object] | None:
    """The name and the new value, where the mutant changes a constant."""
    name, _, text = mutant.instead.partition(": Final = ")
    return (name, eval(text)) if text else None  # noqa: S307 - of this file


def _functions(module: types.ModuleType) -> Iterator[tuple[str, types.FunctionType]]:
    for each in vars(module).values():
        if inspect.isfunction(each) and each.__module__ == module.__name__:
            yield each.__qualname__, each
        elif inspect.isclass(each) and each.__module__ == module.__name__:
            for inner in vars(each).values():
                function = inner.fget if isinstance(inner, property) else inner
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function):
                    yield function.__qualname__, function


def _codes(code: types.CodeType) -> Iterator[tuple[str, types.CodeType]]:
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield each.co_qualname, each
            yield from _codes(each)
