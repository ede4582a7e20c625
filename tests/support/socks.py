"""A SOCKS5 proxy that connects to whatever it is asked for on this machine (RFC 1928, RFC 1929)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

__all__ = ["SocksProxy", "socks_proxy"]

_HOST = "127.0.0.1"
_BY_PASSWORD, _BY_NOTHING = 2, 0
_NAME = 3


@dataclass
class SocksProxy:
    """A proxy on a port.

    Attributes:
        port: Where it listens.
        refuses: Whether it connects to nothing.
        asked: Each host and port that it was asked for, as it was said.
        shown: Each pair of user and password.
    """

    port: int = 0
    refuses: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)
    shown: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"socks5://{_HOST}:{self.port}"


@contextmanager
def socks_proxy(*, refuses: bool = False) -> Iterator[SocksProxy]:
    """A proxy that works in threads until it is left."""
    proxy = SocksProxy(refuses=refuses)

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError, EOFError):
                _serve(self.request, proxy)

    with ThreadingTCPServer((_HOST, 0), Handler) as server:
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


def _serve(client: socket.socket, proxy: SocksProxy) -> None:
    _, count = _take(client, 2)
    ways = _take(client, count)
    way = _BY_PASSWORD if _BY_PASSWORD in ways else _BY_NOTHING
    client.sendall(bytes([5, way]))
    if way == _BY_PASSWORD:
        _take(client, 1)
        user, password = (_take(client, _take(client, 1)[0]).decode() for _ in range(2))
        proxy.shown.append((user, password))
        client.sendall(bytes([1, 0]))
    *_, kind = _take(client, 4)
    if kind == _NAME:
        host = _take(client, _take(client, 1)[0]).decode()
    else:
        host = socket.inet_ntoa(_take(client, 4))
    port = int.from_bytes(_take(client, 2))
    proxy.asked.append((host, port))
    client.sendall(bytes([5, 2 if proxy.refuses else 0, 0, 1, 127, 0, 0, 1, 0, 0]))
    if proxy.refuses:
        return
    with socket.create_connection((_HOST, port)) as there:
        pumps = [
            threading.Thread(target=_pump, args=way) for way in ((client, there), (there, client))
        ]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()


def _take(sock: socket.socket, size: int) -> bytes:
    taken = b""
    while len(taken) < size:
        piece = sock.recv(size - len(taken))
        if not piece:
            raise EOFError
        taken += piece
    return taken


def _pump(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
