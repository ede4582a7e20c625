"""What goes over a wire and what comes: strict in what is sent, tolerant in what is read.

What cannot be sent is named by its place; the value itself is never said.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticSerializationError, from_json, to_jsonable_python
from typing_extensions import TypeIs

from acp_langgraph.errors import ApiTypeError, ApiValueError

T = TypeVar("T")

_log = logging.getLogger("acp_langgraph.http")
_UNSAID = timezone(timedelta(0), "UTC, as far as is known")
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
    """The same moment; one without a zone is taken for UTC, and known to be no certain time."""
    return moment if moment.tzinfo else moment.replace(tzinfo=_UNSAID)


def is_certain(moment: datetime | None) -> TypeIs[datetime]:
    """Whether a moment can be compared with the clock here, and not only with others of its server."""
    return moment is not None and moment.tzinfo is not _UNSAID


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
            what = f"entry {place}{_named(entry)}"
            said = first_fault(error, below=1)
            _log.warning("%s: %s cannot be read and is left out: %s", where, what, said)
    return found if found or not given else None


def first_fault(error: ValidationError, below: int = 0) -> str:
    """Where something is not as it should be, and what is wrong there; never the value.

    Args:
        error: What pydantic found.
        below: How many steps of the place are known to whoever reads it.
    """
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"][below:]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _named(entry: Any) -> str:
    """The ids of an entry, as far as it has any, for people."""
    if not isinstance(entry, dict):
        return ""
    ids = (entry[name] for name in entry if str(name).lower().endswith("id"))
    found = [each[:_LONGEST_ID] for each in ids if isinstance(each, str) and each.isprintable()]
    return f" ({', '.join(found[:3])})" if found else ""


_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_HALF: Final = "half of a surrogate pair, which is no character"
SECRETS: Final = (SecretStr, SecretBytes, Secret)
WHAT_IS_JSON: Final = "use dicts, lists, strings, finite numbers, booleans and None"
_ONLY_DECLARED: Final = (
    "which goes only where a secret is declared: declare the field as SecretStr in input_type (of a "
    "configuration, config_type), or send its get_secret_value() on purpose"
)
_ANY: Final = TypeAdapter(Any)
_MASK: Final = str(SecretStr("it"))
_PLAIN: Final = frozenset({str, int, float, bool, bytes, type(None)})
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


class UnsendableError(ValueError):
    """A value is no JSON; says where and what."""


def plain(
    value: Any,
    *,
    dump: Callable[[Any], Any] | None = None,
    declares: Callable[[tuple[Any, ...]], bool] = lambda _: False,
    keep: bool = False,
    fallback: Callable[[Any], Any] | None = None,
) -> Any:
    """The JSON of a value; never the mask that pydantic shows for a secret.

    Args:
        value: The value.
        dump: Dumps it by pydantic, in the mode `json` or `python`; by what it is itself if left out.
        declares: Whether a secret is declared at a place in the dump, so that its value is given.
        keep: Leave secrets what they are instead, wherever they are.
        fallback: Makes JSON of what is none, if nothing else dumps the value.

    Raises:
        UnsendableError: If there is a secret at another place.
        pydantic_core.PydanticSerializationError: If it is no JSON.
    """
    of_its_own = dump is None
    dump = dump or partial(_dump, value, fallback)
    made = dump("json")
    if type(value) in _PLAIN or (of_its_own and _is_plain(value)):
        return made
    whole = dump("python")
    sent = _merged(made, whole, (), declares, keep) if holds_secret(whole) else made
    if _masks(sent) > _masks(whole):  # in what is no list and no dict, or written by a model itself
        raise UnsendableError(f"it holds a Secret, {_ONLY_DECLARED}")
    return sent


def sendable(made: Any) -> Any:
    """What `plain` made, once it is certain that it can be sent.

    Raises:
        UnsendableError: If it cannot, as with NaN in it; says where.
    """
    try:
        _ENCODER.encode(made).encode()
    except (TypeError, ValueError, RecursionError):
        found = unsendable(made) or "something in it is no JSON"
        raise UnsendableError(f"{found}; {WHAT_IS_JSON}") from None
    return made


def _is_plain(value: Any) -> bool:
    """Whether it is nothing but lists and dicts of what is no object of some class."""
    kind = type(value)
    if kind is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return kind in _PLAIN or (kind is list and all(map(_is_plain, value)))


def _dump(value: Any, fallback: Callable[[Any], Any] | None, mode: Any) -> Any:
    if mode == "json":
        return to_jsonable_python(value, by_alias=True, fallback=fallback)
    return _ANY.dump_python(value, mode="python", by_alias=True)


def _masks(value: Any) -> int:
    """How many texts there are in a value that pydantic shows for a secret."""
    if isinstance(value, str):
        return int(value == _MASK)
    if isinstance(value, Mapping):
        return sum(map(_masks, value)) + sum(map(_masks, value.values()))
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return sum(map(_masks, value))
    return 0


def holds_secret(value: Any) -> bool:
    """Whether there is a secret in what pydantic dumped in its mode `python`."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(holds_secret, value))
    return isinstance(value, SECRETS)


def _merged(
    made: Any, whole: Any, at: tuple[Any, ...], declares: Callable[[Any], bool], keep: bool
) -> Any:
    if isinstance(whole, SECRETS):
        if keep:
            return whole
        if declares(at):
            return to_jsonable_python(whole.get_secret_value())
        if made != to_jsonable_python(whole):
            return made  # no mask, but what a serializer of the user's own has made of it
        place = ".".join(map(str, at)) or "it"
        raise UnsendableError(f"{place} is a {type(whole).__name__}, {_ONLY_DECLARED}")
    if isinstance(made, dict) and isinstance(whole, Mapping) and len(made) == len(whole):
        pairs = zip(made.items(), whole.values(), strict=True)
        return {key: _merged(each, its, (*at, key), declares, keep) for (key, each), its in pairs}
    several = isinstance(whole, (list, tuple, set, frozenset))
    if isinstance(made, list) and several and len(made) == len(whole):
        both = enumerate(zip(made, whole, strict=True))
        return [_merged(each, its, (*at, n), declares, keep) for n, (each, its) in both]
    return made


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
    fault = _fault(value)
    if fault or isinstance(value, str):
        return fault and f"{here} {fault}"
    for step, below in _members(value):
        if isinstance(step, str) and not _is_text(step):
            return f"{here} has a name that holds {_HALF}"
        found = unsendable(below, f"{place}.{step}" if place else str(step), (*around, id(value)))
        if found:
            return found
    try:
        to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError):
        return f"{here} is of type {type(value).__name__}"
    return None


def _fault(value: Any) -> str | None:
    """Why a value itself is no JSON, whatever is in it."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which JSON does not have"
    if isinstance(value, str) and not _is_text(value):
        return f"holds {_HALF}"
    if isinstance(value, SECRETS):
        return f"is a {type(value).__name__}, {_ONLY_DECLARED}"
    return None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _members(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    return list(getattr(value, "__dict__", {}).items()) if _has_fields(value) else []


def _has_fields(value: Any) -> bool:
    return hasattr(type(value), "model_fields") or hasattr(type(value), "__dataclass_fields__")
