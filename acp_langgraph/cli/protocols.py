"""Which protocol a server speaks, and its agents by that."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import typer


class Protocol(StrEnum):
    """What a server may speak."""

    ACP = "acp"
    LANGGRAPH = "langgraph"
    A2A = "a2a"


ProtocolOption: TypeAlias = Annotated[
    Protocol | None,
    typer.Option(
        "--protocol",
        help="What the server speaks: AGNTCY's ACP, LangGraph's Agent Protocol, or A2A. By default it "
        "is asked.",
    ),
]


def spoken(retries: int) -> Any:
    """The protocol that a server speaks, as a flow; ACP where it cannot be told, for its errors to tell."""
    from acp_langgraph import errors  # noqa: PLC0415 - not for --help
    from acp_langgraph.a2a.finding import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.calls import search_agents  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.calls import search_assistants  # noqa: PLC0415 - not for --help
    from acp_langgraph.core.retry import with_retries  # noqa: PLC0415 - not for --help

    unknown_there = (
        errors.NotFoundException,
        errors.UnexpectedStatusException,
        errors.UnreadableAnswerException,
    )
    try:
        yield from with_retries(search_agents({"limit": 1}), retries)
    except unknown_there:
        asked = (
            (Protocol.LANGGRAPH, with_retries(search_assistants(1), retries)),
            (Protocol.A2A, find_card("", retries)),
        )
        for protocol, asking in asked:
            with suppress(errors.ApiException, errors.UnknownAgentError):
                yield from asking
                return protocol
    except errors.OpenApiException:
        pass
    return Protocol.ACP


def found(agent: str, retries: int, protocol: Protocol | None) -> Any:
    """An agent with what it says of itself, as a flow."""
    from acp_langgraph.a2a.finding import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import find_agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.assistants import find_assistant  # noqa: PLC0415 - not for --help

    protocol = protocol or (yield from spoken(retries))
    findings = {Protocol.LANGGRAPH: find_assistant, Protocol.A2A: find_card}
    return (yield from findings.get(protocol, find_agent)(agent, retries))


def listed(retries: int, protocol: Protocol | None) -> Any:
    """All agents, with what they say of themselves where they do, as a flow."""
    from acp_langgraph.a2a.finding import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import describe_agent, list_agents  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.models import Agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.assistants import (  # noqa: PLC0415 - not for --help
        describe_assistant,
        list_assistants,
    )

    pairs: list[tuple[Agent, Any]] = []
    protocol = protocol or (yield from spoken(retries))
    if protocol is Protocol.LANGGRAPH:
        for assistant in (yield from list_assistants(retries)):
            told = yield from describe_assistant(assistant)
            agent = Agent(agent_id=told.agent_id, metadata=told.descriptor.metadata)
            pairs.append((agent, told.descriptor))
        return pairs
    if protocol is Protocol.A2A:  # where one address is one agent
        card = yield from find_card("", retries)
        agent = Agent(agent_id=card.agent_id, metadata=card.descriptor.metadata)
        return [(agent, card.descriptor)]
    for each in (yield from list_agents(retries)):
        descriptor = yield from describe_agent(each.agent_id, retries)
        pairs.append((each, descriptor))
    return pairs
