"""What those who wait together are told to do, without a server and without a clock of their own."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import repeat
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import Pause
from acp_langgraph.quant.models import ToolExecutionList
from acp_langgraph.quant.polling import (
    List,
    Look,
    Pace,
    QuantPolicy,
    Rest,
    SharedPolling,
    shared_polling,
)
from acp_langgraph.quant.tools import Tools, wait_for_execution


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Together:
    """Some who wait, every two seconds."""

    def __init__(self, stack: ExitStack, *names: str) -> None:
        self.clock = Clock()
        self.polling = SharedPolling(self.clock)
        self.watchers = [
            stack.enter_context(self.polling.watch(name, repeat(2.0), 0.0)) for name in names
        ]

    def advise(self) -> list[Any]:
        return [self.polling.advise(watcher) for watcher in self.watchers]

    def after(self, seconds: float) -> list[Any]:
        self.clock.now += seconds
        return self.advise()

    def learn(self, **statuses: str) -> None:
        items = [{"executionId": name, "status": status} for name, status in statuses.items()]
        self.polling.learn(ToolExecutionList.model_validate({"executions": items}))


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


def test_one_who_waits_alone_looks_for_himself_when_it_is_time(stack: Any) -> None:
    alone = Together(stack, "a")
    assert alone.advise() == [Rest(2.0)]
    assert alone.after(2.0) == [Look()]
    alone.watchers[0].looked()
    assert alone.advise() == [Rest(2.0)]


def test_of_several_one_asks_for_the_list_and_the_others_rest(stack: Any) -> None:
    three = Together(stack, "a", "b", "c")
    first, *others = three.after(2.0)
    assert first == List()
    assert others == [Rest(0.5), Rest(0.5)]


def test_the_list_sends_those_who_are_done_to_look_and_the_others_to_rest(stack: Any) -> None:
    three = Together(stack, "a", "b", "c")
    three.after(2.0)
    three.learn(a="complete", b="running", c="failed")
    assert three.advise() == [Look(), Rest(2.0), Look()]


def test_an_unknown_status_is_still_at_work(stack: Any) -> None:
    two = Together(stack, "a", "b")
    two.after(2.0)
    two.learn(a="warming_up", b="")
    assert two.advise() == [Rest(2.0), Rest(2.0)]


def test_what_the_list_does_not_show_is_looked_at_less_often(stack: Any) -> None:
    two = Together(stack, "a", "b")
    two.after(2.0)
    two.learn(a="running")
    assert two.advise() == [Rest(2.0), Rest(2.0)]
    assert List() in two.after(2.0)
    two.learn(a="running")
    assert List() in two.after(2.0)
    two.learn(a="running")
    assert two.advise()[1] == Look()


def test_an_execution_that_only_the_list_calls_done_is_not_looked_at_all_the_time(
    stack: Any,
) -> None:
    two = Together(stack, "a", "b")
    two.after(2.0)
    two.learn(a="complete", b="running")
    assert two.advise()[0] == Look()
    two.clock.now += 0.1
    two.watchers[0].looked()  # and it was running
    assert isinstance(two.advise()[0], Rest)


def test_a_turn_that_was_given_up_is_the_next_ones(stack: Any) -> None:
    two = Together(stack, "a", "b")
    assert two.after(2.0)[0] == List()
    two.polling.give_up_turn()
    assert two.polling.advise(two.watchers[1]) == List()


def test_a_turn_that_is_never_ended_runs_out(stack: Any) -> None:
    two = Together(stack, "a", "b")
    assert two.after(2.0)[0] == List()
    assert two.after(31.0)[0] == List()


def test_a_list_that_is_refused_makes_everybody_look_for_himself(stack: Any) -> None:
    two = Together(stack, "a", "b")
    two.after(2.0)
    two.polling.do_without()
    assert two.advise() == [Look(), Look()]
    for watcher in two.watchers:
        watcher.looked()
    assert two.after(301.0)[0] == List()


def test_a_list_that_cannot_be_had_just_now_is_asked_for_later(stack: Any) -> None:
    two = Together(stack, "a", "b")
    two.after(2.0)
    two.polling.postpone(3.0)
    assert two.advise() == [Rest(3.0), Rest(3.0)]
    assert two.after(3.0)[0] == List()


def test_one_who_leaves_is_not_counted_any_more(stack: Any) -> None:
    two = Together(stack, "a")
    with two.polling.watch("b", repeat(2.0), 0.0):
        assert two.after(2.0) == [List()]
        two.polling.give_up_turn()
    assert two.advise() == [Look()]


def test_the_same_execution_watched_twice_is_one_execution(stack: Any) -> None:
    two = Together(stack, "a", "a")
    assert two.after(2.0) == [Look(), Look()]


def test_one_organisation_with_the_same_credentials_shares_its_polling() -> None:
    one = ApiClientConfiguration("http://q", access_token="t")
    same = ApiClientConfiguration("http://q/", access_token="t", retries=1)
    other = ApiClientConfiguration("http://q", access_token="u")
    first = shared_polling(one)
    assert shared_polling(same) is first
    assert shared_polling(other) is not first


# With the flow that does what it is told


def waiting(polling: SharedPolling, clock: Clock, name: str = "a") -> Hand:
    policy = QuantPolicy(Pace(2, 2, 60), clock=clock)

    class Moving(Hand):
        def _sender(self, value: Any) -> Any:
            if self.pauses:
                clock.now += self.pauses.pop()
            return super()._sender(value)

    return Moving(wait_for_execution(name, Tools(policy, policy, sharing=polling), clock.now))


def listed(**statuses: str) -> Any:
    items = [{"executionId": name, "status": status} for name, status in statuses.items()]
    return reply({"executions": items})


def test_a_waiter_asks_for_the_list_and_looks_once_it_says_so() -> None:
    clock = Clock()
    polling = SharedPolling(clock)
    with polling.watch("other", repeat(2.0), 0.0):
        hand = waiting(polling, clock)
        hand.wants("list_ai_tool_executions")
        hand.give(listed(a="running", other="running"))
        assert hand.wants("list_ai_tool_executions").query == {"limit": "100"}
        hand.give(listed(a="complete", other="running"))
        hand.wants("get_ai_tool_execution_status")
        hand.give(reply({"status": "complete", "result": 1}))
    assert hand.result["result"] == 1
    assert hand.progress == ["waiting", "waiting"]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_waiter_that_may_not_list_looks_by_itself(status: int) -> None:
    clock = Clock()
    polling = SharedPolling(clock)
    with polling.watch("other", repeat(2.0), 0.0):
        hand = waiting(polling, clock)
        hand.wants("list_ai_tool_executions")
        hand.give(reply({}, status))
        hand.wants("get_ai_tool_execution_status")


@pytest.mark.parametrize("status", [429, 503])
def test_a_list_that_fails_in_passing_is_asked_for_again(status: int) -> None:
    clock = Clock()
    polling = SharedPolling(clock)
    with polling.watch("other", repeat(2.0), 0.0):
        hand = waiting(polling, clock)
        hand.wants("list_ai_tool_executions")
        before = clock.now
        hand.give(reply({}, status, retry_after="9"))
        assert clock.now == before + 9
        hand.wants("get_ai_tool_execution_status")  # nothing was heard of it for too long
        hand.give(reply({"status": "running"}))
        hand.wants("list_ai_tool_executions")


def test_a_waiter_that_is_cancelled_in_the_middle_of_the_list_gives_up_its_turn() -> None:
    clock = Clock()
    polling = SharedPolling(clock)
    with polling.watch("b", repeat(2.0), 0.0) as other:
        policy = QuantPolicy(Pace(2, 2, 60), clock=clock)
        flow = wait_for_execution("a", Tools(policy, policy, sharing=polling), clock.now)
        assert isinstance(next(flow), Pause)
        clock.now += 2
        assert flow.send(None).operation == "list_ai_tool_executions"
        flow.close()
        assert polling.advise(other) == Look()  # alone again, and its turn
