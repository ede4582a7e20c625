"""Which headers tell a server where a call belongs in a trace.

    langsmith-trace            LangSmith's current run
    traceparent, tracestate    OpenTelemetry's current span (W3C Trace Context)
    baggage                    what both carry along (W3C Baggage); only if asked for

They are sent to hosts that are configured with `trace=True`: a trace's ids tell a stranger little, but
not nothing, and baggage may hold whatever an application put into it. Neither library is imported for
the sake of it: who traces with one has done so already.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from acp_langgraph.core.calls import Call

__all__ = ["traced"]

_LONGEST_BAGGAGE: Final = 8192  # bytes; what W3C Baggage wants everybody to hand on


def traced(call: Call[Any], *, baggage: bool) -> Call[Any]:
    """The call with the current trace context, if there is one.

    Args:
        call: What is about to be sent.
        baggage: Whether what is carried along with the context is sent, too.
    """
    headers: dict[str, str] = {}
    carried: list[str] = []
    for context in (*_langsmith(), *_opentelemetry(baggage=baggage)):
        carried.append(context.pop("baggage", ""))
        headers.update(context)
    joined = ",".join(filter(None, carried))
    if baggage and joined and len(joined) <= _LONGEST_BAGGAGE:
        headers["baggage"] = joined
    own = {name.lower() for name in call.headers}
    sent = {
        name: value
        for name, value in headers.items()
        if name not in own and value.isascii() and value.isprintable()
    }
    return call.with_options(headers=sent) if sent else call


def _langsmith() -> Iterator[dict[str, str]]:
    module = sys.modules.get("langsmith.run_helpers")
    run = module.get_current_run_tree() if module is not None else None
    if run is not None:
        yield run.to_headers()


def _opentelemetry(*, baggage: bool) -> Iterator[dict[str, str]]:
    if "opentelemetry.trace" not in sys.modules:
        return
    context, carried = _propagators()
    headers: dict[str, str] = {}
    context.inject(headers)
    if baggage:
        carried.inject(headers)
    yield headers


@cache
def _propagators() -> tuple[Any, Any]:
    return (
        importlib.import_module(
            "opentelemetry.trace.propagation.tracecontext"
        ).TraceContextTextMapPropagator(),
        importlib.import_module("opentelemetry.baggage.propagation").W3CBaggagePropagator(),
    )
