"""What stands before every operation: who may come in, who is counted, and whose trace it is.

A page may send a request to any address that the browser reaches, and a name that leads to it (DNS
rebinding) even lets it read the answer. Neither can be told from a client's by what it asks for, but
by what the browser says of it, which a page cannot change:

* `Host`: under which name the server was called. It must be this machine's, or one that is named.
* `Origin`, `Sec-Fetch-Site`: whose page it is. It must be our own, or nobody's.
* `Content-Type`: a page of another origin cannot send JSON without asking first, and it is never
  told that it may.

A key is nothing that a browser brings along: it sends no header of ours by itself, and there are no
cookies. So whoever sends one is no page of others, and only the last rule is for all.

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
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from acp_langgraph.server.wire import Problem, error_answer

_log = logging.getLogger(__name__)
_PORTS: Final = {"http": 80, "https": 443, "": None}
_WITH_BODIES: Final = {"POST", "PATCH", "PUT", "DELETE"}

PUBLIC: Final = "/health"
"""The path that tells nothing that is anybody's business, and asks nobody who he is."""


def own_path(scope: Scope) -> str:
    """The path of a request as the application itself knows it, also where it is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class BrowserGuard:
    """Refuses what a page of somebody else may have sent.

    Args:
        app: What is guarded.
        allow_hosts: The names by which the server is reached, besides this machine's own; `*` for
            any.
        keys: Whether who has come so far with a key has a good one.
        public: Paths that tell nothing that is anybody's business.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_hosts: Sequence[str] = (),
        *,
        keys: bool,
        public: Container[str] = (PUBLIC,),
    ) -> None:
        self._app = app
        self._public = public
        self._keys = keys
        self._named = frozenset(each.lower().strip("[]") for each in allow_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and (problem := self._problem(scope)):
            await error_answer(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        said = {name: value.decode("latin-1") for name, value in scope["headers"]}
        # Other schemes than Bearer a browser may bring along.
        bearer = said.get(b"authorization", "").lower().startswith("bearer ")
        has_key = bearer or bool(said.get(b"x-api-key"))
        if not (self._keys and has_key) and own_path(scope) not in self._public:
            host, origin, site = (
                said.get(name) for name in (b"host", b"origin", b"sec-fetch-site")
            )
            if not self._is_ours(host or ""):
                return Problem(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    f"this server is not {(host or '')[:100]!r}; whoever runs it can name a host "
                    "by which it may be reached (--allow-host), or demand an API key",
                )
            if site not in {None, "same-origin", "none"} or not (
                origin is None or self._is_same(origin, host or "")
            ):
                return Problem(HTTPStatus.FORBIDDEN, "a page of another site may not ask for this")
        return None

    def _is_ours(self, host: str) -> bool:
        name, _ = _parts(host)
        return "*" in self._named or name in self._named or _is_loopback(name)

    def _is_same(self, origin: str, host: str) -> bool:
        """Whether a page is our own; behind a proxy it may have come over another scheme."""
        scheme = origin.partition("://")[0]
        name, port = _parts(origin.partition("://")[2])
        if not name or scheme not in _PORTS:
            return False
        if name in self._named:
            return True
        ours, our_port = _parts(host)
        default = _PORTS[scheme]
        return (name, port or default) == (ours, our_port or default)


def refuse_other_bodies(scope: Scope) -> None:
    """Refuse a body that is not JSON, which is all that a page of another site can send unasked.

    Raises:
        Problem: 415, if it is none.
    """
    said = {name: value.decode("latin-1") for name, value in scope["headers"]}
    if scope["method"] in _WITH_BODIES and not _is_json(said):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON, as content-type: application/json"
        )


def check_hosts(hosts: Sequence[str]) -> None:
    """Check that hosts are names.

    Raises:
        ValueError: If one is none.
    """
    for each in hosts:
        if not each or (each != "*" and _parts(each.lower())[0] != each.lower().strip("[]")):
            raise ValueError(f"allow_hosts: {each!r} is no host; write it without scheme and port")


@lru_cache(1024)
def _parts(host: str) -> tuple[str, int | None]:
    """Name and port of a `Host`; an empty name if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    return (name.rstrip("."), port) if parts.netloc == host and "@" not in host else ("", None)


@lru_cache(1024)
def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _is_json(said: dict[bytes, str]) -> bool:
    kind = said.get(b"content-type")
    if kind is None:
        # A client that says nothing of it is let through, a browser is not.
        has_body = b"transfer-encoding" in said or said.get(b"content-length", "0") != "0"
        return not (has_body and (b"origin" in said or b"sec-fetch-site" in said))
    kind = kind.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


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
