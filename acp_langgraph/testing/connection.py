"""One TCP connection of a fake server: requests in, bytes out, and the ways in which it ends."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.client import responses
from typing import NoReturn

import h11

from acp_langgraph.testing.faults import Fault
from acp_langgraph.testing.responses import Gate, Piece, Response

HOST = "127.0.0.1"
_BACKLOG = 1024
_JOIN = 5.0


class Listener:
    """Accepts connections in a thread while it is open.

    Args:
        port: The port to listen on; the first opening picks a free one if 0.
        accepted: Called with every accepted socket, in the listener's thread.
    """

    def __init__(self, port: int, accepted: Callable[[socket.socket], None]) -> None:
        self.port = port
        self._accepted = accepted
        self._thread: threading.Thread | None = None
        self._bell: socket.socket | None = None  # closing it wakes the thread
        self._reserved: socket.socket | None = None  # keeps the port while nobody listens

    def open(self) -> None:
        """Listen."""
        if self._thread is not None:
            return
        self._release()
        listening = _bind(self.port)
        listening.listen(_BACKLOG)
        self.port = listening.getsockname()[1]
        self._bell, bell = socket.socketpair()
        self._thread = threading.Thread(
            target=self._accept, args=(listening, bell), name=f"listener {self.port}", daemon=True
        )
        self._thread.start()

    def close(self, *, keep_port: bool) -> None:
        """Refuse connections from now on; nobody else gets the port if it is kept."""
        if self._thread is not None and self._bell is not None:
            self._bell.close()
            self._thread.join(_JOIN)
            self._thread = None
            if keep_port:
                self._reserved = _bind(self.port)
        if not keep_port:
            self._release()

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _accept(self, listening: socket.socket, bell: socket.socket) -> None:
        with listening, bell, selectors.DefaultSelector() as selector:
            selector.register(listening, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            while all(key.fileobj is listening for key, _ in selector.select()):
                with contextlib.suppress(OSError):
                    self._accepted(listening.accept()[0])


def _bind(port: int) -> socket.socket:
    sock = socket.socket()
    if os.name == "posix":
        # Connections of before linger in TIME_WAIT on the port that is wanted again.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock


_RECEIVE = 65536
_BODILESS = frozenset({204, 304})
_SEND_TIMEOUT = struct.pack("ll", 0, 100_000)  # seconds and microseconds
_LINGER_RESET = struct.pack("ii", 1, 0)  # close() sends RST and drops what is unsent


class ConnectionGone(Exception):
    """The connection ended: by a fault, by the peer, or with the server."""


class PeerGone(ConnectionGone):
    """The peer hung up."""


class Connection:
    """A connection, worked by one thread.

    Args:
        sock: The accepted socket.
        number: Its number, from 1.
    """

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.number = number
        self.aborted = False
        self._socket = sock
        self._reset = False
        self._wants_body = True
        self._closing = threading.Lock()
        self._http = h11.Connection(h11.SERVER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)

    def next_head(self) -> h11.Request | None:
        """The head of the next request; `None` when the peer is done.

        Raises:
            h11.RemoteProtocolError: If it is no HTTP.
        """
        event = self._next_event()
        if not isinstance(event, h11.Request):
            return None
        self._wants_body = event.method != b"HEAD"
        return event

    def read_body(self) -> bytes:
        """The body that belongs to the head.

        Raises:
            ConnectionGone: If the peer broke off.
        """
        body = bytearray()
        while not isinstance(event := self._next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ConnectionGone
            body += event.data
        return bytes(body)

    def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                self.send(self._http.send(go_on) or b"")
            self._http.receive_data(self._socket.recv(_RECEIVE))
        return event

    def write(self, response: Response, fault: Fault, wait: Callable[[Gate | float], None]) -> None:
        """Send an answer, in the way the fault wants it.

        Args:
            response: The answer.
            fault: May cut it, hold it or slow it down.
            wait: Waits at a gate or for some seconds.

        Raises:
            ConnectionGone: If the answer, or a fault, ends the connection.
        """
        wire = _Wire(self, fault, wait)
        portions = response.pieces() if response.raw else self._frame(response)
        if isinstance(response.body, bytes):  # leaves in one packet, as from real servers
            portions = iter([b"".join(part for part in portions if isinstance(part, bytes))])
        for part in portions:
            if isinstance(part, Gate):
                wait(part)
            else:
                wire.send(part)
        if response.raw or isinstance(fault.drop_at, int):
            self.drop(reset=fault.reset)

    def _frame(self, response: Response) -> Iterator[Piece]:
        """The bytes of an answer, piece by piece."""
        headers = list(response.headers)
        if isinstance(response.body, bytes) and response.status not in _BODILESS:
            headers.append(("content-length", str(len(response.body))))
        reason = responses.get(response.status, "")
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        yield self._http.send(head) or b""
        for piece in response.pieces() if self._wants_body else ():
            yield piece if isinstance(piece, Gate) else self._http.send(h11.Data(data=piece)) or b""
        yield self._http.send(h11.EndOfMessage()) or b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are, however slowly they are read."""
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:  # nothing was read for a while
                if self.aborted:
                    raise ConnectionGone from None

    def finish_exchange(self) -> bool:
        """Get ready for the next request; `False` where this was the last one."""
        if {self._http.our_state, self._http.their_state} != {h11.DONE}:
            return False
        self._http.start_next_cycle()
        return True

    def meet_with_reset(self) -> NoReturn:
        """Wait for the next request and reset the connection instead of reading it.

        Raises:
            ConnectionGone: Always.
        """
        self._socket.recv(1, socket.MSG_PEEK)
        self.drop(reset=True)

    def drop(self, *, reset: bool = False) -> NoReturn:
        """End the connection here and now.

        Raises:
            ConnectionGone: Always.
        """
        self._reset = self._reset or reset
        raise ConnectionGone

    def peer_is_gone(self) -> bool:
        """Whether the peer has closed its side."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def abort(self, *, reset: bool = False) -> None:
        """End the connection from another thread than its own."""
        with self._closing:
            self.aborted = True
            self._reset = self._reset or reset
            # Shutting down wakes a blocked recv(); shutting down only the reading sends no FIN.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; its own thread's last act."""
        with self._closing:
            if self._reset:
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            self._socket.close()


class _Wire:
    """Lets bytes through as far and as fast as a fault allows."""

    def __init__(
        self, connection: Connection, fault: Fault, wait: Callable[[Gate | float], None]
    ) -> None:
        self._connection = connection
        self._fault = fault
        self._wait = wait
        self._sent = 0
        self._drop_at = fault.drop_at if isinstance(fault.drop_at, int) else None
        self._wait_at = fault.wait_at if isinstance(fault.wait_at, int) else None

    def send(self, data: bytes) -> None:
        """Send bytes, stopping where the fault says."""
        while True:
            if self._sent == self._wait_at and self._fault.wait is not None:
                self._wait_at = None
                self._wait(self._fault.wait)
            if self._sent == self._drop_at:
                self._connection.drop(reset=self._fault.reset)
            if not data:
                return
            portion = data[: self._room()]
            self._connection.send(portion)
            self._sent += len(portion)
            data = data[len(portion) :]
            if data and self._fault.pace:
                self._wait(self._fault.pace[1])

    def _room(self) -> int | None:
        """How many bytes may leave before the next stop."""
        stops = [stop - self._sent for stop in (self._drop_at, self._wait_at) if stop is not None]
        pace = [self._fault.pace[0]] if self._fault.pace else []
        return min([*(stop for stop in stops if stop > 0), *pace], default=None)
