"""A server that lets in who shows a token that it accepts, and remembers who came with what."""

from __future__ import annotations

import threading
from typing import Any

from acp_langgraph.testing import FakeACPServer, RecordedRequest, Response

__all__ = ["GuardedServer", "Tokens"]


class GuardedServer(FakeACPServer):
    """An ACP server that answers 401 to whoever shows nothing that is in `accepted`."""

    def __init__(self, *args: Any, header: str = "authorization", **options: Any) -> None:
        super().__init__(*args, **options)
        self.accepted: set[str] = set()
        self.header = header

    def respond(self, request: RecordedRequest) -> Response:
        shown = request.headers.get(self.header, "")
        if shown not in self.accepted:
            return Response.json({"detail": f"{shown} is not accepted"}, 401)
        return super().respond(request)

    def shown(self) -> list[str]:
        """What was shown, request by request."""
        return [request.headers.get(self.header, "") for request in self.requests]


class Tokens:
    """Issues tokens `<user>-<number>`, which the server accepts until they are revoked."""

    def __init__(self, server: GuardedServer) -> None:
        self.issued: list[str] = []
        self._server = server
        self._lock = threading.Lock()

    def issue(self, user: str) -> str:
        with self._lock:
            token = f"sesame-{user}-{len(self.issued) + 1}"
            self.issued.append(token)
        self._server.accepted.add(f"Bearer {token}")
        return token

    def revoke(self) -> None:
        """Accept none of the tokens any more that were issued so far."""
        self._server.accepted.clear()
