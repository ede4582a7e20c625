"""See `acp_langgraph.agntcy.acp_v0`."""

from acp_langgraph.agntcy.api_client import AsyncApiClient as ApiClient

__all__ = ["ApiClient"]
