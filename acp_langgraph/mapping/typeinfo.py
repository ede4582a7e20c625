"""What one declared type is, without looking inside."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, ClassVar, Final, ForwardRef, ParamSpec, TypeVar, Union, cast

import typing_extensions
from langchain_core.messages import AnyMessage, BaseMessage
from pydantic import BaseModel

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


_ALIASES: Final = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),  # of `type X = ...`
)


def is_alias(declared: Any) -> bool:
    """Whether it is an alias, as `type X = ...` makes one, with type arguments or without."""
    return isinstance(typing.get_origin(declared) or declared, _ALIASES)


def value_of_alias(declared: Any) -> Any:
    """What an alias stands for, one step."""
    origin = typing.get_origin(declared)
    if origin is None:
        return declared.__value__
    value, arguments = origin.__value__, typing.get_args(declared)
    return value[arguments] if getattr(value, "__parameters__", ()) else value


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
        elif is_alias(declared):
            declared = value_of_alias(declared)
        else:
            return declared


@remembered
def attached(declared: Any, aliases: bool = True) -> tuple[Any, ...]:
    """What is attached to a type by `Annotated`, through every wrapper (a reducer, constraints).

    Args:
        declared: The type.
        aliases: Whether to look into aliases, as pydantic does, and LangGraph does not.
    """
    found: list[Any] = []
    while True:
        if aliases and is_alias(declared):
            declared = value_of_alias(declared)
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
def is_message(declared: Any) -> bool:
    """Whether the type is a message of LangChain's, of whichever class."""
    kinds = [origin_of(kind) for kind in alternatives(declared) if kind is not type(None)]
    return bool(kinds) and all(
        isinstance(kind, type) and issubclass(kind, (BaseMessage, MESSAGE_BASE)) for kind in kinds
    )


@remembered
def is_chat(declared: Any) -> bool:
    """Whether the type is a list of messages."""
    kinds = [kind for kind in alternatives(declared) if kind is not type(None)]
    return bool(kinds) and all(
        is_list(kind) and (items := typing.get_args(kind)) and is_message(items[0])
        for kind in kinds
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
