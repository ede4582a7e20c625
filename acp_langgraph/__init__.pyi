from acp_langgraph.a2a.parts import FilePart as FilePart
from acp_langgraph.acp.agents import validate_descriptor as validate_descriptor
from acp_langgraph.acp.client import ACPClient as ACPClient
from acp_langgraph.acp.client import AsyncACPClient as AsyncACPClient
from acp_langgraph.auth import HeaderAuth as HeaderAuth
from acp_langgraph.auth import TokenAuth as TokenAuth
from acp_langgraph.bridge.calls import APIBridgeInput as APIBridgeInput
from acp_langgraph.bridge.calls import APIBridgeOutput as APIBridgeOutput
from acp_langgraph.bridge.client import AsyncBridgeClient as AsyncBridgeClient
from acp_langgraph.bridge.client import BridgeClient as BridgeClient
from acp_langgraph.checking.check import acheck_graph as acheck_graph
from acp_langgraph.checking.check import achecked as achecked
from acp_langgraph.checking.check import check_graph as check_graph
from acp_langgraph.checking.check import checked as checked
from acp_langgraph.checking.findings import Finding as Finding
from acp_langgraph.checking.findings import GraphReport as GraphReport
from acp_langgraph.config import ApiClientConfiguration as ApiClientConfiguration
from acp_langgraph.core.flow import RemoteEvent as RemoteEvent
from acp_langgraph.core.operations import ApiResponse as ApiResponse
from acp_langgraph.errors import A2ATaskError as A2ATaskError
from acp_langgraph.errors import (
    ACPDescriptorValidationException as ACPDescriptorValidationException,
)
from acp_langgraph.errors import AcpLangGraphError as AcpLangGraphError
from acp_langgraph.errors import ACPRunException as ACPRunException
from acp_langgraph.errors import ApiConnectionError as ApiConnectionError
from acp_langgraph.errors import ApiException as ApiException
from acp_langgraph.errors import ApiTimeoutError as ApiTimeoutError
from acp_langgraph.errors import CheckpointerRequiredError as CheckpointerRequiredError
from acp_langgraph.errors import CredentialsUnavailableError as CredentialsUnavailableError
from acp_langgraph.errors import GraphCheckError as GraphCheckError
from acp_langgraph.errors import MappingError as MappingError
from acp_langgraph.errors import MissingCredentialsError as MissingCredentialsError
from acp_langgraph.errors import NodeConfigurationError as NodeConfigurationError
from acp_langgraph.errors import NodeError as NodeError
from acp_langgraph.errors import NodeInputError as NodeInputError
from acp_langgraph.errors import NodeOutputError as NodeOutputError
from acp_langgraph.errors import OpenApiException as OpenApiException
from acp_langgraph.errors import RemoteGraphError as RemoteGraphError
from acp_langgraph.errors import RunError as RunError
from acp_langgraph.errors import RunLostError as RunLostError
from acp_langgraph.errors import RunOutputError as RunOutputError
from acp_langgraph.errors import RunTimeoutError as RunTimeoutError
from acp_langgraph.errors import UnknownAgentError as UnknownAgentError
from acp_langgraph.errors import UnknownOutcomeError as UnknownOutcomeError
from acp_langgraph.mapping.edges import (
    add_io_mapped_conditional_edge as add_io_mapped_conditional_edge,
)
from acp_langgraph.mapping.edges import add_io_mapped_edge as add_io_mapped_edge
from acp_langgraph.mapping.metadata import FieldMetadata as FieldMetadata
from acp_langgraph.mapping.metadata import IOMappingAgentMetadata as IOMappingAgentMetadata
from acp_langgraph.nodes.a2a import A2ANode as A2ANode
from acp_langgraph.nodes.acp import ACPNode as ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode as APIBridgeAgentNode
from acp_langgraph.nodes.drawing import describe_graph as describe_graph
from acp_langgraph.nodes.quant import QuantChatNode as QuantChatNode
from acp_langgraph.nodes.quant import QuantOrchestrationNode as QuantOrchestrationNode
from acp_langgraph.nodes.quant import QuantTaskNode as QuantTaskNode
from acp_langgraph.nodes.quant import QuantToolNode as QuantToolNode
from acp_langgraph.nodes.remote_graph import RemoteGraphNode as RemoteGraphNode
from acp_langgraph.quant.client import AsyncQuantClient as AsyncQuantClient
from acp_langgraph.quant.client import QuantClient as QuantClient

__version__: str
