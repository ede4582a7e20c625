"""What of a graph's configuration goes to the remote run: what is the user's, and not the graph's own."""

from __future__ import annotations

from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from pydantic_core import PydanticSerializationError

from acp_langgraph.core.sendable import plain, unsendable

__all__ = ["forwarded", "forwarded_metadata"]

_GRAPHS_OWN: Final = ("langgraph_", "checkpoint", "__", "ls_")
_DEFAULT_RECURSION_LIMIT: Final = 25  # what LangChain fills in where the user set none
_GRAPHS_OWN_TAGS: Final = ("graph:", "seq:", "langsmith:", "branch:")


def forwarded(config: RunnableConfig) -> dict[str, Any]:
    """What of the graph's configuration is the user's and meant for the agent as well."""
    tags = [tag for tag in config.get("tags") or () if not tag.startswith(_GRAPHS_OWN_TAGS)]
    found: dict[str, Any] = {"tags": tags} if tags else {}
    limit = config.get("recursion_limit", _DEFAULT_RECURSION_LIMIT)
    if limit != _DEFAULT_RECURSION_LIMIT:
        found["recursion_limit"] = limit
    return found


def forwarded_metadata(config: RunnableConfig) -> dict[str, Any]:
    """What of its metadata is the user's, as far as it is JSON."""
    configurable = config.get("configurable", {})
    found = {}
    for name, value in (config.get("metadata") or {}).items():
        if name.startswith(_GRAPHS_OWN) or name in configurable:
            continue
        try:
            made = plain(value)
        except (PydanticSerializationError, ValueError):
            continue
        if unsendable(made) is None:
            found[name] = made
    return found
