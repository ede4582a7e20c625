"""As whom a call is made: headers that are got when needed, and anew when the server refuses them.

There is one mechanism for clients and nodes, for users' headers and for tokens, and it is a flow around
one call:

    headers, from whoever holds them    (a `Work`: only then is anything blocking or awaiting)
    the call, with these headers
    after a 401: new headers, and the call once more

A 401 says that nothing was done (RFC 9110, section 15.5.2: the request lacks valid credentials), so
the second call is safe whatever the first one was. There is never a third.

Why not `httpx.Auth`, whose `auth_flow` is a generator as well? It sees a request, and not for whom the
graph is run, so that one object would have to tell its users apart by what is in the request; its hooks
lock and await in two versions; and only what goes through httpx has it. A call is what everything has
in common that is sent, and it goes to the configured origin only. An `httpx.Auth` of the caller's own is
httpx's to perform, as ever.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Flow, Work

C = TypeVar("C", bound=Call[Any])

_EARLY: Final = 30.0  # seconds before its end at which a grant is not shown any more
_EARLY_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """What may be shown to a server.

    Attributes:
        headers: Names in lower case.
        until: On the monotonic clock, when to get another; `None` if that is not known.
    """

    headers: Mapping[str, str] = field(repr=False)
    until: float | None = None

    @classmethod
    def lasting(cls, headers: Mapping[str, str], seconds: float | None) -> Grant:
        """A grant for so many seconds, of which the last are not used."""
        if seconds is None:
            return cls(headers)
        return cls(headers, time.monotonic() + seconds - min(_EARLY, seconds * _EARLY_SHARE))

    def is_over(self) -> bool:
        """Whether it is time to get another."""
        return self.until is not None and time.monotonic() >= self.until


class Source(Protocol):
    """Where a grant comes from."""

    def blocking(self, *, refused: bool) -> Grant:
        """Get one; `refused` if the server did not accept the last."""

    async def awaiting(self, *, refused: bool) -> Grant:
        """`blocking`, awaiting."""

    def explain(self, error: BaseException) -> Exception | None:
        """What is raised for a failure; `None` if it concerns nobody but whom it happened to."""


_Pending: TypeAlias = "Future[Grant | BaseException | None]"


class TokenCache:
    """Holds the latest grant of one identity; those who need another at the same time share it.

    Thread-safe. Threads wait for threads and tasks for tasks, so that no event loop waits for itself.
    """

    def __init__(self) -> None:
        self._grant: Grant | None = None
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}

    def get(self, source: Source, refused: Grant | None) -> Work[Grant]:
        """The latest grant, or a new one if it is over or the one that was refused."""
        return Work(lambda: self._get(source, refused), lambda: self._aget(source, refused))

    def _get(self, source: Source, refused: Grant | None) -> Grant:
        while True:
            found, pending, mine = self._look("blocking", refused)
            if found is not None:
                return found
            if not mine:
                if (shared := _told(pending.result(), source)) is not None:
                    return shared
                continue
            try:
                grant = source.blocking(refused=refused is not None)
            except BaseException as error:
                if (explained := self._fail("blocking", pending, source, error)) is not None:
                    raise explained from error
                raise
            return self._succeed("blocking", pending, grant)

    async def _aget(self, source: Source, refused: Grant | None) -> Grant:
        while True:
            found, pending, mine = self._look("awaiting", refused)
            if found is not None:
                return found
            if not mine:
                # A future that runs cannot be cancelled: who gives up waiting takes nobody along.
                if (shared := _told(await asyncio.wrap_future(pending), source)) is not None:
                    return shared
                continue
            try:
                grant = await source.awaiting(refused=refused is not None)
            except BaseException as error:
                if (explained := self._fail("awaiting", pending, source, error)) is not None:
                    raise explained from error
                raise
            return self._succeed("awaiting", pending, grant)

    def _look(self, color: str, refused: Grant | None) -> tuple[Grant | None, _Pending, bool]:
        """A grant; or else what is to be waited for, and whether it is on the caller to get it."""
        with self._lock:
            grant = self._grant
            pending = self._pending.get(color)
            mine = pending is None
            if pending is None:
                pending = Future()
            if grant is not None and grant is not refused and not grant.is_over():
                return grant, pending, False
            if mine:
                pending.set_running_or_notify_cancel()
                self._pending[color] = pending
            return None, pending, mine

    def _succeed(self, color: str, pending: _Pending, grant: Grant) -> Grant:
        with self._lock:
            self._grant = grant
            del self._pending[color]
        pending.set_result(grant)
        return grant

    def _fail(
        self, color: str, pending: _Pending, source: Source, error: BaseException
    ) -> Exception | None:
        explained = source.explain(error)
        with self._lock:
            del self._pending[color]
        pending.set_result(None if explained is None else error)
        return explained


def _told(outcome: Grant | BaseException | None, source: Source) -> Grant | None:
    """What someone else got; `None` if he was stopped before he had anything."""
    if isinstance(outcome, BaseException):
        raise source.explain(outcome) or outcome from outcome
    return outcome


Grants: TypeAlias = tuple[Grant, ...]


class Credentials:
    """What someone shows with each call.

    Args:
        parts: Where it comes from; of two that give the same header, the later one counts.
    """

    def __init__(self, parts: Sequence[tuple[TokenCache, Source]]) -> None:
        self._parts = tuple(parts)

    def and_also(self, others: Credentials) -> Credentials:
        """These and others, which count where both give the same header."""
        return Credentials((*self._parts, *others._parts))

    def shown(self) -> Flow[Grants]:
        """What to show."""
        found = []
        for holder, source in self._parts:
            found.append((yield from holder.get(source, None)))
        return tuple(found)

    def renewed(self, refused: Grants) -> Flow[Grants]:
        """What to show instead of what was refused."""
        found = []
        for (holder, source), grant in zip(self._parts, refused, strict=True):
            found.append((yield from holder.get(source, grant)))
        return tuple(found)


def authorized(call: Call[Any], credentials: Credentials) -> Flow[Reply]:
    """Perform a call with credentials; if they are refused, once more with new ones.

    A header that the call itself brings stays as it is.
    """
    shown = yield from credentials.shown()
    own = showing(call, shown)
    reply: Reply = yield own
    if reply.status == HTTPStatus.UNAUTHORIZED:
        renewed = yield from credentials.renewed(shown)
        again = showing(call, renewed)
        if again.headers != own.headers:
            reply = yield again
    return reply


def showing(call: C, shown: Grants) -> C:
    """The call with what is shown; a header that the call itself brings stays as it is."""
    own = {name.lower() for name in call.headers}
    added = {
        name: value for grant in shown for name, value in grant.headers.items() if name not in own
    }
    return call.with_options(headers=added) if added else call
