"""An agent as it is known here: its card, what that says in the words of an ACP descriptor, how it is called, and what was found out about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from acp_langgraph.a2a.calls import Binding, Operation, made, reason_of
from acp_langgraph.a2a.card import AgentCard, explained, shown
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
from acp_langgraph.errors import (
    ApiException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
    UnknownAgentError,
)
from acp_langgraph.jobs.job import JobPolicy

T = TypeVar("T")


@dataclass(slots=True)
class Peer:
    """An agent, and what is known of its server.

    Attributes:
        card: What it says of itself.
        bindings: How it may be called, the best way first.
        is_sure: Whether the first of these was found to be understood.
        streams: Whether tasks can be followed.
        lists: Whether tasks can be listed.
        keeps_context: Whether a context of the client's is kept; `None` if that is not known.
        makes_tasks: Whether messages are answered with tasks, and not only with messages; `None` if
            that is not known.
    """

    card: AgentCard
    bindings: list[Binding]
    is_sure: bool = False
    streams: bool = field(init=False)
    lists: bool = True
    keeps_context: bool | None = None
    makes_tasks: bool | None = None

    def __post_init__(self) -> None:
        self.streams = bool(self.card.capabilities.streaming)

    @property
    def binding(self) -> Binding:
        """How it is called."""
        return self.bindings[0]

    def asked(
        self, make: Callable[[Binding], Operation[T]], policy: JobPolicy, *, tells: bool = True
    ) -> Flow[T]:
        """Have an operation performed, in the first way that the server understands.

        Args:
            make: The operation, of a binding.
            policy: How patient to be.
            tells: Whether a server that does not know the operation does not speak this version.
        """
        while True:
            binding = self.binding
            try:
                answer = yield from make(binding).done(policy)
            except (UnauthorizedException, ForbiddenException) as error:
                raise explained(error, self.card) from None
            except ApiException as error:
                if not self._may_speak_otherwise(error, tells=tells):
                    raise
                if self.binding is binding:  # and nobody else has found out meanwhile
                    self.bindings = self.bindings[1:]
            else:
                self.is_sure = self.is_sure or tells
                return answer

    def _may_speak_otherwise(self, error: ApiException, *, tells: bool) -> bool:
        if self.is_sure or len(self.bindings) == 1:
            return False
        reason = reason_of(error)
        return reason == "VERSION_NOT_SUPPORTED" or (tells and reason == "METHOD_NOT_FOUND")


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
