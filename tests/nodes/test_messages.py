"""Finding what an agent says in what it streams."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage

from acp_langgraph.nodes.streaming import MessageFinder


def found(*events: tuple[str, Any]) -> list[Any]:
    finder = MessageFinder()
    return [message for event in events for message in finder.find(*event)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"role": "assistant", "content": "hi", "id": "1"}, AIMessage("hi", id="1")),
        ({"role": "agent", "content": "hi", "metadata": {"x": 1}}, AIMessage("hi")),
        (AIMessage("hi", id="1", name="bob").model_dump(), AIMessage("hi", id="1", name="bob")),
        (
            {"type": "AIMessageChunk", "content": [{"type": "text", "text": "h"}], "id": "1"},
            AIMessageChunk([{"type": "text", "text": "h"}], id="1"),
        ),
        (
            ToolMessage("42", tool_call_id="c", id="1").model_dump(),
            ToolMessage("42", tool_call_id="c", id="1"),
        ),
    ],
)
def test_a_message_is_read_however_it_was_written(written: Any, read: Any) -> None:
    assert found(("custom", written)) == [read]
    assert type(found(("custom", written))[0]) is type(read)


def test_tool_calls_survive() -> None:
    call = {"name": "add", "args": {"a": 1}, "id": "c", "type": "tool_call"}
    (message,) = found(("custom", AIMessage("", id="1", tool_calls=[call]).model_dump()))
    assert message.tool_calls == [call]


@pytest.mark.parametrize(
    "written",
    [
        None,
        "hi",
        [],
        {},
        {"content": "hi"},
        {"role": "user", "content": "hi"},
        {"role": ["assistant"], "content": "hi"},
        {"role": "assistant", "content": 7},
        {"role": "tool", "content": "without a call"},
        {"type": "AIMessageChunk", "content": {"no": "content"}},
        {"n": 1},
    ],
)
def test_what_is_no_message_of_an_agent_is_none(written: Any) -> None:
    assert found(("custom", written), ("values", {"messages": [written]})) == []
    assert found(("values", {"messages": written}), ("values", written)) == []


def test_of_a_conversation_what_follows_the_last_word_of_a_human_is_new() -> None:
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "long ago"},
        {"type": "human", "content": "and now?"},
    ]
    first = {"role": "assistant", "content": "thinking"}
    second = {"role": "assistant", "content": "now"}
    outputs = [{"messages": [*history, first]}, {"messages": [*history, first, second]}]
    messages = found(*(("values", output) for output in outputs))
    assert [message.content for message in messages] == ["thinking", "now"]


def test_the_same_words_twice_are_two_messages_and_the_same_id_is_one() -> None:
    same = {"role": "assistant", "content": "ok"}
    assert len(found(("values", {"messages": [same, same]}))) == 2
    named = {**same, "id": "1"}
    assert len(found(("values", {"messages": [named]}), ("custom", named))) == 1


def test_pieces_all_count_and_the_whole_after_them_does_not() -> None:
    piece = {"type": "AIMessageChunk", "content": "a", "id": "1"}
    whole = {"role": "assistant", "content": "aa", "id": "1"}
    messages = found(("custom", piece), ("custom", piece), ("values", {"messages": [whole]}))
    assert [message.content for message in messages] == ["a", "a"]
