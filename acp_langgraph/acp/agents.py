"""Finding an agent by name, and what it says of its questions."""

from __future__ import annotations

import difflib
from typing import Any
from uuid import UUID

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.retry import with_retries
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

__all__ = ["describe_agent", "is_agent_id", "resolve_agent", "resume_schema"]


def is_agent_id(text: str) -> bool:
    """Whether a text is an agent's id, which is a UUID, and not its name."""
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
    try:
        others = yield from with_retries(calls.search_agents({"limit": 100}), retries)
    except (ApiConnectionError, UnauthorizedException, ForbiddenException):
        raise
    except OpenApiException:
        others = []  # AGNTCY's server does not list everything
    names = sorted({agent.metadata.ref.name for agent in others})
    near = difflib.get_close_matches(name, names, n=3) or names[:10]
    hint = f"; it has {', '.join(map(repr, near))}" if near else ""
    raise UnknownAgentError(f"the server knows no agent named {name!r}{hint}")


def _no_agent_server(error: ApiException) -> ApiException:
    """The same error, telling that the server seems to be another one than was meant."""
    said = str(error).partition(f" answered {error.status}: ")[2] or "nothing more"
    return type(error)(
        error.where,
        error.status,
        error.headers,
        error.body.encode(),
        problem=f"{said}. A server of AGNTCY's Agent Connect Protocol lists its agents there; is the "
        "host one, without a path that is not its own? (Zed's and IBM's ACP are other protocols)",
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
