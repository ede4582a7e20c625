"""Ending a remote run from here, also one whose id is not known yet."""

from __future__ import annotations

from typing import Final

from acp_langgraph.acp.lookup import find_run
from acp_langgraph.acp.order import RunOrder, RunPolicy, ServerHabits
from acp_langgraph.core.deadlines import OutOfTimeError, within
from acp_langgraph.core.flow import Flow, Pause, Progress
from acp_langgraph.errors import NotFoundException, OpenApiException

__all__ = ["cancel_run"]

_LOOKS_FOR_A_LATE_RUN: Final = (0.1, 0.2, 0.4, 0.8, 0.0)


def cancel_run(
    order: RunOrder,
    run_id: str | None,
    server: ServerHabits | None = None,
    longest: float = 10.0,
) -> Flow[bool]:
    """End a run; one without a known id is looked up by its key.

    The request that creates it may still be on its way, so it is looked for more than once.

    Args:
        order: What was to be run.
        run_id: The run, if it is known.
        server: What was found out about the server.
        longest: Seconds that it may take.

    Returns:
        Whether the server has ended it, or there is none. Some servers cannot cancel.
    """
    policy = RunPolicy(on_unknown="rerun", retries=2, server=server or ServerHabits())
    until = policy.clock() + longest
    try:
        return (yield from within(lambda: until - policy.clock(), _cancel(order, run_id, policy)))
    except NotFoundException:
        return True
    except (OpenApiException, OutOfTimeError):
        return False


def _cancel(order: RunOrder, run_id: str | None, policy: RunPolicy) -> Flow[bool]:
    for wait in _LOOKS_FOR_A_LATE_RUN:
        if run_id is None:
            run = yield from find_run(order, policy)
            run_id = run.run_id if run is not None else None
        if run_id is not None:
            break
        yield Pause(wait)
    if run_id is None:
        return True
    yield Progress("cancelling", run_id)
    yield from policy.repeat(order.cancel(run_id))
    return True
