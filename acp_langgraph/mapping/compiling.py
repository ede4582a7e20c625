"""From rules to a plan: everything that can be known from the declared types is checked here.

Each path is followed through its schema, each rule's type is compared with its target's, constants
are validated, and the fields that a target needs and nobody mapped are matched by name and type.
All that is wrong is said in one error, when the graph is built.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.json_schema.types import type_from_json_schema
from acp_langgraph.mapping import channels, fits, schema, typeinfo, validation
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.matching import Fallback, Matcher
from acp_langgraph.mapping.paths import CompiledPath, StatePath, compile_path
from acp_langgraph.mapping.plan import Assignment, MappingPlan
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
    as_rules,
    sources_of,
)
from acp_langgraph.mapping.running import giver


def compile_input(
    rules: Any, *, state: Any = None, agent: Any = None, name: str = "input"
) -> MappingPlan:
    """The plan that makes an agent's input from the state; run it with `value`.

    Args:
        rules: `{field of the input: rule}`, or one rule for the whole input.
        state: The state's declaration; `None` if not known, and then its paths are not checked.
        agent: The input's type, or its JSON Schema from the descriptor; `None` if not known.
        name: Names the plan in errors.

    Raises:
        NodeConfigurationError: If it can never work; see `compile_plan`.
    """
    return compile_plan(rules, source_schema=state, target_schema=agent, name=name)


def compile_output(
    rules: Any, *, state: Any = None, agent: Any = None, name: str = "output"
) -> MappingPlan:
    """The plan that puts an agent's answer into the state; run it with `delta(answer, state=...)`.

    Args:
        rules: `{path in the state: rule}`, the rules' paths starting in the answer, or after
            `state:` in the state; or one rule whose value is a mapping of channels.
        state: The state's declaration; `None` if not known, and then its paths are not checked.
        agent: The answer's type, or its JSON Schema from the descriptor; `None` if not known.
        name: Names the plan in errors.

    Raises:
        NodeConfigurationError: If it can never work; see `compile_plan`.
    """
    return compile_plan(
        rules,
        source_schema=agent,
        target_schema=state,
        state_schema=Any if state is None else state,
        complete=(),
        name=name,
        into_state=True,
    )


def compile_plan(
    rules: Any,
    *,
    source_schema: Any = None,
    target_schema: Any = None,
    state_schema: Any = None,
    context_schema: Any = None,
    complete: Sequence[str | StatePath] = ("",),
    match_from: Sequence[str | StatePath] | None = None,
    match: bool = True,
    listed: Sequence[str | StatePath] = (),
    fallback: Fallback | None = None,
    into_state: bool = False,
    name: str = "mapping",
) -> MappingPlan:
    """Check rules against the declared types, and make them a plan.

    Args:
        rules: `{target path: rule}`, or one rule for the whole target; see
            `acp_langgraph.mapping.rules`. A plan is taken as it is.
        source_schema: What rules read from: a type, a JSON Schema, or `None` if not known.
        target_schema: What is made, likewise.
        state_schema: What `state:` paths read from; the source unless given.
        context_schema: What `context:` paths read from, likewise.
        complete: Targets whose fields must all be filled, by a rule or by what is matched.
        match_from: Source paths in which fields are matched; everywhere unless given.
        match: Whether fields that nobody mapped are matched by name and type: one of that name and
            type, the least deep one, and only if it is the only one at its depth.
        listed: Source paths of which something must be made: where no rule does it, what may be
            left out is not.
        fallback: A rule for a needed field that nothing fills, or `None` to refuse.
        into_state: Whether the target is a graph's state, whose channels may have reducers.
        name: Names the plan in errors and drawings.

    Raises:
        NodeConfigurationError: With every fault that was found: a path that does not exist, a type
            that can never fit, a target that cannot be reached, a needed field that nothing fills
            or that several sources could fill.
    """
    if isinstance(rules, MappingPlan):
        return rules
    source, target = declared_as(source_schema, "Source"), declared_as(target_schema, "Target")
    state = source if state_schema is None else declared_as(state_schema, "State")
    context = declared_as(context_schema, "Context")
    compiler = _Compiler(source, target, state, context, into_state=into_state, name=name)
    given = as_rules(rules)
    for path, rule in (given if isinstance(given, Mapping) else {"": given}).items():
        compiler.add(path, rule)
    compiler.refuse_overlaps()
    matcher = Matcher(compiler, match_from, fallback, match=match)
    for each in complete:
        matcher.complete(StatePath.parse(each))
    matcher.use([StatePath.parse(each) for each in listed])
    compiler.raise_faults()
    return MappingPlan(name, tuple(compiler.assignments), source, target)


def declared_as(declared: Any, name: str) -> Any:
    """A type, a JSON Schema or `None` as a type."""
    if declared is None:
        return Any
    return type_from_json_schema(declared, name) if isinstance(declared, Mapping) else declared


class _Compiler:
    """Collects checked assignments and faults."""

    def __init__(
        self, source: Any, target: Any, state: Any, context: Any, *, into_state: bool, name: str
    ) -> None:
        self.source = source
        self.target = target
        self.state = state
        self.context = context
        self.into_state = into_state
        self.name = name
        self.assignments: list[Assignment] = []
        self.faults: list[str] = []
        self.refused: list[StatePath] = []

    def add(self, path: str | StatePath, rule: Rule, *, matched: bool = False) -> None:
        """Check one rule, and add what it does."""
        try:
            place = compile_path(self.target, path)
            self._refuse_unreachable(place)
            self.check(rule, self._accepted(place))
            self.assignments.append(self._assignment(place, rule, matched=matched))
        except NodeConfigurationError as error:
            self.faults.append(f"{path or 'the whole target'}: {error}")
            with suppress(NodeConfigurationError):
                self.refused.append(StatePath.parse(path))

    def _assignment(self, place: CompiledPath, rule: Rule, *, matched: bool) -> Assignment:
        def item(of: Each) -> MappingPlan:
            return self._item_plan(of, place.type)

        last = rule.rules[-1] if isinstance(rule, Coalesce) else rule
        ask = last if isinstance(last, Semantic) else None
        return Assignment(
            place.path,
            rule,
            place.type,
            giver(rule, self.place, item, secret=schema.declares_secret(place.type)),
            ask,
            matched=matched,
        )

    def _item_plan(self, rule: Each, target: Any) -> MappingPlan:
        items = self.place(rule.source).type
        if any(isinstance(inner, Semantic) for inner in _inner_rules(rule.item)):
            raise NodeConfigurationError("a model cannot be asked for every item; ask for the list")
        return compile_plan(
            rule.item,
            source_schema=_item_type(items),
            target_schema=_item_type(target),
            state_schema=self.state,
            context_schema=self.context,
            name=f"{self.name}, each of {rule.source}",
        )

    def _accepted(self, place: CompiledPath) -> tuple[Any, ...]:
        if self.into_state and len(place.path.steps) == 1:
            return channels.accepts(place.type)
        return (place.type,)

    def _refuse_unreachable(self, place: CompiledPath) -> None:
        around = self.target
        for at, step in enumerate(place.path.steps):
            if schema.only_read(around, step):
                raise NodeConfigurationError(
                    f"{StatePath(place.path.steps[: at + 1])} is computed by "
                    f"{typeinfo.type_name(around)} and can only be read; write what it is made of"
                )
            around = schema.member_type(around, step)
        if not self.into_state or len(place.path.steps) < 2:  # noqa: PLR2004 - inside a channel
            return
        channel = schema.member_type(self.target, place.path.steps[0])
        reducer = channels.reducer_of(channel)
        if reducer in channels.ADDING:
            raise NodeConfigurationError(
                f"channel {place.path.channel!r} is added to by its reducer, so nothing inside it "
                f"can be changed; write {place.path.channel!r} itself, with what is to be added"
            )

    def place(self, source: Source) -> CompiledPath:
        """Where a rule reads from."""
        roots = {"": self.source, "state": self.state, "config": Any, "context": self.context}
        try:
            return compile_path(roots[source.root], source.path)
        except NodeConfigurationError as error:
            said = str(error).replace("the state is", f"the {source.root or 'state'} is", 1)
            text = str(source.path)
            known = schema.has_member(self.source, source.path.steps[0])
            if not (source.root or known or "did you mean" in said):
                said += f" (for the text itself write const({text!r}))"
            raise NodeConfigurationError(said) from None

    def check(self, rule: Rule, targets: tuple[Any, ...]) -> None:
        """Refuse a rule whose value can never be one of the targets' types."""
        for source in sources_of(rule):
            self.place(source)
        match rule:
            case Copy(source, default):
                _refuse(self.place(source).type, targets, str(source))
                if default is not MISSING:
                    _refuse_value(default, targets, "the default")
            case Const(value):
                _refuse_value(value, targets, "the constant")
            case Template():
                _refuse(str, targets, "the template")
            case Coalesce(rules):
                self._check_choice(rules, targets)
            case Each(source):
                _refuse(self.place(source).type, (list[Any],), str(source))
                _refuse(list[Any], targets, "a mapped list")
            case Call(function):
                _refuse(_returned(function), targets, f"the result of {rule.name}")

    def _check_choice(self, rules: tuple[Rule, ...], targets: tuple[Any, ...]) -> None:
        if any(isinstance(each, Semantic) for each in rules[:-1]):
            raise NodeConfigurationError("in coalesce, llm(...) stands last")
        for each in rules:
            self.check(each, targets)

    def refuse_overlaps(self) -> None:
        """Refuse a target inside another one."""
        targets = [each.target.steps for each in self.assignments]
        for outer in targets:
            for inner in targets:
                if outer != inner and inner[: len(outer)] == outer:
                    self.faults.append(
                        f"{str(StatePath(outer)) or 'the whole target'} has a rule, and so has "
                        f"{StatePath(inner)} inside it"
                    )

    def raise_faults(self) -> None:
        """Raise everything that is wrong at once."""
        if not self.faults:
            return
        listed = "".join(f"\n- {fault}" for fault in self.faults)
        raise NodeConfigurationError(f"mapping {self.name!r} cannot work:{listed}")


def _inner_rules(rules: Any) -> Iterable[Any]:
    given = rules.values() if isinstance(rules, Mapping) else [rules]
    for rule in given:
        yield rule
        if isinstance(rule, Coalesce):
            yield from rule.rules


def _item_type(declared: Any) -> Any:
    for kind in typeinfo.alternatives(declared):
        if typeinfo.is_list(kind):
            return schema.member_type(kind, 0)
    return Any


def _returned(function: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError, AttributeError):
        return Any


def _refuse(given: Any, targets: tuple[Any, ...], what: str) -> None:
    reasons = [fits.refusal(given, target) for target in targets]
    if all(reasons):
        raise NodeConfigurationError(f"{what} does not fit: {reasons[0]}")


def _refuse_value(value: Any, targets: tuple[Any, ...], what: str) -> None:
    if any(map(fits.takes_anything, targets)):
        return
    problem = ""
    for target in targets:
        try:
            validation.validate(target, value)
        except ValidationError as error:
            problem = (
                f"{what} does not fit {typeinfo.type_name(target)}: {validation.reason(error)}"
            )
        else:
            return
    raise NodeConfigurationError(problem)
