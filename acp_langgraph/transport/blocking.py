"""The transport that blocks, over httpx.

httpx knows how long to wait for each piece of an answer, which a server that trickles makes as long as
it likes. So what reads the socket asks how long this thread has, each time: for headers and body, a
proxy's tunnel, a handshake, and the requests of an authentication alike.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from acp_langgraph.auth.signing import send_signed
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Ask, Begin, Flow, Listen, Pause, Progress, Step, Work, drive
from acp_langgraph.core.processes import Closing, Copied, PerProcess
from acp_langgraph.core.retry import exchange, with_retries
from acp_langgraph.transport.exchange import (
    Endpoint,
    refuse_forked,
    refuse_other_color,
    refuse_to_ask,
    trusting_nobody,
)
from acp_langgraph.transport.peers import is_socks, socks_transport


class _Deadline(threading.local):
    until: float | None = None


_deadline = _Deadline()


@contextmanager
def within_seconds(seconds: float | None) -> Iterator[None]:
    """Let nothing that this thread reads or writes meanwhile take longer than that in all."""
    before = _deadline.until
    until = None if seconds is None else time.monotonic() + seconds
    if until is not None:
        _deadline.until = until if before is None else min(until, before)
    try:
        yield
    finally:
        _deadline.until = before


def _left(timeout: float | None, late: type[httpx.TimeoutException]) -> float | None:
    until = _deadline.until
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise late("the time for all of the exchange is over")
    return left if timeout is None else min(timeout, left)


class TimedBackend:
    """Opens connections that keep to the thread's deadline.

    It is one of httpcore's `NetworkBackend`s by its methods only: nobody who does not block has to import
    httpcore.

    Args:
        backend: Opens them.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> _TimedStream:
        """Connect."""
        left = _left(timeout, httpx.ConnectTimeout)
        return _TimedStream(self._backend.connect_tcp(host, port, left, *args, **kwargs))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, *args: Any, **kwargs: Any
    ) -> _TimedStream:
        """Connect to a socket of this machine."""
        left = _left(timeout, httpx.ConnectTimeout)
        return _TimedStream(self._backend.connect_unix_socket(path, left, *args, **kwargs))

    def sleep(self, seconds: float) -> None:
        """Sleep, between tries to connect."""
        self._backend.sleep(seconds)


class _TimedStream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.close = stream.close
        self.get_extra_info = stream.get_extra_info

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        piece: bytes = self._stream.read(max_bytes, _left(timeout, httpx.ReadTimeout))
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpx.WriteTimeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> _TimedStream:
        left = _left(timeout, httpx.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))


T = TypeVar("T")


class _Pool:
    """The connections of one process, once there are any."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: dict[
            tuple[str, str, int | None],
            tuple[httpx.HTTPTransport, weakref.finalize[Any, Any]],
        ] = {}


class Transport(Copied, Closing):
    """Performs calls over one pool of connections, and runs flows outside of a graph.

    Args:
        configuration: Where and as whom to connect; a URL will do.
        client: A client of the caller's own, which stays open when this is closed.
        auth: Authentication of the caller's own.
        headers: Sent with every request.
    """

    def __init__(
        self,
        configuration: ApiClientConfiguration | str | None = None,
        *,
        client: httpx.Client | None = None,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        refuse_other_color(client, httpx.Client)
        self.endpoint = Endpoint(configuration, client, headers)
        self.retries = self.endpoint.configuration.retries
        self.shown = self.endpoint.shown
        self._auth = auth
        self._given = client
        self._pool = PerProcess(_Pool)

    def exchange(self, call: Call[Any]) -> Reply:
        """Perform one exchange, without retries; an error status is a reply like any other.

        Raises:
            ApiValueError: If the body cannot be sent.
            ApiConnectionError: If no answer came.
            AnswerTooLargeError: If the answer is larger than configured.
        """
        seconds = self.endpoint.seconds(call)
        with (
            self.endpoint.explained(call),
            within_seconds(seconds),
            closing(self._open(call)) as response,
        ):
            body = self.endpoint.body(call)
            for piece in _in_time(response.iter_bytes(), seconds):
                body.add(piece)
        return self.endpoint.reply(call, response.status_code, response.headers, body.bytes())

    def stream(self, call: Call[Any]) -> Generator[bytes]:
        """Perform a call and yield its body as it arrives; closing the iterator hangs up.

        Raises:
            ApiException: If the server answers with an error status, or with something else than
                the stream that was asked for.
            ApiConnectionError: If the connection breaks.
        """
        seconds = self.endpoint.seconds(call)
        with self.endpoint.explained(call):
            until = None if call.limit is None else time.monotonic() + call.limit
            with within_seconds(seconds):
                response = self._open(call)
            with closing(response):
                reply = self.endpoint.reply(call, response.status_code, response.headers)
                if not call.is_streamed_by(reply):
                    body = self.endpoint.body(call)
                    with within_seconds(seconds):
                        for piece in _in_time(response.iter_bytes(), seconds):
                            body.add(piece)
                    call.read(replace(reply, content=body.bytes()))
                pieces = response.iter_bytes()
                while True:
                    with within_seconds(None if until is None else until - time.monotonic()):
                        piece = next(pieces, b"")
                    if not piece:
                        return
                    yield piece

    def send(self, call: Call[T]) -> T:
        """Perform a call, repeating it where that does no harm, and read its result."""
        return drive(self.endpoint.timely(call, with_retries(call, self.retries)), self)

    def reply(self, call: Call[Any]) -> Reply:
        """Like `send`, but the reply as it came, error statuses included."""
        return drive(self.endpoint.timely(call, exchange(call, self.retries)), self)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end; its steps are performed and not remembered."""
        return drive(flow, self)

    def close(self) -> None:
        """Close the connections."""
        pool = self._pool.here()
        with pool.lock:
            made, pool.made = list(pool.made.values()), {}
        for _, close in made:
            close()

    # The performer's side: what a flow's effects mean outside of a graph.

    call = exchange

    def listen(self, listen: Listen, tell: Callable[[Progress], None] | None = None) -> None:
        """Read a stream, telling what it says before reading on."""
        with closing(self.stream(listen.call)) as pieces:
            for piece in pieces:
                for progress in listen.reader.feed(piece):
                    (tell or self.progress)(progress)
                if listen.reader.done:
                    return

    def ask(self, ask: Ask) -> Any:
        """Refuse: outside of a graph nobody is there to answer."""
        return refuse_to_ask(ask)

    def pause(self, pause: Pause) -> None:
        """Sleep."""
        time.sleep(pause.seconds)

    def begin(self, begin: Begin) -> None:
        """Nobody could end it: what is run outside of a graph is run to its end."""

    def progress(self, progress: Progress) -> None:
        """Nobody listens."""

    def work(self, work: Work[Any]) -> Any:
        """Do it."""
        return work.blocking()

    def step(self, step: Step[Any]) -> Any:
        """Run the step's body."""
        return drive(step.body(), self)

    def _open(self, call: Call[Any]) -> httpx.Response:
        """Send a call's request; the body of the answer is still to be read."""
        if self._given is not None:
            auth = httpx.USE_CLIENT_DEFAULT if self._auth is None else self._auth
            refuse_forked(self._given)
            request = self.endpoint.request_by(self._given, call)
            # Credentials go to the configured origin only, whatever the client's own habit is.
            response = self._given.send(request, auth=auth, stream=True, follow_redirects=False)
            self.endpoint.note(response.request)
            return response
        request = self.endpoint.request(call)
        if self._auth is None:
            return self._send(request)
        return send_signed(
            self._auth, request, self._send_signed, lambda: self.endpoint.body(call).count
        )

    def _send_signed(self, request: httpx.Request) -> httpx.Response:
        self.endpoint.note(request)
        return self._send(request)

    def _send(self, request: httpx.Request) -> httpx.Response:
        return self._connections(request.url).handle_request(request)

    def _connections(self, url: httpx.URL) -> httpx.HTTPTransport:
        # No `httpx.Client`: half of a small request's time would go into what is not used here,
        # and cookies that one user of the node was given would be sent with another's requests.
        pool, origin = self._pool.here(), (url.scheme, url.host, url.port)
        found = pool.made.get(origin)
        if found is not None:
            return found[0]
        with pool.lock:
            if (found := pool.made.get(origin)) is None:
                proxy = self.endpoint.proxy(url)
                kind = socks_transport if is_socks(proxy) else httpx.HTTPTransport
                made = kind(
                    verify=self.endpoint.tls() if url.scheme == "https" else trusting_nobody(),
                    proxy=proxy,
                    trust_env=False,  # the endpoint decides about proxies
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
                )
                # httpx has no argument for it, httpcore has.
                connects: Any = made._pool  # noqa: SLF001 - pinned by a test
                connects._network_backend = TimedBackend(connects._network_backend)  # noqa: SLF001 - as above
                # Nobody has to remember close().
                found = made, weakref.finalize(self, _close_here, os.getpid(), made)
                pool.made[origin] = found
            return found[0]


def _in_time(pieces: Iterator[bytes], seconds: float | None) -> Iterator[bytes]:
    """The pieces of an answer, of a client of the caller's own too, which keeps to no deadline."""
    until = None if seconds is None else time.monotonic() + seconds
    for piece in pieces:
        if until is not None and time.monotonic() > until:
            raise httpx.ReadTimeout("the time for all of the exchange is over")
        yield piece


def _close_here(process: int, made: httpx.HTTPTransport) -> None:
    if os.getpid() == process:
        made.close()
