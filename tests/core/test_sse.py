from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acp_langgraph.core.sse import ServerSentEvent, SSEDecoder
from acp_langgraph.errors import EventStreamError, OpenApiException


def message(data, id=None, event="message", retry=None):  # noqa: A002 - the field's name
    return ServerSentEvent(event, data, id, retry)


UPDATE = b'{"type": "values", "run_id": "r", "status": "pending", "values": {"text": "hi"}}'
AN_UPDATE = message(UPDATE.decode(), "1", "agent_event")

# The bytes of a stream, and the events in it.
CORPUS = {
    "an update of a run": (b"id: 1\nevent: agent_event\ndata: " + UPDATE + b"\n\n", [AN_UPDATE]),
    "data of several lines": (b"data: a\ndata:\ndata:  b\n\n", [message("a\n\n b")]),
    "line ends CR": (b"data: a\rdata: b\r\rdata: c\r\r", [message("a\nb"), message("c")]),
    "line ends CRLF": (b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [message("a\nb"), message("c")]),
    "line ends mixed": (b"data: a\r\r\ndata: b\n\rdata: c\r\n\n", [message(c) for c in "abc"]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
    "a byte order mark alone": (b"\xef\xbb\xbf\n\ndata: a\n\n", [message("a")]),
    "a second byte order mark": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [message("a")]),
    "other line ends than those of the standard": (
        "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\n".encode(),
        [message("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg")],
    ),
    "characters of several bytes": ("data: ä€😀\n\n".encode(), [message("ä€😀")]),
    "bytes that are not UTF-8": (b"data: a\xffb\xe2\x82\ndata: \x80\n\n", [message("a�b�\n�")]),
    "comments": (b": hi\ndata: a\n: there\ndata: b\n\n:\n\n", [message("a\nb")]),
    "a keep-alive glued to an event": (b"::id: 5\ndata: a\n\n", [message("a", "5")]),
    "keep-alives glued to each kind of field": (
        b":event: e\ndata: a\n\n:data: b\n\n:retry: 7\ndata: c\n\n",
        [message("a", event="e"), message("b"), message("c", retry=7)],
    ),
    "a glued keep-alive after CRLF": (b"data: a\r\n\r\n:id: 5\r\ndata: b\r\n\r\n:", [message("a"), message("b", "5")]),
    "a glued keep-alive after too many blank lines": (b"data: a\n\n\n:data: b\n\n", [message("a"), message("b")]),
    "a comment that looks like a field": (b": data: x\n:data\n:data : x\ndata: a\n\n", [message("a")]),
    "a glued field after a comment": (b": hi\n:id: 5\ndata: a\n\n", [message("a")]),
    "a glued field in the midst of an event": (b"data: a\n:data: x\n\n", [message("a")]),
    "an event without data": (b"event: x\nid: 1\n\ndata: a\n\n", [message("a")]),
    "an event whose data is empty": (b"data\n\ndata:\n\ndata\ndata\n\n", [message(""), message(""), message("\n")]),
    "an id with NUL": (b"id: 1\nid: a\0b\ndata: a\n\n", [message("a", "1")]),
    "an empty id": (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b", "")]),
    "only one space is dropped": (b"data:a\ndata:  b\ndata:\tc\n\n", [message("a\n b\n\tc")]),
    "colons in the data": (b"data: a: b\ndata::\n\n", [message("a: b\n:")]),
    "retry that is no number": (
        b"retry: 10\nretry: 1e3\nretry: -1\nretry: \xd9\xa3\nretry: " + b"9" * 5000 + b"\ndata: a\n\n",
        [message("a", retry=10)],
    ),
    "unknown fields": (b"foo: bar\ndatax: y\nData: z\n data: q\ndata: a\n\n", [message("a")]),
    "the last of several": (b"event: x\nevent: y\nid: 1\nid: 2\ndata: a\n\n", [message("a", "2", "y")]),
    "an event that the end cuts off": (b"data: a\n\ndata: b\n", [message("a")]),
    "nothing": (b"", []),
    "blank lines": (b"\n\r\n\r\n\n\r\r", []),
    "a page": (b"<html>\n\n<body>data: no</body>\n\n</html>", []),
}  # fmt: skip


def decode(*chunks, **options):
    decoder = SSEDecoder(**options)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    decoder.close()
    return events


every_stream = pytest.mark.parametrize("name", CORPUS)


@every_stream
def test_a_stream_in_one_piece_gives_its_events(name):
    stream, events = CORPUS[name]
    assert decode(stream) == events


@every_stream
def test_a_stream_byte_by_byte_gives_the_same_events(name):
    stream, events = CORPUS[name]
    assert decode(*(bytes([byte]) for byte in stream)) == events


@every_stream
def test_a_stream_cut_at_any_two_places_gives_the_same_events(name):
    stream, events = CORPUS[name]
    if len(stream) > 200:
        stream = stream.replace(b"9" * 5000, b"9" * 20)
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert decode(stream[:first], stream[first:second], stream[second:]) == events


def test_every_way_to_cut_a_short_stream_gives_the_same_events():
    stream = b"\xef\xbb\xbf:id:1\r\ndata:\xe2\x82\xac\r\r\n"
    expected = [message("€", "1")]
    for cuts in range(2 ** (len(stream) - 5)):
        # Every way to cut all but the first bytes, which the test above cuts.
        chunks, start = [], 0
        for place in range(5, len(stream)):
            if cuts >> (place - 5) & 1:
                chunks.append(stream[start:place])
                start = place
        assert decode(*chunks, stream[start:]) == expected


def test_an_event_is_out_as_soon_as_its_blank_line_begins_to_end():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [message("a")]
    assert decoder.feed(b"\ndata: b\n") == []
    assert decoder.feed(b"\n") == [message("b")]


def test_the_last_event_id_stays_until_there_is_another_one():
    decoder = SSEDecoder()
    assert decoder.last_event_id == ""
    decoder.feed(b"id: 7\ndata: a\n\ndata: b\n\n")
    assert decoder.last_event_id == "7"
    decoder.feed(b"id: 8\n")
    assert decoder.last_event_id == "7"
    decoder.feed(b"\n")
    assert decoder.last_event_id == "8"


@pytest.mark.parametrize(
    ("stream", "cut_off"),
    [
        (b"", False),
        (b"data: a\n\n", False),
        (b"data: a\n\n:", False),
        (b"data: a\n\n::", False),
        (b"data: a\n\ndata: b\n", True),
        (b"data: a\n\nda", True),
        (b":id: 1", True),
    ],
)
def test_closing_tells_whether_the_end_cut_something_off(stream, cut_off):
    decoder = SSEDecoder()
    decoder.feed(stream)
    assert decoder.close() is cut_off


# The limit

LIMITED = b"data: 1234\n\n"


def test_an_event_may_be_as_large_as_the_limit():
    size = len(LIMITED) - 2
    for cut in range(len(LIMITED)):
        pieces = LIMITED[:cut], LIMITED[cut:], LIMITED
        assert decode(*pieces, max_event_size=size) == [message("1234")] * 2


def test_an_event_over_the_limit_is_an_error_wherever_the_stream_is_cut():
    for cut in range(len(LIMITED)):
        with pytest.raises(EventStreamError, match="larger than 9 characters"):
            decode(LIMITED[:cut], LIMITED[cut:], max_event_size=len(LIMITED) - 3)


def test_what_was_complete_before_the_error_is_not_lost():
    decoder = SSEDecoder(max_event_size=20)
    assert decoder.feed(b"data: a\n\n" + b"data: " + b"x" * 50) == [message("a")]
    with pytest.raises(EventStreamError):
        decoder.feed(b"")
    with pytest.raises(EventStreamError):
        decoder.close()


def test_a_line_that_never_ends_is_not_kept():
    decoder = SSEDecoder(max_event_size=1000)
    for _ in range(10):
        decoder.feed(b":" * 100)
    with pytest.raises(EventStreamError):
        decoder.feed(b":")


def test_the_error_is_one_that_a_retry_does_not_help():
    assert issubclass(EventStreamError, OpenApiException)
    assert issubclass(EventStreamError, RuntimeError)


# Anything at all. A million streams instead of a few hundred, in about an hour:
#
#     python -m pytest tests/core/test_sse.py --hypothesis-profile million

OFTEN = settings(max_examples=5 * settings.default.max_examples, deadline=None)


def by_the_standard(stream: bytes):
    """The standard's rules to the letter, on a whole stream, with the one liberty."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\r|\n", text)[:-1]
    events, fields = [], []
    for line in lines:
        if line:
            if not fields:
                line = re.sub("^:+(id|event|data|retry):", r"\1:", line)  # noqa: PLW2901
            name, _, value = line.partition(":")
            fields.append((name, value[1:] if value[:1] == " " else value))
            continue
        data = [value for name, value in fields if name == "data"]
        last = dict(fields)
        ids = [value for name, value in fields if name == "id" and "\0" not in value]
        retries = [
            int(value)
            for name, value in fields
            if name == "retry" and re.fullmatch("[0-9]{1,15}", value)
        ]
        if data:
            events.append(
                ServerSentEvent(
                    last.get("event") or "message",
                    "\n".join(data),
                    ids[-1] if ids else None,
                    retries[-1] if retries else None,
                )
            )
        fields = []
    return events


PIECES = [
    b"data", b"event", b"id", b"retry", b":", b": ", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b" ",
    b"a", b"7", b"\xef\xbb\xbf", "€".encode(), "\u2028".encode(), b"\xe2\x82", b"\xff", b"{}",
]  # fmt: skip
streams = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join)


@OFTEN
@given(streams, st.randoms(use_true_random=False))
def test_any_stream_in_any_pieces_gives_what_the_standard_says(stream, chance):
    assert decode(*cut(stream, chance)) == by_the_standard(stream)


@OFTEN
@given(streams, st.randoms(use_true_random=False), st.integers(3, 40))
def test_any_stream_in_any_pieces_raises_nothing_but_the_decoders_own_error(stream, chance, limit):
    outcomes = set()
    for pieces in ([stream], cut(stream, chance)):
        decoder, events = SSEDecoder(max_event_size=limit), []
        try:
            for piece in pieces:
                events += decoder.feed(piece)
            decoder.close()
        except EventStreamError:
            events.append("too large")
        outcomes.add(tuple(events))
    assert len(outcomes) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_mutated_stream_raises_nothing_but_the_decoders_own_error(seed):
    chance = random.Random(seed)
    for stream, _ in CORPUS.values():
        mutated = bytearray(stream)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(mutated) + 1)
            mutated[place : place + chance.randrange(3)] = chance.choice(PIECES)
        assert decode(*cut(bytes(mutated), chance)) == by_the_standard(bytes(mutated))


def cut(stream, chance):
    places = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(8)))
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
