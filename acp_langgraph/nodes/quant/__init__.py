"""Quant's asynchronous tools, orchestrations, durable chats and tasks, as nodes."""

from acp_langgraph.nodes.quant.chat import QuantChatNode
from acp_langgraph.nodes.quant.orchestration import QuantOrchestrationNode
from acp_langgraph.nodes.quant.tool import QuantToolNode

__all__ = ["QuantChatNode", "QuantOrchestrationNode", "QuantToolNode"]
