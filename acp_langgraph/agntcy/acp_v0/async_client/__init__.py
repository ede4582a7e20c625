"""See `acp_langgraph.agntcy.acp_v0`."""
