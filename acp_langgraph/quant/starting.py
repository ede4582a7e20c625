"""Starting something once: `acp_langgraph.jobs.once`, with what this API lets one look for.

A start that was refused for certain (401, 422, a connection that never came about) may be tried again.
One that got no proper answer, or whose process died, is looked for where it leaves evidence: a task has
a mark in its metadata. A chat leaves none: the API lists no chats, and its list of tool executions does
not say whose they are. Then the outcome is unknown, and said to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Pause
from acp_langgraph.core.retry import with_retries
from acp_langgraph.errors import OpenApiException, UnknownOutcomeError
from acp_langgraph.jobs.job import may_be_done
from acp_langgraph.jobs.once import Once, Trace
from acp_langgraph.quant.polling import QuantPolicy

T = TypeVar("T")

Started: TypeAlias = dict[str, Any]
"""What was started, JSON; `at` is when, on the policy's clock."""

_SECOND_LOOK: Final = 0.5


@dataclass(frozen=True, slots=True)
class Order(Generic[T]):
    """One thing that is to be started once.

    Attributes:
        what: What it is, for people: `the durable chat`.
        step: Names the step: `start_chat`.
        key: Identifies the order, in whichever process and however often.
        call: Starts it.
        read: Makes of the answer what to remember of it: JSON.
        find: Looks for what was started since a time: what `read` would have said, or `None` if there
            is certainly nothing. Left out where the API has no way of telling.
        clues: What there is to say where nothing is certain, for people.
        node: The node that starts it.
    """

    what: str
    step: str
    key: str
    call: Call[T]
    read: Callable[[T], Flow[Started]]
    find: Callable[[float], Flow[Started | None]] | None = None
    clues: Callable[[float], Flow[str]] | None = None
    node: str = ""


def start_once(order: Order[Any], policy: QuantPolicy, trace: Trace) -> Flow[Started]:
    """Start something, unless that was done already.

    Args:
        order: What to start.
        policy: What to do where that cannot be told.
        trace: Shared by the attempts of one execution.

    Returns:
        What `order.read` made of the answer, and `at`.

    Raises:
        UnknownOutcomeError: If it cannot be told whether it was started.
        OpenApiException: If the server cannot be reached or refuses.
    """

    def look(since: float) -> Flow[list[Any]]:
        why = "this was tried before, and what came of it was lost"
        found = yield from _settle(order, policy, since, why)
        return [] if found is None else [found]

    once = Once(
        order.what,
        order.step,
        node=order.node,
        not_done=lambda error: isinstance(error, OpenApiException) and not may_be_done(error),
        look=look,
        trace=trace,
        clock=policy.clock,
    )
    started: Started = yield from once.do(lambda: _start(order, policy))
    return started


def _start(order: Order[Any], policy: QuantPolicy) -> Flow[Started]:
    for left in range(policy.retries, -1, -1):
        since = policy.clock()
        try:
            answer = yield from with_retries(order.call, policy.retries)
        except OpenApiException as error:
            if not may_be_done(error):
                raise
            found = yield from _settle(order, policy, since, str(error))
            if found is not None:
                return found
            if not left:
                raise
        else:
            return {"at": policy.clock(), **(yield from order.read(answer))}
    raise AssertionError("the last try returns or raises")  # pragma: no cover


def _settle(order: Order[Any], policy: QuantPolicy, since: float, why: str) -> Flow[Started | None]:
    """What came of an earlier try; `None` if nothing, or if that is to be risked."""
    if order.find is not None:
        found = yield from order.find(since)
        if found is None:  # the request may still be on its way through a proxy
            yield Pause(_SECOND_LOOK)
            found = yield from order.find(since)
        return None if found is None else {"at": since, **found}
    if policy.on_unknown == "rerun":
        yield Pause(_SECOND_LOOK)
        return None
    clues = (yield from order.clues(since)) if order.clues else ""
    raise UnknownOutcomeError(
        f"it cannot be told whether {order.what} was started: {why}. The API has no way of asking"
        f"{'; ' + clues if clues else ''}. If another one does no harm, run the node with "
        'on_unknown="rerun"',
        key=order.key,
        node=order.node,
    )
