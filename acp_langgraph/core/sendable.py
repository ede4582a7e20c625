"""What cannot be sent, and where in a value it is; the value itself is never said."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from pydantic import Secret, SecretBytes, SecretStr, TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from acp_langgraph.errors import ApiTypeError, ApiValueError

__all__ = ["SECRETS", "UnsendableError", "holds_secret", "plain", "sendable_headers", "unsendable"]

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HALF: Final = "half of a surrogate pair, which is no character"
SECRETS: Final = (SecretStr, SecretBytes, Secret)
_ANY: Final = TypeAdapter(Any)
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
) -> Any:
    """The JSON of a value; never the mask that pydantic shows for a secret.

    Args:
        value: The value.
        dump: Dumps it by pydantic, in the mode `json` or `python`; by what it is itself if left out.
        declares: Whether a secret is declared at a place in the dump, so that its value is given.
        keep: Leave secrets what they are instead, wherever they are.

    Raises:
        UnsendableError: If there is a secret at another place.
        pydantic_core.PydanticSerializationError: If it is no JSON.
    """
    dump = dump or partial(_dump, value)
    made = dump("json")
    if type(value) in _PLAIN:
        return made
    whole = dump("python")
    if not holds_secret(whole):
        return made
    return _merged(made, whole, (), declares, keep)


def _dump(value: Any, mode: Any) -> Any:
    if mode == "json":
        return to_jsonable_python(value, by_alias=True)
    return _ANY.dump_python(value, mode="python", by_alias=True)


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
        raise UnsendableError(
            f"{place} is a {type(whole).__name__}, which goes only where a secret is declared"
        )
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
        return f"is a {type(value).__name__}, which goes only where a secret is declared"
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
