"""The remote nodes of a compiled graph, wherever they are, and what checking them finds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from langchain_core.runnables import Runnable
from langgraph.func import task
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from acp_langgraph.errors import GraphCheckError, NodeConfigurationError
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


Level: TypeAlias = Literal["error", "warning", "unchecked"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit.

    Attributes:
        level: `error` for what is certain to be wrong: nothing that may stand at the place fits.
            `warning` for what may go well: some of it fits. `unchecked` where it could not be told,
            because the agent could not be asked.
        node: Where in the graph the node is, e.g. `reviewer`, or `team:reviewer` in a subgraph.
        agent: The agent, as the node names it; empty where the node runs none.
        path: What it is about, e.g. `input.mail.subject`, `output_path`, `use_threads`.
        problem: What is wrong.
        advice: What to do.
    """

    level: Level
    node: str
    agent: str
    path: str
    problem: str
    advice: str

    def __str__(self) -> str:
        agent = f" (agent {self.agent})" if self.agent else ""
        return f"{self.level}: {self.node}{agent}, {self.path}: {self.problem}; {self.advice}"


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A remote node that was looked at.

    Attributes:
        node: Where in the graph it is.
        agent: The agent, as the node names it; empty where the node runs none.
        version: The agent's version; empty where it is not known.
        url: The server.
        compared: What was compared with the agent's descriptor: `input`, `output`, `config`. What
            has no declared type on either side cannot be.
    """

    node: str
    agent: str
    version: str
    url: str
    compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphReport:
    """What checking a graph came to.

    Attributes:
        nodes: The remote nodes of the graph, in its order.
        findings: What does not fit, in the order of the nodes.
    """

    nodes: tuple[CheckedNode, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What is certain to be wrong."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What may go well, and may not."""
        return self._of("warning")

    @property
    def unchecked(self) -> tuple[Finding, ...]:
        """What could not be told."""
        return self._of("unchecked")

    def raise_for_errors(self, *, strict: bool = False) -> None:
        """Raise if anything is wrong, or could not be told.

        Args:
            strict: Whether warnings count too.

        Raises:
            GraphCheckError: With every finding that counts.
        """
        counted: Sequence[Finding] = [
            finding for finding in self.findings if strict or finding.level != "warning"
        ]
        if counted:
            raise GraphCheckError(counted)

    def _of(self, level: Level) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == level)
