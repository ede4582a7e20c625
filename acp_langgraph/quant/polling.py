"""Waiting for something that only says how it is when asked, as a flow.

A look that fails in passing (no connection, 5xx, 429, an answer that cannot be read) is "not yet",
and `Retry-After` is honored. "No such thing" is "not yet" shortly after the start, and afterwards
means that the server keeps no record of it any more.

Many who wait share their polling: one list call tells all of them who has moved.
Each of them runs its own flow and asks here what to do next:

    Rest    for some seconds
    List    ask for the list of executions, on behalf of all, and post it here
    Look    at your own execution: it is done, or the list does not tell

So nobody is in charge, nothing runs in the background, and a waiter may come, go or be cancelled at
any time. Whoever is due first asks for the list; if it vanishes while asking, its turn ends after a
while and the next one takes it. All decisions are made from what is in this object and the clock:
there is no I/O here, and one object serves threads and event loops alike.

An execution that the list does not show (it holds the latest hundred) is looked at by itself, less
often. Where the list cannot be had at all, everybody looks by himself. One who waits alone never asks
for the list, for that would save nothing.
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, NoReturn, TypeAlias, TypeVar

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, OutOfTimeError, Pause, Progress, left_until, within
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.core.retry import asked_to_wait
from acp_langgraph.errors import (
    ApiException,
    NotFoundException,
    OpenApiException,
    RunExpiredError,
    RunTimeoutError,
)
from acp_langgraph.jobs.job import NOT_YET
from acp_langgraph.quant import calls
from acp_langgraph.quant.models import ENDED, ToolExecutionList


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look at something that is at work elsewhere, and when to give up.

    The first look comes after `shortest`, then the time between looks doubles up to `longest`; half
    of each is left to chance, so that many who wait do not all look at once.

    Attributes:
        shortest: Seconds between looks, at least.
        longest: Seconds between looks, at most.
        deadline: Seconds after the start at which waiting ends; `None`: never.
    """

    shortest: float
    longest: float
    deadline: float | None

    def __post_init__(self) -> None:
        if not 0 < self.shortest <= self.longest:
            raise ValueError("a pace needs 0 < shortest <= longest")
        if self.deadline is not None and self.deadline <= 0:
            raise ValueError("a deadline is a number of seconds above 0")

    def waits(self) -> Iterator[float]:
        """Seconds between looks, without end."""
        ceiling = self.shortest
        while True:
            yield random.uniform(max(self.shortest, ceiling / 2), ceiling)
            ceiling = min(self.longest, ceiling * 2)


# As the API's documentation recommends.
IMAGES: Final = Pace(2.0, 3.0, 300.0)
TOOLS: Final = Pace(1.0, 5.0, 300.0)
ORCHESTRATION: Final = Pace(2.0, 2.0, 600.0)
CHAT: Final = Pace(1.0, 30.0, 900.0)
# The documentation says nothing about tasks: people and agents work on them, for any time.
TASKS: Final = Pace(1.0, 15.0, None)


@dataclass(frozen=True, slots=True)
class QuantPolicy:
    """How patient to be, and what to do where nothing certain can be known.

    Attributes:
        pace: How often to look, and when to give up.
        grace: Seconds after the start for which "no such thing" means "not yet".
        patience: Seconds without any answer from the server after which waiting fails.
        retries: How often a request that may be repeated is tried again.
        on_unknown: What to do where it cannot be told whether something was started: `raise`
            UnknownOutcomeError, or `rerun` and accept that it may run twice.
        clock: Tells the time in seconds; must mean the same in every process.
    """

    pace: Pace
    grace: float = 30.0
    patience: float = 300.0
    retries: int = 3
    on_unknown: Literal["raise", "rerun"] = "raise"
    clock: Callable[[], float] = field(default=time.time, repr=False)


T = TypeVar("T")

_PAGE: Final = 100
_LAST_LOOK: Final = 2.0  # seconds
_ONE_LOOK: Final = 60.0  # seconds for how it is, with what it came to


class AtWorkError(Exception):
    """What is waited for is at work still, and was not to be waited for any longer now."""


@dataclass(frozen=True, slots=True)
class Subject(Generic[T]):
    """What is waited for.

    Attributes:
        kind: What it is, for people.
        id: Its id.
        call: Reads how it is.
        status: Says in a word how that is.
        since: When it was started, on the policy's clock.
        kept: How long the server keeps it, for people; empty if that is not documented.
        node: The node that waits.
    """

    kind: str
    id: str
    call: Call[T]
    status: Callable[[T], str]
    since: float
    kept: str = ""
    node: str = ""


def wait_until(
    subject: Subject[T],
    policy: QuantPolicy,
    is_settled: Callable[[T], bool],
    sharing: SharedPolling | None = None,
    hold: float | None = None,
) -> Flow[T]:
    """Look until it is settled.

    Args:
        subject: What is waited for.
        policy: How often to look, and for how long.
        is_settled: Whether what was read is what is waited for.
        sharing: Whom to share list calls with; the subject must then be a tool execution.
        hold: Seconds to wait at most, within the deadline; with 0, it is looked at once. `None` to wait
            until the deadline.

    Raises:
        AtWorkError: If it is not settled in the time to wait, and has not passed its deadline.
        RunTimeoutError: If it is not settled by the deadline. It goes on on the server.
        RunExpiredError: If the server does not know it, or no longer.
        OpenApiException: If the server refuses, or was not heard of for too long.
    """
    elapsed = max(0.0, policy.clock() - subject.since)
    polling = sharing or SharedPolling(policy.clock)
    deadline = None if policy.pace.deadline is None else subject.since + policy.pace.deadline
    until = deadline
    if hold is not None:
        until = min(policy.clock() + hold, math.inf if deadline is None else deadline)
    look = _Looks(subject, policy, is_settled)
    with polling.watch(subject.id, _waits(policy), elapsed) as watcher:
        until_settled = _until_settled(look, watcher, policy)
        try:
            return (yield from within(left_until(until, policy.clock), until_settled))
        except OutOfTimeError:
            pass
        seconds = _LAST_LOOK if hold is None else _ONE_LOOK
        last = left_until(policy.clock() + seconds, policy.clock)
        with suppress(OutOfTimeError):
            settled = yield from within(last, look.once())
            if settled:
                return settled[0]
    if hold is not None and (deadline is None or policy.clock() < deadline):
        raise AtWorkError
    if not look.seen and isinstance(look.problem, NotFoundException):
        _raise_expired(subject)
    _raise_late(subject, policy)


class _Looks(Generic[T]):
    """Looking at something, and what was seen.

    Attributes:
        seen: Whether the server ever knew it.
        problem: What went wrong with the latest look.
    """

    def __init__(
        self, subject: Subject[T], policy: QuantPolicy, is_settled: Callable[[T], bool]
    ) -> None:
        self.subject = subject
        self.seen = False
        self.problem: OpenApiException | None = None
        self._policy = policy
        self._is_settled = is_settled
        self._heard = policy.clock()

    def once(self) -> Flow[list[T]]:
        """Look; a list with the record if it is settled, or else an empty one."""
        clock, subject = self._policy.clock, self.subject
        try:
            record = yield from subject.call
        except NotFoundException as error:
            self.problem = error
            if self.seen or clock() - subject.since > self._policy.grace:
                _raise_expired(subject)
        except NOT_YET as error:
            self.problem = error
        else:
            self.problem, self.seen, self._heard = None, True, clock()
            if self._is_settled(record):
                return [record]
            yield from Progress("waiting", subject.id, {"status": subject.status(record)})
        return []

    def raise_if_hopeless(self) -> None:
        """Raise the latest problem if nothing was heard for too long."""
        if self.problem and self._policy.clock() - self._heard > self._policy.patience:
            raise self.problem


def _until_settled(look: _Looks[T], watcher: Watcher, policy: QuantPolicy) -> Flow[T]:
    while True:
        yield from _until_due(watcher, look.subject, policy)
        settled = yield from look.once()
        if settled:
            return settled[0]
        watcher.looked(not_before=asked_to_wait(look.problem))
        look.raise_if_hopeless()


def _waits(policy: QuantPolicy) -> Iterator[float]:
    return policy.pace.waits()


def _until_due(watcher: Watcher, subject: Subject[Any], policy: QuantPolicy) -> Flow[None]:
    """Pass the time until it makes sense to look."""
    while True:
        match watcher.polling.advise(watcher):
            case Look():
                return
            case List():
                yield from _list(watcher.polling, policy)
            case Rest(seconds):
                yield Pause(max(seconds, 0.0), may_leave=True)
                continue
        status = watcher.polling.status(subject.id)
        if status:
            yield from Progress("waiting", subject.id, {"status": status})


def _list(polling: SharedPolling, policy: QuantPolicy) -> Flow[None]:
    try:
        page = yield from calls.list_ai_tool_executions(limit=_PAGE)
    except NOT_YET as error:
        polling.postpone(max(policy.pace.longest, asked_to_wait(error)))
    except ApiException:
        polling.do_without()
    else:
        polling.learn(page)
    finally:
        polling.give_up_turn()  # also when this flow is closed in the middle


def _raise_expired(subject: Subject[Any]) -> NoReturn:
    kept = f"; it keeps them for {subject.kept}" if subject.kept else ""
    raise RunExpiredError(
        f"the server does not know the {subject.kind}, or no longer{kept}",
        node=subject.node,
        run_id=subject.id,
    ) from None


def _raise_late(subject: Subject[Any], policy: QuantPolicy) -> NoReturn:
    raise RunTimeoutError(
        f"the {subject.kind} was not done after {policy.pace.deadline} s; it goes on on the server, "
        "which cannot cancel it, and can be waited for again by its id",
        node=subject.node,
        run_id=subject.id,
    )


_TURN: Final = 30.0  # after so many seconds someone else may ask for the list
_SLOWER: Final = 3.0  # how many intervals between looks at what the list does not show
_WITHOUT_LIST: Final = 300.0  # how long to do without a list that was refused


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing for some seconds, then ask again."""

    seconds: float


@dataclass(frozen=True, slots=True)
class List:
    """Ask for the list of executions and post it."""


@dataclass(frozen=True, slots=True)
class Look:
    """Read the status of your own execution."""


Advice: TypeAlias = Rest | List | Look


class _Known:
    """What is known in one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: Counter[str] = Counter()
        self.statuses: Mapping[str, str] = {}
        self.listed_at = float("-inf")
        self.turn_ends = float("-inf")
        self.not_before = float("-inf")
        self.without_list_until = float("-inf")


class SharedPolling:
    """What those who wait in one organisation know together; thread-safe.

    Args:
        clock: Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._known = PerProcess(_Known)

    @contextmanager
    def watch(self, execution_id: str, waits: Iterator[float], elapsed: float) -> Iterator[Watcher]:
        """Count someone as waiting.

        Args:
            execution_id: For what.
            waits: Seconds from one look to the next.
            elapsed: For how long it has been at work already.
        """
        known = self._known.here()
        watcher = Watcher(self, execution_id, waits, next(waits), self.clock() - elapsed)
        with known.lock:
            known.waiting[execution_id] += 1
        try:
            yield watcher
        finally:
            with known.lock:
                known.waiting -= Counter([execution_id])

    def advise(self, watcher: Watcher) -> Advice:
        """What someone who waits should do now."""
        known, now = self._known.here(), self.clock()
        with known.lock:
            if now < watcher.not_before:
                return Rest(watcher.not_before - now)
            if len(known.waiting) < 2 or now < known.without_list_until:  # noqa: PLR2004 - alone
                due = watcher.looked_at + watcher.interval
                return Look() if now >= due else Rest(due - now)
            if known.listed_at > watcher.looked_at:
                status = known.statuses.get(watcher.execution_id)
                unseen = status is None and now >= watcher.looked_at + _SLOWER * watcher.interval
                if unseen or status in ENDED:
                    return Look()
            known_at = max(known.listed_at, watcher.looked_at)
            due = max(known_at + watcher.interval, known.not_before)
            if now < due:
                return Rest(due - now)
            if now < known.turn_ends:
                return Rest(min(watcher.interval / 4, known.turn_ends - now))
            known.turn_ends = now + _TURN
            return List()

    def learn(self, page: ToolExecutionList) -> None:
        """Post the list."""
        known = self._known.here()
        statuses = {item.execution_id: item.status for item in page.executions}
        with known.lock:
            known.listed_at, known.statuses = self.clock(), statuses
            known.turn_ends = float("-inf")

    def postpone(self, seconds: float) -> None:
        """The list cannot be had just now; nobody asks for it before these seconds are over."""
        known = self._known.here()
        with known.lock:
            known.listed_at, known.not_before = self.clock(), self.clock() + seconds
            known.turn_ends = float("-inf")

    def do_without(self) -> None:
        """The list is refused; for some minutes everybody looks by himself."""
        known = self._known.here()
        with known.lock:
            known.without_list_until = self.clock() + _WITHOUT_LIST
            known.turn_ends = float("-inf")

    def give_up_turn(self) -> None:
        """Whoever was asking for the list does so no more."""
        known = self._known.here()
        with known.lock:
            known.turn_ends = float("-inf")

    def status(self, execution_id: str) -> str | None:
        """What the latest list says of an execution."""
        return self._known.here().statuses.get(execution_id)


@dataclass(slots=True)
class Watcher:
    """One who waits.

    Attributes:
        polling: Together with whom.
        execution_id: For what.
        waits: Seconds from one look to the next.
        interval: Seconds until the next look.
        looked_at: When it looked last, or the work began.
        not_before: When the server allows the next look.
    """

    polling: SharedPolling = field(repr=False)
    execution_id: str
    waits: Iterator[float] = field(repr=False)
    interval: float
    looked_at: float
    not_before: float = float("-inf")

    def looked(self, *, not_before: float = 0.0) -> None:
        """Note that it looked, and for how many seconds the server asks not to."""
        self.looked_at = self.polling.clock()
        self.not_before = self.looked_at + not_before
        self.interval = next(self.waits)


_shared: weakref.WeakValueDictionary[str, SharedPolling] = weakref.WeakValueDictionary()
_shared_lock = PerProcess(threading.Lock)


def shared_polling(configuration: ApiClientConfiguration) -> SharedPolling:
    """The polling shared by everyone in this process with the same organisation and credentials."""
    headers = sorted(configuration.auth_headers().items())
    who = hashlib.sha256(repr((configuration.base_url, headers)).encode()).hexdigest()
    with _shared_lock.here():
        polling = _shared.get(who)
        if polling is None:
            polling = _shared[who] = SharedPolling()
        return polling
