"""What an A2A agent says of itself: where it is, what it can, and what it wants to be shown.

Cards of 1.0 and of 0.3 are read alike; some carry both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AliasChoices, Field

from acp_langgraph.a2a.models import A2AModel, made
from acp_langgraph.acp.agents import FoundAgent, descriptor_of
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import with_retries
from acp_langgraph.errors import NotFoundException, UnknownAgentError
from acp_langgraph.json_schema.reading import one_line

MOST_SHOWN: Final = 5
_LONGEST_SHOWN: Final = 200
_PATHS: Final = ("/.well-known/agent-card.json", "/.well-known/agent.json")  # before 0.3.0

_SCHEMES: Final = {
    ("apiKeySecurityScheme", "apiKey"): "an API key in the {location}{in} {name}",
    ("httpAuthSecurityScheme", "http"): "Authorization: {scheme}",
    ("oauth2SecurityScheme", "oauth2"): "a token of OAuth 2.0",
    ("openIdConnectSecurityScheme", "openIdConnect"): "OpenID Connect ({openIdConnectUrl})",
    ("mtlsSecurityScheme", "mutualTLS"): "a client's certificate (mutual TLS)",
}
"""What a security scheme demands, by what 1.0 and 0.3 call it."""


class Interface(A2AModel):
    """Where an agent is, and what it speaks there.

    Attributes:
        url: The address.
        protocol_binding: `JSONRPC`, `HTTP+JSON` or `GRPC`.
        protocol_version: `1.0` or `0.3`, or empty.
        tenant: Whose agent it is, where a server has several.
    """

    url: str = ""
    protocol_binding: str = Field("", validation_alias=AliasChoices("protocolBinding", "transport"))
    protocol_version: str = ""
    tenant: str = ""


class Capabilities(A2AModel):
    """What an agent's server can beside answering."""

    streaming: bool = False
    push_notifications: bool = False
    extended_agent_card: bool = False


class Skill(A2AModel):
    """Something that an agent can do."""

    id: str = ""
    name: str = ""
    description: str = ""
    input_modes: list[str] = Field(default_factory=list)
    output_modes: list[str] = Field(default_factory=list)


class AgentCard(A2AModel):
    """An agent's card.

    Attributes:
        name: Its name.
        description: What it says it is for.
        version: Its version.
        supported_interfaces: Where it is, the preferred one first.
        capabilities: What its server can.
        security_schemes: By name, the ways to show who one is, as the card has them.
        security_requirements: Which of them are wanted, as the card has them.
        default_input_modes: The media types that it takes.
        default_output_modes: The media types that it gives.
        skills: What it can do.
    """

    name: str = ""
    description: str = ""
    version: str = ""
    supported_interfaces: list[Interface] = Field(default_factory=list)
    capabilities: Capabilities = Field(default_factory=Capabilities)
    security_schemes: dict[str, Any] = Field(default_factory=dict)
    security_requirements: list[Any] = Field(default_factory=list)
    default_input_modes: list[str] = Field(default_factory=list)
    default_output_modes: list[str] = Field(default_factory=list)
    skills: list[Skill] = Field(default_factory=list)
    # What cards of 0.3 have instead.
    url: str = ""
    preferred_transport: str = "JSONRPC"
    additional_interfaces: list[Interface] = Field(default_factory=list)
    security: list[Any] = Field(default_factory=list)
    supports_authenticated_extended_card: bool = False

    @property
    def interfaces(self) -> list[Interface]:
        """Where the agent is, whichever version the card is of."""
        if self.supported_interfaces:
            return self.supported_interfaces
        first = Interface(url=self.url, protocol_binding=self.preferred_transport)
        old = {"protocol_version": "0.3"}
        others = [first, *self.additional_interfaces]
        return [each.model_copy(update=old) for each in others if each.url]

    @property
    def has_extended_card(self) -> bool:
        """Whether who has signed in is told more."""
        return self.capabilities.extended_agent_card or self.supports_authenticated_extended_card

    @property
    def wants(self) -> str:
        """What the agent wants to be shown, for people; empty if nothing."""
        ways = []
        for each in [*self.security_requirements, *self.security][:MOST_SHOWN]:
            named = each.get("schemes", each) if isinstance(each, Mapping) else {}
            if isinstance(named, Mapping):
                ways.append(" and ".join(self._scheme(name) for name in list(named)[:MOST_SHOWN]))
        return " or ".join(dict.fromkeys(way for way in ways if way))

    def of_skill(self, wanted: str | None) -> tuple[str, Sequence[str], Sequence[str]]:
        """What a skill is for, and the media types that it takes and gives; by default, the agent.

        Args:
            wanted: The skill's id, or else its name.

        Raises:
            UnknownAgentError: If there is none; names what there is.
        """
        takes, gives = self.default_input_modes, self.default_output_modes
        if wanted is None:
            return self.description, takes, gives
        named = [each for each in self.skills if each.id == wanted]
        for skill in named or [each for each in self.skills if each.name == wanted]:
            said = skill.description or self.description
            return said, skill.input_modes or takes, skill.output_modes or gives
        there = ", ".join(shown(each.id) for each in self.skills[: 2 * MOST_SHOWN]) or "none"
        raise UnknownAgentError(
            f"the agent {shown(self.name)!r} has no skill {wanted!r}; it has {there}"
        )

    def _scheme(self, name: str) -> str:
        given = self.security_schemes.get(name)
        scheme = given if isinstance(given, Mapping) else {}
        for (new, old), words in _SCHEMES.items():
            said = scheme.get(new, scheme if scheme.get("type") == old else None)
            if isinstance(said, Mapping):
                known = {key: shown(value) for key, value in said.items()}
                return words.format_map(defaultdict(str, known))
        return shown(name)


def shown(text: Any) -> str:
    """A text of a card's in one line, for people."""
    return one_line(str(text), _LONGEST_SHOWN)


@dataclass(frozen=True, slots=True)
class FoundCard(FoundAgent):
    """An agent and its card.

    Attributes:
        card: The card.
    """

    card: AgentCard


def find_card(where: str, retries: int, skill: str | None = None) -> Flow[FoundCard]:
    """Ask for a card.

    Args:
        where: Its path below the configured base URL; anything else stands for where cards are.
        retries: How often a request is tried again.
        skill: What of it is wanted.

    Raises:
        UnknownAgentError: If there is none, or it has no such skill.
    """
    for place in [where] if where.startswith("/") else _PATHS:
        call: Call[AgentCard] = Call("get_agent_card", "GET", place, AgentCard)
        try:
            card = yield from with_retries(call, retries)
        except NotFoundException as error:
            missing = error
        else:
            return described(card, skill, place)
    raise UnknownAgentError(
        f"there is no agent card ({missing}). Is the base URL that of an A2A agent? A card that is "
        "elsewhere on the same host is given with card_path='/...'; one that you have, with card=..."
    ) from None


def described(
    given: AgentCard | Mapping[str, Any], skill: str | None = None, place: str = ""
) -> FoundCard:
    """A card, with what it says as an ACP descriptor says it; of one skill, if one is named.

    A card has no schemas, and media types are as much as it tells: an agent that takes nothing but
    text takes a string. What comes is not told by them, for a text may be JSON.

    Raises:
        UnreadableAnswerException: If it is no card.
        UnknownAgentError: If there is no such skill.
    """
    card = given if isinstance(given, AgentCard) else made(AgentCard, given, "the card")
    said, takes, _ = card.of_skill(skill)
    name, version = shown(card.name) or "agent", shown(card.version) or "unknown"
    input_schema = {"type": "string"} if is_text(takes) else {}
    descriptor = descriptor_of(name, version, said, ("custom",), input=input_schema)
    return FoundCard(place, descriptor, card)


def is_text(modes: Sequence[str]) -> bool:
    """Whether these media types are all texts, and none of them JSON."""
    return bool(modes) and all(mode == "text" or mode.startswith("text/") for mode in modes)
