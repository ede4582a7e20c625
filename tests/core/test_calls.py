from __future__ import annotations

import json
from uuid import UUID

import pytest

from acp_langgraph.core.calls import ABSENT, EVENT_STREAM, Call, Reply, path
from acp_langgraph.errors import (
    ApiException,
    ApiTypeError,
    ApiValueError,
    NotFoundException,
    UnreadableAnswerException,
)

GET = Call("get_numbers", "GET", "/numbers", list[int])
STREAM = Call("stream", "GET", "/stream", int, headers={"accept": EVENT_STREAM})


def test_a_call_in_a_flow_reads_as_its_typed_result():
    def flow():
        return (yield from GET)

    running = flow()
    assert next(running) is GET
    with pytest.raises(StopIteration) as end:
        running.send(Reply(200, content=b"[1, 2]"))
    assert end.value.value == [1, 2]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no body"),
        (b" \n", "no body"),
        (b"<html>", "JSON"),
        (b"[1", "JSON"),
        (b'["SECRET"]', "^GET http://h/numbers answered 200: 0: "),
        (b"{}", "array"),
    ],
)
def test_a_success_of_another_type_is_unreadable_and_named_without_its_values(content, problem):
    with pytest.raises(UnreadableAnswerException, match=problem) as caught:
        GET.read(Reply(200, {}, content, "http://h/numbers"))
    assert "SECRET" not in str(caught.value)


def test_an_error_status_is_raised_before_the_body_is_read():
    with pytest.raises(NotFoundException, match="GET /numbers answered 404: gone"):
        GET.read(Reply(404, {}, b'"gone"'))


def test_a_call_without_a_result_takes_any_success():
    nothing = Call("delete", "DELETE", "/x", None)
    assert nothing.read(Reply(204)) is None
    assert nothing.read(Reply(200, {}, b"<html>")) is None


def test_a_call_for_text_returns_the_body_as_it_is():
    assert Call("read", "GET", "/x", str).read(Reply(200, {}, b"not \xff JSON")) == "not � JSON"


def test_a_byte_order_mark_before_an_answer_is_no_part_of_it():
    assert GET.read(Reply(200, {}, b"\xef\xbb\xbf[1, 2]")) == [1, 2]
    assert Call("read", "GET", "/x", str).read(Reply(200, {}, b"\xef\xbb\xbftext")) == "text"
    with pytest.raises(UnreadableAnswerException, match="no body"):
        GET.read(Reply(200, {}, b"\xef\xbb\xbf"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b'{"detail": "gone"}', "404: gone"), (b"gone", "404: gone"), (b"<html>", "an HTML page")],
)
def test_a_byte_order_mark_before_an_error_is_no_part_of_it(content, problem):
    with pytest.raises(NotFoundException, match=problem):
        GET.read(Reply(404, {}, b"\xef\xbb\xbf" + content))


@pytest.mark.parametrize(
    ("method", "repeatable", "expected"),
    [
        ("GET", None, True),
        ("PUT", None, True),
        ("DELETE", None, True),
        ("POST", None, False),
        ("PATCH", None, False),
        ("POST", True, True),
        ("GET", False, False),
    ],
)
def test_whether_a_call_may_repeat_follows_from_its_method_unless_said(
    method, repeatable, expected
):
    assert Call("x", method, "/", None, repeatable=repeatable).may_repeat is expected


@pytest.mark.parametrize("body", [None, False, 0, "", [], {}, "ä€😀\u2028", [{"a": None}]])
def test_a_body_is_sent_as_json_and_null_is_a_body(body):
    assert json.loads(Call("x", "POST", "/", None, body=body).encode()) == body


def test_an_absent_body_sends_nothing_or_the_raw_content():
    assert Call("x", "POST", "/", None).encode() is None
    assert Call("x", "POST", "/", None, body=ABSENT, content=b"raw").encode() == b"raw"


@pytest.mark.parametrize("body", [float("nan"), {"x": object()}, {1, 2}, "\ud800"])
def test_a_body_that_is_not_json_is_refused(body):
    with pytest.raises(ApiValueError, match="x: the body cannot be sent as JSON"):
        Call("x", "POST", "/", None, body=body).encode()


def test_options_of_a_call_leave_the_call_itself_unchanged():
    changed = GET.with_options(timeout=3, headers={"a": "b"})
    assert (changed.timeout, dict(changed.headers)) == (3, {"a": "b"})
    assert changed.with_options(headers={"c": "d"}).headers == {"a": "b", "c": "d"}
    assert changed.with_options().timeout == 3
    assert (GET.timeout, dict(GET.headers)) == (None, {})


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(200, {"content-type": "text/event-stream"}), True),
        (Reply(200, {"content-type": "Text/Event-Stream ; charset=utf-8"}), True),
        (Reply(200, {"content-type": "text/html"}), False),
        (Reply(204), False),
        (Reply(404, {"content-type": "text/event-stream"}), False),
    ],
)
def test_a_stream_begins_with_its_content_type(reply, expected):
    assert STREAM.is_streamed_by(reply) is expected


def test_a_page_in_place_of_a_stream_is_unreadable():
    with pytest.raises(UnreadableAnswerException, match="text/event-stream, and is text/html"):
        STREAM.read(Reply(200, {"content-type": "text/html"}, b"<html>"))


def test_the_parameters_of_a_path_are_encoded():
    uuid = UUID("3fa85f64-5717-4562-b3fc-2c963f66afa6")
    assert path("/a/{x}/b/{y}", x="ü/..?#%", y=uuid) == f"/a/%C3%BC%2F..%3F%23%25/b/{uuid}"


@pytest.mark.parametrize("value", ["", ".", "..", "\ud800"])
def test_a_path_is_not_made_from_what_names_nothing(value):
    with pytest.raises(ApiValueError, match="thread_id"):
        path("/threads/{thread_id}", thread_id=value)


@pytest.mark.parametrize("value", [None, {"id": "SECRET"}, b"x", 1.5])
def test_a_path_is_not_made_from_what_is_no_id(value):
    with pytest.raises(ApiTypeError, match="thread_id must be a string") as caught:
        path("/threads/{thread_id}", thread_id=value)
    assert "SECRET" not in str(caught.value)


def test_a_reply_is_shown_without_what_the_server_says() -> None:
    reply = Reply(403, {"x-echo": "sesame"}, b"sesame", "http://h/things")
    assert "sesame" not in repr(reply)
    assert "403" in repr(reply)


@pytest.mark.parametrize(
    "page", [b"<html>Sign in</html>", b" \n<!doctype html>", b"\xef\xbb\xbf<p>"]
)
@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_a_page_in_place_of_json_is_told_as_one(page, kind):
    says = r"answered 200: it is an HTML page where JSON .* base URL .* ACP server\), .* login page"
    with pytest.raises(UnreadableAnswerException, match=says):
        GET.read(Reply(200, {"content-type": kind}, page))


def test_json_that_calls_itself_a_page_is_read():
    assert GET.read(Reply(200, {"content-type": "text/html"}, b"[1]")) == [1]


def test_a_path_is_not_made_from_what_is_far_too_long_for_an_id():
    with pytest.raises(ApiValueError, match="100000 characters, which is no id"):
        path("/threads/{thread_id}", thread_id="a" * 100_000)


def test_an_error_holds_nothing_that_a_terminal_would_obey():
    said = b'"\\u001b[31mred\\u001b]0;title\\u0007 \\u202eback \\u200b\\u0085\\u2028end"'

    error = ApiException("GET http://h/things", 500, {}, said)

    assert str(error) == "GET http://h/things answered 500: [31mred ]0;title back end"
    assert str(error).isprintable()
