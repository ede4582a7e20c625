"""Which addresses are on the public internet, and a connector that reaches no others.

A host has many spellings, and what reads them differs: fullwidth digits are a name to one library and
an address to the next. So what is judged is the address that is about to be connected to.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

# Beyond what `is_global` says, which differs with the version of Python.
_NOT_PUBLIC: Final = tuple(
    map(
        ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4", "2001::/23", "2002::/16", "3fff::/20"),
    )
)
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_NAT64: Final = ip_network("64:ff9b::/96")
_THREADS: Final = 64  # for names whose servers do not answer


def is_public(address: str) -> bool:
    """Whether an address is one on the public internet, also if it holds another one."""
    try:
        found = _inner(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found not in _GLOBAL_UNICAST:
        return False
    listed = any(found in each for each in _NOT_PUBLIC if each.version == found.version)
    return found.is_global and not found.is_multicast and not listed


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_address(host: str) -> bool:
    """Whether a host is an address, and not a name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Resolver(AbstractResolver):
    """Looks names up in threads of its own: the loop's are there for the nodes of graphs."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="acp-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name."""

        def look_up() -> list[Any]:
            return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)

        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Look nothing up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def connector(*, public_only: bool) -> aiohttp.TCPConnector:
    """What connects to receivers of webhooks; whoever uses it bounds how many at once."""
    return aiohttp.TCPConnector(
        resolver=Resolver(), limit=0, socket_factory=_public_socket if public_only else None
    )


def _public_socket(info: Any) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(address[0]):
        raise OSError(f"{address[0]} is no public address")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made
