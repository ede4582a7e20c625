"""Schemas of strangers keep nobody busy, and raise nothing but what they are said to.

Each of these would go on for hours, or need gigabytes; that the tests end is what they show.
"""

from __future__ import annotations

from typing import Any

import pytest

from acp_langgraph.acp.agents import schema_faults
from acp_langgraph.json_schema.fitting import misfits
from acp_langgraph.json_schema.reading import Document, said
from acp_langgraph.json_schema.types import type_from_json_schema

LEVELS = 14


def levels(level: Any, kind: str = "string") -> dict[str, Any]:
    """A schema of 4 to the power of 14 alternatives or fields, in a kilobyte and a half."""
    names = [{"$ref": f"#/$defs/{each + 1}"} for each in range(LEVELS)]
    defs = {str(each): level([names[each]] * 4) for each in range(LEVELS)}
    return {"$ref": "#/$defs/0", "$defs": {**defs, str(LEVELS): {"type": kind}}}


WIDE = [f"field_{each}" for each in range(100_000)]
BOMBS = {
    "anyOf": levels(lambda inner: {"anyOf": inner}),
    "anyOf beside something": levels(lambda inner: {"description": "x", "oneOf": inner}),
    "allOf": levels(lambda inner: {"allOf": inner}),
    "properties": levels(
        lambda inner: {"type": "object", "properties": dict(zip("abcd", inner, strict=True))}
    ),
    "wide": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in WIDE},
        "required": WIDE,
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_schema_that_is_small_and_stands_for_very_much_is_read_and_compared(name):
    bomb, other = BOMBS[name], levels(lambda inner: {"anyOf": inner}, "integer")

    for given, wanted in ((bomb, bomb), (bomb, other), (other, bomb), (bomb, BOMBS["wide"])):
        misfits(given, wanted)
    assert said(bomb, Document(bomb))
    assert type_from_json_schema(bomb, "bomb")


def test_a_schema_that_is_too_large_to_be_checked_is_said_to_be():
    [fault] = schema_faults("input", BOMBS["wide"])

    assert fault == "input has more than 20000 values, which is too much to check"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": {}},
        {"type": [{}]},
        {"$ref": "#/anyOf/" + "9" * 5000, "anyOf": [True]},
        {"$ref": "#/anyOf/\u00b2", "anyOf": [True]},
        {"$ref": 7},
        {"enum": {}},
        {"required": {}},
        {"properties": []},
        {"items": 7},
        {"anyOf": {}},
        {"allOf": [7, {"$ref": "#"}]},
        {"type": "integer", "minimum": "a"},
        {"type": "object", "properties": {"a": {"type": {}}}, "required": [[]]},
    ],
)
def test_a_schema_that_is_none_is_read_as_saying_nothing(schema):
    misfits(schema, schema)
    misfits({"type": "object"}, schema)
    assert said(schema, Document(schema))
    type_from_json_schema(schema, "odd")
    list(schema_faults("odd", schema))


def test_an_alternative_that_allows_anything_leaves_nothing_certain():
    given = {"anyOf": [{}, {"type": "array", "items": {"type": "integer"}}], "description": "x"}
    wanted = {"type": "array", "items": {"type": "string"}}

    assert not [each for each in misfits(given, wanted) if each.certain]
    assert misfits(wanted, given) == []
