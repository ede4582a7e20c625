"""Waiting for something that only says how it is when asked, as a flow.

A look that fails in passing (no connection, 5xx, 429, an answer that cannot be read) is "not yet",
and `Retry-After` is honored. "No such thing" is "not yet" shortly after the start, and afterwards
means that the server keeps no record of it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, NoReturn, TypeVar

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Pause, Progress
from acp_langgraph.core.retry import retry_after
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiException,
    NotFoundException,
    OpenApiException,
    RequestTimeoutException,
    RunExpiredError,
    RunTimeoutError,
    ServiceException,
    TooManyRequestsException,
    UnreadableAnswerException,
)
from acp_langgraph.quant import calls
from acp_langgraph.quant.pace import QuantPolicy
from acp_langgraph.quant.sharing import List, Look, Rest, SharedPolling, Watcher

__all__ = ["Subject", "may_be_done", "wait_until"]

T = TypeVar("T")

_NOT_YET: Final = (
    ApiConnectionError,
    ServiceException,
    RequestTimeoutException,
    TooManyRequestsException,
    UnreadableAnswerException,
)
_MAYBE_DONE: Final = (
    ServiceException,
    RequestTimeoutException,
    UnreadableAnswerException,
    AnswerTooLargeError,
)
_PAGE: Final = 100


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
) -> Flow[T]:
    """Look until it is settled.

    Args:
        subject: What is waited for.
        policy: How often to look, and for how long.
        is_settled: Whether what was read is what is waited for.
        sharing: Whom to share list calls with; the subject must then be a tool execution.

    Raises:
        RunTimeoutError: If it is not settled by the deadline. It goes on on the server.
        RunExpiredError: If the server does not know it, or no longer.
        OpenApiException: If the server refuses, or was not heard of for too long.
    """
    elapsed = max(0.0, policy.clock() - subject.since)
    polling = sharing or SharedPolling(policy.clock)
    deadline = None if policy.pace.deadline is None else subject.since + policy.pace.deadline
    seen, heard = False, policy.clock()
    with polling.watch(subject.id, _waits(policy), elapsed) as watcher:
        while True:
            yield from _until_due(watcher, subject, policy, deadline)
            problem: OpenApiException | None = None
            try:
                record = yield from subject.call
            except NotFoundException as error:
                if seen or policy.clock() - subject.since > policy.grace:
                    _raise_expired(subject)
                problem = error
            except _NOT_YET as error:
                problem = error
            else:
                seen, heard = True, policy.clock()
                if is_settled(record):
                    return record
                yield from Progress("waiting", subject.id, {"status": subject.status(record)})
            watcher.looked(not_before=_asked_to_wait(problem))
            if deadline is not None and policy.clock() >= deadline:
                if isinstance(problem, NotFoundException):
                    _raise_expired(subject)
                _raise_late(subject, policy)
            if problem is not None and policy.clock() - heard > policy.patience:
                raise problem


def may_be_done(error: OpenApiException) -> bool:
    """Whether the server may have done what it was asked although no proper answer came."""
    return isinstance(error, _MAYBE_DONE) or (isinstance(error, ApiConnectionError) and error.sent)


def _waits(policy: QuantPolicy) -> Iterator[float]:
    return policy.pace.waits()


def _until_due(
    watcher: Watcher, subject: Subject[Any], policy: QuantPolicy, deadline: float | None
) -> Flow[None]:
    """Pass the time until it makes sense to look, or the deadline has come."""
    while deadline is None or policy.clock() < deadline:
        match watcher.polling.advise(watcher):
            case Look():
                return
            case List():
                yield from _list(watcher.polling, policy)
            case Rest(seconds):
                left = seconds if deadline is None else min(seconds, deadline - policy.clock())
                yield Pause(max(left, 0.0), may_leave=True)
                continue
        status = watcher.polling.status(subject.id)
        if status:
            yield from Progress("waiting", subject.id, {"status": status})


def _list(polling: SharedPolling, policy: QuantPolicy) -> Flow[None]:
    try:
        page = yield from calls.list_ai_tool_executions(limit=_PAGE)
    except _NOT_YET as error:
        polling.postpone(max(policy.pace.longest, _asked_to_wait(error)))
    except ApiException:
        polling.do_without()
    else:
        polling.learn(page)
    finally:
        polling.give_up_turn()  # also when this flow is closed in the middle


def _asked_to_wait(problem: OpenApiException | None) -> float:
    if not isinstance(problem, ApiException):
        return 0.0
    return retry_after(problem.headers) or 0.0


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
