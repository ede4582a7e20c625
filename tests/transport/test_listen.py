"""Reading a stream while it arrives, in both colors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.colors import Color

from acp_langgraph.acp.calls import stream_stateless_run_output
from acp_langgraph.core.flow import Flow, Listen, Progress
from acp_langgraph.errors import ApiConnectionError, NotFoundException, UnreadableAnswerException
from acp_langgraph.testing import FakeHTTPServer, Fault, Gate, Response
from acp_langgraph.transport import AsyncTransport, Transport

CALL = stream_stateless_run_output("some-run")


class Ear:
    """Notes the pieces; tells of each, and wants no more after the last word."""

    def __init__(self, last: bytes = b"") -> None:
        self.heard = b""
        self._last = last

    @property
    def done(self) -> bool:
        return bool(self._last) and self.heard.endswith(self._last)

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        self.heard += chunk
        yield Progress("heard", payload=chunk.decode())


def listen(
    color: Color, url: str, reader: Ear, tell: Callable[[Progress], None] | None = None
) -> None:
    def flow() -> Flow[None]:
        yield from Listen(CALL, reader)

    async def alisten() -> None:
        async with AsyncTransport(url) as transport:
            if tell is None:
                await transport.run(flow())
                return

            async def atell(progress: Progress) -> None:
                tell(progress)

            await transport.listen(Listen(CALL, reader), atell)

    if color.name == "async":
        asyncio.run(alisten())
        return
    with Transport(url) as transport:
        if tell is None:
            transport.run(flow())
        else:
            transport.listen(Listen(CALL, reader), tell)


def streaming(*pieces: Any) -> FakeHTTPServer:
    return FakeHTTPServer(lambda _: Response.stream(pieces))


def test_a_stream_is_read_to_its_end(color: Color) -> None:
    with streaming(b"data: a\n\n", b"data: b\n\n") as server:
        reader = Ear()
        listen(color, server.url, reader)
    assert reader.heard == b"data: a\n\ndata: b\n\n"


def test_what_is_heard_is_told_before_more_is_sent(color: Color) -> None:
    gate = Gate("the rest")
    with streaming(b"a", gate, b"b") as server:
        told = []

        def tell(progress: Progress) -> None:
            told.append(progress.payload)
            gate.open()

        listen(color, server.url, Ear(), tell)
    assert told == ["a", "b"]


def test_a_reader_that_wants_no_more_hangs_up(color: Color) -> None:
    with streaming(b"first\n", b"last\n", Gate("never"), b"more\n") as server:
        reader = Ear(last=b"last\n")
        listen(color, server.url, reader)
        server.wait_until(lambda: server.open_connections == 0)
    assert reader.heard == b"first\nlast\n"


def test_what_the_listener_raises_hangs_up_and_comes_out(color: Color) -> None:
    def tell(progress: Progress) -> None:
        raise LookupError("enough")

    with streaming(b"first\n", Gate("never")) as server:
        with pytest.raises(LookupError, match="enough"):
            listen(color, server.url, Ear(), tell)
        server.wait_until(lambda: server.open_connections == 0)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.status(404), NotFoundException),
        (Fault.html(), UnreadableAnswerException),
        (Fault.drop_unread(), ApiConnectionError),
        (Fault.drop_after(100), ApiConnectionError),
    ],
    ids=repr,
)
def test_what_is_no_stream_is_the_error_that_it_is(
    color: Color, fault: Fault, error: type[Exception]
) -> None:
    with streaming(b"data: " + b"x" * 500) as server:
        server.faults.default = fault
        with pytest.raises(error):
            listen(color, server.url, Ear())
