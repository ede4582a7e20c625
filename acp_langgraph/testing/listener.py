"""A listening socket that can be closed and opened again without losing its port."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable

__all__ = ["HOST", "Listener"]

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
