"""What was shown to a server must not show in what is told of it."""

from __future__ import annotations

import base64
import binascii
import html
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, TypeVar

from acp_langgraph.core.processes import PerProcess
from acp_langgraph.errors import AcpLangGraphError, Headers

E = TypeVar("E", bound=Exception)

SHORTEST_SECRET: Final = 6
"""Characters; what is shorter is found in every text."""

_HIDDEN: Final = "[credential]"
# They stand before a credential, and are none.
_SCHEMES: Final = frozenset({"apikey", "basic", "bearer", "digest", "dpop", "negotiate", "token"})
# What every request carries, and ids by which people talk about one.
_NO_SECRETS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "langsmith-trace",
        "last-event-id",
        "te",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "user-agent",
        "x-correlation-id",
        "x-nl-query-enabled",
        "x-nl-response-type",
        "x-request-id",
    }
)


class _Lately:
    """What was shown in one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.shown: OrderedDict[tuple[str, str], None] = OrderedDict()


class SentSecrets:
    """What was shown to a server lately, and that it must not show in what is told.

    Args:
        always: What is shown with every request.
        remember: How much else to remember; what was not shown for longest is forgotten.
    """

    def __init__(self, *always: Mapping[str, str], remember: int = 1000) -> None:
        self._always = always
        self._remember = remember
        self._lately = PerProcess(_Lately)

    def add(self, headers: Iterable[tuple[str, str]]) -> None:
        """Remember headers, or parameters of a URL, that are sent."""
        lately = self._lately.here()
        with lately.lock:
            for name, value in headers:
                if name.lower() not in _NO_SECRETS:
                    lately.shown[name, value] = None
                    lately.shown.move_to_end((name, value))
            while len(lately.shown) > self._remember:
                lately.shown.popitem(last=False)

    def hide(self, text: str) -> str:
        """A text without any of it."""
        return redact(text, self._hidden())

    def hidden_in(self, error: E) -> E:
        """An error without any of it."""
        hidden = self._hidden()
        error.args = _without(error.args, hidden)
        for name, value in vars(error).items():
            setattr(error, name, _without(value, hidden))
        return error

    @contextmanager
    def out_of_errors(self) -> Iterator[None]:
        """Keep it out of this package's errors that are raised meanwhile."""
        try:
            yield
        except AcpLangGraphError as error:
            self.hidden_in(error)
            raise

    def _hidden(self) -> tuple[str, ...]:
        lately = self._lately.here()
        with lately.lock:
            shown = [{name: value} for name, value in lately.shown]
        return secrets(*self._always, *shown)


def secrets(*headers: Mapping[str, str]) -> tuple[str, ...]:
    """What must not show in a message: the values of headers, and the credentials inside them."""
    found: set[str] = set()
    for name, value in (item for each in headers for item in each.items()):
        if name.lower() in _NO_SECRETS:
            continue
        scheme, _, credential = value.partition(" ")
        found |= {credential} if scheme.lower() in _SCHEMES and credential else {value, credential}
        if scheme.lower() == "basic":
            found |= _decoded(credential)
        if name.lower() == "cookie":
            found |= {cookie.partition("=")[2].strip() for cookie in value.split(";")}
    return tuple(sorted((each for each in found if len(each) >= SHORTEST_SECRET), key=len))[::-1]


def redact(text: str, hidden: Iterable[str]) -> str:
    """The text without what must not show, however it is escaped."""
    for each in hidden:
        start = _plainest(each)
        if start not in text:
            continue
        text = text.replace(each, _HIDDEN)
        if start != each and start in text:
            text = _spellings(each).sub(_HIDDEN, text)
    return text


def _without(value: Any, hidden: tuple[str, ...]) -> Any:
    match value:
        case str():
            return redact(value, hidden)
        case bytes():
            return redact(value.decode("utf-8", "surrogateescape"), hidden).encode(
                "utf-8", "surrogateescape"
            )
        case dict():
            kind = Headers if isinstance(value, Headers) else dict
            return kind({name: _without(each, hidden) for name, each in value.items()})
        case list():
            return [_without(each, hidden) for each in value]
        case tuple():
            return tuple(_without(each, hidden) for each in value)
    return value


@lru_cache(4096)
def _plainest(secret: str) -> str:
    """The longest part of a secret that looks the same in every spelling."""
    return max(re.findall(r"[A-Za-z0-9]+", secret), key=len, default="")


@lru_cache(256)
def _spellings(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_spelt, secret)))


def _spelt(character: str) -> str:
    """A pattern of how a character may be written: in JSON, in HTML, in a URL."""
    if character.isalnum():
        return character
    code = ord(character)
    ways = {
        re.escape(character),
        rf"\\{re.escape(character)}",
        rf"(?i:\\u{code:04x}|%{code:02x}|&#x0*{code:x};)|&#0*{code};",
        re.escape(html.escape(character)),
    }
    return f"(?:{'|'.join(sorted(ways, key=len, reverse=True))})"


def _decoded(credential: str) -> set[str]:
    try:
        pair = base64.b64decode(credential, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return set()
    return {pair, pair.partition(":")[2]}
