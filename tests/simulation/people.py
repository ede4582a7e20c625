"""Those who want a graph done: they invoke it, answer what it asks, and do things nobody asked them to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simulation.fanout import open_questions
from simulation.memory import Ended

if TYPE_CHECKING:
    from simulation.scenario import Scenario
    from simulation.world import Happening, World

__all__ = ["plain", "what_people_do"]

_REFUSED = "UnprocessableEntityException"


def what_people_do(scenario: Scenario, world: World) -> Iterator[Happening]:
    """What whoever wants the graph done may do next."""
    if any(proc.is_at_work for proc in world.procs):
        if world.budget.seconds and scenario.locked:
            return
        if world.budget.seconds and len(world.procs) == 1 and world.store.checkpoint:
            after = world.spending("seconds")
            yield (
                "a second worker takes the thread while the first is at work",
                scenario.entered(after, "none", fresh=True),
            )
        return
    yield from _doing(scenario, world)


def _doing(scenario: Scenario, world: World) -> Iterator[Happening]:
    human = world.human
    if human.how in {"done", "left"}:
        return
    if world.store.checkpoint < max(world.inputs, 1):
        yield "somebody invokes the graph", scenario.entered(world, "new")
        return
    questions = open_questions(world.store)
    failed = human.how == "failed" and human.what != _REFUSED
    if human.how in {"failed", "cancelled"} and scenario.leaves:
        yield (
            "and it is left at that",
            world._replace(human=Ended("left", human.what or human.how, human.more)),
        )
    if failed or human.how in {"cancelled", "drained"}:
        if human.how == "drained" or world.budget.agains:
            after = world if human.how == "drained" else world.spending("agains")
            yield from _entering(scenario, after, "somebody invokes the graph again", "none")
        return
    if not questions:
        yield from _entering(scenario, world, "somebody invokes the graph again", "none")
        return
    if scenario.machine.settings.tasks > 1:
        yield from _answering_several(scenario, world, questions)
    else:
        ((question_id, question),) = questions
        yield from _answering(scenario, world, question_id, plain(question))
    if world.budget.nones:
        said = "somebody invokes the graph without an answer"
        yield from _entering(scenario, world.spending("nones"), said, "none")


def _answering(
    scenario: Scenario, world: World, question_id: str, question: str
) -> Iterator[Happening]:
    answer = json.dumps(scenario.answers[question])
    by_id = json.dumps({question_id: scenario.answers[question]})
    said = f"somebody answers {question!r} with {answer}"
    if scenario.by_id:
        yield from _entering(scenario, world, f"{said}, by its id", "by_id", by_id)
    else:
        yield from _entering(scenario, world, said, "plain", answer)
    if world.budget.wrongs:
        after = world.spending("wrongs")
        said = f"somebody answers {question!r} wrongly"
        yield from _entering(scenario, after, said, "plain", json.dumps("wrong"))
    first_id, first = world.asked
    if world.budget.repeats and first_id and first_id != question_id:
        again = scenario.answers[plain(json.loads(first))]
        said = f"somebody gives the answer {again!r} to the first question again, by its id"
        given = json.dumps({first_id: again})
        yield from _entering(scenario, world.spending("repeats"), said, "by_id", given)


def _answering_several(
    scenario: Scenario, world: World, questions: list[tuple[str, Any]]
) -> Iterator[Happening]:
    """One of them after the other, or all at once."""
    given = {each: scenario.answers[plain(question)] for each, question in questions}
    yield from _entering(scenario, world, "somebody answers all", "by_id", json.dumps(given))
    if len(given) > 1:
        for number, (each, answer) in enumerate(given.items(), 1):
            said = f"somebody answers question {number} of {len(given)}"
            yield from _entering(scenario, world, said, "by_id", json.dumps({each: answer}))


def _entering(
    scenario: Scenario, world: World, said: str, how: str, given: str = ""
) -> Iterator[Happening]:
    yield said, scenario.entered(world, how, given)
    if world.budget.handovers and world.procs:
        after = world.spending("handovers")._replace(procs=())
        yield f"{said}, in another process", scenario.entered(after, how, given)


def plain(question: Any) -> str:
    """A question's text, which AGNTCY's server wraps; what a bridge is asked; and what a chat wants run."""
    if not isinstance(question, dict):
        return str(question)
    if "tools" in question:
        return str(question["tools"][0]["name"])
    return str(question.get("ask") or question["query"])
