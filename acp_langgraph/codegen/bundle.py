"""All schemas of a descriptor as one JSON Schema that is safe to generate code from.

Only keywords that make a type are taken, each if its value is what it should be. What generators
read beyond JSON Schema (types and imports by name, files and URLs to fetch) is left behind, and so is
what would make a module that cannot be imported: patterns of another dialect, defaults that do not
fit, formats that need further packages.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from acp_langgraph.acp.models import AgentACPSpec
from acp_langgraph.errors import ModelGenerationError
from acp_langgraph.json_schema.fitting import misfits
from acp_langgraph.json_schema.reading import TYPES, Document, Schema, printable

_MOST_SCHEMAS: Final = 5_000
_MOST_DEFINITIONS: Final = 500
_DEEPEST: Final = 40
_LONGEST_TEXT: Final = 500
_FORMATS: Final = frozenset({"date-time", "date", "time", "uuid"})
_SIZES: Final = ("minLength", "maxLength", "minItems", "maxItems")
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_SCALARS: Final = (str, int, float, bool, type(None))


def bundled(specs: AgentACPSpec) -> dict[str, Any]:
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
        made = self._composed(schema, depth) or self._plain(schema, depth)
        description = schema.get("description")
        if isinstance(description, str) and description.strip():
            made["description"] = printable(description).strip()[:_LONGEST_TEXT]
        if "default" in schema and self._fits(schema["default"], made):
            made["default"] = schema["default"]
        return made

    def _fits(self, default: Any, made: dict[str, Any]) -> bool:
        whole = {**made, "$defs": self._bundle.definitions}
        return isinstance(default, _SCALARS) and not misfits({"const": default}, whole)

    def _composed(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, list) and values:
            scalars = all(isinstance(each, (str, int, bool, type(None))) for each in values)
            return {"enum": list(dict.fromkeys(values))} if scalars else {}
        for name in ("anyOf", "oneOf", "allOf"):
            parts = schema.get(name)
            if isinstance(parts, list) and parts:
                read = [self.read(each, depth + 1) for each in parts]
                if name == "allOf":
                    rest = self._plain(schema, depth)
                    return {"allOf": [*read, rest]} if rest else {"allOf": read}
                return {"anyOf": read}
        return {}

    def _plain(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        kinds = schema.get("type")
        names = [each for each in (kinds if isinstance(kinds, list) else [kinds]) if each in TYPES]
        if not names and isinstance(schema.get("properties"), Mapping):
            names = ["object"]
        if schema.get("nullable") is True and names:
            names.append("null")
        if not names:
            return {}
        made: dict[str, Any] = {"type": names[0] if len(names) == 1 else list(dict.fromkeys(names))}
        if "object" in names:
            made |= self._object(schema, depth)
        if "array" in names:
            made["items"] = self.read(schema.get("items"), depth + 1)
        if schema.get("format") in _FORMATS:
            made["format"] = schema["format"]
        for size in _SIZES:
            if _is_number(schema.get(size)) and int(schema[size]) >= 0:
                made[size] = int(schema[size])
        made |= {each: schema[each] for each in _LIMITS if _is_number(schema.get(each))}
        return made

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        properties, required = schema.get("properties"), schema.get("required")
        if isinstance(properties, Mapping) and properties:
            made["properties"] = {
                printable(name): self.read(below, depth + 1) for name, below in properties.items()
            }
            needed = required if isinstance(required, list) else []
            made["required"] = [name for name in made["properties"] if name in needed]
        further = schema.get("additionalProperties")
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
