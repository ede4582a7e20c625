"""What was shown to a server must not show in what is told of it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["SHORTEST_SECRET", "redact", "secrets"]

SHORTEST_SECRET: Final = 6
"""Characters; what is shorter is found in every text."""

_HIDDEN: Final = "[credential]"


def secrets(*headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not show in a message: the values of headers, and the credentials inside them."""
    found: set[str] = set()
    for name, value in (item for each in headers for item in each.items()):
        if name.lower() in {"accept", "accept-encoding"}:
            continue
        scheme, _, credential = value.partition(" ")
        found |= {value, credential}
        if scheme.lower() == "basic":
            found |= _decoded(credential)
    return tuple(sorted((each for each in found if len(each) >= SHORTEST_SECRET), key=len))[::-1]


def redact(text: str, hidden: Iterable[str]) -> str:
    """The text without what must not show."""
    for each in hidden:
        text = text.replace(each, _HIDDEN)
    return text


def _decoded(credential: str) -> set[str]:
    try:
        pair = base64.b64decode(credential, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return set()
    return {pair, pair.partition(":")[2]}
