"""What a rule does when a plan runs: a function from a `Scope` to a value.

Functions are made once, when the plan is compiled, from rules that were already checked. `MISSING`
means that there is no value and the target stays as it is.
"""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Callable, Iterable
from typing import Any, assert_never

from langchain_core.messages import BaseMessage
from pydantic_core import to_jsonable_python

from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.paths import StateReadError
from acp_langgraph.mapping.plan import MappingPlan, NullError, Scope
from acp_langgraph.mapping.rules import (
    Call,
    Coalesce,
    Const,
    Copy,
    Each,
    Rule,
    Semantic,
    Source,
    Template,
)

__all__ = ["Give", "giver", "reader", "reader_or_none"]

Give = Callable[[Scope], Any]


def reader(source: Source) -> Give:
    """Reads a place; raises `StateReadError` if nothing is there."""
    read = source.path.read
    if source.root == "config":
        return lambda scope: read(scope.config)
    if source.root == "state":
        return lambda scope: read(scope.state)
    return lambda scope: read(scope.source)


def reader_or_none(source: Source) -> Give:
    """Reads a place; `None` if nothing is there."""
    read = source.path.read
    if source.root == "config":
        return lambda scope: read(scope.config, None)
    if source.root == "state":
        return lambda scope: read(scope.state, None)
    return lambda scope: read(scope.source, None)


def giver(rule: Rule, item: MappingPlan | None = None) -> Give:
    """The function of a rule.

    Args:
        rule: The rule.
        item: For `Each`, the compiled plan of an item.
    """
    give: Give
    match rule:
        case Copy():
            give = _copy(rule)
        case Const(value):
            give = _always(value)
        case Template():
            give = _template(rule)
        case Coalesce(rules):
            give = _coalesce(rules)
        case Each(source):
            assert item is not None  # noqa: S101 - the compiler makes one
            give = _each(reader(source), item)
        case Call():
            give = _call(rule)
        case Semantic():
            give = _always(MISSING)
        case _:
            assert_never(rule)
    return give


def _always(value: Any) -> Give:
    return lambda _: value


def _copy(rule: Copy) -> Give:
    if rule.default is MISSING and not rule.optional:
        return reader(rule.source)
    read, default = reader_or_none(rule.source), rule.default

    def give(scope: Scope) -> Any:
        value = read(scope)
        return default if value is None else value

    return give


def _giver_or_none(rule: Rule) -> Give:
    """In a choice, a copy of what is not there is as good as `None`."""
    if isinstance(rule, Copy) and rule.default is MISSING and not rule.optional:
        return reader_or_none(rule.source)
    return giver(rule)


def _coalesce(rules: tuple[Rule, ...]) -> Give:
    gives = [_giver_or_none(rule) for rule in rules]

    def give(scope: Scope) -> Any:
        value: Any = None
        failed: Exception | None = None
        for each in gives:
            try:
                value = each(scope)
            except (StateReadError, NullError) as error:
                failed = error
                continue
            if value is not None and value is not MISSING:
                return value
        if value is None and failed is not None:
            raise failed
        return value

    return give


def _call(rule: Call) -> Give:
    function = rule.function
    if rule.sources:
        reads = [reader(source) for source in rule.sources]
        return lambda scope: function(*[read(scope) for read in reads])
    if _takes_config(function):
        return lambda scope: function(scope.source, {"configurable": dict(scope.config)})
    return lambda scope: function(scope.source)


def _takes_config(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in functions may not tell
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each for each in parameters if each.kind in positional and each.default is each.empty]
    return len(needed) == 2  # noqa: PLR2004 - the state and the config


def _template(rule: Template) -> Give:
    parts: list[str | tuple[Give, Source, str]] = [
        part if isinstance(part, str) else (reader(part[0]), part[0], part[1])
        for part in rule.parts
    ]

    def give(scope: Scope) -> str:
        return "".join(_texts(parts, scope))

    return give


def _texts(parts: Iterable[str | tuple[Give, Source, str]], scope: Scope) -> Iterable[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
            continue
        read, source, spec = part
        value = read(scope)
        if value is None:
            raise NullError(
                f"{source} is None, and a text needs a value there; use coalesce, or give the "
                "value earlier"
            )
        yield _text(value, spec)


def _text(value: Any, spec: str) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, BaseMessage):
        return str(value.text)
    if isinstance(value, (list, tuple, set, frozenset, dict)) or hasattr(value, "__dict__"):
        return json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)
    return format(value, spec)


def _each(read: Give, item: MappingPlan) -> Give:
    def give(scope: Scope) -> Any:
        found = read(scope)
        if found is None:
            raise NullError("the list is None; use coalesce, or give the list earlier")
        if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
            raise NullError(f"a list is needed there, and it is a {type(found).__name__}")
        config = {"configurable": scope.config}
        return [item.value(each, config, state=scope.state) for each in found]

    return give
