"""A whole graph, checked against the agents that it runs.

    check_graph(graph).raise_for_errors()          in a test
    graph = checked(builder.compile(...))          where the graph is made

Each remote node asks its own server, with its own credentials, and nothing is run there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.auth.credentials import Credentials
from acp_langgraph.checking.findings import (
    CheckedNode,
    Finding,
    GraphReport,
    PlacedNode,
    remote_nodes,
)
from acp_langgraph.checking.nodes import agent_findings, compared, state_findings
from acp_langgraph.core.flow import Flow
from acp_langgraph.errors import (
    ForbiddenException,
    MissingCredentialsError,
    OpenApiException,
    UnauthorizedException,
    UnknownAgentError,
)
from acp_langgraph.nodes.agent import AgentNode
from acp_langgraph.transport.per_call import AsyncPerCallTransport, PerCallTransport

G = TypeVar("G")
Descriptors: TypeAlias = Mapping[str, AgentACPDescriptor]
_NONE: Descriptors = {}


def check_graph(
    graph: Any,
    *,
    checkpointer: bool | None = None,
    config: RunnableConfig | None = None,
    descriptors: Descriptors = _NONE,
) -> GraphReport:
    """Compare every remote node of a graph with what its agent says of itself.

    Of every node of an agent, also in subgraphs, the types of input, output and config are compared with
    what the agent says of itself now, and what the node wants (threads, streams, answers to questions)
    with what the agent offers. Of every remote node, the paths are looked up in the graph's state.

    Args:
        graph: A compiled graph.
        checkpointer: Whether the graph will have a checkpointer where it runs; by default, whether
            it was compiled with one.
        config: As whom to ask, for nodes whose credentials depend on the config.
        descriptors: What agents say of themselves, by what the nodes call them (`node.agent`). These are not
            asked, so that a graph is checked where they are not running.

    Returns:
        What was found: `report.raise_for_errors()` raises it.

    Raises:
        NodeConfigurationError: If it is no compiled graph.
    """
    whole = ensure_config(config)
    reports = []
    for placed in remote_nodes(graph, checkpointer=checkpointer):
        asking = PerCallTransport(placed.node.transport, _as_whom(placed, whole))
        reports.append(asking.run(_checked_node(placed, descriptors)))
    return _report(reports)


async def acheck_graph(
    graph: Any,
    *,
    checkpointer: bool | None = None,
    config: RunnableConfig | None = None,
    descriptors: Descriptors = _NONE,
) -> GraphReport:
    """`check_graph`, awaiting.

    Args:
        graph: As for `check_graph`.
        checkpointer: As for `check_graph`.
        config: As for `check_graph`.
        descriptors: As for `check_graph`.
    """
    whole = ensure_config(config)
    reports = []
    for placed in remote_nodes(graph, checkpointer=checkpointer):
        asking = AsyncPerCallTransport(placed.node.async_transport, _as_whom(placed, whole))
        reports.append(await asking.run(_checked_node(placed, descriptors)))
    return _report(reports)


def checked(graph: G, *, config: RunnableConfig | None = None) -> G:
    """The graph that was given, once it is checked.

        graph = checked(builder.compile())

    Args:
        graph: A compiled graph.
        config: As for `check_graph`.

    Raises:
        GraphCheckError: If a node does not fit its agent, or that could not be told.
        NodeConfigurationError: If it is no compiled graph.
    """
    check_graph(graph, config=config).raise_for_errors()
    return graph


async def achecked(graph: G, *, config: RunnableConfig | None = None) -> G:
    """`checked`, awaiting.

    Args:
        graph: As for `checked`.
        config: As for `check_graph`.
    """
    (await acheck_graph(graph, config=config)).raise_for_errors()
    return graph


def _as_whom(placed: PlacedNode, config: RunnableConfig) -> Callable[[], Credentials | None]:
    return lambda: placed.node.identity.credentials(config)


def _report(looked_at: Iterable[tuple[CheckedNode, list[Finding]]]) -> GraphReport:
    nodes: list[CheckedNode] = []
    findings: list[Finding] = []
    for node, found in looked_at:
        nodes.append(node)
        findings += found
    return GraphReport(tuple(nodes), tuple(dict.fromkeys(findings)))


def _checked_node(
    placed: PlacedNode, descriptors: Descriptors
) -> Flow[tuple[CheckedNode, list[Finding]]]:
    node, found = placed.node, list(state_findings(placed))
    url = node.transport.endpoint.base_url
    if not isinstance(node, AgentNode):
        yield from ()
        return CheckedNode(placed.place, "", "", url), found
    known = descriptors.get(node.agent)
    try:
        agent = (yield from node.found()) if known is None else FoundAgent("", known)
    except (UnknownAgentError, UnauthorizedException, ForbiddenException) as error:
        advice = (
            "correct agent_id"
            if isinstance(error, UnknownAgentError)
            else "give the node credentials that the server takes, e.g. api_key in client_config"
        )
        found.append(Finding("error", placed.place, node.agent, "agent", str(error), advice))
        return CheckedNode(placed.place, node.agent, "", url), found
    except OpenApiException as error:
        advice = "see that the server runs, and check again"
        if isinstance(error, MissingCredentialsError):
            advice = "pass a config that says for whom: check_graph(graph, config=...)"
        found.append(Finding("unchecked", placed.place, node.agent, "agent", str(error), advice))
        return CheckedNode(placed.place, node.agent, "", url), found
    found += agent_findings(placed, agent)
    version = agent.descriptor.metadata.ref.version
    return CheckedNode(placed.place, node.agent, version, url, compared(placed, agent)), found
