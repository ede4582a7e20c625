"""A model writes the plan instead of the values: rules in JSON, checked like any others.

What is wrong with a proposal is told to the model, at most twice. A plan that was accepted is kept
in a file (`MappingPlan.save`), reviewed, and runs from then on without a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langchain_core.messages import HumanMessage, SystemMessage

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import validation
from acp_langgraph.mapping.answers import UnreadableError, parse
from acp_langgraph.mapping.asking import ATTEMPTS, Asking, adrive, drive
from acp_langgraph.mapping.compiling import load_plan
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.prompts import Question, repair, to_json
from acp_langgraph.mapping.rules import Semantic

__all__ = ["apropose", "propose", "proposing"]

_PLAN_SYSTEM: Final = """\
You write a mapping: for every field of a target, where in a source its value comes from. The rules \
are run later, without you, on data that you do not see.
Answer with one JSON object {"version": 1, "rules": {target path: rule}} and with nothing else.
A rule is one of
{"copy": path}                                   the value at a source path, like a.b.0.c
{"copy": path, "optional": true}                 the same, left out where there is none
{"const": value}
{"template": "text with {path} in it"}
{"coalesce": [rule, rule, ...]}                  the first that has a value
{"each": path of a list, "item": rule}           or "item": {"fields": {path: rule}}"""

_PLAN_USER: Final = """\
Targets to fill:
{targets}

JSON Schema of the source:
{source}

JSON Schema of the target:
{target}"""


def proposing(
    targets: Mapping[str, str],
    *,
    name: str = "mapping",
    **schemas: Any,
) -> Asking[MappingPlan]:
    """The flow in which a model writes a plan; see `propose`."""
    first = Question(
        (
            SystemMessage(_PLAN_SYSTEM),
            HumanMessage(
                _PLAN_USER.format(
                    targets="\n".join(
                        f"- {path or 'everything'}: {meaning}" for path, meaning in targets.items()
                    ),
                    source=to_json(validation.json_schema(schemas.get("source_schema"))),
                    target=to_json(validation.json_schema(schemas.get("target_schema"))),
                )
            ),
        ),
        None,  # the keys of the rules are free, which strict structured outputs do not allow
    )
    current, problem = first, ""
    for attempt in range(1, ATTEMPTS + 1):
        reply = yield current
        try:
            answer = parse(reply)
            text = to_json(answer)
            plan = load_plan(_only(answer, targets), name=name, **schemas)
        except UnreadableError as error:
            text, problem = error.text, str(error)
        except NodeConfigurationError as error:
            problem = str(error)
        else:
            if not any(isinstance(each.rule, Semantic) for each in plan.assignments):
                return plan
            problem = "a rule asks a model, and the plan is to run without one"
        if attempt < ATTEMPTS:
            current = repair(first, text, [problem])
    raise MappingError(
        f"the model proposed no plan that works: {problem}",
        edge=name,
        path="",
        value=text,
        attempts=ATTEMPTS,
    )


def _only(answer: Any, targets: Mapping[str, str]) -> Mapping[str, Any]:
    """The plan in an answer, refused if it writes where nobody asked it to."""
    if not isinstance(answer, Mapping):
        raise NodeConfigurationError('a plan in JSON is {"version": 1, "rules": {...}}')
    rules = answer.get("rules")
    for target in rules if isinstance(rules, Mapping) else ():
        if not any(not path or f"{target}.".startswith(f"{path}.") for path in targets):
            raise NodeConfigurationError(f"{target} is none of the targets {', '.join(targets)}")
    return {"version": 1, **answer}


def propose(
    model: Any,
    targets: Mapping[str, str],
    *,
    name: str = "mapping",
    **schemas: Any,
) -> MappingPlan:
    """Let a model write a plan that runs without a model.

    Args:
        model: A chat model.
        targets: What is to be filled: target paths and what they mean.
        name: Names the plan.
        **schemas: As for `compile_plan`; the plan is checked against them, and what is wrong is
            told to the model, at most twice.

    Raises:
        MappingError: If no proposal was a plan that can work.
    """
    return drive(proposing(targets, name=name, **schemas), name, model, None)


async def apropose(
    model: Any,
    targets: Mapping[str, str],
    *,
    name: str = "mapping",
    **schemas: Any,
) -> MappingPlan:
    """Let a model write a plan, awaiting; otherwise `propose`."""
    return await adrive(proposing(targets, name=name, **schemas), name, model, None)
