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
from typing import Any, Final

from pydantic import BaseModel

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import access, schema, validation
from acp_langgraph.mapping.access import MISSING, Leaf, StateWriteError, Tree
from acp_langgraph.mapping.merging import merge
from acp_langgraph.mapping.schema import NoMemberError, Step

__all__ = ["ADDING", "accepts", "delta", "reducer_of"]

ADDING: Final = (operator.add, operator.iadd, operator.concat, operator.iconcat)


def reducer_of(declared: Any) -> Callable[[Any, Any], Any] | None:
    """The reducer of a channel, found where LangGraph finds it: last in `Annotated`."""
    attached = schema.attached(declared)
    last = attached[-1] if attached else None
    return last if callable(last) and not isinstance(last, type) else None


def accepts(declared: Any) -> tuple[Any, ...]:
    """The types that may be written to a channel: its own, and an item of a list that is added to."""
    if reducer_of(declared) and schema.is_list(schema.strip(declared)):
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
    return {
        str(step): _channel(state, declared, _channel_type(declared, step), step, tree)
        for step, tree in changes.items()
    }


def _channel_type(declared: Any, step: Step) -> Any:
    try:
        return schema.member_type(declared, step)
    except NoMemberError as missing:
        raise NodeConfigurationError(
            f"the state has no channel {step!r}{access.near(step, missing.names)}"
        ) from None


def _channel(state: Any, declared: Any, kind: Any, step: Step, tree: Tree) -> Any:
    before = access.member(state, step)
    reducer = reducer_of(kind)
    if reducer is None:
        after = access.written(before, kind, tree, (step,))
        return _field_validated(declared, str(step), after)
    if isinstance(tree, Leaf):
        return access.written(before, kind, Leaf(_as_list(kind, tree.value)), (step,))
    if reducer is merge:
        return _partial(before, kind, tree, (step,))
    if reducer in ADDING:
        raise NodeConfigurationError(
            f"nothing inside channel {step!r} can be changed: its reducer would add the whole "
            f"{schema.type_name(kind)} once more. Write {step!r} itself, with what is to be added"
        )
    return access.written(before, kind, tree, (step,))


def _as_list(kind: Any, value: Any) -> Any:
    if schema.is_list(schema.strip(kind)) and not isinstance(value, (list, tuple, type(None))):
        return [value]
    return value


def _partial(before: Any, kind: Any, tree: Tree, at: tuple[Step, ...]) -> Any:
    """Only what changes, for `merge`; where nothing is yet, what is made."""
    if isinstance(tree, Leaf) or before is None or before is MISSING:
        return access.written(before, kind, tree, at)
    if isinstance(before, (list, tuple)):
        return access.written(before, kind, tree, at)
    whole = access.written(before, kind, tree, at)
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


def _field_validated(declared: Any, name: str, value: Any) -> Any:
    """What a pydantic state's own field validators make of a channel's new value."""
    kind = schema.origin_of(declared)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return value
    rules = kind.__pydantic_decorators__
    if not any(
        name in each.info.fields or "*" in each.info.fields
        for each in rules.field_validators.values()
    ):
        return value
    if rules.model_validators or kind.model_config.get("frozen"):
        return value  # these need the whole state, which LangGraph validates for the next node
    try:
        state = kind.model_construct()
        kind.__pydantic_validator__.validate_assignment(state, name, value)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise StateWriteError(
            name, schema.type_name(schema.member_type(kind, name)), validation.reason(error)
        ) from None
    return getattr(state, name)
