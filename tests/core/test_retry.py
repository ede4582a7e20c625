"""What is repeated, and after how long."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice
from typing import Any

import pytest
from support.byhand import Hand, reply

from acp_langgraph.core.calls import Call
from acp_langgraph.core.retry import Backoff, retry_after, with_retries
from acp_langgraph.errors import ApiConnectionError, ServiceException

READ: Call[Any] = Call("read", "GET", "/x", dict)
CREATE: Call[Any] = Call("create", "POST", "/x", dict)
SEARCH: Call[Any] = Call("search", "POST", "/x", dict, repeatable=True)
SENT = ApiConnectionError("broke", sent=True)
NEVER_LEFT = ApiConnectionError("refused", sent=False)


@pytest.mark.parametrize("call", [READ, SEARCH], ids=lambda call: call.operation)
@pytest.mark.parametrize("failure", [SENT, NEVER_LEFT, *(reply(status=s) for s in (429, 500, 503))])
def test_what_may_be_performed_twice_is_repeated(call: Call[Any], failure: Any) -> None:
    hand = Hand(with_retries(call, 2))
    hand.give(failure)
    hand.give(failure)
    hand.give(reply({"done": True}))
    assert hand.result == {"done": True}
    assert len(hand.pauses) == 2


@pytest.mark.parametrize("failure", [SENT, *(reply(status=s) for s in (500, 502, 504, 408))])
def test_what_may_have_been_done_is_not_repeated(failure: Any) -> None:
    hand = Hand(with_retries(CREATE, 5))
    with pytest.raises((ApiConnectionError, Exception)):
        hand.give(failure)
    assert hand.pauses == []


@pytest.mark.parametrize("failure", [NEVER_LEFT, reply(status=429), reply(status=425)])
def test_what_was_certainly_not_done_is_repeated(failure: Any) -> None:
    hand = Hand(with_retries(CREATE, 1))
    hand.give(failure)
    hand.give(reply({}))
    assert hand.done


def test_the_last_failure_is_raised() -> None:
    hand = Hand(with_retries(READ, 1))
    hand.give(reply(status=500))
    with pytest.raises(ServiceException):
        hand.give(reply(status=503))


def test_a_refusal_is_not_repeated() -> None:
    hand = Hand(with_retries(READ, 5))
    with pytest.raises(Exception, match="404"):
        hand.give(reply(status=404))


def test_the_server_says_how_long_to_wait() -> None:
    hand = Hand(with_retries(READ, 1))
    hand.give(reply(status=503, retry_after="9"))
    assert hand.pauses == [9.0]


def test_a_date_to_wait_for_is_understood() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after({"retry-after": date}) or 0) <= 60


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S", "%a, %d %b %Y %H:%M:%S -0000", "%c"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_date_without_a_zone_is_not_a_local_one(
    form: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        date = (datetime.now(UTC) + timedelta(seconds=60)).strftime(form)
        assert 50 < (retry_after({"retry-after": date}) or 0) <= 60
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["Thu, 01 Jan 0001 00:00:00", "Fri, 31 Dec 9999 23:59:59"])
def test_a_date_far_away_does_no_harm(text: str) -> None:
    assert retry_after({"retry-after": text}) in {0.0, 300.0}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("soon", None), ("nan", None), ("-5", 0.0), ("1e9", 300.0), ("inf", 300.0)],
)
def test_an_odd_wish_does_no_harm(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}) == seconds


def test_waits_double_up_to_a_limit() -> None:
    waits = list(islice(Backoff(first=1, limit=8, jitter=0).waits(), 6))
    assert waits == [1, 2, 4, 8, 8, 8]


def test_jitter_only_shortens_waits() -> None:
    for wait, most in zip(Backoff(first=1, limit=8).waits(), [1, 2, 4, 8, 8], strict=False):
        assert most / 2 <= wait <= most
