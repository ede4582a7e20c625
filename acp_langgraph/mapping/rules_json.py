"""Rules as JSON, for people and models to read and write.

Nothing in such JSON can call a function unless whoever reads it hands that function in by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.paths import StatePath
from acp_langgraph.mapping.rules import (
    Call,
    Coalesce,
    Const,
    Copy,
    Each,
    Rule,
    Rules,
    Semantic,
    Source,
    Template,
    call,
    coalesce,
    llm,
    template,
)

__all__ = ["rule_from_json", "rule_to_json"]


def rule_to_json(rule: Rules) -> Any:
    """The rule as JSON; a function is written as its name."""
    written: dict[str, Any]
    match rule:
        case Copy(source, default, optional):
            written = {"copy": str(source)}
            if default is not MISSING:
                written["default"] = default
            if optional:
                written["optional"] = True
        case Const(value):
            written = {"const": value}
        case Template(text):
            written = {"template": text}
        case Coalesce(rules):
            written = {"coalesce": [rule_to_json(inner) for inner in rules]}
        case Each(source, item):
            written = {"each": str(source), "item": rule_to_json(item)}
        case Call(_, sources, name):
            written = {"call": name, "sources": [str(source) for source in sources]}
        case Semantic(meaning, sources, examples):
            places = [str(source) for source in sources]
            written = {"llm": meaning, "sources": places, "examples": list(examples)}
        case _:
            written = {"fields": {target: rule_to_json(inner) for target, inner in rule.items()}}
    return written


def rule_from_json(given: Any, functions: Mapping[str, Callable[..., Any]]) -> Rules:
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
            found = Each(Source.parse(_place(source)), rule_from_json(item, functions))
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
    rule = rule_from_json(given, functions)
    if isinstance(rule, Mapping):
        raise NodeConfigurationError("rules by field stand only in the item of an each")
    return rule
