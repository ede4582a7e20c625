"""See `acp_langgraph.agntcy.acp_v0`."""

from acp_langgraph.agntcy.configuration import ApiClientConfiguration as Configuration

__all__ = ["Configuration"]
