"""State paths, mapping plans, and edges that map.

`paths` says where in a state something is, `rules` where one value comes from, `compiling` checks
rules against declared types and makes them a plan, and `asking` asks a model for what rules cannot
tell. `edges` puts plans into a graph; it is the only module here that knows LangGraph, and its names
are `acp_langgraph`'s own. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acp_langgraph.lazy import lazily

if TYPE_CHECKING:
    from acp_langgraph.mapping.access import StateWriteError
    from acp_langgraph.mapping.asking import (
        aask,
        amake_delta,
        amake_value,
        apropose,
        ask,
        make_delta,
        make_value,
        propose,
    )
    from acp_langgraph.mapping.channels import merge
    from acp_langgraph.mapping.compiling import (
        compile_input,
        compile_output,
        compile_plan,
        load_plan,
    )
    from acp_langgraph.mapping.metadata import FieldMetadata, IOMappingAgentMetadata
    from acp_langgraph.mapping.paths import (
        CompiledPath,
        PathSyntaxError,
        StatePath,
        StateReadError,
        compile_path,
    )
    from acp_langgraph.mapping.plan import MappingPlan
    from acp_langgraph.mapping.rules import (
        call,
        coalesce,
        const,
        copy,
        each,
        from_config,
        llm,
        template,
    )

__all__ = [
    "CompiledPath",
    "FieldMetadata",
    "IOMappingAgentMetadata",
    "MappingPlan",
    "PathSyntaxError",
    "StatePath",
    "StateReadError",
    "StateWriteError",
    "aask",
    "amake_delta",
    "amake_value",
    "apropose",
    "ask",
    "call",
    "coalesce",
    "compile_input",
    "compile_output",
    "compile_path",
    "compile_plan",
    "const",
    "copy",
    "each",
    "from_config",
    "llm",
    "load_plan",
    "make_delta",
    "make_value",
    "merge",
    "propose",
    "template",
]

_HOMES = {
    "access": ("StateWriteError",),
    "asking": (
        "aask",
        "amake_delta",
        "amake_value",
        "apropose",
        "ask",
        "make_delta",
        "make_value",
        "propose",
    ),
    "compiling": ("compile_input", "compile_output", "compile_plan", "load_plan"),
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
    "rules": ("call", "coalesce", "const", "copy", "each", "from_config", "llm", "template"),
}

if not TYPE_CHECKING:  # a checker would take any name for one that is there
    __getattr__, __dir__ = lazily(__name__, _HOMES)
