"""Peers that speak TLS: servers, token issuers and proxies with certificates of their own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["Certificates", "Peer", "certificate", "speaking_tls", "tunnels"]

_HOST = "127.0.0.1"


def certificate(folder: Path, name: str, host: str = f"IP:{_HOST}") -> Path:
    """A key and a certificate in one file; it is signed by itself, so the file is its CA as well."""
    file = folder / f"{name}.pem"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"]
    usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"]
    made = subprocess.run(
        ["openssl", "req", "-x509", *kind, *subject, *usage, "-keyout", file],  # noqa: S607 - wherever it is
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + made.stdout)
    return file


@dataclass(frozen=True)
class Certificates:
    """Files: of the machine that everything is on, and of another one, which it is not."""

    here: Path
    elsewhere: Path

    @classmethod
    def made_in(cls, folder: Path) -> Self:
        """New ones."""
        elsewhere = certificate(folder, "elsewhere", "DNS:elsewhere.invalid")
        return cls(certificate(folder, "here"), elsewhere)


@dataclass
class Peer:
    """Something on a port.

    Attributes:
        url: Where it is.
        tunnels: The `host:port` of each tunnel that it was asked for.
    """

    url: str
    tunnels: list[str] = field(default_factory=list)


@contextmanager
def speaking_tls(url: str, certified: Path) -> Iterator[Peer]:
    """A server, or a proxy, that is spoken to by TLS only."""
    with _listening(url.rpartition(":")[2], certified) as peer:
        yield peer


@contextmanager
def tunnels(certified: Path | None = None) -> Iterator[Peer]:
    """A proxy that opens tunnels, itself spoken to by TLS if it has a certificate."""
    with _listening(None, certified) as peer:
        yield peer


@contextmanager
def _listening(port: str | None, certified: Path | None) -> Iterator[Peer]:
    """Passes bytes on to a port of this machine, or to where a `CONNECT` wants them to go."""
    started, peer = threading.Event(), Peer("")
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        context = None
        if certified is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certified)
        at_work: set[asyncio.Task[None]] = set()

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            at_work.add(task)
            task.add_done_callback(at_work.discard)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                async with _closed(writer):
                    await _pass_on(reader, writer, port, peer)

        end = asyncio.Event()
        ends.append((asyncio.get_running_loop(), end))
        async with await asyncio.start_server(pass_on, _HOST, 0, ssl=context) as server:
            scheme = "http" if context is None else "https"
            peer.url = f"{scheme}://{_HOST}:{server.sockets[0].getsockname()[1]}"
            started.set()
            await end.wait()
            for task in at_work:
                task.cancel()
            await asyncio.gather(*at_work, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    try:
        yield peer
    finally:
        loop, end = ends[0]
        loop.call_soon_threadsafe(end.set)
        thread.join()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: str | None, peer: Peer
) -> None:
    if port is None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        peer.tunnels.append(head.split()[1])
        port = peer.tunnels[-1].rpartition(":")[2]
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    there, back = await asyncio.open_connection(_HOST, int(port))
    async with _closed(back):
        ways = {asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def _closed(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
