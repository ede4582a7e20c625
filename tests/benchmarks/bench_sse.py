"""How fast server-sent events are decoded, beside httpx-sse on the same bytes.

    python tests/benchmarks/bench_sse.py

The bytes come in pieces of 64 KiB, as from a socket. A ratio above 1 means that ours is faster.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import httpx
from httpx_sse import EventSource
from rich.console import Console
from rich.table import Table

from acp_langgraph.core.sse import SSEDecoder

PIECE: Final = 65536


def event(number: int, text: str) -> bytes:
    """An event as an ACP server sends it."""
    update = {"type": "values", "run_id": "r", "status": "pending", "values": {"text": text}}
    data = json.dumps(update, ensure_ascii=False)
    return f"id: {number}\nevent: agent_event\ndata: {data}\n\n".encode()


STREAMS: Final[dict[str, tuple[bytes, int]]] = {
    "50,000 small events": (b"".join(event(n, "hello") for n in range(50_000)), 50_000),
    "50,000 small events, not ASCII": (
        b"".join(event(n, "héllo ☃") for n in range(50_000)),
        50_000,
    ),
    "2,000 events of 4 kB": (b"".join(event(n, "x" * 4000) for n in range(2000)), 2000),
    "2,000 events of 4 kB, not ASCII": (
        b"".join(event(n, "☃ ü " * 700) for n in range(2000)),
        2000,
    ),
    "one event of 8 MB": (event(1, "x" * 8_000_000), 1),
    "one event of 8 MB, not ASCII": (event(1, "ü☃" * 1_600_000), 1),
}


def pieces(content: bytes) -> Iterator[bytes]:
    return (content[at : at + PIECE] for at in range(0, len(content), PIECE))


def ours(content: bytes) -> Iterable[Any]:
    decoder = SSEDecoder()
    for piece in pieces(content):
        yield from decoder.feed(piece)


def theirs(content: bytes) -> Iterable[Any]:
    response = httpx.Response(
        200, headers={"content-type": "text/event-stream"}, content=pieces(content)
    )
    return EventSource(response).iter_sse()


def seconds(decode: Callable[[bytes], Iterable[Any]], content: bytes, count: int) -> float:
    started = time.process_time()
    found = sum(1 for _ in decode(content))
    took = time.process_time() - started
    assert found == count
    return took


def pair(content: bytes, count: int, turn: int) -> tuple[float, float]:
    """Ours and theirs, in turns the one and the other first: memory that was just freed is had sooner."""
    if turn % 2:
        other = seconds(theirs, content, count)
        return seconds(ours, content, count), other
    return seconds(ours, content, count), seconds(theirs, content, count)


def measure(rounds: int = 7) -> dict[str, dict[str, float]]:
    """By stream: events per second of both, and the ratio, as medians of interleaved rounds."""
    found = {}
    for name, (content, count) in STREAMS.items():
        pairs = [pair(content, count, turn) for turn in range(rounds)]
        found[name] = {
            "ours, events/s": count / statistics.median(mine for mine, _ in pairs),
            "httpx-sse, events/s": count / statistics.median(other for _, other in pairs),
            "ratio": statistics.median(other / mine for mine, other in pairs),
        }
    return found


def show(found: dict[str, dict[str, float]]) -> None:
    """Print what was measured."""
    table = Table("", "ours, events/s", "httpx-sse, events/s", "ratio")
    for name, row in found.items():
        mine, other, ratio = row.values()
        table.add_row(name, f"{mine:,.0f}", f"{other:,.0f}", f"{ratio:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    show(measure())
