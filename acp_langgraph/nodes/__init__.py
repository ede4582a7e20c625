"""What users add to a graph."""

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode
from acp_langgraph.nodes.quant import (
    QuantChatNode,
    QuantOrchestrationNode,
    QuantTaskNode,
    QuantToolNode,
)

__all__ = [
    "ACPNode",
    "APIBridgeAgentNode",
    "QuantChatNode",
    "QuantOrchestrationNode",
    "QuantTaskNode",
    "QuantToolNode",
]
