"""What goes to an API Bridge and what comes back.

The bridge takes plain words and, but for one mode, answers in plain words: always with status 200,
whatever the service behind it said. So `APIBridgeOutput.status` tells about the bridge, not about
the work; whether the work was done is in `result`, for a human, a model or a `check` to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, model_validator

from acp_langgraph.core.calls import Call
from acp_langgraph.errors import ApiTypeError, ApiValueError

Mode: TypeAlias = Literal["service", "direct", "cross_api", "mcp", "any"]
Generation: TypeAlias = Literal["current", "legacy"]
ResponseKind: TypeAlias = Literal["nl", "upstream"]


class APIBridgeInput(BaseModel):
    """What a service is asked; a bare text will do.

    Attributes:
        query: The request in plain words.
    """

    query: str

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_query(cls, value: Any) -> Any:
        return {"query": value} if isinstance(value, str) else value


class APIBridgeOutput(BaseModel):
    """What came of it.

    Attributes:
        result: The answer as text.
        status: HTTP status of the answer; 200 from a bridge says nothing about the service.
        content_type: The answer's media type with its parameters; empty if it had none.
        parsed: The answer as a JSON value, where it is one; else `None`.
        mode: The way in which the bridge was asked.
    """

    result: str
    status: int = 200
    content_type: str = ""
    parsed: Any = None
    mode: Mode = "service"


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="allow")


class McpTool(_Tolerant):
    """A tool of an MCP server that the bridge may use."""

    name: str
    description: str | None = None


class McpServer(_Tolerant):
    """An MCP server that the bridge is connected to."""

    name: str = ""
    tools: list[McpTool] | None = None


class OpenApiService(_Tolerant):
    """A service that the bridge knows."""

    name: str = ""


class BridgeInfo(_Tolerant):
    """What a bridge says about itself.

    Attributes:
        version: Its version.
        mcp_servers: The MCP servers it is connected to, by name.
        openapi_services: The services it can choose from, by the gateway's API ids, which are not
            their paths. Empty until the first query across services.
    """

    version: str = ""
    mcp_servers: dict[str, McpServer] | None = Field(default_factory=dict)
    openapi_services: dict[str, OpenApiService] | None = Field(default_factory=dict)


_NLQ: Final = {"content-type": "application/nlq"}
_FIXED: Final[dict[Generation, dict[Mode, str]]] = {
    "current": {
        "cross_api": "/api-bridge-agent/openapis",
        "mcp": "/api-bridge-agent/mcp",
        "any": "/api-bridge-agent/nlq",
    },
    "legacy": {"cross_api": "/aba/", "mcp": "/mcp/"},
}
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_IN_A_SEGMENT: Final = "%:@!$&'()*+,;=~"  # what need not be encoded, and what is already


@dataclass(frozen=True, slots=True)
class Route:
    """One way of asking; made by `route_to`.

    Attributes:
        mode: Its name.
        method: HTTP method.
        path: Path below the host.
        headers: What tells the bridge that this is a query.
        service: The service that is asked; `None` where the bridge picks it.
    """

    mode: Mode
    method: str
    path: str
    headers: Mapping[str, str]
    service: str | None = None

    @property
    def picks_receiver(self) -> bool:
        """Whether it is the bridge that chooses which service gets the request's headers."""
        return self.mode in {"cross_api", "mcp", "any"}

    def entrust(self, *, any_receiver: bool) -> None:
        """Make sure that a credential may take this way.

        Raises:
            ApiValueError: If the bridge would choose who gets it, and the caller did not allow that.
        """
        if self.picks_receiver and not any_receiver:
            raise ApiValueError(
                f"in mode {self.mode!r} the bridge picks who gets the service's credential; pass "
                "any_receiver=True if every service behind it may see it, or give no credential"
            )

    @property
    def speaks(self) -> bool:
        """Whether the answer is the bridge's, in plain words, and not the service's own."""
        return self.headers.get("x-nl-response-type") != "upstream"


def route_to(
    mode: Mode = "service",
    service: str | None = None,
    *,
    generation: Generation = "current",
    path: str | None = None,
    operation: str | None = None,
    method: str = "POST",
    response: ResponseKind = "upstream",
) -> Route:
    """The way to ask in a mode.

    Args:
        mode: See above.
        service: The service's listen path in the gateway, e.g. `sendgrid`; for `service` and
            `direct`.
        generation: Which paths the bridge has.
        path: A path to use instead of the mode's, exactly as it is.
        operation: The operation's path in the service's API, e.g. `/v3/mail/send`; for `direct`.
        method: The operation's method; for `direct`.
        response: For `direct`, whether to get the service's own answer (`upstream`) or words (`nl`).

    Raises:
        ApiValueError: If that is no way to ask.
    """
    if mode not in {"service", "direct", "cross_api", "mcp", "any"}:
        raise ApiValueError(
            f"{mode!r} is no mode; there are service, direct, cross_api, mcp and any"
        )
    if generation not in _FIXED:
        raise ApiValueError(f"generation is current or legacy, not {generation!r}")
    direct = mode == "direct"
    if not direct and (operation is not None or method != "POST" or response != "upstream"):
        raise ApiValueError(f'operation, method and response are for mode="direct", not {mode!r}')
    if direct and (method not in _METHODS or response not in {"nl", "upstream"}):
        raise ApiValueError(
            f"method is one of {', '.join(sorted(_METHODS))} in capitals, and response nl or upstream"
        )
    headers = dict(_NLQ)
    if direct:
        headers = {
            "content-type": "text/plain",
            "x-nl-query-enabled": "yes",
            "x-nl-response-type": response,
        }
    where = _own(path) if path is not None else _preset(mode, service, generation, operation)
    return Route(mode, method, where, headers, service)


@dataclass(frozen=True, slots=True)
class Query:
    """One query, ready to be sent.

    Attributes:
        text: What is asked.
        route: Where it goes.
        authorization: The service's credential, as the header's value.
        hidden: What must not show in any message.
        timeout: Seconds to wait for the answer; `None` takes the configuration's.
    """

    text: str = field(repr=False)
    route: Route
    authorization: str | None = field(default=None, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    timeout: float | None = None

    def call(self) -> Call[str]:
        """The request.

        Raises:
            ApiTypeError: If the query is no text.
            ApiValueError: If it is empty or cannot be sent.
        """
        if not isinstance(self.text, str):
            raise ApiTypeError(f"a query is text, got {type(self.text).__name__}")
        if not self.text.strip():
            raise ApiValueError("the query is empty; say what is wanted")
        try:
            content = self.text.encode()
        except UnicodeEncodeError:
            raise ApiValueError("the query holds half a character (a lone surrogate)") from None
        headers = dict(self.route.headers)
        if self.authorization is not None:
            headers["authorization"] = self.authorization
        return Call(
            f"query_{self.route.mode}",
            self.route.method,
            self.route.path,
            str,
            content=content,
            headers=headers,
            repeatable=False,  # whatever the method: a model and a service are at work behind it
            timeout=self.timeout,
        )


def get_info() -> Call[BridgeInfo]:
    """What the bridge says about itself; bridges of the legacy generation do not."""
    return Call("get_info", "GET", "/api-bridge-agent/info", BridgeInfo)


def init_mcp(generation: Generation = "current") -> Call[str]:
    """Connect the bridge to its MCP servers, which it does not do by itself."""
    if generation == "legacy":
        return Call("init_mcp", "GET", "/mcp/init", str)
    return Call("init_mcp", "POST", "/api-bridge-agent/mcp/init", str, repeatable=True)


def _preset(mode: Mode, service: str | None, generation: Generation, operation: str | None) -> str:
    if mode not in {"service", "direct"}:
        if service is not None:
            raise ApiValueError(f"in mode {mode!r} the bridge picks the service; give none")
        if mode not in _FIXED[generation]:
            raise ApiValueError(f"bridges of the {generation} generation have no mode {mode!r}")
        return _FIXED[generation][mode]
    if not isinstance(service, str) or not service.strip("/ "):
        raise ApiValueError(f"mode {mode!r} needs a service: its listen path, e.g. sendgrid")
    listen = _encoded("service_name", service.strip().strip("/"))
    if mode == "service":
        return f"/{listen}/"
    if not isinstance(operation, str) or not operation.strip("/ "):
        raise ApiValueError("mode 'direct' needs the operation's path, e.g. /v3/mail/send")
    return f"/{listen}/{_encoded('operation', operation.strip().removeprefix('/'))}"


def _own(path: str) -> str:
    if not isinstance(path, str) or not path.startswith("/"):
        raise ApiValueError(f"path begins with a slash, got {path!r}")
    return "/" + _encoded("path", path[1:])


def _encoded(what: str, path: str) -> str:
    segments = path.split("/")
    if {".", ".."} & set(segments) or {"?", "#"} & set(path) or not path.isprintable():
        raise ApiValueError(
            f"{what} is a path without query, dots and control characters: {path!r}"
        )
    try:
        return "/".join(quote(segment, safe=_IN_A_SEGMENT) for segment in segments)
    except UnicodeEncodeError:
        raise ApiValueError(f"{what} is no text that a URL can hold") from None
