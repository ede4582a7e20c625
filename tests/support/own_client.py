"""A client of the user's own, which notes how long each request would wait."""

from __future__ import annotations

from typing import Any

import httpx
from support.colors import Color

__all__ = ["OwnClient"]


class OwnClient:
    """An `httpx.Client` or `httpx.AsyncClient` that answers everything by itself.

    Attributes:
        client: The client.
        waits: The time-outs of each request, by what is waited for.
    """

    def __init__(self, color: Color, answer: httpx.Response, **options: Any) -> None:
        self.waits: list[dict[str, float | None]] = []
        self._answer = answer
        kind = httpx.Client if color.name == "sync" else httpx.AsyncClient
        self.client: Any = kind(transport=httpx.MockTransport(self._respond), **options)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.waits.append(request.extensions["timeout"])
        return self._answer
