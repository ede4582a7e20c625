"""Work that must not be done twice, stepped through by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Flow, Step
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiTimeoutError,
    BadRequestException,
    UnknownOutcomeError,
)
from acp_langgraph.jobs.once import Once, Trace

CALL: Call[Any] = Call("send", "POST", "/mails", str)
LOST = ApiTimeoutError("no answer in time", sent=True)
NEVER_LEFT = ApiConnectionError("cannot connect", sent=False)


def work() -> Flow[Any]:
    reply: Reply = yield CALL
    return reply.text


class Crash(BaseException):
    """The process dies."""


class Process:
    """Enters the same execution again and again, with a memory like a checkpointer's."""

    def __init__(self, **options: Any) -> None:
        self.memory: dict[tuple[int, str], str] = {}
        self.options = options
        self.sent = 0
        self.settled: list[str] = []

    def enter(
        self, answer: Any, *, trace: Trace | None = None, crash_at: str = "", first: int = 0
    ) -> Any:
        """Run the flow; `answer` is given to the request, or raised.

        Args:
            answer: What the server answers; an exception is raised.
            trace: Of earlier attempts in the same process.
            crash_at: The step whose result gets lost, because the process dies.
            first: Position of the first step, which in a retry goes on counting.
        """
        flow = Once("the mail", "send", node="mailer", trace=trace or Trace(), **self.options).do(
            work
        )
        position = first
        effect, over = _resume(flow.__next__)
        while not over:
            assert isinstance(effect, Step)
            key = position, effect.name
            position += 1
            if key in self.memory:
                result = json.loads(self.memory[key])
                effect, over = _resume(lambda result=result: flow.send(result))
            else:
                try:
                    result = self._perform(effect, answer)
                except Exception as error:  # noqa: BLE001 - the flow is to judge
                    effect, over = _resume(lambda error=error: flow.throw(error))
                else:
                    if crash_at == effect.name:
                        raise Crash
                    self.memory[key] = json.dumps(result)
                    if effect.settled:
                        self.settled.append(effect.name)
                    effect, over = _resume(lambda result=result: flow.send(result))
        return effect

    def _perform(self, step: Step[Any], answer: Any) -> Any:
        body = step.body()
        resume: Callable[[], Any] = body.__next__
        while True:
            try:
                assert resume() is CALL
            except StopIteration as end:
                return end.value
            if answer is Crash:
                self.sent += 1
                raise Crash
            if isinstance(answer, Exception):
                self.sent += getattr(answer, "sent", True)
                resume = lambda: body.throw(answer)  # noqa: E731 - one of two
            else:
                self.sent += 1
                resume = lambda: body.send(Reply(200, content=answer.encode()))  # noqa: E731 - one of two


def _resume(step: Callable[[], Any]) -> tuple[Any, bool]:
    try:
        return step(), False
    except StopIteration as end:
        return end.value, True


def test_the_intention_is_stored_before_the_work_begins() -> None:
    process = Process()
    assert process.enter("sent") == "sent"
    assert list(process.memory) == [(0, "intend_send"), (1, "send")]
    assert process.settled == ["intend_send"]


def test_work_that_is_over_is_not_done_again() -> None:
    process = Process()
    process.enter("sent")
    assert process.enter("again") == "sent"
    assert process.sent == 1


@pytest.mark.parametrize(
    ("answer", "crash_at"), [(Crash, ""), ("sent", "send")], ids=["during", "after"]
)
def test_a_crash_in_the_gap_is_said_and_nothing_sent_again(answer: Any, crash_at: str) -> None:
    process = Process(clock=lambda: 1767225600.0)
    with pytest.raises(Crash):
        process.enter(answer, crash_at=crash_at)
    for _ in range(2):
        with pytest.raises(UnknownOutcomeError, match=r"2026-01-01 00:00:00.*as_node") as caught:
            process.enter("again")
        assert caught.value.node == "mailer"
    assert process.sent == 1


def test_a_crash_before_the_intention_is_stored_is_a_crash_before_the_work() -> None:
    process = Process()
    with pytest.raises(Crash):
        process.enter("sent", crash_at="intend_send")
    assert process.enter("sent") == "sent"
    assert process.sent == 1


def test_who_accepts_a_second_time_gets_one() -> None:
    process = Process(on_unknown="rerun")
    with pytest.raises(Crash):
        process.enter(Crash)
    assert process.enter("again") == "again"
    assert process.sent == 2


@pytest.mark.parametrize("error", [LOST, AnswerTooLargeError("too large")])
def test_an_answer_that_got_lost_leaves_the_outcome_unknown(error: Exception) -> None:
    process = Process()
    with pytest.raises(UnknownOutcomeError, match=str(error)) as caught:
        process.enter(error)
    assert caught.value.__cause__ is error
    with pytest.raises(UnknownOutcomeError, match="broken off"):
        process.enter("again")
    assert process.sent == 1


def test_what_never_left_may_be_sent_by_the_next_entry() -> None:
    process = Process()
    for _ in range(2):
        with pytest.raises(ApiConnectionError, match="cannot connect"):
            process.enter(NEVER_LEFT)
    assert process.enter("sent") == "sent"
    assert process.enter("again") == "sent"
    assert process.sent == 1
    assert len(process.memory) == 6


def test_a_refusal_is_no_reason_for_doubt_where_it_is_known_to_come_first() -> None:
    refusal = BadRequestException("POST /mails", 400)
    process = Process(not_done=lambda error: isinstance(error, BadRequestException))
    with pytest.raises(BadRequestException):
        process.enter(refusal)
    assert process.enter("sent") == "sent"


def test_an_error_that_may_come_after_the_work_is_raised_as_it_is_and_then_doubted() -> None:
    process = Process()
    with pytest.raises(BadRequestException):
        process.enter(BadRequestException("POST /mails", 400))
    with pytest.raises(UnknownOutcomeError):
        process.enter("again")
    assert process.sent == 1


def test_a_second_attempt_in_the_same_process_knows_what_the_first_one_did() -> None:
    process, trace = Process(), Trace()
    with pytest.raises(UnknownOutcomeError):
        process.enter(LOST, trace=trace)
    with pytest.raises(UnknownOutcomeError, match="earlier attempt"):
        process.enter("again", trace=trace, first=2)
    assert process.sent == 1


def test_a_second_attempt_after_what_never_left_may_send_and_the_next_process_sees_it() -> None:
    process, trace = Process(), Trace()
    with pytest.raises(ApiConnectionError):
        process.enter(NEVER_LEFT, trace=trace)
    assert process.enter("sent", trace=trace, first=2) == "sent"
    assert process.enter("again") == "sent"
    assert process.sent == 1


def test_a_second_attempt_after_success_has_the_result_already() -> None:
    process, trace = Process(), Trace()
    process.enter("sent", trace=trace)
    assert process.enter("again", trace=trace, first=2) == "sent"
    assert process.sent == 1


@pytest.mark.parametrize("found", [["found"], []], ids=["done", "not done"])
def test_where_there_is_something_to_look_at_a_crash_in_the_gap_is_settled(found: Any) -> None:
    looked: list[float] = []

    def look(since: float) -> Flow[list[Any]]:
        yield from ()
        looked.append(since)
        return found

    process = Process(look=look, clock=lambda: 7.0)
    with pytest.raises(Crash):
        process.enter(Crash)
    assert process.enter("again") == (found or ["again"])[0]
    assert looked == [7.0]
    assert process.sent == (1 if found else 2)


def test_a_second_attempt_looks_from_when_the_first_one_began() -> None:
    looked: list[float] = []

    def look(since: float) -> Flow[list[Any]]:
        yield from ()
        looked.append(since)
        return ["found"]

    times = iter((7.0, 8.0))
    process, trace = Process(look=look, clock=lambda: next(times)), Trace()
    with pytest.raises(UnknownOutcomeError):
        process.enter(LOST, trace=trace)
    assert process.enter("again", trace=trace, first=2) == "found"
    assert looked == [7.0]
