"""Going on with a thread that is suspended, so that it does not matter who does, how often, and who dies at it.

All of it happens under the thread's lock, and begins with reading how the thread is: what somebody was told, or
knew a moment ago, says only that it is worth a look. Then its runs are looked at, and those that are done,
ask, or have taken too long are woken at once, each by its interrupt's id, so that no answer is taken for
another question's.

Who wakes a thread leaves a note in the checkpoints that it makes. A thread with that note, whose lock is free
and in which somebody seems to be at work, is one that its waker died at: it is entered again. Without the note
it is in the hands of whoever invoked it, and left alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from enum import Enum
from typing import Final

from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import AcpLangGraphError, NotFoundException
from acp_langgraph.jobs.job import NOT_YET
from acp_langgraph.nodes.suspending import Wait
from acp_langgraph.waking.threads import Threads, ThreadView

_log = logging.getLogger("acp_langgraph.waking")

_UNSEEN_FOR: Final = (
    600.0  # seconds after which a run is asked for by its graph, if nobody else can
)


class Woken(Enum):
    """What came of a thread that was looked at."""

    GONE = "nothing of it is stored, yet or any more"
    NOT_YET = "somebody is at work in it"
    NOTHING = "it waits for nothing"
    AT_WORK = "what it waits for is at work"
    WOKEN = "it went on"


def wake(
    threads: Threads, thread_id: str, hints: Collection[str] = (), *, was_taken: bool = False
) -> Flow[Woken]:
    """Go on with a thread, if there is anything to go on with.

    Args:
        threads: Where it is.
        thread_id: The thread.
        hints: The keys of jobs that are said to be done.
        was_taken: Whether there is a note that another waker was at it.

    Raises:
        Exception: What the graph raises; it is stored with the thread as well.
    """

    def locked() -> Flow[Woken]:
        came = yield from _wake(threads, thread_id, hints)
        if was_taken and came in {Woken.NOTHING, Woken.AT_WORK, Woken.GONE}:
            yield from threads.let_go(thread_id)
        return came

    return threads.locked(thread_id, locked)


def _wake(threads: Threads, thread_id: str, hints: Collection[str]) -> Flow[Woken]:
    view = yield from threads.read(thread_id)
    if view is None:
        return Woken.GONE
    if view.has_failed or view.is_over:
        return Woken.NOTHING
    if view.is_entered and not was_left(view):
        return Woken.NOTHING if view.is_paused else Woken.NOT_YET
    if view.is_entered or view.is_stuck:
        yield from threads.go_on(thread_id)
        return Woken.WOKEN
    ready: list[Wait] = []
    for wait in view.waits:
        ready += [wait] if (yield from is_ready(threads, thread_id, wait, hints)) else []
    if ready:
        was_woken = yield from threads.resume(thread_id, ready)
        return Woken.WOKEN if was_woken else Woken.NOT_YET
    return Woken.AT_WORK if view.waits else Woken.NOTHING


def was_left(view: ThreadView) -> bool:
    """Whether who woke a thread has died at it, if nobody has its lock."""
    return view.is_woken and view.is_entered and not view.is_paused


def is_ready(
    threads: Threads, thread_id: str, wait: Wait, hints: Collection[str] = ()
) -> Flow[bool]:
    """Whether a wait is over: its run is done, asks, or has taken too long.

    Where none of the nodes here can look, only a hint tells, or time: the graph's own node does then.
    """
    now = time.time()
    if wait.due is not None and now > wait.due:
        return True
    try:
        is_at_work = yield from threads.look(thread_id, wait)
    except NotFoundException:
        return True  # which is for the node to judge
    except NOT_YET:
        return False
    except AcpLangGraphError as error:
        _log.warning(
            "thread %s: how run %s is could not be asked: %s", thread_id, wait.run_id, error
        )
        is_at_work = None
    if is_at_work is None:
        return wait.key in hints or now - wait.since > _UNSEEN_FOR
    return not is_at_work
