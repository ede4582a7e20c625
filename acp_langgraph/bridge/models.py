"""What goes to an API Bridge and what comes back.

The bridge takes plain words and, but for one mode, answers in plain words: always with status 200,
whatever the service behind it said. So `APIBridgeOutput.status` tells about the bridge, not about
the work; whether the work was done is in `result`, for a human, a model or a `check` to judge.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
