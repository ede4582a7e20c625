"""Whether what a node gives reaches the state.

LangGraph drops what a node returns for a channel that the state does not have, without a word: a
misspelt `output_path` would lose the answer of a run that was paid for. Which channels there are, and
whether it is the graph itself that takes the node's change (and not a function that calls the node),
is told by private names only (`acp_langgraph.nodes.langgraph`); where they tell nothing, nothing is
refused. The function that makes tasks was made for the task, whose `proc` is the node and what writes
for it; the one that reads the state holds the channels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig

from acp_langgraph.errors import NodeOutputError
from acp_langgraph.mapping.access import near
from acp_langgraph.nodes.langgraph import CONFIG_KEY_CALL, CONFIG_KEY_READ

__all__ = ["channels_taking", "refuse_lost"]


def channels_taking(node: Any, config: RunnableConfig) -> Mapping[str, Any] | None:
    """The channels of the graph that takes the node's change as it is; `None` if not known."""
    configurable = config.get("configurable", {})
    try:
        task = configurable[CONFIG_KEY_CALL].args[0]()
        channels = configurable[CONFIG_KEY_READ].args[1]
        first, *others = task.proc.steps
    except (KeyError, AttributeError, IndexError, TypeError, ValueError):
        return None
    writes = all(type(each).__name__.startswith("ChannelWrite") for each in others)
    known = first is node and writes and isinstance(channels, dict)
    return channels if known and "__root__" not in channels else None


def refuse_lost(
    named: Collection[str], channels: Mapping[str, Any] | None, node: str, what: str
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
    if channels is None or not named or any(each in channels for each in named):
        return
    there = [name for name in channels if not name.startswith(("__", "branch:"))]
    if len(named) == 1:
        (only,) = named
        problem = f"the state has no channel {only!r}{near(only, there)}"
    else:
        wanted = ", ".join(map(repr, sorted(named)))
        problem = f"the state has none of the channels {wanted}{near('', there)}"
    raise NodeOutputError(f"{what}: {problem}", node=node)
