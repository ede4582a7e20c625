"""What sending is, whichever way the waiting is done: requests, limits, failures, the log."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import ABSENT, Call, Reply
from acp_langgraph.core.flow import Ask
from acp_langgraph.core.sendable import sendable_headers
from acp_langgraph.errors import (
    AnswerTooLargeError,
    ApiConnectionError,
    ApiTimeoutError,
    ApiTypeError,
    OpenApiException,
)

__all__ = ["Body", "Endpoint", "refuse_other_color", "refuse_to_ask"]

_log = logging.getLogger("acp_langgraph.http")

_NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
_NEVER_LEFT_AIOHTTP: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Endpoint:
    """A server as seen from here: makes requests for it and explains its failures."""

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None,
        client: httpx.Client | httpx.AsyncClient | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        if isinstance(configuration, str):
            configuration = ApiClientConfiguration(configuration)
        if configuration is None and client is not None and str(client.base_url):
            configuration = ApiClientConfiguration(str(client.base_url))
        self.configuration = configuration or ApiClientConfiguration()
        self.base_url = self.configuration.base_url
        self._headers = {
            "accept": "application/json",
            **sendable_headers(self.configuration.headers, "client configuration"),
            **sendable_headers(self.configuration.auth_headers(), "credentials"),
            **sendable_headers(headers or {}, "headers"),
        }

    def client_options(self) -> dict[str, Any]:
        """What both of httpx's clients are made with."""
        configuration = self.configuration
        return {
            "timeout": self._timeout(configuration.timeout),
            "follow_redirects": False,  # credentials go to the configured origin only
        }

    def tls(self) -> ssl.SSLContext | bool:
        """The TLS context, or whether to use the default one; costs nothing for plain HTTP."""
        configuration = self.configuration
        if not self.base_url.startswith("https:"):
            return False
        if not configuration.verify_ssl:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif configuration.ssl_ca_cert or configuration.ca_cert_data:
            context = ssl.create_default_context(
                cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
            )
        else:
            context = httpx.create_ssl_context()
        if isinstance(configuration.client_cert, str):
            context.load_cert_chain(configuration.client_cert)
        elif configuration.client_cert:
            context.load_cert_chain(*configuration.client_cert)
        return context

    def proxy(self) -> str | None:
        """The proxy to use, from the configuration or the environment; decided once."""
        if self.configuration.proxy:
            return self.configuration.proxy
        url = httpx.URL(self.base_url)
        if proxy_bypass(url.host):
            return None
        proxies = getproxies()
        return proxies.get(url.scheme) or proxies.get("all")

    def request(self, client: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
        """The request that performs a call.

        Raises:
            ApiValueError: If the body cannot be sent.
        """
        content = call.encode()
        headers = {**self._headers, **call.headers}
        if call.body is not ABSENT:
            headers.setdefault("content-type", "application/json")
        return client.build_request(
            call.method,
            self.base_url + call.path,
            params=call.query or None,
            content=content,
            headers=headers,
            timeout=self._timeout(call.timeout) if call.timeout else httpx.USE_CLIENT_DEFAULT,
        )

    def body(self, response: httpx.Response) -> Body:
        """An empty body that takes in what the response brings."""
        return Body(self.configuration.max_answer_bytes, _place(response.request))

    def reply(self, response: httpx.Response, content: bytes) -> Reply:
        """The reply that a response stands for."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, content, str(_bare(response.request.url)))

    @contextmanager
    def explained(self, request: httpx.Request) -> Iterator[None]:
        """Turn the HTTP library's failures into ours, and log the exchange if asked to."""
        started = time.perf_counter()
        outcome = "cut off"
        try:
            yield
            outcome = "done"
        except (httpx.TransportError, aiohttp.ClientError, OSError) as error:
            outcome = type(error).__name__
            _explain(request, error)
        except httpx.DecodingError as error:
            outcome = type(error).__name__
            raise ApiConnectionError(
                f"{_place(request)}: the answer cannot be decompressed", sent=True
            ) from None
        finally:
            if self.configuration.debug:
                took = (time.perf_counter() - started) * 1000
                _log.debug("%s: %s after %.1f ms", _place(request), outcome, took)

    def _timeout(self, seconds: float | None) -> httpx.Timeout:
        return httpx.Timeout(seconds, connect=self.configuration.connect_timeout)


class Body:
    """Takes in an answer's body piece by piece, up to a limit."""

    __slots__ = ("_limit", "_pieces", "_size", "_where")

    def __init__(self, limit: int, where: str) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = limit
        self._where = where

    def add(self, piece: bytes) -> None:
        """Take in a piece.

        Raises:
            AnswerTooLargeError: If that makes it too large.
        """
        self._size += len(piece)
        if self._size > self._limit:
            raise AnswerTooLargeError(
                f"{self._where}: the answer is larger than {self._limit} bytes; "
                "raise max_answer_bytes in the configuration if that is expected"
            )
        self._pieces.append(piece)

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


def refuse_other_color(client: Any, wanted: type[httpx.Client | httpx.AsyncClient]) -> None:
    """Refuse a client of the caller's that does not wait the way it would have to.

    Raises:
        ApiTypeError: If it is no client of the kind that is wanted.
    """
    if client is None or isinstance(client, wanted):
        return
    blocks = wanted is httpx.Client
    raise ApiTypeError(
        f"a client of your own that {'blocks' if blocks else 'awaits'} is an "
        f"httpx.{wanted.__name__}, not {type(client).__module__.partition('.')[0]}."
        f"{type(client).__name__}. Nodes take an httpx.Client as client= and an "
        "httpx.AsyncClient as async_client=; clients take their own kind as client="
    )


def refuse_to_ask(ask: Ask) -> NoReturn:
    """What becomes of a question outside of a graph."""
    raise OpenApiException(
        "the remote side asks something, and there is nobody here to answer; "
        f"resume the run with the answer yourself (question of type {type(ask.payload).__name__})"
    )


def _explain(request: httpx.Request, error: Exception) -> NoReturn:
    where = _place(request)
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        # httpx-aiohttp reports every broken connection as ConnectTimeout; the cause tells whether
        # the request had left.
        sent = not isinstance(cause, _NEVER_LEFT_AIOHTTP)
        late = isinstance(cause, TimeoutError)
    else:
        sent = not isinstance(error, _NEVER_LEFT)
        late = isinstance(error, httpx.TimeoutException)
    reason = str(error) or str(cause or "") or type(error).__name__
    if late and sent:
        raise ApiTimeoutError(f"{where}: no answer in time", sent=True) from None
    if late:
        raise ApiTimeoutError(f"{where}: no connection in time", sent=False) from None
    problem = "the connection broke" if sent else "cannot connect"
    hint = _hint(request, reason)
    raise ApiConnectionError(f"{where}: {problem}: {reason}{hint}", sent=sent) from None


_HINTS: Final = (
    # words of the operating system or of OpenSSL -> what they mean to whoever set the host
    (
        ("WRONG_VERSION_NUMBER", "record layer failure"),
        "The server speaks no TLS at this port; is it http:// instead of https://?",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "The server's certificate is not trusted; name who signed it by ssl_ca_cert in the configuration",
    ),
    (
        ("Connect call failed", "refused", "All connection attempts failed"),
        "Is the server running, and is this its host and port?",
    ),
    (
        ("Name or service not known", "getaddrinfo", "nodename nor servname", "name resolution"),
        "There is no host of that name; is it spelt right?",
    ),
)
_HUNG_UP: Final = ("reset by peer", "disconnected", "illegal status line", "Bad status line")


def _hint(request: httpx.Request, reason: str) -> str:
    for words, hint in _HINTS:
        if any(each in reason for each in words):
            return f". {hint}"
    hung_up = any(each in reason for each in _HUNG_UP)
    if request.url.scheme == "http" and hung_up:
        return ". So does a server that speaks TLS; is it https:// instead of http://?"
    return ""


def _bare(url: httpx.URL) -> httpx.URL:
    return url.copy_with(userinfo=b"", query=None, fragment=None)


def _place(request: httpx.Request) -> str:
    return f"{request.method} {_bare(request.url)}"
