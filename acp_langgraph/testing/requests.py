"""What a fake server was asked: which operation each request is, in order, and waiting for it.

A request is named in four ways, wherever the fakes take an `on`:

    "start"                      whatever starts a run, or a task, in whichever way its protocol has
    "create_stateless_run"       the operation, by its name in the protocol
    "POST /runs/{run_id}"        method and path; `{...}` is one segment, `*` is anything
    lambda request: ...          anything else
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from acp_langgraph.testing.faults import Fault


Matcher: TypeAlias = "Callable[[RecordedRequest], bool]"
Selector: TypeAlias = "str | Callable[[RecordedRequest], bool]"


_STARTS: Final = frozenset(
    {
        *["create_stateless_run", "create_thread_run"],
        *["create_and_wait_for_stateless_run_output", "create_and_wait_for_thread_run_output"],
        *["create_and_stream_stateless_run_output", "create_and_stream_thread_run_output"],
        *["create_run", "wait_run"],
        *["SendMessage", "SendStreamingMessage"],
    }
)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request went.

    Attributes:
        operation: The operation's name in the protocol.
        method: HTTP method.
        template: Its path, with `{parameters}`.
        parameters: What stood in their places.
    """

    operation: str
    method: str
    template: str
    parameters: Mapping[str, str]


class Routes:
    """The operations that a server knows.

    Args:
        operations: `METHOD /path/{parameter}` by name of the operation.
    """

    def __init__(self, operations: Mapping[str, str]) -> None:
        self._operations = dict(operations)
        entries = [(name, *operation.split(" ", 1)) for name, operation in operations.items()]
        # A literal segment wins over a parameter: /runs/wait is no /runs/{run_id}.
        entries.sort(key=lambda entry: entry[2].count("{"))
        self._compiled = [
            (name, method, template, _pattern(template)) for name, method, template in entries
        ]

    def find(self, method: str, path: str) -> Route | None:
        """The route of a request, if it has one."""
        for name, route_method, template, pattern in self._compiled:
            if method == route_method and (match := pattern.fullmatch(path)):
                return Route(name, method, template, match.groupdict())
        return None

    def matcher(self, on: Selector) -> Matcher:
        """The predicate that a selector stands for.

        Raises:
            ValueError: If the selector names an operation that the server does not know.
        """
        if callable(on):
            return on
        if on == "*":
            return lambda _: True
        if on == "start" and (starts := _STARTS & self._operations.keys()):
            return lambda request: request.operation in starts
        method, slash, path = on.partition("/")
        method = method.strip()
        if not slash and not method.endswith("*"):
            if on not in self._operations:
                near = get_close_matches(on, self._operations)
                hint = f"did you mean {', '.join(near)}?" if near else "or 'METHOD /path', or '*'"
                raise ValueError(f"no operation is called {on!r}; {hint}")
            return lambda request: request.operation == on
        pattern = _pattern(slash + path) if slash else _pattern("*")
        any_method = method in {"", "*"}
        template = re.sub(r"\{\w+\}", "{}", slash + path)

        def matches(request: RecordedRequest) -> bool:
            if not any_method and request.method != method.removesuffix("*").strip():
                return False
            if "{" in template and request.route is not None:
                return re.sub(r"\{\w+\}", "{}", request.route.template) == template
            return pattern.fullmatch(request.path) is not None

        return matches


def _pattern(template: str) -> re.Pattern[str]:
    """A path template as a regular expression."""
    parts = re.split(r"(\{\w+\}|\*)", template)
    return re.compile(
        "".join(
            f"(?P<{part[1:-1]}>[^/]+)"
            if part.startswith("{")
            else ".*"
            if part == "*"
            else re.escape(part)
            for part in parts
        )
    )


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
        """The requests that a selector means, as in `Faults.add`."""
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
