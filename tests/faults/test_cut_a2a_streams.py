"""The stream of an A2A agent's task is cut anywhere: what it emits is shown once, and whole."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.types import Command
from support.a2a_graph import SPOKEN, asked, remembering
from support.colors import Color

from acp_langgraph.a2a.calls import SEND_MESSAGE, SUBSCRIBE_TO_TASK, HttpJson, JsonRpc, OldJsonRpc
from acp_langgraph.testing import Answer, Ask, Emit, FakeA2AServer, Fault, Work
from acp_langgraph.transport import Transport

FOLLOWED = Work(0.01)
SCRIPT = [
    *[FOLLOWED, Emit("One "), FOLLOWED, Emit("large "), Emit("large "), Ask("color?")],
    *[FOLLOWED, Emit({"say": "at it"}), Emit({"ok": True}), FOLLOWED, Answer("p\u00e4i")],
]
SHOWN = [["One ", "large ", "large "], [{"ok": True}, "p\u00e4i"]]


def length_of(server: FakeA2AServer, spoken: Any) -> int:
    """Bytes of a task's first stream, headers and all, at least."""
    modern = HttpJson("/rest") if spoken["binding"] == "HTTP+JSON" else JsonRpc("/rpc")
    binding = OldJsonRpc("/rpc") if spoken["version"] == "0.3" else modern
    message = {"role": "ROLE_USER", "messageId": "m", "parts": [{"text": "measured"}]}
    waiting = {"message": message, "configuration": {"returnImmediately": True}}
    with Transport(server.url) as transport:
        said = transport.send(binding.call(SEND_MESSAGE, waiting))
        task = binding.read(SEND_MESSAGE, said).task
        assert task is not None
        stream = transport.stream(binding.call(SUBSCRIBE_TO_TASK, {"id": task.id}))
        return sum(len(chunk) + 12 for chunk in stream) + 250


def pieces(events: list[Any]) -> list[Any]:
    """The texts and values of the artifacts' parts, as they came."""
    told = [event["payload"] for event in events if event["kind"] == "custom"]
    parts = [part for each in told for part in each["artifact"]["parts"]]
    return [part.get("text", part.get("data")) for part in parts]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("segment", [1, 2])
@pytest.mark.parametrize("spoken", SPOKEN, ids=str)
def test_a_stream_cut_at_any_byte_loses_and_repeats_nothing(
    color: Color, spoken: Any, segment: int, reset: bool, points: int
) -> None:
    with FakeA2AServer(SCRIPT, **spoken) as server:
        graph, length = remembering(server), length_of(server, spoken)
        for place in range(0, length, max(1, length // (points // 3))):
            server.faults.clear()
            cut = Fault.drop_after(place, reset=reset)
            rule = server.faults.add(cut, on="SubscribeToTask", nth=segment)
            config: Any = {"configurable": {"thread_id": f"{place}"}}
            first = color.stream(graph, {"ask": "pie"}, config, stream_mode="custom")
            state = color.invoke(graph, None, config)
            second = color.stream(graph, Command(resume="blue"), config, stream_mode="custom")
            assert asked(state) == ["color?"]
            assert [pieces(first), pieces(second)] == SHOWN, place
            assert rule.hits == 1, place
        assert not server.misplaced
