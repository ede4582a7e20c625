"""What stands before every operation: who may come in, and who is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from acp_langgraph.server.problems import Problem
from acp_langgraph.server.wire import error_answer

__all__ = ["ApiKeyGuard", "Observer", "SeenRequest"]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it arrived, before anything was done with it.

    Attributes:
        method: HTTP method.
        path: The path, decoded.
        query: The query string, as sent.
        client: Host and port of the connection; the same for requests that share one.
    """

    method: str
    path: str
    query: str
    client: tuple[str, int] | None


class Observer:
    """Tells a listener of every request."""

    def __init__(self, app: ASGIApp, on_request: Callable[[SeenRequest], None]) -> None:
        self._app = app
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell of a request and pass it on."""
        if scope["type"] == "http":
            client = scope.get("client")
            self._on_request(
                SeenRequest(
                    method=scope["method"],
                    path=scope["path"],
                    query=scope["query_string"].decode("latin-1"),
                    client=(client[0], client[1]) if client else None,
                )
            )
        await self._app(scope, receive, send)


class ApiKeyGuard:
    """Lets in who has a key, as `x-api-key` or as a bearer token; before anything is parsed.

    Args:
        app: What is guarded.
        api_key: The key, or a function that tells whether a key is good.
    """

    def __init__(self, app: ASGIApp, api_key: str | Callable[[str], bool]) -> None:
        self._app = app
        if not isinstance(api_key, str):
            self._is_good = api_key
            return
        expected = api_key.strip().encode()
        self._is_good = lambda key: compare_digest(key.encode(), expected)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or self._admits(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refusal = Problem(
            HTTPStatus.UNAUTHORIZED,
            "the API key is missing or wrong; send it as x-api-key or as a bearer token",
            {"www-authenticate": "Bearer"},
        )
        await error_answer(refusal)(scope, receive, send)

    def _admits(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        in_header = headers.get("x-api-key", "").strip()
        in_token = token.strip() if scheme.lower() == "bearer" else ""
        # `|`, not `or`: both are compared, in time that does not depend on where they differ.
        return bool(self._is_good(in_header)) | bool(self._is_good(in_token))
