"""What can become what, judged from the types alone.

A mapping is checked when the graph is built, and a check that refuses what would have worked is
worse than none. So `refusal` says no only where it is certain: the two types have no value in
common under pydantic's lax rules, even after models have become dicts. Text may be a number, a dict
may be a model; a number is never text, and a list never an object.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import types
import typing
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Union

from langchain_core.messages import BaseMessage
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    Json,
    PlainValidator,
    RootModel,
    WrapValidator,
)

from acp_langgraph.core.wire import SECRETS
from acp_langgraph.mapping import schema, typeinfo

_NO_SECRETS: Final = (
    "text",
    "number",
    "boolean",
    "time",
    "choice",
    "list",
    "mapping",
    "record",
    "none",
)
_REFUSED: Final[dict[str, frozenset[str]]] = {
    # target -> sources that certainly cannot become it
    "text": frozenset({"number", "boolean", "list", "mapping", "record", "none"}),
    "number": frozenset({"list", "mapping", "record", "time", "none"}),
    "boolean": frozenset({"list", "mapping", "record", "time", "none"}),
    "time": frozenset({"list", "mapping", "record", "none"}),
    "choice": frozenset({"list", "mapping", "record", "none"}),
    "list": frozenset({"text", "number", "boolean", "time", "choice", "mapping", "record", "none"}),
    "mapping": frozenset({"text", "number", "boolean", "time", "choice", "list", "none"}),
    "record": frozenset({"text", "number", "boolean", "time", "choice", "list", "none"}),
    "none": frozenset({"text", "number", "boolean", "time", "list", "mapping", "record", "choice"}),
}


def refusal(source: Any, target: Any) -> str | None:
    """Why no value of the source type can become the target type; `None` if one might.

    Args:
        source: Declared type of what is read.
        target: Declared type of where it goes.
    """
    if takes_anything(target):
        return None
    targets = typeinfo.alternatives(target)
    first: str | None = None
    sources = typeinfo.alternatives(source)
    # What is optional is judged by what it is when it is there.
    for given in [kind for kind in sources if kind is not type(None)] or sources:
        for wanted in targets:
            why = _pair(given, wanted)
            if why is None:
                return None
            first = first or why
    return first


@typeinfo.remembered
def takes_anything(declared: Any) -> bool:
    """Whether rules that nobody can see through make a value before the type is asked."""
    for each in typeinfo.attached(declared):
        if isinstance(each, _CONVERTING) or each is Json:
            return True
    bare = typeinfo.strip(declared)
    if typing.get_origin(bare) in (Union, types.UnionType):
        return any(takes_anything(part) for part in typing.get_args(bare))
    kind = typeinfo.origin_of(bare)
    rules = getattr(kind, "__pydantic_decorators__", None)
    own = [each.info.mode for each in rules.model_validators.values()] if rules else []
    return kind is Json or any(mode != "after" for mode in own) or _has_own_schema(kind)


_CONVERTING: Final = (BeforeValidator, PlainValidator, WrapValidator, Json, type(schema.OWN_RULES))


def _has_own_schema(kind: Any) -> bool:
    """Whether a class that is no model tells pydantic itself what it takes."""
    tells = getattr(kind, "__get_pydantic_core_schema__", None)
    if enum.Enum in getattr(kind, "__mro__", ()):
        return "_missing_" in vars(kind)
    fields = schema.fields_of(kind) is not None
    return tells is not None and not fields and not issubclass(kind, (*SECRETS, RootModel))


def _pair(source: Any, target: Any) -> str | None:
    given, wanted = _category(source), _category(target)
    if given == "secret" and wanted in _NO_SECRETS:
        return f"{typeinfo.type_name(source)} is a secret, and {typeinfo.type_name(target)} is none"
    if wanted == "list" and _is_short(target, given):
        return None
    if given in _REFUSED.get(wanted, ()):
        return f"{typeinfo.type_name(source)} cannot become {typeinfo.type_name(target)}"
    if given == wanted == "list":
        return _items(source, target)
    if given == wanted == "record":
        return _records(source, target)
    return None


def _is_short(target: Any, given: str) -> bool:
    """Whether it may stand for the list: one message for a chat, fields for a named tuple."""
    if schema.fields_of(target) is not None:
        return given in {"mapping", "record"}
    return typeinfo.is_chat(target) and given in {"text", "choice", "mapping", "record"}


@typeinfo.remembered
def _category(bare: Any) -> str:
    if typing.get_origin(bare) is typing.Literal:
        return "choice"
    kind = typeinfo.origin_of(bare)
    if typeinfo.is_unknown(bare) or not isinstance(kind, type) or issubclass(kind, _OPEN):
        return "any"
    if schema.fields_of(bare) is not None and not issubclass(kind, tuple):
        return "record"
    if typeinfo.is_list(bare):
        return "list"
    return next((name for name, kinds in _CATEGORIES if issubclass(kind, kinds)), "any")


_OPEN: Final = (RootModel, BaseMessage)
_CATEGORIES: Final[tuple[tuple[str, tuple[type, ...]], ...]] = (
    ("none", (type(None),)),
    ("secret", SECRETS),
    ("list", (AbstractSet,)),
    ("choice", (enum.Enum,)),
    ("mapping", (Mapping,)),
    ("text", (str,)),
    ("boolean", (bool,)),
    ("number", (int, float)),
    ("any", (decimal.Decimal,)),
    ("time", (dt.date, dt.time, dt.timedelta)),
)


def _items(source: Any, target: Any) -> str | None:
    given, wanted = typing.get_args(source), typing.get_args(target)
    plain = all(
        len([each for each in arguments if each is not Ellipsis]) == 1
        for arguments in (given, wanted)
    )
    why = refusal(given[0], wanted[0]) if plain else None
    return f"in the list, {why}" if why else None


def _records(source: Any, target: Any) -> str | None:
    kind, wanted = typeinfo.origin_of(source), typeinfo.origin_of(target)
    if wanted is kind or (not typeinfo.is_typed_dict(wanted) and issubclass(kind, wanted)):
        return None
    given = schema.fields_of(source) or {}
    open_source = issubclass(kind, BaseModel) and kind.model_config.get("extra") == "allow"
    for name, member in (schema.fields_of(target) or {}).items():
        found = next((given[each] for each in member.names if each in given), None)
        if found is None and member.required and not (open_source or _is_elsewhere(wanted, name)):
            return (
                f"{typeinfo.type_name(source)} has no {name!r}, which "
                f"{typeinfo.type_name(target)} needs"
            )
    return None


def _is_elsewhere(kind: Any, name: str) -> bool:
    """Whether a field may be found by other ways than a name of its own."""
    fields = getattr(kind, "__pydantic_fields__", {})
    return name in fields and isinstance(fields[name].validation_alias, (AliasPath, AliasChoices))


def same_kind(source: Any, target: Any) -> bool:
    """Whether the types are alike enough to be matched without being told to.

    Stricter than `refusal`: text is not taken for a number, nor something unknown for anything.
    """
    if typeinfo.strip(target) is Any or typeinfo.strip(source) is Any:
        return typeinfo.strip(target) is typeinfo.strip(source)
    if refusal(source, target):
        return False
    given = [kind for kind in typeinfo.alternatives(source) if kind is not type(None)]
    wanted = typeinfo.alternatives(target)
    alike = {_category(kind) for kind in given} & {_category(kind) for kind in wanted}
    texts = {"text", "choice"}
    return bool(alike) or bool(
        texts & {_category(kind) for kind in given} and texts & {_category(kind) for kind in wanted}
    )
