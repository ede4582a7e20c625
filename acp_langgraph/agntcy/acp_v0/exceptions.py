"""See `acp_langgraph.agntcy.acp_v0`."""

from acp_langgraph.agntcy.exceptions import *  # noqa: F403 - all of them
