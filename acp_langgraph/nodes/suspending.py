"""Graphs that are suspended while a remote run works: what they show, and how the run is looked at.

A suspended node interrupts its graph, as a question does. What it shows is no question but a marker: a dict
whose `kind` says so, with a sentence for people, the ids by which the run is found again, and nothing of the
state. `is_suspended` tells one from the other.

Whoever wakes such graphs has the same nodes in its process, for it has the graph. They are noted here when
they are made, in tools and subgraphs and wherever else they are, so that a run is looked at as the node
would: at its server, and as whom it connects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar
from weakref import WeakSet

from langchain_core.runnables import RunnableConfig
from pydantic import TypeAdapter, ValidationError

from acp_langgraph.core.flow import Flow, Work
from acp_langgraph.errors import NodeConfigurationError

if TYPE_CHECKING:
    from acp_langgraph.nodes.agent import AgentNode
    from acp_langgraph.nodes.quant.base import QuantNode

    Waiting: TypeAlias = AgentNode | QuantNode

T = TypeVar("T")

KIND: Final = "acp_langgraph.suspended"
"""The `kind` of a marker."""

WOKEN: Final = "acp_langgraph_woken"
"""What a graph is woken with; and in the metadata of the checkpoints that are made then: should who woke it die,
others know."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait that holds nothing, as its marker tells it.

    Attributes:
        id: The interrupt's id, by which it is woken.
        node: The name of the node that waits.
        agent: Whom it waits for, as the node names it.
        server: The base URL of that one's server.
        run_id: What it waits for, by the server's id.
        key: The same by the key of the job; of Quant, where there is none, what kind of thing it is.
        thread: The remote thread that remembers, if there is one.
        since: When the run was started, or answered, in seconds since 1970.
        due: When it has taken too long (`run_timeout`), if ever.
    """

    id: str
    node: str
    agent: str
    server: str
    run_id: str
    key: str
    thread: str | None
    since: float
    due: float | None

    @classmethod
    def of(cls, interrupt: Any) -> Wait | None:
        """The wait that an interrupt stands for; `None` if it is a question, or nothing readable."""
        value = _value(interrupt)
        if not _is_marker(value):
            return None
        try:
            return _WAIT.validate_python({**value, "id": _id(interrupt)})
        except ValidationError:
            return None

    def marker(self) -> dict[str, Any]:
        """What is shown instead of a question."""
        return {
            "kind": KIND,
            "message": f"Waiting for the remote agent {self.agent!r}. There is nothing to answer: the "
            "graph goes on by itself.",
            "node": self.node,
            "agent": self.agent,
            "server": self.server,
            "run_id": self.run_id,
            "key": self.key,
            "thread": self.thread,
            "since": self.since,
            "due": self.due,
        }


_WAIT: Final = TypeAdapter(Wait)


class Interrupts(NamedTuple):
    """The interrupts of a graph, told apart.

    Attributes:
        questions: What somebody has to answer.
        waits: What the graph is suspended for, and goes on by itself.
    """

    questions: list[Any]
    waits: list[Any]


def is_suspended(interrupt: Any) -> bool:
    """Whether an interrupt is no question, but a node's wait for a remote run, that holds nothing.

        result = graph.invoke(value, config)
        for interrupt in result.get("__interrupt__", ()):
            if not is_suspended(interrupt):
                ask(interrupt.value)

    Args:
        interrupt: An `Interrupt`; or how a server writes it, `{"value": ..., "id": ...}`; or its value.
    """
    return _is_marker(_value(interrupt))


def split_interrupts(found: Any) -> Interrupts:
    """The interrupts of a graph, those that ask and those that wait.

        questions, waits = split_interrupts(graph.invoke(value, config))

    Args:
        found: What `invoke` returned, a `StateSnapshot`, or a list of interrupts.
    """
    if isinstance(found, Mapping):
        found = found.get("__interrupt__") or ()
    each: Iterable[Any] = getattr(found, "interrupts", found)
    split = Interrupts([], [])
    for interrupt in each:
        split[is_suspended(interrupt)].append(interrupt)
    return split


def _value(interrupt: Any) -> Any:
    if isinstance(interrupt, Mapping):
        return interrupt["value"] if "value" in interrupt and "kind" not in interrupt else interrupt
    return getattr(interrupt, "value", interrupt)


def _id(interrupt: Any) -> Any:
    return interrupt.get("id") if isinstance(interrupt, Mapping) else getattr(interrupt, "id", None)


def _is_marker(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("kind") == KIND


def held_for(after: Any, node: str) -> float:
    """For how long a run is waited for before its graph is suspended, checked.

    Raises:
        NodeConfigurationError: If that is no number of seconds.
    """
    if not isinstance(after, int | float) or not 0 <= after < math.inf:
        raise NodeConfigurationError(
            f"after is a number of seconds, at least 0, not {after!r}", node=node
        )
    return float(after)


_nodes: WeakSet[Waiting] = WeakSet()


def note(node: Waiting) -> None:
    """Note a node, so that whoever wakes graphs can look at runs as it does."""
    _nodes.add(node)


def node_of(wait: Wait) -> Waiting | None:
    """A node of this process that waits for runs like this; `None` if there is none."""
    return next((each for each in list(_nodes) if _waits_like(each, wait)), None)


def _waits_like(node: Waiting, wait: Wait) -> bool:
    return (node.name, node.transport.endpoint.base_url) == (wait.node, wait.server)


def look_at(wait: Wait, config: RunnableConfig) -> Flow[bool | None]:
    """Whether a run is at work that is waited for; `None` if no node of this process waits like that.

    Raises:
        OpenApiException: If its server cannot be reached, or refuses.
    """
    node = node_of(wait)
    if node is None:
        return None
    return (yield from _run(node, node._look, wait, config)).is_at_work  # noqa: SLF001 - for here only


def cancel(wait: Wait, config: RunnableConfig) -> Flow[bool]:
    """End the run that is waited for; whether it was.

    Raises:
        OpenApiException: If its server cannot be reached, or refuses.
    """
    node = node_of(wait)
    return node is not None and (yield from _run(node, node._cancel, wait, config))  # noqa: SLF001 - as above


def _run(
    node: Waiting, flow: Callable[[Wait], Flow[T]], wait: Wait, config: RunnableConfig
) -> Flow[T]:
    """Have a node's flow performed beside any execution, as whom the thread is gone on with."""
    return (
        yield from Work(
            lambda: node.as_who_asks(config).run(flow(wait)),
            lambda: node.as_who_awaits(config).run(flow(wait)),
        )
    )
