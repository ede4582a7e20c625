"""Which threads of a checkpointer are to be looked at: those that are suspended, and those whose waker died.

Of PostgreSQL and SQLite they are asked for, some at a time: the newest checkpoint of a thread has a write for each
interrupt, and whoever wakes a thread leaves a note while it is at it. Whatever else keeps checkpoints is listed,
which reads all of them; there the metadata of a checkpoint tell that a waker made it.

That a checkpoint has such a write says only that it is worth a look: it stays when the interrupt was answered, until
the step is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.runnables import RunnableConfig

from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.nodes.langgraph import INTERRUPT
from acp_langgraph.nodes.suspending import WOKEN, Wait
from acp_langgraph.waking.savers import kind_of, rows

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thread that is to be looked at.

    Attributes:
        thread_id: Its id.
        waits: What it was suspended for when it was last stored.
        checkpoint_id: Where it was then.
        is_woken: Whether who woke it may have died at it.
    """

    thread_id: str
    waits: tuple[Wait, ...]
    checkpoint_id: str
    is_woken: bool


def find(saver: Any, after: str) -> Flow[tuple[list[Candidate], str | None]]:
    """Threads that may be suspended, some at a time; and after which the next are, if there are more."""
    kind = kind_of(saver)
    if kind in {"postgres", "sqlite"}:
        which, after = (after[0], after[1:]) if after else (_SUSPENDED, "")
        query = _FIND[kind][which]
        page, last = _candidates((yield from rows(saver, query, (after, _PAGE))), saver)
        if last is not None:
            return page, which + last
        return page, _LEFT if which == _SUSPENDED else None

    async def listed() -> list[Candidate]:
        return list(_of_tuples([each async for each in saver.alist(None)]))

    return (yield from Work(lambda: list(_of_tuples(saver.list(None))), listed)), None


_SUSPENDED, _LEFT = "s", "l"  # those that wait, and then those that are in a waker's hand
_IN_HAND: Final = "acp_langgraph: in a waker's hand"
"""A thread that there is not; the writes of its checkpoints, which there are not either, are the notes."""
# The first so many are taken before it is asked which are of the newest checkpoint: asked the other way round,
# PostgreSQL would look that up for all of them, and for each page again.
_THOSE_SUSPENDED: Final = (
    "SELECT w.thread_id, w.checkpoint_id, w.type, w.{value}, w.checkpoint_id = (SELECT max(c.checkpoint_id) "  # noqa: S608 - of names
    "FROM checkpoints c WHERE c.thread_id = w.thread_id AND c.checkpoint_ns = '') FROM "
    "(SELECT thread_id, checkpoint_id, type, {value} FROM {writes} WHERE thread_id > %s "
    f"AND checkpoint_ns = '' AND channel = '{INTERRUPT}' ORDER BY thread_id LIMIT %s) AS w "
    "ORDER BY w.thread_id"
)
_THOSE_LEFT: Final = (
    "SELECT w.checkpoint_id, '', NULL, NULL, NULL FROM {writes} w WHERE w.checkpoint_ns = '' "
    "AND w.checkpoint_id > %s AND w.thread_id = '{in_hand}' ORDER BY w.checkpoint_id LIMIT %s"
)
_LET_GO: Final = (
    "DELETE FROM {writes} WHERE thread_id = '{in_hand}' AND checkpoint_id = %s RETURNING idx"
)


def _queries(**names: str) -> dict[str, str]:
    names["in_hand"] = _IN_HAND.replace("'", "''")
    templates = {_SUSPENDED: _THOSE_SUSPENDED, _LEFT: _THOSE_LEFT, _IN_HAND: _LET_GO}
    return {name: template.format(**names) for name, template in templates.items()}


_FIND: Final = {
    "postgres": _queries(writes="checkpoint_writes", value="blob"),
    "sqlite": _queries(writes="writes", value="value"),
}


def take(saver: Any, thread_id: str) -> Flow[None]:
    """Note that a waker has a thread in hand, should it die at it."""
    if kind_of(saver) in _FIND:
        place = {"thread_id": _IN_HAND, "checkpoint_ns": "", "checkpoint_id": thread_id}
        config: RunnableConfig = {"configurable": place}
        writes = [("in_hand", None)]
        yield from Work(
            lambda: saver.put_writes(config, writes, "waker"),
            lambda: saver.aput_writes(config, writes, "waker"),
        )


def let_go(saver: Any, thread_id: str) -> Flow[None]:
    """Take the note away."""
    kind = kind_of(saver)
    if kind in _FIND:
        yield from rows(saver, _FIND[kind][_IN_HAND], (thread_id,))


def _candidates(found: list[tuple[Any, ...]], saver: Any) -> tuple[list[Candidate], str | None]:
    """The threads in rows that are in their order; the last of a full page may go on on the next."""
    threads: dict[str, list[tuple[Any, ...]]] = {}
    for row in found:
        threads.setdefault(row[0], []).append(row)
    after = None
    if len(found) == _PAGE:
        last = next(reversed(threads))
        if len(threads) > 1:
            del threads[last]
            last = next(reversed(threads))
        after = last
    loads = saver.serde.loads_typed
    found_in = (_candidate(thread, of_it, loads) for thread, of_it in threads.items())
    return [each for each in found_in if each.waits or each.is_woken], after


def _candidate(
    thread_id: str, found: list[tuple[Any, ...]], loads: Callable[[tuple[str, bytes]], Any]
) -> Candidate:
    written = [loads((kind, value)) for _, _, kind, value, is_newest in found if is_newest]
    is_left = any(kind is None for _, _, kind, _, _ in found)
    return Candidate(thread_id, _waits(written), found[-1][1], is_left)


def _of_tuples(found: Iterable[Any]) -> Iterator[Candidate]:
    """The threads of checkpoints, the newest of each first."""
    seen: set[str] = set()
    for each in found:
        at = each.config["configurable"]
        thread_id = str(at["thread_id"])
        if at.get("checkpoint_ns") or thread_id in seen:
            continue
        seen.add(thread_id)
        written = [value for _, channel, value in each.pending_writes or () if channel == INTERRUPT]
        waits, is_woken = _waits(written), bool((each.metadata or {}).get(WOKEN))
        if waits or is_woken:
            yield Candidate(thread_id, waits, at["checkpoint_id"], is_woken)


def _waits(written: Iterable[Any]) -> tuple[Wait, ...]:
    interrupts = (
        each
        for value in written
        for each in (value if isinstance(value, (list, tuple)) else (value,))
    )
    return tuple(wait for each in interrupts if (wait := Wait.of(each)) is not None)
