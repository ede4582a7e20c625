"""A run takes its place in the trace of whoever asked for it, if the server is set up to believe that.

What a client says of its trace is `langsmith-trace`, or W3C's `traceparent` and `tracestate`. A leg of a
run is executed as a child of what the request said that it was created or resumed by. It goes no
further: what is carried along as `baggage` is not taken over, for there a client could say into which
project a trace goes; and a server that is restarted has forgotten it, for it is not on file.

Nothing is imported for the sake of it: an application that traces has done so already.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["TraceTaker", "incoming_trace", "within"]

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
