"""The channels of a graph: what of a change is returned, and channels that several nodes write.

What a node returns for a channel replaces the channel, or is handed to its reducer. So it matters
what the reducer makes of it:

* without one, the channel's new value, with every sibling of what changed;
* `merge` (see `acp_langgraph.mapping.merging`) gets only the changed fields, so that two nodes can
  write different fields in one step;
* a reducer of a list (`operator.add`, `add_messages`) may be given one item, which becomes a list
  of one. To change something inside such a list is refused where the list would be added again.

LangGraph lets one node per step write a channel, unless the channel has a reducer. Two mappings
that fill different fields of one object in parallel need one that puts the fields together:

    class State(TypedDict):
        box: Annotated[Box, merge]

A mapping that writes below such a channel hands over only the fields that it wrote. Your own nodes
do the same by returning part of the object: a dict, or a model with some of its fields set.

LangGraph finds it too, at run time, in the step after the work was done, and without saying which
nodes; `graphs` finds it before.
"""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import access, schema, typeinfo, validation
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.schema import NoMemberError
from acp_langgraph.mapping.typeinfo import Step, remembered
from acp_langgraph.mapping.writing import Leaf, StateWriteError, Tree, refused, written

ADDING: Final = (operator.add, operator.iadd, operator.concat, operator.iconcat)


@remembered
def reducer_of(declared: Any) -> Callable[[Any, Any], Any] | None:
    """The reducer of a channel, found where LangGraph finds it: last in `Annotated`."""
    attached = typeinfo.attached(declared, False)
    last = attached[-1] if attached else None
    return last if callable(last) and not isinstance(last, type) else None


def accepts(declared: Any) -> tuple[Any, ...]:
    """The types that may be written to a channel: its own, and an item of a list that is added to."""
    if reducer_of(declared) and typeinfo.is_list(typeinfo.strip(declared)):
        return (declared, schema.member_type(declared, 0))
    return (declared,)


def delta(state: Any, declared: Any, changes: Mapping[Step, Tree]) -> dict[str, Any]:
    """The changed top-level channels, each with all its changes.

    Args:
        state: The state before; it is not changed, and neither is anything in it.
        declared: Its declaration.
        changes: What changes, by channel.

    Raises:
        StateWriteError: If a value does not fit, or there is no place for it.
        NodeConfigurationError: If the schema has no such path.
    """
    changed = {}
    for step, tree in changes.items():
        channel = _channel(declared, step)
        if channel.is_plain and isinstance(tree, Leaf):
            changed[channel.name] = written(MISSING, channel.type, tree, (step,))
        else:
            changed[channel.name] = _changed(channel, state, access.member(state, step), tree)
    return changed


def plain_channel(declared: Any, step: Step) -> tuple[str, Callable[[Any], Any]] | None:
    """The name of a channel and what a value for it is validated by, if that is all there is to it."""
    channel = _channel(declared, step)
    return (channel.name, validation.checker(channel.type)) if channel.is_plain else None


class _Channel(NamedTuple):
    """What is known of a channel from its declaration.

    Attributes:
        name: Its name, also if the path had an alias.
        type: Its declared type.
        reducer: Its reducer.
        model: The pydantic state whose own rules for the field judge it, if there are any.
    """

    name: str
    type: Any
    reducer: Callable[[Any, Any], Any] | None
    model: type | None

    @property
    def at(self) -> tuple[Step, ...]:
        return (self.name,)

    @property
    def is_plain(self) -> bool:
        return self.reducer is None and self.model is None


@remembered
def _channel(declared: Any, step: Step) -> _Channel:
    try:
        kind = schema.member_type(declared, step)
    except NoMemberError as missing:
        raise NodeConfigurationError(
            f"the state has no channel {step!r}{access.near(step, missing.names)}"
        ) from None
    name = str(schema.names_of(declared, step)[0])
    # Of a graph with several schemas, the first that has the channel.
    parts = (part for part in typeinfo.alternatives(declared) if schema.has_member(part, step))
    owner = typeinfo.origin_of(next(parts, declared))
    return _Channel(name, kind, reducer_of(kind), owner if _judges(owner, name) else None)


def _judges(owner: Any, name: str) -> bool:
    """Whether a state has validators of its own for a field."""
    rules = getattr(owner, "__pydantic_decorators__", None)
    own = rules.field_validators.values() if rules else ()
    return any({name, "*"} & {*each.info.fields} for each in own)


def _changed(channel: _Channel, state: Any, before: Any, tree: Tree) -> Any:
    if channel.reducer is None:
        if channel.model is None:
            return written(before, channel.type, tree, channel.at)
        return _judged(channel, state, before, tree)
    if isinstance(tree, Leaf):
        item = Leaf(_as_list(channel.type, tree.value))
        return written(before, channel.type, item, channel.at)
    if channel.reducer is merge:
        return _partial(before, channel.type, tree, channel.at)
    if channel.reducer in ADDING:
        raise NodeConfigurationError(
            f"nothing inside channel {channel.name!r} can be changed: its reducer would add the "
            f"whole {typeinfo.type_name(channel.type)} once more. Write {channel.name!r} itself, "
            "with what is to be added"
        )
    return written(before, channel.type, tree, channel.at)


def _as_list(kind: Any, value: Any) -> Any:
    module = getattr(reducer_of(kind), "__module__", "")
    if typeinfo.is_chat(kind) or module == "langgraph.graph.message":
        return validation.as_messages(value)
    if typeinfo.is_list(typeinfo.strip(kind)) and not isinstance(value, (list, tuple, type(None))):
        return [value]
    return value


def _partial(before: Any, kind: Any, tree: Tree, at: tuple[Step, ...]) -> Any:
    """Only what changes, for `merge`; where nothing is yet, what is made."""
    if isinstance(tree, Leaf) or before is None or before is MISSING:
        return written(before, kind, tree, at)
    if isinstance(before, (list, tuple)):
        return written(before, kind, tree, at)
    whole = written(before, kind, tree, at)
    inside = type(before) if isinstance(before, BaseModel) else kind
    parts = {}
    for step, below in tree.items():
        here = access.member(before, step)
        deeper = isinstance(below, dict) and isinstance(here, (Mapping, BaseModel))
        name = schema.names_of(inside, step)[0]
        if deeper or (isinstance(below, dict) and dataclasses.is_dataclass(here)):
            parts[name] = _partial(here, schema.member_type(inside, step), below, (*at, step))
        else:
            parts[name] = access.member(whole, step)
    return parts


def _judged(channel: _Channel, state: Any, before: Any, tree: Tree) -> Any:
    """What a pydantic state's own rules make of a channel's new value."""
    model: Any = channel.model
    if isinstance(state, model):
        owner = copy.copy(state)
    elif issubclass(model, BaseModel) and not model.__pydantic_decorators__.model_validators:
        owner = model.model_construct()
    else:
        return written(before, channel.type, tree, channel.at)  # judged when the next node reads it
    try:
        if isinstance(tree, Leaf):
            validation.fitted(partial(validation.assign, owner, channel.name), tree.value)
        else:
            whole = written(before, channel.type, tree, channel.at)
            validation.assign(owner, channel.name, whole)
    except StateWriteError:
        raise
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        # Rules over the whole state are for LangGraph, which knows all that changes in it.
        if isinstance(error, ValidationError) and not all(each["loc"] for each in error.errors()):
            with suppress(StateWriteError):
                return written(before, channel.type, tree, channel.at)
        raise refused(channel.at, channel.type, error) from None
    return getattr(owner, channel.name)


def merge(left: Any, right: Any) -> Any:
    """What was there, with what was written on top; neither is changed.

    Objects are merged field by field, however deep: of a dict all keys count as written, of a
    pydantic model the fields that were set, of a dataclass those that differ from their defaults.
    Everything else, lists too, is replaced.

    Args:
        left: What is in the channel.
        right: What a node wrote.

    Returns:
        A value of the kind of `left`; `right` where there is nothing to merge.
    """
    written = _written(right)
    if written is None or left is None:
        return right
    if isinstance(left, BaseModel):
        fields = {name: merge(getattr(left, name, None), new) for name, new in written.items()}
        return left.model_copy(update=fields)
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        fields = {name: merge(getattr(left, name, None), new) for name, new in written.items()}
        return dataclasses.replace(left, **fields)
    if isinstance(left, Mapping):
        return {**left, **{key: merge(left.get(key), new) for key, new in written.items()}}
    return right


def _written(value: Any) -> dict[str, Any] | None:
    """What of a value counts as written, or `None` if it is no object."""
    if isinstance(value, BaseModel):
        extra = value.__pydantic_extra__ or {}
        set_fields = {name: getattr(value, name) for name in value.model_fields_set - extra.keys()}
        return {**set_fields, **extra}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: getattr(value, each.name)
            for each in dataclasses.fields(value)
            if not _is_default(each, getattr(value, each.name))
        }
    return dict(value) if isinstance(value, Mapping) else None


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(field.default_factory() == value)
    return field.default is not dataclasses.MISSING and bool(field.default == value)
