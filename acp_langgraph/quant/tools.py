"""The life of asynchronous tools and of the orchestrations that gather them, as flows.

    start_tools             the chat in which the model asks for tools, which Quant then runs
    wait_for_tool           for each execution, or
    wait_for_orchestration  for all of them at once, where Quant gathers them
    answer                  the results go back to the model for the final text, if wanted

What became of a tool is JSON: `name`, `toolUseId`, `executionId`, `status`, `input`, `result`,
`error`. Executions run side by side on the server, so waiting for one after the other takes as long
as the longest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Progress, Step
from acp_langgraph.core.retry import with_retries
from acp_langgraph.errors import OpenApiException, QuantRunError
from acp_langgraph.jobs.once import Failures, Trace
from acp_langgraph.quant import calls
from acp_langgraph.quant.models import (
    ENDED,
    ChatResponse,
    ToolExecution,
    ToolOrchestrationTool,
    ToolUse,
)
from acp_langgraph.quant.polling import (
    ORCHESTRATION,
    TOOLS,
    QuantPolicy,
    SharedPolling,
    Subject,
    wait_until,
)
from acp_langgraph.quant.reading import (
    Keeper,
    answer_text,
    orchestration_id,
    tool_result_messages,
    tool_uses,
)
from acp_langgraph.quant.starting import Order, Started, start_once
from acp_langgraph.quant.suspending import (
    TOOL_EXECUTION,
    TOOL_ORCHESTRATION,
    Awaited,
    Hold,
    Suspension,
    awaiting,
    has_ended,
)

ToolOutcome: TypeAlias = dict[str, Any]

_KEPT: Final = "24 hours"
_AGAIN: Final = {"again": True}


@dataclass(frozen=True, slots=True)
class Tools:
    """How tools are waited for.

    Attributes:
        executions: How patient to be with executions.
        orchestrations: How patient to be with orchestrations.
        on_error: Whether a tool that failed is an error (`raise`), or told with the others (`keep`).
        keeper: Where their binary results go.
        sharing: With whom to share list calls.
        node: The node that waits.
        suspension: How to suspend meanwhile; `None` to hold.
    """

    executions: QuantPolicy = field(default_factory=partial(QuantPolicy, TOOLS))
    orchestrations: QuantPolicy = field(default_factory=partial(QuantPolicy, ORCHESTRATION))
    on_error: Literal["raise", "keep"] = "raise"
    keeper: Keeper = field(default_factory=Keeper)
    sharing: SharedPolling | None = None
    node: str = ""
    suspension: Suspension | None = None


@dataclass(frozen=True, slots=True)
class ToolOrder:
    """A chat in which the model is to use tools.

    Attributes:
        key: Identifies the order.
        request: The chat's body.
        base_url: The configured host, which poll URLs must lead to.
        answer: Whether the results go back to the model for the final text.
    """

    key: str
    request: Mapping[str, Any] = field(repr=False)
    base_url: str
    answer: bool = False


def use_tools(
    order: ToolOrder, tools: Tools, trace: Trace, failures: Failures | None = None
) -> Flow[dict[str, Any]]:
    """Have a model use tools, each once, and wait for what they give; anew after a told failure.

    Returns:
        `text`, what the model said; `tools`, what became of each; `orchestrationId`, if there was
        one. No tools if the model used none.

    Raises:
        QuantRunError: If a tool or the orchestration failed, and that is an error.
        UnknownOutcomeError: If it cannot be told whether the tools were started.
        RunTimeoutError, RunExpiredError, OpenApiException: See `wait_until`.
    """
    failures = failures or Failures()
    for attempt in itertools.count(1):
        outcome = yield from _use_tools(order, tools, trace.of_life(attempt), failures, attempt)
        if outcome != _AGAIN:
            return outcome
    raise AssertionError("a flow has lives enough")  # pragma: no cover


def _use_tools(
    order: ToolOrder, tools: Tools, trace: Trace, failures: Failures, attempt: int
) -> Flow[dict[str, Any]]:
    started = yield from start_once(
        Order(
            "the tool run",
            "start_tools",
            order.key if attempt == 1 else f"{order.key}/{attempt}",
            calls.chat_inference(order.request),
            partial(_started, order.base_url, tools.keeper),
            clues=partial(_clues, order.request),
            node=tools.node,
        ),
        tools.executions,
        trace,
    )
    text, since, gathered = started["text"], started["at"], started["orchestrationId"]
    if gathered:
        yield from Progress("started", gathered)
        return (yield from await_orchestration(gathered, tools, since, failures))
    outcomes: list[ToolOutcome] = []
    for use in started["tools"]:
        outcome = use
        if use["executionId"] and use["status"] not in ENDED:
            yield from Progress("started", use["executionId"])
            found = yield from _await_execution(use["executionId"], tools, since)
            outcome = {**use, **found, "name": use["name"]}
        outcomes.append(outcome)
    if tools.on_error == "raise" and any(each["status"] == "failed" for each in outcomes):
        check = partial(_or_again, partial(_checked, outcomes, tools), failures)
        return (yield from Step("check_tools", check))
    if order.answer and outcomes:
        text = yield from Step("answer", partial(_answer, order, text, outcomes, tools))
    return {"text": text, "tools": outcomes, "orchestrationId": None}


def _or_again(work: Callable[[], Flow[dict[str, Any]]], failures: Failures) -> Flow[dict[str, Any]]:
    """What tools came to; whether to use them again if they failed and that was told."""
    try:
        return (yield from work())
    except QuantRunError as error:
        if error.run_id is not None:
            if (yield from failures.were_told_of(error.run_id, error)):
                return _AGAIN
            failures.tell(error.run_id)
        raise


def _checked(outcomes: Sequence[ToolOutcome], tools: Tools) -> Flow[dict[str, Any]]:
    yield from ()
    _check(outcomes, tools)
    return {}


def wait_for_executions(
    execution_ids: Sequence[str], tools: Tools, since: float
) -> Flow[list[ToolOutcome]]:
    """Wait for executions that were started elsewhere, each in a step.

    Raises:
        QuantRunError: If one failed, and that is an error.
        RunTimeoutError, RunExpiredError, OpenApiException: See `wait_until`.
    """
    outcomes = []
    for execution_id in execution_ids:
        outcome = yield from _await_execution(execution_id, tools, since)
        outcomes.append(outcome)
    _check(outcomes, tools)
    return outcomes


def await_orchestration(
    identifier: str, tools: Tools, since: float, failures: Failures | None = None
) -> Flow[dict[str, Any]]:
    """`wait_for_orchestration` in a step; suspended meanwhile, if that is how tools are waited for.

    Returns:
        What it came to. With `failures`, that it is to be used again if it failed and that was told.
    """

    def wait(hold: Hold) -> Flow[dict[str, Any]]:
        waiting = partial(wait_for_orchestration, identifier, tools, since, hold)
        return waiting() if failures is None else _or_again(waiting, failures)

    awaited = Awaited.of(TOOL_ORCHESTRATION, identifier, since, tools.orchestrations)
    return awaiting("wait_for_orchestration", awaited, wait, tools.suspension)


def _await_execution(execution_id: str, tools: Tools, since: float) -> Flow[ToolOutcome]:
    awaited = Awaited.of(TOOL_EXECUTION, execution_id, since, tools.executions)
    wait = partial(wait_for_execution, execution_id, tools, since)
    return awaiting("wait_for_tool", awaited, wait, tools.suspension)


def wait_for_execution(
    execution_id: str, tools: Tools, since: float, hold: Hold = None
) -> Flow[ToolOutcome]:
    """Wait for one execution; a failed one is an outcome too.

    Args:
        execution_id: The execution.
        tools: How to wait.
        since: When it was started, on the policy's clock.
        hold: For how long, as `wait_until` takes it.
    """
    subject = Subject(
        TOOL_EXECUTION,
        execution_id,
        calls.get_ai_tool_execution_status(execution_id),
        lambda record: record.status,
        since,
        kept=_KEPT,
        node=tools.node,
    )
    record = yield from wait_until(subject, tools.executions, has_ended, tools.sharing, hold)
    return {**(yield from _outcome(record, tools.keeper)), "executionId": execution_id}


def wait_for_orchestration(
    identifier: str, tools: Tools, since: float, hold: Hold = None
) -> Flow[dict[str, Any]]:
    """Wait for an orchestration; for how long, `hold` says as `wait_until` takes it.

    Returns:
        `text`, the model's answer; `tools`, what became of each; `orchestrationId`.

    Raises:
        QuantRunError: If it failed, or a tool of it did and that is an error.
        RunTimeoutError, RunExpiredError, OpenApiException: See `wait_until`.
    """
    subject = Subject(
        TOOL_ORCHESTRATION,
        identifier,
        calls.get_ai_orchestration_status(identifier),
        lambda record: record.status,
        since,
        kept=_KEPT,
        node=tools.node,
    )
    record = yield from wait_until(subject, tools.orchestrations, has_ended, hold=hold)
    outcomes = yield from _outcomes(record.tools, tools.keeper)
    if record.status != "complete":
        raise QuantRunError(
            "orchestration",
            record.error,
            tools=_in_short(outcomes),
            node=tools.node,
            run_id=identifier,
        )
    _check(outcomes, tools, identifier)
    text = yield from tools.keeper.keeping(record.text, identifier)
    return {"text": text, "tools": outcomes, "orchestrationId": identifier}


def _started(base_url: str, keeper: Keeper, answer: ChatResponse) -> Flow[Started]:
    return {
        "text": answer_text(answer),
        "tools": (yield from _outcomes(tool_uses(answer), keeper)),
        "orchestrationId": orchestration_id(answer, base_url),
        "requestId": answer.request_id,
    }


def _outcomes(
    records: Sequence[ToolUse | ToolOrchestrationTool], keeper: Keeper
) -> Flow[list[ToolOutcome]]:
    outcomes = []
    for record in records:
        outcome = yield from _outcome(record, keeper)
        outcomes.append(outcome)
    return outcomes


def _outcome(
    record: ToolUse | ToolExecution | ToolOrchestrationTool, keeper: Keeper
) -> Flow[ToolOutcome]:
    execution_id = record.execution_id or None
    found: ToolOutcome = {
        "executionId": execution_id,
        "status": record.status or ("failed" if record.error else "requested"),
        "result": (yield from keeper.keeping(record.result, execution_id or "")),
        "error": record.error,
    }
    if isinstance(record, ToolUse):
        return {
            **found,
            "name": record.name,
            "toolUseId": record.tool_use_id,
            "input": record.input,
        }
    return {**found, "name": record.tool_name}


def _check(outcomes: Sequence[ToolOutcome], tools: Tools, run_id: str | None = None) -> None:
    failed = [outcome for outcome in outcomes if outcome["status"] == "failed"]
    if failed and tools.on_error == "raise":
        raise QuantRunError(
            "tool run",
            "",
            tools=_in_short(outcomes),
            node=tools.node,
            run_id=run_id or failed[0]["executionId"],
        )


def _in_short(outcomes: Sequence[ToolOutcome]) -> list[dict[str, Any]]:
    names = ("name", "status", "error", "executionId")
    return [{name: outcome.get(name) for name in names} for outcome in outcomes]


def _answer(order: ToolOrder, text: str, outcomes: list[ToolOutcome], tools: Tools) -> Flow[str]:
    """Have the model say something about the results; it may use no tools this time."""
    config = {**order.request["toolConfig"], "autoExecute": False}
    body = {
        **order.request,
        "messages": [*order.request["messages"], *tool_result_messages(text, outcomes)],
        "toolConfig": config,
    }
    # Nothing is started by it, so that to ask twice costs no more than tokens.
    call: Call[ChatResponse] = replace(calls.chat_inference(body), repeatable=True)
    return answer_text((yield from with_retries(call, tools.executions.retries)))


def _clues(request: Mapping[str, Any], since: float) -> Flow[str]:
    """Which executions began since: one of them may be the one."""
    names = set(request["toolConfig"].get("allowedTools") or ())
    try:
        page = yield from with_retries(calls.list_ai_tool_executions(limit=100), 1)
    except OpenApiException:
        return ""
    found = [
        f"{item.tool_name} {item.execution_id}"
        for item in page.executions
        if item.tool_name in names
        and (item.created_at is None or item.created_at.timestamp() >= since - 60)
    ]
    if not found:
        return "no execution of these tools was created since then, as far as it is listed"
    return "executions created since then: " + ", ".join(found[:10])
