"""What a rule does when a plan runs: a function from a `Scope` to a value.

Functions are made once, when the plan is compiled, from rules that were already checked. `MISSING`
means that there is no value and the target stays as it is.
"""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any, Final, assert_never

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from acp_langgraph.core.wire import SECRETS, UnsendableError, plain
from acp_langgraph.errors import MappingError
from acp_langgraph.mapping.access import MISSING, near
from acp_langgraph.mapping.paths import CompiledPath, StateReadError
from acp_langgraph.mapping.plan import ItemError, MappingPlan, NullError, Scope
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

Give = Callable[[Scope], Any]


Place = Callable[[Source], CompiledPath]
ItemPlan = Callable[[Each], MappingPlan]


def _reader(source: Source, place: Place, *default: Any) -> Give:
    """Reads a place; if nothing is there it gives the default, or raises `StateReadError`."""
    read = place(source).read
    if source.root == "config":
        return partial(_from_config, read, source, default)
    if source.root == "context":
        return lambda scope: read(scope.root("context"), *default)
    if source.root == "state":
        return lambda scope: read(scope.state, *default)
    return lambda scope: read(scope.source, *default)


def _from_config(
    read: Callable[..., Any], source: Source, default: tuple[Any, ...], scope: Scope
) -> Any:
    try:
        return read(scope.config, *default)
    except StateReadError as error:
        own = ("__", "checkpoint_")  # of LangGraph's
        key, given = (
            source.path.steps[0],
            [each for each in scope.config if not each.startswith(own)],
        )
        if error.stopped_at:
            raise NullError(f"in config['configurable'], {error}") from None
        raise NullError(
            f"config['configurable'] has no {key!r}{near(key, given)}; hand it over with the run, "
            f"as in graph.invoke(..., {{'configurable': {{{key!r}: ...}}}})"
        ) from None


def giver(rule: Rule, place: Place, item: ItemPlan, *, secret: bool = False) -> Give:
    """The function of a rule.

    Args:
        rule: The rule.
        place: Where its sources are.
        item: Compiles the plan of an item of an `Each`.
        secret: Whether the target is declared a secret, so that a text may be made of secrets.
    """
    give: Give
    match rule:
        case Copy():
            give = _copy(rule, place)
        case Const(value):
            give = _always(value)
        case Template():
            give = _template(rule, place, secret)
        case Coalesce(rules):
            give = _coalesce([_giver_or_none(each, place, item, secret) for each in rules])
        case Each(source):
            give = _each(_reader(source, place), source, item(rule))
        case Call():
            give = _call(rule, place)
        case Semantic():
            give = _always(MISSING)
        case _:
            assert_never(rule)
    return give


def _always(value: Any) -> Give:
    return lambda _: value


def _copy(rule: Copy, place: Place) -> Give:
    if rule.default is MISSING and not rule.optional:
        return _reader(rule.source, place)
    read, default = _reader(rule.source, place, None), rule.default

    def give(scope: Scope) -> Any:
        value = read(scope)
        return default if value is None else value

    return give


def _giver_or_none(rule: Rule, place: Place, item: ItemPlan, secret: bool) -> Give:
    """In a choice, a copy of what is not there is as good as `None`."""
    if isinstance(rule, Copy) and rule.default is MISSING and not rule.optional:
        return _reader(rule.source, place, None)
    return giver(rule, place, item, secret=secret)


def _coalesce(gives: list[Give]) -> Give:
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


def _call(rule: Call, place: Place) -> Give:
    function = rule.function
    if rule.sources:
        reads = [_reader(source, place) for source in rule.sources]
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


def _template(rule: Template, place: Place, secret: bool) -> Give:
    parts: list[str | tuple[Give, Source, str]] = [
        part if isinstance(part, str) else (_reader(part[0], place), part[0], part[1])
        for part in rule.parts
    ]

    def give(scope: Scope) -> str:
        texts = []
        for part in parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            read, source, spec = part
            value = read(scope)
            if value is None:
                raise NullError(
                    f"{source} is None, and a text needs a value there; use coalesce, or give the "
                    "value earlier"
                )
            if type(value) is str and not spec:
                texts.append(value)
                continue
            try:
                texts.append(_text(value, spec, secret))
            except UnsendableError as error:
                inside = str(error).removeprefix("it ")
                raise NullError(f"{source} {inside}, and a text is none") from None
        return "".join(texts)

    return give


def _text(value: Any, spec: str, secret: bool) -> str:
    if isinstance(value, SECRETS):
        value = plain(value, declares=lambda _: secret)
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, BaseMessage):
        return str(value.text)
    if isinstance(value, _WRITTEN_AS_JSON) or is_dataclass(value):
        made = plain(value, declares=lambda _: secret, fallback=str)
        return json.dumps(made, ensure_ascii=False)
    return format(value, spec)


_WRITTEN_AS_JSON: Final = (list, tuple, set, frozenset, Mapping, BaseModel)


def _each(read: Give, source: Source, item: MappingPlan) -> Give:
    def give(scope: Scope) -> Any:
        found = read(scope)
        if found is None:
            raise NullError(
                f"{source} is None, and a list is needed; for an empty one write "
                f"coalesce(each({str(source)!r}, ...), const([]))"
            )
        if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
            raise NullError(f"{source} is a {type(found).__name__}, and a list is needed")
        config = {"configurable": scope.config}
        made = []
        for at, value in enumerate(found):
            try:
                made.append(item.value(value, config, state=scope.state))
            except MappingError as error:
                raise _item_error(at, value, source, error) from error
        return made

    return give


def _item_error(at: int, value: Any, source: Source, error: MappingError) -> ItemError:
    path = f"{at}.{error.path}" if error.path else str(at)
    if value is None:
        problem = (
            f"item {at} of {source} is None; leave such items out with a function, as in "
            f"call(lambda items: [...], {str(source)!r})"
        )
    else:
        said = str(error).partition(": ")[2].replace("the state", "the item", 1)
        problem = f"of item {at} of {source}: {said}"
    return ItemError(problem, path, error.value)
