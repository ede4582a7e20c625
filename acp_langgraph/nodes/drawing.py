"""What is known of remote agents, in the drawings that LangGraph makes; nothing is requested for it.

LangGraph draws the metadata that was given where a node was added, and does not ask the node. So
`builder.add_node(node, metadata=node.metadata)` puts agent and host into every drawing and trace, and
`describe_graph` puts in all that is known, whichever way the nodes were added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from langchain_core.runnables.graph import Graph
from langgraph.pregel import Pregel

from acp_langgraph.json_schema.pointers import target
from acp_langgraph.mapping import validation
from acp_langgraph.nodes.presence import Presence

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["describe_graph", "draw_node", "fields_of_schema"]

_FIELDS_SHOWN: Final = 12
_LONGEST: Final = 60  # characters


def describe_graph(
    graph: Pregel[Any, Any, Any, Any],
    config: RunnableConfig | None = None,
    *,
    xray: int | bool = True,
) -> Graph:
    """`graph.get_graph(xray=True)`, with what is known of the remote agents in it.

        print(describe_graph(graph).draw_mermaid())

    Under each remote node stand its agent and host, and, as far as the node's types or the agent's
    descriptor tell (`node.describe()` reads it), what goes in, what comes out and what it may ask.
    Under a `ToolNode` stand the agents that are called as tools.

    Args:
        graph: The compiled graph.
        config: As for `get_graph`.
        xray: As for `get_graph`: whether, or how deep, to look into subgraphs.
    """
    drawn = graph.get_graph(config, xray=xray)
    for name, node in list(drawn.nodes.items()):
        known = _known_of(node.data)
        if known:
            drawn.nodes[name] = node._replace(metadata={**known, **(node.metadata or {})})
    return drawn


def draw_node(node: Presence) -> Graph:
    """A remote node by itself: what goes in, who does the work, what comes out."""
    known = node.known()
    drawn = Graph()
    before = drawn.add_node(None, "input", metadata=_only(known, "takes"))
    agent = drawn.add_node(
        node,
        node.name,
        metadata={each: known[each] for each in known if each not in {"takes", "gives"}},
    )
    after = drawn.add_node(None, "output", metadata=_only(known, "gives"))
    drawn.add_edge(before, agent)
    drawn.add_edge(agent, after)
    return drawn


def fields_of_schema(declared: Any) -> list[str]:
    """The names of what a type or a JSON Schema holds, with a `?` where it may be left out.

    For what is no object, its type; empty where nothing is known.
    """
    schema = validation.json_schema(declared)
    if "$ref" in schema:
        found = target(schema, schema["$ref"], {})
        schema = dict(found) if isinstance(found, Mapping) else {}
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        kind = schema.get("type")
        return [kind] if isinstance(kind, str) and kind != "object" else []
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    names = [_short(name) + ("" if name in needed else "?") for name in properties]
    more = len(names) - _FIELDS_SHOWN
    return [*names[:_FIELDS_SHOWN], f"{more} more"] if more > 0 else names


def _known_of(data: Any) -> dict[str, Any]:
    if isinstance(data, Presence):
        return data.known()
    tools = getattr(data, "tools_by_name", None)
    if not isinstance(tools, Mapping):
        return {}
    return {
        f"tool {name}": f"{tool.metadata.get('agent')} at {tool.metadata.get('host')}"
        for name, tool in _remote(tools)
    }


def _remote(tools: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    from acp_langgraph.nodes.tool import RemoteTool  # noqa: PLC0415 - only where there are tools

    for name, tool in tools.items():
        if isinstance(tool, RemoteTool):
            yield name, tool


def _only(known: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return {name: known[name]} if name in known else None


def _short(text: Any) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 3]}..."
