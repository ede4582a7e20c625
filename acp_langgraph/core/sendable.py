"""What cannot be sent, and where in a value it is; the value itself is never said."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_jsonable_python

from acp_langgraph.errors import ApiTypeError, ApiValueError

__all__ = ["sendable_headers", "unsendable"]

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


def sendable_headers(headers: Mapping[str, str], where: str) -> dict[str, str]:
    """The headers, without the white space around their values, which means nothing.

    Args:
        headers: Values by name.
        where: Who gave them, for errors.

    Raises:
        ApiTypeError: If they are no mapping of text to text.
        ApiValueError: If one holds what no header can carry. Names the header, never its value.
    """
    if not isinstance(headers, Mapping):
        raise ApiTypeError(
            f"{where} must be a dict such as {{'x-user': '...'}}, got {type(headers).__name__}"
        )
    found = {}
    for name, value in headers.items():
        if not isinstance(name, str):
            raise ApiTypeError(f"{where}: a header's name must be text, got {type(name).__name__}")
        if not isinstance(value, str):
            raise ApiTypeError(
                f"{where}: the header {name!r} must be text, got {type(value).__name__}"
            )
        if not _NAME.fullmatch(name):
            raise ApiValueError(f"{where}: {name!r} cannot be the name of a header")
        text = value.strip()
        if not _VALUE.fullmatch(text):
            what = "a line break" if {"\r", "\n"} & set(text) else "characters beyond ASCII"
            raise ApiValueError(
                f"{where}: the header {name!r} holds {what}, which no header can carry"
            )
        found[name] = text
    return found


def unsendable(value: Any, place: str = "", around: tuple[int, ...] = ()) -> str | None:
    """Where in a value that should be sent is something that is no JSON, and what.

    Args:
        value: The value.
        place: Where it is itself.
        around: The ids of what it is in.

    Returns:
        E.g. `mail.to.0 is of type Address`; `None` if nothing is found.
    """
    here = place or "it"
    if id(value) in around:
        return f"{here} contains itself"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{here} is {value}, which JSON does not have"
    for step, below in _members(value):
        found = unsendable(below, f"{place}.{step}" if place else str(step), (*around, id(value)))
        if found:
            return found
    try:
        to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError):
        return f"{here} is of type {type(value).__name__}"
    return None


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    return list(getattr(value, "__dict__", {}).items()) if _has_fields(value) else []


def _has_fields(value: Any) -> bool:
    return hasattr(type(value), "model_fields") or hasattr(type(value), "__dataclass_fields__")
