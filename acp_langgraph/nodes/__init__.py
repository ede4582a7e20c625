"""What users add to a graph."""

from acp_langgraph.nodes.acp import ACPNode

__all__ = ["ACPNode"]
