"""Connections through a SOCKS proxy, for which both libraries want another one: the extra `socks`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import aiohttp
import httpx

from acp_langgraph.errors import ApiValueError

__all__ = ["socks_connector", "socks_transport"]


def socks_transport(**options: Any) -> httpx.HTTPTransport:
    """What connects blocking.

    Raises:
        ApiValueError: If the extra is not installed.
    """
    failure = _needed("socksio").SOCKSError

    class Transport(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return super().handle_request(request)
            except (failure, AssertionError) as error:  # httpx lets both through
                raise httpx.ProxyError(_reason(error)) from None

    return Transport(**options)


def socks_connector(proxy: httpx.Proxy, **options: Any) -> aiohttp.BaseConnector:
    """What connects awaiting.

    Raises:
        ApiValueError: If the extra is not installed.
    """
    library = _needed("aiohttp_socks")
    kind: type[aiohttp.TCPConnector] = library.ProxyConnector
    failures = library.ProxyError, library.ProxyConnectionError

    class Connector(kind):  # type: ignore[valid-type, misc]  # known when it runs
        async def connect(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super().connect(*args, **kwargs)
            except failures as error:
                raise httpx.ProxyError(_reason(error)) from None
            except (library.ProxyTimeoutError, TimeoutError):
                raise httpx.ConnectTimeout("the proxy does not answer in time") from None
            except OSError as error:  # of TLS with who is behind the proxy
                raise httpx.ConnectError(str(error)) from None

    user, password = proxy.auth or (None, None)
    made: aiohttp.BaseConnector = Connector(
        proxy.url.host,
        proxy.url.port or 1080,
        username=user,
        password=password,
        rdns=True,  # the proxy may know names that this machine does not
        **options,
    )
    return made


def _reason(error: Exception) -> str:
    return f"the SOCKS proxy says: {error}" if str(error) else "what answers is no SOCKS5 proxy"


def _needed(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ApiValueError(
            'a SOCKS proxy needs an extra: pip install "acp-langgraph[socks]"; or name an HTTP proxy'
        ) from None
