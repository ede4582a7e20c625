"""Python types from an agent's descriptor (extra `types`): pydantic models, as a module.

What a descriptor says comes from whoever runs the agent. First all its schemas are made one JSON
Schema, of the keywords that make a type and under names of our own. What generators read beyond JSON
Schema (types and imports by name, files and URLs to fetch) is left behind, and so is what would make
a module that cannot be imported: patterns of another dialect, defaults that do not fit, formats that
need further packages. Of that datamodel-code-generator writes the module, which is looked at before
anybody imports it.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from acp_langgraph.acp.agents import FoundAgent
from acp_langgraph.acp.models import AgentACPSpec
from acp_langgraph.errors import ModelGenerationError
from acp_langgraph.json_schema.fitting import misfits
from acp_langgraph.json_schema.reading import TYPES, Document, Form, Schema, one_line, printable

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


_MOST_SCHEMAS: Final = 5_000
_MOST_DEFINITIONS: Final = 500
_DEEPEST: Final = 40
_LONGEST_TEXT: Final = 500
_FORMATS: Final = frozenset({"date-time", "date", "time", "uuid"})
_SIZES: Final = ("minLength", "maxLength", "minItems", "maxItems")
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SCALARS: Final = (str, int, float, bool, type(None))


def models_of(agent: FoundAgent, url: str) -> str:
    """The module: the same text for the same descriptor.

    Args:
        agent: The agent.
        url: Where it was found, for the comment at the top: a server or, of an agent without an id, a file.

    Raises:
        ModelGenerationError: If its descriptor is too large, or no sound module comes of it.
    """
    definitions = _bundled(agent.descriptor.specs)
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
        f"{HEADER}{name} {version} {'at' if agent.agent_id else 'in'} {one_line(url, 200)}",
        f"# ({one_line(agent.agent_id, 60) or 'a file'}), as its descriptor declares them.",
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


def _bundled(specs: AgentACPSpec) -> dict[str, Any]:
    """The schemas of a descriptor as `$defs`, by the names that their models get.

    `Input`, `Output` and `Config`, and for every kind of question its name with `Payload` and with
    `Resume` after it; what these refer to has names of its own.

    Raises:
        ModelGenerationError: If there is too much of it.
    """
    bundle = _Bundle()
    bundle.add("Input", specs.input)
    bundle.add("Output", specs.output)
    bundle.add("Config", specs.config)
    for kind in specs.interrupts or ():
        name = _class_name(kind.interrupt_type, "Interrupt")
        bundle.add(f"{name}Payload", kind.interrupt_payload)
        bundle.add(f"{name}Resume", kind.resume_payload)
    return bundle.definitions


class _Bundle:
    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._count = 0

    def add(self, name: str, root: Schema) -> None:
        """Add a whole schema under a name, or under one that is free."""
        unique = self._free(name)
        self.definitions[unique] = {}
        top = _Reader(self, root).read(root, 0)
        seen = 0
        while set(top) == {"$ref"} and seen < _DEEPEST:  # a model of its own, not one around it
            top = self.definitions[top["$ref"].removeprefix("#/$defs/")]
            seen += 1
        self.definitions[unique] = top

    def define(self, reference: str, target: Schema, reader: _Reader) -> str:
        """The name of what a reference leads to; the same for what is the same."""
        key = f"{reference}\n{reader.key}"
        if key not in self._names:
            if len(self.definitions) >= _MOST_DEFINITIONS:
                raise ModelGenerationError(f"it has more than {_MOST_DEFINITIONS} definitions")
            name = self._free(_class_name(unquote(reference.rpartition("/")[2]), "Item"))
            self._names[key] = name
            self.definitions[name] = {}
            self.definitions[name] = reader.read(target, 0)
        return self._names[key]

    def count(self) -> None:
        """Take note of one more schema.

        Raises:
            ModelGenerationError: If there are too many.
        """
        self._count += 1
        if self._count > _MOST_SCHEMAS:
            raise ModelGenerationError(f"it has more than {_MOST_SCHEMAS} schemas")

    def _free(self, name: str) -> str:
        number, free = 2, name
        while free in self.definitions:
            free, number = f"{name}{number}", number + 1
        return free


class _Reader:
    """Reads what stands in one of the descriptor's schemas."""

    def __init__(self, bundle: _Bundle, root: Schema) -> None:
        self._bundle = bundle
        self._document = Document(root)
        definitions = root.get("$defs") if isinstance(root, Mapping) else None
        # Two schemas whose definitions are the same share the models made of them.
        self.key = json.dumps(definitions or root, sort_keys=True)

    def read(self, schema: Any, depth: int) -> dict[str, Any]:
        """The part of a schema that makes a type."""
        self._bundle.count()
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = self._document.target(reference)
            if not isinstance(target, Mapping):
                return {}
            if _is_plain(target):
                return self.read(target, depth + 1)
            return {"$ref": f"#/$defs/{self._bundle.define(reference, target, self)}"}
        made = self._parts(schema, depth) or self._forms(schema, depth)
        description = schema.get("description")
        if isinstance(description, str) and description.strip():
            made["description"] = printable(description).strip()[:_LONGEST_TEXT]
        if "default" in schema and self._fits(schema["default"], made):
            made["default"] = schema["default"]
        return made

    def _fits(self, default: Any, made: dict[str, Any]) -> bool:
        whole = {**made, "$defs": self._bundle.definitions}
        return isinstance(default, _SCALARS) and not misfits({"const": default}, whole)

    def _parts(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """A schema of several, which stay what they are and keep their names."""
        for name in ("anyOf", "oneOf", "allOf"):
            parts = schema.get(name)
            if isinstance(parts, list) and parts:
                read = [self.read(each, depth + 1) for each in parts]
                if name != "allOf":
                    return {"anyOf": read}
                rest = self._forms({each: schema[each] for each in schema if each != name}, depth)
                return {"allOf": [*read, rest] if rest else read}
        return {}

    def _forms(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        read = [self._form(form, depth) for form in self._document.forms(schema)]
        if len(read) == 1:
            return read[0]
        return {"anyOf": read} if read and all(read) else {}

    def _form(self, form: Form, depth: int) -> dict[str, Any]:
        if "enum" in form:
            scalars = all(isinstance(each, (str, int, type(None))) for each in form["enum"])
            return {"enum": list(dict.fromkeys(form["enum"]))} if scalars else {}
        properties = form.get("properties")
        kind = form.get("type") or ("object" if isinstance(properties, Mapping) else None)
        if kind is None:
            return {}
        made: dict[str, Any] = {"type": kind}
        if kind == "object":
            made |= self._object(form, depth)
        elif kind == "array":
            made["items"] = self.read(form.get("items"), depth + 1)
        if form.get("format") in _FORMATS:
            made["format"] = form["format"]
        sizes = (each for each in _SIZES if _is_number(form.get(each)) and form[each] >= 0)
        made |= {each: int(form[each]) for each in sizes}
        return made | {each: form[each] for each in _LIMITS if _is_number(form.get(each))}

    def _object(self, form: Form, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        properties, required = form.get("properties"), form.get("required")
        if isinstance(properties, Mapping) and properties:
            made["properties"] = {
                printable(name): self.read(below, depth + 1) for name, below in properties.items()
            }
            names = required if isinstance(required, list) else ()
            needed = {each for each in names if isinstance(each, str)}
            made["required"] = [name for name in made["properties"] if name in needed]
        further = form.get("additionalProperties")
        if isinstance(further, bool) or not (made or further):
            made["additionalProperties"] = further is not False
        elif isinstance(further, Mapping) and not made:
            made["additionalProperties"] = self.read(further, depth + 1)
        return made


def _is_plain(schema: Mapping[str, Any]) -> bool:
    """Whether a type needs no model of its own: a text, a number, a choice."""
    kind = schema.get("type")
    is_choice = "const" in schema or isinstance(schema.get("enum"), list)
    return is_choice or (
        isinstance(kind, str) and kind not in {"object", "array"} and kind in TYPES
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _HUGE


_HUGE: Final = 10**15


def _class_name(text: str, otherwise: str) -> str:
    """A class name in the usual form: `mail_draft` becomes `MailDraft`."""
    words = re.findall(r"[A-Za-z0-9]+", text[:100])
    name = "".join(word[0].upper() + word[1:] for word in words)
    if not name or keyword.iskeyword(name):
        return otherwise
    return f"{otherwise}{name}" if name[0].isdigit() else name
