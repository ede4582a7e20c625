"""All of a blocking exchange within so many seconds.

httpx knows how long to wait for each piece of an answer, which a server that trickles makes as long as
it likes. So what reads the socket asks how long this thread has, each time: for headers and body, a
proxy's tunnel, a handshake, and the requests of an authentication alike.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

__all__ = ["TimedBackend", "within_seconds"]


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


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    until = _deadline.until
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise late("the time for all of the exchange is over")
    return left if timeout is None else min(timeout, left)


class TimedBackend(httpcore.NetworkBackend):
    """Opens connections that keep to the thread's deadline."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(
            self._backend.connect_tcp(host, port, left, local_address, socket_options)
        )

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Connect to a socket of this machine."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._backend.connect_unix_socket(path, left, socket_options))

    def sleep(self, seconds: float) -> None:
        """Sleep, between tries to connect."""
        self._backend.sleep(seconds)


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
