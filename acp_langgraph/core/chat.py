"""Chat messages as JSON, made messages again before a graph takes them.

LangGraph's `add_messages` takes dicts, too, and keeps what it does not know of them, such as
`usage_metadata`, in `additional_kwargs`; roles of one's own it refuses. So what LangChain has written
as JSON is read by LangChain's own models, where it goes to a channel with that reducer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from langchain_core.messages import AnyMessage
from pydantic import TypeAdapter, ValidationError

_REDUCERS: Final = "langgraph.graph.message"
_WRITTEN: Final = frozenset({"type", "content", "additional_kwargs", "response_metadata"})


def with_messages(change: Any, channels: Mapping[str, Any] | None) -> Any:
    """A change of a state, or an input, with messages for what is written as such.

    Args:
        change: By channel.
        channels: The channels that it goes to; `None` if not known.
    """
    if channels is None or not isinstance(change, dict):
        return change
    return {
        name: _read(value) if _takes_messages(channels.get(name)) else value
        for name, value in change.items()
    }


def _takes_messages(channel: Any) -> bool:
    operator = getattr(channel, "operator", None)
    return getattr(getattr(operator, "func", operator), "__module__", None) == _REDUCERS


def message_of(value: Any) -> Any:
    """The message that LangChain has written as this JSON; the value itself if it is none."""
    if not isinstance(value, dict) or not value.keys() >= _WRITTEN:
        return value
    try:
        return _messages().validate_python(value)
    except ValidationError:
        return value


def _read(value: Any) -> Any:
    return [message_of(each) for each in value] if isinstance(value, list) else message_of(value)


@lru_cache(maxsize=1)
def _messages() -> TypeAdapter[Any]:
    return TypeAdapter(AnyMessage)
