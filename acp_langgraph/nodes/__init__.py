"""What users add to a graph."""

try:
    from langgraph.errors import GraphDrained
except ImportError as error:
    from importlib.metadata import version

    raise ImportError(
        f"acp_langgraph needs langgraph 1.2 or newer, and {version('langgraph')} is installed: "
        'pip install --upgrade "langgraph>=1.2,<2"',
        name=error.name,
    ) from error

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

del GraphDrained
