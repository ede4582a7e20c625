"""Quant's asynchronous tools, orchestrations, durable chats and tasks, as nodes."""

from acp_langgraph.nodes.quant.chat import QuantChatNode
from acp_langgraph.nodes.quant.tasks import (
    QuantTaskNode,
    TaskGraphState,
    report_progress,
    task_graph,
)
from acp_langgraph.nodes.quant.tools import QuantOrchestrationNode, QuantToolNode

__all__ = [
    "QuantChatNode",
    "QuantOrchestrationNode",
    "QuantTaskNode",
    "QuantToolNode",
    "TaskGraphState",
    "report_progress",
    "task_graph",
]
