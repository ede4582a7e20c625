"""JSON Schema as a Python type.

    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}

becomes a `TypedDict` with one required key. Read liberally: what the schema says in a way that has
no counterpart here (`not`, `if`, patterns of property names) says nothing, and a schema that refers
to itself, or has no end, says nothing at that point. Objects keep keys that are not declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union

import typing_extensions
from pydantic import ConfigDict, Field, SecretStr

from acp_langgraph.json_schema.reading import Document, Form, Schema

_MOST_SCHEMAS: Final = 2_000
_DEEPEST: Final = 50

_SIMPLE: Final[dict[Any, Any]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": type(None),
}
_SIZES: Final = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
}
_LIMITS: Final = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
_CONSTRAINTS: Final[dict[Any, dict[str, str]]] = {
    "string": _SIZES,
    "array": _SIZES,
    "integer": _LIMITS,
    "number": _LIMITS,
}


def type_from_json_schema(schema: Schema, name: str = "Object") -> Any:
    """The type that a JSON Schema describes.

    Args:
        schema: The schema; local `$ref`s are followed.
        name: How an object without a title is called in messages.
    """
    return _Types(Document(schema)).read(schema, name)


class _Types:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0
        self._inside: list[int] = []

    def read(self, schema: Schema, name: str) -> Any:
        """The type of a schema that stands somewhere in the whole."""
        forms = self._document.forms(schema)
        self._count += 1
        if id(forms) in self._inside or self._count > _MOST_SCHEMAS or not forms:
            return Any
        if len(self._inside) > _DEEPEST:
            return Any
        self._inside.append(id(forms))
        kinds = [self._type(form, name) for form in forms]
        self._inside.pop()
        found = Any if Any in kinds else Union[tuple(kinds)]  # noqa: UP007 - made at run time
        said = {each for form in forms if isinstance(each := form.get("description"), str)}
        return Annotated[found, Field(description=said.pop())] if len(said) == 1 else found

    def _type(self, form: Form, name: str) -> Any:
        if "enum" in form:
            scalars = all(isinstance(each, (str, int, type(None))) for each in form["enum"])
            return Literal[tuple(form["enum"])] if scalars else Any
        kind = form.get("type") or ("object" if "properties" in form else None)
        found = _SIMPLE.get(kind, Any)
        if kind == "object":
            found = self._object(form, name)
        elif kind == "array":
            found = list[self.read(form.get("items", True), name)]  # type: ignore[misc]  # made at run time
        elif found is str and (form.get("format") == "password" or form.get("writeOnly") is True):
            found = SecretStr  # what pydantic writes of one
        limits: dict[str, Any] = {
            argument: form[keyword]
            for keyword, argument in _CONSTRAINTS.get(kind, {}).items()
            if isinstance(form.get(keyword), (int, float)) and not isinstance(form[keyword], bool)
        }
        return Annotated[found, Field(**limits)] if limits else found

    def _object(self, form: Form, name: str) -> Any:
        properties = form.get("properties")
        if not isinstance(properties, Mapping) or not properties:
            values = form.get("additionalProperties")
            return dict[str, self.read(values, name) if values else Any]  # type: ignore[misc]  # made at run time
        required = form.get("required")
        names = required if isinstance(required, list) else ()
        needed = {each for each in names if isinstance(each, str)}
        body = {}
        for key, below in properties.items():
            kind = self.read(below, key)
            body[key] = kind if key in needed else typing_extensions.NotRequired[kind]
        title = form.get("title")
        make: Any = typing_extensions.TypedDict  # the type checker wants literals
        made = make(title if isinstance(title, str) else name, body)
        made.__pydantic_config__ = ConfigDict(extra="allow")
        return made
