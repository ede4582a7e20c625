"""The transports with what is made for each call: somebody's credentials, and where it belongs in a trace.

Each is a transport over another one's connections, and whatever a transport can do it does too, with two
differences: headers are added, and a call that is answered with 401 is repeated once if there are other
credentials to show by then. How is told in `acp_langgraph.auth.credentials`.

    langsmith-trace            LangSmith's current run
    traceparent, tracestate    OpenTelemetry's current span (W3C Trace Context)
    baggage                    what both carry along (W3C Baggage); only if asked for

They are sent to hosts that are configured with `trace=True`: a trace's ids tell a stranger little, but
not nothing, and baggage may hold whatever an application put into it. Neither library is imported for
the sake of it: who traces with one has done so already.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import aclosing
from functools import cache, partial
from typing import Any, Final, TypeAlias

import httpx

from acp_langgraph.auth import HeaderAuth, Refuse, credentials_of
from acp_langgraph.auth.credentials import Credentials, authorized, showing
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import adrive, drive
from acp_langgraph.errors import ApiTypeError, UnauthorizedException
from acp_langgraph.transport.blocking import Transport, within_seconds
from acp_langgraph.transport.nonblocking import AsyncTransport

Credential: TypeAlias = Callable[[], Credentials | None]
"""Tells what to show with the next call."""


class PerCallTransport(Transport):
    """A transport over another one's connections, with headers made for each call; blocking.

    Args:
        transport: Sends.
        credentials: Tells what to show with the next call.
    """

    def __init__(self, transport: Transport, credentials: Credential) -> None:
        self.endpoint, self.shown = transport.endpoint, transport.shown
        self.retries = transport.retries
        self._transport = transport
        self._credentials = credentials
        self._traced = _tracing(transport.endpoint.configuration)

    def exchange(self, call: Call[Any]) -> Reply:
        """Perform one exchange; a second one if the credentials are refused."""
        call, credentials = self._traced(call), self._credentials()
        if credentials is None:
            return self._transport.exchange(call)
        seconds = self.endpoint.seconds(call)
        with self.endpoint.explained(call, logs=False), within_seconds(seconds):
            return drive(authorized(call, credentials), self._transport)

    call = exchange

    def stream(self, call: Call[Any]) -> Generator[bytes]:
        """Perform a call and yield its body as it arrives; begun anew if credentials are refused."""
        call, credentials = self._traced(call), self._credentials()
        if credentials is None:
            yield from self._transport.stream(call)
            return
        shown = drive(credentials.shown(), self._transport)
        own = showing(call, shown)
        try:
            yield from self._transport.stream(own)
        except UnauthorizedException:
            renewed = drive(credentials.renewed(shown), self._transport)
            again = showing(call, renewed)
            if again.headers == own.headers:
                raise
        else:
            return
        yield from self._transport.stream(again)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class AsyncPerCallTransport(AsyncTransport):
    """`PerCallTransport`, awaiting."""

    def __init__(self, transport: AsyncTransport, credentials: Credential) -> None:
        self.endpoint, self.shown = transport.endpoint, transport.shown
        self.retries = transport.retries
        self._transport = transport
        self._credentials = credentials
        self._traced = _tracing(transport.endpoint.configuration)

    async def exchange(self, call: Call[Any]) -> Reply:
        """Perform one exchange; a second one if the credentials are refused."""
        call, credentials = self._traced(call), self._credentials()
        if credentials is None:
            return await self._transport.exchange(call)
        with self.endpoint.explained(call, logs=False):
            async with asyncio.timeout(self.endpoint.seconds(call)):
                return await adrive(authorized(call, credentials), self._transport)

    call = exchange

    async def stream(self, call: Call[Any]) -> AsyncGenerator[bytes]:
        """Perform a call and yield its body as it arrives; begun anew if credentials are refused."""
        call, credentials = self._traced(call), self._credentials()
        if credentials is None:
            async with aclosing(self._transport.stream(call)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        shown = await adrive(credentials.shown(), self._transport)
        own = showing(call, shown)
        try:
            async with aclosing(self._transport.stream(own)) as pieces:
                async for piece in pieces:
                    yield piece
        except UnauthorizedException:
            renewed = await adrive(credentials.renewed(shown), self._transport)
            again = showing(call, renewed)
            if again.headers == own.headers:
                raise
        else:
            return
        async with aclosing(self._transport.stream(again)) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._transport.aclose()


def transport_to(
    configuration: ApiClientConfiguration | str | None,
    *,
    client: httpx.Client | None = None,
    auth: httpx.Auth | HeaderAuth | None = None,
    headers: Mapping[str, str] | None = None,
    refuse: Refuse | None = None,
) -> Transport:
    """A client's transport, whichever way it is authenticated.

    Args:
        configuration: Where to.
        client: A client of the caller's own.
        auth: Authentication of the caller's own.
        headers: Sent with every request.
        refuse: Raises for headers that must not be sent.
    """
    given = httpx_auth(auth)
    transport = Transport(configuration, client=client, auth=given, headers=headers)
    if given is auth and not transport.endpoint.configuration.trace:
        return transport
    return PerCallTransport(transport, _credentials(auth, transport.endpoint.base_url, refuse))


def async_transport_to(
    configuration: ApiClientConfiguration | str | None,
    *,
    client: httpx.AsyncClient | None = None,
    auth: httpx.Auth | HeaderAuth | None = None,
    headers: Mapping[str, str] | None = None,
    refuse: Refuse | None = None,
) -> AsyncTransport:
    """`transport_to`, awaiting."""
    given = httpx_auth(auth)
    transport = AsyncTransport(configuration, client=client, auth=given, headers=headers)
    if given is auth and not transport.endpoint.configuration.trace:
        return transport
    return AsyncPerCallTransport(transport, _credentials(auth, transport.endpoint.base_url, refuse))


def httpx_auth(auth: Any) -> httpx.Auth | None:
    """What httpx is to do of it.

    Raises:
        ApiTypeError: If it is nothing that could authenticate.
    """
    if auth is None or isinstance(auth, HeaderAuth):
        return None
    if isinstance(auth, httpx.Auth):
        return auth
    home = type(auth).__module__.partition(".")[0]
    raise ApiTypeError(
        f"auth is a TokenAuth, a HeaderAuth or an httpx.Auth, not {home}.{type(auth).__name__}; for a function "
        "that gives tokens it is TokenAuth(function), and a token that never changes is the "
        "configuration's: ApiClientConfiguration(host, access_token=...)"
    )


def _credentials(auth: Any, who: str, refuse: Refuse | None) -> Credential:
    if not isinstance(auth, HeaderAuth):
        return lambda: None
    # A client may be used inside of a graph, whose config then says for whom.
    return lambda: credentials_of([auth], None, who, refuse)


def _tracing(configuration: ApiClientConfiguration) -> Callable[[Call[Any]], Call[Any]]:
    """What adds the trace context to calls, if the host is to know of it."""
    if not configuration.trace:
        return lambda call: call
    return partial(traced, baggage=configuration.trace_baggage)


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
