"""Writing inside a state without ever changing it.

A write is a tree of changes, `{step: tree}` with a `Leaf` at the end of each branch. `written` walks
it once, copies what is on the way, keeps every sibling as it is, makes the parents that are missing
as the declared types say, and has each new value validated. Several changes below one parent are one
tree, so that the parent is made, and checked, with all of them.

What is written into an object is judged by the object's own rules, as when it is made: whatever its
type takes is taken, the first time and every time after.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic.dataclasses import is_pydantic_dataclass

from acp_langgraph.errors import NodeConfigurationError, NodeOutputError
from acp_langgraph.mapping import schema, typeinfo, validation
from acp_langgraph.mapping.access import MISSING, member, near, path_text
from acp_langgraph.mapping.schema import NoMemberError
from acp_langgraph.mapping.typeinfo import Step


class Leaf:
    """The end of a branch of changes: the value to put there.

    One is made for every value of every run, so it is as light as can be.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Tree: TypeAlias = "Leaf | dict[Step, Tree]"


class StateWriteError(NodeOutputError, ValueError):
    """A value cannot be written where it should go; the state is unchanged.

    Attributes:
        path: Where it should have gone.
        expected: The declared type there.
        reason: Why not, without the value.
        detail: Why not, in the words of the validators, which may quote the value.
    """

    def __init__(self, path: str, expected: str, reason: str, detail: str = "") -> None:
        super().__init__(f"cannot write {path or 'the state'}, which is {expected}: {reason}")
        self.path = path
        self.expected = expected
        self.reason = reason
        self.detail = detail or reason


def written(container: Any, declared: Any, tree: Tree, at: tuple[Step, ...] = ()) -> Any:
    """The container with the changes in it; the container itself stays as it is.

    Args:
        container: What is there now; `None` or `MISSING` if nothing is.
        declared: Its declared type.
        tree: The changes below it.
        at: Where in the state it is, for messages.

    Raises:
        StateWriteError: If a value does not fit, or there is no place for it.
        NodeConfigurationError: If a declared type has no such member.
    """
    if isinstance(tree, Leaf):
        return _validated(declared, tree.value, at)
    if container is None or container is MISSING:
        return _created(declared, tree, at)
    if isinstance(container, BaseModel) or is_pydantic_dataclass(type(container)):
        return _in_model(container, tree, at)
    if dataclasses.is_dataclass(container) and not isinstance(container, type):
        return _in_dataclass(container, tree, at)
    if isinstance(container, Mapping):
        return _in_mapping(container, declared, tree, at)
    if isinstance(container, (list, tuple)):
        return _in_list(container, declared, tree, at)
    raise StateWriteError(
        path_text((*at, next(iter(tree)))),
        f"inside {type(container).__name__}",
        "nothing can be written into a value of that type",
    )


def _validated(declared: Any, value: Any, at: tuple[Step, ...]) -> Any:
    try:
        return validation.checker(declared)(value)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise refused(at, declared, error) from None


def _refused_inside(
    at: tuple[Step, ...], kind: Any, error: Exception, tree: dict[Step, Tree]
) -> StateWriteError:
    """The refusal of a value inside an object, the first that is to blame, or of the whole object."""
    if isinstance(error, ValidationError):
        names = {step: schema.names_of(kind, step) for step in tree}
        for fault in _faults(error):
            for step, known in names.items():
                if fault["loc"] and fault["loc"][0] in known:
                    inside = schema.member_type(kind, step)
                    return refused((*at, step), inside, error, known)
    return refused(at, kind, error)


def refused(
    at: tuple[Step, ...], declared: Any, error: Exception, only: Sequence[str] = ()
) -> StateWriteError:
    """The error for what a validator raised.

    Args:
        at: Where the value should have gone.
        declared: The declared type there.
        error: What was raised.
        only: The names of the field that it is for; nothing for all that was raised.
    """
    return StateWriteError(
        path_text(at),
        typeinfo.type_name(declared),
        validation.reason(error, only=only),
        validation.reason(error, open=True, only=only),
    )


@typeinfo.remembered
def _chats(declared: Any, *steps: Step) -> tuple[tuple[Step, str, Any], ...]:
    """The members among these that are messages, each with its name and type."""
    found = []
    for step in steps:
        kind = schema.member_type(declared, step) if schema.has_member(declared, step) else Any
        if typeinfo.is_message(kind) or typeinfo.is_chat(kind):
            found.append((step, schema.names_of(declared, step)[0], kind))
    return tuple(found)


def _spell_out(declared: Any, tree: dict[Step, Tree], values: dict[Any, Any]) -> None:
    """Make messages of those that are written in short, which models do not understand."""
    for step, name, kind in _chats(declared, *tree):
        if isinstance(tree[step], Leaf) and name in values:
            with suppress(ValidationError):
                values[name] = validation.checker(kind)(values[name])


def _below(declared: Any, step: Step, at: tuple[Step, ...]) -> Any:
    try:
        return schema.member_type(declared, step)
    except NoMemberError as missing:
        raise NodeConfigurationError(
            f"there is no place for {path_text((*at, step))}: {missing.reason}"
            f"{near(step, missing.names)}"
        ) from None


def _in_mapping(
    container: Mapping[Any, Any], declared: Any, tree: dict[Step, Tree], at: tuple[Step, ...]
) -> Any:
    changed: Any = copy.copy(container)
    # A channel that is declared as a model and holds its JSON holds the model from now on.
    model = schema.has_models(declared)
    for step, below in tree.items():
        kind = _below(declared, step, at)
        key = _key(container, declared, step)
        if model and isinstance(below, Leaf):
            changed[key] = below.value
        else:
            changed[key] = written(container.get(key, MISSING), kind, below, (*at, step))
    if model:
        _spell_out(declared, tree, changed)
        return _made(declared, changed, tree, at)
    return changed


def _key(container: Mapping[Any, Any], declared: Any, step: Step) -> Any:
    if step in container:
        return step
    for name in schema.names_of(declared, step):
        if name in container:
            return name
    return step if isinstance(step, str) or typeinfo.has_integer_keys(declared) else str(step)


def _in_list(
    container: Sequence[Any], declared: Any, tree: dict[Step, Tree], at: tuple[Step, ...]
) -> Any:
    if isinstance(container, tuple) and hasattr(container, "_fields"):
        positions = {
            container._fields.index(step) if step in container._fields else step: below
            for step, below in tree.items()
        }
        items = _items(container, declared, positions, at)
        return container._replace(**dict(zip(container._fields, items, strict=True)))  # type: ignore[attr-defined]  # a named tuple
    items = _items(container, declared, tree, at)
    return tuple(items) if isinstance(container, tuple) else items


def _items(
    container: Sequence[Any], declared: Any, tree: Mapping[Any, Tree], at: tuple[Step, ...]
) -> list[Any]:
    items = list(container)
    for step, below in sorted(tree.items(), key=lambda each: isinstance(each[0], int) and each[0]):
        where = (*at, step)
        kind = _below(declared, step, at)
        if not isinstance(step, int):
            raise StateWriteError(path_text(where), "in a list", "a list has positions, not names")
        if -len(items) <= step < len(items):
            items[step] = written(items[step], kind, below, where)
        elif step == len(items):
            items.append(written(MISSING, kind, below, where))
        else:
            raise StateWriteError(
                path_text(where),
                typeinfo.type_name(kind),
                f"the list has {len(items)} items, and one can at most be added at its end",
            )
    return items


def _in_model(container: Any, tree: dict[Step, Tree], at: tuple[Step, ...]) -> Any:
    """The same pydantic model or dataclass with some fields set, which it judges itself."""
    kind = type(container)
    names = schema.field_names(kind)
    values: dict[str, Any] = {}
    for step, below in tree.items():
        declared = _below(kind, step, at)
        name = names.get(str(step), str(step))
        if isinstance(below, Leaf):
            values[name] = below.value
        else:
            values[name] = written(member(container, name), declared, below, (*at, step))
    if _chats(kind, *tree):
        _spell_out(kind, tree, values)
    try:
        return _assigned(container, values)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise _refused_inside(at, kind, error, tree) from None


def _assigned(model: Any, values: dict[str, Any]) -> Any:
    kind = type(model)
    changed = copy.copy(model)
    if len(values) > 1 and kind.__pydantic_decorators__.model_validators:
        # A rule over several fields must see all of them new, whichever is assigned first.
        for name, value in values.items():
            with suppress(ValidationError):
                fitting = validation.validate(schema.member_type(kind, name), value)
                changed.__dict__[name] = fitting
    try:
        for name, value in values.items():
            validation.fitted(partial(validation.assign, changed, name), value)
    except ValidationError:
        raise
    except Exception:  # noqa: BLE001 - a rule over the whole object that knows no objects, but dicts
        return _remade(model, values)
    return changed


def _remade(model: Any, values: dict[str, Any]) -> Any:
    """The same where nothing can be assigned: all of it is made anew."""
    kind = type(model)
    if not isinstance(model, BaseModel):
        return dataclasses.replace(model, **values)
    kept = {name: value for name, value in model if name not in values}
    made = validation.fitted(
        lambda given: validation.validate(kind, {**kept, **given}, plain=False), values
    )
    changed = model.model_copy()
    changed.__dict__.update(made.__dict__)
    changed.__pydantic_fields_set__.update(values)
    return changed


def _in_dataclass(container: Any, tree: dict[Step, Tree], at: tuple[Step, ...]) -> Any:
    kind = type(container)
    values = {
        str(step): written(member(container, step), _below(kind, step, at), below, (*at, step))
        for step, below in tree.items()
    }
    try:
        return dataclasses.replace(container, **values)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise refused(at, kind, error) from None


def _created(declared: Any, tree: dict[Step, Tree], at: tuple[Step, ...]) -> Any:
    """A value of the declared type that holds nothing but the changes."""
    bare = _fitting(declared, tree, at)
    if schema.has_models(bare):
        return _created_object(bare, tree, at)
    named = schema.fields_of(bare) is not None
    if (typeinfo.is_list(bare) and not named) or (
        typeinfo.is_unknown(bare) and all(isinstance(step, int) for step in tree)
    ):
        items = _items((), bare, tree, at)
        plain = typeinfo.is_unknown(bare) or typeinfo.origin_of(bare) is list
        return items if plain else _validated(bare, items, at)
    values = {
        step: written(MISSING, _below(bare, step, at), below, (*at, step))
        for step, below in tree.items()
    }
    if typeinfo.is_typed_dict(bare):
        # At run time a TypedDict may lack any key, as the states of LangGraph themselves do.
        return {str(step): value for step, value in values.items()}
    if named:
        return _validated(bare, {str(step): value for step, value in values.items()}, at)
    integers = typeinfo.has_integer_keys(bare)
    return {step if integers else str(step): value for step, value in values.items()}


def _created_object(kind: Any, tree: dict[Step, Tree], at: tuple[Step, ...]) -> Any:
    """A model or a dataclass, which validates all its fields itself."""
    values = {
        str(step): below.value
        if isinstance(below, Leaf)
        else written(MISSING, _below(kind, step, at), below, (*at, step))
        for step, below in tree.items()
    }
    if _chats(kind, *tree):
        _spell_out(kind, tree, values)
    return _made(kind, values, tree, at)


def _made(
    kind: Any, values: Mapping[Any, Any], tree: dict[Step, Tree], at: tuple[Step, ...]
) -> Any:
    try:
        try:
            return validation.validate(kind, values, plain=False)
        except ValidationError as error:
            # Of what was refused the JSON may do; the rest, which may be large, stays what it is.
            blamed = {each["loc"][0] for each in _faults(error) if each["loc"]}
            plain = {
                name: validation.as_json(value)
                if not blamed or blamed & {*schema.names_of(kind, name)}
                else value
                for name, value in values.items()
            }
            return validation.validate(kind, plain, plain=False)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise _refused_inside(at, kind, error, tree) from None


def _faults(error: ValidationError) -> list[Any]:
    return error.errors(include_url=False, include_input=False, include_context=False)


def _fitting(declared: Any, tree: dict[Step, Tree], at: tuple[Step, ...]) -> Any:
    """The one alternative of a union in which every step has its place."""
    fitting = _alternatives_with(declared, *tree)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        named = " or ".join(map(typeinfo.type_name, fitting))
        raise StateWriteError(
            path_text(at),
            typeinfo.type_name(declared),
            f"nothing is there yet, and it could be {named}; write a whole value first",
        )
    for step in tree:
        _below(declared, step, at)
    return declared


@typeinfo.remembered
def _alternatives_with(declared: Any, *steps: Step) -> list[Any]:
    parts = [part for part in typeinfo.alternatives(declared) if part is not type(None)]
    return [part for part in parts if all(schema.has_member(part, step) for step in steps)]
