"""Whether a value of one declared type can become a value of another, judged from the types alone.

A mapping is checked when the graph is built, and a check that refuses what would have worked is
worse than none. So `refusal` says no only where it is certain: the two types have no value in
common under pydantic's lax rules, even after models have become dicts. Text may be a number, a dict
may be a model; a number is never text, and a list never an object.

`candidates` looks through a declared source for fields that could fill a target nobody mapped.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import typing
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from langchain_core.messages import BaseMessage
from pydantic import BaseModel, BeforeValidator, PlainValidator, RootModel, WrapValidator

from acp_langgraph.core.sendable import SECRETS
from acp_langgraph.mapping import schema, typeinfo
from acp_langgraph.mapping.paths import StatePath

__all__ = ["candidates", "of_kind", "refusal", "same_kind"]

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
    "time": frozenset({"list", "mapping", "record", "boolean", "none"}),
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
    if _takes_anything(target):
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


def _takes_anything(declared: Any) -> bool:
    before = (BeforeValidator, PlainValidator, WrapValidator)
    return any(isinstance(each, before) for each in typeinfo.attached(declared))


def _pair(source: Any, target: Any) -> str | None:
    given, wanted = _category(source), _category(target)
    if given == "secret" and wanted in _NO_SECRETS:
        return f"{typeinfo.type_name(source)} is a secret, and {typeinfo.type_name(target)} is none"
    if given in _REFUSED.get(wanted, ()):
        return f"{typeinfo.type_name(source)} cannot become {typeinfo.type_name(target)}"
    if given == wanted == "list":
        return _items(source, target)
    if given == wanted == "record":
        return _records(source, target)
    return None


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
    if issubclass(wanted, BaseModel) and wanted.__pydantic_decorators__.model_validators:
        return None
    given = schema.fields_of(source) or {}
    open_source = issubclass(kind, BaseModel) and kind.model_config.get("extra") == "allow"
    for name, member in (schema.fields_of(target) or {}).items():
        found = next((given[each] for each in member.names if each in given), None)
        if found is None and member.required and not open_source:
            return (
                f"{typeinfo.type_name(source)} has no {name!r}, which "
                f"{typeinfo.type_name(target)} needs"
            )
    return None


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


def candidates(source: Any, names: tuple[str, ...], target: Any) -> list[StatePath]:
    """Places in a declared source with one of the names and the same kind of type.

    Args:
        source: Declared type that is searched, through fields but not into lists.
        names: Names of the target.
        target: Declared type of the target.
    """
    return [
        path
        for path, kind in _places(source, StatePath(), 4)
        if path.steps[-1] in names and same_kind(kind, target)
    ]


def of_kind(source: Any, target: Any) -> list[StatePath]:
    """All places in a declared source with the same kind of type as a target."""
    return [path for path, kind in _places(source, StatePath(), 4) if same_kind(kind, target)]


def _places(declared: Any, at: StatePath, depth: int) -> Iterator[tuple[StatePath, Any]]:
    if depth == 0:
        return
    for bare in typeinfo.alternatives(declared):
        for name, member in (schema.fields_of(bare) or {}).items():
            path = StatePath((*at.steps, name))
            yield path, member.type
            yield from _places(member.type, path, depth - 1)
