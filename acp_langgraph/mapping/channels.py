"""From changes in a state to what a LangGraph node returns: the changed channels and nothing else.

What a node returns for a channel replaces the channel, or is handed to its reducer. So it matters
what the reducer makes of it:

* without one, the channel's new value, with every sibling of what changed;
* `merge` (see `acp_langgraph.mapping.merging`) gets only the changed fields, so that two nodes can
  write different fields in one step;
* a reducer of a list (`operator.add`, `add_messages`) may be given one item, which becomes a list
  of one. To change something inside such a list is refused where the list would be added again.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pydantic import BaseModel

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import access, schema, typeinfo, writing
from acp_langgraph.mapping.access import MISSING, Leaf, Tree
from acp_langgraph.mapping.merging import merge
from acp_langgraph.mapping.schema import NoMemberError
from acp_langgraph.mapping.typeinfo import Step, remembered

__all__ = ["ADDING", "accepts", "delta", "reducer_of"]

ADDING: Final = (operator.add, operator.iadd, operator.concat, operator.iconcat)


@remembered
def reducer_of(declared: Any) -> Callable[[Any, Any], Any] | None:
    """The reducer of a channel, found where LangGraph finds it: last in `Annotated`."""
    attached = typeinfo.attached(declared)
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
            changed[channel.name] = writing.written(MISSING, channel.type, tree, (step,))
        else:
            changed[channel.name] = _changed(channel, access.member(state, step), tree)
    return changed


class _Channel(NamedTuple):
    """What is known of a channel from its declaration.

    Attributes:
        name: Its name, also if the path had an alias.
        type: Its declared type.
        reducer: Its reducer.
        model: The pydantic state whose own field validators judge it, if there are any.
    """

    name: str
    type: Any
    reducer: Callable[[Any, Any], Any] | None
    model: type[BaseModel] | None

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
    model = typeinfo.origin_of(declared)
    judged = (
        isinstance(model, type)
        and issubclass(model, BaseModel)
        and _has_own_validators(model, name)
    )
    return _Channel(name, kind, reducer_of(kind), model if judged else None)


def _changed(channel: _Channel, before: Any, tree: Tree) -> Any:
    if channel.reducer is None:
        after = writing.written(before, channel.type, tree, channel.at)
        return after if channel.model is None else _field_validated(channel, channel.model, after)
    if isinstance(tree, Leaf):
        item = Leaf(_as_list(channel.type, tree.value))
        return writing.written(before, channel.type, item, channel.at)
    if channel.reducer is merge:
        return _partial(before, channel.type, tree, channel.at)
    if channel.reducer in ADDING:
        raise NodeConfigurationError(
            f"nothing inside channel {channel.name!r} can be changed: its reducer would add the "
            f"whole {typeinfo.type_name(channel.type)} once more. Write {channel.name!r} itself, "
            "with what is to be added"
        )
    return writing.written(before, channel.type, tree, channel.at)


def _as_list(kind: Any, value: Any) -> Any:
    if typeinfo.is_list(typeinfo.strip(kind)) and not isinstance(value, (list, tuple, type(None))):
        return [value]
    return value


def _partial(before: Any, kind: Any, tree: Tree, at: tuple[Step, ...]) -> Any:
    """Only what changes, for `merge`; where nothing is yet, what is made."""
    if isinstance(tree, Leaf) or before is None or before is MISSING:
        return writing.written(before, kind, tree, at)
    if isinstance(before, (list, tuple)):
        return writing.written(before, kind, tree, at)
    whole = writing.written(before, kind, tree, at)
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


def _field_validated(channel: _Channel, model: type[BaseModel], value: Any) -> Any:
    """What a pydantic state's own field validators make of a channel's new value."""
    try:
        state = model.model_construct()
        model.__pydantic_validator__.validate_assignment(state, channel.name, value)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise writing.refused(channel.at, channel.type, error) from None
    return getattr(state, channel.name)


@remembered
def _has_own_validators(kind: type[BaseModel], name: str) -> bool:
    """Whether a field has validators that can be run without the rest of the model."""
    rules = kind.__pydantic_decorators__
    if rules.model_validators or kind.model_config.get("frozen"):
        return False  # these need the whole state, which LangGraph validates for the next node
    return any({name, "*"} & {*each.info.fields} for each in rules.field_validators.values())
