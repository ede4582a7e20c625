"""Filling what nobody mapped: a field of the same name and type, the nearest one, if it is the only.

What is needed and not found is handed to a fallback, which may have a model asked, or is a fault
that names what could have been meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import compat, schema, typeinfo
from acp_langgraph.mapping.paths import StatePath, compile_path
from acp_langgraph.mapping.plan import Assignment
from acp_langgraph.mapping.rules import Copy, Rule, Source

__all__ = ["Fallback", "Matcher"]

Fallback: TypeAlias = Callable[[StatePath, schema.Member], Rule | None]


class Collector(Protocol):
    """Where checked assignments and faults are collected."""

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
        elif path.steps:
            self._fill(path, schema.Member(declared, True, (str(path.steps[-1]),)))

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
        found = compat.candidates(self._compiler.source, member.names, member.type)
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
        places = filter(self._allowed, compat.of_kind(self._compiler.source, member.type))
        by_name = {str(each): str(each.steps[-1]) for each in places}
        close = difflib.get_close_matches(str(path.steps[-1]), by_name.values(), n=3, cutoff=0.5)
        near = [place for place, last in by_name.items() if last in close]
        listed = near or list(by_name)[:5]
        return f"; candidates: {', '.join(listed)}" if listed else ""

    def _covered(self, path: StatePath) -> bool:
        targets = [each.target for each in self._compiler.assignments]
        return any(_starts(path, each) for each in [*targets, *self._compiler.refused])

    def _touched(self, path: StatePath) -> bool:
        return any(_starts(each.target, path) for each in self._compiler.assignments)


def _starts(path: StatePath, root: StatePath) -> bool:
    return path.steps[: len(root.steps)] == root.steps
