"""Filling the fields that nobody mapped.

Such a field is looked for in the declared source, by its name and its type. What is needed and not
found is handed to a fallback, which may have a model asked, or is a fault that names what could have
been meant. So is what was listed and of which nothing is made.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Protocol, TypeAlias

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import schema, typeinfo
from acp_langgraph.mapping.fits import same_kind
from acp_langgraph.mapping.paths import StatePath, compile_path
from acp_langgraph.mapping.plan import Assignment
from acp_langgraph.mapping.rules import Call, Coalesce, Copy, Rule, Semantic, Source, sources_of
from acp_langgraph.mapping.typeinfo import Step

_log = logging.getLogger("acp_langgraph.mapping")


def of_kind(source: Any, target: Any) -> list[StatePath]:
    """All places in a declared source with the same kind of type as a target."""
    places = [each for some in places_of(source).values() for each in some]
    return [path for path, kind in places if same_kind(kind, target)]


@typeinfo.remembered
def places_of(declared: Any) -> dict[Step, list[tuple[StatePath, Any]]]:
    """The places in a declared type, by the last of their names."""
    found: dict[Step, list[tuple[StatePath, Any]]] = {}
    for path, kind in _places(declared, StatePath(), 4):
        found.setdefault(path.steps[-1], []).append((path, kind))
    return found


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
        known = places_of(self._compiler.source)
        places = [each for name in member.names for each in known.get(name, ())]

        def depth(place: tuple[StatePath, Any]) -> int:
            return len(place[0].steps) if self._from is None else self._depth(place[0])

        if self._from is not None:
            places = [each for each in places if self._allowed(each[0])]
        for _, level in groupby(sorted(places, key=depth), depth):
            fitting = (path for path, kind in level if same_kind(kind, member.type))
            if found := [path for path in fitting if self._allowed(path)]:
                return found
        return []

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
