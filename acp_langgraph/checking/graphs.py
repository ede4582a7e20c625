"""The remote nodes of a compiled graph, wherever they are.

A node may stand in the graph itself, in a subgraph, in a sequence or a binding, or be called by a
function that is a node; of a function, what it names from outside is looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.runnables import Runnable
from langgraph.func import task
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.nodes.base import RemoteNode

_DEEPEST: Final = 20


@dataclass(frozen=True, slots=True)
class State:
    """What is known of the state that a node reads and changes.

    Attributes:
        read: The declared type of what the node is given.
        schemas: All types that declare channels of the graph; the first is the state's own.
        channels: The names of the channels.
    """

    read: Any
    schemas: tuple[Any, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A remote node in its graph.

    Attributes:
        place: Where it is: names of nodes, joined by colons.
        node: The node.
        state: The state there; `None` where a function hands it what it likes.
        can_ask: Whether there is a checkpointer to wait for an answer with.
    """

    place: str
    node: RemoteNode
    state: State | None
    can_ask: bool


def remote_nodes(graph: Any, *, checkpointer: bool | None = None) -> list[PlacedNode]:
    """Every remote node of a graph, in its order.

    Args:
        graph: A compiled graph.
        checkpointer: Whether it will have a checkpointer; by default, whether it has one.

    Raises:
        NodeConfigurationError: If it is no compiled graph.
    """
    if isinstance(graph, StateGraph):
        raise NodeConfigurationError("the graph is not compiled yet; check builder.compile()")
    if not isinstance(graph, Pregel):
        raise NodeConfigurationError(
            f"a {type(graph).__name__} is no compiled graph; check what builder.compile() gives"
        )
    can_ask = bool(graph.checkpointer) if checkpointer is None else checkpointer
    return list(_in_graph(graph, "", can_ask, ()))


def _in_graph(
    graph: Pregel[Any, Any, Any, Any], above: str, can_ask: bool, inside: tuple[int, ...]
) -> Iterator[PlacedNode]:
    if id(graph) in inside or len(inside) > _DEEPEST:
        return
    for name, node in graph.nodes.items():
        place = f"{above}:{name}" if above else name
        seen: set[int] = set()
        for found, direct in _reached(node.bound, seen, 0, direct=True):
            if isinstance(found, RemoteNode):
                state = _state(graph, name) if direct else None
                at = place if direct or found.name == name else f"{place}:{found.name}"
                yield PlacedNode(at, found, state, can_ask)
            else:
                yield from _in_graph(found, place, _asks(found, can_ask), (*inside, id(graph)))


def _asks(graph: Pregel[Any, Any, Any, Any], above: bool) -> bool:
    """Whether a subgraph can wait: with a checkpointer of its own, or the one above it."""
    own = graph.checkpointer
    return above if own is None or own is True else own is not False


def _reached(
    candidate: Any, seen: set[int], depth: int, *, direct: bool
) -> Iterator[tuple[Any, bool]]:
    """Remote nodes and graphs that a node runs, and whether it hands them the state as it is."""
    if candidate is None or id(candidate) in seen or depth > _DEEPEST:
        return
    seen.add(id(candidate))
    if isinstance(candidate, (RemoteNode, Pregel)):
        yield candidate, direct
        if isinstance(candidate, RemoteNode):  # a node for tasks has another do the work
            work = getattr(candidate, "runnable", None)
            yield from _reached(work, seen, depth + 1, direct=False)
        return
    owner = getattr(candidate, "__self__", None)  # node.invoke, graph.ainvoke
    if isinstance(owner, (RemoteNode, Pregel)):
        yield from _reached(owner, seen, depth + 1, direct=direct)
        return
    for inner, handed_on in _inner(candidate):
        yield from _reached(inner, seen, depth + 1, direct=direct and handed_on)


def _inner(candidate: Any) -> Iterator[tuple[Any, bool]]:
    """What is inside of one, and whether it is handed what this one was given."""
    if isinstance(candidate, Runnable):
        yield getattr(candidate, "bound", None), True
        steps = getattr(candidate, "steps", None)  # of a sequence
        for at, step in enumerate(steps if isinstance(steps, (list, tuple)) else ()):
            yield step, at == 0
        branches = getattr(candidate, "steps__", None)  # side by side
        for branch in branches.values() if isinstance(branches, dict) else ():
            yield branch, True
    if isinstance(candidate, Runnable) or _is_task(candidate):
        yield getattr(candidate, "func", None), True
        yield getattr(candidate, "afunc", None), True
    elif inspect.isfunction(candidate) or inspect.ismethod(candidate):
        for value in _named_by(inspect.unwrap(candidate)):
            yield value, False


def _named_by(function: Any) -> Iterator[Any]:
    """The runnables that a function names from outside."""
    try:
        used = inspect.getclosurevars(function)
    except (TypeError, ValueError):
        return
    for value in (*used.nonlocals.values(), *used.globals.values()):
        owner = getattr(value, "__self__", None)
        if (
            isinstance(value, Runnable)
            or isinstance(owner, (RemoteNode, Pregel))
            or _is_task(value)
        ):
            yield value


def _is_task(value: Any) -> bool:
    """Whether this is what LangGraph's `task` makes of a function."""
    return type(value).__module__ == task.__module__ and inspect.isfunction(
        getattr(value, "func", None)
    )


def _state(graph: Any, name: str) -> State | None:
    builder = getattr(graph, "builder", None)
    if not isinstance(builder, StateGraph) or name not in builder.nodes:
        return None
    read = builder.nodes[name].input_schema
    schemas = dict.fromkeys([builder.state_schema, *builder.schemas])
    return State(read, tuple(schemas), tuple(map(str, builder.channels)))
