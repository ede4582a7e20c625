"""Remote agents as LangGraph nodes: AGNTCY's Agent Connect Protocol 0.2.3.

    from acp_langgraph import ACPNode

Names are imported when they are first used, so that a client costs no graph and a graph no server. The
server and the fakes for tests have modules of their own: `acp_langgraph.server` (extra `server`) and
`acp_langgraph.testing`.

Nothing is printed unless the application configures logging. `acp_langgraph.runs` tells of the life of
remote runs, `acp_langgraph.nodes` of what deserves a warning, `acp_langgraph.http` of every exchange (with
`debug=True` in the configuration), `acp_langgraph.server` of the server.
"""

import logging
from typing import TYPE_CHECKING, Any

from acp_langgraph.lazy import lazily

if TYPE_CHECKING:
    from acp_langgraph.acp.client import (
        ACPClient,
        AsyncACPClient,
    )
    from acp_langgraph.acp.descriptor import (
        validate_descriptor,
    )
    from acp_langgraph.auth import (
        HeaderAuth,
        TokenAuth,
    )
    from acp_langgraph.bridge.client import (
        AsyncBridgeClient,
        BridgeClient,
    )
    from acp_langgraph.bridge.models import (
        APIBridgeInput,
        APIBridgeOutput,
    )
    from acp_langgraph.checking.check import (
        acheck_graph,
        achecked,
        check_graph,
        checked,
    )
    from acp_langgraph.checking.findings import (
        Finding,
        GraphReport,
    )
    from acp_langgraph.config import (
        ApiClientConfiguration,
    )
    from acp_langgraph.core.flow import (
        RemoteEvent,
    )
    from acp_langgraph.core.methods import (
        ApiResponse,
    )
    from acp_langgraph.errors import (
        ACPDescriptorValidationException,
        AcpLangGraphError,
        ACPRunException,
        ApiConnectionError,
        ApiException,
        ApiTimeoutError,
        CheckpointerRequiredError,
        CredentialsUnavailableError,
        GraphCheckError,
        MappingError,
        MissingCredentialsError,
        NodeConfigurationError,
        NodeError,
        NodeInputError,
        NodeOutputError,
        OpenApiException,
        RunError,
        RunLostError,
        RunOutputError,
        RunTimeoutError,
        UnknownAgentError,
        UnknownOutcomeError,
    )
    from acp_langgraph.mapping.edges import (
        add_io_mapped_conditional_edge,
        add_io_mapped_edge,
    )
    from acp_langgraph.mapping.metadata import (
        FieldMetadata,
        IOMappingAgentMetadata,
    )
    from acp_langgraph.nodes.acp import (
        ACPNode,
    )
    from acp_langgraph.nodes.bridge import (
        APIBridgeAgentNode,
    )
    from acp_langgraph.nodes.drawing import (
        describe_graph,
    )
    from acp_langgraph.nodes.quant import (
        QuantChatNode,
        QuantOrchestrationNode,
        QuantTaskNode,
        QuantToolNode,
    )
    from acp_langgraph.quant.client import (
        AsyncQuantClient,
        QuantClient,
    )

logging.getLogger(__name__).addHandler(logging.NullHandler())

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
    "AsyncQuantClient",
    "BridgeClient",
    "CheckpointerRequiredError",
    "CredentialsUnavailableError",
    "FieldMetadata",
    "Finding",
    "GraphCheckError",
    "GraphReport",
    "HeaderAuth",
    "IOMappingAgentMetadata",
    "MappingError",
    "MissingCredentialsError",
    "NodeConfigurationError",
    "NodeError",
    "NodeInputError",
    "NodeOutputError",
    "OpenApiException",
    "QuantChatNode",
    "QuantClient",
    "QuantOrchestrationNode",
    "QuantTaskNode",
    "QuantToolNode",
    "RemoteEvent",
    "RunError",
    "RunLostError",
    "RunOutputError",
    "RunTimeoutError",
    "TokenAuth",
    "UnknownAgentError",
    "UnknownOutcomeError",
    "acheck_graph",
    "achecked",
    "add_io_mapped_conditional_edge",
    "add_io_mapped_edge",
    "check_graph",
    "checked",
    "describe_graph",
    "validate_descriptor",
]

__version__: str

_HOMES = {
    "acp.client": ("ACPClient", "AsyncACPClient"),
    "acp.descriptor": ("validate_descriptor",),
    "auth": ("HeaderAuth", "TokenAuth"),
    "bridge.client": ("AsyncBridgeClient", "BridgeClient"),
    "bridge.models": ("APIBridgeInput", "APIBridgeOutput"),
    "checking.check": ("acheck_graph", "achecked", "check_graph", "checked"),
    "checking.findings": ("Finding", "GraphReport"),
    "config": ("ApiClientConfiguration",),
    "core.flow": ("RemoteEvent",),
    "core.methods": ("ApiResponse",),
    "errors": (
        "ACPDescriptorValidationException",
        "AcpLangGraphError",
        "ACPRunException",
        "ApiConnectionError",
        "ApiException",
        "ApiTimeoutError",
        "CheckpointerRequiredError",
        "GraphCheckError",
        "CredentialsUnavailableError",
        "MappingError",
        "MissingCredentialsError",
        "NodeConfigurationError",
        "NodeError",
        "NodeInputError",
        "NodeOutputError",
        "OpenApiException",
        "RunError",
        "RunLostError",
        "RunOutputError",
        "RunTimeoutError",
        "UnknownAgentError",
        "UnknownOutcomeError",
    ),
    "mapping.edges": ("add_io_mapped_conditional_edge", "add_io_mapped_edge"),
    "mapping.metadata": ("FieldMetadata", "IOMappingAgentMetadata"),
    "nodes.acp": ("ACPNode",),
    "nodes.bridge": ("APIBridgeAgentNode",),
    "nodes.drawing": ("describe_graph",),
    "nodes.quant": ("QuantChatNode", "QuantOrchestrationNode", "QuantTaskNode", "QuantToolNode"),
    "quant.client": ("AsyncQuantClient", "QuantClient"),
}


if not TYPE_CHECKING:  # a checker would take any name for one that is there
    _find, __dir__ = lazily(__name__, _HOMES)

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415 - rarely wanted

            return version("acp-langgraph")
        return _find(name)
