"""State paths, mapping plans, and edges that map.

`paths` says where in a state something is, `rules` where one value comes from, `compiling` checks
rules against declared types and makes them a plan, and `asking` asks a model for what rules cannot
tell. `edges` puts plans into a graph; it is the only module here that knows LangGraph, and so the
only one that is not imported from here.
"""

from __future__ import annotations

from acp_langgraph.mapping.asking import (
    aask,
    amake_delta,
    amake_value,
    ask,
    make_delta,
    make_value,
)
from acp_langgraph.mapping.compiling import compile_input, compile_output, compile_plan, load_plan
from acp_langgraph.mapping.merging import merge
from acp_langgraph.mapping.metadata import FieldMetadata, IOMappingAgentMetadata
from acp_langgraph.mapping.paths import (
    CompiledPath,
    PathSyntaxError,
    StatePath,
    StateReadError,
    StateWriteError,
    compile_path,
)
from acp_langgraph.mapping.plan import MappingPlan
from acp_langgraph.mapping.proposing import apropose, propose
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
