"""A receiver of webhooks on a socket, whose post may be lost, doubled, kept and sent again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.asgi import served

__all__ = ["Notice", "Post", "receiving"]


@dataclass
class Notice:
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    answered: int = 0


class Post:
    """Hands what comes in to an app, or does with it what a test says.

    Attributes:
        url: Where it is.
        app: Who is handed the requests; nobody as long as it is `None`, and they get a 503.
        times: How often each is handed over: not at all if it is lost.
        notices: What came in, the oldest first.
    """

    def __init__(self) -> None:
        self.url = ""
        self.app: Any = None
        self.times: Callable[[Notice], int] = lambda _: 1
        self.notices: list[Notice] = []
        self._news = threading.Condition()

    def wait_for(self, number: int, status: int | None = None) -> list[Notice]:
        """The notices, once there are so many that were answered, with a status."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._with(status)) >= number, timeout=30)
            return self._with(status)

    def _with(self, status: int | None) -> list[Notice]:
        return [each for each in self.notices if status in {None, each.answered}]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take a request in."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        notice = Notice(scope["path"], headers, body)
        status = 503 if self.app is None else 200
        for _ in range(self.times(notice) if self.app is not None else 0):
            status = await self._handed(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        with self._news:
            notice.answered = status
            self.notices.append(notice)
            self._news.notify_all()

    async def _live(self, receive: Any, send: Any) -> None:
        """Begin; and end once nothing is being woken any more, whose connections would be left open."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self.app is not None:
                await self.app.settled()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _handed(self, scope: Any, body: bytes) -> int:
        told: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                told.append(message["status"])

        await self.app(scope, receive, send)
        return told[0]


@contextmanager
def receiving() -> Iterator[Post]:
    """A receiver, for as long as the block lasts."""
    post = Post()
    with served(post) as client:
        post.url = str(client.base_url).rstrip("/")
        yield post
