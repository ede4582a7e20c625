"""Listening to a run's stream, stepped through by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.acp.job import ACPJob
from acp_langgraph.acp.models import CANCELLED
from acp_langgraph.acp.order import RunOrder
from acp_langgraph.core.flow import Ask
from acp_langgraph.errors import (
    ACPRunException,
    ApiConnectionError,
    ApiTimeoutError,
    EventStreamError,
    NotFoundException,
    RunTimeoutError,
    ServiceException,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import Entry, JobPolicy
from acp_langgraph.jobs.life import run_job
from acp_langgraph.jobs.listening import Listening

AGENT = "b2a7c6de-0000-4000-8000-000000000001"
RUN = "b2a7c6de-0000-4000-8000-0000000000aa"
ORDER = RunOrder(key="key-1", agent_id=AGENT, input={"text": "hi"}, node="writer")
CUT = ApiConnectionError("the connection broke", sent=True)
WAIT = "wait_for_stateless_run_output"
STREAM = "stream_stateless_run_output"


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def listening(**changes: Any) -> Listening:
    return Listening(**{"agent": "mailer", "modes": (), "max_event_size": 10_000, **changes})


def run(status: str = "pending", at: int = 0) -> dict[str, Any]:
    return {
        "run_id": RUN,
        "agent_id": AGENT,
        "updated_at": f"2026-01-01T00:00:{at:02}Z",
        "status": status,
    }


def event(number: Any, kind: str = "custom", status: str = "pending", **data: Any) -> bytes:
    content = {"update": f"u{number}"} if kind == "custom" and not data else data
    update = {"type": kind, "run_id": RUN, "status": status, **content}
    identity = "" if number is None else f"id: {number}\n"
    return f"{identity}event: agent_event\ndata: {json.dumps(update)}\n\n".encode()


def interrupt(number: Any, payload: Any = "color?") -> bytes:
    return event(number, "interrupt", "interrupted", interrupt=payload)


def result(values: Any = "done") -> Any:
    return reply({"run": run("success"), "output": {"type": "result", "values": values}})


def question(payload: Any = "color?", at: int = 1) -> Any:
    output = {"type": "interrupt", "interrupt": payload}
    return reply({"run": run("interrupted", at), "output": output})


def job(listening: Listening, **policy: Any) -> ACPJob:
    return ACPJob(ORDER, JobPolicy(**{"clock": Clock(), **policy}), listening=listening)


def started(*, can_ask: bool = True, ears: Listening | None = None, **policy: Any) -> Hand:
    hand = Hand(run_job(job(ears or listening(), **policy), can_ask=can_ask))
    hand.wants("create_stateless_run")
    hand.give(reply(run()))
    return hand


def resumed(hand: Hand) -> None:
    """Answer the question that the flow puts."""
    assert isinstance(hand.next, Ask)
    hand.give("blue")
    hand.give(reply(run("interrupted", at=1)))
    hand.wants("resume_stateless_run")
    hand.give(reply(run()))


def joined_after(hand: Hand) -> str:
    return str(hand.wants_to_listen(STREAM).call.headers["last-event-id"])


def shown(hand: Hand) -> list[Any]:
    """Payloads of the events; a gap as what is before and after it."""
    return [
        (event["payload"]["after"], event["payload"]["before"])
        if event["kind"] == "gap"
        else event["payload"]
        for event in hand.events
    ]


@pytest.mark.parametrize("can_ask", [True, False])
def test_a_run_is_created_listened_to_and_settled_by_a_wait(can_ask: bool) -> None:
    hand = started(can_ask=can_ask)
    assert joined_after(hand) == "0"
    hand.hears(event(1))
    about = {"node": "writer", "agent": "mailer", "run_id": RUN}
    assert hand.events == [{**about, "kind": "custom", "payload": "u1"}]
    hand.hears(event(2, "values", "success", values={"text": "done"}))
    assert hand.events[1] == {**about, "kind": "values", "payload": {"text": "done"}}
    hand.wants(WAIT)
    hand.give(result({"text": "done"}))
    assert hand.result["values"] == {"text": "done"}


def test_messages_beside_the_values_belong_to_the_output() -> None:
    hand = started()
    said = [{"role": "assistant", "content": "hi", "id": None, "metadata": None}]
    hand.hears(event(1, "values", values={"text": "a"}, messages=said))
    hand.hears(event(2, "values", values=None, messages=said))
    hand.hears(event(3, "values", values={"messages": ["own"]}, messages=said))
    assert shown(hand) == [
        {"text": "a", "messages": said},
        {"messages": said},
        {"messages": ["own"]},
    ]


def test_a_question_on_the_stream_is_put_as_the_wait_says_it() -> None:
    hand = started()
    hand.hears(event(1) + interrupt(2))
    hand.wants(WAIT)
    hand.give(question({"q": "color?"}))
    assert hand.next == Ask({"q": "color?"})
    resumed(hand)
    assert joined_after(hand) == "2"
    hand.hears(event(3))
    assert shown(hand) == ["u1", "u3"]


def test_an_error_on_the_stream_is_raised_as_the_wait_says_it() -> None:
    hand = started()
    hand.hears(event(1, "error", "error", errcode=0, description="no ink"))
    hand.wants(WAIT)
    output = {"type": "error", "errcode": 7, "description": "no ink left"}
    with pytest.raises(ACPRunException, match="no ink left"):
        hand.give(reply({"run": run("error"), "output": output}))
    assert hand.events == []


def test_a_retried_error_on_the_stream_is_no_error_if_the_wait_says_so() -> None:
    hand = started()
    hand.hears(event(1, "error", "error", errcode=0, description="first try"))
    hand.give(result("second try"))
    assert hand.result["values"] == "second try"


def test_a_stream_that_ends_without_an_end_is_joined_again_and_then_waited_for() -> None:
    hand = started()
    hand.hears(event(1))
    hand.give(None)
    assert joined_after(hand) == "1"
    hand.give(None)
    hand.wants(WAIT)
    hand.give(result())
    assert shown(hand) == ["u1"]


def test_an_empty_stream_is_settled_by_the_wait_at_once() -> None:
    hand = started()
    hand.give(None)
    hand.wants(WAIT)
    hand.give(question())
    assert hand.next == Ask("color?")


def test_a_broken_stream_is_taken_up_after_the_last_event_heard() -> None:
    hand = started()
    hand.hears(event(1) + event(2) + event(3)[:20])
    hand.give(CUT)
    assert joined_after(hand) == "2"
    hand.hears(event(3) + event(4, "values", "success", values="done"))
    hand.give(result())
    assert shown(hand) == ["u1", "u2", "u3", "done"]
    assert hand.pauses == []


def test_a_stream_that_starts_from_the_beginning_again_shows_nothing_twice() -> None:
    hand = started()
    hand.hears(event(1) + event(2))
    hand.give(CUT)
    hand.hears(event(1) + event(2) + event(3))
    hand.give(CUT)
    hand.hears(event(1) + event(2) + event(3))
    hand.hears(event(4) + interrupt(5))
    assert shown(hand) == ["u1", "u2", "u3", "u4"]


def test_ids_that_restart_are_not_taken_for_events_that_were_heard() -> None:
    hand = started()
    hand.hears(event(1) + event(2))
    hand.give(CUT)
    hand.hears(event(1, update="new") + event(2, update="newer"))
    assert shown(hand) == ["u1", "u2", ("2", "1"), "new", "newer"]
    hand.give(CUT)
    hand.hears(event(1, update="newest"))
    assert shown(hand)[5:] == [("2", "1"), "newest"]


def test_ids_that_are_missing_or_jump_after_a_break_are_a_gap() -> None:
    hand = started()
    hand.hears(event(1))
    hand.give(CUT)
    hand.hears(event(5))
    hand.give(CUT)
    hand.hears(event(None, update="no id"))
    assert shown(hand) == ["u1", ("1", "5"), "u5", ("5", None), "no id"]


def test_a_neat_end_before_the_runs_own_may_hide_a_gap_as_well() -> None:
    hand = started()
    hand.hears(event(1))
    hand.give(None)
    hand.hears(event(5))
    assert shown(hand) == ["u1", ("1", "5"), "u5"]


def test_ids_that_never_count_by_one_are_no_gap() -> None:
    hand = started()
    hand.hears(event(10) + event(30))
    hand.give(CUT)
    hand.hears(event(70))
    hand.give(CUT)
    hand.hears(event("abc"))
    hand.give(CUT)
    hand.hears(event("abd"))
    assert shown(hand) == ["u10", "u30", "u70", "uabc", "uabd"]


def test_ids_that_count_the_events_of_all_runs_may_jump() -> None:
    hand = started()
    hand.hears(b": hello\n\n")
    hand.give(CUT)
    hand.hears(event(1001) + event(1002))
    hand.give(CUT)
    hand.hears(event(1007))
    hand.give(CUT)
    hand.hears(event(900))
    assert shown(hand) == ["u1001", "u1002", "u1007", ("1007", "900"), "u900"]


def test_a_break_after_which_nothing_more_is_heard_is_said() -> None:
    hand = started()
    hand.hears(event(1))
    hand.give(CUT)
    hand.give(None)
    hand.wants(WAIT)
    hand.give(result())
    assert shown(hand) == ["u1", ("1", None)]
    assert hand.done


def test_a_break_before_anything_was_heard_is_no_gap_if_the_first_event_follows() -> None:
    hand = started()
    hand.hears(b": hello\n\n")
    hand.give(CUT)
    assert joined_after(hand) == "0"
    hand.hears(event(1))
    assert shown(hand) == ["u1"]


def test_a_new_process_takes_up_the_stream_where_the_question_was_asked() -> None:
    first = started()
    first.hears(event(1) + interrupt(2))
    first.give(question())
    steps = iter([first.returned["create_run"], first.returned["wait_for_run"]])
    flow = run_job(job(listening()), can_ask=True)
    hand = Hand(flow, remembered=steps)
    resumed(hand)
    assert joined_after(hand) == "2"


def test_what_an_earlier_attempt_showed_in_this_process_is_not_shown_again() -> None:
    ears, clock = listening(), Clock()
    hand = started(ears=ears, clock=clock)
    hand.hears(event(1))
    hand.give(CUT)
    again = started(ears=ears, clock=clock)
    assert joined_after(again) == "1"
    again.hears(event(1) + event(2))
    assert shown(again) == ["u2"]


@pytest.mark.parametrize(
    "refusal",
    [
        NotFoundException("GET /x", 404),
        ServiceException("GET /x", 500),
        ServiceException("GET /x", 501),
        UnprocessableEntityException("GET /x", 422),
    ],
)
def test_a_server_that_does_not_stream_is_waited_for(refusal: Exception) -> None:
    hand = started()
    hand.give(refusal)
    hand.wants(WAIT)
    hand.give(reply(status=204))
    hand.wants("get_stateless_run")
    hand.give(reply(run()))
    hand.wants(WAIT)
    hand.give(result())
    assert hand.events == []


def test_a_stream_that_cannot_be_understood_is_a_gap_and_waited_for() -> None:
    hand = started()
    hand.hears(event(1))
    hand.hears(b"data: garbage\n\n")  # which is skipped
    hand.give(EventStreamError("an event is too large"))
    hand.wants(WAIT)
    hand.give(result())
    assert shown(hand) == ["u1", ("1", None)]


def test_an_event_over_the_limit_is_a_gap_and_waited_for() -> None:
    hand = started()
    with pytest.raises(Exception, match="larger than") as too_large:
        hand.hears(b"data: " + b"x" * 20_000)
    hand.give(too_large.value)
    hand.wants(WAIT)
    hand.give(result())
    assert shown(hand) == [(None, None)]


def test_a_server_that_is_away_is_tried_again_with_pauses_and_then_waited_for() -> None:
    hand = started()
    hand.give(ServiceException("GET /x", 503, {"retry-after": "7"}))
    hand.give(ApiConnectionError("refused", sent=False))
    hand.give(CUT)
    hand.wants(WAIT)
    assert hand.pauses[0] == 7.0
    assert len(hand.pauses) == 3
    hand.give(CUT)
    hand.give(reply(run()))
    hand.wants_to_listen(STREAM)


def test_a_stream_without_events_is_left_now_and_then_to_look_at_the_run() -> None:
    clock = Clock()
    hand = started(clock=clock, long_poll=30.0)
    for _ in range(5):
        clock.now += 20
        hand.hears(b": keep-alive\n\n")
        clock.now += 20
        hand.hears(b": keep-alive\n\n")
        hand.wants("get_stateless_run")
        hand.give(reply(run()))
    hand.wants_to_listen(STREAM)
    clock.now += 31
    hand.hears(b":")
    hand.give(reply(run("success")))
    hand.wants(WAIT)
    hand.give(result())
    assert hand.pauses == []


def test_listening_gives_up_at_the_runs_deadline() -> None:
    clock = Clock()
    hand = started(clock=clock, run_timeout=50.0, on_timeout="leave")
    assert hand.wants_to_listen(STREAM).call.timeout == 30.0
    clock.now += 30
    hand.hears(event(1))
    clock.now += 25
    with pytest.raises(RunTimeoutError):
        hand.hears(event(2))
    assert shown(hand) == ["u1", "u2"]


def test_a_silent_connection_counts_as_lost() -> None:
    hand = started()
    hand.hears(event(1))
    hand.give(ApiTimeoutError("no answer in time", sent=True))
    assert joined_after(hand) == "1"


def test_every_piece_of_a_stream_is_a_sign_of_life() -> None:
    hand = started()
    before = len(hand.progress)
    hand.hears(b":")
    assert hand.progress[before:] == ["listening"]


def test_modes_are_asked_for_and_left_out_for_servers_that_refuse_to_be_asked() -> None:
    wanted = job(listening(modes=("custom", "values")))
    hand = Hand(run_job(wanted, can_ask=True))
    assert hand.wants("create_stateless_run").body["stream_mode"] == ["custom", "values"]
    hand.give(reply({"detail": "stream_mode"}, status=422))
    assert "stream_mode" not in hand.wants("create_stateless_run").body
    hand.give(reply(run()))
    hand.wants_to_listen(STREAM)
    hand = Hand(run_job(wanted, can_ask=True))
    assert "stream_mode" not in hand.wants("create_stateless_run").body


def test_an_input_that_is_refused_is_no_reason_to_leave_out_the_modes() -> None:
    ears = listening(modes=("custom",))
    hand = Hand(run_job(job(ears), can_ask=True))
    hand.give(reply("input.text is missing", status=422))
    with pytest.raises(UnprocessableEntityException, match=r"input\.text"):
        hand.give(reply("input.text is missing", status=422))
    assert not ears.refuses_modes


def test_a_run_that_was_cancelled_before_this_entry_is_not_taken_for_alive() -> None:
    """Its stream may show events of long ago."""
    hand = Hand(run_job(job(listening()), can_ask=True, entry=Entry(again=True)))
    hand.wants("search_stateless_runs")
    found = {**run("error"), "creation": {"metadata": {"acp_langgraph_key": "key-1"}}}
    hand.give(reply([found]))
    hand.wants("get_stateless_run")
    hand.give(reply(run("error")))
    hand.hears(event(1) + event(2, "error", "error", errcode=1, description="cancelled"))
    hand.wants(WAIT)
    output = {"type": "error", "errcode": CANCELLED, "description": "the run was cancelled"}
    hand.give(reply({"run": run("error"), "output": output}))
    hand.wants("search_stateless_runs")  # for the run that takes its place


def test_updates_of_a_kind_that_the_protocol_does_not_know_are_shown_as_they_are() -> None:
    hand = started()
    hand.hears(event(1, "progress", percent=7))
    (seen,) = hand.events
    assert (seen["kind"], seen["payload"]["percent"]) == ("progress", 7)


@pytest.mark.parametrize(
    ("identity", "sent"),
    [
        ("9" * 5000, None),
        ("\u0663", None),
        ("ä", None),
        ("a\x7fb", None),
        ("1763793091-0", "1763793091-0"),
        ("9" * 20, "9" * 20),
    ],
)
def test_an_id_may_be_anything_that_comes_on_a_line(identity: str, sent: str | None) -> None:
    hand = started(ears=listening(max_event_size=20_000))
    hand.hears(event(identity))
    hand.give(CUT)
    assert hand.wants_to_listen(STREAM).call.headers.get("last-event-id") == sent
    hand.hears(event(identity) + event(identity + "1"))
    assert shown(hand) == [f"u{identity}", f"u{identity}1"]


def test_what_is_remembered_of_a_run_is_bounded() -> None:
    ears = listening()
    for number in range(10_500):
        ears.cursor({"run_id": str(number), "since": 1.0})
    assert len(ears.cursors) == 1000
    hand = started(ears=ears)
    for number in range(1, 1501):
        hand.hears(event(number))
    assert len(ears.cursors[RUN]._contents) == 1000
    hand.hears(interrupt(1501))
    hand.give(result())
    assert RUN not in ears.cursors
