"""What declared types say about a state: which members there are, and of which types.

A graph's state is declared as a TypedDict, a pydantic model or a dataclass, nested in any way.
`member_type(declared, step)` is the declared type one step further down, or says why there is none.

Where a declaration does not say (`Any`, a bare `dict`, a model that allows extra fields), the type
is `Any`: what cannot be known is never refused. Answers are cached per type, so asking at run time
costs a dictionary look-up.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, NamedTuple, TypeVar, Union

import typing_extensions
from langchain_core.messages import BaseMessage
from pydantic import AliasChoices, AliasPath, BaseModel, Field

from acp_langgraph.core.wire import SECRETS
from acp_langgraph.mapping.typeinfo import (
    MESSAGE_BASE,
    WRAPPERS,
    Step,
    alternatives,
    attached,
    is_list,
    is_unknown,
    origin_of,
    remembered,
    strip,
    type_name,
)


class Member(NamedTuple):
    """One field of a declared type.

    Attributes:
        type: The declared type, with its constraints as `Annotated`.
        required: Whether a value cannot be made without it.
        names: The field's own name first, then its aliases.
    """

    type: Any
    required: bool
    names: tuple[str, ...]


class NoMemberError(LookupError):
    """A declared type has no such member.

    Attributes:
        reason: What the type is instead, a clause.
        names: The members that there are.
    """

    def __init__(self, reason: str, names: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.names = tuple(names)


def declares_secret(declared: Any, steps: Iterable[Any] = ()) -> bool:
    """Whether a type, or what is so many steps inside it, is declared a secret."""
    for step in steps:
        try:
            declared = member_type(declared, step)
        except NoMemberError:
            return False
    return any(_is_secret(kind) for kind in alternatives(declared))


def _is_secret(bare: Any) -> bool:
    origin = origin_of(bare)
    return isinstance(origin, type) and issubclass(origin, SECRETS)


@remembered
def _fields_of(bare: Any) -> dict[str, Member] | None:
    origin = typing.get_origin(bare) or bare
    if not isinstance(origin, type):
        return None
    if issubclass(origin, BaseModel):
        return {
            name: _model_member(name, info, _takes_more(origin, name))
            for name, info in origin.model_fields.items()
        }
    if dataclasses.is_dataclass(origin):
        hints = _hints(bare)
        return {
            each.name: Member(
                _marked(hints.get(each.name, Any), _takes_more(origin, each.name)),
                each.init
                and each.default is dataclasses.MISSING
                and each.default_factory is dataclasses.MISSING,
                (each.name,),
            )
            for each in dataclasses.fields(origin)
        }
    if typing_extensions.is_typeddict(origin):
        required = _required_keys(origin)
        return {
            name: Member(_unmarked(hint), name in required, (name,))
            for name, hint in _hints(bare).items()
        }
    if issubclass(origin, tuple) and hasattr(origin, "_fields"):
        hints = _hints(bare)
        return {name: Member(hints.get(name, Any), True, (name,)) for name in origin._fields}
    return None


@remembered
def fields_of(declared: Any) -> dict[str, Member] | None:
    """The fields of a model, dataclass, TypedDict or named tuple, by name; else `None`."""
    return _fields_of(strip(declared))


def _unmarked(hint: Any) -> Any:
    """The hint without `Required` and the like; what `Annotated` attaches stays."""
    if typing.get_origin(hint) is Annotated:
        inner = _unmarked(hint.__origin__)
        return Annotated[(inner, *hint.__metadata__)]
    return _unmarked(typing.get_args(hint)[0]) if typing.get_origin(hint) in WRAPPERS else hint


class _OwnRules:
    """The type of `OWN_RULES`: attached to a field's type, and of no meaning to anybody else."""


OWN_RULES: Final = _OwnRules()
"""Says of a field's type that its owner may take for it what the type itself does not."""


def _takes_more(owner: Any, name: str) -> bool:
    """Whether a model or dataclass makes something else of a value before a field's type sees it."""
    rules = getattr(owner, "__pydantic_decorators__", None)
    if rules is None:
        return False
    config = getattr(owner, "model_config", None) or getattr(owner, "__pydantic_config__", None)
    own = [each.info for each in (*rules.field_validators.values(), *rules.validators.values())]
    return bool((config or {}).get("coerce_numbers_to_str")) or any(
        each.mode != "after" and {name, "*"} & {*each.fields} for each in own
    )


def _marked(declared: Any, takes_more: bool) -> Any:
    return Annotated[declared, OWN_RULES] if takes_more else declared


def _model_member(name: str, info: Any, takes_more: bool) -> Member:
    aliases: list[str] = []
    for alias in (info.alias, info.validation_alias, info.serialization_alias):
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        for choice in choices:
            match choice.path if isinstance(choice, AliasPath) else [choice]:
                case [str(only)] if only != name and only not in aliases:
                    aliases.append(only)
    # In front, for what is last is the reducer of a channel.
    extra = [OWN_RULES, *info.metadata] if takes_more else list(info.metadata)
    if info.discriminator is not None:
        extra.append(Field(discriminator=info.discriminator))
    declared = Annotated[(info.annotation, *extra)] if extra else info.annotation
    return Member(declared, info.is_required(), (name, *aliases))


def _hints(bare: Any) -> dict[str, Any]:
    """Annotations by name, type parameters filled in; a name that does not resolve says nothing."""
    origin = typing.get_origin(bare) or bare
    try:
        hints = typing_extensions.get_type_hints(origin, include_extras=True)
    except (NameError, TypeError, AttributeError):
        hints = _resolvable_hints(origin)
    arguments = dict(
        zip(getattr(origin, "__parameters__", ()), typing.get_args(bare), strict=False)
    )
    if not arguments:
        return hints
    return {name: _substitute(hint, arguments) for name, hint in hints.items()}


def _resolvable_hints(kind: Any) -> dict[str, Any]:
    """Annotations of which some name something that cannot be found: these say nothing."""
    hints: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        for name, hint in _annotations(base).items():
            lone = type("_Lone", (), {"__annotations__": {name: hint}})
            lone.__module__ = base.__module__
            try:
                hints |= typing_extensions.get_type_hints(lone, include_extras=True)
            except (NameError, TypeError, AttributeError):
                hints[name] = Any
    return hints


def _annotations(kind: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415 - new in 3.14, where a class evaluates its own late

        return annotationlib.get_annotations(kind, format=annotationlib.Format.FORWARDREF)
    return dict(vars(kind).get("__annotations__", {}))


def _substitute(hint: Any, arguments: Mapping[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters or isinstance(hint, type):
        return hint
    return hint[tuple(arguments.get(each, Any) for each in parameters)]


def _required_keys(kind: Any) -> frozenset[str]:
    """The keys that must be there. Postponed annotations hide `NotRequired` from the class itself."""
    required = set(kind.__required_keys__)
    for name, hint in _hints(kind).items():
        while typing.get_origin(hint) in (Annotated, typing_extensions.ReadOnly):
            hint = typing.get_args(hint)[0]  # noqa: PLW2901 - peeled until the marker is outermost
        if typing.get_origin(hint) is typing.NotRequired:
            required.discard(name)
        elif typing.get_origin(hint) is typing.Required:
            required.add(name)
    return frozenset(required)


@remembered
def field_names(kind: type[BaseModel]) -> dict[str, str]:
    """Every name by which a model's fields are known, with the field's own name."""
    fields = _fields_of(kind) or {}
    aliases = {alias: name for name, member in fields.items() for alias in member.names}
    return {**aliases, **{name: name for name in fields}}


@remembered
def names_of(declared: Any, step: Step) -> tuple[str, ...]:
    """Every name of the field that a step means, its own first."""
    for bare in alternatives(declared):
        for member in (fields_of(bare) or {}).values():
            if str(step) in member.names:
                return member.names
    return (str(step),)


def description_of(declared: Any, steps: Sequence[Step]) -> str:
    """What the declaration says about a place, in words; empty if nothing."""
    for step in steps[:-1]:
        try:
            declared = member_type(declared, step)
        except NoMemberError:
            return ""
    for part in alternatives(declared):
        kind = origin_of(part)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            info = kind.model_fields.get(str(steps[-1]))
            return (info.description if info else None) or ""
        for member in (fields_of(part) or {}).values():
            if str(steps[-1]) in member.names:
                said = [getattr(each, "description", None) for each in attached(member.type)]
                return next((each for each in said if isinstance(each, str)), "")
    return ""


def fields_of_alternatives(declared: Any) -> set[str] | None:
    """The names of all fields of the records that a type may be; `None` if it is never one."""
    found = [fields for part in alternatives(declared) if (fields := fields_of(part)) is not None]
    if not found:
        return None
    return {name for fields in found for member in fields.values() for name in member.names}


def takes_mappings(declared: Any) -> bool:
    """Whether a dict may be a value of the type."""
    return any(
        is_unknown(part)
        or fields_of(part) is not None
        or (isinstance(origin_of(part), type) and issubclass(origin_of(part), Mapping))
        for part in alternatives(declared)
    )


@remembered
def has_models(declared: Any) -> bool:
    """Whether the type is a model or a dataclass (or `None`), and so never a plain dict."""
    parts = [part for part in alternatives(declared) if part is not type(None)]
    return bool(parts) and all(
        isinstance(origin_of(part), type)
        and (issubclass(origin_of(part), BaseModel) or dataclasses.is_dataclass(origin_of(part)))
        for part in parts
    )


@remembered
def member_type(declared: Any, step: Step) -> Any:
    """The declared type one step below `declared`; `Any` where nothing is declared.

    Raises:
        NoMemberError: If there certainly is no such member.
    """
    found: list[Any] = []
    refusals: list[NoMemberError] = []
    for bare in alternatives(declared):
        if bare is type(None) or bare is MESSAGE_BASE:
            continue
        try:
            found.append(_member_of(bare, step))
        except NoMemberError as refusal:
            refusals.append(refusal)
    if not found:
        names = dict.fromkeys(name for refusal in refusals for name in refusal.names)
        why = refusals[0].reason if refusals else "it is always None"
        raise NoMemberError(why, names)
    if any(is_unknown(strip(kind)) for kind in found):
        return Any
    distinct = [kind for at, kind in enumerate(found) if kind not in found[:at]]
    return distinct[0] if len(distinct) == 1 else Union[tuple(distinct)]  # noqa: UP007 - made at run time


def has_member(declared: Any, step: Step) -> bool:
    """Whether there may be such a member."""
    try:
        member_type(declared, step)
    except NoMemberError:
        return False
    return True


def _member_of(bare: Any, step: Step) -> Any:
    if is_unknown(bare) or not isinstance(origin_of(bare), type):
        return Any
    if is_list(bare):
        return _item_of(bare, step)
    if _fields_of(bare) is not None:
        return _field_of(bare, str(step))
    origin = origin_of(bare)
    if issubclass(origin, Mapping):
        arguments = typing.get_args(bare)
        return arguments[1] if len(arguments) == 2 else Any  # noqa: PLR2004 - key and value
    if issubclass(origin, _SCALARS) or origin.__module__ in _SCALAR_MODULES:
        raise NoMemberError(f"{type_name(bare)} has nothing inside")
    return Any


@remembered
def only_read(declared: Any, step: Step) -> bool:
    """Whether a member can be read and certainly never be written."""
    found = []
    for bare in alternatives(declared):
        origin, fields = origin_of(bare), _fields_of(bare)
        if fields is None or bare is MESSAGE_BASE:
            continue
        if dataclasses.is_dataclass(origin):
            found += [not each.init for each in dataclasses.fields(origin) if each.name == step]
        elif not any(step in member.names for member in fields.values()):
            computed = getattr(origin, "model_computed_fields", {})
            text = step == "text" and issubclass(origin, BaseMessage)
            found.append(step in computed or text)
        else:
            found.append(False)
    return bool(found) and all(found)


_SCALARS: Final = (str, bytes, bytearray, int, float, complex, AbstractSet)
_SCALAR_MODULES: Final = ("builtins", "datetime", "decimal", "uuid", "enum")


def _field_of(bare: Any, name: str) -> Any:
    fields = _fields_of(bare) or {}
    for member in fields.values():
        if name in member.names:
            return member.type
    origin = origin_of(bare)
    if issubclass(origin, BaseModel):
        if name in origin.model_computed_fields:
            return origin.model_computed_fields[name].return_type
        if name == "text" and issubclass(origin, BaseMessage):
            return str
        if origin.model_config.get("extra") == "allow" and not issubclass(origin, BaseMessage):
            return Any
    raise NoMemberError(f"{type_name(bare)} has no field {name!r}", fields)


def _item_of(bare: Any, step: Step) -> Any:
    arguments = typing.get_args(bare)
    fields = _fields_of(bare)
    name = type_name(bare)
    if fields is not None:
        if isinstance(step, str):
            return _field_of(bare, step)
        arguments = tuple(member.type for member in fields.values())
    if isinstance(step, str):
        raise NoMemberError(f"{name} has positions and no field {step!r}")
    if not arguments:
        return Any
    if not issubclass(origin_of(bare), tuple) or arguments[-1] is Ellipsis:
        return arguments[0]
    try:
        return arguments[step]
    except IndexError:
        raise NoMemberError(f"{name} has only {len(arguments)} positions") from None
