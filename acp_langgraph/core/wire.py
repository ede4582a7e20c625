"""What every protocol's models have in common: tolerant reading, strict writing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

__all__ = [
    "Listing",
    "Wire",
    "came",
    "dump",
    "read_each",
    "read_json",
    "with_whole_characters",
    "with_zone",
]

T = TypeVar("T")

_log = logging.getLogger("acp_langgraph.http")
_LONGEST_ID = 100  # characters of an id that is told


def with_whole_characters(content: bytes) -> bytes | None:
    """The same JSON, with U+FFFD for half of a surrogate pair, as Python and JavaScript write it.

    Returns:
        `None` if nothing is to be mended, or it is no JSON for another reason.
    """
    try:
        text = json.dumps(json.loads(content.decode("utf-8", "replace")), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return mended.encode()


def read_json(text: str) -> Any:
    """The value of a JSON text; U+FFFD stands for half of a surrogate pair in it.

    Raises:
        ValueError: If it is none.
    """
    try:
        return from_json(text)
    except ValueError:
        mended = with_whole_characters(text.encode())
        if mended is None:
            raise
        return from_json(mended)


class Wire(BaseModel):
    """Base of everything on the wire: unknown fields are kept."""

    model_config = ConfigDict(
        extra="allow",
        hide_input_in_errors=True,
        protected_namespaces=(),
        defer_build=True,  # most programs use a few of the models
        ser_json_inf_nan="constants",
    )


def dump(model: Wire) -> dict[str, Any]:
    """The JSON object that stands for a model; fields that were not set are left out."""
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)


def with_zone(moment: datetime) -> datetime:
    """The same moment; one without a zone is taken for UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Listing(list[T]):
    """A list of which perhaps not all entries could be read.

    Attributes:
        came: How many entries the server sent.
    """

    came: int = 0


def came(listed: Sequence[Any]) -> int:
    """How many entries the server sent, also those that could not be read."""
    return listed.came if isinstance(listed, Listing) else len(listed)


def read_each(
    given: list[Any], read: Callable[[list[Any]], list[T]], where: str
) -> Listing[T] | None:
    """The entries of a list that can be read; those that cannot are named in the log.

    Args:
        given: The list, JSON.
        read: Reads a list of entries, or raises a `ValidationError`.
        where: Where it is from, for the log.

    Returns:
        `None` if there are entries, and none of them can be read.
    """
    found: Listing[T] = Listing()
    found.came = len(given)
    for place, entry in enumerate(given):
        try:
            found.extend(read([entry]))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            inside = ".".join(map(str, first["loc"][1:]))
            said = f"{inside}: {first['msg']}" if inside else first["msg"]
            what = f"entry {place}{_named(entry)}"
            _log.warning("%s: %s cannot be read and is left out: %s", where, what, said)
    return found if found or not given else None


def _named(entry: Any) -> str:
    """The ids of an entry, as far as it has any, for people."""
    if not isinstance(entry, dict):
        return ""
    ids = (entry[name] for name in entry if str(name).lower().endswith("id"))
    found = [each[:_LONGEST_ID] for each in ids if isinstance(each, str) and each.isprintable()]
    return f" ({', '.join(found[:3])})" if found else ""
