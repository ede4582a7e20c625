"""A proxy that goes wrong on request, in front of any HTTP server.

It stands between a client and a real server, in whatever process that runs, and applies the same
faults and keeps the same log as the fakes:

    with FaultyProxy(embedded.url) as proxy:
        proxy.faults.add(Fault.lose_answer(), on="create_stateless_run")
        ...                                                  # talk to proxy.url
        assert proxy.requests.count("create_stateless_run") == 2

Each request has a connection of its own to the server; the work counts as done when the server has
sent the head of its answer. When the client hangs up, so does the proxy.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import h11

from acp_langgraph.testing.behavior import ACP_OPERATIONS
from acp_langgraph.testing.connection import ConnectionGone
from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response

_RECEIVE = 65536
_LOOK = 0.05
_CONNECT = 5.0
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding"}
)


class FaultyProxy(FakeHTTPServer):
    """Passes requests on to a server, and faults to its clients.

    Args:
        upstream: The server's URL, `http://host:port`.
        timeout: Seconds after which the proxy gives a silent server up and answers 504; never if
            left out. The server may go on working.
        port: A port to listen on; a free one if 0.
    """

    operations = ACP_OPERATIONS

    def __init__(self, upstream: str, *, timeout: float | None = None, port: int = 0) -> None:
        super().__init__(port=port)
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the proxy speaks to http://host:port, not to {upstream!r}")
        self.upstream = upstream
        self.timeout = timeout
        self._address = parts.hostname, parts.port or 80

    def respond(self, request: RecordedRequest) -> Response:
        """The server's answer; 502 if there is none, 504 if there is none in time."""
        try:
            upstream = _Upstream(self, request, self._address)
        except OSError as error:
            return Response.text(f"Bad Gateway: {error}", 502)
        try:
            return upstream.exchange()
        except TimeoutError:
            upstream.close()
            return Response.text("Gateway Time-out", 504)
        except (OSError, h11.RemoteProtocolError) as error:
            upstream.close()
            return Response.text(f"Bad Gateway: {error}", 502)
        except ConnectionGone:
            upstream.close()
            raise


class _Upstream:
    """One exchange with the server behind the proxy; iterating gives the answer's body."""

    def __init__(
        self, proxy: FaultyProxy, request: RecordedRequest, address: tuple[str, int]
    ) -> None:
        self._proxy = proxy
        self._request = request
        self._http = h11.Connection(h11.CLIENT)
        self._socket = socket.create_connection(address, _CONNECT)
        self._socket.settimeout(_LOOK)

    def exchange(self) -> Response:
        """Pass the request on; the answer's body follows as it comes."""
        request = self._request
        headers = [
            (name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP
        ]
        if request.body and "content-length" not in request.headers:
            headers.append(("content-length", str(len(request.body))))
        head = h11.Request(
            method=request.method,
            target=request.target,
            headers=[*headers, ("connection", "close")],
        )
        for event in (head, h11.Data(data=request.body), h11.EndOfMessage()):
            self._socket.sendall(self._http.send(event) or b"")
        while isinstance(answer := self._next_event(), h11.InformationalResponse):
            pass
        if not isinstance(answer, h11.Response):
            raise ConnectionResetError("the server closed the connection without an answer")
        kept = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in answer.headers
            if name.decode("latin-1") not in _HOP_BY_HOP
        )
        return Response(answer.status_code, kept, self)

    def __iter__(self) -> Iterator[bytes]:
        try:
            while isinstance(event := self._next_event(), h11.Data):
                yield bytes(event.data)
        except (OSError, h11.RemoteProtocolError) as error:
            raise ConnectionGone from error  # the client sees the answer break off as well
        finally:
            self.close()

    def _next_event(self) -> object:
        deadline = None if self._proxy.timeout is None else time.monotonic() + self._proxy.timeout
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                self._http.receive_data(self._socket.recv(_RECEIVE))
            except TimeoutError:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
                self._proxy.check_peer(self._request)
        return event

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.close()
