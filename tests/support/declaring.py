"""Agents that declare what they take, give and ask, for whoever looks at descriptors."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import BaseModel, Field
from support.agents import agent
from typing_extensions import TypedDict

from acp_langgraph.server import AgentInterrupt, ServedAgent

__all__ = ["Draft", "Review", "Settings", "declaring_agents", "descriptor"]


class Draft(BaseModel):
    """What the reviewer takes."""

    email: str = Field(description="The mail, as it is to be sent.")
    audience: Literal["general", "technical"]
    limit: int = 3


class Review(BaseModel):
    """What the reviewer gives."""

    corrected: str | None = None
    score: int


class Settings(BaseModel):
    """What the reviewer is set up with."""

    tone: str


class Whole(BaseModel):
    """The reviewer's state."""

    email: str = ""
    audience: str = ""
    limit: int = 3
    corrected: str | None = None
    score: int = 0


class Note(TypedDict):
    """The state of an agent that promises nothing."""

    text: NotRequired[str]
    loud: NotRequired[str]


def review(state: Draft) -> dict[str, Any]:
    return {"corrected": f"{state.email} ({state.audience})", "score": state.limit}


def declaring_agents() -> list[ServedAgent]:
    """`reviewer`, which declares everything; `shout`, which never asks; `open`, which says nothing."""
    reviewer = agent(
        review, Whole, input_schema=Draft, output_schema=Review, context_schema=Settings
    )
    question = {"type": "object", "properties": {"draft": {"type": "string"}}}
    return [
        ServedAgent(
            "reviewer",
            reviewer,
            version="1.2.0",
            description="Corrects mails.",
            interrupts=[AgentInterrupt("approve", question, bool)],
        ),
        ServedAgent(
            "shout", agent(lambda note: {"loud": note["text"].upper()}, Note), interrupts=[]
        ),
        ServedAgent("open", agent(lambda state: state, dict), interrupts=[]),
    ]


def descriptor(name: str = "odd", **specs: Any) -> dict[str, Any]:
    """A descriptor on the wire."""
    return {
        "metadata": {"ref": {"name": name, "version": "1.0.0"}, "description": ""},
        "specs": {"capabilities": {}, "input": {}, "output": {}, "config": {}, **specs},
    }
