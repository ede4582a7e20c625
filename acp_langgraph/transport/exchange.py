"""What sending is, whichever way the waiting is done: requests, limits, failures, the log."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import ssl
import time
import weakref
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Final, NoReturn, TypeAlias, TypeVar
from urllib.parse import urlencode

import aiohttp
import httpx

from acp_langgraph.auth.signing import ElsewhereError
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import ABSENT, Call, Reply
from acp_langgraph.core.flow import Ask, Flow, OutOfTimeError, left_until, within
from acp_langgraph.core.processes import PerProcess
from acp_langgraph.core.secrets import SentSecrets
from acp_langgraph.core.wire import sendable_headers
from acp_langgraph.errors import (
    AcpLangGraphError,
    AnswerTooLargeError,
    ApiConnectionError,
    ApiTimeoutError,
    ApiTypeError,
    ApiValueError,
    CredentialsUnavailableError,
    Headers,
    MissingCredentialsError,
    OpenApiException,
    error_for_status,
)
from acp_langgraph.transport.peers import ProxyName, name_of, proxy_to, tls_context

T = TypeVar("T")

_log = logging.getLogger("acp_langgraph.http")

LONGEST_HEAD: Final = 100 * 1024  # bytes of all headers of an answer; httpx's own limit
MOST_HEADERS: Final = 4096
_FOR_EVER: Final = 10**8  # seconds; three years
_TO_CONNECT: Final = 0.9  # of the time that an exchange has, at most
_NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)


_Origin: TypeAlias = tuple[str, str, int | None]
_MOST_ORIGINS: Final = 10_000
_answered: dict[_Origin, None] = {}  # by whom anything was ever answered in this process
_used: weakref.WeakKeyDictionary[Any, PerProcess[list[Any]]] = weakref.WeakKeyDictionary()


class Endpoint:
    """A server as seen from here: what requests to it carry, and what its failures mean."""

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None,
        client: httpx.Client | httpx.AsyncClient | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        if isinstance(configuration, str):
            configuration = ApiClientConfiguration(configuration)
        elif (connection := getattr(configuration, "connection", None)) is not None:
            made: ApiClientConfiguration = connection()  # of one of acp_langgraph.agntcy
            configuration = made
        if configuration is None and client is not None and str(client.base_url):
            configuration = ApiClientConfiguration(str(client.base_url))
        self.configuration = configuration or ApiClientConfiguration()
        self.base_url = self.configuration.base_url
        self._wire_url = _as_on_the_wire(self.base_url)
        self._wire_origin = _origin(httpx.URL(self._wire_url))
        self._tls = PerProcess(partial(tls_context, self.configuration))
        self._headers = {
            "accept": "application/json",
            **_lowered(sendable_headers(self.configuration.headers, "client configuration")),
            **_lowered(sendable_headers(self.configuration.auth_headers(), "credentials")),
            **_lowered(sendable_headers(headers or {}, "headers")),
        }
        self.shown = SentSecrets(self._headers)
        self._proxies: dict[_Origin, ProxyName] = {}
        self._times_calls = client is None or "timeout" in self.configuration.model_fields_set

    def tls(self) -> ssl.SSLContext:
        """The context by which every peer that speaks TLS proves who it is; made when it is needed.

        It is the same for the server, for who issues its tokens and for a proxy, whatever the scheme
        of the base URL: an `http` server may have an `https` issuer.
        """
        return self._tls.here()

    def proxy(self, url: httpx.URL) -> httpx.Proxy | None:
        """The proxy by which to reach a URL, from the configuration or the environment.

        Raises:
            ApiValueError: If what they name is none.
        """
        proxy = proxy_to(url, self.configuration.proxy)
        if proxy is None:
            return None
        self._proxies[_origin(url)] = name_of(proxy, url, self.configuration.proxy)
        if proxy.raw_auth is not None:
            self.shown.add([("proxy-authorization", authorization_for(proxy))])
        if proxy.url.scheme == "https":
            proxy.ssl_context = self.tls()
        return proxy

    def url(self, call: Call[Any]) -> str:
        """Where a call goes, ready for the wire."""
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{self._wire_url}{call.path}{query}"

    def headers(self, call: Call[Any]) -> dict[str, str]:
        """What a call's request carries beside its body."""
        own = _lowered(call.headers)
        if own:
            self.shown.add(own.items())
        headers = {**self._headers, **own}
        if call.body is not ABSENT:
            headers.setdefault("content-type", "application/json")
        return headers

    def request(self, call: Call[Any]) -> httpx.Request:
        """The request that performs a call.

        Raises:
            ApiValueError: If the body cannot be sent.
        """
        return httpx.Request(
            call.method,
            self.url(call),
            headers=self.headers(call),
            content=call.encode(),
            extensions={"timeout": self.timeout(call).as_dict()},
        )

    def request_by(
        self, client: httpx.Client | httpx.AsyncClient, call: Call[Any]
    ) -> httpx.Request:
        """The request that performs a call, with what a client of the caller's adds to it.

        Raises:
            ApiValueError: If the body cannot be sent.
        """
        return client.build_request(
            call.method,
            self.base_url + call.path,
            params=call.query or None,
            content=call.encode(),
            headers=self.headers(call),
            timeout=self._timeout_by(client, call),
        )

    def _timeout_by(
        self, client: httpx.Client | httpx.AsyncClient, call: Call[Any]
    ) -> httpx.Timeout:
        """A client's own patience, unless the call or the configuration says another."""
        said, own = self.configuration.model_fields_set, client.timeout.as_dict()
        seconds = self.seconds(call)
        if seconds is not None or call.lasts or "timeout" in said:
            own.update(read=seconds, write=seconds, pool=seconds)
        if "connect_timeout" in said:
            own.update(connect=_patience(self.configuration.connect_timeout))
        return httpx.Timeout(**own)

    def body(self, call: Call[Any]) -> Body:
        """An empty body that takes in what the answer to a call brings."""
        return Body(self.configuration.max_answer_bytes, self._place(call))

    def reply(
        self, call: Call[Any], status: int, headers: Mapping[str, str], content: bytes = b""
    ) -> Reply:
        """The reply to a call.

        Raises:
            AnswerTooLargeError: If it has more headers than are taken, whichever way it was read.
        """
        lines = headers.multi_items() if isinstance(headers, httpx.Headers) else headers.items()
        lowered: dict[str, str] = {}
        size = 0
        for name, value in lines:
            size += len(name) + len(value) + len(": \r\n")
            key = name.lower()
            lowered[key] = f"{lowered[key]}, {value}" if key in lowered else value
        if size > LONGEST_HEAD or len(headers) > MOST_HEADERS:
            raise _head_too_large(self._place(call))
        _note_answer(self._wire_origin)
        return Reply(status, Headers(lowered), content, self.base_url + call.path, self.shown)

    def note(self, request: httpx.Request) -> None:
        """Remember what somebody else has put into a request, so that it is not told."""
        self.shown.add(request.headers.items())
        self.shown.add(request.url.params.items())

    def explained(self, call: Call[Any], *, logs: bool = True) -> _Explained:
        """Turn the HTTP library's failures into ours, and log the exchange if asked to.

        Args:
            call: What is exchanged.
            logs: Whether this is the exchange itself, and not something around it.
        """
        return _Explained(self, call, logs and self.configuration.debug)

    def explain(self, call: Call[Any], error: BaseException) -> None:
        """Raise what a failure of the HTTP library means; return if it is none of its failures.

        Raises:
            ApiConnectionError: If no answer came.
            ApiException: If an authentication of the caller's own was refused.
        """
        match error:
            case httpx.TransportError() | aiohttp.ClientError() | OSError():
                if isinstance(error, httpx.TransportError) and error._request is not None:  # noqa: SLF001 - `request` raises if there is none
                    self.note(error.request)
                _explain(
                    self._place(call),
                    error,
                    self._late(call),
                    known=self._wire_origin in _answered,
                    proxy=self._proxies.get(self._wire_origin),
                )
            case ElsewhereError():
                place = f"{self._place(call)}: its authentication asks {error.url}"
                proxy = self._proxies.get(_origin(httpx.URL(error.url)))
                _explain(place, error.__cause__, self._late(call), never_left=True, proxy=proxy)
            case httpx.HTTPStatusError():
                self._explain_status(self._place(call), error)
            case httpx.DecodingError():
                raise ApiConnectionError(
                    f"{self._place(call)}: the answer cannot be decompressed", sent=True
                ) from None

    def log(self, call: Call[Any], error: BaseException | None, seconds: float) -> None:
        """Log how an exchange ended."""
        cause = error.__cause__ if isinstance(error, ElsewhereError) else error
        known = (httpx.HTTPError, aiohttp.ClientError, OSError)
        failure = type(cause).__name__ if isinstance(cause, known) else "cut off"
        outcome = "done" if error is None else failure
        _log.debug("%s: %s after %.1f ms", self._place(call), outcome, seconds * 1000)

    def _explain_status(self, place: str, error: httpx.HTTPStatusError) -> NoReturn:
        """What an authentication of the caller's own raises, which holds the whole URL."""
        url, status = error.request.url, error.response.status_code
        whom = f"{url.scheme}://{url.netloc.decode()}"
        if whom == self._wire_url or self._wire_url.startswith(f"{whom}/"):
            raise error_for_status(place, status, {}, b"") from None
        problem = f"{place}: its authentication was answered {status} by {whom}; nothing was sent"
        passes = status in {408, 429} or status >= 500  # noqa: PLR2004 - the 5xx of HTTP
        raise (CredentialsUnavailableError if passes else MissingCredentialsError)(
            problem
        ) from None

    def seconds(self, call: Call[Any]) -> float | None:
        """Seconds that all of an exchange may take; `None` if there is no end to them.

        A client of the caller's own has its patience for each piece of an answer, unless the call or the
        configuration says how long all of it may take.

        Args:
            call: What is exchanged; of a stream, it is the time until it begins.
        """
        said, configured = call.timeout, self.configuration
        if said is None and self._times_calls and not call.lasts:
            said = configured.timeout
        return _patience(min((each for each in (said, call.limit) if each), default=None))

    def timeout(self, call: Call[Any]) -> httpx.Timeout:
        """How long to wait for a connection, and for each piece of the answer."""
        return _timeout(self.seconds(call), self.configuration.connect_timeout)

    def timely(self, call: Call[Any], flow: Flow[T]) -> Flow[T]:
        """A flow around a call, within the seconds that the call itself was given for all of it.

        Raises:
            ApiTimeoutError: If they are over.
        """
        if call.timeout is None:
            return (yield from flow)
        left = left_until(time.monotonic() + call.timeout, time.monotonic)
        try:
            return (yield from within(left, flow))
        except OutOfTimeError as error:
            if isinstance(error.__cause__, ApiTimeoutError):
                raise error.__cause__ from None
            raise ApiTimeoutError(f"{self._place(call)}: {self._late(call)}", sent=True) from None

    def _late(self, call: Call[Any]) -> str:
        """That there was no answer in time, by which setting, and what that means."""
        whose, seconds = "timeout of the call", call.timeout
        if seconds is None and not self._times_calls:
            return "no answer in time (timeout of the client that was given)"
        if seconds is None and not call.lasts:
            whose, seconds = "timeout of the configuration", self.configuration.timeout
        if call.limit is not None and (seconds is None or math.ceil(call.limit) < seconds):
            return "no answer in time"
        goes_on = "; the run may go on, and can be waited for by its id" if call.lasts else ""
        within = "" if seconds is None else f" within {seconds:g} s ({whose})"
        return f"no answer in time{within}{goes_on}"

    def _place(self, call: Call[Any]) -> str:
        return f"{call.method} {self.base_url}{call.path}"


class _Explained:
    """See `Endpoint.explained`; a class, for there is one for every exchange that is open."""

    __slots__ = ("_call", "_endpoint", "_logs", "_started")

    def __init__(self, endpoint: Endpoint, call: Call[Any], logs: bool) -> None:
        self._endpoint = endpoint
        self._call = call
        self._logs = logs

    def __enter__(self) -> None:
        if self._logs:
            self._started = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._logs:
            self._endpoint.log(self._call, error, time.perf_counter() - self._started)
        if isinstance(error, AcpLangGraphError):
            self._endpoint.shown.hidden_in(error)
        elif error is not None:
            with self._endpoint.shown.out_of_errors():
                self._endpoint.explain(self._call, error)


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
        self.count(piece)
        self._pieces.append(piece)

    def count(self, piece: bytes) -> None:
        """Take note of a piece that is kept elsewhere.

        Raises:
            AnswerTooLargeError: If that makes it too large.
        """
        self._size += len(piece)
        if self._size > self._limit:
            raise AnswerTooLargeError(
                f"{self._where}: the answer is larger than {self._limit} bytes; "
                "raise max_answer_bytes in the configuration if that is expected"
            )

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


def _as_on_the_wire(url: str) -> str:
    """A URL with a host name in Unicode encoded.

    Raises:
        ApiValueError: If that cannot be done.
    """
    try:
        found = httpx.URL(url)
        _ = found.host  # decodes it
    except (httpx.InvalidURL, UnicodeError):
        raise ApiValueError(f"host: a server cannot be called what {url!r} calls it") from None
    return str(found).rstrip("/")


def _origin(url: httpx.URL) -> _Origin:
    return url.scheme, url.host, url.port


def _note_answer(origin: _Origin) -> None:
    if origin not in _answered:
        if len(_answered) >= _MOST_ORIGINS:
            _answered.clear()
        _answered[origin] = None


def _patience(seconds: float | None) -> float | None:
    """Seconds as sockets take them, which know no infinity but `None`."""
    if seconds is None or seconds > _FOR_EVER:
        return None
    return math.ceil(seconds * 1000) / 1000


@lru_cache
def _timeout(seconds: float | None, to_connect: float | None) -> httpx.Timeout:
    connect = _patience(to_connect)
    if seconds is not None:  # who has no connection by then is told that nothing was sent
        connect = min(connect or seconds, seconds * _TO_CONNECT)
    return httpx.Timeout(seconds, connect=connect)


def trusting_nobody() -> ssl.SSLContext:
    """A context for connections that are meant for plain HTTP: a TLS peer cannot pass it."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def authorization_for(proxy: httpx.Proxy) -> str:
    """What a proxy with credentials wants to see."""
    return f"Basic {b64encode(b':'.join(proxy.raw_auth or ())).decode()}"


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The same headers under names in lower case, so that one takes another one's place."""
    return {name.lower(): value for name, value in headers.items()}


def refuse_other_color(client: Any, wanted: type[httpx.Client | httpx.AsyncClient]) -> None:
    """Refuse a client of the caller's that does not wait the way it would have to.

    Raises:
        ApiTypeError: If it is no client of the kind that is wanted.
    """
    if client is None or isinstance(client, wanted):
        return
    blocks = wanted is httpx.Client
    home = type(client).__module__.partition(".")[0]
    another = (
        f". {home} is another library with the same names: make the client with httpx, or leave it "
        "out and say in the configuration what it was for"
        if home.startswith("httpx") and home != "httpx"
        else ""
    )
    raise ApiTypeError(
        f"a client of your own that {'blocks' if blocks else 'awaits'} is an "
        f"httpx.{wanted.__name__}, not {home}.{type(client).__name__}{another}. Nodes take an "
        "httpx.Client as client= and an httpx.AsyncClient as async_client=; clients take their own "
        "kind as client="
    )


def refuse_forked(used: httpx.Client | httpx.AsyncClient | asyncio.AbstractEventLoop) -> None:
    """Refuse what was used from here before this process was forked, for it is its parent's.

    Args:
        used: What connections belong to. What it was used for by others is not known.

    Raises:
        ApiTypeError: If it was.
    """
    uses = _used.setdefault(used, PerProcess(list))
    if uses.was_made_elsewhere():
        raise ApiTypeError(
            "this process was forked from one that has used the same httpx client, or the same event "
            "loop, and on its connections each would get the other's answers; nothing was sent. Make "
            "it after the fork (e.g. in gunicorn's post_fork), or leave the connections to the node"
        )
    uses.here()


def refuse_to_ask(ask: Ask) -> NoReturn:
    """What becomes of a question outside of a graph."""
    raise OpenApiException(
        "the remote side asks something, and there is nobody here to answer; "
        f"resume the run with the answer yourself (question of type {type(ask.payload).__name__})"
    )


def _explain(
    where: str,
    error: Any,
    late: str,
    *,
    never_left: bool = False,
    known: bool = True,
    proxy: ProxyName | None = None,
) -> NoReturn:
    # A client of the caller's may be over aiohttp, and only the cause then tells what happened.
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    sent = not (isinstance(cause, _NEVER_LEFT) or getattr(error.__cause__, "never_left", False))
    reason = _reason(error, cause)
    if any(words in reason for words in _TOO_MUCH):
        raise _head_too_large(where) from None
    may_be_done = sent and not never_left
    if isinstance(cause, httpx.TimeoutException | TimeoutError):
        through = f" through {proxy.text}" if proxy else ""
        problem = late if sent else f"no connection in time{through}"
        raise ApiTimeoutError(f"{where}: {problem}", sent=may_be_done) from None
    problem = "the connection broke" if sent else "cannot connect"
    hint = _hint(where, reason, known=known or proxy is not None)
    if proxy is not None:
        # What the operating system connects to is the proxy; TLS may be the server's behind it.
        is_the_proxy = not sent and reason.startswith("[Errno")
        problem = f"{problem} {'to' if is_the_proxy else 'through'} {proxy.text}"
        if is_the_proxy or proxy.speaks_tls:
            hint = hint.replace("server", "proxy" if is_the_proxy else "proxy or server")
        if proxy.without and not sent:
            hint += f"{'' if hint.endswith('?') else '.'} {proxy.without}"
    raise ApiConnectionError(f"{where}: {problem}: {reason}{hint}", sent=may_be_done) from None


def _reason(error: Any, cause: Any) -> str:
    """Why, as the operating system or OpenSSL says it, and not in aiohttp's words around that."""
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        error = cause.certificate_error
    elif isinstance(cause, aiohttp.ClientConnectorError):
        error = cause.os_error
    elif isinstance(cause, aiohttp.ClientHttpProxyError):
        return f"{cause.status} {cause.message}".rstrip(" .")
    said = str(error) or str(cause) or type(error).__name__
    plain = _CALL_FAILED.sub(lambda found: f"{found[1]}{os.strerror(int(found[2]))}", said)
    several = plain.removeprefix("Multiple exceptions: ")
    if several != plain:
        plain = ", ".join(dict.fromkeys(several.split(", ")))
    return plain.rstrip(".")


# How asyncio puts what the operating system says.
_CALL_FAILED: Final = re.compile(r"(\[Errno (\d+)\] )Connect call failed \([^)]*\)")


# How h11 and aiohttp say that they have read more of headers than they take.
_TOO_MUCH: Final = ("Receive buffer too long", "Got more than", "Too many headers")


def _head_too_large(where: str) -> AnswerTooLargeError:
    return AnswerTooLargeError(
        f"{where}: the answer's headers are more than {LONGEST_HEAD} bytes, or more than "
        f"{MOST_HEADERS}, which no server sends on purpose"
    )


_HINTS: Final = (
    (
        ("407 ",),
        "The proxy wants credentials; they belong into its URL, as http://user:password@host:port",
    ),
    # words of the operating system or of OpenSSL -> what they mean to whoever set the host
    (
        ("WRONG_VERSION_NUMBER", "record layer failure"),
        "The server speaks no TLS at this port; is it http:// instead of https://?",
    ),
    (
        ("Hostname mismatch", "IP address mismatch"),
        "The certificate is made out for another host; is this the server's right name?",
    ),
    (
        ("certificate has expired",),
        "The certificate is out of date, which its owner must mend, unless the clock here is wrong",
    ),
    (
        ("certificate is not yet valid",),
        "The certificate begins in the future; is the clock here right?",
    ),
    (
        ("certificate in certificate chain", "local issuer", "the first certificate"),
        "Who signed the server's certificate is not known here; name that authority's own by ssl_ca_cert",
    ),
    (
        ("self-signed certificate", "self signed certificate"),
        "The server signed its certificate itself; if you trust that one, name it by ssl_ca_cert",
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


def _hint(where: str, reason: str, *, known: bool) -> str:
    """What to do about a failure.

    Args:
        where: What failed.
        reason: Why, in the library's words.
        known: Whether the server has answered before, so that its scheme is right.
    """
    for words, hint in _HINTS:
        if any(each in reason for each in words):
            return f". {hint}"
    if not known and " http://" in where and any(each in reason for each in _HUNG_UP):
        return ". So does a server that speaks TLS; is it https:// instead of http://?"
    return ""
