"""A reducer for channels that several nodes write in one step.

LangGraph lets one node per step write a channel, unless the channel has a reducer. Two mappings
that fill different fields of one object in parallel need one that puts the fields together:

    class State(TypedDict):
        box: Annotated[Box, merge]

A mapping that writes below such a channel hands over only the fields that it wrote. Your own nodes
do the same by returning part of the object: a dict, or a model with some of its fields set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["merge"]


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
