"""An edge that maps what one node gives to what the next one takes: rules first, a model for the rest.

    python examples/mapped_edges.py

The rules are checked when the edge is made. The model is asked for one field only, which no rule
can tell. What it says is checked against the field's type and asked for again if it does not fit, as
happens here: its first answer is "asap".
"""

from __future__ import annotations

from typing import Literal, TypedDict

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langgraph.graph import START, StateGraph
from pydantic import BaseModel

from acp_langgraph import add_io_mapped_edge
from acp_langgraph.mapping import coalesce, llm


class Mail(BaseModel):
    """What the first node gives."""

    sender: str
    text: str
    subject: str | None = None


class Ticket(BaseModel):
    """What the second node takes."""

    title: str
    customer: str
    urgency: Literal["low", "high"]


class State(TypedDict, total=False):
    """The graph's state."""

    mail: Mail
    ticket: Ticket
    done: str


def file(state: State) -> State:
    """Take a ticket."""
    return {"done": f"Filed: {state['ticket']!r}"}


def main() -> None:
    """Build the graph, show what the edge does, and run it."""
    model = FakeListChatModel(responses=['{"urgency": "asap"}', '{"urgency": "high"}'])
    mail = Mail(sender="Ada", text="Nothing works since this morning!")
    builder = StateGraph(State)
    builder.add_node("receive", lambda _: {"mail": mail})
    builder.add_node(file)
    builder.add_edge(START, "receive")
    plan = add_io_mapped_edge(
        builder,
        "receive",
        "file",
        {
            "field_mapping": {
                "ticket.title": coalesce("mail.subject", "Mail from {mail.sender}"),
                "ticket.customer": "mail.sender",
                "ticket.urgency": llm("how urgent the mail sounds", "mail.text"),
            }
        },
        model,
    )
    print(plan.describe())
    print(builder.compile().invoke({})["done"])


if __name__ == "__main__":
    main()
