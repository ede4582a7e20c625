"""Graphs with one of Quant's nodes; built in the processes that get killed."""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from acp_langgraph.nodes.quant import QuantChatNode, QuantTaskNode, QuantToolNode
from acp_langgraph.quant.polling import Pace

__all__ = ["build"]

QUICK = Pace(0.01, 0.02, 60.0)


class State(TypedDict, total=False):
    """The graph's state."""

    ask: Any
    answer: Any


def build(job: dict[str, Any]) -> Any:
    """The graph's builder."""
    builder = StateGraph(State)
    builder.add_node(NODES[job["kind"]](job))
    builder.add_edge(START, "remote")
    builder.add_edge("remote", END)
    return builder


def _common(job: dict[str, Any]) -> dict[str, Any]:
    wait = {"wait": "suspend"} if job.get("woken") else {}
    return {
        **wait,
        "configuration": job["url"],
        "organisation": "acme",
        "output_path": "answer",
        "pace": QUICK,
    }


def _tool(job: dict[str, Any]) -> QuantToolNode:
    return QuantToolNode(
        "remote",
        model_id="m",
        tools=job["tools"],
        input_path="ask",
        orchestration_pace=QUICK,
        answer=True,
        **_common(job),
    )


def _chat(job: dict[str, Any]) -> QuantChatNode:
    return QuantChatNode("remote", model_id="m", input_path="ask", tools=[shout], **_common(job))


def _task(job: dict[str, Any]) -> QuantTaskNode:
    return QuantTaskNode(
        "remote",
        _work,
        task_path="ask",
        worker=job["thread"],
        lease=job.get("lease", 60.0),
        settle=0.01,
        **_common(job),
    )


def shout(text: str) -> str:
    """Says it aloud."""
    return text.upper()


def _work(told: dict[str, Any]) -> dict[str, Any]:
    return {"did": told["task"]["title"]}


NODES = {"tool": _tool, "chat": _chat, "task": _task}
