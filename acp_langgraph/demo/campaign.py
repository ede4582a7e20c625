"""The campaign: a graph whose work is done elsewhere.

This is all that a user of the package writes. Two agents run on an ACP server, and the mail goes out
through an API Bridge; what `mailcomposer` asks becomes an interrupt of this graph.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

from acp_langgraph.bridge.models import APIBridgeOutput
from acp_langgraph.demo.models import Brief, Draft, Review
from acp_langgraph.demo.outbox import SEND
from acp_langgraph.mapping import coalesce
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.bridge import APIBridgeAgentNode

__all__ = ["Campaign", "build"]


class Campaign(TypedDict, total=False):
    """The campaign's state."""

    brief: Brief
    sender: str
    recipient: str
    draft: Draft
    review: Review
    mail: Draft
    sent: APIBridgeOutput


def build(agents: str, bridge: str) -> StateGraph[Any, Any, Any, Any]:
    """The graph, still to be compiled with a checkpointer.

    Args:
        agents: URL of the server with the agents.
        bridge: URL of the gateway with the API Bridge.
    """
    mailcomposer = ACPNode(
        "mailcomposer",
        "mailcomposer",
        agents,
        input_path="brief",
        input_type=Brief,
        output_path="draft",
        output_type=Draft,
        on_cancel="detach",
    )
    email_reviewer = ACPNode(
        "email_reviewer",
        "email_reviewer",
        agents,
        input_path="draft",
        input_type=Draft,
        # What needed no correction goes out as it was drafted.
        output={"review": "", "mail": coalesce("corrected", "state:draft")},
        output_type=Review,
        state_type=Campaign,
        on_cancel="detach",
    )
    sendgrid = APIBridgeAgentNode(
        "sendgrid",
        bridge,
        "sendgrid",
        input=SEND,
        output_path="sent",
        state_type=Campaign,
        check="accepted",  # a bridge answers 200 whatever the service said
    )
    builder = StateGraph(Campaign)
    builder.add_node(mailcomposer)
    builder.add_node(email_reviewer)
    builder.add_node(sendgrid)
    builder.add_edge(START, "mailcomposer")
    builder.add_edge("mailcomposer", "email_reviewer")
    builder.add_edge("email_reviewer", "sendgrid")
    builder.add_edge("sendgrid", END)
    return builder
