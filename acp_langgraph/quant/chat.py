"""The life of one durable chat, as a flow.

    start_chat          the chat, of a model or of an agent
    wait_for_chat       until it ends, fails or wants tools run on this side       <-+
    (the tools are run, or somebody is asked)                                       | as often as
    submit_callback     once: a callback id that was used is 404, and then is done --+ it wants

A callback that may have been taken is sent again: the second is refused, and polling tells the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from acp_langgraph.core.flow import Flow, Progress, Step
from acp_langgraph.core.retry import with_retries
from acp_langgraph.core.wire import dump
from acp_langgraph.errors import NotFoundException, QuantRunError
from acp_langgraph.jobs.once import Failures, Trace
from acp_langgraph.quant import calls
from acp_langgraph.quant.models import DurableAccepted, DurableError, DurableExecution
from acp_langgraph.quant.polling import QuantPolicy, Subject, wait_until
from acp_langgraph.quant.reading import Keeper, durable_id, joined_text
from acp_langgraph.quant.starting import Order, start_once
from acp_langgraph.quant.suspending import (
    DURABLE_CHAT,
    WAITING,
    Awaited,
    Hold,
    Suspension,
    awaiting,
    has_ended,
)

PendingTools: TypeAlias = Sequence[Mapping[str, Any]]
"""The tools that a chat wants run here: dicts with `name`, `toolUseId`, `input`."""

_AGAIN = "again"


@dataclass(frozen=True, slots=True)
class ChatOrder:
    """A durable chat that is wanted.

    Attributes:
        key: Identifies the order.
        request: The body of the chat.
        base_url: The configured host, which poll URLs must lead to.
        agent_id: The agent to talk to; `None` for a model.
        keeper: Where binary results go.
        node: The node that wants it.
        suspension: How to suspend while the chat is at work; `None` to hold.
    """

    key: str
    request: Mapping[str, Any] = field(repr=False)
    base_url: str
    agent_id: str | None = None
    keeper: Keeper = field(default_factory=Keeper)
    node: str = ""
    suspension: Suspension | None = None


def converse(
    order: ChatOrder,
    policy: QuantPolicy,
    trace: Trace,
    answer: Callable[[PendingTools], Flow[Mapping[str, Any]]],
    failures: Failures | None = None,
) -> Flow[dict[str, Any]]:
    """Have a chat once, however often this flow is entered; anew after it failed and that was told.

    Args:
        order: The chat.
        policy: How patient to be; the deadline counts anew after every callback.
        trace: Shared by the attempts of one execution.
        answer: Has the pending tools run; gives their results by `toolUseId`.
        failures: Which chats' failures were told before.

    Returns:
        `text`, `requestId`, `sessionId`, `usage` (of the last turn only), `toolExecutions`.

    Raises:
        QuantRunError: If the chat failed.
        UnknownOutcomeError: If it cannot be told whether it was started.
        RunTimeoutError, RunExpiredError, OpenApiException: See `wait_until`.
    """
    for attempt in itertools.count(1):
        told = failures or Failures()
        outcome = yield from _converse(order, policy, trace.of_life(attempt), answer, told, attempt)
        if outcome["status"] != _AGAIN:
            return outcome
    raise AssertionError("a flow has lives enough")  # pragma: no cover


def _converse(
    order: ChatOrder,
    policy: QuantPolicy,
    trace: Trace,
    answer: Callable[[PendingTools], Flow[Mapping[str, Any]]],
    failures: Failures,
    attempt: int,
) -> Flow[dict[str, Any]]:
    if order.agent_id is None:
        call = calls.chat_inference_async(order.request)
    else:
        call = calls.chat_with_ai_agent_async(order.agent_id, order.request)
    started = yield from start_once(
        Order(
            "the durable chat",
            "start_chat",
            order.key if attempt == 1 else f"{order.key}/{attempt}",
            call,
            partial(_started, order.base_url),
            node=order.node,
        ),
        policy,
        trace,
    )
    segment = {"at": started["at"], "used": []}
    while True:
        yield from Progress("started", started["requestId"])
        wait = partial(_wait_again, order, policy, started["requestId"], segment, failures)
        awaited = Awaited.of(DURABLE_CHAT, started["requestId"], segment["at"], policy)
        outcome = yield from awaiting("wait_for_chat", awaited, wait, order.suspension)
        if outcome["status"] != WAITING:
            return {**outcome, "sessionId": started["sessionId"]}
        results = yield from answer(outcome["pendingTools"])
        submit = partial(_submit, policy, segment, outcome, results)
        segment = yield from Step("submit_callback", submit)


def wrapped(result: Any) -> dict[str, Any]:
    """A tool's result as a callback takes it: an object."""
    return result if isinstance(result, dict) else {"result": result}


def _started(base_url: str, accepted: DurableAccepted) -> Flow[dict[str, Any]]:
    yield from ()
    return {"requestId": durable_id(accepted, base_url), "sessionId": accepted.session_id}


def _wait_again(
    order: ChatOrder,
    policy: QuantPolicy,
    request_id: str,
    segment: Mapping[str, Any],
    failures: Failures,
    hold: Hold,
) -> Flow[dict[str, Any]]:
    """Wait for what the chat comes to; whether to hold it again if it failed."""
    try:
        return (yield from _wait(order, policy, request_id, segment, hold))
    except QuantRunError as error:
        if (yield from failures.were_told_of(request_id, error)):
            return {"status": _AGAIN}
        failures.tell(request_id)
        raise


def _wait(
    order: ChatOrder, policy: QuantPolicy, request_id: str, segment: Mapping[str, Any], hold: Hold
) -> Flow[dict[str, Any]]:
    def is_settled(record: DurableExecution) -> bool:
        if record.status != WAITING:
            return has_ended(record)
        if record.callback_id not in segment["used"]:
            return record.callback_id is not None
        # The server is still to notice what it was sent, or it refused a callback id of its own.
        return not segment.get("taken", True) and policy.clock() - segment["at"] > policy.grace

    subject = Subject(
        DURABLE_CHAT,
        request_id,
        calls.get_durable_execution_status(request_id),
        lambda record: record.status,
        segment["at"],
        node=order.node,
    )
    record = yield from wait_until(subject, policy, is_settled, hold=hold)
    if record.status == WAITING and record.callback_id in segment["used"]:
        said = "it waits for a callback, and the server does not know the callback's id"
        raise QuantRunError("chat", said, node=order.node, run_id=request_id)
    if record.status == WAITING:
        return {
            "status": record.status,
            "callbackId": record.callback_id,
            "pendingTools": [
                {"name": tool.name, "toolUseId": tool.tool_use_id, "input": tool.input}
                for tool in record.pending_tools
            ],
        }
    if record.status != "complete":
        error = record.error
        why = dump(error) if isinstance(error, DurableError) else error
        raise QuantRunError("chat", why, node=order.node, run_id=request_id)
    return (yield from _result(order, record, request_id))


def _submit(
    policy: QuantPolicy,
    segment: Mapping[str, Any],
    outcome: Mapping[str, Any],
    results: Mapping[str, Any],
) -> Flow[dict[str, Any]]:
    callback_id = outcome["callbackId"]
    call = calls.submit_tool_callback(
        {
            "callbackId": callback_id,
            "toolResults": [
                {"toolUseId": use, "result": wrapped(result)} for use, result in results.items()
            ],
        }
    )
    taken = True
    try:
        yield from with_retries(call, policy.retries)
    except NotFoundException:
        taken = False  # used already, by a try whose answer got lost; or never known
    return {"at": policy.clock(), "used": [*segment["used"], callback_id], "taken": taken}


def _result(order: ChatOrder, record: DurableExecution, request_id: str) -> Flow[dict[str, Any]]:
    result = record.result
    said: Any = None
    if result is not None and result.response is not None:
        said = result.response.content
        if said is None:
            said = dump(result.response).get("text")
    found = {
        "text": joined_text(said),
        "toolExecutions": result.tool_executions if result is not None else [],
    }
    return {
        "status": record.status,
        "requestId": request_id,
        "usage": result.usage if result is not None else None,
        **(yield from order.keeper.keeping(found, request_id)),
    }
