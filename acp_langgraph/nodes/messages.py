"""Chat messages of a remote agent, from the JSON that it streams to LangChain's message objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

__all__ = ["MessageFinder"]

# By `role`, as the protocol and OpenAI have it, or by `type`, as LangChain writes messages.
_CLASSES: Final[Mapping[str, type[BaseMessage]]] = {
    "ai": AIMessage,
    "agent": AIMessage,
    "assistant": AIMessage,
    "AIMessage": AIMessage,
    "AIMessageChunk": AIMessageChunk,
    "tool": ToolMessage,
}
_HUMANS: Final = frozenset({"human", "user", "HumanMessage"})
_FIELDS: Final = frozenset(
    {
        "additional_kwargs",
        "artifact",
        "chunk_position",
        "content",
        "id",
        "invalid_tool_calls",
        "name",
        "response_metadata",
        "status",
        "tool_call_chunks",
        "tool_call_id",
        "tool_calls",
        "usage_metadata",
    }
)


class MessageFinder:
    """Finds what an agent says in the events of one run, every message once.

    Messages are looked for where agents put them: an update of the agent's own may be a message or
    a piece of one, and an output may have a list `messages`. Of such a list, which is often a whole
    conversation, what comes after the last word of a human is new.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def find(self, kind: str, payload: Any) -> Iterator[BaseMessage]:
        """The messages of an event; pieces of a message are `AIMessageChunk`s."""
        if not isinstance(payload, dict):
            return
        if kind == "custom":
            message = _message(payload)
            if isinstance(message, AIMessageChunk):
                self._seen.add(str(message.id))
                yield message
            elif message is not None and self._is_new(message, 0):
                yield message
        elif kind == "values" and isinstance(payload.get("messages"), list):
            for index, found in _last_turn(payload["messages"]):
                message = _message(found)
                if message is not None and self._is_new(message, index):
                    yield message

    def _is_new(self, message: BaseMessage, index: int) -> bool:
        key = message.id or f"{index}\n{json.dumps(message.content)}"
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def _last_turn(messages: list[Any]) -> list[tuple[int, Any]]:
    start = 0
    for index, message in enumerate(messages):
        if isinstance(message, dict) and _kind(message) in _HUMANS:
            start = index + 1
    return list(enumerate(messages))[start:]


def _message(found: Any) -> BaseMessage | None:
    if not isinstance(found, dict) or "content" not in found:
        return None
    message_class = _CLASSES.get(_kind(found))
    if message_class is None:
        return None
    try:
        return message_class.model_validate(
            {name: found[name] for name in _FIELDS & found.keys() if found[name] is not None}
        )
    except Exception:  # noqa: BLE001 - LangChain meets foreign JSON here; at worst it is no message
        return None


def _kind(message: Mapping[str, Any]) -> str:
    kind = message.get("role") or message.get("type")
    return kind if isinstance(kind, str) else ""
