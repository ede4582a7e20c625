"""Remote agents as LangGraph nodes: AGNTCY's Agent Connect Protocol 0.2.3.

    from acp_langgraph import ACPNode

The server and the fakes for tests have modules of their own: `acp_langgraph.server` (extra `server`)
and `acp_langgraph.testing`.
"""

from typing import Any

from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.acp.methods import ApiResponse
from acp_langgraph.bridge.client import AsyncBridgeClient, BridgeClient
from acp_langgraph.bridge.models import APIBridgeInput, APIBridgeOutput
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.flow import RemoteEvent
from acp_langgraph.errors import (
    ACPDescriptorValidationException,
    AcpLangGraphError,
    ACPRunException,
    ApiConnectionError,
    ApiException,
    ApiTimeoutError,
    CheckpointerRequiredError,
    MappingError,
    NodeConfigurationError,
    NodeError,
    NodeInputError,
    NodeOutputError,
    OpenApiException,
    RunError,
    RunLostError,
    RunTimeoutError,
    UnknownAgentError,
    UnknownOutcomeError,
)
from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge
from acp_langgraph.mapping.metadata import FieldMetadata, IOMappingAgentMetadata
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode

__all__ = [
    "ACPClient",
    "ACPDescriptorValidationException",
    "ACPNode",
    "ACPRunException",
    "APIBridgeAgentNode",
    "APIBridgeInput",
    "APIBridgeOutput",
    "AcpLangGraphError",
    "ApiClientConfiguration",
    "ApiConnectionError",
    "ApiException",
    "ApiResponse",
    "ApiTimeoutError",
    "AsyncACPClient",
    "AsyncBridgeClient",
    "BridgeClient",
    "CheckpointerRequiredError",
    "FieldMetadata",
    "IOMappingAgentMetadata",
    "MappingError",
    "NodeConfigurationError",
    "NodeError",
    "NodeInputError",
    "NodeOutputError",
    "OpenApiException",
    "RemoteEvent",
    "RunError",
    "RunLostError",
    "RunTimeoutError",
    "UnknownAgentError",
    "UnknownOutcomeError",
    "add_io_mapped_conditional_edge",
    "add_io_mapped_edge",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - costs more than the rest

        return version("acp-langgraph")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
