"""The campaign: a graph whose work is done by remote agents.

This is all that a user of the package writes. Both agents run elsewhere; what `mailcomposer` asks
becomes an interrupt of this graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from acp_langgraph.demo.models import Brief, Draft, Review
from acp_langgraph.demo.outbox import write_mail
from acp_langgraph.nodes import ACPNode

__all__ = ["Campaign", "build"]


class Campaign(TypedDict, total=False):
    """The campaign's state."""

    brief: Brief
    sender: str
    recipient: str
    draft: Draft
    review: Review
    written: str


def build(host: str, outbox: Path) -> StateGraph[Any, Any, Any, Any]:
    """The graph, still to be compiled with a checkpointer.

    Args:
        host: URL of the server with the agents.
        outbox: The folder that mails are written to.
    """
    mailcomposer = ACPNode(
        "mailcomposer",
        "mailcomposer",
        host,
        input_path="brief",
        input_type=Brief,
        output_path="draft",
        output_type=Draft,
        on_cancel="detach",
    )
    email_reviewer = ACPNode(
        "email_reviewer",
        "email_reviewer",
        host,
        input_path="draft",
        input_type=Draft,
        output_path="review",
        output_type=Review,
        on_cancel="detach",
    )

    def write(state: Campaign, config: RunnableConfig) -> Campaign:
        draft = state["review"].corrected or state["draft"]
        file = write_mail(
            outbox,
            draft,
            sender=state["sender"],
            recipient=state["recipient"],
            key=config["configurable"]["thread_id"],
        )
        return {"written": str(file)}

    builder = StateGraph(Campaign)
    builder.add_node(mailcomposer)
    builder.add_node(email_reviewer)
    builder.add_node("write", write)
    builder.add_edge(START, "mailcomposer")
    builder.add_edge("mailcomposer", "email_reviewer")
    builder.add_edge("email_reviewer", "write")
    builder.add_edge("write", END)
    return builder
