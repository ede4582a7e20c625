"""A fake API Bridge: services that are asked in plain words, with faults.

A service is a function from a query to what the service answers; the bridge turns that into words,
and into status 200, as the real one does:

    from acp_langgraph.testing import BridgeQuery, FakeBridge, Response

    outbox = []

    def sendgrid(query: BridgeQuery) -> Response:
        outbox.append(query.text)
        return Response.empty(202)

    with FakeBridge({"sendgrid": sendgrid}) as bridge:
        ...                                  # run the graph against bridge.url
        assert len(bridge.queries) == len(outbox) == 1

What it keeps of the real one: a service's path ends in a slash and the bridge's own do not; the
content type must be exactly `application/nlq`, or the body goes to the service as it is; errors are
lines of text; a service is found by `cross_api` queries only once it has been asked by its own path,
and the list of those is made once; MCP needs `init_mcp` first; everything but the answer of a direct
`upstream` call is status 200. What a model does in the real one, here a function does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Literal

from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response

NLQ = "application/nlq"

BRIDGE_ERRORS: Mapping[str, tuple[int, str]] = {
    "no_operation": (404, "No matching operation found"),
    "no_service": (404, "No service available to answer the request"),
    "no_path": (404, "Not Found"),
    "too_large": (413, "Query is too large"),
    "internal": (
        500,
        "I'm sorry, but I wasn't able to process your request, it's an internal error",
    ),
    "not_understood": (500, "i'm sorry but I was not able to understand your query"),
    "no_route": (500, "i'm sorry but I was not able to find the service you are asking for"),
    "no_llm": (500, "can't retreive the LLM configuration: no such key"),
    "no_mcp_configuration": (500, "Error while loading MCP configuration"),
    "no_mcp": (500, "Error while loading MCP sub-system"),
}
"""The bridge's own errors, status and text, by a name of ours; see `FakeBridge.error`."""


@dataclass(frozen=True, slots=True)
class BridgeQuery:
    """A query that reached a service, or the MCP tools.

    Attributes:
        text: The query.
        service: The service's name; `None` for MCP tools.
        headers: All headers that came with it, by lower-case name.
        operation: For a direct call: `METHOD /path` in the service's API.
    """

    text: str
    service: str | None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    operation: str | None = None

    @property
    def authorization(self) -> str | None:
        """The credential that reached the service."""
        return self.headers.get("authorization")


@dataclass(frozen=True, slots=True)
class BridgeService:
    """A service behind the bridge.

    Attributes:
        perform: Does what a query asks. A text is the bridge's answer in words; a `Response` is the
            service's own, which the bridge puts into words.
        fits: Whether an operation of the service fits a query.
        operations: `METHOD /path` of the operations that may be called directly.
        raw: What the service answers to a request that the bridge did not take up.
    """

    perform: Callable[[BridgeQuery], Response | str]
    fits: Callable[[str], bool] = lambda _: True
    operations: frozenset[str] = frozenset()
    raw: Response = field(default_factory=lambda: Response.json({"error": "media type"}, 415))


class FakeBridge(FakeHTTPServer):
    """An API Bridge in a gateway.

    Attributes:
        queries: Every query that reached a service or the tools, oldest first.

    Args:
        services: The services by listen path, each a `BridgeService` or just its `perform`.
        tools: Answers the queries that go to MCP tools.
        generation: Whether the paths are those of today's bridges or of those before May 2025.
        direct: Whether the gateway is set up for direct calls of operations.
        apikey: What the gateway wants as `apikey`, if anything.
        max_request_size: Largest query in bytes.
        port: A port to listen on; a free one if 0.
    """

    operations: ClassVar[Mapping[str, str]] = {
        "get_info": "GET /api-bridge-agent/info",
        "init_mcp": "POST /api-bridge-agent/mcp/init",
        "query_cross_api": "POST /api-bridge-agent/openapis",
        "query_mcp": "POST /api-bridge-agent/mcp",
        "query_any": "POST /api-bridge-agent/nlq",
        "query_service": "POST /{service}/",
    }

    def __init__(
        self,
        services: Mapping[str, BridgeService | Callable[[BridgeQuery], Response | str]],
        *,
        tools: Callable[[BridgeQuery], str] | None = None,
        generation: Literal["current", "legacy"] = "current",
        direct: bool = False,
        apikey: str | None = None,
        max_request_size: int | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.queries: list[BridgeQuery] = []
        self._services = {
            name: service if isinstance(service, BridgeService) else BridgeService(service)
            for name, service in services.items()
        }
        self._tools = tools
        self._own = _LEGACY if generation == "legacy" else _CURRENT
        self._direct = direct
        self._apikey = apikey
        self._limit = max_request_size
        self._asked: list[str] = []
        self._indexed: list[str] | None = None
        self._mcp_ready = False

    @staticmethod
    def error(name: str) -> Response:
        """One of the bridge's own errors, to be given to `Fault.respond`."""
        status, text = BRIDGE_ERRORS[name]
        return Response.text(text + "\n", status, headers={"x-content-type-options": "nosniff"})

    def forget(self) -> None:
        """Lose what a restart loses: the connections to MCP servers, the list of services."""
        self._mcp_ready = False
        self._indexed = None

    def respond(self, request: RecordedRequest) -> Response:
        """Answer as the gateway: the bridge's own paths first, then the services'."""
        if self._apikey is not None and request.headers.get("apikey") != self._apikey:
            return Response.json({"error": "Access to this API has been disallowed"}, 403)
        own = self._own.get(request.path)
        if own == "info" and request.method == "GET":
            return self._info()
        if own == "init":
            return self._init()
        if own in {"cross_api", "mcp", "any"} and _is_nlq(request):
            return self._across(own, request)
        return self._behind(request)

    def _behind(self, request: RecordedRequest) -> Response:
        """What is not the bridge's own path: a service's, if anyone's."""
        if request.path.startswith("/api-bridge-agent/"):
            return self.error("internal")  # no handler: the catch-all has no operations
        name, slash, below = request.path.removeprefix("/").partition("/")
        service = self._services.get(name)
        if service is None or not slash:
            return self.error("no_path")
        if _is_nlq(request):
            return self._ask(name, service, request)
        if self._direct and _is_direct(request):
            return self._call(name, service, request, f"{request.method} /{below}")
        return service.raw

    def _info(self) -> Response:
        tools = {"demo": {"name": "demo", "tools": [{"name": "tool", "description": "A tool"}]}}
        body: dict[str, Any] = {
            "version": "1.0.0",
            "mcp_servers": tools if self._tools and self._mcp_ready else {},
            "openapi_services": {f"tyk-{name}-id": {"name": name} for name in self._indexed or ()},
        }
        answer = Response.json(body)
        return Response(200, (("content-type", "text/plain; charset=utf-8"),), answer.body)

    def _init(self) -> Response:
        if self._tools is None:
            return self.error("no_mcp_configuration")
        self._mcp_ready = True
        return Response.text("MCP Server(s) Initialized")

    def _across(self, kind: str, request: RecordedRequest) -> Response:
        """A query for which the bridge picks who answers."""
        if kind != "mcp" and self._is_too_large(request):
            return self.error("too_large")
        if kind == "mcp":
            return self._use_tools(request)
        if self._indexed is None:
            self._indexed = list(self._asked)
        for name in self._indexed:
            if self._services[name].fits(request.text):
                return self._ask(name, self._services[name], request)
        return self.error("no_service") if kind == "cross_api" else self._use_tools(request)

    def _use_tools(self, request: RecordedRequest) -> Response:
        if self._tools is None or not self._mcp_ready:
            return self.error("internal")
        return Response.text(self._tools(self._take(request, None)))

    def _ask(self, name: str, service: BridgeService, request: RecordedRequest) -> Response:
        """A query to a service: the bridge picks the operation."""
        if self._is_too_large(request):
            return self.error("too_large")
        if name not in self._asked:
            self._asked.append(name)
        if not service.fits(request.text):
            return self.error("no_operation")
        return _in_words(service.perform(self._take(request, name)))

    def _call(
        self, name: str, service: BridgeService, request: RecordedRequest, operation: str
    ) -> Response:
        """A query to one operation of a service."""
        if operation not in service.operations:
            return self.error("no_route")
        answer = service.perform(self._take(request, name, operation))
        if isinstance(answer, Response) and request.headers.get("x-nl-response-type") != "nl":
            return answer
        return _in_words(answer)

    def _take(
        self, request: RecordedRequest, service: str | None, operation: str | None = None
    ) -> BridgeQuery:
        query = BridgeQuery(request.text, service, request.headers, operation)
        with self.changed:
            self.queries.append(query)
            self.changed.notify_all()
        return query

    def _is_too_large(self, request: RecordedRequest) -> bool:
        return self._limit is not None and len(request.body) > self._limit


_CURRENT: Mapping[str, str] = {
    "/api-bridge-agent/info": "info",
    "/api-bridge-agent/mcp/init": "init",
    "/api-bridge-agent/mcp": "mcp",
    "/api-bridge-agent/openapis": "cross_api",
    "/api-bridge-agent/nlq": "any",
}
_LEGACY: Mapping[str, str] = {"/aba/": "cross_api", "/mcp/": "mcp", "/mcp/init": "init"}


def _is_nlq(request: RecordedRequest) -> bool:
    return request.method == "POST" and request.headers.get("content-type") == NLQ


def _is_direct(request: RecordedRequest) -> bool:
    wants = request.headers.get("x-nl-query-enabled", "").lower() in {"true", "yes", "1", "ok"}
    return wants and request.headers.get("content-type", "text/plain") == "text/plain"


def _in_words(answer: Response | str) -> Response:
    if isinstance(answer, str):
        return Response.text(answer)
    body = b"".join(piece for piece in answer.read().pieces() if isinstance(piece, bytes))
    status = HTTPStatus(answer.status)
    detail = f": {body.decode('utf-8', 'replace')}" if body else "."
    return Response.text(f"The service answered {status.value} {status.phrase}{detail}")
