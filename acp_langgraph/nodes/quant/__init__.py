"""Quant's asynchronous tools, orchestrations, durable chats and tasks, as nodes."""

from acp_langgraph.nodes.quant.chat import QuantChatNode
from acp_langgraph.nodes.quant.orchestration import QuantOrchestrationNode
from acp_langgraph.nodes.quant.plan import TaskGraphState, task_graph
from acp_langgraph.nodes.quant.task import QuantTaskNode, report_progress
from acp_langgraph.nodes.quant.tool import QuantToolNode

__all__ = [
    "QuantChatNode",
    "QuantOrchestrationNode",
    "QuantTaskNode",
    "QuantToolNode",
    "TaskGraphState",
    "report_progress",
    "task_graph",
]
