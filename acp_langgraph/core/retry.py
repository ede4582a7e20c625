"""Retries as a flow: which exchanges are repeated, and how long to wait in between.

Only what does no harm is repeated: a call that may be performed twice, or one that certainly never
left this machine. Everything else is for the flow above to settle, by reading what became of it.
"""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, TypeVar

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Flow, Pause
from acp_langgraph.errors import ApiConnectionError, ApiException, UnreadableAnswerException

T = TypeVar("T")

WORTH_REPEATING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# These say that the request was not taken up, whatever its method.
NOT_TAKEN_UP: Final = frozenset({425, 429})
_MOST_DOUBLINGS: Final = 60  # a float holds no end of them


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between tries: doubling, with jitter, up to a limit.

    Attributes:
        first: Seconds before the second try.
        limit: Longest wait in seconds.
        jitter: Share of each wait that is left to chance, 0 to 1.
    """

    first: float = 0.2
    limit: float = 10.0
    jitter: float = 0.5

    def wait(self, tried: int) -> float:
        """Seconds to wait after so many tries, at least one."""
        wait = min(self.limit, self.first * 2.0 ** min(tried - 1, _MOST_DOUBLINGS))
        return wait * (1 - self.jitter * random.random())

    def waits(self) -> Iterator[float]:
        """The waits, without end."""
        tried = 0
        while True:
            tried += 1
            yield self.wait(tried)


def with_retries(
    call: Call[T], retries: int, backoff: Backoff | None = None, *, seconds: float | None = None
) -> Flow[T]:
    """Perform a call, repeating it where that does no harm; returns its typed result.

    Args:
        call: What to perform.
        retries: How often at most it is tried again.
        backoff: How long to wait in between.
        seconds: For how long at most, tries and waits together: what is not worth a further try
            within that time is the result.
    """
    return _repeated(call, retries, backoff, seconds, is_read=True)


def exchange(
    call: Call[Any], retries: int, backoff: Backoff | None = None, *, seconds: float | None = None
) -> Flow[Reply]:
    """Like `with_retries`, but returns the reply as it came, error statuses included."""
    return _repeated(call, retries, backoff, seconds, is_read=False)


def _repeated(
    call: Call[Any],
    retries: int,
    backoff: Backoff | None,
    seconds: float | None,
    *,
    is_read: bool,
) -> Flow[Any]:
    backoff = backoff or Backoff()
    until = float("inf") if seconds is None else time.monotonic() + seconds
    for tried in range(1, retries + 2):
        wait = backoff.wait(tried)
        left = tried <= retries and time.monotonic() + wait < until
        try:
            reply: Reply = (
                yield call if seconds is None else call.within(max(0.001, until - time.monotonic()))
            )
            repeat = WORTH_REPEATING if call.may_repeat else NOT_TAKEN_UP
            if not left or reply.status not in repeat:
                return call.read(reply) if is_read else reply
            wait = max(wait, retry_after(reply.headers) or 0.0)
            if time.monotonic() + wait >= until:
                return call.read(reply) if is_read else reply
        except ApiConnectionError as error:
            if not left or (error.sent and not call.may_repeat):
                raise
        except UnreadableAnswerException:
            # An empty or garbled success comes from something in between, and passes.
            if not left or not call.may_repeat:
                raise
        yield Pause(wait)
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def asked_to_wait(error: Exception | None) -> float:
    """Seconds that a server asked to wait when it refused; 0 if it asked nothing, or did not answer."""
    return (retry_after(error.headers) or 0.0) if isinstance(error, ApiException) else 0.0


def retry_after(headers: Mapping[str, str], limit: float = 300.0) -> float | None:
    """Seconds that a server asks to wait, from `Retry-After`; at most `limit`.

    RFC 9110, section 10.2.3: a number of seconds or a date.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)  # HTTP knows no other zone
        seconds = when.timestamp() - time.time()
    return min(max(seconds, 0.0), limit) if seconds == seconds else None  # noqa: PLR0124 - NaN
