"""What users add to a graph."""

from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode

__all__ = ["ACPNode", "APIBridgeAgentNode"]
