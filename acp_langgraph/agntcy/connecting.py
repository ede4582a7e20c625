"""Clients of httpx's for settings that the package leaves to a client of the caller's own."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import httpx

from acp_langgraph import config
from acp_langgraph.agntcy.configuration import ApiClientConfiguration
from acp_langgraph.core.processes import PerLoop
from acp_langgraph.transport.peers import proxy_to, tls_context

_USUAL = ApiClientConfiguration()


def is_special(settings: ApiClientConfiguration) -> bool:
    """Whether a configuration says what needs a client of its own; the package's own does not."""
    names = (
        "assert_hostname",
        "tls_server_name",
        "connection_pool_maxsize",
        "proxy_headers",
        "socket_options",
    )
    usual = ((name, getattr(_USUAL, name)) for name in names)
    return any(getattr(settings, name, value) != value for name, value in usual)


def blocking_client(
    settings: ApiClientConfiguration, made: config.ApiClientConfiguration
) -> httpx.Client | None:
    """The client for what a configuration says; `None` where the package's own connections do."""
    if not is_special(settings):
        return None
    transport = httpx.HTTPTransport(**_options(settings, made))
    client = httpx.Client(transport=transport, event_hooks={"request": [_naming(settings)]})
    weakref.finalize(client, transport.close)
    return client


def awaiting_client(
    settings: ApiClientConfiguration, made: config.ApiClientConfiguration
) -> httpx.AsyncClient | None:
    """`blocking_client`, awaiting; of use in every event loop, whose connections are closed with it."""
    if not is_special(settings):
        return None
    name = _naming(settings)

    async def hook(request: httpx.Request) -> None:
        name(request)

    transport = _PerLoop(lambda: httpx.AsyncHTTPTransport(**_options(settings, made)))
    return httpx.AsyncClient(transport=transport, event_hooks={"request": [hook]})


class _PerLoop(httpx.AsyncBaseTransport):
    """Connections of the event loop that runs, closed together with it."""

    def __init__(self, make: Callable[[], httpx.AsyncHTTPTransport]) -> None:
        self._make = make
        self._made: PerLoop[httpx.AsyncHTTPTransport] = PerLoop()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        made = self._made.here()
        if made is None:
            made = self._make()
            self._made.keep(made, made.aclose)
        return await made.handle_async_request(request)

    async def aclose(self) -> None:
        await self._made.aclose()


def _options(
    settings: ApiClientConfiguration, made: config.ApiClientConfiguration
) -> dict[str, Any]:
    context = tls_context(made)
    if settings.assert_hostname is False:
        context.check_hostname = False
    proxy = proxy_to(httpx.URL(made.base_url), made.proxy)
    if proxy is not None:
        proxy.headers.update(settings.proxy_headers or {})
        proxy.ssl_context = tls_context(made) if proxy.url.scheme == "https" else None
    kept = settings.connection_pool_maxsize
    return {
        "verify": context,
        "proxy": proxy,
        "limits": httpx.Limits(max_connections=kept, max_keepalive_connections=kept),
        "socket_options": settings.socket_options,
        "trust_env": False,  # `proxy_to` has read it
    }


def _naming(settings: ApiClientConfiguration) -> Callable[[httpx.Request], None]:
    """Asks a server for the name that was configured, which its certificate then must have."""
    other = settings.assert_hostname
    name = settings.tls_server_name or (other if isinstance(other, str) else None)

    def hook(request: httpx.Request) -> None:
        if name:
            request.extensions["sni_hostname"] = name

    return hook
