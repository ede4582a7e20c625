"""Asking for an agent's card, and what it says in the words of an ACP descriptor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from acp_langgraph.a2a.calls import made
from acp_langgraph.a2a.card import AgentCard, shown
from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import (
    AgentACPDescriptor,
    AgentACPSpec,
    AgentCapabilities,
    AgentMetadata,
    AgentRef,
    StreamingCapabilities,
)
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import with_retries
from acp_langgraph.errors import NotFoundException, UnknownAgentError

CARD_PATH: Final = "/.well-known/agent-card.json"
_OLD_CARD_PATH: Final = "/.well-known/agent.json"  # before 0.3.0


@dataclass(frozen=True, slots=True)
class FoundCard(FoundAgent):
    """An agent and its card.

    Attributes:
        card: The card.
    """

    card: AgentCard


def find_card(where: str, retries: int) -> Flow[FoundCard]:
    """Ask for a card.

    Args:
        where: Its path below the configured base URL; anything else stands for where cards are.
        retries: How often a request is tried again.

    Raises:
        UnknownAgentError: If there is none.
    """
    for place in [where] if where.startswith("/") else [CARD_PATH, _OLD_CARD_PATH]:
        call: Call[dict[str, Any]] = Call("get_agent_card", "GET", place, dict[str, Any])
        try:
            found = yield from with_retries(call, retries)
        except NotFoundException as error:
            missing = error
        else:
            card: AgentCard = made(AgentCard, found, f"GET {place}")
            return FoundCard(place, descriptor_of(card), card)
    raise UnknownAgentError(
        f"there is no agent card ({missing}). Is the base URL that of an A2A agent? A card that is "
        "elsewhere on the same host is given with card_path='/...'; one that you have, with card=..."
    ) from None


def descriptor_of(card: AgentCard, skill: str | None = None) -> AgentACPDescriptor:
    """What a card says, as an ACP descriptor says it; of one skill, if one is named.

    A card has no schemas, and media types are as much as it tells: an agent that takes nothing but
    text takes a string. What comes is not told by them, for a text may be JSON.

    Raises:
        UnknownAgentError: If there is no such skill.
    """
    only = None if skill is None else card.skill(skill)
    takes = (only.input_modes if only is not None else []) or card.default_input_modes
    said = card.description if only is None else only.description or card.description
    ref = AgentRef(name=shown(card.name) or "agent", version=shown(card.version) or "unknown")
    can = AgentCapabilities(threads=True, streaming=StreamingCapabilities(custom=True))
    return AgentACPDescriptor(
        metadata=AgentMetadata(ref=ref, description=said),
        specs=AgentACPSpec(
            capabilities=can,
            input={"type": "string"} if is_text(takes) else {},
            output={},
            config={},
            custom_streaming_update={},
            thread_state={},
        ),
    )


def is_text(modes: Sequence[str]) -> bool:
    """Whether these media types are all texts, and none of them JSON."""
    return bool(modes) and all(mode == "text" or mode.startswith("text/") for mode in modes)
