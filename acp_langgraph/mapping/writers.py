"""Two nodes that write one channel in one step: found in the graph, and said so that it helps.

LangGraph finds it too, at run time, in the step after the work was done, and without saying which
nodes. Here it is looked for in the edges alone: two mappings that are reached in the same number of
unconditional steps from some node do run together whenever that node runs. What hangs on a branch
may never run together, and is left to LangGraph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from acp_langgraph.errors import NodeConfigurationError

__all__ = ["refuse_common_writers"]


def refuse_common_writers(
    edges: Iterable[tuple[str, str]], writes: Mapping[str, frozenset[str]]
) -> None:
    """Refuse two mappings that certainly write a channel in one step.

    Args:
        edges: The graph's unconditional edges.
        writes: By mapping node, the channels without a reducer that it writes.

    Raises:
        NodeConfigurationError: With both nodes, the channel, and the two ways out.
    """
    after: dict[str, set[str]] = {}
    for start, end in edges:
        after.setdefault(start, set()).add(end)
    together = _together(after, set(writes))
    for one, other in combinations(sorted(writes), 2):
        common = sorted(writes[one] & writes[other])
        if common and (one, other) in together:
            raise NodeConfigurationError(
                f"{one!r} and {other!r} both write channel {common[0]!r} in the same step, and "
                f"LangGraph allows one writer. Declare {common[0]!r} as Annotated[..., merge] "
                "(acp_langgraph.mapping.merge), or map several starts in one edge: "
                "add_io_mapped_edge(graph, [start, other_start], end, ...)"
            )


def _together(after: Mapping[str, set[str]], wanted: set[str]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for origin in after:
        level = {origin}
        seen: set[frozenset[str]] = set()
        while level and frozenset(level) not in seen:
            seen.add(frozenset(level))
            found.update(combinations(sorted(level & wanted), 2))
            level = {end for start in level for end in after.get(start, ())}
    return found
