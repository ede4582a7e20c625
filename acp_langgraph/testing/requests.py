"""What a fake server was asked: every request, in order, with ways to wait for the next one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from acp_langgraph.testing.routing import Route, Routes, Selector

if TYPE_CHECKING:
    from acp_langgraph.testing.faults import Fault

__all__ = ["RecordedRequest", "RequestLog"]


@dataclass(slots=True, eq=False)
class RecordedRequest:
    """One request, as it came in.

    Attributes:
        method: HTTP method.
        path: Path, percent-decoded, without the query.
        target: Path and query exactly as sent.
        query: Query parameters; of a repeated one, the last.
        headers: By lower-case name; repeated ones joined with a comma.
        connection: Number of the TCP connection, from 1.
        at: When its head had been read, on `time.monotonic`'s clock.
        route: Operation and path parameters, where the server knows the path.
        number: Place in the log, from 1.
        body: The body's bytes; empty while unread.
        fault: What was done to it, if anything.
        status: The status that was sent, once it was; `None` where the answer was dropped before.
    """

    method: str
    path: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    connection: int
    at: float
    route: Route | None = None
    number: int = 0
    body: bytes = b""
    fault: Fault | None = None
    status: int | None = field(default=None)

    def __repr__(self) -> str:
        fault = f", {self.fault!r}" if self.fault else ""
        return f"<#{self.number} {self.method} {self.target} -> {self.status}{fault}>"

    @property
    def operation(self) -> str | None:
        """The operation's name in the protocol."""
        return self.route.operation if self.route else None

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: If it is none.
        """
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


class RequestLog:
    """The requests that a server has received, oldest first. Thread-safe.

    Iterating, indexing and `len` work as on a list. In an async test the waiting belongs in a
    thread: `await asyncio.to_thread(server.requests.wait_for, "POST /runs")`.
    """

    def __init__(self, routes: Routes, changed: threading.Condition) -> None:
        self._routes = routes
        self._changed = changed
        self._requests: list[RecordedRequest] = []

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(tuple(self._requests))

    def __getitem__(self, index: int) -> RecordedRequest:
        return self._requests[index]

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self))}]"

    def matching(self, on: Selector) -> list[RecordedRequest]:
        """The requests that a selector means; see `acp_langgraph.testing.routing`."""
        return list(filter(self._routes.matcher(on), self))

    def count(self, on: Selector = "*") -> int:
        """How many requests a selector means."""
        return len(self.matching(on))

    def wait_for(self, on: Selector = "*", n: int = 1, *, timeout: float = 5.0) -> RecordedRequest:
        """Wait for the `n`-th request that a selector means; requests already in count.

        Raises:
            TimeoutError: If it does not come within `timeout` seconds.
        """
        matches = self._routes.matcher(on)
        with self._changed:
            if self._changed.wait_for(lambda: sum(map(matches, self)) >= n, timeout):
                return list(filter(matches, self))[n - 1]
        raise TimeoutError(
            f"request {n} for {on!r} did not come in {timeout} s; there were: "
            + ("; ".join(map(repr, self)) or "none")
        )

    def clear(self) -> None:
        """Forget all requests."""
        with self._changed:
            self._requests.clear()

    def append(self, request: RecordedRequest) -> None:
        """Add a request; the server's business."""
        with self._changed:
            self._requests.append(request)
            request.number = len(self._requests)
            self._changed.notify_all()
