"""A service that is told in plain words what to do, through AGNTCY's API Bridge; a human may object.

    python examples/api_bridge.py

The bridge and the service behind it are fakes from `acp_langgraph.testing`; for a real one, give its
URL and the service's API key. What is sent is sent once: a query may send a mail.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from acp_langgraph import APIBridgeAgentNode
from acp_langgraph.testing import BridgeQuery, FakeBridge


class State(TypedDict, total=False):
    """The graph's state."""

    subject: str
    recipient: str
    sent: str


def sendgrid(query: BridgeQuery) -> str:
    """The service: does what it is asked, and says so."""
    return f"Accepted by {query.service}."


def main() -> None:
    """Ask the human first, then the service."""
    with FakeBridge({"sendgrid": sendgrid}) as bridge:
        send = APIBridgeAgentNode(
            "send",
            bridge.url,
            "sendgrid",
            input="Send a mail about {subject} to {recipient}",
            output_path="sent",
            output_type=str,
            state_type=State,
            service_api_key="the service's own key",
            check="(?i)accepted",  # a bridge answers 200 whatever the service said
            confirm=True,
        )
        builder = StateGraph(State).add_node(send).add_edge(START, "send")
        graph: Any = builder.compile(checkpointer=InMemorySaver())
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        paused = graph.invoke({"subject": "tea", "recipient": "ada@example.com"}, config)
        print(paused["__interrupt__"][0].value)
        print(graph.invoke(Command(resume="yes"), config)["sent"])
        print(f"The service was asked {len(bridge.queries)} time: {bridge.queries[0].text!r}")


if __name__ == "__main__":
    main()
