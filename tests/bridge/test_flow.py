"""The life of one query, stepped through by hand."""

from __future__ import annotations

from typing import Any

import pytest
from support.byhand import Hand

from acp_langgraph.bridge.answers import not_done
from acp_langgraph.bridge.calls import Query, route_to
from acp_langgraph.bridge.flow import ANSWER_SCHEMA, confirm, query_once, send_query
from acp_langgraph.core.calls import Reply
from acp_langgraph.core.flow import Ask
from acp_langgraph.errors import (
    AnswerRejectedError,
    ApiConnectionError,
    BridgeInternalError,
    GatewayError,
    NoMatchingOperationError,
    QueryNotUnderstoodError,
    QueryPassedThroughError,
    QueryRefusedError,
    TooManyRequestsException,
    UnexpectedStatusException,
    UnknownOutcomeError,
)

QUERY = Query("Send it to Jane", route_to("service", "sendgrid"), "Bearer very-secret")


def words(text: str, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "text/plain; charset=utf-8"}, text.encode())


def test_a_query_is_two_steps_the_intention_and_the_exchange() -> None:
    hand = Hand(query_once(QUERY, 3))
    assert hand.wants("query_service").headers["content-type"] == "application/nlq"
    hand.give(words("Sent."))
    assert hand.result.result == "Sent."
    assert hand.steps == ["intend_send_query", "send_query"]
    assert hand.progress == ["sending", "answered"]


def test_what_never_left_is_sent_again_inside_the_step() -> None:
    hand = Hand(query_once(QUERY, 3))
    for _ in range(2):
        hand.wants("query_service")
        hand.give(ApiConnectionError("refused", sent=False))
    hand.give(words("Sent."))
    assert hand.steps == ["intend_send_query", "send_query"]
    assert len(hand.pauses) == 2


def test_a_lost_answer_ends_the_flow() -> None:
    hand = Hand(query_once(QUERY, 3, node="send"))
    with pytest.raises(UnknownOutcomeError, match=r"node 'send'.*POST /sendgrid/.*on_unknown"):
        hand.give(ApiConnectionError("the connection broke", sent=True))


def test_an_answer_that_no_bridge_gives_is_remembered_all_the_same() -> None:
    hand = Hand(query_once(QUERY, 0))
    with pytest.raises(QueryPassedThroughError):
        hand.give(Reply(200, {"content-type": "application/json"}, b"{}"))
    assert hand.steps == ["intend_send_query", "send_query"]


def test_the_check_runs_after_the_step() -> None:
    hand = Hand(query_once(QUERY, 0, check="Sent"))
    with pytest.raises(AnswerRejectedError, match="I could not"):
        hand.give(words("I could not send it."))


def test_without_care_a_query_is_one_exchange_and_no_step() -> None:
    hand = Hand(send_query(QUERY, 0))
    hand.give(words("Sent."))
    assert (hand.result.result, hand.steps) == ("Sent.", [])


@pytest.mark.parametrize(
    ("answer", "error", "certain"),
    [
        (words("No matching operation found", 404), NoMatchingOperationError, True),
        (words("i'm sorry but I was not able to understand your query", 500), None, True),
        (words("can't retreive the LLM configuration: x", 500), None, True),
        (words("Not Found", 404), None, True),
        (words("no key", 401), None, True),
        (words("later", 429), TooManyRequestsException, True),
        (words("", 307), UnexpectedStatusException, True),
        (words("", 302), UnexpectedStatusException, False),
        (words("I'm sorry, but I wasn't able to process your request, it's an internal error", 500),
         BridgeInternalError, False),
        (words("oops", 502), GatewayError, False),
        (words("late", 504), None, False),
        (words("late", 408), None, False),
    ],
)  # fmt: skip
def test_which_answers_mean_that_nothing_was_done(answer: Reply, error: Any, certain: bool) -> None:
    hand = Hand(send_query(QUERY, 0))
    with pytest.raises(error or Exception) as caught:
        hand.give(answer)
    assert not_done(caught.value) is certain


def test_only_what_may_help_and_does_no_harm_is_worth_another_try_to_langgraph() -> None:
    permanent = (NoMatchingOperationError, BridgeInternalError, GatewayError, UnknownOutcomeError)
    assert all(issubclass(error, RuntimeError) for error in permanent)
    assert not issubclass(QueryNotUnderstoodError, RuntimeError)


def test_the_question_shows_query_method_and_service() -> None:
    hand = Hand(confirm(QUERY))
    payload = {
        "query": "Send it to Jane",
        "method": "POST",
        "service": "sendgrid",
        "mode": "service",
    }
    assert hand.next == Ask(payload, ANSWER_SCHEMA)


@pytest.mark.parametrize("answer", [True, "yes", " Yes. ", "OK", "approve", {"approve": True}])
def test_an_approval_lets_the_query_go_as_it_is(answer: Any) -> None:
    hand = Hand(confirm(QUERY))
    hand.give(answer)
    assert hand.result == QUERY


@pytest.mark.parametrize(
    "answer", [{"query": "Send it to Bob"}, {"approve": True, "query": "Send it to Bob"}]
)
def test_an_approval_may_change_the_words(answer: Any) -> None:
    hand = Hand(confirm(QUERY))
    hand.give(answer)
    assert hand.result.text == "Send it to Bob"
    assert hand.result.authorization == QUERY.authorization


@pytest.mark.parametrize(
    "answer",
    [False, "no", "No.", "cancel", {"approve": False}, {"approve": False, "query": "x"}],
)
def test_a_refusal_holds_the_query_back(answer: Any) -> None:
    hand = Hand(confirm(QUERY, "send"))
    with pytest.raises(QueryRefusedError, match="nothing was sent") as caught:
        hand.give(answer)
    assert caught.value.answer == answer
    assert caught.value.node == "send"


@pytest.mark.parametrize(
    "answer", [None, "", "wait, not to Jane", 1, [], {}, {"approve": "yes"}, {"query": 5}]
)
def test_everything_else_is_asked_for_again_with_what_is_wrong(answer: Any) -> None:
    hand = Hand(confirm(QUERY, "send"))
    hand.give(answer)
    assert "yes or no" in hand.next.payload["problem"]
    hand.give(True)
    assert hand.result.text == QUERY.text


def test_no_credential_is_in_the_repr_of_a_query_or_its_call() -> None:
    assert "very-secret" not in repr(QUERY) + repr(QUERY.call())
