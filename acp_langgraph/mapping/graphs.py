"""What a mapped edge has to know of the graph that it is put into, and of edges beside it.

LangGraph lets one node per step write a channel. Two mappings that would do it are looked for in the
edges alone: those that are reached in the same number of unconditional steps from some node do run
together whenever that node runs. What hangs on a branch may never run together, and is left to
LangGraph, as is what comes after a deferred node.
"""

from __future__ import annotations

import copy
import difflib
import functools
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations
from typing import Any, Final, TypeAlias, Union

import typing_extensions
from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.rules import Call, sources_of

Graph: TypeAlias = StateGraph[Any, Any, Any, Any]


def refuse_other_graphs(g: Any) -> None:
    """Refuse what is no graph that an edge can be put into."""
    if not isinstance(g, StateGraph):
        compiled = " (this one is compiled already)" if hasattr(g, "get_graph") else ""
        raise NodeConfigurationError(
            f"a mapped edge goes into a StateGraph before compile(), not into a {type(g).__name__}"
            f"{compiled}"
        )


def node_name(g: Graph, node: Any) -> str:
    """The name of a node that is in the graph, given by name or as it is itself."""
    if isinstance(node, str):
        name = node
    else:
        found = node.get_name() if isinstance(node, Runnable) else getattr(node, "name", None)
        name = str(found or getattr(node, "__name__", node))
    if name not in (START, END) and name not in g.nodes:
        close = difflib.get_close_matches(name, g.nodes)
        meant = f"did you mean {close[0]!r}?" if close else ""
        there = ", ".join(map(repr, g.nodes)) or "none"
        raise NodeConfigurationError(
            f"the graph has no node {name!r}; add it before its mapped edges "
            f"({meant or f'there are: {there}'})"
        )
    return name


@contextmanager
def unchanged_on_failure(g: Graph) -> Iterator[None]:
    """Put back what was added to a graph if something goes wrong in between."""
    before = {name: copy.copy(getattr(g, name)) for name in _PARTS}
    branches = {start: dict(some) for start, some in g.branches.items()}
    try:
        yield
    except BaseException:
        for name, value in before.items():
            setattr(g, name, value)
        g.branches.clear()
        g.branches.update(branches)
        raise


_PARTS: Final = ("nodes", "edges", "waiting_edges", "channels", "managed", "schemas")


def state_of(g: Graph) -> Any:
    """The declaration of all channels of a graph: its state's, and where others have more, theirs."""
    found, known = [g.state_schema], set(g.schemas.get(g.state_schema, ()))
    for declared, channels in g.schemas.items():
        if set(channels) - known:
            found.append(declared)
            known |= set(channels)
    return found[0] if len(found) == 1 else Union[tuple(found)]  # noqa: UP007 - made at run time


def input_schema_of(g: Graph, plan: MappingPlan) -> Any:
    """What a mapping has to be handed of a graph, if that is more than the state; else `None`."""
    mine = set(g.schemas.get(g.state_schema, ()))
    reads = {
        source.path.channel
        for rule in plan.rules
        for source in sources_of(rule)
        if source.root in ("", "state")
    }
    inside = {each.target.channel for each in plan.assignments if len(each.target.steps) > 1}
    more = {
        str(name) for name in reads | inside if name and name not in mine and name in g.channels
    }
    if not more:
        return None
    if any(isinstance(rule, Call) and not rule.sources for rule in plan.rules):
        raise NodeConfigurationError(
            f"mapping {plan.name!r} reads {', '.join(sorted(more))}, which the state does not "
            "declare, and hands a function the whole state; name the function's arguments, as in "
            "call(function, 'path')"
        )
    hints: dict[str, Any] = {}
    for declared in reversed(list(g.schemas)):
        hints |= typing_extensions.get_type_hints(declared, include_extras=True)
    make: Any = typing_extensions.TypedDict  # the type checker wants literals
    return make("MappedState", {name: hints[name] for name in mine | more}, total=False)


def refuse_past_mappings(
    edges: Collection[tuple[str, str]],
    joins: Iterable[tuple[tuple[str, ...], str]],
    mapped: Iterable[tuple[str, str]],
) -> None:
    """Refuse a plain edge beside a mapped one, by which the end node would run once more.

    Args:
        edges: The graph's unconditional edges.
        joins: Its edges from several nodes that are all waited for.
        mapped: The ends of its mapped edges.

    Raises:
        NodeConfigurationError: With both nodes.
    """
    plain = {*edges, *((start, end) for starts, end in joins for start in starts)}
    for start, end in mapped:
        if (start, end) in plain:
            raise NodeConfigurationError(
                f"{start!r} and {end!r} have a mapped edge and a plain one, so {end!r} would run "
                "twice, once without what is mapped; leave out the plain edge"
            )


def refuse_common_writers(
    edges: Iterable[tuple[str, str]],
    writes: Mapping[str, frozenset[str]],
    deferred: Collection[str] = (),
) -> None:
    """Refuse two mappings that certainly write a channel in one step.

    Args:
        edges: The graph's unconditional edges.
        writes: By mapping node, what it alone may write in a step; see `MappingNode.writes`.
        deferred: The nodes that wait until nothing else is to be done.

    Raises:
        NodeConfigurationError: With both nodes, the channel, and the two ways out.
    """
    after: dict[str, set[str]] = {}
    for start, end in edges:
        after.setdefault(start, set()).add(end)
    for one, other in sorted(_together(after, set(writes), deferred)):
        if common := sorted(writes[one] & writes[other]):
            problem = (
                f"channel {common[0]!r} in the same step, and LangGraph allows one writer. Declare "
                f"{common[0]!r} as Annotated[..., merge] (acp_langgraph.mapping.merge), or map"
            )
            if common[0].endswith("[]"):
                within = common[0].removesuffix("[]")
                problem = f"in the list {within!r} in the same step, and one would be lost. Map"
            raise NodeConfigurationError(
                f"{one!r} and {other!r} both write {problem} several starts in one edge: "
                "add_io_mapped_edge(graph, [start, other_start], end, ...)"
            )


def _together(
    after: Mapping[str, set[str]], wanted: set[str], deferred: Collection[str]
) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    # Whatever runs together has a last node in common, from which several edges lead.
    for level in (after[origin] for origin in after if len(after[origin]) > 1):
        seen: set[frozenset[str]] = set()
        while level and frozenset(level) not in seen:
            seen.add(frozenset(level))
            known = level.difference(deferred)
            found.update(combinations(sorted(known & wanted), 2))
            level = {end for start in known for end in after.get(start, ())}  # noqa: PLW2901 - the next one
    return found


def keep_to_mappings(path: Any, mapped: Mapping[str, Any], start: str) -> Any:
    """The same function of a conditional edge; a `Send` of it that goes past a mapping is refused.

    Args:
        path: What decides, as for `add_conditional_edges`.
        mapped: By end node, the key of the branch that maps what goes there.
        start: The node before, for errors.
    """

    def checked(chosen: Any) -> Any:
        for each in chosen if isinstance(chosen, (list, tuple)) else [chosen]:
            if isinstance(each, Send) and each.node in mapped:
                raise NodeConfigurationError(
                    f"the branches of {start!r} send to {each.node!r}, past what is mapped for it; "
                    f"give the key {mapped[each.node]!r} instead, or make that branch a plain one"
                )
        return chosen

    if isinstance(path, Runnable):
        return path | RunnableLambda(checked)
    asynchronous = inspect.iscoroutinefunction(path) or inspect.iscoroutinefunction(
        getattr(path, "__call__", None)  # noqa: B004 - an object may have an asynchronous one
    )

    @functools.wraps(path)
    def blocking(*given: Any, **named: Any) -> Any:
        return checked(path(*given, **named))

    @functools.wraps(path)
    async def awaiting(*given: Any, **named: Any) -> Any:
        return checked(await path(*given, **named))

    made: Any = awaiting if asynchronous else blocking
    if not hasattr(path, "__annotations__"):  # an object; what it is called with, its own call says
        made.__annotations__, made.__name__ = {}, type(path).__name__
    return made
