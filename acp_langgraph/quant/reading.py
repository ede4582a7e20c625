"""Finding in an answer what its schema does not say.

* `toolUse` is one object, a list or absent, inside `response` or (in an older form) beside it.
* The id of an orchestration is in no schema at all: it is looked for by name and in poll URLs.
* A poll URL is relative to the organisation's AI root, to the organisation, or absolute. Only its id
  is taken, and only if it leads to the configured origin, for the token goes there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import ValidationError

from acp_langgraph.core.wire import dump
from acp_langgraph.errors import QuantRunError
from acp_langgraph.quant.models import ChatResponse, DurableAccepted, ToolUse

__all__ = [
    "answer_text",
    "durable_id",
    "joined_text",
    "orchestration_id",
    "polled_id",
    "tool_result_messages",
    "tool_uses",
]

_ORCHESTRATION: Final = re.compile(r"orch_[A-Za-z0-9_-]+\Z")
_POLLED: Final = re.compile(
    r"(?:/|\A)(chat/executions|tools/orchestrations|tools/executions)/([^/?#]+)/?\Z"
)
_PORTS: Final = {"http": 80, "https": 443}
_TEXT: Final = ("content", "text")


def answer_text(answer: ChatResponse) -> str:
    """What the model said, in words; empty if nothing."""
    for place in _places(answer):
        for name in _TEXT:
            text = joined_text(place.get(name))
            if text:
                return text
    return ""


def tool_uses(answer: ChatResponse) -> list[ToolUse]:
    """What the model wants of tools; an empty list if nothing."""
    for place in _places(answer):
        found = place.get("toolUse") or place.get("toolUses")
        if isinstance(found, Mapping):
            found = [found]
        if isinstance(found, list):
            uses = list(_readable(found))
            if uses:
                return uses
    return []


def orchestration_id(answer: ChatResponse, base_url: str) -> str | None:
    """The orchestration that gathers the tools of an answer, wherever its id hides."""
    for place in _places(answer):
        nested = place.get("orchestration")
        for each in (place, nested if isinstance(nested, Mapping) else {}):
            for name in ("orchestrationId", "id"):
                value = each.get(name)
                if isinstance(value, str) and _ORCHESTRATION.match(value):
                    return value
            url = each.get("pollUrl")
            if isinstance(url, str):
                kind, found = polled_id(url, base_url)
                if kind == "tools/orchestrations":
                    return found
    return None


def durable_id(accepted: DurableAccepted, base_url: str) -> str:
    """By what to read a durable chat: its request id, or what its poll URL says.

    Raises:
        QuantRunError: If the server says neither.
    """
    kind, polled = polled_id(accepted.poll_url or "", base_url)
    found = accepted.request_id or (polled if kind == "chat/executions" else "")
    if not found:
        raise QuantRunError("chat", "it was accepted without an id to read it by")
    return found


def polled_id(url: str, base_url: str) -> tuple[str, str]:
    """What a poll URL leads to, and its id, decoded; two empty strings if that is not known here.

    Args:
        url: As the server sent it.
        base_url: The configured host; an absolute URL must have its origin.
    """
    try:
        parts, base = urlsplit(url), urlsplit(base_url)
        same = _origin(parts) == _origin(base)
    except ValueError:
        return "", ""
    if (parts.scheme or parts.netloc) and not same:
        return "", ""
    match = _POLLED.search(parts.path)
    return (match[1], unquote(match[2])) if match else ("", "")


def tool_result_messages(text: str, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages that give tools' results back to the model.

    They are the blocks of Bedrock's Converse, which the API takes although its schema does not name
    them: its own applications send them.

    Args:
        text: What the model said beside its wishes.
        tools: What became of each, as `acp_langgraph.quant.tools` says it.
    """
    said: list[dict[str, Any]] = [{"text": text}] if text else []
    wished = [
        {
            "toolUse": {
                "toolUseId": tool["toolUseId"],
                "name": tool["name"],
                "input": tool["input"] if isinstance(tool["input"], dict) else {},
            }
        }
        for tool in tools
    ]
    given = [
        {
            "toolResult": {
                "toolUseId": tool["toolUseId"],
                "content": [{"text": _as_text(tool)}],
                "status": "error" if tool["status"] == "failed" else "success",
            }
        }
        for tool in tools
    ]
    return [{"role": "assistant", "content": said + wished}, {"role": "user", "content": given}]


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _as_text(tool: Mapping[str, Any]) -> str:
    if tool["status"] == "failed":
        return str(tool["error"] or "the tool failed")
    result = tool["result"]
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def _places(answer: ChatResponse) -> Iterator[Mapping[str, Any]]:
    """Where an answer may say something: in the message, or beside it."""
    if isinstance(answer.response, Mapping):
        yield answer.response
    elif isinstance(answer.response, str):
        yield {"content": answer.response}
    yield dump(answer)


def _readable(found: list[Any]) -> Iterator[ToolUse]:
    for each in found:
        try:
            yield ToolUse.model_validate(each)
        except ValidationError:
            continue


def joined_text(content: Any) -> str:
    """The words of a message's content, which is text or a list of blocks."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (block.get("text") for block in content if isinstance(block, Mapping))
        return "".join(text for text in texts if isinstance(text, str))
    return ""
