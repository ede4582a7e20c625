"""What is given to an operation becomes what is sent, or is refused before anything is sent.

A refusal names the field and what is wrong with it, never the value: that is the caller's data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from acp_langgraph.core.sendable import unsendable
from acp_langgraph.core.wire import Wire, dump
from acp_langgraph.errors import ApiTypeError, ApiValueError

__all__ = [
    "JSONObject",
    "Options",
    "Query",
    "Ready",
    "as_json",
    "checked_options",
    "queried",
    "sent",
]

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

JSONObject: TypeAlias = Mapping[str, Any]


class Options(TypedDict, total=False):
    """The options of one call.

    Attributes:
        timeout: Seconds for all of it, tries together, or for each piece of a stream; `None` takes
            the configuration's for each try.
        headers: Sent with this call alone.
    """

    timeout: float | None
    headers: Mapping[str, str] | None


class Ready(dict[str, Any]):
    """A body that this package made itself: JSON of the right shape, to be sent as it is."""


def sent(model: type[Wire], body: Wire | JSONObject) -> Any:
    """The JSON object to send for a body, given as a model or as a dict of the same shape.

    Raises:
        ApiTypeError: If it is neither, or a field has the wrong type.
        ApiValueError: If a field has an impossible value.
    """
    if isinstance(body, Ready):
        return body
    checked = _checked(model, dict(body) if isinstance(body, Mapping) else body)
    return as_json(model.__name__, dump, checked)


def queried(model: type[Query], **parameters: Any) -> dict[str, str]:
    """The query parameters that were given, as text.

    Args:
        model: Says which there are.
        **parameters: By their names in Python; those that are `None` were not given.

    Raises:
        ApiTypeError: If one has the wrong type.
        ApiValueError: If one has an impossible value.
    """
    given = _checked(model, parameters).model_dump(mode="json", exclude_none=True, by_alias=True)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def checked_options(options: Options) -> Options:
    """The same options, with the names of headers in lower case, as they are everywhere here.

    Raises:
        ApiTypeError: If one has the wrong type.
        ApiValueError: If one has an impossible value, such as a line break in a header.
    """
    _checked(_Options, options)
    headers = options.get("headers") or {}
    lowered = {name.lower(): value for name, value in headers.items()}
    return {"timeout": options.get("timeout"), "headers": lowered}


class Query(BaseModel):
    """Base of the query parameters of a protocol; `True` is not 1 and "10" not 10 here."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _Options(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    timeout: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    headers: (
        Mapping[
            Annotated[str, StringConstraints(pattern=r"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\z")],
            Annotated[str, StringConstraints(pattern=r"\A[\t\x20-\x7e]*\z")],
        ]
        | None
    ) = None


def _checked(model: type[M], value: object) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        said = "; ".join(f"{_place(model, fault['loc'])}: {fault['msg']}" for fault in faults)
        wrong_type = all(fault["type"].endswith("_type") for fault in faults)
        raise (ApiTypeError if wrong_type else ApiValueError)(said) from None


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    # pydantic names the branch of a union in brackets, which no caller has ever heard of.
    fields = [str(part) for part in location if "[" not in str(part)]
    return ".".join([model.__name__.lstrip("_"), *fields])


def as_json(what: str, encode: Callable[[T], Any], value: T, place: str = "") -> Any:
    """The JSON value that a function makes of a value.

    Raises:
        ApiValueError: If it cannot.
    """
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ApiValueError(
            f"{what} cannot be sent as JSON: {unsendable(value, place) or type(error).__name__}; use dicts, lists, strings, "
            "finite numbers, booleans, None, dates, dataclasses and pydantic models"
        ) from None
