"""The life of a remote run, stepped through by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.acp.job import ACPJob
from acp_langgraph.acp.order import KEY, RunOrder
from acp_langgraph.core.flow import Ask, Step
from acp_langgraph.errors import (
    ACPRunException,
    ApiConnectionError,
    ApiTimeoutError,
    CheckpointerRequiredError,
    NotFoundException,
    RunLostError,
    RunOutputError,
    RunTimeoutError,
    UnauthorizedException,
    UnknownOutcomeError,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import Entry, JobPolicy
from acp_langgraph.jobs.life import run_job
from acp_langgraph.jobs.waiting import cancel_job

AGENT = "b2a7c6de-0000-4000-8000-000000000001"
RUN = "b2a7c6de-0000-4000-8000-0000000000aa"
THREAD = "b2a7c6de-0000-4000-8000-0000000000bb"
ORDER = RunOrder(key="key-1", agent_id=AGENT, input={"text": "hi"}, node="writer")
LOST = ApiConnectionError("the connection broke", sent=True)
REFUSED = ApiConnectionError("cannot connect", sent=False)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def policy(**changes: Any) -> JobPolicy:
    return replace(JobPolicy(clock=Clock()), **changes)


def run(status: str = "pending", at: int = 0, key: str = "key-1", **more: Any) -> dict[str, Any]:
    return {
        "run_id": RUN,
        "agent_id": AGENT,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": f"2026-01-01T00:00:{at:02}Z",
        "status": status,
        "creation": {"agent_id": AGENT, "metadata": {KEY: key}},
        **more,
    }


def result(values: Any) -> Any:
    return reply({"run": run("success"), "output": {"type": "result", "values": values}})


def question(payload: Any, at: int = 1) -> Any:
    interrupt = {"type": "interrupt", "interrupt": payload}
    return reply({"run": run("interrupted", at), "output": interrupt})


def started(**options: Any) -> Hand:
    hand = Hand(run_job(ACPJob(ORDER, options.pop("policy", policy())), can_ask=True, **options))
    hand.wants("create_stateless_run")
    hand.give(reply(run()))
    hand.wants("wait_for_stateless_run_output")
    return hand


def test_a_run_that_asks_nothing_is_created_and_awaited() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True))
    call = hand.wants("create_stateless_run")
    assert call.body["agent_id"] == AGENT
    assert call.body["input"] == {"text": "hi"}
    assert call.body["metadata"] == {KEY: "key-1"}
    assert call.body["on_disconnect"] == "continue"
    hand.give(reply(run()))
    assert hand.wants("wait_for_stateless_run_output").path == f"/runs/{RUN}/wait"
    hand.give(result({"text": "done"}))
    assert hand.result["values"] == {"text": "done"}
    assert hand.steps == ["create_run", "wait_for_run"]


def test_a_run_that_needs_no_memory_is_one_request() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=False))
    hand.wants("create_and_wait_for_stateless_run_output")
    hand.give(result("done"))
    assert hand.result["values"] == "done"


def test_two_questions_are_put_one_after_the_other_and_answered_on_the_same_run() -> None:
    hand = started()
    hand.give(question("color?", at=1))
    assert hand.next == Ask("color?")
    hand.give("blue")
    hand.wants("get_stateless_run")
    hand.give(reply(run("interrupted", at=1)))
    call = hand.wants("resume_stateless_run")
    assert (call.path, call.body) == (f"/runs/{RUN}", "blue")
    hand.give(reply(run()))
    hand.wants("wait_for_stateless_run_output")
    hand.give(question("food?", at=3))
    assert hand.next == Ask("food?")
    hand.give(None)
    hand.wants("get_stateless_run")
    hand.give(reply(run("interrupted", at=3)))
    assert hand.wants("resume_stateless_run").body is None
    hand.give(reply(run()))
    hand.give(result("blue rice"))
    assert hand.result["values"] == "blue rice"
    steps = ["create_run", "wait_for_run", "resume_run", "wait_for_run", "resume_run"]
    assert hand.steps == [*steps, "wait_for_run"]


def test_an_answer_is_not_sent_again_to_a_run_that_has_moved_on() -> None:
    hand = started()
    hand.give(question("color?", at=1))
    hand.give("blue")
    hand.wants("get_stateless_run")
    hand.give(reply(run("interrupted", at=3)))  # it asks something else by now
    hand.wants("wait_for_stateless_run_output")


def test_a_resume_whose_answer_got_lost_is_settled_by_reading_the_run() -> None:
    hand = started()
    hand.give(question("color?", at=1))
    hand.give("blue")
    hand.give(reply(run("interrupted", at=1)))
    hand.wants("resume_stateless_run")
    hand.give(LOST)
    hand.wants("get_stateless_run")
    hand.give(reply(run("pending", at=2)))
    hand.wants("wait_for_stateless_run_output")


def test_a_resume_that_never_arrived_is_sent_again() -> None:
    hand = started()
    hand.give(question("color?", at=1))
    hand.give("blue")
    hand.give(reply(run("interrupted", at=1)))
    hand.give(LOST)
    hand.give(reply(run("interrupted", at=1)))
    assert hand.wants("resume_stateless_run").body == "blue"


def test_a_conflict_on_a_run_that_moved_on_means_that_it_was_answered() -> None:
    hand = started()
    hand.give(question("color?", at=1))
    hand.give("blue")
    hand.give(reply(run("interrupted", at=1)))
    hand.wants("resume_stateless_run")
    hand.give(reply("not interrupted", status=409))
    hand.give(reply(run("pending", at=2)))
    hand.wants("wait_for_stateless_run_output")


def test_an_answer_that_the_agent_refuses_is_an_error() -> None:
    hand = started()
    hand.give(question("color?", at=1))
    hand.give(7)
    hand.give(reply(run("interrupted", at=1)))
    with pytest.raises(UnprocessableEntityException, match="must be text"):
        hand.give(reply("answer: must be text", status=422))


def test_a_refusal_that_is_remembered_is_followed_by_the_same_question() -> None:
    flow = run_job(ACPJob(ORDER, policy()), can_ask=True)
    remembered = [
        {"run_id": RUN, "since": 0.0},
        {"type": "interrupt", "payload": "color?", "run_id": RUN, "asked_at": None},
        {"refused": True},
    ]
    given: list[Any] = [7]
    effect = next(flow)
    while not isinstance(effect, Ask) or given:
        match effect:
            case Step():
                effect = flow.send(remembered.pop(0))
            case Ask():
                effect = flow.send(given.pop())
            case _:
                effect = flow.send(None)
    assert effect.payload == "color?"
    assert not remembered


def test_on_reentry_the_run_is_looked_up_before_it_is_created() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    call = hand.wants("search_stateless_runs")
    assert call.body == {"agent_id": AGENT, "metadata": {KEY: "key-1"}}
    hand.give(reply([run()]))
    hand.wants("wait_for_stateless_run_output")


def test_on_reentry_a_run_that_was_never_started_is_created() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    hand.wants("search_stateless_runs")
    hand.give(reply([]))
    hand.wants("create_stateless_run")


@pytest.mark.parametrize("refusal", [reply(status=500), reply(status=422), reply(status=404)])
def test_where_metadata_cannot_be_searched_the_agents_runs_are_paged_through(refusal: Any) -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy(retries=0)), can_ask=True, entry=Entry(again=True)))
    hand.give(refusal)
    assert hand.wants("search_stateless_runs").body["offset"] == 0
    hand.give(reply([run(key="another")] * 100))
    assert hand.wants("search_stateless_runs").body["offset"] == 100
    hand.give(reply([run()]))
    hand.wants("wait_for_stateless_run_output")


def test_a_server_that_ignores_the_filter_is_paged_through() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    hand.give(reply([run(key="another")]))
    assert "metadata" not in hand.wants("search_stateless_runs").body


def test_where_nothing_can_be_searched_the_outcome_is_unknown() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy(retries=0)), can_ask=True, entry=Entry(again=True)))
    hand.give(reply("Not implemented", status=500))
    with pytest.raises(UnknownOutcomeError, match="'key-1'") as caught:
        hand.give(reply("Not implemented", status=500))
    assert caught.value.key == "key-1"
    assert caught.value.agent_id == AGENT


def test_the_policy_may_accept_a_second_run() -> None:
    hand = Hand(
        run_job(
            ACPJob(ORDER, policy(retries=0, on_unknown="rerun")),
            can_ask=True,
            entry=Entry(again=True),
        )
    )
    hand.give(reply(status=500))
    hand.give(reply(status=500))
    hand.wants("create_stateless_run")


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503, 504])
def test_a_search_that_fails_for_another_reason_says_nothing_about_the_run(status: int) -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy(retries=0)), can_ask=True, entry=Entry(again=True)))
    with pytest.raises(Exception, match=str(status)) as caught:
        hand.give(reply(status=status))
    assert not isinstance(caught.value, UnknownOutcomeError)


@pytest.mark.parametrize("failure", [LOST, reply(status=502), reply(status=500), reply()])
def test_a_create_whose_answer_got_lost_is_looked_up(failure: Any) -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True))
    hand.wants("create_stateless_run")
    hand.give(failure)
    hand.wants("search_stateless_runs")
    hand.give(reply([run()]))
    hand.wants("wait_for_stateless_run_output")


def test_a_create_that_did_not_arrive_is_repeated_after_a_second_look() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True))
    hand.give(LOST)
    hand.wants("search_stateless_runs")
    hand.give(reply([]))
    hand.wants("search_stateless_runs")
    assert len(hand.pauses) == 1
    hand.give(reply([]))
    hand.wants("create_stateless_run")


def test_a_create_that_never_left_is_repeated_at_once() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True))
    hand.give(REFUSED)
    hand.wants("create_stateless_run")


def test_a_create_that_is_refused_is_not_repeated() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True))
    with pytest.raises(UnauthorizedException):
        hand.give(reply("no", status=401))


def test_of_several_runs_with_the_key_the_oldest_counts() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    younger = {**run(), "run_id": "younger", "created_at": "2026-01-02T00:00:00Z"}
    hand.give(reply([younger, run()]))
    assert hand.wants("wait_for_stateless_run_output").path == f"/runs/{RUN}/wait"


@pytest.mark.parametrize(
    ("older", "younger"),
    [
        ("2026-01-01T05:00:00+05:00", "2026-01-01T01:00:00Z"),  # 00:00 and 01:00 in UTC
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"),
        ("2025-12-31T20:30:00-05:00", "2026-01-01T02:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00.000001"),  # one server's clock, wherever it is
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_which_run_is_the_oldest_is_told_by_moments_and_not_by_their_texts(
    older: str, younger: str, backwards: bool
) -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    runs = [{**run(), "created_at": older}, {**run(), "run_id": "y", "created_at": younger}]
    hand.give(reply(runs[::-1] if backwards else runs))
    assert hand.wants("wait_for_stateless_run_output").path == f"/runs/{RUN}/wait"


@pytest.mark.parametrize(
    "failure",
    [
        ApiTimeoutError("no answer in time", sent=True),
        LOST,
        REFUSED,
        reply(status=204),
        reply(status=408),
        reply(status=429, retry_after="1"),
        reply(status=500),
        reply(status=502),
        reply(status=504),
        reply({"run": run("pending")}),
    ],
    ids=str,
)
def test_a_wait_without_an_outcome_goes_on_after_a_look(failure: Any) -> None:
    hand = started()
    for _ in range(20):
        hand.give(failure)
        hand.wants("get_stateless_run")
        hand.give(reply(run("pending")))
        hand.wants("wait_for_stateless_run_output")
    assert hand.progress.count("waiting") == 1 + 20
    hand.give(result("done"))
    assert hand.result["values"] == "done"


def unanswered(hand: Hand) -> None:
    """Have the look at a run fail, as often as it is made."""
    while hand.next.operation == "get_stateless_run":
        hand.give(REFUSED)


def test_a_server_that_restarts_is_waited_for() -> None:
    hand = started()
    for _ in range(20):
        hand.give(REFUSED)
        hand.wants("get_stateless_run")
        unanswered(hand)
        hand.wants("wait_for_stateless_run_output")
    hand.give(result("done"))
    assert hand.done


def test_waiting_ends_after_too_long_without_a_sign_of_life() -> None:
    patience = policy()
    hand = started(policy=patience)
    hand.give(REFUSED)
    patience.clock.now += 301  # type: ignore[attr-defined]  # the clock above
    with pytest.raises(ApiConnectionError):
        unanswered(hand)


def test_a_server_asking_for_time_gets_it() -> None:
    hand = started()
    hand.give(reply(status=503, retry_after="7"))
    hand.give(reply(run("pending")))
    assert hand.pauses == [7.0]


def test_a_run_that_the_server_forgot_is_lost() -> None:
    hand = started()
    for _ in range(2):
        hand.give(reply(status=404))
        hand.wants("get_stateless_run")
        hand.give(reply(status=404))
    hand.give(reply(status=404))
    with pytest.raises(RunLostError, match=RUN):
        hand.give(reply(status=404))


def test_a_run_over_its_deadline_is_cancelled() -> None:
    patience = policy(run_timeout=60.0)
    hand = started(policy=patience)
    patience.clock.now += 61  # type: ignore[attr-defined]  # the clock above
    hand.give(ApiTimeoutError("no answer in time", sent=True))
    hand.wants("cancel_stateless_run")
    with pytest.raises(RunTimeoutError, match="cancelled") as caught:
        hand.give(reply(status=204))
    assert caught.value.run_id == RUN


def test_a_run_over_its_deadline_may_be_left_alone() -> None:
    patience = policy(run_timeout=60.0, on_timeout="leave")
    hand = started(policy=patience)
    assert (hand.next.timeout, hand.next.limit) == (30.0, 60.0)
    patience.clock.now += 50  # type: ignore[attr-defined]  # the clock above
    hand.give(reply({"run": run("pending")}))
    hand.give(reply(run("pending")))
    assert hand.wants("wait_for_stateless_run_output").limit == 10.0
    patience.clock.now += 11  # type: ignore[attr-defined]  # the clock above
    with pytest.raises(RunTimeoutError, match="left running"):
        hand.give(reply({"run": run("pending")}))


def test_a_failed_run_raises_what_the_agent_said() -> None:
    hand = started()
    output = {"type": "error", "run_id": RUN, "errcode": 7, "description": "no ink"}
    with pytest.raises(ACPRunException, match="no ink") as caught:
        hand.give(reply({"run": run("error"), "output": output}))
    assert (caught.value.errcode, caught.value.run_id) == (7, RUN)
    assert caught.value.node == "writer"


def test_a_success_without_an_output_is_no_success() -> None:
    hand = started(policy=policy(retries=1))
    hand.give(reply({"run": run("success"), "output": None}))
    hand.give(reply(run("success")))
    hand.give(reply({"run": run("success"), "output": None}))
    with pytest.raises(RunOutputError, match="status success"):
        hand.give(reply(run("success")))


def test_an_output_that_stays_unreadable_ends_the_wait() -> None:
    hand = started(policy=policy(retries=1))
    hand.give(reply(status=500))
    hand.give(reply(run("success")))
    hand.give(reply(status=500))
    with pytest.raises(RunOutputError, match="500"):
        hand.give(reply(run("success")))


def test_a_question_without_memory_cancels_the_run() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=False))
    hand.give(question("color?"))
    hand.wants("cancel_stateless_run")
    with pytest.raises(CheckpointerRequiredError, match="checkpointer"):
        hand.give(reply(status=204))


def test_a_thread_is_made_before_the_run_and_used_for_everything() -> None:
    order = replace(ORDER, thread_id=THREAD)
    hand = Hand(run_job(ACPJob(order, policy()), can_ask=True, entry=Entry(again=True)))
    call = hand.wants("create_thread")
    assert call.body["if_exists"] == "do_nothing"
    hand.give(reply({"thread_id": THREAD, "metadata": {}, "status": "idle"}))
    hand.wants("list_thread_runs")
    hand.give(reply([]))
    assert hand.wants("create_thread_run").body["multitask_strategy"] == "enqueue"
    hand.give(reply(run()))
    hand.wants("wait_for_thread_run_output")
    hand.give(question("color?"))
    hand.give("blue")
    hand.wants("get_thread_run")
    hand.give(reply(run("interrupted", at=1)))
    hand.wants("resume_thread_run")


def test_cancelling_a_run_without_an_id_looks_it_up() -> None:
    hand = Hand(cancel_job(ACPJob(ORDER, policy()), None))
    hand.wants("search_stateless_runs")
    hand.give(reply([run()]))
    hand.wants("cancel_stateless_run")
    hand.give(reply(status=204))
    assert hand.result is True


@pytest.mark.parametrize("status", [400, 405, 409, 501])
def test_a_server_that_cannot_cancel_is_no_error(status: int) -> None:
    hand = Hand(cancel_job(ACPJob(ORDER, policy()), RUN))
    hand.give(reply("Not implemented", status=status))
    assert hand.result is False


def test_a_run_that_is_gone_counts_as_cancelled() -> None:
    hand = Hand(cancel_job(ACPJob(ORDER, policy()), RUN))
    hand.give(NotFoundException("POST /runs/x/cancel", 404))
    assert hand.result is True


CANCELLED = {"type": "error", "run_id": RUN, "errcode": 2, "description": "the run was cancelled"}


def test_a_run_that_was_cancelled_is_replaced_when_the_flow_is_entered_again() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    hand.give(reply([run("error")]))
    hand.wants("wait_for_stateless_run_output")
    hand.give(reply({"run": run("error"), "output": CANCELLED}))
    assert hand.wants("search_stateless_runs").body["metadata"] == {KEY: "key-1/2"}
    hand.give(reply([]))
    assert hand.wants("create_stateless_run").body["metadata"] == {KEY: "key-1/2"}


def test_a_run_that_is_cancelled_while_it_is_awaited_has_failed() -> None:
    hand = started()
    with pytest.raises(ACPRunException, match="cancelled"):
        hand.give(reply({"run": run("error"), "output": CANCELLED}))


def test_a_run_that_is_cancelled_after_it_was_seen_at_work_has_failed() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True, entry=Entry(again=True)))
    hand.give(reply([run()]))
    hand.give(reply(status=204))
    hand.give(reply(run("pending")))
    with pytest.raises(ACPRunException, match="cancelled"):
        hand.give(reply({"run": run("error"), "output": CANCELLED}))


@pytest.mark.parametrize("can_ask", [True, False])
def test_a_run_that_is_known_to_be_cancelled_is_not_awaited(can_ask: bool) -> None:
    entry = Entry(again=True, cancelled={RUN})
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=can_ask, entry=entry))
    hand.wants("search_stateless_runs")
    hand.give(reply([run()]))
    hand.wants("get_stateless_run")
    hand.give(reply(run("pending")))
    assert hand.wants("search_stateless_runs").body["metadata"] == {KEY: "key-1/2"}


def test_a_run_that_comes_late_is_still_found_and_cancelled() -> None:
    hand = Hand(cancel_job(ACPJob(ORDER, policy()), None))
    for _ in range(3):
        hand.wants("search_stateless_runs")
        hand.give(reply([]))
    hand.give(reply([run()]))
    hand.wants("cancel_stateless_run")


@pytest.mark.parametrize("came_through", [True, False])
def test_a_run_that_was_done_before_its_cancelling_came_is_not_done_again(
    came_through: bool,
) -> None:
    entry = Entry(again=True, cancelled={RUN})
    flow = run_job(ACPJob(ORDER, policy()), can_ask=True, entry=entry)
    hand = Hand(flow, remembered=[{"run_id": RUN, "since": 1000.0}])
    hand.wants("get_stateless_run")
    hand.give(reply(run("success" if came_through else "error")))
    hand.wants("wait_for_stateless_run_output")
    if came_through:
        hand.give(result({"text": "done"}))
        assert hand.result["values"] == {"text": "done"}
        return
    failed = {"type": "error", "run_id": RUN, "errcode": 2, "description": "cancelled"}
    hand.give(reply({"run": run("error"), "output": failed}))
    hand.wants("search_stateless_runs")
    assert hand.keys[-1] == "key-1/2"


def test_a_server_that_asks_to_wait_is_not_asked_to_start_again_before() -> None:
    hand = Hand(run_job(ACPJob(ORDER, policy()), can_ask=True))
    hand.wants("create_stateless_run")
    hand.give(reply({"detail": "busy"}, 503, retry_after="7"))
    for _ in range(2):
        hand.wants("search_stateless_runs")
        hand.give(reply([]))
    hand.wants("create_stateless_run")
    assert hand.pauses == [7.0]
