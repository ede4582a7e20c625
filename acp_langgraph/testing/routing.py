"""Which operation a request is, and which requests a test means.

A request is named in three ways, wherever the fakes take an `on`:

    "create_stateless_run"       the operation, by its name in the protocol
    "POST /runs/{run_id}"        method and path; `{...}` is one segment, `*` is anything
    lambda request: ...          anything else
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from acp_langgraph.testing.requests import RecordedRequest

__all__ = ["Matcher", "Route", "Routes", "Selector"]

Matcher: TypeAlias = "Callable[[RecordedRequest], bool]"
Selector: TypeAlias = "str | Callable[[RecordedRequest], bool]"


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
