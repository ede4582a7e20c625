"""Which protocol a server speaks, and its agents by that."""

from __future__ import annotations

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
    from acp_langgraph.a2a.card import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.calls import search_agents  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.calls import search_assistants  # noqa: PLC0415 - not for --help
    from acp_langgraph.core.retry import with_retries  # noqa: PLC0415 - not for --help

    unknown_there = (
        errors.NotFoundException,
        errors.UnexpectedStatusException,
        errors.UnreadableAnswerException,
    )
    asking = {
        Protocol.ACP: with_retries(search_agents({"limit": 1}), retries),
        Protocol.LANGGRAPH: with_retries(search_assistants(1), retries),
        Protocol.A2A: find_card("", retries),
    }
    for protocol, question in asking.items():
        try:
            yield from question
        except unknown_there:
            continue
        except errors.AcpLangGraphError:
            break  # which says as much of whoever is there
        return protocol
    return Protocol.ACP


def found(agent: str, retries: int, protocol: Protocol | None) -> Any:
    """An agent with what it says of itself, as a flow."""
    from acp_langgraph.a2a.card import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import find_agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.assistants import find_assistant  # noqa: PLC0415 - not for --help

    protocol = protocol or (yield from spoken(retries))
    finding: dict[Protocol, Any] = {
        Protocol.ACP: find_agent,
        Protocol.LANGGRAPH: find_assistant,
        Protocol.A2A: find_card,
    }
    return (yield from finding[protocol](agent, retries))


def listed(retries: int, protocol: Protocol | None) -> Any:
    """All agents, with what they say of themselves where they do, as a flow."""
    from acp_langgraph.a2a.card import find_card  # noqa: PLC0415 - not for --help
    from acp_langgraph.acp.agents import (  # noqa: PLC0415 - not for --help
        FoundAgent,
        describe_agent,
        list_agents,
    )
    from acp_langgraph.acp.models import Agent  # noqa: PLC0415 - not for --help
    from acp_langgraph.agent_protocol.assistants import (  # noqa: PLC0415 - not for --help
        describe_assistant,
        list_assistants,
    )

    protocol = protocol or (yield from spoken(retries))
    pairs: list[tuple[Agent, Any]] = []
    if protocol is Protocol.ACP:
        for each in (yield from list_agents(retries)):
            descriptor = yield from describe_agent(each.agent_id, retries)
            pairs.append((each, descriptor))
        return pairs
    told: list[FoundAgent] = []
    if protocol is Protocol.A2A:
        told.append((yield from find_card("", retries)))
    else:
        for assistant in (yield from list_assistants(retries)):
            described = yield from describe_assistant(assistant)
            told.append(described)
    return [
        (Agent(agent_id=each.agent_id, metadata=each.descriptor.metadata), each.descriptor)
        for each in told
    ]
