"""What can become what, judged from the types alone, and filling the fields that nobody mapped.

A mapping is checked when the graph is built, and a check that refuses what would have worked is
worse than none. So `refusal` says no only where it is certain: the two types have no value in
common under pydantic's lax rules, even after models have become dicts. Text may be a number, a dict
may be a model; a number is never text, and a list never an object.

`candidates` looks through a declared source for fields that could fill a target nobody mapped.

What is needed and not found is handed to a fallback, which may have a model asked, or is a fault
that names what could have been meant.
"""

from __future__ import annotations

import datetime as dt
import decimal
import difflib
import enum
import logging
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final, Protocol, TypeAlias, Union

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
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import schema, typeinfo
from acp_langgraph.mapping.paths import StatePath, compile_path
from acp_langgraph.mapping.plan import Assignment
from acp_langgraph.mapping.rules import Call, Coalesce, Copy, Rule, Semantic, Source, sources_of

_log = logging.getLogger("acp_langgraph.mapping")

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


Fallback: TypeAlias = Callable[[StatePath, schema.Member], Rule | None]


class Collector(Protocol):
    """Where checked assignments and faults are collected."""

    name: str
    source: Any
    target: Any
    into_state: bool
    assignments: list[Assignment]
    faults: list[str]
    refused: list[StatePath]

    def add(self, path: str | StatePath, rule: Rule, *, matched: bool = False) -> None:
        """Check one rule, and add what it does."""


class Matcher:
    """Fills what nobody mapped."""

    def __init__(
        self,
        compiler: Collector,
        match_from: Sequence[str | StatePath] | None,
        fallback: Fallback | None,
        *,
        match: bool,
    ) -> None:
        self._compiler = compiler
        self._from = None if match_from is None else [StatePath.parse(each) for each in match_from]
        self._fallback = fallback
        self._match = match
        self._within = StatePath()
        self._left: list[tuple[StatePath, schema.Member]] = []

    def complete(self, path: StatePath) -> None:
        """See that a target, or every field of it, is filled."""
        if self._covered(path):
            return
        try:
            declared = compile_path(self._compiler.target, path).type
        except NodeConfigurationError as error:
            self._compiler.faults.append(str(error))
            return
        self._within = path
        records = [kind for kind in typeinfo.alternatives(declared) if schema.fields_of(kind)]
        if len(records) == 1:
            self._complete_fields(path, records[0])
        elif path.steps and not self._touched(path):
            self._fill(path, schema.Member(declared, True, (str(path.steps[-1]),)))
        if self._compiler.into_state:
            self._complete_parents(path)

    def _complete_parents(self, path: StatePath) -> None:
        """See that what a part is asked of can be made where it is not there yet."""
        for depth in range(1, len(path.steps)):
            self._within = parent = StatePath(path.steps[:depth])
            declared = compile_path(self._compiler.target, parent).type
            records = [kind for kind in typeinfo.alternatives(declared) if schema.has_models(kind)]
            for name, member in (schema.fields_of(records[0]) if len(records) == 1 else {}).items():  # type: ignore[union-attr]  # a model has fields
                child = StatePath((*parent.steps, name))
                if member.required and not (self._covered(child) or self._touched(child)):
                    self._add_if_absent(child, member)

    def _add_if_absent(self, path: StatePath, member: schema.Member) -> None:
        found = self._nearest(member) if self._match else []
        rule: Rule | None = None
        if len(found) == 1:
            rule = Copy(Source(found[0]))
        elif self._fallback is not None:
            rule = self._fallback(path, member)
        if rule is not None:
            self._compiler.add(path, Coalesce((Copy(Source(path, "state")), rule)), matched=True)

    def use(self, listed: Sequence[StatePath]) -> None:
        """See that something is made of every source that was listed."""
        unused = [path for path in listed if not self._is_read(path)]
        if not unused or self._compiler.faults:
            return
        names = ", ".join(map(str, unused))
        if self._fallback is None:
            self._compiler.faults.append(f"{names} {self._of_no_use(unused)}")
            return
        for child, member in self._left:
            self._fill_otherwise(child, member)
        if not any(each.ask for each in self._compiler.assignments):
            _log.warning("mapping %r: nothing is made of %s", self._compiler.name, names)

    def _of_no_use(self, unused: Sequence[StatePath]) -> str:
        is_listed = "is listed in input_fields, and nothing is made of it"
        if len(unused) > 1:
            is_listed = "are listed in input_fields, and nothing is made of them"
        if not self._left:
            return f"{is_listed}; map it in field_mapping, or leave it out"
        child, member = self._left[0]
        return (
            f"{is_listed}, while {child} ({typeinfo.type_name(member.type)}) is not filled; map "
            f"it, as in field_mapping={{{str(child)!r}: {str(unused[0])!r}}}, or leave it out"
        )

    def _is_read(self, path: StatePath) -> bool:
        rules: list[Rule] = []
        for each in self._compiler.assignments:
            if not (each.matched and each.ask):
                rules += each.rule.rules if isinstance(each.rule, Coalesce) else [each.rule]
        for rule in rules:
            sources = sources_of(rule)
            if isinstance(rule, (Call, Semantic)) and not sources:
                return True
            places = [source.path for source in sources if source.root in ("", "state")]
            if any(_starts(place, path) or _starts(path, place) for place in places):
                return True
        return False

    def _complete_fields(self, path: StatePath, record: Any) -> None:
        unfilled = []
        for name, member in (schema.fields_of(record) or {}).items():
            child = StatePath((*path.steps, name))
            if self._covered(child):
                continue
            if self._touched(child):
                self._complete_inside(child, member)
            elif not self._matched(child, member):
                unfilled.append((child, member))
        # What can be left out is worth a question only where there would be nothing otherwise.
        nothing = self._fallback is not None and not self._touched(path)
        for child, member in unfilled:
            if member.required or nothing:
                self._fill_otherwise(child, member)
            else:
                self._left.append((child, member))

    def _complete_inside(self, child: StatePath, member: schema.Member) -> None:
        records = [kind for kind in typeinfo.alternatives(member.type) if schema.fields_of(kind)]
        if len(records) == 1 and not typeinfo.is_typed_dict(records[0]):
            self._complete_fields(child, records[0])

    def _fill(self, path: StatePath, member: schema.Member) -> None:
        if not self._matched(path, member):
            self._fill_otherwise(path, member)

    def _matched(self, path: StatePath, member: schema.Member) -> bool:
        found = self._nearest(member) if self._match else []
        if len(found) != 1 or (not member.required and self._depth(found[0]) > 1):
            return False  # what can be left out is not looked for deep down
        self._compiler.add(path, Copy(Source(found[0]), optional=not member.required), matched=True)
        return True

    def _nearest(self, member: schema.Member) -> list[StatePath]:
        """The candidates that lie least deep: a channel of the name is meant, not one inside."""
        found = candidates(self._compiler.source, member.names, member.type)
        allowed = [each for each in found if self._allowed(each)]
        least = min(map(self._depth, allowed), default=0)
        return [each for each in allowed if self._depth(each) == least]

    def _depth(self, path: StatePath) -> int:
        roots = self._from or [StatePath()]
        return min(len(path.steps) - len(root.steps) for root in roots if _starts(path, root))

    def _fill_otherwise(self, path: StatePath, member: schema.Member) -> None:
        rule = self._fallback(path, member) if self._fallback else None
        if rule is not None:
            before = len(self._compiler.assignments)
            self._compiler.add(path, rule, matched=True)
            if not member.required and len(self._compiler.assignments) > before:
                last = self._compiler.assignments[-1]
                self._compiler.assignments[-1] = replace(last, required=False)
            return
        found = self._nearest(member)
        if found:
            named = ", ".join(map(str, found))
            self._compiler.faults.append(
                f"{path} is not mapped, and could be any of {named}; say which"
            )
            return
        self._compiler.faults.append(
            f"{path} ({typeinfo.type_name(member.type)}) is needed, and nothing fills it"
            f"{self._hint(path, member)}"
        )

    def _allowed(self, source: StatePath) -> bool:
        """Whether a field may be matched: not one inside the target itself."""
        if self._compiler.into_state and _starts(source, self._within):
            return False
        return self._from is None or any(_starts(source, root) for root in self._from)

    def _hint(self, path: StatePath, member: schema.Member) -> str:
        places = filter(self._allowed, of_kind(self._compiler.source, member.type))
        by_name = {str(each): str(each.steps[-1]) for each in places}
        close = difflib.get_close_matches(str(path.steps[-1]), by_name.values(), n=3, cutoff=0.5)
        near = [place for place, last in by_name.items() if last in close]
        listed = near or list(by_name)[:5]
        return f"; candidates: {', '.join(listed)}" if listed else ""

    def _covered(self, path: StatePath) -> bool:
        targets = [each.target for each in self._compiler.assignments]
        return any(_starts(path, each) for each in [*targets, *self._compiler.refused])

    def _touched(self, path: StatePath) -> bool:
        targets = [each.target for each in self._compiler.assignments]
        return any(_starts(each, path) for each in [*targets, *self._compiler.refused])


def _starts(path: StatePath, root: StatePath) -> bool:
    return path.steps[: len(root.steps)] == root.steps
