"""The JSON values of what a graph gives."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from acp_langgraph.core.wire import SECRETS, holds_secret, unsendable

_ANY: Final = TypeAdapter(Any)


def jsonable(value: Any, *, whatever: bool = False) -> Any:
    """The JSON value of anything a graph returns: messages, models, dataclasses, enums, times.

    Args:
        value: The value.
        whatever: Let a text stand for what has no JSON value, instead of refusing it.

    Raises:
        ValueError: If it has none.
    """
    whole = _ANY.dump_python(value, mode="python")
    if holds_secret(whole):
        if not whatever:
            raise ValueError(unsendable(value))
        value = _without_secrets(whole)
    mode: Any = "null" if whatever else "constants"
    try:
        return from_json(
            to_json(value, inf_nan_mode=mode, bytes_mode="base64", serialize_unknown=whatever),
            allow_inf_nan=False,
        )
    except ValueError as error:
        raise ValueError(unsendable(value) or str(error)) from None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if not isinstance(each, SECRETS)}
        return {key: _without_secrets(each) for key, each in kept.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_without_secrets(each) for each in value if not isinstance(each, SECRETS)]
    return value
