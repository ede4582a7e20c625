"""Remote agents as LangGraph nodes: AGNTCY's Agent Connect Protocol 0.2.3.

    from acp_langgraph import ACPNode

The server and the fakes for tests have modules of their own: `acp_langgraph.server` (extra `server`)
and `acp_langgraph.testing`.
"""

from typing import Any

from acp_langgraph.acp.client import ACPClient, AsyncACPClient
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.methods import ApiResponse
from acp_langgraph.errors import (
    ACPDescriptorValidationException,
    AcpLangGraphError,
    ACPRunException,
    ApiConnectionError,
    ApiException,
    ApiTimeoutError,
    CheckpointerRequiredError,
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
from acp_langgraph.nodes.acp import ACPNode

__all__ = [
    "ACPClient",
    "ACPDescriptorValidationException",
    "ACPNode",
    "ACPRunException",
    "AcpLangGraphError",
    "ApiClientConfiguration",
    "ApiConnectionError",
    "ApiException",
    "ApiResponse",
    "ApiTimeoutError",
    "AsyncACPClient",
    "CheckpointerRequiredError",
    "NodeConfigurationError",
    "NodeError",
    "NodeInputError",
    "NodeOutputError",
    "OpenApiException",
    "RunError",
    "RunLostError",
    "RunTimeoutError",
    "UnknownAgentError",
    "UnknownOutcomeError",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - costs more than the rest

        return version("acp-langgraph")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
