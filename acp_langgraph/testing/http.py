"""An HTTP/1.1 server for tests that shows every byte and goes wrong on request.

It listens on a free port of 127.0.0.1, in threads of the test's own process, and needs nothing but
what the package needs. What it answers is a function from a recorded request to a `Response`:

    def respond(request: RecordedRequest) -> Response:
        return Response.json({"you said": request.text})

    with FakeHTTPServer(respond) as server:
        server.faults.add(Fault.status(503, retry_after=1), on="POST /say")
        ...                                     # talk to server.url
        assert server.requests.count("POST /say") == 2
        assert server.connections == 1

or, for a server of a protocol, a subclass with `operations` and `respond`. Every connection has its
thread, so `respond` and the pieces of a stream may block, by `hold`, for as long as it takes.

As a fixture of pytest:

    @pytest.fixture
    def server():
        with FakeHTTPServer(respond) as server:
            yield server
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import parse_qsl, unquote

import h11

from acp_langgraph.testing.connection import HOST, Connection, ConnectionGone, Listener, PeerGone
from acp_langgraph.testing.faults import Fault, Faults
from acp_langgraph.testing.requests import RecordedRequest, RequestLog, Route, Routes
from acp_langgraph.testing.responses import Gate, Response

_PEER_CHECK = 0.1
_JOIN = 5.0


class FakeHTTPServer:
    """A server that records what it is asked and answers what it is told; a context manager.

    Attributes:
        requests: Every request so far; see `RequestLog`.
        faults: What goes wrong; see `Faults`.
        changed: The lock around all of the server's state, notified of every change.
        operations: `METHOD /path/{parameter}` by name of the operation; a subclass's business.
        names_operations_in_bodies: Whether it is a request's body that names its operation, as in
            JSON-RPC: it is then read before anything goes wrong. See `_operation_of`.

    Args:
        respond: Answers a request; 404 for everything if left out.
        port: A port to listen on; a free one if 0.
    """

    operations: ClassVar[Mapping[str, str]] = {}
    names_operations_in_bodies: ClassVar[bool] = False

    def __init__(
        self, respond: Callable[[RecordedRequest], Response] | None = None, *, port: int = 0
    ) -> None:
        routes = Routes(self.operations)
        self.changed = threading.Condition()
        self.requests = RequestLog(routes, self.changed)
        self.faults = Faults(routes)
        self._routes = routes
        self._answer = respond
        self._listener = Listener(port, self._open_connection)
        self._accepted = 0
        self._open: dict[int, tuple[Connection, threading.Thread]] = {}
        self._held: dict[int, tuple[RecordedRequest, Gate]] = {}
        self._failures: list[Exception] = []

    def respond(self, request: RecordedRequest) -> Response:
        """The answer to a request, after the work for it has been done."""
        if self._answer is None:
            return Response.text("Not Found", 404)
        return self._answer(request)

    def _operation_of(self, request: RecordedRequest) -> str | None:  # noqa: ARG002 - for those that do
        """The operation that a request's body names, if it does; a subclass's business."""
        return None

    # What a test asks

    @property
    def url(self) -> str:
        """Where the server listens, e.g. `http://127.0.0.1:49152`."""
        return f"http://{HOST}:{self.port}"

    @property
    def port(self) -> int:
        """The port; known once the server has been started, and kept from then on."""
        if not self._listener.port:
            name = type(self).__name__
            raise RuntimeError(
                f"{name} has no port before it is started: `with {name}(...) as server:`"
            )
        return self._listener.port

    @property
    def connections(self) -> int:
        """How many TCP connections have been accepted so far."""
        return self._accepted

    @property
    def open_connections(self) -> int:
        """How many TCP connections are open now."""
        return len(self._open)

    def wait_until(self, condition: Callable[[], bool], *, timeout: float = 5.0) -> None:
        """Wait until something is true of the server: `lambda: server.open_connections == 0`.

        Raises:
            TimeoutError: If it is not within `timeout` seconds.
        """
        with self.changed:
            if self._wait(condition, timeout):
                return
        raise TimeoutError(f"it did not come to that in {timeout} s; {self._situation()}")

    # Starting and stopping

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        held = self._still_held()
        self.close()
        if error is not None:
            if held:
                error.add_note(held)
        elif self._failures:
            raise self._failures[0]
        elif held:
            warnings.warn(held, ResourceWarning, stacklevel=2)

    def start(self) -> Self:
        """Listen, on the same port as before if there was one."""
        self._listener.open()
        return self

    def stop(self, *, reset: bool = False) -> None:
        """Stop listening and end all connections; connecting is refused from then on.

        Args:
            reset: End them with RST instead of FIN.
        """
        self._listener.close(keep_port=True)
        self.drop_connections(reset=reset)

    def restart(self, *, reset: bool = False, forget: bool = False) -> None:
        """Stop and start again on the same port, as after a deployment.

        Args:
            reset: End the connections with RST instead of FIN.
            forget: Lose what a server without a database would lose; see `forget`.
        """
        self.stop(reset=reset)
        if forget:
            self.forget()
        self.start()

    def forget(self) -> None:
        """Lose the state; a server that has any says what that means. Logs and counts remain."""

    def drop_connections(self, *, reset: bool = False) -> None:
        """End all connections now, whatever they are at; the server goes on listening."""
        with self.changed:
            threads = list(self._open.values())
            for connection, _ in threads:
                connection.abort(reset=reset)
            self.changed.notify_all()
        for _, thread in threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN)

    def close(self) -> None:
        """Stop for good, letting go of everything that is held."""
        self._listener.close(keep_port=False)
        self.drop_connections()

    # What `respond` may use

    def hold(
        self,
        request: RecordedRequest,
        until: Gate | Callable[[], bool],
        timeout: float | None = None,
    ) -> bool:
        """Keep a request waiting, for a gate to open or a condition of the server's state.

        Args:
            request: The request that waits.
            until: What for. A condition is looked at whenever `changed` is notified.
            timeout: Seconds; for ever if left out.

        Returns:
            Whether it came to that in time.

        Raises:
            ConnectionGone: If the server was stopped, or (`PeerGone`) the client hung up.
        """

        def check() -> None:
            self.check_peer(request)

        if not isinstance(until, Gate):
            with self.changed:
                return self._wait(until, timeout, check)
        until.arrive(self.notify)
        with self.changed:
            self._held[request.number] = request, until
            try:
                return self._wait(lambda: until.is_open, timeout, check)
            finally:
                del self._held[request.number]

    def check_peer(self, request: RecordedRequest) -> None:
        """Make sure that somebody still waits for the answer to a request.

        Raises:
            ConnectionGone: If the server was stopped, or (`PeerGone`) the client hung up.
        """
        connection, _ = self._open[request.connection]
        if connection.aborted:
            raise ConnectionGone
        if connection.peer_is_gone():
            raise PeerGone

    def next_change_due(self) -> float | None:
        """When the state will change by itself, on `time.monotonic`'s clock; a subclass's business."""
        return None

    # Inside

    def _wait(
        self,
        condition: Callable[[], bool],
        timeout: float | None,
        check: Callable[[], None] = lambda: None,
    ) -> bool:
        """Wait with the lock held; what nobody notifies of is looked at now and then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            check()
            moments = [
                moment - time.monotonic()
                for moment in (deadline, self.next_change_due())
                if moment is not None
            ]
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self.changed.wait(max(0.0, min([*moments, _PEER_CHECK])))
        return True

    def notify(self) -> None:
        """Have everybody who waits look again."""
        with self.changed:
            self.changed.notify_all()

    def _open_connection(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.changed:
            self._accepted += 1
            connection = Connection(sock, self._accepted)
            thread = threading.Thread(
                target=self._serve,
                args=(connection,),
                name=f"{type(self).__name__} connection {connection.number}",
                daemon=True,
            )
            self._open[connection.number] = connection, thread
            self.changed.notify_all()
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(ConnectionGone, OSError):
                while (head := connection.next_head()) is not None:
                    if not self._exchange(connection, head):
                        break
        except h11.RemoteProtocolError as error:
            with contextlib.suppress(OSError):
                connection.send(
                    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n" + str(error).encode()
                )
        except Exception as error:  # noqa: BLE001 - told to the test when it leaves the server
            self._failures.append(error)
        finally:
            connection.close()
            with self.changed:
                del self._open[connection.number]
                self.changed.notify_all()

    def _exchange(self, connection: Connection, head: h11.Request) -> bool:
        """Serve one request; whether the connection is good for another."""
        request = self._named_request(connection, head)
        fault = self.faults.choose(request)
        request.fault = None if fault == Fault.none() else fault
        if fault.drop_at == "unread":
            self.requests.append(request)
            connection.drop(reset=fault.reset)
        if not self.names_operations_in_bodies:
            request.body = connection.read_body()
        self.requests.append(request)

        wait = partial(self._wait_for, request)
        if fault.wait_at == "work" and fault.wait is not None:
            wait(fault.wait)
        if fault.drop_at == "work":
            connection.drop(reset=fault.reset)
        real = self._respond(request) if fault.works else None
        response = fault.alter(real) if fault.alter is not None else real or Response()
        try:
            if fault.wait_at == "answer" and fault.wait is not None:
                wait(fault.wait)
            if fault.drop_at == "answer":
                connection.drop(reset=fault.reset)
            request.status = response.status
            connection.write(response, fault, wait)
        finally:
            for unsent in filter(None, (real, response)):
                unsent.close()
        if fault.ending == "stale":
            connection.meet_with_reset()
        return fault.ending is None and connection.finish_exchange()

    def _wait_for(self, request: RecordedRequest, until: Gate | float) -> None:
        if isinstance(until, Gate):
            self.hold(request, until)
        else:
            self.hold(request, lambda: False, timeout=until)

    def _named_request(self, connection: Connection, head: h11.Request) -> RecordedRequest:
        request = self._request(connection, head)
        if self.names_operations_in_bodies:
            request.body = connection.read_body()
            operation = self._operation_of(request)
            if operation is not None:
                request.route = Route(operation, request.method, request.path, {})
        return request

    def _request(self, connection: Connection, head: h11.Request) -> RecordedRequest:
        target = head.target.decode("ascii", "replace")
        path, _, query = target.partition("?")
        headers: dict[str, str] = {}
        for name, value in head.headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        method = head.method.decode("ascii", "replace")
        return RecordedRequest(
            method=method,
            path=unquote(path),
            target=target,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            connection=connection.number,
            at=time.monotonic(),
            route=self._routes.find(method, unquote(path)),
        )

    def _respond(self, request: RecordedRequest) -> Response:
        try:
            return self.respond(request)
        except (ConnectionGone, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - told to the test when it leaves the server
            error.add_note(f"raised while {type(self).__name__} answered {request!r}")
            self._failures.append(error)
            return Response.text("Internal Server Error", 500)

    def _still_held(self) -> str:
        with self.changed:
            return "; ".join(
                f"{type(self).__name__}: request {request!r} was still held at the gate "
                f"{gate.name!r} when the test left; gate.open() lets it go"
                for request, gate in self._held.values()
                if not gate.is_open  # else it is on its way out
            )

    def _situation(self) -> str:
        requests = "; ".join(map(repr, list(self.requests)[-10:])) or "none"
        held = self._still_held()
        return f"latest requests: {requests}" + (f"; {held}" if held else "")
