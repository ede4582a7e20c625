"""The signature of webhooks, as both sides of this package write and check it.

It is that of Standard Webhooks (https://www.standardwebhooks.com), for which there are libraries in most
languages. A notice has three headers:

    webhook-id: msg_4b8c...             the same whenever the notice is sent again
    webhook-timestamp: 1732752000       when it was sent, in seconds since 1970
    webhook-signature: v1,K5oZ...=      base64 of HMAC-SHA256 over "{id}.{timestamp}.{body}"

The secret is `whsec_` and the base64 of 24 to 64 random bytes. While it is being changed there are two:
a sender signs with both, separated by a blank, and a receiver takes either.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

_PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a key
_TOLERANCE: Final = 300.0  # seconds


class WebhookSignatureError(ValueError):
    """A notice that is not signed, or not by whom it should be, or long ago."""


def new_secret() -> str:
    """A random secret, to be given to the sender and to the receiver."""
    return _PREFIX + b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret.

    Raises:
        ValueError: If it is none. The message does not hold it.
    """
    key = b""
    if secret.startswith(_PREFIX):
        with suppress(ValueError):
            key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(
            f"a webhook secret is {_PREFIX} and the base64 of {_SHORTEST} to {_LONGEST} bytes"
        )
    return key


def signed(
    keys: Sequence[bytes], message_id: str, body: bytes, *, now: float | None = None
) -> dict[str, str]:
    """The headers of a notice.

    Args:
        keys: The keys to sign with; none for a notice without a signature.
        message_id: The notice's id.
        body: What is sent.
        now: Seconds since 1970; by default the time.
    """
    timestamp = str(int(time.time() if now is None else now))
    headers = {ID: message_id, TIMESTAMP: timestamp}
    if keys:
        signatures = (_signature(key, message_id, timestamp, body) for key in keys)
        headers[SIGNATURE] = " ".join(f"v1,{each}" for each in signatures)
    return headers


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = _TOLERANCE,
    now: float | None = None,
) -> str:
    """Check who sent a notice.

    Args:
        secret: The secret, or all that are good just now.
        headers: The request's headers, by name in lower case.
        body: The request's body, as it came.
        tolerance: Seconds that the sender's clock may differ, way and waiting included.
        now: Seconds since 1970; by default the time.

    Returns:
        The notice's id. Whoever remembers it for the tolerance takes no notice twice.

    Raises:
        WebhookSignatureError: If the notice is not signed with the secret, or too old.
        ValueError: If the secret is none.
    """
    keys = [key_of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    try:
        message_id, timestamp, given = (headers[name] for name in (ID, TIMESTAMP, SIGNATURE))
    except KeyError as error:
        raise WebhookSignatureError(f"the notice has no header {error.args[0]}") from None
    sent = int(timestamp) if timestamp.isascii() and timestamp.isdecimal() else None
    if sent is None or abs((time.time() if now is None else now) - sent) > tolerance:
        raise WebhookSignatureError("the notice is too old, or a clock is wrong")
    expected = [_signature(key, message_id, timestamp, body).encode() for key in keys]
    found = False
    for each in given.split(" "):
        version, _, signature = each.partition(",")
        for good in expected:
            same = hmac.compare_digest(signature.encode(), good)
            found = found or (version == "v1" and same)
    if not found:
        raise WebhookSignatureError("the notice is not signed with the secret")
    return message_id


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return b64encode(hmac.new(key, content, sha256).digest()).decode()
