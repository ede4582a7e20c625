"""What all of Quant's models share: camelCase on the wire, and times in three units.

The same API gives Unix seconds (tool executions), milliseconds (tasks) and RFC 3339 (lists of
executions, orchestrations), so a number's size tells its unit: seconds stay below 10^11 until the
year 5138, and milliseconds are above it since 1973.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from acp_langgraph.core.wire import Wire, read_each, with_zone

__all__ = ["Items", "Moment", "QuantWire", "Text"]

_SMALLEST_MILLISECONDS: Final = 1e11


class QuantWire(Wire):
    """Base of the models: `snake_case` here, `camelCase` on the wire; either is accepted."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _tolerant(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """A moment, or nothing: a time that cannot be read is no reason to lose a result."""
    try:
        return read(_in_seconds(value))
    except ValueError:
        return None


def _in_seconds(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value  # RFC 3339, or for pydantic to refuse
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    seconds = float(value)
    if abs(seconds) >= _SMALLEST_MILLISECONDS:
        seconds /= 1000
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        raise ValueError("a moment far outside of the calendar") from None


Moment: TypeAlias = Annotated[
    datetime | None,
    AfterValidator(lambda moment: None if moment is None else with_zone(moment)),
    WrapValidator(_tolerant),
]


def _each(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """What can be read of a list; `null` is as good as none."""
    value = [] if value is None else value
    try:
        return read(value)
    except ValidationError:
        found = read_each(value, read, str(info.field_name)) if isinstance(value, list) else None
        if found is None:
            raise
        return found


# `null` is as good as nothing, wherever the API sends a list or a text.
Items: Final = WrapValidator(_each)
Text: TypeAlias = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
