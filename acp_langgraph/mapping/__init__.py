"""State paths, mapping plans, and edges that map.

`paths` says where in a state something is, `rules` where one value comes from, `compiling` checks
rules against declared types and makes them a plan, and `asking` asks a model for what rules cannot
tell. `edges` puts plans into a graph; it is the only module here that knows LangGraph, and its names
are `acp_langgraph`'s own. Names are imported when they are first used.
"""

from __future__ import annotations

from acp_langgraph.lazy import lazily

_HOMES = {
    "asking": (
        "aask",
        "amake_delta",
        "amake_value",
        "ask",
        "make_delta",
        "make_value",
    ),
    "compiling": ("compile_input", "compile_output", "compile_plan"),
    "channels": ("merge",),
    "metadata": ("FieldMetadata", "IOMappingAgentMetadata"),
    "paths": (
        "CompiledPath",
        "PathSyntaxError",
        "StatePath",
        "StateReadError",
        "compile_path",
    ),
    "plan": ("MappingPlan",),
    "plan_files": ("apropose", "load_plan", "propose"),
    "rules": ("call", "coalesce", "const", "copy", "each", "from_config", "llm", "template"),
    "writing": ("StateWriteError",),
}

__all__ = sorted(name for names in _HOMES.values() for name in names)  # noqa: PLE0605 - checkers read __init__.pyi

__getattr__, __dir__ = lazily(__name__, _HOMES)
