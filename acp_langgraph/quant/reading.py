"""What an answer says beyond its schema, and keeping large binary results out of what is remembered.

* `toolUse` is one object, a list or absent, inside `response` or (in an older form) beside it.
* The id of an orchestration is in no schema at all: it is looked for by name and in poll URLs.
* A poll URL is relative to the organisation's AI root, to the organisation, or absolute. Only its id
  is taken, and only if it leads to the configured origin, for the token goes there.

Tools give images as data URIs: megabytes that have no place in a checkpoint. `Keeper` takes them out
of a result and leaves in their place where they are now:

    {"file": "/images/3f2a....png", "mediaType": "image/png", "bytes": 483112}        saved
    {"executionId": "exec_...", "at": "images.0", "mediaType": ..., "bytes": ...}      not saved

What was not saved can be had from the server as long as it keeps the execution, 24 hours; `s3Urls`
are links that hold for an hour, and stay.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import mimetypes
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import ValidationError

from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.core.wire import dump
from acp_langgraph.errors import QuantRunError
from acp_langgraph.quant.models import ChatResponse, DurableAccepted, ToolUse

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


Save: TypeAlias = Callable[[bytes, str], str]
"""Takes bytes and their media type, saves them, and says where."""

_DATA_URI: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?;base64,", re.IGNORECASE)
_BARE: Final = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*\Z")
_MAGIC: Final = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
    b"%PDF": "application/pdf",
}
_SMALLEST_BARE: Final = 1024  # characters; what is shorter may as well be a word
_DEEPEST: Final = 32


class Keeper:
    """Takes binary data out of results.

    Args:
        save_to: A directory for files, which is made if need be; or a function that saves them; or
            `None`, to leave a reference to the execution.
    """

    def __init__(self, save_to: str | os.PathLike[str] | Save | None = None) -> None:
        self._save = save_to if callable(save_to) or save_to is None else _to_directory(save_to)

    def keep(self, result: Any, execution_id: str) -> Any:
        """The result without its binary data."""
        return self._kept(result, execution_id, ())

    def keeping(self, result: Any, execution_id: str) -> Flow[Any]:
        """`keep` as a flow: saving, which blocks, goes on in a thread where others would wait."""
        keep = partial(self.keep, result, execution_id)
        if self._save is None:
            return keep()
        return (yield from Work(keep, partial(asyncio.to_thread, keep)))

    def _kept(self, value: Any, execution_id: str, place: tuple[str, ...]) -> Any:
        if isinstance(value, str):
            return self._text(value, execution_id, place)
        if len(place) >= _DEEPEST:
            return value
        if isinstance(value, dict):
            return {
                name: self._kept(each, execution_id, (*place, str(name)))
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [
                self._kept(each, execution_id, (*place, str(number)))
                for number, each in enumerate(value)
            ]
        return value

    def _text(self, text: str, execution_id: str, place: tuple[str, ...]) -> Any:
        found = _binary(text)
        if found is None:
            return text
        media_type, content = found
        size = {"mediaType": media_type, "bytes": len(content)}
        if self._save is None:
            return {"executionId": execution_id, "at": ".".join(place), **size}
        return {"file": self._save(content, media_type), **size}


def _binary(text: str) -> tuple[str, bytes] | None:
    """Media type and bytes of a text that stands for them."""
    uri = _DATA_URI.match(text)
    if uri is None and (len(text) < _SMALLEST_BARE or not _BARE.match(text)):
        return None
    try:
        content = base64.b64decode(text[uri.end() :] if uri else text, validate=uri is None)
    except (binascii.Error, ValueError):
        return None
    by_content = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
    if uri is not None:
        return uri[1] or by_content or "application/octet-stream", content
    return (by_content, content) if by_content else None


def _to_directory(directory: str | os.PathLike[str]) -> Save:
    folder = Path(directory)

    def save(content: bytes, media_type: str) -> str:
        # Named by content: to save the same image again, after a crash, changes nothing.
        digest = hashlib.sha256(content).hexdigest()[:32]
        target = folder / f"{digest}{mimetypes.guess_extension(media_type) or '.bin'}"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                file.write(content)
            Path(file.name).replace(target)
        return str(target)

    return save
