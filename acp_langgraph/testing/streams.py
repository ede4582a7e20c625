"""The stream of a run, as bytes of server-sent events."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from acp_langgraph.testing.behavior import Wire
from acp_langgraph.testing.runs import FakeRun

__all__ = ["stream_run"]

_KEEP_ALIVE = 10.0
_MODES = frozenset({"values", "custom"})


def stream_run(
    run: FakeRun,
    position: int,
    wire: Wire,
    advance: Callable[[], None],
    hold: Callable[[Callable[[], bool], float], bool],
) -> Iterator[bytes]:
    """The bytes of a run's stream, event by event.

    Args:
        run: The run.
        position: Which of its updates comes first.
        wire: Writes events in the server's style.
        advance: Lets the runs go on.
        hold: Waits for a condition, for some seconds; whether it came true.
    """
    agntcy = wire.behavior.stream_style == "agntcy"
    asked = run.creation.get("stream_mode") or _MODES
    unwanted = _MODES.difference([asked] if isinstance(asked, str) else asked)
    number = 1 if agntcy else position + 1

    def moved() -> bool:
        advance()
        return len(run.updates) > position or not run.running

    while True:
        if not hold(moved, _KEEP_ALIVE):
            yield wire.keep_alive()
            continue
        settled, updates = not run.running, run.updates[position:]
        for update in updates:
            events = [] if update.kind in unwanted else list(wire.update(run, update, number))
            number += len(events) if agntcy else 1
            yield from events
        position += len(updates)
        if settled:
            break
    while agntcy and updates and updates[-1].kind == "error":
        hold(lambda: False, _KEEP_ALIVE)
        yield wire.keep_alive()
