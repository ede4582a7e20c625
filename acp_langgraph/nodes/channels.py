"""Whether what a node gives reaches the state.

LangGraph drops what a node returns for a channel that the state does not have, without a word: a
misspelt `output_path` would lose the answer of a run that was paid for. Which channels there are, and
whether it is the graph itself that takes the node's change (and not a function that calls the node),
is told by private names only, pinned by tests; where they tell nothing, nothing is refused:

* `__pregel_call`: made for the task, whose `proc` is the node and what writes for it;
* `__pregel_read`: reads the state, so it holds the channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig

from acp_langgraph.errors import NodeOutputError
from acp_langgraph.mapping.access import near

__all__ = ["channels_taking", "refuse_lost"]


def channels_taking(node: Any, config: RunnableConfig) -> frozenset[str] | None:
    """The channels of the graph that takes the node's change as it is; `None` if not known."""
    configurable = config.get("configurable", {})
    try:
        task = configurable["__pregel_call"].args[0]()
        channels = configurable["__pregel_read"].args[1]
        first, *others = task.proc.steps
    except (KeyError, AttributeError, IndexError, TypeError, ValueError):
        return None
    writes = all(type(each).__name__.startswith("ChannelWrite") for each in others)
    if first is not node or not writes or not isinstance(channels, Mapping):
        return None
    names = frozenset(name for name in channels if not name.startswith(("__", "branch:")))
    return None if "__root__" in channels else names


def refuse_lost(
    named: Iterable[str], channels: frozenset[str] | None, node: str, what: str
) -> None:
    """Refuse a change that the graph would drop.

    Args:
        named: The channels that the change is for.
        channels: The channels that there are; `None` if not known.
        node: The node's name.
        what: Where it is said what the change is for.

    Raises:
        NodeOutputError: If there is a change, and all of it would be dropped.
    """
    wanted = list(named)
    if channels is None or not wanted or channels & {*wanted}:
        return
    if len(wanted) == 1:
        problem = f"the state has no channel {wanted[0]!r}{near(wanted[0], channels)}"
    else:
        problem = (
            f"the state has none of the channels {', '.join(map(repr, sorted(wanted)))}"
            f"{near('', channels)}"
        )
    raise NodeOutputError(f"{what}: {problem}", node=node)
