"""`agntcy_acp.langgraph.api_bridge`; the names are the package's own."""

from acp_langgraph.bridge.calls import APIBridgeInput, APIBridgeOutput
from acp_langgraph.nodes.bridge import APIBridgeAgentNode

__all__ = ["APIBridgeAgentNode", "APIBridgeInput", "APIBridgeOutput"]
