"""Whom a request speaks to: through which proxy, SOCKS ones included (extra `socks`), and by which certificates.

The environment is read as httpx reads it, and a little more of it: `HTTP_PROXY`, `HTTPS_PROXY` and
`ALL_PROXY` may do without a scheme; an entry of `NO_PROXY` is a host with all below it, with or
without a port, or a URL such as `https://*.example.com:8443`.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

from acp_langgraph.config import A_PROXY, ApiClientConfiguration, proxy_url
from acp_langgraph.errors import ApiValueError

_AROUND: Final = re.compile(r"Couldn't connect to proxy \S+ \[(.*)\]$")  # what aiohttp_socks adds
_PORTS: Final = {"http": 80, "https": 443}


class ProxyName(NamedTuple):
    """What errors tell of a proxy.

    Attributes:
        text: Its URL without credentials, and which setting or variable it is from.
        speaks_tls: Whether itself it proves who it is.
        without: How to go without it; empty where whoever names it knows.
    """

    text: str
    speaks_tls: bool
    without: str


def name_of(proxy: httpx.Proxy, url: httpx.URL, configured: str | None) -> ProxyName:
    """What errors tell of the proxy by which a URL is reached."""
    shown = f"the proxy {proxy.url.scheme}://{proxy.url.netloc.decode()}"
    speaks_tls = proxy.url.scheme == "https"
    if configured:
        return ProxyName(f"{shown} (of the setting proxy)", speaks_tls, "")
    text = f"{shown} (of the environment variable {_variable(url)}_PROXY)"
    return ProxyName(text, speaks_tls, f"NO_PROXY={url.host} goes without it")


def _variable(url: httpx.URL) -> str | None:
    proxies = getproxies()
    return next((name.upper() for name in (url.scheme, "all") if proxies.get(name)), None)


def proxy_to(url: httpx.URL, configured: str | None) -> httpx.Proxy | None:
    """The proxy by which to reach a URL.

    Args:
        url: Where a request goes.
        configured: The proxy that the configuration names, if it does.

    Raises:
        ApiValueError: If it is no proxy's URL. Names who said it, never what, for it may hold a password.
    """
    if configured:
        return _proxy(configured, "configuration")
    proxies, variable = getproxies(), _variable(url)
    if variable is None or _is_left_out(url, proxies.get("no", "")):
        return None
    return _proxy(proxies[variable.lower()], f"environment ({variable}_PROXY)")


def is_socks(proxy: httpx.Proxy | None) -> bool:
    """Whether a proxy speaks SOCKS and not HTTP."""
    return proxy is not None and proxy.url.scheme.startswith("socks")


def _proxy(given: str, who: str) -> httpx.Proxy:
    url = proxy_url(given.strip())
    try:
        if url is not None:
            return httpx.Proxy(url)
    except (ValueError, httpx.InvalidURL):
        pass
    raise ApiValueError(f"the proxy that the {who} names is no URL such as {A_PROXY}")


def _is_left_out(url: httpx.URL, names: str) -> bool:
    """Whether `NO_PROXY`, or what the system has in its place, leaves a URL out."""
    host, port = url.host, url.port or _PORTS.get(url.scheme, 80)
    # It knows hosts, and those with a port; the first only where they are IPv6 addresses.
    if proxy_bypass(host) or proxy_bypass(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"):
        return True
    return any(_covers(name.strip(), url, port) for name in names.split(",") if "://" in name)


def _covers(name: str, url: httpx.URL, port: int) -> bool:
    """Whether an entry of `NO_PROXY` that is a URL means another URL."""
    try:
        pattern = httpx.URL(name)
    except httpx.InvalidURL:
        return False
    if pattern.scheme not in {"all", url.scheme} or pattern.port not in {None, port}:
        return False
    host = pattern.host
    if host.startswith("*."):
        return url.host.endswith(host[1:])
    if host.startswith("*"):
        return not host[1:] or url.host == host[1:] or url.host.endswith(f".{host[1:]}")
    return host in {"", url.host}


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


class TellsWhatNeverLeft:
    """Before a connector: what cuts a request off says so, by `never_left`, if there was no connection yet."""

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        """Get a connection."""
        try:
            return await super().connect(*args, **kwargs)  # type: ignore[misc]  # the connector's
        except asyncio.CancelledError as cut:
            cut.never_left = True  # type: ignore[attr-defined]  # see above
            raise


class Connector(TellsWhatNeverLeft, aiohttp.TCPConnector):
    """Connects, awaiting."""


def socks_connector(proxy: httpx.Proxy, **options: Any) -> aiohttp.BaseConnector:
    """What connects awaiting.

    Raises:
        ApiValueError: If the extra is not installed.
    """
    library = _needed("aiohttp_socks")
    kind: type[aiohttp.TCPConnector] = library.ProxyConnector

    class SocksConnector(TellsWhatNeverLeft, kind):  # type: ignore[valid-type, misc]  # known when it runs
        async def connect(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super().connect(*args, **kwargs)
            except library.ProxyConnectionError as error:  # to it, and not by it
                raise httpx.ConnectError(_AROUND.sub(r"\1", str(error))) from None
            except library.ProxyError as error:
                raise httpx.ProxyError(_reason(error)) from None
            except (library.ProxyTimeoutError, TimeoutError):
                raise httpx.ConnectTimeout("the proxy does not answer in time") from None
            except OSError as error:  # of TLS with who is behind the proxy
                raise httpx.ConnectError(str(error)) from None

    user, password = proxy.auth or (None, None)
    made: aiohttp.BaseConnector = SocksConnector(
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


# How OpenSSL says it -> what it means to whoever named the file.
_MEANINGS: Final = {
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
    "PEM lib": "what should be there in PEM is missing or broken",
    "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in PEM in it",
    "no start line": "there is no certificate in PEM in it",
    "not enough data": "there is no certificate in it",
}


def tls_context(configuration: ApiClientConfiguration) -> ssl.SSLContext:
    """The TLS context that a configuration stands for.

    Raises:
        ApiValueError: If a certificate or a key cannot be used.
    """
    file, data = configuration.ssl_ca_cert, configuration.ca_cert_data
    if not configuration.verify_ssl:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif file:
        with _blaming("ssl_ca_cert", file):
            context = ssl.create_default_context(cafile=file)
        if data:
            with _blaming("ca_cert_data"):
                context.load_verify_locations(cadata=_text_of(data))
    elif data:
        with _blaming("ca_cert_data"):
            context = ssl.create_default_context(cadata=_text_of(data))
    else:
        context = _default_context()
    if configuration.client_cert:
        _load_own(context, configuration.client_cert)
    return context


def _default_context() -> ssl.SSLContext:
    """The context for who configured nothing, which the environment may know more about."""
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):  # as httpx reads them
        if place := os.environ.get(variable):
            with _blaming(f"the environment variable {variable}", place):
                if variable == "SSL_CERT_DIR":
                    os.scandir(place).close()  # OpenSSL would take a missing one for an empty one
                return httpx.create_ssl_context()
    return httpx.create_ssl_context()


def _load_own(context: ssl.SSLContext, certificate: str | tuple[str, str]) -> None:
    """Load what this side proves with who it is."""
    file, key = (certificate, None) if isinstance(certificate, str) else certificate
    named = (file,) if key is None else (file, key)
    for each in named:
        with _blaming("client_cert", each):
            Path(each).open("rb").close()  # OpenSSL does not say which of the two is missing
    with _blaming("client_cert", *named):
        context.load_cert_chain(file, key, password=_no_password)


def _no_password() -> str:
    # OpenSSL would ask for it at the terminal, and wait.
    raise ValueError("the key is encrypted; give one that is not")


def _text_of(data: str | bytes) -> str | bytes:
    """Certificates as `ssl` tells PEM from DER: by their type."""
    return data.decode() if isinstance(data, bytes) and b"-----BEGIN" in data else data


@contextmanager
def _blaming(setting: str, *files: str) -> Iterator[None]:
    """Tell which setting it is that does not work, and which files it names."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        named = f", {' and '.join(files)}," if files else ""
        raise ApiValueError(f"{setting}{named} cannot be used: {_why(error)}") from None


def _why(error: Exception) -> str:
    said = str(error)
    for words, meaning in _MEANINGS.items():
        if words in said:
            return meaning
    return getattr(error, "strerror", None) or said
