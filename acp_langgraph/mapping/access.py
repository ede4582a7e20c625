"""Reading inside a state, and writing inside it without ever changing it.

Four kinds of containers are understood: mappings (dict, TypedDict), pydantic models (messages among
them), dataclasses, and lists or tuples. Of an object only declared fields are touched: never a
method, a property, or anything private.

A write is a tree of changes, `{step: tree}` with a `Leaf` at the end of each branch. `written` walks
it once, copies what is on the way, keeps every sibling, makes the parents that are missing as the
declared types say, and validates each new value into its declared type. Several changes below one
parent are one tree, so that the parent is made, and checked, with all of them.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError

from acp_langgraph.errors import NodeConfigurationError, NodeOutputError
from acp_langgraph.mapping import schema, typeinfo, validation
from acp_langgraph.mapping.schema import NoMemberError
from acp_langgraph.mapping.typeinfo import Step


class _Missing:
    """The type of `MISSING`: nothing there, as opposed to `None`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


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


def path_text(steps: Iterable[Step]) -> str:
    """The steps as a path in its canonical form, which `StatePath.parse` reads back."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            part = str(step) if step >= 0 else f"[{step}]"
        elif is_bare(step):
            part = step
        else:
            escaped = step.replace("\\", "\\\\").replace('"', '\\"')
            part = f'["{escaped}"]'
        text += part if not text or part[0] == "[" else f".{part}"
    return text


def is_bare(name: str) -> bool:
    """Whether a name can stand in a path without quotes."""
    digits = name.removeprefix("-")
    return (
        bool(name)
        and not any(mark in name for mark in ".[]\"'{}\\")
        and name == name.strip()
        and not (digits.isascii() and digits.isdigit())
    )


def near(name: Step, names: Iterable[str]) -> str:
    """A clause that names what was probably meant, or what there is; empty if nothing is."""
    known = list(names)
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    listed = ", ".join(sorted(known)[:8]) + (", ..." if len(known) > 8 else "")  # noqa: PLR2004 - as many as one reads
    return f"; there are: {listed}" if known else ""


def member(container: Any, step: Step, names: Sequence[str] = ()) -> Any:
    """What is one step inside a container, or `MISSING`.

    Args:
        container: Anything.
        step: A name, or a position.
        names: Other names of the same field, tried in a mapping (aliases).
    """
    if isinstance(container, Mapping):
        if step in container:
            return container[step]
        found = (container[name] for name in (str(step), *names) if name in container)
        return next(found, MISSING)
    if isinstance(container, (list, tuple)):
        if isinstance(step, int):
            return container[step] if -len(container) <= step < len(container) else MISSING
        return getattr(container, step) if step in getattr(container, "_fields", ()) else MISSING
    return _attribute(container, str(step))


def _attribute(container: Any, name: str) -> Any:
    if isinstance(container, BaseModel):
        fields = schema.field_names(type(container))
        if name in fields:
            return getattr(container, fields[name], MISSING)
        if name in type(container).model_computed_fields:
            return getattr(container, name)
        return (container.__pydantic_extra__ or {}).get(name, MISSING)
    if dataclasses.is_dataclass(container):
        known = name in container.__dataclass_fields__
        return getattr(container, name, MISSING) if known else MISSING
    found = getattr(container, "__dict__", {}).get(name, MISSING)
    return MISSING if name.startswith("_") or callable(found) else found


def member_names(container: Any) -> list[str]:
    """The names that `member` would find."""
    if isinstance(container, Mapping):
        return [name for name in container if isinstance(name, str)]
    if isinstance(container, BaseModel):
        extra = container.__pydantic_extra__ or {}
        return [*type(container).model_fields, *extra]
    if dataclasses.is_dataclass(container):
        return list(container.__dataclass_fields__)
    if isinstance(container, tuple):
        return list(getattr(container, "_fields", ()))
    found = getattr(container, "__dict__", {})
    return [name for name in found if not name.startswith("_") and not callable(found[name])]


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
    if isinstance(container, BaseModel):
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
    """The refusal of a whole object; of the value in it that is to blame if it is one."""
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        blamed = {fault["loc"][0] for fault in faults if fault["loc"]}
        steps = [step for step in tree if blamed == {schema.names_of(kind, step)[0]}]
        if len(steps) == 1 and all(fault["loc"] for fault in faults):
            inside = schema.member_type(kind, steps[0])
            return refused((*at, steps[0]), inside, error, skip=1)
    return refused(at, kind, error)


def refused(
    at: tuple[Step, ...], declared: Any, error: Exception, skip: int = 0
) -> StateWriteError:
    """The error for what a validator raised.

    Args:
        at: Where the value should have gone.
        declared: The declared type there.
        error: What was raised.
        skip: How many steps of the place that the error names are in `at` already.
    """
    return StateWriteError(
        path_text(at),
        typeinfo.type_name(declared),
        validation.reason(error, skip=skip),
        validation.reason(error, open=True, skip=skip),
    )


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
    for step, below in tree.items():
        kind = _below(declared, step, at)
        key = _key(container, declared, step)
        changed[key] = written(container.get(key, MISSING), kind, below, (*at, step))
    if schema.has_models(declared):
        # The channel is declared as a model and holds its JSON: from now on it holds the model.
        return _validated(declared, changed, at)
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
    for step, below in tree.items():
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


def _in_model(container: BaseModel, tree: dict[Step, Tree], at: tuple[Step, ...]) -> BaseModel:
    kind = type(container)
    names = schema.field_names(kind)
    values: dict[str, Any] = {}
    for step, below in tree.items():
        declared = _below(kind, step, at)
        name = names.get(str(step), str(step))
        here = member(container, name)
        if isinstance(below, Leaf):
            # The model itself validates it, with its own field validators.
            values[name] = below.value
        else:
            values[name] = written(here, declared, below, (*at, step))
    try:
        return _assigned(container, values)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise _refused_inside(at, kind, error, tree) from None


def _assigned(model: BaseModel, values: dict[str, Any]) -> BaseModel:
    """A copy of the model with some fields set, validated by the model's own rules."""
    kind = type(model)
    if kind.model_config.get("frozen") or any(
        kind.model_fields[name].frozen for name in values if name in kind.model_fields
    ):
        return _rebuilt(model, values)
    changed = model.model_copy()
    assign = kind.__pydantic_validator__.validate_assignment
    if len(values) > 1 and kind.__pydantic_decorators__.model_validators:
        # A rule over several fields must see all of them new, whichever is assigned first.
        for name, value in values.items():
            declared = schema.member_type(kind, name)
            changed.__dict__[name] = validation.validate(declared, value)
    for name, value in values.items():
        assign(changed, name, value)
    return changed


def _rebuilt(model: BaseModel, values: dict[str, Any]) -> BaseModel:
    """The same for a frozen model, which takes no assignment: it is made anew."""
    kept = {name: value for name, value in model if name not in values}
    changed = type(model).model_validate({**kept, **values}, by_alias=True, by_name=True)
    changed.__pydantic_fields_set__.clear()
    changed.__pydantic_fields_set__.update(model.model_fields_set, values)
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
    values = {
        step: written(MISSING, _below(bare, step, at), below, (*at, step))
        for step, below in tree.items()
    }
    if typeinfo.is_typed_dict(bare):
        # At run time a TypedDict may lack any key, as the states of LangGraph themselves do.
        return {str(step): value for step, value in values.items()}
    if schema.fields_of(bare) is not None:
        return _validated(bare, {str(step): value for step, value in values.items()}, at)
    if typeinfo.is_list(bare) or (
        typeinfo.is_unknown(bare) and all(isinstance(step, int) for step in values)
    ):
        items = _items((), bare, tree, at)
        return _validated(bare, items, at) if typeinfo.is_list(bare) else items
    integers = typeinfo.has_integer_keys(bare)
    return {step if integers else str(step): value for step, value in values.items()}


def _created_object(kind: Any, tree: dict[Step, Tree], at: tuple[Step, ...]) -> Any:
    """A model or a dataclass, which validates all its fields itself."""
    try:
        values = {
            str(step): below.value
            if isinstance(below, Leaf)
            else written(MISSING, schema.member_type(kind, step), below, (*at, step))
            for step, below in tree.items()
        }
        return validation.validate(kind, values, plain=False)
    except (ValidationError, NoMemberError):
        # Once more field by field: to convert what needs it, or to blame the one that is wrong.
        each = {
            str(step): written(MISSING, _below(kind, step, at), below, (*at, step))
            for step, below in tree.items()
        }
        return _validated(kind, each, at)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise error if isinstance(error, StateWriteError) else refused(at, kind, error) from None


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
    return [part for part in parts if all(_has(part, step) for step in steps)]


def _has(bare: Any, step: Step) -> bool:
    try:
        schema.member_type(bare, step)
    except NoMemberError:
        return False
    return True
