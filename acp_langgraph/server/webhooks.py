"""Telling a client's URL of every change of a run's status.

A notice is stored in the transaction that changes the status, and sent by a task of its own: a run
never waits for it, and a stop or a kill of the server loses none. What is not accepted with a 2xx is
sent again with growing pauses. The notices of one run are sent one after another, in order. Every
receiver has a lane of its own, so that one that is slow delays no other; one that failed last is sent
one notice at a time, and shares few connections with its like.

A notice holds the run's ids, times and status (the specification's `Run`), and nothing of what was
sent or came out: that can be read by whoever has a key. It is signed as `core.webhooks` says.

The URL comes from a client, who must not be able to make the server call into the network that it
stands in. So by default only public addresses are called (`addresses`), redirects are not followed,
and proxies are not asked. `WebhookPolicy` lets in whoever else is trusted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, Final

import aiohttp
from pydantic_core import from_json, to_json
from yarl import URL

from acp_langgraph.core.webhooks import key_of, signed
from acp_langgraph.server.addresses import connector, is_address, is_public
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
_LANES: Final = "CREATE INDEX IF NOT EXISTS webhooks_of_receiver ON webhooks (receiver, due)"
_DUE: Final = """
SELECT id, run_id, url, body, attempts, due FROM webhooks AS notice WHERE receiver = ?
AND id = (SELECT min(id) FROM webhooks WHERE run_id = notice.run_id) ORDER BY due LIMIT ?
"""
_TOLD: Final = ("run_id", "agent_id", "thread_id", "created_at", "updated_at", "status")
_AT_ONCE: Final = 16  # notices to one receiver
_WELL: Final = 256  # notices to all receivers of whom nothing bad is known
_ILL: Final = 32  # to all others
_LONGEST_PAUSE: Final = 3600.0  # seconds
_LATEST: Final = 1.25  # of a pause
_LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """Where webhooks may point, how they are signed, and how often they are tried.

    Attributes:
        allow: `"public"` for every address on the public internet; an origin, such as
            `http://hooks.internal:8080`, for that server wherever it is; `"*"` for any address.
            Empty: there are no webhooks, and runs that name one are executed without.
        secret: What notices are signed with (`whsec_...`), as Standard Webhooks says; two while it
            is being changed. `None` leaves them unsigned: then a receiver must read the run before
            it believes anything.
        attempts: How often a notice is sent until it is given up.
        first_pause: Seconds before the second attempt; doubled before every further one, at most
            an hour.
        timeout: Seconds that an attempt may take.
        waiting: Notices that may wait for one receiver; further ones are dropped.

    Raises:
        ValueError: If an origin or a secret is none.
    """

    allow: Sequence[str] = ("public",)
    secret: str | Sequence[str] | None = field(default=None, repr=False)
    attempts: int = 12
    first_pause: float = 1.0
    timeout: float = 10.0
    waiting: int = 10_000

    def __post_init__(self) -> None:
        for each in self.allow:
            if each not in {"public", "*"} and receiver_of(each) is None:
                raise ValueError(
                    f"webhooks: {each!r} is no origin; write 'public', '*' or http://host:port"
                )
        _keys(self.secret)

    def check(self, url: str) -> None:
        """Refuse a URL that can be seen not to be allowed.

        Raises:
            Problem: 422.
        """
        if len(url) > _LONGEST_URL or (receiver := receiver_of(url)) is None:
            raise invalid("webhook: must be an http or https URL without credentials")
        if self.is_trusted(receiver):
            return
        if "public" not in self.allow:
            raise invalid("webhook: this server sends notices only to servers that it was told of")
        if not _may_be_public(URL(receiver).host or ""):
            raise invalid("webhook: this server sends notices only to public addresses")

    def is_trusted(self, url: str) -> bool:
        """Whether a URL may be called wherever it leads."""
        receiver = receiver_of(url)
        return any(each == "*" or receiver_of(each) == receiver for each in self.allow)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is to be sent to a webhook.

    Attributes:
        run_id: The run whose status changed.
        url: Where to.
        receiver: The origin of that.
        body: What is told of the run, as JSON.
        most: Notices that may wait for the receiver.
    """

    run_id: str
    url: str
    receiver: str
    body: bytes
    most: int

    def keep(self, connection: sqlite3.Connection) -> None:
        """Store the notice; part of the job that changes the status."""
        connection.execute(
            "INSERT INTO webhooks (run_id, url, receiver, body, due) SELECT ?, ?, ?, ?, ? "
            "WHERE (SELECT count(*) FROM (SELECT 1 FROM webhooks WHERE receiver = ? LIMIT ?)) < ?",
            (
                self.run_id,
                self.url,
                self.receiver,
                self.body,
                time.time(),
                self.receiver,
                self.most,
                self.most,
            ),
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
        self._lanes: dict[str, _Lane] = {}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by whether it goes anywhere
        self._well, self._ill = asyncio.Semaphore(_WELL), asyncio.Semaphore(_ILL)
        self._keys = _keys(policy.secret)
        self._started = self._closed = False

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables, or bring them up to date; to be done while the database is opened."""
        connection.executescript(_SCHEMA)
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(webhooks)")]
        if "receiver" not in columns:
            connection.execute("ALTER TABLE webhooks ADD COLUMN receiver TEXT")
            old = connection.execute("SELECT id, url, body FROM webhooks").fetchall()
            for id_, url, body in old:
                with suppress(ValueError, TypeError):  # else it is nothing that could be sent
                    connection.execute(
                        "UPDATE webhooks SET receiver = ?, body = ? WHERE id = ?",
                        (receiver_of(url), _told(from_json(body)), id_),
                    )
        connection.execute("DELETE FROM webhooks WHERE receiver IS NULL")
        connection.execute(_LANES)

    def notice(self, run: RunRecord) -> Notice | None:
        """What to send of a run whose status has just changed, if its client asked for it."""
        url = run.creation.get("webhook")
        receiver = receiver_of(url) if url and self.policy.allow else None
        if url is None or receiver is None:
            return None
        return Notice(run.run_id, url, receiver, _told(run_json(run)), self.policy.waiting)

    async def start(self) -> None:
        """Send what is due, from now on."""
        self._started = True
        waiting = await self._database.run(
            lambda connection: connection.execute(
                "SELECT DISTINCT receiver FROM webhooks"
            ).fetchall()
        )
        for (receiver,) in waiting:
            self.wake(receiver)

    def wake(self, receiver: str) -> None:
        """Say that a notice was stored."""
        if self._closed or not self._started:
            return
        if receiver not in self._lanes:
            lane = self._lanes[receiver] = _Lane(receiver)
            lane.task = asyncio.create_task(self._serve(lane), name="acp-webhooks")
            lane.task.add_done_callback(partial(self._served, lane))
        self._lanes[receiver].news.set()

    async def close(self) -> None:
        """Send nothing more; what is not yet accepted waits for the next start."""
        self._closed = True
        tasks = [lane.task for lane in self._lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in self._sessions.values():
            await session.close()

    async def _serve(self, lane: _Lane) -> None:
        """Send the notices of one receiver, until there are none."""
        while True:
            lane.news.clear()
            rows = await self._database.run(partial(_due, lane.receiver, lane.width))
            now = time.time()
            due = [row for row in rows if self._is_due(row, now)]
            if due:
                await asyncio.gather(*(self._send(lane, row) for row in due))
            elif rows:
                await _within(rows[0][5] - now, lane.news.wait)
            elif not lane.news.is_set():
                del self._lanes[lane.receiver]  # whoever wakes it from now on makes a new one
                return

    def _served(self, lane: _Lane, task: asyncio.Task[None]) -> None:
        if self._lanes.get(lane.receiver) is lane:
            del self._lanes[lane.receiver]
        if not task.cancelled() and (error := task.exception()):
            level = logging.DEBUG if isinstance(error, DatabaseError) else logging.ERROR
            _log.log(level, "webhooks to %s could not be seen to", lane.receiver, exc_info=error)
            if not isinstance(error, DatabaseError):
                asyncio.get_running_loop().call_later(_AFTER_FAILURE, self.wake, lane.receiver)

    async def _send(self, lane: _Lane, row: tuple[Any, ...]) -> None:
        id_, run_id, url, body, attempts, _ = row
        async with self._well if lane.well else self._ill:
            accepted, final = await self._attempt(lane.receiver, url, body)
        lane.note(accepted or final)
        if accepted or final or attempts + 1 >= self.policy.attempts:
            if not accepted:
                _log.warning("the webhook of run %s was given up", run_id)
            await self._database.run(partial(_done_with, id_))
            return
        due = time.time() + self._pause(attempts) * random.uniform(0.75, _LATEST)
        await self._database.run(partial(_put_off, id_, due))

    def _pause(self, attempts: int) -> float:
        return float(min(self.policy.first_pause * 2**attempts, _LONGEST_PAUSE))

    def _is_due(self, row: tuple[Any, ...], now: float) -> bool:
        """Whether a notice is to be sent; also if the clock was put back since that was decided."""
        *_, attempts, due = row
        return not attempts or not 0 < due - now <= _LATEST * self._pause(attempts - 1)

    async def _attempt(self, receiver: str, url: str, body: bytes) -> tuple[bool, bool]:
        """Whether a notice was accepted, and whether trying again is useless."""
        trusted = self.policy.is_trusted(receiver)
        if not trusted and not self._may_go_to(receiver):
            return False, True  # stored under another policy
        headers = signed(self._keys, f"msg_{sha256(body).hexdigest()[:32]}", body)
        try:
            async with self._session(trusted=trusted).post(
                URL(url), data=body, headers=headers, allow_redirects=False
            ) as answer:
                return 200 <= answer.status < 300, answer.status == 410  # noqa: PLR2004 - HTTP
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            _log.info("a webhook was not reached: %s", type(error).__name__)
            return False, isinstance(error, aiohttp.InvalidURL)

    def _session(self, *, trusted: bool) -> aiohttp.ClientSession:
        """Connections to those that may be anywhere, or to public addresses; made when they are needed."""
        if trusted not in self._sessions:
            self._sessions[trusted] = aiohttp.ClientSession(
                connector=connector(public_only=not trusted),
                timeout=aiohttp.ClientTimeout(total=self.policy.timeout),
                headers={"content-type": "application/json", "user-agent": "acp-langgraph"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._sessions[trusted]

    def _may_go_to(self, receiver: str) -> bool:
        return "public" in self.policy.allow and _may_be_public(URL(receiver).host or "")


_AFTER_FAILURE: Final = 60.0  # seconds


class _Lane:
    """What is known of one receiver, as long as there is anything to send to it."""

    def __init__(self, receiver: str) -> None:
        self.receiver = receiver
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.well = True
        self.width = 1

    def note(self, well: bool) -> None:
        """Note how an attempt went: who is well is sent more at once, who is not, one."""
        self.well = well
        self.width = min(2 * self.width, _AT_ONCE) if well else 1


@lru_cache(1024)
def receiver_of(url: str) -> str | None:
    """The origin of a URL, as the client reads it that will be given it; `None` if it has none."""
    try:
        read = URL(url)
        if read.scheme not in {"http", "https"} or not read.host or read.user or read.password:
            return None
        return str(read.origin()) if read.port else None
    except ValueError:
        return None


def _keys(secret: str | Sequence[str] | None) -> list[bytes]:
    return [key_of(each) for each in ([secret] if isinstance(secret, str) else secret or ())]


def _may_be_public(host: str) -> bool:
    """Whether a host is a public address, or a name, which is judged when it is connected to."""
    if is_address(host):
        return is_public(host)
    name = host.rstrip(".").lower()
    last = name.rpartition(".")[2]  # the C library takes numbers for addresses
    return name != "localhost" and not (last.isdecimal() or last.startswith("0x"))


def _told(run: dict[str, Any]) -> bytes:
    return to_json({name: run[name] for name in _TOLD if name in run})


def _due(receiver: str, most: int, connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(_DUE, (receiver, most)).fetchall()


def _done_with(id_: int, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM webhooks WHERE id = ?", (id_,))


def _put_off(id_: int, due: float, connection: sqlite3.Connection) -> None:
    connection.execute(
        "UPDATE webhooks SET attempts = attempts + 1, due = ? WHERE id = ?", (due, id_)
    )


async def _within(seconds: float, event: Callable[[], Awaitable[Any]]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event()
    except TimeoutError:
        pass
