"""What one declared type is, without looking inside; and JSON Schema as such a type.

    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}

becomes a `TypedDict` with one required key. Read liberally: what the schema says in a way that has
no counterpart here (`not`, `if`, patterns of property names) says nothing, and a schema that refers
to itself, or has no end, says nothing at that point. Objects keep keys that are not declared.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    ForwardRef,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    cast,
)

import typing_extensions
from langchain_core.messages import AnyMessage, BaseMessage
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from acp_langgraph.json_schema.reading import target

Step = str | int

P = ParamSpec("P")
T = TypeVar("T")

WRAPPERS: Final = (
    typing.Required,
    typing.NotRequired,
    typing_extensions.ReadOnly,
    typing.Final,
    ClassVar,
)


def remembered(function: Callable[P, T]) -> Callable[P, T]:
    """Remember what a function says about a declared type, its first argument.

    Types are told apart by identity: that is quicker than hashing a union, and works for constraints
    that cannot be hashed.
    """
    answers: dict[tuple[Any, ...], tuple[Any, T]] = {}

    def ask(declared: Any, *more: Any) -> T:
        key = (id(declared), *more)
        known = answers.get(key)
        if known is not None and known[0] is declared:
            return known[1]
        answer = cast("Any", function)(declared, *more)
        if len(answers) >= _MOST_ANSWERS:
            answers.clear()
        answers[key] = (declared, answer)
        return cast("T", answer)

    return cast("Callable[P, T]", wraps(function)(ask))


_MOST_ANSWERS: Final = 10_000


def strip(declared: Any) -> Any:
    """The type without `Annotated`, `Required`, `NotRequired`, `ReadOnly`, aliases and new types."""
    while True:
        origin = typing.get_origin(declared)
        if origin is Annotated:
            declared = declared.__origin__
        elif origin in WRAPPERS:
            (declared,) = typing.get_args(declared)
        elif isinstance(declared, typing.NewType):
            declared = declared.__supertype__
        elif isinstance(declared, typing_extensions.TypeAliasType):
            declared = declared.__value__
        else:
            return declared


@remembered
def attached(declared: Any) -> tuple[Any, ...]:
    """What is attached to a type by `Annotated`, through every wrapper (a reducer, constraints)."""
    found: list[Any] = []
    while True:
        origin = typing.get_origin(declared)
        if origin is Annotated:
            found.extend(declared.__metadata__)
            declared = declared.__origin__
        elif origin in WRAPPERS:
            (declared,) = typing.get_args(declared)
        else:
            return tuple(found)


@remembered
def alternatives(declared: Any) -> tuple[Any, ...]:
    """The members of a union, stripped; `NoneType` among them; a message stands for every message."""
    bare = strip(declared)
    if typing.get_origin(bare) in (Union, types.UnionType):
        return tuple(kind for part in typing.get_args(bare) for kind in alternatives(part))
    if bare is BaseMessage:
        return (*alternatives(AnyMessage), MESSAGE_BASE)
    return (type(None),) if bare is None else (bare,)


class _MessageBase(BaseModel):
    """Stands for `BaseMessage` itself in `alternatives`, so that these end."""


MESSAGE_BASE: Final = _MessageBase


def is_unknown(bare: Any) -> bool:
    """Whether a stripped type says nothing."""
    return bare in (Any, object) or isinstance(bare, (TypeVar, ForwardRef, str))


@remembered
def origin_of(declared: Any) -> Any:
    """The class behind a stripped type, without its arguments."""
    bare = strip(declared)
    return typing.get_origin(bare) or bare


@remembered
def is_typed_dict(declared: Any) -> bool:
    """Whether the type is a TypedDict."""
    return typing_extensions.is_typeddict(origin_of(declared))


@remembered
def is_list(bare: Any) -> bool:
    """Whether a stripped type is a list, or another sequence that is no text."""
    origin = origin_of(bare)
    return (
        isinstance(origin, type)
        and issubclass(origin, Sequence)
        and not issubclass(origin, (str, bytes, bytearray))
    )


@remembered
def has_integer_keys(declared: Any) -> bool:
    """Whether a mapping's keys are declared as numbers."""
    for bare in alternatives(declared):
        if isinstance(origin_of(bare), type) and issubclass(origin_of(bare), Mapping):
            arguments = typing.get_args(bare)
            if arguments and strip(arguments[0]) is int:
                return True
    return False


def type_name(declared: Any) -> str:
    """The type as a person would write it."""
    if declared == AnyMessage:
        return "AnyMessage"
    parts = alternatives(declared) if strip(declared) is not BaseMessage else (BaseMessage,)
    if len(parts) > 1:
        return " | ".join(dict.fromkeys(type_name(part) for part in parts))
    bare = parts[0]
    if bare is type(None):
        return "None"
    arguments = typing.get_args(bare)
    origin = typing.get_origin(bare)
    if origin is typing.Literal:
        return " | ".join(map(repr, arguments))
    if origin is not None and arguments:
        inner = ", ".join("..." if each is Ellipsis else type_name(each) for each in arguments)
        return f"{type_name(origin)}[{inner}]"
    return getattr(bare, "__name__", None) or str(bare)


_SIMPLE: Final[dict[str, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": type(None),
}

_CONSTRAINTS: Final = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}

_MOST_SCHEMAS: Final = 2_000
_DEEPEST: Final = 50

_TEXT_OR_LIST: Final = frozenset({"minLength", "maxLength", "minItems", "maxItems"})


def type_from_json_schema(schema: Mapping[str, Any] | bool, name: str = "Object") -> Any:
    """The type that a JSON Schema describes.

    Args:
        schema: The schema; local `$ref`s are followed.
        name: How an object without a title is called in messages.
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _Reader(root).read(schema, name, ())


class _Reader:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._count = 0
        self._depth = 0

    def read(self, schema: Any, name: str, inside: tuple[str, ...]) -> Any:
        """The type of a schema that stands somewhere in the whole."""
        self._count += 1
        if self._count > _MOST_SCHEMAS or self._depth > _DEEPEST:
            return Any
        self._depth += 1
        try:
            return self._read(schema, name, inside)
        finally:
            self._depth -= 1

    def _read(self, schema: Any, name: str, inside: tuple[str, ...]) -> Any:
        match schema:
            case {"$ref": str(reference)}:
                known = reference in inside
                last = reference.rsplit("/", 1)[-1]
                below = True if known else target(self._root, reference, True)
                found = self.read(below, last, (*inside, reference))
            case {"const": value}:
                found = _literal([value])
            case {"enum": [*choices]} if choices:
                found = _literal(choices)
            case {"anyOf": [*parts]} | {"oneOf": [*parts]} if parts:
                found = _union(self.read(part, name, inside) for part in parts)
            case {"allOf": [*parts]} if parts:
                found = self.read(self._merged(schema, parts), name, inside)
            case Mapping():
                found = self._typed(schema, name, inside)
            case _:
                found = Any
        return found

    def _typed(self, schema: Mapping[str, Any], name: str, inside: tuple[str, ...]) -> Any:
        kind = schema.get("type") or ("object" if "properties" in schema else None)
        if isinstance(kind, list):
            return _union(self.read({**schema, "type": each}, name, inside) for each in kind)
        if kind == "object":
            found = self._object(schema, name, inside)
        elif kind == "array":
            found = list[self.read(schema.get("items"), name, inside)]  # type: ignore[misc]  # made at run time
        else:
            found = _SIMPLE.get(kind, Any) if isinstance(kind, str) else Any
            if found is str and (
                schema.get("format") == "password" or schema.get("writeOnly") is True
            ):
                found = SecretStr  # what pydantic writes of one
        if schema.get("nullable") is True:
            found = _union((found, type(None)))
        return _constrained(found, schema, kind)

    def _object(self, schema: Mapping[str, Any], name: str, inside: tuple[str, ...]) -> Any:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or not properties:
            values = schema.get("additionalProperties")
            return dict[str, self.read(values, name, inside)] if values else dict[str, Any]  # type: ignore[misc]  # made at run time
        required = schema.get("required")
        names = required if isinstance(required, list) else ()
        needed = {each for each in names if isinstance(each, str)}
        body = {}
        for key, below in properties.items():
            kind = self.read(below, key, inside)
            body[key] = kind if key in needed else typing_extensions.NotRequired[kind]
        title = schema.get("title")
        make: Any = typing_extensions.TypedDict  # the type checker wants literals
        made = make(title if isinstance(title, str) else name, body)
        made.__pydantic_config__ = ConfigDict(extra="allow")
        return made

    def _merged(self, schema: Mapping[str, Any], parts: list[Any]) -> dict[str, Any]:
        """One object schema from several that all hold; other keywords by the last that has them."""
        whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for each in parts:
            part = each
            for _ in range(8):  # a chain of references that is longer than that goes in circles
                if not (isinstance(part, Mapping) and isinstance(part.get("$ref"), str)):
                    break
                part = target(self._root, part["$ref"], True)
            if not isinstance(part, Mapping):
                continue
            properties = {**whole.get("properties", {}), **part.get("properties", {})}
            required = [*whole.get("required", []), *part.get("required", [])]
            whole = {**whole, **part, "properties": properties, "required": required}
            whole = {key: value for key, value in whole.items() if value or key == "const"}
        return whole


def _literal(choices: list[Any]) -> Any:
    if all(isinstance(each, (str, int, bool, type(None))) for each in choices):
        return Literal[tuple(choices)]
    return Any


def _union(parts: Any) -> Any:
    kinds = list(parts)
    return Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007 - made at run time


def _constrained(found: Any, schema: Mapping[str, Any], kind: Any) -> Any:
    limits: dict[str, Any] = {}
    for keyword, argument in _CONSTRAINTS.items():
        value = schema.get(keyword)
        fits = kind in ("string", "array") if keyword in _TEXT_OR_LIST else kind in _NUMBERS
        if fits and isinstance(value, (int, float)) and not isinstance(value, bool):
            limits[argument] = value
    description = schema.get("description")
    if isinstance(description, str):
        limits["description"] = description
    return Annotated[found, Field(**limits)] if limits else found


_NUMBERS: Final = ("integer", "number")
