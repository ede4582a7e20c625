"""The lives of tools, orchestrations and chats, stepped through by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.core.flow import Ask
from acp_langgraph.errors import (
    ApiConnectionError,
    ForbiddenException,
    QuantRunError,
    RunExpiredError,
    RunTimeoutError,
    ServiceException,
    UnknownOutcomeError,
)
from acp_langgraph.jobs.once import Trace
from acp_langgraph.quant.chat import ChatOrder, converse
from acp_langgraph.quant.polling import Pace, QuantPolicy
from acp_langgraph.quant.tools import ToolOrder, Tools, use_tools, wait_for_execution
from acp_langgraph.quant.tools import wait_for_orchestration as wait_for_orchestrated

EXECUTION = "exec_" + "a" * 32
ORCHESTRATION = "orch_" + "b" * 32
LOST = ApiConnectionError("the connection broke", sent=True)
REFUSED = ApiConnectionError("cannot connect", sent=False)
HOST = "https://q.example/api/v3/organizations/acme/ai"
CHAT = {
    "modelId": "m",
    "messages": [{"role": "user", "content": "draw"}],
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "draw"}}],
        "autoExecute": True,
        "allowedTools": ["draw"],
    },
}


class Clock:
    """A clock that only a pause moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Timed(Hand):
    """A flow whose pauses let time pass."""

    def __init__(self, make: Any, **changes: Any) -> None:
        self.clock = Clock()
        self.policy = replace(QuantPolicy(Pace(2, 2, 300), clock=self.clock), **changes)
        super().__init__(make(self.policy))

    def _sender(self, value: Any) -> Any:
        if self.pauses:
            self.clock.now += self.pauses[-1]
            self.pauses[-1] = 0.0
        return super()._sender(value)


def tools(policy: QuantPolicy, **changes: Any) -> Tools:
    return replace(Tools(policy, policy, node="draw"), **changes)


def execution(status: str, **more: Any) -> Any:
    return reply({"executionId": EXECUTION, "toolName": "draw", "status": status, **more})


def orchestration(status: str, **more: Any) -> Any:
    return reply({"orchestrationId": ORCHESTRATION, "status": status, "toolCount": 2, **more})


def waiting(**changes: Any) -> Timed:
    return Timed(lambda policy: wait_for_execution(EXECUTION, tools(policy), 1000.0), **changes)


def gathering(on_error: Any = "raise", **changes: Any) -> Timed:
    return Timed(
        lambda policy: wait_for_orchestrated(
            ORCHESTRATION, tools(policy, on_error=on_error), 1000.0
        ),
        **changes,
    )


# Executions


@pytest.mark.parametrize(
    "statuses",
    [
        ["pending", "running", "complete"],
        ["running", "complete"],
        ["complete"],
        ["pending", "complete"],
        ["pending", "warming_up", "", "running", "complete"],
        ["running", "pending", "complete"],
    ],
)
def test_an_execution_goes_through_its_states_in_order_with_skips_and_unknown_ones(
    statuses: list[str],
) -> None:
    hand = waiting()
    for status in statuses:
        hand.wants("get_ai_tool_execution_status")
        hand.give(execution(status, result={"n": 1} if status == "complete" else None))
    assert hand.result["status"] == "complete"
    assert hand.result["result"] == {"n": 1}


@pytest.mark.parametrize(
    "last",
    [
        {"status": "failed", "error": "no ink"},
        {"status": "failed", "error": {"message": "no ink"}},
        {"status": "failed", "error": {"ErrorMessage": "no ink", "ErrorType": "T"}},
        {"error": "no ink"},
    ],
)
def test_a_failed_execution_is_an_outcome_that_says_why(last: Any) -> None:
    hand = waiting()
    hand.give(execution("running"))
    hand.give(reply({"executionId": EXECUTION, **last}))
    assert (hand.result["status"], hand.result["error"]) == ("failed", "no ink")


@pytest.mark.parametrize(
    "problem",
    [
        LOST,
        REFUSED,
        reply({"error": "x"}, 500),
        reply({}, 503),
        reply({}, 429, retry_after="1"),
        reply({}, 408),
        reply(),
    ],
)
def test_what_goes_wrong_in_passing_is_not_yet(problem: Any) -> None:
    hand = waiting()
    hand.give(problem)
    hand.wants("get_ai_tool_execution_status")
    hand.give(execution("complete"))
    assert hand.result["status"] == "complete"


def test_retry_after_is_waited_for() -> None:
    hand = waiting()
    hand.give(reply({}, 429, retry_after="17"))
    assert hand.clock.now == 1000 + 2 + 17


def test_shortly_after_the_start_an_unknown_execution_is_not_there_yet() -> None:
    hand = waiting(grace=10.0)
    hand.give(reply({"error": "Execution not found"}, 404))
    hand.give(reply({"error": "Execution not found"}, 404))
    hand.give(execution("complete"))
    assert hand.result["status"] == "complete"


def test_later_an_unknown_execution_has_expired() -> None:
    hand = waiting(grace=3.0)
    hand.give(reply({}, 404))
    with pytest.raises(RunExpiredError, match="24 hours") as caught:
        hand.give(reply({}, 404))
    assert caught.value.run_id == EXECUTION
    assert caught.value.node == "draw"


def test_an_execution_that_was_there_once_and_is_no_more_has_expired() -> None:
    hand = waiting(grace=100.0)
    hand.give(execution("running"))
    with pytest.raises(RunExpiredError):
        hand.give(reply({}, 404))


def test_the_deadline_ends_the_waiting_and_says_that_the_work_goes_on() -> None:
    hand = waiting(pace=Pace(2, 2, 5))
    hand.give(execution("running"))
    hand.give(execution("running"))
    with pytest.raises(RunTimeoutError, match="goes on on the server") as caught:
        hand.give(execution("running"))
    assert caught.value.run_id == EXECUTION
    assert hand.clock.now == 1005


def test_a_deadline_that_passed_while_the_process_was_away_allows_one_look() -> None:
    hand = Timed(lambda policy: wait_for_execution(EXECUTION, tools(policy), 0.0))
    hand.give(execution("complete"))
    assert hand.result["status"] == "complete"
    assert hand.pauses == []


def test_a_server_that_is_silent_for_too_long_is_an_error() -> None:
    hand = waiting(pace=Pace(2, 2, None), patience=3.0)
    hand.give(LOST)
    with pytest.raises(ApiConnectionError):
        hand.give(LOST)


def test_a_refusal_ends_the_waiting_at_once() -> None:
    with pytest.raises(ForbiddenException):
        waiting().give(reply({}, 403))


def test_the_pace_doubles_from_the_shortest_to_the_longest() -> None:
    waits = Pace(1, 5, None).waits()
    first = [next(waits) for _ in range(8)]
    assert first[0] == 1
    assert all(1 <= wait <= 5 for wait in first)
    assert all(wait >= 2.5 for wait in first[4:])


@pytest.mark.parametrize("numbers", [(0, 1, None), (2, 1, None), (1, 2, 0)])
def test_a_pace_that_makes_no_sense_is_refused(numbers: Any) -> None:
    with pytest.raises(ValueError, match=r"pace|deadline"):
        Pace(*numbers)


# Orchestrations


@pytest.mark.parametrize("waits", ["waiting_tools", "polling"])
@pytest.mark.parametrize("name", ["result", "synthesizedResponse", "synthesizedResult"])
@pytest.mark.parametrize(
    "skipped", [(), ("pending",), ("synthesizing",), ("pending", "waits", "synthesizing")]
)
def test_an_orchestration_goes_through_its_states_in_both_dialects(
    waits: str, name: str, skipped: tuple[str, ...]
) -> None:
    hand = gathering()
    for status in ("pending", "waits", "unheard_of", "synthesizing"):
        if status not in skipped:
            hand.give(orchestration(waits if status == "waits" else status))
    hand.give(orchestration("complete", **{"result": None, name: "All of it"}))
    assert hand.result["text"] == "All of it"
    assert hand.result["orchestrationId"] == ORCHESTRATION


FAILED = [
    {"executionId": EXECUTION, "toolName": "draw", "status": "failed", "error": "no ink"},
    {"executionId": EXECUTION, "toolName": "count", "status": "complete", "result": {"n": 1}},
]


def test_a_complete_orchestration_with_a_failed_tool_is_an_error_that_shows_each_tool() -> None:
    hand = gathering()
    with pytest.raises(QuantRunError, match="draw failed: no ink") as caught:
        hand.give(orchestration("complete", result="Some of it", tools=FAILED))
    assert [tool["status"] for tool in caught.value.tools] == ["failed", "complete"]
    assert "result" not in caught.value.tools[1]


def test_a_failed_tool_may_be_kept_beside_the_others() -> None:
    hand = gathering(on_error="keep")
    hand.give(orchestration("complete", result="Some of it", tools=FAILED))
    assert [tool["error"] for tool in hand.result["tools"]] == ["no ink", None]
    assert hand.result["tools"][1]["result"] == {"n": 1}


def test_an_orchestration_that_failed_is_an_error_however_its_tools_ended() -> None:
    hand = gathering(on_error="keep")
    with pytest.raises(QuantRunError, match="out of tokens"):
        hand.give(orchestration("failed", error="out of tokens", tools=FAILED[1:]))


# From the start


def using(answer: bool = False, trace: Trace | None = None, **changes: Any) -> Timed:
    order = ToolOrder("key-1", CHAT, HOST, answer)
    return Timed(lambda policy: use_tools(order, tools(policy), trace or Trace()), **changes)


def chatted(tool_use: Any = None, text: str = "", **more: Any) -> Any:
    response = {"role": "assistant", "content": text}
    if tool_use is not None:
        response["toolUse"] = tool_use
    return reply({"response": response, "requestId": "r", **more})


USE = {"toolUseId": "u1", "name": "draw", "input": {"a": 1}}
STARTED = {**USE, "executionId": EXECUTION, "status": "pending"}


def test_one_tool_is_started_and_awaited_and_its_result_goes_back_to_the_model() -> None:
    hand = using(answer=True)
    assert hand.wants("chat_inference").body == CHAT
    hand.give(chatted(STARTED, "I draw."))
    hand.wants("get_ai_tool_execution_status")
    hand.give(execution("complete", result={"s3Urls": ["https://s3/x"]}))
    call = hand.wants("chat_inference")
    assert call.may_repeat
    assert call.body["toolConfig"]["autoExecute"] is False
    said, given = call.body["messages"][-2:]
    assert said["content"] == [{"text": "I draw."}, {"toolUse": {**USE}}]
    assert given["role"] == "user"
    assert given["content"][0]["toolResult"] == {
        "toolUseId": "u1",
        "content": [{"text": '{"s3Urls": ["https://s3/x"]}'}],
        "status": "success",
    }
    hand.give(chatted(text="Here it is."))
    assert hand.result["text"] == "Here it is."
    assert hand.steps == ["intend_start_tools", "start_tools", "wait_for_tool", "answer"]


@pytest.mark.parametrize("several", [[STARTED], [STARTED, {**STARTED, "toolUseId": "u2"}]])
def test_several_tool_uses_are_awaited_one_after_the_other(several: list[Any]) -> None:
    hand = using()
    hand.give(chatted(several))
    for _ in several:
        hand.wants("get_ai_tool_execution_status")
        hand.give(execution("complete"))
    uses = [tool["toolUseId"] for tool in hand.result["tools"]]
    assert uses == [each["toolUseId"] for each in several]


def test_a_tool_that_ran_at_once_is_not_waited_for() -> None:
    hand = using()
    hand.give(chatted({**USE, "status": "complete", "result": {"celsius": 12}}))
    assert hand.result["tools"][0]["result"] == {"celsius": 12}
    assert hand.steps == ["intend_start_tools", "start_tools"]


def test_a_model_that_uses_no_tool_has_its_say() -> None:
    hand = using(answer=True)
    hand.give(chatted(text="I would rather not."))
    assert hand.result == {"text": "I would rather not.", "tools": [], "orchestrationId": None}


@pytest.mark.parametrize(
    "hidden",
    [
        {"orchestrationId": ORCHESTRATION},
        {"orchestration": {"orchestrationId": ORCHESTRATION}},
        {"orchestration": {"id": ORCHESTRATION}},
        {"orchestration": {"pollUrl": f"{HOST}/tools/orchestrations/{ORCHESTRATION}"}},
        {"pollUrl": f"/ai/tools/orchestrations/{ORCHESTRATION}"},
    ],
)
def test_an_orchestration_is_found_wherever_its_id_hides(hidden: Any) -> None:
    hand = using()
    hand.give(chatted([STARTED, STARTED], **hidden))
    call = hand.wants("get_ai_orchestration_status")
    assert call.path == f"/tools/orchestrations/{ORCHESTRATION}"
    hand.give(orchestration("complete", result="All"))
    assert hand.result["text"] == "All"


@pytest.mark.parametrize(
    "url",
    [
        f"https://evil.example/ai/tools/orchestrations/{ORCHESTRATION}",
        f"http://q.example/ai/tools/orchestrations/{ORCHESTRATION}",
        f"//evil.example/tools/orchestrations/{ORCHESTRATION}",
        "https://q.example:bad/tools/orchestrations/x",
        "/somewhere/else",
    ],
)
def test_a_poll_url_that_leads_elsewhere_is_not_followed(url: str) -> None:
    hand = using()
    hand.give(chatted([STARTED], orchestration={"pollUrl": url}))
    hand.wants("get_ai_tool_execution_status")


@pytest.mark.parametrize("problem", [LOST, reply({}, 500), reply({}, 504), reply({}, 408), reply()])
def test_a_start_without_a_proper_answer_is_unknown_and_names_what_began_since(
    problem: Any,
) -> None:
    hand = using()
    hand.give(problem)
    hand.wants("list_ai_tool_executions")
    listed = {"executionId": EXECUTION, "toolName": "draw", "createdAt": 1001}
    with pytest.raises(UnknownOutcomeError, match=EXECUTION) as caught:
        hand.give(reply({"executions": [listed]}))
    assert caught.value.key == "key-1"


def test_a_start_whose_outcome_is_unknown_may_be_risked_again() -> None:
    hand = using(on_unknown="rerun")
    hand.give(LOST)
    hand.wants("chat_inference")


def test_a_start_that_never_left_is_tried_again() -> None:
    hand = using()
    hand.give(REFUSED)
    hand.wants("chat_inference")


def test_a_second_try_in_the_same_process_takes_up_what_the_first_one_started() -> None:
    trace = Trace()
    hand = using(trace=trace)
    hand.give(chatted(STARTED))
    hand.wants("get_ai_tool_execution_status")
    again = using(trace=trace)
    again.wants("get_ai_tool_execution_status")


def test_a_second_try_after_an_unknown_start_starts_nothing() -> None:
    trace = Trace()
    hand = using(trace=trace)
    hand.give(LOST)
    with pytest.raises(UnknownOutcomeError):
        hand.give(reply({}, 403))
    using(trace=trace).wants("list_ai_tool_executions")


def test_a_second_try_after_a_refusal_starts_with_a_mark_of_its_own() -> None:
    trace = Trace()
    hand = using(trace=trace)
    with pytest.raises(ForbiddenException):
        hand.give(reply({}, 403))
    again = using(trace=trace)
    again.wants("chat_inference")
    assert again.steps == ["intend_start_tools", "start_tools"]


# Durable chats


REQUEST = "Xk/dVWi="


def chatting(answers: Any = None, **changes: Any) -> Timed:
    def answer(pending: Any) -> Any:
        return (yield from Ask(list(pending)))

    order = ChatOrder("key-1", CHAT, HOST, node="chat", agent_id=changes.pop("agent_id", None))
    return Timed(lambda policy: converse(order, policy, Trace(), answer), **changes)


def durable(status: str, **more: Any) -> Any:
    return reply({"requestId": REQUEST, "status": status, **more})


def waits_for(callback: str, *names: str) -> Any:
    tools = [{"name": name, "toolUseId": f"u-{name}", "input": {}} for name in names]
    return durable("waiting_callback", callbackId=callback, pendingTools=tools)


def said(text: str) -> Any:
    result = {"response": {"role": "assistant", "content": text}, "usage": {"totalTokens": 3}}
    return durable("complete", result=result)


def begun(**changes: Any) -> Timed:
    hand = chatting(**changes)
    assert hand.wants("chat_inference").body["async"] is True
    hand.give(reply({"requestId": REQUEST, "sessionId": "s", "status": "queued"}, 202))
    assert hand.wants("get_durable_execution_status").path == "/chat/executions/Xk%2FdVWi%3D"
    return hand


@pytest.mark.parametrize(
    "statuses", [[], ["pending"], ["running"], ["pending", "running", "unheard_of", "", "running"]]
)
def test_a_chat_goes_through_its_states_in_order_with_skips_and_unknown_ones(
    statuses: list[str],
) -> None:
    hand = begun()
    for status in statuses:
        hand.give(durable(status))
    hand.give(said("Done."))
    assert hand.result["text"] == "Done."
    assert (hand.result["requestId"], hand.result["sessionId"]) == (REQUEST, "s")


def test_two_callbacks_of_one_chat_are_answered_each_once() -> None:
    hand = begun()
    hand.give(waits_for("cb-1", "look", "see"))
    assert [tool["name"] for tool in hand.next.payload] == ["look", "see"]
    hand.give({"u-look": {"a": 1}, "u-see": [2]})
    call = hand.wants("submit_tool_callback")
    assert call.body == {
        "callbackId": "cb-1",
        "toolResults": [
            {"toolUseId": "u-look", "result": {"a": 1}},
            {"toolUseId": "u-see", "result": {"result": [2]}},
        ],
    }
    hand.give(reply({"success": True}))
    hand.give(waits_for("cb-1", "look", "see"))  # the server is still to notice
    hand.give(durable("running"))
    hand.give(waits_for("cb-2", "look"))
    hand.give({"u-look": None})
    assert hand.wants("submit_tool_callback").body["callbackId"] == "cb-2"
    hand.give(reply({"success": True}))
    hand.give(said("Done."))
    assert hand.result["text"] == "Done."


@pytest.mark.parametrize("lost", [LOST, reply({}, 502)])
def test_a_callback_whose_answer_got_lost_is_sent_again_and_then_refused(lost: Any) -> None:
    hand = begun()
    hand.give(waits_for("cb-1", "look"))
    hand.give({"u-look": 1})
    hand.give(lost)
    hand.wants("submit_tool_callback")
    hand.give(reply({"error": "Callback not found"}, 404))
    hand.wants("get_durable_execution_status")
    hand.give(said("Done."))
    assert hand.result["text"] == "Done."


def test_a_callback_that_the_server_never_takes_is_an_error() -> None:
    hand = begun(grace=3.0)
    hand.give(waits_for("cb-1", "look"))
    hand.give({"u-look": 1})
    hand.give(reply({}, 404))
    hand.give(waits_for("cb-1", "look"))
    with pytest.raises(QuantRunError, match="callback"):
        hand.give(waits_for("cb-1", "look"))


def test_the_deadline_counts_anew_after_a_callback() -> None:
    hand = begun(pace=Pace(2, 2, 10))
    hand.give(waits_for("cb-1", "look"))
    hand.clock.now += 5000  # somebody thinks about it
    hand.give({"u-look": 1})
    hand.give(reply({"success": True}))
    hand.give(durable("running"))
    hand.give(said("Done."))
    assert hand.result["text"] == "Done."


@pytest.mark.parametrize(
    "error", [{"ErrorMessage": "out of time", "ErrorType": "T"}, "out of time"]
)
def test_a_chat_that_failed_says_why(error: Any) -> None:
    hand = begun()
    with pytest.raises(QuantRunError, match="out of time") as caught:
        hand.give(durable("failed", error=error))
    assert caught.value.run_id == REQUEST


def test_a_chat_that_was_accepted_without_an_id_is_read_by_its_poll_url() -> None:
    hand = chatting()
    hand.give(reply({"status": "queued", "pollUrl": "/ai/chat/executions/a%2Fb%3D"}, 202))
    assert hand.wants("get_durable_execution_status").path == "/chat/executions/a%2Fb%3D"


def test_a_chat_whose_start_got_no_answer_is_unknown() -> None:
    with pytest.raises(UnknownOutcomeError, match="durable chat"):
        chatting().give(LOST)


def test_an_agent_is_talked_to_by_its_own_operation() -> None:
    hand = Timed(
        lambda policy: converse(
            ChatOrder("k", {"message": "hi"}, HOST, agent_id="a1"), policy, Trace(), None
        )
    )
    call = hand.wants("chat_with_ai_agent")
    assert (call.path, call.body) == ("/agents/a1/chat", {"message": "hi", "async": True})


def test_a_failing_service_fails_the_step_that_needs_it() -> None:
    hand = begun(patience=1.0, pace=Pace(2, 2, None))
    with pytest.raises(ServiceException):
        hand.give(reply({}, 503))
