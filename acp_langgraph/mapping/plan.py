"""A mapping plan: a frozen list of assignments, each a target and a function that makes its value.

    compile_plan(rules, source_schema=State, target_schema=EmailInput)    checks, once
    plan.value(state, config)      a new value of the target type          (the input of an agent)
    plan.delta(source, config)     what a node returns to change the state (its output; an edge)

Running a plan is: make every value, put them into one tree of changes, and write that tree, which
validates each value into its declared type. What only a model can tell is not run but reported by
`pending`; `acp_langgraph.mapping.asking` asks for it and hands the answers in.

A plan prints itself (`describe`), and goes to JSON and back, for review and to be kept in a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import channels
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.paths import StatePath, StateReadError
from acp_langgraph.mapping.rules import Coalesce, Copy, Rule, Semantic, rule_to_json, sources_of
from acp_langgraph.mapping.typeinfo import Step
from acp_langgraph.mapping.writing import Leaf, StateWriteError, Tree, written


class Scope(NamedTuple):
    """What rules read from while a plan runs.

    Attributes:
        source: The state, the agent's answer, or an item of a list.
        config: The node's configuration.
        state: The state, for `state:` paths.
    """

    source: Any
    config: Mapping[str, Any]
    state: Any

    def root(self, name: str) -> Any:
        """What paths with a prefix start in; without one, in the source.

        Raises:
            NullError: If it is the run's context, and there is none.
        """
        if name == "context":
            return _context()
        return {"config": self.config, "state": self.state}.get(name, self.source)


def _context() -> Any:
    """The context of the run that this is called in."""
    from langgraph.runtime import get_runtime  # noqa: PLC0415 - only for paths that start there

    try:
        found = getattr(get_runtime(), "context", None)
    except (RuntimeError, KeyError):  # not in a run
        found = None
    if found is None:
        raise NullError(
            "the run has no context; declare one, as in StateGraph(..., context_schema=...), and "
            "hand it over, as in graph.invoke(..., context=...)"
        )
    return found


@dataclass(frozen=True, slots=True)
class Assignment:
    """One target of a plan.

    Attributes:
        target: Where the value goes.
        rule: Where it comes from.
        type: The declared type of the target.
        give: Makes the value; `MISSING` leaves the target as it is, or to the model.
        ask: What a model is asked if `give` has nothing.
        required: Whether the target cannot be left out.
        matched: Whether nobody wrote the rule: it follows from name and type.
    """

    target: StatePath
    rule: Rule
    type: Any = field(repr=False)
    give: Callable[[Scope], Any] = field(repr=False, compare=False)
    ask: Semantic | None = None
    required: bool = True
    matched: bool = False

    def __str__(self) -> str:
        target = str(self.target) or "(everything)"
        return f"{target} <- {self.rule}{' (same name and type)' if self.matched else ''}"


@dataclass(frozen=True, slots=True)
class MappingPlan:
    """How a target is made from a source; `compile_plan` makes one.

    Attributes:
        name: Names the plan in errors and drawings.
        assignments: What it does, in order.
        source_schema: Declared type of what it reads from.
        target_schema: Declared type of what it makes, or of the state that it changes.
    """

    name: str
    assignments: tuple[Assignment, ...]
    source_schema: Any = field(repr=False)
    target_schema: Any = field(repr=False)
    # Where in the tree of changes each value goes, known beforehand: every branch with the branch
    # it hangs on, and every assignment with its branch and its step there.
    _branches: tuple[tuple[int, Any], ...] = field(init=False, repr=False, compare=False)
    _places: tuple[tuple[Assignment, int, Any], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        branches: dict[tuple[Step, ...], int] = {(): 0}
        hangs: list[tuple[int, Any]] = [(0, MISSING)]
        places = []
        for each in self.assignments:
            steps = each.target.steps
            for depth in range(1, len(steps)):
                if steps[:depth] not in branches:
                    branches[steps[:depth]] = len(hangs)
                    hangs.append((branches[steps[: depth - 1]], steps[depth - 1]))
            places.append((each, branches[steps[:-1]], steps[-1] if steps else MISSING))
        object.__setattr__(self, "_branches", tuple(hangs))
        object.__setattr__(self, "_places", tuple(places))

    @property
    def semantic(self) -> tuple[Assignment, ...]:
        """The assignments that may need a model."""
        return tuple(each for each in self.assignments if each.ask)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, those of choices among them."""
        rules = [each.rule for each in self.assignments]
        inner = [some for rule in rules if isinstance(rule, Coalesce) for some in rule.rules]
        return (*rules, *inner)

    @property
    def reads(self) -> tuple[StatePath, ...]:
        """The places in the source that the rules read."""
        sources = [source for rule in self.rules for source in sources_of(rule)]
        return tuple(source.path for source in sources if not source.root)

    @property
    def writes(self) -> tuple[StatePath, ...]:
        """The places in the target that it fills."""
        return tuple(each.target for each in self.assignments)

    @property
    def does_nothing(self) -> bool:
        """Whether every value would be copied to where it already is."""
        return self.source_schema is self.target_schema and all(
            getattr(each.rule, "source", None) is not None
            and not getattr(each.rule.source, "root", "")  # type: ignore[union-attr]  # asked above
            and getattr(each.rule.source, "path", None) == each.target  # type: ignore[union-attr]
            for each in self.assignments
        )

    def value(
        self,
        source: Any,
        config: Mapping[str, Any] | None = None,
        *,
        state: Any = MISSING,
        answers: Mapping[str, Any] | None = None,
    ) -> Any:
        """A new value of the target type.

        Args:
            source: What to read from.
            config: The node's configuration.
            state: What `state:` paths read from; the source unless given.
            answers: What a model said, by target; see `pending`.

        Raises:
            MappingError: If a value cannot be made, or does not fit.
        """
        tree = self._changes(self.scope(source, config, state), answers or {})
        try:
            return written(MISSING, self.target_schema, tree)
        except StateWriteError as error:
            raise self._unfit(error, tree) from error

    def delta(
        self,
        source: Any,
        config: Mapping[str, Any] | None = None,
        *,
        state: Any = MISSING,
        answers: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What a LangGraph node returns so that the state has the values.

        Args:
            source: What to read from.
            config: The node's configuration.
            state: The state to change; the source unless given. It is not changed itself.
            answers: What a model said, by target; see `pending`.

        Raises:
            MappingError: If a value cannot be made, or does not fit.
        """
        scope = self.scope(source, config, state)
        tree = self._changes(scope, answers or {})
        if isinstance(tree, Leaf):
            tree = StatePath().changes(tree.value)
        try:
            return channels.delta(scope.state, self.target_schema, tree)
        except StateWriteError as error:
            raise self._unfit(error, tree) from error

    def pending(
        self, source: Any, config: Mapping[str, Any] | None = None, *, state: Any = MISSING
    ) -> tuple[Assignment, ...]:
        """The assignments that rules alone cannot make for this source: a model must be asked."""
        semantic = self.semantic
        if not semantic:
            return ()
        scope = self.scope(source, config, state)
        return tuple(each for each in semantic if self._given(each, scope) is MISSING)

    def describe(self) -> str:
        """The plan in words, a line per target."""
        lines = "".join(f"\n  {each}" for each in self.assignments)
        return f"{self.name}:{lines or ' nothing to do'}"

    def drawn(self) -> dict[str, str]:
        """The plan as node metadata, which LangGraph draws under a node's name."""
        return {
            str(each.target) or "everything": _shortened(str(each.rule))
            for each in self.assignments
        }

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON value; functions appear by name."""
        rules = {str(each.target): rule_to_json(each.rule) for each in self.assignments}
        return {"version": 1, "name": self.name, "rules": rules}

    def save(self, path: str | Path) -> None:
        """Write the plan to a file, for people to read and `compile_plan` to use.

        Raises:
            NodeConfigurationError: If a constant in it is no JSON.
        """
        try:
            text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError):
            raise NodeConfigurationError(
                f"mapping {self.name!r} holds a constant that is no JSON; use a path or a function"
            ) from None
        Path(path).write_text(text + "\n", encoding="utf-8")

    def scope(
        self, source: Any, config: Mapping[str, Any] | None = None, state: Any = MISSING
    ) -> Scope:
        """What the rules read from."""
        configurable = (config or {}).get("configurable") or {}
        return Scope(source, configurable, source if state is MISSING else state)

    def _changes(self, scope: Scope, answers: Mapping[str, Any]) -> Any:
        trees: list[dict[Step, Tree]] = [{} for _ in self._branches]
        current = None
        try:
            for current, branch, step in self._places:
                value = current.give(scope)
                if value is MISSING:
                    if current.ask is None:
                        continue
                    value = self._answered(current, answers)
                    if value is MISSING:
                        continue
                if step is MISSING:
                    return Leaf(value)
                trees[branch][step] = Leaf(value)
        except Exception as error:
            failed = self._failed(current, error)
            if failed is None:
                raise
            raise failed from error
        for branch in range(len(trees) - 1, 0, -1):
            if trees[branch]:
                outer, step = self._branches[branch]
                trees[outer][step] = trees[branch]
        return trees[0]

    def _answered(self, assignment: Assignment, answers: Mapping[str, Any]) -> Any:
        value = answers.get(str(assignment.target), MISSING)
        if value is MISSING and assignment.required:
            raise NullError(
                "only a model can tell it, and there is none; pass llm=, or set "
                "config['configurable']['llm']"
            )
        return value

    def _given(self, assignment: Assignment, scope: Scope) -> Any:
        try:
            return assignment.give(scope)
        except Exception as error:
            failed = self._failed(assignment, error)
            if failed is None:
                raise
            raise failed from error

    def _failed(self, assignment: Assignment | None, error: Exception) -> MappingError | None:
        """What to raise for what a rule raised; `None` for a function's own error."""
        target = str(assignment.target) if assignment else ""
        if isinstance(error, (StateReadError, NullError)):
            return MappingError(str(error), edge=self.name, path=target)
        if isinstance(error, ItemError):
            inner = ".".join(each for each in (target, error.path) if each)
            return MappingError(str(error), edge=self.name, path=inner, value=error.value)
        error.add_note(f"while mapping {self.name!r} made {target or 'the whole target'}")
        return None

    def _unfit(self, error: StateWriteError, tree: Tree) -> MappingError:
        here: Any = tree
        for step in StatePath.parse(error.path).steps:
            here = here.get(step) if isinstance(here, dict) else here
        value = here.value if isinstance(here, Leaf) else None
        problem = f"it is {error.expected}, and the value does not fit: {error.reason}"
        rule = next(
            (each.rule for each in self.assignments if str(each.target) == error.path), None
        )
        if isinstance(here, Leaf) and value is None and isinstance(rule, (Copy, Coalesce)):
            rules = rule.rules if isinstance(rule, Coalesce) else (rule,)
            places = [str(source) for each in rules for source in sources_of(each)]
            given = f"{' and '.join(places)} {'is' if len(places) == 1 else 'are'} None"
            first = repr(places[0]) if places else "..."
            problem = (
                f"{given}, and it is {error.expected}; give the value earlier, or say what to take "
                f"then: coalesce({first}, ...) or copy({first}, default=...)"
            )
        return MappingError(problem, edge=self.name, path=error.path, value=value)


class NullError(ValueError):
    """A value is `None` where that makes no sense; the message says where."""


class ItemError(ValueError):
    """An item of a list cannot be made; the message says which and why.

    Attributes:
        path: Where in the list the fault is.
        value: What was refused.
    """

    def __init__(self, problem: str, path: str, value: Any) -> None:
        super().__init__(problem)
        self.path = path
        self.value = value


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:77] + "..."  # noqa: PLR2004 - a line of a drawing
