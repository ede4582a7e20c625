"""JSON Schema as a Python type."""

from __future__ import annotations

import enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.json_schema.types import type_from_json_schema
from acp_langgraph.mapping import compile_path, validation
from acp_langgraph.mapping.schema import fields_of


class Color(enum.Enum):
    red = "red"


class Inner(BaseModel):
    color: Color
    again: list[Inner] = []


class Model(BaseModel):
    name: str = Field(min_length=2, description="a name")
    size: int = Field(ge=0, le=9)
    inner: Inner | None = None
    tags: dict[str, int] = {}
    kind: Literal["a", "b"] = "a"


TYPE = type_from_json_schema(Model.model_json_schema())


def test_a_models_schema_gives_a_type_with_its_fields():
    assert {name: member.required for name, member in (fields_of(TYPE) or {}).items()} == {
        "name": True,
        "size": True,
        "inner": False,
        "tags": False,
        "kind": False,
    }
    assert compile_path(TYPE, "tags.x").type is int
    assert compile_path(TYPE, "inner.color").type == Literal["red"]
    assert compile_path(TYPE, "inner.again.0.again.3.anything").type is Any


def test_a_misspelt_field_of_a_schema_is_refused():
    with pytest.raises(NodeConfigurationError, match="did you mean 'inner'"):
        compile_path(TYPE, "iner.color")


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ({"name": "ab", "size": 1}, True),
        ({"name": "ab", "size": 1, "undeclared": 5}, True),
        ({"name": "a", "size": 1}, False),
        ({"name": "ab", "size": 10}, False),
        ({"name": "ab"}, False),
        ({"name": "ab", "size": 1, "kind": "c"}, False),
        ({"name": "ab", "size": 1, "inner": {"color": "blue"}}, False),
    ],
)
def test_values_are_validated_as_the_schema_says(value, good):
    if good:
        assert validation.validate(TYPE, value) == value
    else:
        with pytest.raises(ValidationError):
            validation.validate(TYPE, value)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (True, Any),
        ({}, Any),
        ({"type": "string"}, str),
        ({"type": ["string", "null"]}, str | None),
        ({"type": "integer", "nullable": True}, int | None),
        ({"const": 5}, Literal[5]),
        ({"enum": ["a", None]}, Literal["a", None]),  # noqa: PYI061 - as it is made
        ({"enum": [[1]]}, Any),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, str | int),
        ({"oneOf": [{"type": "string"}, {}]}, Any),
        ({"type": "array", "items": {"type": "number"}}, list[float]),
        ({"type": "array"}, list[Any]),
        ({"type": "object"}, dict[str, Any]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, dict[str, int]),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}, bool),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}}, Any),
        ({"$ref": "https://example.org/schema"}, Any),
        ({"$ref": "#/nowhere"}, Any),
        ({"type": "mystery"}, Any),
        ({"type": 5}, Any),
    ],
)
def test_a_schema_becomes_the_plainest_type(schema, expected):
    assert type_from_json_schema(schema) == expected


def test_several_schemas_that_all_hold_are_one_object():
    made = type_from_json_schema(
        {
            "allOf": [
                {"$ref": "#/$defs/a"},
                {"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]},
            ],
            "$defs": {"a": {"type": "object", "properties": {"x": {"type": "string"}}}},
        }
    )
    found = {name: member.required for name, member in (fields_of(made) or {}).items()}
    assert found == {"x": False, "y": True}
