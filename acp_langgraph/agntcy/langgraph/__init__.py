"""The nodes and edges of `agntcy_acp.langgraph`."""

from acp_langgraph.agntcy.langgraph.acp_node import ACPNode
from acp_langgraph.agntcy.langgraph.api_bridge import (
    APIBridgeAgentNode,
    APIBridgeInput,
    APIBridgeOutput,
)
from acp_langgraph.agntcy.langgraph.io_mapper import (
    add_io_mapped_conditional_edge,
    add_io_mapped_edge,
)

__all__ = [
    "ACPNode",
    "APIBridgeAgentNode",
    "APIBridgeInput",
    "APIBridgeOutput",
    "add_io_mapped_conditional_edge",
    "add_io_mapped_edge",
]
