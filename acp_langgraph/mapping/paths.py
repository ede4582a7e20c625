"""State paths: where in a state something is, as text.

    final_email                     a channel
    mail.headers.subject            fields and keys, through dicts, models and dataclasses
    docs.0.title, docs[-1].title    positions in lists
    mail["content.type"]            names that are no bare words, in either kind of quotes

An empty path is the whole state. A path is parsed once; `compile_path` checks it against a declared
schema when a graph is built, where a misspelt name can still be corrected.

Reading touches only declared fields. Writing returns what LangGraph wants from a node: the changed
top-level channel and nothing else, with new objects along the path and every sibling kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

from pydantic import BaseModel

from acp_langgraph.errors import NodeConfigurationError, NodeInputError
from acp_langgraph.mapping import access, channels, schema, typeinfo
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.schema import NoMemberError
from acp_langgraph.mapping.typeinfo import Step
from acp_langgraph.mapping.writing import Leaf, StateWriteError, Tree


class PathSyntaxError(NodeConfigurationError):
    """A text is no state path.

    Attributes:
        text: The text.
        position: Where in it the fault is, counted from 0.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        super().__init__(f"{text!r} is no state path: {problem} at position {position}")
        self.text = text
        self.position = position


class StateReadError(NodeInputError, LookupError):
    """There is nothing at a path.

    Attributes:
        path: The path.
        stopped_at: How far it could be followed.
    """

    def __init__(self, path: StatePath, reached: int, problem: str) -> None:
        self.path = str(path)
        self.stopped_at = access.path_text(path.steps[:reached])
        place = self.stopped_at or "the state"
        super().__init__(f"cannot read {self.path}: {place} {problem}")


# A bare word, `[...]` with a number or a quoted name, or a quoted name on its own.
_QUOTED: Final = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_WORD: Final = re.compile(rf"""(?P<quoted>{_QUOTED})|(?P<bare>[^.\[\]"'{{}}\\]+)""", re.DOTALL)
_BRACKET: Final = re.compile(rf"\[\s*(?:(?P<index>-?[0-9]+)|(?P<quoted>{_QUOTED}))\s*\]", re.DOTALL)
_NUMBER: Final = re.compile(r"-?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatePath:
    """Where in a state something is; `StatePath.parse` makes one from text.

    Attributes:
        steps: Names (`str`) and positions (`int`); none for the whole state.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def parse(cls, text: str | Self) -> Self:
        """Read a path.

        Raises:
            PathSyntaxError: If the text is no path.
        """
        return text if isinstance(text, cls) else cls(tuple(_steps(str(text))))

    def __str__(self) -> str:
        return access.path_text(self.steps)

    def __truediv__(self, below: str | StatePath) -> StatePath:
        return StatePath(self.steps + StatePath.parse(below).steps)

    @property
    def channel(self) -> str | None:
        """The top-level channel, `None` for the whole state."""
        return str(self.steps[0]) if self.steps else None

    def read(self, state: Any, default: Any = MISSING) -> Any:
        """What is at the path.

        Args:
            state: A dict, a pydantic model, a dataclass, or anything that holds such.
            default: What to give if nothing is there, or one of the parents is `None`.

        Raises:
            StateReadError: If nothing is there and there is no default.
        """
        here = state
        for at, step in enumerate(self.steps):
            below = access.member(here, step)
            if below is MISSING:
                if default is not MISSING:
                    return default
                raise self._not_there(here, at)
            here = below
        return here

    def _not_there(self, here: Any, at: int) -> StateReadError:
        step = self.steps[at]
        if here is None:
            return StateReadError(self, at, "is None")
        if isinstance(step, int) and isinstance(here, (list, tuple)):
            return StateReadError(self, at, f"has {len(here)} items and no position {step}")
        kind = type(here).__name__
        hint = access.near(step, access.member_names(here))
        return StateReadError(self, at, f"is a {kind} without {step!r}{hint}")

    def write(self, state: Any, value: Any, schema: Any = None) -> dict[str, Any]:
        """What a LangGraph node returns so that the value is at the path.

        Args:
            state: The state before; it is not changed, and neither is anything in it.
            value: The value, validated into the declared type. For the whole state a mapping or a
                model, whose set fields become the channels.
            schema: The state's declaration; without it, the type of the state itself.

        Returns:
            The one changed channel, or several for the whole state.

        Raises:
            StateWriteError: If the value does not fit, or there is no place for it.
            NodeConfigurationError: If the schema has no such path.
        """
        return channels.delta(state, type(state) if schema is None else schema, self.changes(value))

    def changes(self, value: Any) -> dict[Step, Tree]:
        """The value at the path as a tree of changes, several of which make one write."""
        if not self.steps:
            return _whole(value)
        tree: Tree = Leaf(value)
        for step in reversed(self.steps):
            tree = {step: tree}
        return tree  # type: ignore[return-value]  # at least one step was put around the leaf


def _steps(text: str) -> Any:
    position = 0
    while position < len(text):
        if text[position] == "[":
            found = _BRACKET.match(text, position)
            if not found:
                raise PathSyntaxError(
                    text, position, 'brackets hold a number or a quoted name, as [0] or ["a b"],'
                )
            yield int(found["index"]) if found["index"] else _unquoted(found["quoted"])
        else:
            if position:
                if text[position] != ".":
                    raise PathSyntaxError(text, position, "a '.' or '[' is missing")
                position += 1
            found = _WORD.match(text, position)
            if not found:
                raise PathSyntaxError(text, position, "a name is missing")
            yield _unquoted(found["quoted"]) if found["quoted"] else _bare(text, found)
        position = found.end()


def _bare(text: str, found: re.Match[str]) -> Step:
    word = found["bare"]
    if word != word.strip():
        raise PathSyntaxError(text, found.start(), "a space stands before or after a name")
    return int(word) if _NUMBER.fullmatch(word) else word


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)


def _whole(value: Any) -> dict[Step, Tree]:
    if isinstance(value, Mapping):
        return {str(name): Leaf(each) for name, each in value.items()}
    set_fields = getattr(value, "model_fields_set", None)
    names = access.member_names(value) if set_fields is None else sorted(set_fields)
    if not names:
        got = "null" if value is None else type(value).__name__
        raise StateWriteError("", "a mapping or a model", f"got {got}")
    return {name: Leaf(access.member(value, name)) for name in names}


@dataclass(frozen=True, slots=True)
class CompiledPath:
    """A path that was checked against a schema.

    Attributes:
        path: The path, aliases replaced by the names of the fields.
        schema: The declared type that it starts from.
        type: The declared type at its end; `Any` where that is not known.
    """

    path: StatePath
    schema: Any
    type: Any
    _steps: tuple[tuple[Step, tuple[str, ...], dict[type, str]], ...] = field(
        repr=False, compare=False, default=()
    )
    # By the type of the state: the channel that the path is, if a validated value is all it takes.
    _plain: dict[type, tuple[str, Callable[[Any], Any]] | None] = field(
        repr=False, compare=False, default_factory=dict, init=False
    )

    def __reduce__(self) -> tuple[Any, ...]:
        """Compiled again: what was learnt of the classes of states are functions, which cannot be pickled."""
        return compile_path, (self.schema, self.path)

    def read(self, state: Any, default: Any = MISSING) -> Any:
        """What is at the path; see `StatePath.read`."""
        here = state
        for step, names, attributes in self._steps:
            kind = type(here)
            if kind is dict and step in here:
                here = here[step]
                continue
            name = attributes.get(kind)
            if name is None:
                _learn(kind, step, attributes)
                here = access.member(here, step, names)
            else:
                here = getattr(here, name, MISSING)
            if here is MISSING:
                return self.path.read(state, default)
        return here

    def write(self, state: Any, value: Any) -> dict[str, Any]:
        """What a node returns so that the value is at the path; see `StatePath.write`."""
        kind = type(state)
        if kind not in self._plain and len(self._plain) < _MOST_CLASSES:
            declared = kind if self.schema is Any else self.schema
            alone = len(self.path.steps) == 1
            plain = channels.plain_channel(declared, self.path.steps[0]) if alone else None
            self._plain[kind] = plain
        channel = self._plain.get(kind)
        if channel is not None:
            name, check = channel
            with suppress(Exception):  # said by the other way, with where and why
                return {name: check(value)}
        return self.path.write(state, value, None if self.schema is Any else self.schema)


class PathPlan:
    """A plan of one rule, a path: it makes what is there, or puts what it is given there.

    It is used like a `MappingPlan`, needs none of its compiler, and never a model.

    Args:
        path: The path; empty for the whole state.
        state: The state's declaration; `None` if not known, and then each state tells its own.

    Attributes:
        place: The path, compiled.
        reads: The places in the state that it reads, as a plan of a node's input.
        writes: The places in the state that it writes, as a plan of a node's output.
        semantic: The assignments that may need a model: none.

    Raises:
        PathSyntaxError: If the text is no path.
        NodeConfigurationError: If the state certainly has no such place.
    """

    semantic: Final = ()

    def __init__(self, path: str | StatePath, state: Any = None) -> None:
        self.place = compile_path(Any if state is None else state, path)
        self.reads = self.writes = (self.place.path,)

    def value(
        self,
        source: Any,
        config: Any = None,  # noqa: ARG002 - as of other plans
        *,
        answers: Any = None,  # noqa: ARG002 - as of other plans
    ) -> Any:
        """What is at the path.

        Raises:
            StateReadError: If nothing is there.
        """
        return self.place.read(source)

    def delta(
        self,
        source: Any,
        config: Any = None,  # noqa: ARG002 - as of other plans
        *,
        state: Any,
        answers: Any = None,  # noqa: ARG002 - as of other plans
    ) -> dict[str, Any]:
        """What a LangGraph node returns so that the value is at the path; see `StatePath.write`."""
        return self.place.write(state, source)


def compile_path(schema_: Any, path: str | StatePath) -> CompiledPath:
    """Check a path against a declared schema.

    Args:
        schema_: A TypedDict, a pydantic model, a dataclass, or any other type; `Any` allows all.
        path: The path.

    Raises:
        NodeConfigurationError: If there certainly is no such place; the message names near ones.
    """
    parsed = StatePath.parse(path)
    declared = schema_
    steps: list[Step] = []
    compiled: list[tuple[Step, tuple[str, ...], dict[type, str]]] = []
    for at, step in enumerate(parsed.steps):
        names = schema.names_of(declared, step)
        try:
            below = schema.member_type(declared, step)
        except NoMemberError as missing:
            reached = access.path_text(parsed.steps[:at]) or "the state"
            raise NodeConfigurationError(
                f"there is no {parsed}: {reached} is {typeinfo.type_name(declared)}, and "
                f"{missing.reason}{access.near(step, missing.names)}"
            ) from None
        steps.append(step if isinstance(step, int) else names[0])
        compiled.append((steps[-1], names, {}))
        declared = below
    return CompiledPath(StatePath(tuple(steps)), schema_, declared, tuple(compiled))


def _learn(kind: type, step: Step, attributes: dict[type, str]) -> None:
    """Remember of a class that a step is one of its fields, so that it need not be looked up."""
    fields = schema.fields_of(kind)
    if isinstance(step, str) and fields and not issubclass(kind, (Mapping, tuple)):
        name = schema.field_names(kind).get(step) if issubclass(kind, BaseModel) else step
        if name in fields and len(attributes) < _MOST_CLASSES:
            attributes[kind] = name


_MOST_CLASSES: Final = 16
