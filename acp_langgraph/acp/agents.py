"""Finding a server's agents, and what one says of itself and of its questions."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import Agent, AgentACPDescriptor
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import with_retries
from acp_langgraph.core.wire import came
from acp_langgraph.errors import (
    ApiConnectionError,
    ApiException,
    ForbiddenException,
    NotFoundException,
    OpenApiException,
    UnauthorizedException,
    UnexpectedStatusException,
    UnknownAgentError,
    UnreadableAnswerException,
)

__all__ = [
    "FoundAgent",
    "describe_agent",
    "find_agent",
    "is_uuid",
    "list_agents",
    "resolve_agent",
    "resume_schema",
]

_PAGE: Final = 100
_MOST_AGENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """An agent of a server.

    Attributes:
        agent_id: Its id there.
        descriptor: What it says of itself.
    """

    agent_id: str
    descriptor: AgentACPDescriptor

    @property
    def name(self) -> str:
        """The agent's name."""
        return self.descriptor.metadata.ref.name


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, as all ids of the protocol are, and not an agent's name."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def resolve_agent(name: str, retries: int) -> Flow[str]:
    """The id of the agent of that name; the newest version, should there be several.

    Raises:
        UnknownAgentError: If there is none; names what the server has.
    """
    try:
        agents = yield from with_retries(calls.search_agents({"name": name}), retries)
    except (NotFoundException, UnexpectedStatusException, UnreadableAnswerException) as error:
        raise _no_agent_server(error) from None
    named = [agent for agent in agents if agent.metadata.ref.name == name]
    if named:
        return max(named, key=lambda agent: _version(agent.metadata.ref.version)).agent_id
    others = yield from _names(retries)
    near = difflib.get_close_matches(name, others, n=3) or others[:10]
    raise UnknownAgentError(f"the server knows no agent named {name!r}{_hint(near)}")


def find_agent(agent: str, retries: int) -> Flow[FoundAgent]:
    """An agent with its descriptor, by its id or its name.

    Raises:
        UnknownAgentError: If there is none; names what the server has.
        OpenApiException: If the server cannot be asked, or gives no descriptor that can be read.
    """
    if not is_uuid(agent):
        agent_id = yield from resolve_agent(agent, retries)
    else:
        agent_id = agent
    try:
        descriptor = yield from with_retries(calls.get_acp_descriptor_by_id(agent_id), retries)
    except NotFoundException:
        near = (yield from _names(retries))[:10]
        raise UnknownAgentError(
            f"the server knows no agent with the id {agent_id}{_hint(near)}"
        ) from None
    return FoundAgent(agent_id, descriptor)


def list_agents(retries: int) -> Flow[list[Agent]]:
    """All agents that a server lists, in its order; at most 1000."""
    found: dict[str, Agent] = {}
    offset = 0
    while len(found) < _MOST_AGENTS:
        page = {"limit": _PAGE, "offset": offset}
        agents = yield from with_retries(calls.search_agents(page), retries)
        new = {agent.agent_id: agent for agent in agents if agent.agent_id not in found}
        found |= new
        offset += came(agents)
        if came(agents) < _PAGE or not new:
            break  # a server that knows no pages gives the first one again
    return list(found.values())[:_MOST_AGENTS]


def _names(retries: int) -> Flow[Sequence[str]]:
    """The names of a server's agents, as far as it tells."""
    try:
        others = yield from with_retries(calls.search_agents({"limit": _PAGE}), retries)
    except (ApiConnectionError, UnauthorizedException, ForbiddenException):
        raise
    except OpenApiException:
        others = []  # AGNTCY's server does not list everything
    return sorted({agent.metadata.ref.name for agent in others})


def _hint(names: Sequence[str]) -> str:
    return f"; it has {', '.join(map(repr, names))}" if names else ""


def _no_agent_server(error: ApiException) -> ApiException:
    """The same error, telling that the server seems to be another one than was meant."""
    said = str(error).partition(f" answered {error.status}: ")[2] or "nothing more"
    return error.retold(
        f"{said}. A server of AGNTCY's Agent Connect Protocol lists its agents there; is the host one, "
        "without a path that is not its own? (Zed's and IBM's ACP are other protocols)"
    )


def describe_agent(agent_id: str, retries: int) -> Flow[AgentACPDescriptor | None]:
    """An agent's descriptor, or `None` where the server gives none that can be read."""
    try:
        return (yield from with_retries(calls.get_acp_descriptor_by_id(agent_id), retries))
    except OpenApiException:
        return None


def resume_schema(descriptor: AgentACPDescriptor | None, payload: Any) -> dict[str, Any] | None:
    """The JSON Schema that an answer to a question must fit, where the agent declares one.

    A question names its kind by a field `interrupt_type`, or, as AGNTCY's server does it, by being
    an object with the kind as its only key. An agent with one kind of question means that one.
    """
    kinds = (descriptor.specs.interrupts if descriptor else None) or []
    by_name = {kind.interrupt_type: kind.resume_payload for kind in kinds}
    match payload:
        case {"interrupt_type": str(name)} if name in by_name:
            return by_name[name] or None
        case dict() if len(payload) == 1 and next(iter(payload)) in by_name:
            return by_name[next(iter(payload))] or None
    return (kinds[0].resume_payload or None) if len(kinds) == 1 else None


def _version(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in text.split(".")]
