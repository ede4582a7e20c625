"""Pydantic models of what an agent takes, gives and asks, as a Python module."""

from __future__ import annotations

import ast
import json
import tempfile
from pathlib import Path
from typing import Any, Final

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.codegen.bundle import bundled
from acp_langgraph.errors import ModelGenerationError
from acp_langgraph.json_schema.reading import one_line

try:
    from datamodel_code_generator import GenerateConfig, InputFileType, generate
    from datamodel_code_generator.enums import DataModelType, TargetPydanticVersion
    from datamodel_code_generator.format import Formatter, PythonVersion
except ImportError as error:
    raise ImportError(
        f"acp_langgraph.codegen needs {error.name}, which is not installed: "
        'pip install "acp-langgraph[types]"',
        name=error.name,
    ) from error


HEADER: Final = "# Types of the agent "
"""How every module that was written here begins."""

_MODULES: Final = frozenset({"__future__", "datetime", "pydantic", "typing", "uuid"})
_CALLED: Final = frozenset({"ConfigDict", "Field"})  # of pydantic's
_AT_THE_TOP: Final = (ast.ImportFrom, ast.ClassDef, ast.Expr)
_WRITTEN: Final = (
    ast.Module,
    ast.alias,
    ast.Pass,
    ast.AnnAssign,
    ast.Assign,
    ast.Expr,
    ast.Call,
    ast.keyword,
    ast.Attribute,
    ast.Name,
    ast.Constant,
    ast.Subscript,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.BinOp,
    ast.BitOr,
    ast.UnaryOp,
    ast.USub,
    ast.expr_context,
)


def models_of(agent: FoundAgent, url: str) -> str:
    """The module: the same text for the same descriptor.

    Args:
        agent: The agent.
        url: Where it was found, for the comment at the top.

    Raises:
        ModelGenerationError: If its descriptor is too large, or no sound module comes of it.
    """
    definitions = bundled(agent.descriptor.specs)
    try:
        text = _generated(json.dumps({"$defs": definitions}), _header(agent, url))
    except Exception as error:
        raise ModelGenerationError(
            f"{type(error).__name__}: {one_line(str(error), 300)}"
        ) from error
    _inspect(text)
    missing = [name for name in definitions if name not in model_names(text)]
    if missing:
        raise ModelGenerationError(f"no model was made of {', '.join(missing)}")
    return text.rstrip() + "\n"


def _generated(schema: str, header: str) -> str:
    # The generator looks for settings of its formatter in the current folder and above it. The text
    # must not depend on where the command is run.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").touch()
        config = GenerateConfig(
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            target_pydantic_version=TargetPydanticVersion.V2_14,
            formatters=[Formatter.BUILTIN],
            settings_path=Path(folder),
            custom_file_header=header,
            disable_timestamp=True,
            skip_root_model=True,
            strict_nullable=True,
            use_missing_sentinel=True,
            use_annotated=True,
            use_double_quotes=True,
            use_schema_description=True,
            use_field_description=True,
            enum_field_as_literal="all",
            allow_remote_refs=False,
        )
        return str(generate(schema, config=config))


def model_names(text: str) -> list[str]:
    """The models of a module, in its order."""
    return [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]


def _header(agent: FoundAgent, url: str) -> str:
    name, version = one_line(agent.name, 60), one_line(agent.descriptor.metadata.ref.version, 30)
    lines = [
        f"{HEADER}{name} {version} at {one_line(url, 200)}",
        f"# ({one_line(agent.agent_id, 60)}), as its descriptor declares them.",
        "#",
        "# Written by `acp-langgraph types`. Do not edit; write it again when the agent changes.",
        "# A field that may be left out is MISSING, and then not sent. Needs pydantic 2.14.",
    ]
    return "\n".join(line.encode("ascii", "replace").decode() for line in lines)


def _inspect(text: str) -> None:
    """Make sure that the module declares types, and does nothing else."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ModelGenerationError(f"what was written is no Python: {error}") from None
    called = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "pydantic"
        for alias in node.names
        if alias.name in _CALLED
    }
    strange: list[ast.AST] = [node for node in tree.body if not isinstance(node, _AT_THE_TOP)]
    strange += [node for node in ast.walk(tree) if not _declares(node, called)]
    if strange:
        line = getattr(strange[0], "lineno", "?")
        raise ModelGenerationError(
            f"what was written would do more than declare types (line {line})"
        )


def _declares(  # noqa: PLR0911 - a return for each kind of node
    node: Any, called: set[str]
) -> bool:
    match node:
        case ast.ImportFrom(module=module, level=level):
            return level == 0 and module in _MODULES
        case ast.Call(func=ast.Name(id=name)):
            return name in called
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="model_rebuild"), args=args):
            return not args and not node.keywords
        case ast.Call():
            return False
        case ast.ClassDef(decorator_list=decorators, keywords=keywords):
            return not (decorators or keywords)
        case ast.Attribute(attr=attr):
            return attr == "model_rebuild"
    return isinstance(node, _WRITTEN)
