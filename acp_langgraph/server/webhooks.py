"""Telling a client's URL of every change of a run's status.

A notice is stored in the transaction that changes the status, and sent by a task of its own: a run
never waits for it, and a stop or a kill of the server loses none. What is not accepted with a 2xx is
sent again with growing pauses. The notices of one run are sent one after another, in order.

The URL comes from a client, who must not be able to make the server call into the network that it
stands in. So by default only public addresses are called: what a name resolves to is judged at the
moment of connecting, redirects are not followed, and proxies are not asked. `WebhookPolicy` lets in
whoever else is trusted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AddressFamily
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic_core import to_json

from acp_langgraph.server.database import Database, DatabaseError
from acp_langgraph.server.records import RunRecord
from acp_langgraph.server.wire import invalid, run_json

_log = logging.getLogger(__name__)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS webhooks (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    url TEXT NOT NULL,
    body BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL             -- seconds since 1970
);
CREATE INDEX IF NOT EXISTS webhooks_of_run ON webhooks (run_id, id);
"""
_DUE: Final = """
SELECT id, run_id, url, body, attempts, due FROM webhooks AS notice
WHERE id = (SELECT min(id) FROM webhooks WHERE run_id = notice.run_id) ORDER BY due LIMIT ?
"""
_AT_ONCE: Final = 32
_LONGEST_PAUSE: Final = 3600.0  # seconds
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """Where webhooks may point, and how often they are tried.

    Attributes:
        allow: `"public"` for every address on the public internet; an origin, such as
            `http://hooks.internal:8080`, for that server wherever it is; `"*"` for any address.
            Empty: there are no webhooks, and runs that name one are executed without.
        attempts: How often a notice is sent until it is given up.
        first_pause: Seconds before the second attempt; doubled before every further one, at most
            an hour.
        timeout: Seconds that an attempt may take.

    Raises:
        ValueError: If an origin is none.
    """

    allow: Sequence[str] = ("public",)
    attempts: int = 12
    first_pause: float = 1.0
    timeout: float = 10.0

    def __post_init__(self) -> None:
        for each in self.allow:
            if each not in {"public", "*"} and _origin(urlsplit(each)) is None:
                raise ValueError(
                    f"webhooks: {each!r} is no origin; write 'public', '*' or http://host:port"
                )

    def check(self, url: str) -> None:
        """Refuse a URL that can be seen not to be allowed.

        Raises:
            Problem: 422.
        """
        try:
            parts = urlsplit(url)
            origin = _origin(parts)
        except ValueError:
            origin = None
        if origin is None or parts.username is not None:
            raise invalid("webhook: must be an http or https URL without credentials")
        if not self.is_trusted(url) and "public" not in self.allow:
            raise invalid("webhook: this server sends notices only to servers that it was told of")
        if not self.is_trusted(url) and not _may_be_public(parts.hostname or ""):
            raise invalid("webhook: this server sends notices only to public addresses")

    def is_trusted(self, url: str) -> bool:
        """Whether a URL may be called wherever it leads."""
        origin = _origin(urlsplit(url))
        return any(each == "*" or _origin(urlsplit(each)) == origin for each in self.allow)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be sent to a webhook.

    Attributes:
        run_id: The run whose status changed.
        url: Where to.
        body: The run, as JSON.
    """

    run_id: str
    url: str
    body: bytes

    def keep(self, connection: sqlite3.Connection) -> None:
        """Store the notice; part of the job that changes the status."""
        connection.execute(
            "INSERT INTO webhooks (run_id, url, body, due) VALUES (?, ?, ?, ?)",
            (self.run_id, self.url, self.body, time.time()),
        )


class Webhooks:
    """Sends notices.

    Args:
        database: Where they are kept; opened before the first use.
        policy: Where they may go.
    """

    def __init__(self, database: Database, policy: WebhookPolicy) -> None:
        self.policy = policy
        self._database = database
        self._news = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._sender: asyncio.Task[None] | None = None

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables; to be done while the database is opened."""
        connection.executescript(_SCHEMA)

    def notice(self, run: RunRecord) -> Notice | None:
        """What to send of a run whose status has just changed, if its client asked for it."""
        url = run.creation.get("webhook")
        if not url or not self.policy.allow:
            return None
        return Notice(run.run_id, url, to_json(run_json(run)))

    def start(self) -> None:
        """Send what is due, from now on."""
        self._sender = asyncio.create_task(self._send_all(), name="acp-webhooks")

    def wake(self) -> None:
        """Say that a notice was stored."""
        self._news.set()

    async def close(self) -> None:
        """Send nothing more; what is not yet accepted waits for the next start."""
        tasks = [*self._sending.values(), *([self._sender] if self._sender else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self) -> None:
        async with (
            _session(self.policy, aiohttp.DefaultResolver()) as trusted,
            _session(self.policy, _PublicOnly()) as public,
        ):
            while True:
                self._news.clear()
                now = time.time()
                pause = _LONGEST_PAUSE
                for row in await self._database.run(_due):
                    if row[1] in self._sending:
                        continue
                    if row[5] > now:
                        pause = row[5] - now
                        break
                    session = trusted if self.policy.is_trusted(row[2]) else public
                    self._send(session, row)
                await _within(pause, self._news.wait)

    def _send(self, session: aiohttp.ClientSession, row: tuple[Any, ...]) -> None:
        id_, run_id, url, body, attempts, _ = row

        async def send() -> None:
            accepted, final = await self._attempt(session, url, body)
            if accepted or final or attempts + 1 >= self.policy.attempts:
                if not accepted:
                    _log.warning("the webhook of run %s was given up", run_id)
                await self._database.run(
                    lambda connection: (
                        connection.execute("DELETE FROM webhooks WHERE id = ?", (id_,)).rowcount
                    )
                )
                return
            pause = min(self.policy.first_pause * 2**attempts, _LONGEST_PAUSE)
            due = time.time() + pause * random.uniform(0.75, 1.25)
            await self._database.run(
                lambda connection: (
                    connection.execute(
                        "UPDATE webhooks SET attempts = attempts + 1, due = ? WHERE id = ?",
                        (due, id_),
                    ).rowcount
                )
            )

        task = self._sending[run_id] = asyncio.create_task(send())
        task.add_done_callback(lambda done: self._sent(run_id, done))

    def _sent(self, run_id: str, task: asyncio.Task[None]) -> None:
        del self._sending[run_id]
        if not task.cancelled() and (error := task.exception()):
            closed = isinstance(error, DatabaseError)
            _log.log(
                logging.DEBUG if closed else logging.ERROR,
                "the webhook of run %s could not be seen to",
                run_id,
                exc_info=error,
            )
        self._news.set()

    async def _attempt(
        self, session: aiohttp.ClientSession, url: str, body: bytes
    ) -> tuple[bool, bool]:
        """Whether a notice was accepted, and whether trying again is useless."""
        if not self.policy.is_trusted(url) and not _may_be_public(urlsplit(url).hostname or ""):
            return False, True  # stored under another policy
        try:
            async with session.post(url, data=body, allow_redirects=False) as answer:
                return 200 <= answer.status < 300, answer.status == 410  # noqa: PLR2004 - HTTP
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            _log.info("a webhook was not reached: %s", type(error).__name__)
            return False, isinstance(error, aiohttp.InvalidURL)


class _PublicOnly(AbstractResolver):
    """Resolves names, but only to addresses on the public internet."""

    def __init__(self) -> None:
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [each for each in found if _may_be_public(each["host"])]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def _session(policy: WebhookPolicy, resolver: AbstractResolver) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, limit=_AT_ONCE),
        timeout=aiohttp.ClientTimeout(total=policy.timeout),
        headers={"content-type": "application/json", "user-agent": "acp-langgraph"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _may_be_public(host: str) -> bool:
    """Whether a host is a public address, or a name, which is judged when it is resolved."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return not _is_number(host) and host.rstrip(".").lower() != "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return (mapped or address).is_global and not address.is_multicast


def _is_number(host: str) -> bool:
    """Whether the C library may take a host for an IPv4 address in another spelling."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdecimal() or last.startswith("0x")


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _due(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(_DUE, (2 * _AT_ONCE,)).fetchall()


async def _within(seconds: float, event: Callable[[], Awaitable[Any]]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event()
    except TimeoutError:
        pass
