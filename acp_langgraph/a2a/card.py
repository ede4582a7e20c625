"""What an A2A agent says of itself: where it is, what it can, and what it wants to be shown.

Cards of 1.0 and of 0.3 are read alike; some carry both. Where a card says that the agent is, requests
go only if that is at the configured host: credentials and the content of messages are meant for it, and
a card is what somebody else wrote. Names that mean "this machine" (`localhost`, `0.0.0.0`), which cards
often carry to wherever they are served, are taken for the configured host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, Field

from acp_langgraph.a2a.calls import Binding, HttpJson, JsonRpc, OldJsonRpc
from acp_langgraph.a2a.models import A2AModel, Listed, Text
from acp_langgraph.errors import ApiException, NodeConfigurationError, UnknownAgentError

_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1", "::"})  # noqa: S104 - names, and nothing listens
_PATH: Final = re.compile(r"(/[\x21-\x7e]*)?")
_MOST_SHOWN: Final = 5
_LONGEST_SHOWN: Final = 200


def _or_nothing(value: Any) -> Any:
    return {} if value is None else value


_Object = Annotated[dict[str, Any], BeforeValidator(_or_nothing)]


class Interface(A2AModel):
    """Where an agent is, and what it speaks there.

    Attributes:
        url: The address.
        protocol_binding: `JSONRPC`, `HTTP+JSON` or `GRPC`.
        protocol_version: `1.0` or `0.3`, or empty.
        tenant: Whose agent it is, where a server has several.
    """

    url: Text = ""
    protocol_binding: Text = ""
    protocol_version: Text = ""
    tenant: Text = ""


class Capabilities(A2AModel):
    """What an agent's server can beside answering."""

    streaming: bool | None = None
    push_notifications: bool | None = None
    extended_agent_card: bool | None = None


class Skill(A2AModel):
    """Something that an agent can do."""

    id: Text = ""
    name: Text = ""
    description: Text = ""
    tags: Listed[str] = Field(default_factory=list)
    examples: Listed[str] = Field(default_factory=list)
    input_modes: Listed[str] = Field(default_factory=list)
    output_modes: Listed[str] = Field(default_factory=list)


class _OldInterface(A2AModel):
    url: Text = ""
    transport: Text = ""


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

    name: Text = ""
    description: Text = ""
    version: Text = ""
    supported_interfaces: Listed[Interface] = Field(default_factory=list)
    capabilities: Annotated[Capabilities, BeforeValidator(_or_nothing)] = Field(
        default_factory=Capabilities
    )
    security_schemes: _Object = Field(default_factory=dict)
    security_requirements: Listed[Any] = Field(default_factory=list)
    default_input_modes: Listed[str] = Field(default_factory=list)
    default_output_modes: Listed[str] = Field(default_factory=list)
    skills: Listed[Skill] = Field(default_factory=list)
    # What cards of 0.3 have instead.
    url: Text = ""
    preferred_transport: Text = ""
    additional_interfaces: Listed[_OldInterface] = Field(default_factory=list)
    security: Listed[Any] = Field(default_factory=list)
    supports_authenticated_extended_card: bool | None = None

    @property
    def interfaces(self) -> list[Interface]:
        """Where the agent is, whichever version the card is of."""
        if self.supported_interfaces:
            return self.supported_interfaces
        first = _OldInterface(url=self.url, transport=self.preferred_transport or "JSONRPC")
        return [
            Interface(url=each.url, protocol_binding=each.transport, protocol_version="0.3")
            for each in [first, *self.additional_interfaces]
            if each.url
        ]

    @property
    def has_extended_card(self) -> bool:
        """Whether who has signed in is told more."""
        return bool(
            self.capabilities.extended_agent_card or self.supports_authenticated_extended_card
        )

    @property
    def wants(self) -> str:
        """What the agent wants to be shown, for people; empty if nothing."""
        ways = []
        for each in [*self.security_requirements, *self.security][:_MOST_SHOWN]:
            named = each.get("schemes", each) if isinstance(each, Mapping) else {}
            if isinstance(named, Mapping):
                ways.append(" and ".join(self._scheme(name) for name in list(named)[:_MOST_SHOWN]))
        return " or ".join(dict.fromkeys(way for way in ways if way))

    def skill(self, wanted: str) -> Skill:
        """The skill of an id, or else of a name.

        Raises:
            UnknownAgentError: If there is none; names what there is.
        """
        for names in ([each.id for each in self.skills], [each.name for each in self.skills]):
            if wanted in names:
                return self.skills[names.index(wanted)]
        there = ", ".join(shown(each.id) for each in self.skills[: 2 * _MOST_SHOWN]) or "none"
        raise UnknownAgentError(
            f"the agent {shown(self.name)!r} has no skill {wanted!r}; it has {there}"
        )

    def _scheme(self, name: str) -> str:
        scheme = self.security_schemes.get(name)
        for kind, said in _schemes(scheme if isinstance(scheme, Mapping) else {}):
            match kind:
                case "apiKey":
                    where = said.get("location") or said.get("in") or "header"
                    return f"an API key in the {shown(where)} {shown(said.get('name'))}"
                case "http":
                    return f"Authorization: {shown(said.get('scheme'))}"
                case "oauth2":
                    return "a token of OAuth 2.0"
                case "openIdConnect":
                    return f"a token of OpenID Connect ({shown(said.get('openIdConnectUrl'))})"
                case "mutualTLS":
                    return "a client's certificate (mutual TLS)"
        return shown(name)


def _schemes(scheme: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The kind of a security scheme, as 0.3 calls it, and what belongs to it."""
    kinds = {
        "apiKeySecurityScheme": "apiKey",
        "httpAuthSecurityScheme": "http",
        "oauth2SecurityScheme": "oauth2",
        "openIdConnectSecurityScheme": "openIdConnect",
        "mtlsSecurityScheme": "mutualTLS",
    }
    for name, kind in kinds.items():
        if isinstance(scheme.get(name), Mapping):
            yield kind, scheme[name]
    if isinstance(scheme.get("type"), str):
        yield scheme["type"], scheme


def shown(text: Any) -> str:
    """A text of a card's in one line, for people."""
    line = "".join(each if each.isprintable() else " " for each in str(text))
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 3] + "..."


def bindings_of(card: AgentCard, base_url: str, node: str = "") -> list[Binding]:
    """How the agent can be called, the best way first.

    1.0 comes before 0.3. Servers have been seen to declare 0.3, or no version, for an interface
    where they speak 1.0, so whatever is in `supportedInterfaces` is tried in 1.0 first.

    Args:
        card: Its card.
        base_url: The configured base URL.
        node: The node's name, for errors.

    Raises:
        NodeConfigurationError: If there is no way; says what the card offers.
    """
    found: list[tuple[int, Binding]] = []
    elsewhere = []
    for each in card.interfaces:
        kind = each.protocol_binding.upper()
        if kind not in {"JSONRPC", "HTTP+JSON"}:
            continue
        where = _below(each.url, base_url)
        if where is None:
            elsewhere.append(each.url)
            continue
        is_old = each.protocol_version.startswith("0.")
        if card.supported_interfaces:
            modern = JsonRpc if kind == "JSONRPC" else HttpJson
            found.append((1 if is_old else 0, modern(where, each.tenant)))
        if is_old and kind == "JSONRPC":
            found.append((2, OldJsonRpc(where)))
    if found:
        return [binding for _, binding in sorted(found, key=lambda each: each[0])]
    if elsewhere:
        raise NodeConfigurationError(
            f"the card of {shown(card.name)!r} says that the agent is at {shown(elsewhere[0])}, and "
            f"messages and credentials go to {base_url} only. If you trust it, give that address as "
            "client_config, and the card as card=... where it is not served there",
            node=node,
        )
    offered = ", ".join(
        f"{shown(each.protocol_binding)} {shown(each.protocol_version)}".strip()
        for each in card.interfaces[:_MOST_SHOWN]
    )
    raise NodeConfigurationError(
        f"the agent {shown(card.name)!r} offers {offered or 'no interface'}; what is spoken here is "
        "A2A 1.0 over JSONRPC or HTTP+JSON, and 0.3 over JSONRPC",
        node=node,
    )


def _below(url: str, base_url: str) -> str | None:
    """Where an address is below the configured base URL; `None` if it is elsewhere."""
    address, base = _split(url), urlsplit(base_url)
    if address is None or not _PATH.fullmatch(address.path):
        return None
    if address.hostname not in _THIS_MACHINE and _place(address) != _place(base):
        return None
    root = base.path.rstrip("/")
    if address.path != root and not address.path.startswith(f"{root}/"):
        return None
    return address.path[len(root) :]


def _place(parts: SplitResult) -> tuple[str, int | None]:
    """The host; whether TLS is spoken to it is the configuration's business."""
    return (parts.hostname or "", parts.port)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where the port is no number
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def explained(error: ApiException, card: AgentCard | None) -> ApiException:
    """A refusal, with what the card says that the agent wants to be shown."""
    if card is None or not card.wants:
        return error
    return error.retold(
        f"{error.reason or 'refused'}; the agent's card wants {card.wants}. Give it with headers= or auth= "
        "of the node, or with api_key or access_token of the client configuration"
    )
