"""What stands before every operation: who may come in, who is counted, and whose trace it is.

What a client says of its trace is `langsmith-trace`, or W3C's `traceparent` and `tracestate`. A segment of a
run is executed as a child of what the request said that it was created or resumed by. It goes no
further: what is carried along as `baggage` is not taken over, for there a client could say into which
project a trace goes; and a server that is restarted has forgotten it, for it is not on file.

Nothing is imported for the sake of it: an application that traces has done so already.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from acp_langgraph.server.browser import PUBLIC, own_path
from acp_langgraph.server.wire import Problem, error_answer


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


_caller: ContextVar[str | None] = ContextVar("acp_caller", default=None)


def caller() -> str | None:
    """Whose request is at work, where there are several keys: a digest of the key."""
    return _caller.get()


class ApiKeyGuard:
    """Lets in who has a key, as `x-api-key` or as a bearer token; before anything is parsed.

    Args:
        app: What is guarded.
        api_key: The key, or a function that tells whether a key is good.
        public: Paths that ask nobody who he is.
    """

    def __init__(
        self,
        app: ASGIApp,
        api_key: str | Callable[[str], bool],
        public: Container[str] = (PUBLIC,),
    ) -> None:
        self._app = app
        self._public = public
        self._several = not isinstance(api_key, str)
        if not isinstance(api_key, str):
            self._is_good = api_key
            return
        expected = api_key.strip().encode()
        self._is_good = lambda key: compare_digest(key.encode(), expected)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        open_ = scope["type"] != "http" or own_path(scope) in self._public
        if open_ or self._admits(Headers(scope=scope)):
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
        if self._several:
            _caller.set(sha256((in_header or in_token).encode()).hexdigest())
        # `|`, not `or`: both are compared, in time that does not depend on where they differ.
        return bool(self._is_good(in_header)) | bool(self._is_good(in_token))


_log = logging.getLogger(__name__)

_HEADERS: Final = ("langsmith-trace", "traceparent", "tracestate")
_LONGEST: Final = 4096  # characters of one header

_incoming: ContextVar[Mapping[str, str]] = ContextVar("acp_incoming_trace", default={})  # noqa: B039 - never changed


class TraceTaker:
    """Notes where in a trace a request belongs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note it and pass the request on."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            said = {name: headers[name] for name in _HEADERS if name in headers}
            _incoming.set({name: value for name, value in said.items() if len(value) <= _LONGEST})
        await self._app(scope, receive, send)


def incoming_trace() -> Mapping[str, str]:
    """What the request that is at work said of its trace; nothing unless a `TraceTaker` listened."""
    return _incoming.get()


@contextmanager
def within(trace: Mapping[str, str]) -> Iterator[None]:
    """Whatever is traced inside of the block is a child of what a request said."""
    with ExitStack() as stack:
        if "traceparent" in trace and "opentelemetry.trace" in sys.modules:
            stack.enter_context(_as_child_of_span(trace))
        if "langsmith-trace" in trace and (langsmith := _langsmith()) is not None:
            parent = trace["langsmith-trace"]
            try:
                stack.enter_context(langsmith.tracing_context(parent=parent))
            except (ValueError, TypeError, LookupError):  # a client may send anything
                _log.debug("a client's langsmith-trace cannot be read")
        yield


@contextmanager
def _as_child_of_span(trace: Mapping[str, str]) -> Iterator[None]:
    context = importlib.import_module("opentelemetry.context")
    reader = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
    token = context.attach(reader.TraceContextTextMapPropagator().extract(trace))
    try:
        yield
    finally:
        context.detach(token)


def _langsmith() -> Any:
    """LangSmith's helpers, if it is in use."""
    helpers = sys.modules.get("langsmith.run_helpers")
    utilities = sys.modules.get("langsmith.utils")
    if helpers is None or utilities is None or not utilities.tracing_is_enabled():
        return None
    return helpers
