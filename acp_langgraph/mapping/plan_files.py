"""Plans on file: written by a model or by people, reviewed, and read again.

A model that writes a plan is asked once, when the graph is made. What is wrong with its proposal is
told to it, at most twice. A plan that was accepted is kept in a file (`MappingPlan.save`) and runs
from then on without a model.

Nothing in such a file can call a function unless whoever reads it hands that function in by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from langchain_core.messages import HumanMessage, SystemMessage

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import validation
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.asking import ATTEMPTS, Asking, adrive, drive
from acp_langgraph.mapping.compiling import compile_plan
from acp_langgraph.mapping.paths import StatePath
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.prompts import Question, UnreadableError, parse, repair, to_json
from acp_langgraph.mapping.rules import (
    Const,
    Copy,
    Each,
    Rule,
    Rules,
    Semantic,
    Source,
    call,
    coalesce,
    llm,
    template,
)


def load_plan(
    plan: str | Path | Mapping[str, Any],
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    name: str | None = None,
    **schemas: Any,
) -> MappingPlan:
    """A plan from JSON: a file, or the value that `MappingPlan.to_json` gave.

    Args:
        plan: A file's path, or the JSON value.
        functions: What the names of functions in it stand for.
        name: Names the plan; otherwise the name that it was saved with.
        **schemas: As for `compile_plan`; the plan is checked against them again.

    Raises:
        NodeConfigurationError: If it is no plan, or does not fit the schemas any more.
    """
    given: Any = plan
    if isinstance(plan, (str, Path)):
        try:
            given = json.loads(Path(plan).read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise NodeConfigurationError(f"the plan {plan} is no JSON: {error}") from None
    rules, saved = _rules_of(given, functions or {})
    return compile_plan(rules, name=name or saved or "mapping", **{"match": False, **schemas})


def _rules_of(
    given: Any, functions: Mapping[str, Callable[..., Any]]
) -> tuple[Mapping[str, Rules], str | None]:
    """Rules by target, and the name, of a plan in JSON.

    Raises:
        NodeConfigurationError: If it is no plan.
    """
    match given:
        case {"version": 1, "rules": dict(rules), **rest}:
            name = rest.get("name")
            read = {target: _rule(rule, functions) for target, rule in rules.items()}
            return read, name if isinstance(name, str) else None
        case _:
            raise NodeConfigurationError(
                'a plan in JSON is {"version": 1, "rules": {target: rule, ...}}'
            )


def _rule(given: Any, functions: Mapping[str, Callable[..., Any]]) -> Rules:
    """The rule that a JSON value describes.

    Args:
        given: What `rule_to_json` wrote, or a person or a model in its manner.
        functions: What the names of functions stand for; nothing else can be called.

    Raises:
        NodeConfigurationError: If it describes no rule.
    """
    match given:
        case {"copy": str(source), **more} if more.keys() <= {"default", "optional"}:
            found: Rules = Copy(
                Source.parse(_place(source)),
                more.get("default", MISSING),
                optional=more.get("optional") is True,
            )
        case {"const": value, **rest} if not rest:
            found = Const(value)
        case {"template": str(text), **rest} if not rest:
            found = template(text)
        case {"coalesce": [*rules], **rest} if rules and not rest:
            found = coalesce(*(_one(inner, functions) for inner in rules))
        case {"each": str(source), "item": item, **rest} if not rest:
            found = Each(Source.parse(_place(source)), _rule(item, functions))
        case {"call": str(name), **rest} if rest.keys() <= {"sources"}:
            if name not in functions:
                raise NodeConfigurationError(
                    f"the plan calls {name!r}; hand it in: functions={{{name!r}: ...}}"
                )
            found = call(functions[name], *_places(rest.get("sources")), name=name)
        case {"llm": str(meaning), **rest} if rest.keys() <= {"sources", "examples"}:
            examples = rest.get("examples")
            shown = tuple(map(str, examples)) if isinstance(examples, list) else ()
            found = llm(meaning, *_places(rest.get("sources")), examples=shown)
        case {"fields": dict(fields), **rest} if not rest:
            found = {
                str(StatePath.parse(target)): _one(inner, functions)
                for target, inner in fields.items()
            }
        case _:
            raise NodeConfigurationError(
                'a rule in JSON is one of {"copy": path}, {"const": value}, {"template": text}, '
                '{"coalesce": [rules]}, {"each": path, "item": rule or {"fields": {...}}}, '
                '{"call": name}, {"llm": meaning}'
            )
    return found


def _place(text: Any) -> str:
    if not isinstance(text, str):
        raise NodeConfigurationError("a path in JSON is a string")
    return "" if text == "(everything)" else text


def _places(texts: Any) -> list[str]:
    return [_place(text) for text in texts] if isinstance(texts, list) else []


def _one(given: Any, functions: Mapping[str, Callable[..., Any]]) -> Rule:
    rule = _rule(given, functions)
    if isinstance(rule, Mapping):
        raise NodeConfigurationError("rules by field stand only in the item of an each")
    return rule


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
