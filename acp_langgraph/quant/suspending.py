"""Waits of Quant's that hold nothing: the graph is suspended while something is at work there.

As `acp_langgraph.jobs.waiting` has it: the step that waits comes to `suspended`, the graph stops, and whoever
is woken looks, whatever it was woken with. The API calls no webhooks, so that only a sweeper wakes. A server that
is away, or refuses for a moment, means "not yet"; only the deadline ends that, which counts while nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Ask, Flow, Progress, Step
from acp_langgraph.errors import ApiValueError
from acp_langgraph.jobs.job import Sighting
from acp_langgraph.jobs.waiting import SUSPENDED
from acp_langgraph.quant import calls
from acp_langgraph.quant.models import ENDED
from acp_langgraph.quant.polling import AtWorkError, QuantPolicy

TOOL_EXECUTION: Final = "tool execution"
TOOL_ORCHESTRATION: Final = "orchestration"
DURABLE_CHAT: Final = "durable chat"
WAITING: Final = "waiting_callback"
"""The status of a chat that wants tools run on this side."""

_CALLS: Final[Mapping[str, Callable[[str], Call[Any]]]] = {
    TOOL_EXECUTION: calls.get_ai_tool_execution_status,
    TOOL_ORCHESTRATION: calls.get_ai_orchestration_status,
    DURABLE_CHAT: calls.get_durable_execution_status,
}

Hold: TypeAlias = float | None
"""Seconds to wait at most, as `wait_until` takes it."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """What is waited for.

    Attributes:
        kind: What it is, for people, and for whoever looks at it.
        id: Its id.
        since: When it was started, or answered, on the policy's clock.
        due: When it has taken too long, if ever.
    """

    kind: str
    id: str
    since: float
    due: float | None

    @classmethod
    def of(cls, kind: str, identifier: str, since: float, policy: QuantPolicy) -> Awaited:
        """What is waited for as patiently as a policy says."""
        deadline = policy.pace.deadline
        return cls(kind, identifier, since, None if deadline is None else since + deadline)


@dataclass(frozen=True, slots=True)
class Suspension:
    """How a wait that holds nothing is gone about.

    Attributes:
        after: Seconds for which it is waited for before.
        marker: Makes what is shown instead of a question, JSON.
    """

    after: float
    marker: Callable[[Awaited], dict[str, Any]]


def awaiting(
    step: str,
    awaited: Awaited,
    wait: Callable[[Hold], Flow[dict[str, Any]]],
    suspension: Suspension | None,
) -> Flow[dict[str, Any]]:
    """Wait in a step; suspended meanwhile, if there is a suspension.

    Args:
        step: Names the step.
        awaited: What is waited for.
        wait: Waits for it. Its result has no `type`.
        suspension: How to suspend; `None` to hold.
    """
    times = 0
    while True:
        hold = None if suspension is None else suspension.after if times == 0 else 0.0
        body = partial(_looked, awaited, partial(wait, hold), suspension, times)
        outcome: dict[str, Any] = yield from Step(step, body, settled=_suspends)
        if outcome.get("type") != SUSPENDED:
            return outcome
        about = f"{outcome['run_id']} {outcome['since']} {SUSPENDED} {outcome['times']}"
        # In its place may be what another attempt came to, which had other things to wait for.
        if about == f"{awaited.id} {awaited.since} {SUSPENDED} {times}":
            yield Progress(SUSPENDED, awaited.id)
            yield from Ask(outcome["marker"], about=about)
            times += 1


def _suspends(outcome: dict[str, Any]) -> bool:
    """Whether the graph stops: stored later than that, the wait might come to something else."""
    return outcome.get("type") == SUSPENDED


def _looked(
    awaited: Awaited,
    wait: Callable[[], Flow[dict[str, Any]]],
    suspension: Suspension | None,
    times: int,
) -> Flow[dict[str, Any]]:
    try:
        return (yield from wait())
    except AtWorkError:
        assert suspension is not None  # noqa: S101 - who holds waits until the deadline
        asleep = {"type": SUSPENDED, "run_id": awaited.id, "since": awaited.since, "times": times}
        return {**asleep, "marker": suspension.marker(awaited)}


def sighted(kind: str, identifier: str) -> Flow[Sighting]:
    """How something is that is waited for; asked once, for whoever asks will ask again.

    Raises:
        ApiValueError: If nothing is known here of its kind.
        OpenApiException: If the server cannot be reached, refuses, or does not know it.
    """
    if kind not in _CALLS:
        raise ApiValueError(
            f"nothing is known here of a {kind!r}, so that {identifier} is not looked at"
        )
    record = yield from _CALLS[kind](identifier)
    return Sighting(record.status, not (has_ended(record) or record.status == WAITING))


def has_ended(record: Any) -> bool:
    """Whether what a record is of is at work no more, and asks nothing."""
    return record.status in ENDED or (not record.status and record.error is not None)
