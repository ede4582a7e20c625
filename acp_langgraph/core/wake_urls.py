"""The URLs by which remote servers wake graphs that wait for them, signed, and how they are read.

A URL names the graph's thread and the job that is waited for, and when it was made; it carries nothing of
the state and no credential. Whoever has one can do no more with it than say "look": what the job came to
is read from its server.

    https://me.example/wake/eyJ0...Ag.q0Xv...
                            |         HMAC-SHA256 of what is before it
                            base64 of [thread, key, seconds since 1970], as JSON
"""

from __future__ import annotations

import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Self
from urllib.parse import urlsplit

from acp_langgraph.core.webhooks import key_of
from acp_langgraph.errors import NodeConfigurationError

_PURPOSE: Final = (
    b"acp_langgraph wake\n"  # so that nothing else that is signed with the secret will do
)
_LONGEST: Final = 4096
_MONTH: Final = 30 * 86_400.0


class WakeURLError(ValueError):
    """A URL that was not made with the secret, or long ago."""


@dataclass(frozen=True, slots=True)
class Wake:
    """What a URL names.

    Attributes:
        thread_id: The graph's thread.
        key: The key of the job that is waited for.
        made_at: When the URL was made, in seconds since 1970.
    """

    thread_id: str
    key: str
    made_at: float


@dataclass(frozen=True, slots=True)
class WakeURL:
    """Where a graph that waits is woken, for the nodes that suspend it.

        wake_url = WakeURL("https://me.example/wake", secret)
        node = ACPNode("writer", "writer", "https://agents.example", wait="suspend", wake_url=wake_url)

    Args:
        url: Where `WakeApp` is mounted, as the agents' servers reach it.
        secret: `whsec_` and the base64 of 24 to 64 random bytes, the same as `WakeApp`'s; of several,
            the first signs. `acp_langgraph.core.webhooks.new_secret()` makes one.

    Raises:
        NodeConfigurationError: If it is no URL, or no secret.
    """

    url: str
    secret: str | Sequence[str] = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise NodeConfigurationError(
                "a WakeURL is an http or https URL without credentials, such as https://me.example/wake"
            )
        keys_of(self.secret)

    @classmethod
    def from_env(cls) -> Self | None:
        """What the environment says: `ACP_LANGGRAPH_WAKE_URL` and `ACP_LANGGRAPH_WAKE_SECRET`.

        The secret may be several, separated by blanks.
        """
        url, secret = (os.environ.get(f"ACP_LANGGRAPH_WAKE_{each}") for each in ("URL", "SECRET"))
        return cls(url, secret.split()) if url and secret else None

    def of(self, thread_id: str, key: str) -> str:
        """The URL by which a thread is woken that waits for a job."""
        now = round(time.time(), 3)
        said = json.dumps([thread_id, key, now], separators=(",", ":")).encode()
        content = urlsafe_b64encode(said).rstrip(b"=")
        signature = _signature(keys_of(self.secret)[0], content)
        return f"{self.url.rstrip('/')}/{content.decode()}.{signature.decode()}"


def keys_of(secret: str | Sequence[str]) -> list[bytes]:
    """The keys in one secret or several.

    Raises:
        NodeConfigurationError: If one is none, or there is none. The message does not hold it.
    """
    try:
        keys = [key_of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    except ValueError as error:
        raise NodeConfigurationError(str(error)) from None
    if not keys:
        raise NodeConfigurationError("there is no secret to sign webhooks' URLs with")
    return keys


def read_wake_url(
    token: str, keys: Sequence[bytes], *, max_age: float = _MONTH, now: float | None = None
) -> Wake:
    """What the last part of a URL says, once it is certain who made it.

    Args:
        token: The last part of the path.
        keys: All keys that are good just now.
        max_age: Seconds for which a URL is good.
        now: Seconds since 1970; by default the time.

    Raises:
        WakeURLError: If it was not made with one of the keys, or too long ago.
    """
    content, _, given = token.encode("ascii", "replace").partition(b".")
    if len(token) > _LONGEST or not any(
        [hmac.compare_digest(given, _signature(key, content)) for key in keys]  # noqa: C419 - all of them
    ):
        raise WakeURLError("the URL was not made with the secret")
    thread_id, key, made_at = _read(content)
    age = (time.time() if now is None else now) - made_at
    if age > max_age:
        raise WakeURLError("the URL is too old")
    return Wake(thread_id, key, made_at)


def _read(content: bytes) -> Any:
    return json.loads(urlsafe_b64decode(content + b"=" * (-len(content) % 4)))


def _signature(key: bytes, content: bytes) -> bytes:
    made = hmac.new(key, _PURPOSE + content, sha256).digest()
    return urlsafe_b64encode(made).rstrip(b"=")
