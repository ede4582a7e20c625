"""The graph of an agent, as the page draws it."""

from __future__ import annotations

import logging
from typing import Any

from acp_langgraph.server.agents import Graph
from acp_langgraph.server.page.layout import MOST_EDGES, MOST_NODES, Edge, drawn

_log = logging.getLogger(__name__)


def drawing(graph: Graph) -> dict[str, Any]:
    """A graph's nodes and edges, where they stand, and as Mermaid's text.

    Returns:
        What `layout.drawn` gives, and `mermaid`; or `problem`, why there is no drawing.
    """
    try:
        known = graph.get_graph()
        nodes = {id_: str(node.name) for id_, node in known.nodes.items()}
        edges = [
            Edge(
                each.source,
                each.target,
                "" if each.data is None else str(each.data),
                each.conditional,
            )
            for each in known.edges
        ]
        if not nodes or len(nodes) > MOST_NODES or len(edges) > MOST_EDGES:
            many = f"{len(nodes)} nodes and {len(edges)} edges"
            return {"problem": f"The graph has {many}; that is not drawn."}
        return {**drawn(nodes, edges), "mermaid": known.draw_mermaid()}
    except Exception as error:  # noqa: BLE001 - a graph may be of anybody's class
        _log.info("a graph cannot be drawn", exc_info=error)
        return {"problem": f"The graph cannot be drawn: {type(error).__name__}."}
