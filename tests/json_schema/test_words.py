"""JSON Schemas in words."""

from __future__ import annotations

import pytest

from acp_langgraph.json_schema.reading import Document, one_line, printable, said


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "anything"),
        (False, "nothing"),
        ({"type": "integer"}, "integer"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": ["a", None, 1]}, '"a" or null or 1'),
        ({"enum": list(range(9))}, "0 or 1 or 2 or 3 or 4 or 5 or ..."),
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        ({"type": "array", "items": {"type": ["integer", "null"]}}, "list of (integer or null)"),
        ({"type": "array"}, "list"),
        ({"type": "object", "properties": {"a": {}, "b": {}}}, "object {a, b}"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "object of string"),
        ({"items": {"$ref": "#"}, "type": "array"}, "list of list of list of list"),
    ],
)
def test_a_schema_is_said_in_a_few_words(schema, words):
    assert said(schema, Document(schema)) == words


def test_what_is_long_is_cut():
    schema = {"enum": ["x" * 500]}

    assert said(schema, Document(schema)) == f'"{"x" * 36}...'


def test_what_would_move_the_cursor_is_not_printed():
    assert printable("a\x1b[31mb\u202ec\x07") == "a [31mb c "
    assert one_line("a\r\n  b\x9bc") == "a b c"
