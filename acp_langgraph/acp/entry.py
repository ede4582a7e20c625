"""One entry into the life of a run: what is known of it, and what its steps hand to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from acp_langgraph.acp.listening import Listening
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    OpenApiException,
    RequestTimeoutException,
    ServiceException,
    UnreadableAnswerException,
)

__all__ = ["Entry", "Leg", "Outcome", "begin_leg", "may_be_done"]

_MAYBE_DONE: Final = (
    ServiceException,
    RequestTimeoutException,
    UnreadableAnswerException,
    AnswerTooLargeError,
)

Leg: TypeAlias = dict[str, Any]
"""From a start or an answer to the next outcome: `run_id`; `since` when, for the deadline; and the id
of the last event `heard` before, for listening."""

Outcome: TypeAlias = dict[str, Any]
"""What a wait came to: `type` `result` or `interrupt`, `run_id`, and what belongs to the type."""


@dataclass(slots=True)
class Entry:
    """One entry into the flow, in one process: what of it cannot be remembered.

    Attributes:
        again: Whether the order may have been carried out before, so that the run is looked up
            before it is created.
        was_cancelled: Tells whether a run is known to have been cancelled from here.
        failures_told: Gives the texts of the errors that an earlier entry ended with, where the graph
            remembers them.
        told: The runs whose failure was told in this process.
        seen_alive: Whether the run was started, answered or seen at work during this entry.
        listening: How to listen to the run while it works; `None` if nobody wants to know.
    """

    again: bool = False
    was_cancelled: Callable[[str], bool] = lambda _: False
    failures_told: Callable[[], Flow[str]] | None = None
    told: set[str] = field(default_factory=set)
    seen_alive: bool = False
    listening: Listening | None = None

    def was_told(self, run_id: str) -> Flow[bool]:
        """Whether an earlier entry has ended with the failure of a run."""
        if not self.again:
            return False
        if run_id in self.told or self.failures_told is None:
            return run_id in self.told
        return run_id in (yield from self.failures_told())


def begin_leg(run_id: str, since: float) -> Leg:
    """The leg that began at a time."""
    return {"run_id": run_id, "since": since}


def may_be_done(error: OpenApiException) -> bool:
    """Whether the server may have done what it was asked although no proper answer came."""
    return isinstance(error, _MAYBE_DONE) or (isinstance(error, ApiConnectionError) and error.sent)
