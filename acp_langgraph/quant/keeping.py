"""Keeping large binary results out of what is remembered.

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
import mimetypes
import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from acp_langgraph.core.flow import Flow, Work

__all__ = ["Keeper", "Save"]

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
