"""The two drivers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Ask, Begin, Flow, Listen, Pause, Progress, Step, adrive, drive


class Recorder:
    """Performs everything by noting it down."""

    def __init__(self, failing: type | None = None) -> None:
        self.seen: list[Any] = []
        self.failing = failing

    def perform(self, effect: Any, reply: Any = None) -> Any:
        self.seen.append(effect)
        if self.failing and isinstance(effect, self.failing):
            raise ConnectionError("broken")
        return reply

    def call(self, call: Call[Any]) -> Reply:
        return self.perform(call, Reply(200, content=b'"reply"'))

    def listen(self, listen: Listen) -> None:
        self.perform(listen)

    def ask(self, ask: Ask) -> Any:
        return self.perform(ask, "answer")

    def pause(self, pause: Pause) -> None:
        self.perform(pause)

    def begin(self, begin: Begin) -> None:
        self.perform(begin)

    def progress(self, progress: Progress) -> None:
        self.perform(progress)

    def step(self, step: Step[Any]) -> Any:
        return self.perform(step, "remembered")


class AsyncRecorder(Recorder):
    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in {"call", "listen", "ask", "pause", "begin", "progress", "step"}:
            return found

        async def performed(effect: Any) -> Any:
            await asyncio.sleep(0)
            return found(effect)

        return performed


def run(color: Any, flow: Flow[Any], failing: type | None = None) -> tuple[Any, list[Any]]:
    if color.name == "sync":
        recorder = Recorder(failing)
        return drive(flow, recorder), recorder.seen
    recorder = AsyncRecorder(failing)
    return asyncio.run(adrive(flow, recorder)), recorder.seen


class Mute:
    """Reads a stream and makes nothing of it."""

    done = False

    def feed(self, chunk: bytes) -> list[Progress]:
        return []


CALL: Call[str] = Call("read", "GET", "/x", dict | str)


def everything() -> Flow[list[Any]]:
    found = [(yield from CALL), (yield from Ask("why?")), (yield from Pause(1.0))]
    found += [(yield from Progress("going")), (yield from Step("part", everything))]
    found += [(yield from Listen(CALL, Mute()))]
    return found


def test_every_effect_is_performed_in_order_and_its_reply_comes_back(color: Any) -> None:
    result, seen = run(color, everything())
    assert result == ["reply", "answer", None, None, "remembered", None]
    assert [type(effect) for effect in seen] == [Call, Ask, Pause, Progress, Step, Listen]


def test_what_a_performer_raises_can_be_caught_at_the_yield(color: Any) -> None:
    def flow() -> Flow[str]:
        try:
            yield CALL
        except ConnectionError:
            return "caught"
        return "missed"

    assert run(color, flow(), failing=Call)[0] == "caught"


def test_what_a_flow_does_not_catch_leaves_the_driver(color: Any) -> None:
    with pytest.raises(ConnectionError):
        run(color, everything(), failing=Ask)


def test_a_flow_is_closed_on_the_way_out(color: Any) -> None:
    closed = []

    def flow() -> Flow[None]:
        try:
            yield Pause(0)
        finally:
            closed.append(True)

    with pytest.raises(ConnectionError):
        run(color, flow(), failing=Pause)
    assert closed == [True]


def test_a_flow_that_yields_something_else_is_told_what_it_may_yield(color: Any) -> None:
    def flow() -> Flow[None]:
        yield "nonsense"  # type: ignore[misc]  # the fault that is tested

    with pytest.raises(TypeError, match="Call, Listen, Ask, Pause, Begin, Progress, Work, Step"):
        run(color, flow())
