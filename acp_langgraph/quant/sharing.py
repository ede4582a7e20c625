"""Many who wait share their polling: one list call tells all of them who has moved.

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
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.quant.models import ENDED, ToolExecutionList

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
