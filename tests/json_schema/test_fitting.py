"""Whether values of one schema fit another: what is said must be true."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from acp_langgraph.json_schema.fitting import Misfit, misfits

TEXT, WHOLE, NUMBER, NULL = ({"type": kind} for kind in ("string", "integer", "number", "null"))


def record(required: Any = (), /, *, closed: bool = False, **properties: Any) -> dict[str, Any]:
    made = {"type": "object", "properties": properties, "required": list(required)}
    return {**made, "additionalProperties": False} if closed else made


def tree(value: Any) -> dict[str, Any]:
    kids = {"type": "array", "items": {"$ref": "#/$defs/tree"}}
    return {"$ref": "#/$defs/tree", "$defs": {"tree": record(["value"], value=value, kids=kids)}}


def said(given_: Any, wanted: Any, **options: Any) -> list[tuple[str, str, bool]]:
    found = misfits(given_, wanted, **options)
    return [(".".join(each.path), each.kind, each.certain) for each in found]


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        (WHOLE, NUMBER),
        (TEXT, {}),
        ({}, TEXT),
        (TEXT, {"anyOf": [WHOLE, TEXT]}),
        ({"type": ["string", "null"]}, {"anyOf": [NULL, TEXT]}),
        ({"type": "string", "nullable": True}, {"type": ["null", "string"]}),
        ({"type": "boolean"}, {"enum": [False, True]}),
        ({"const": 1}, {"enum": [1.0, 2]}),
        ({"enum": ["a", "b"]}, {"type": "string", "maxLength": 1}),
        (record(["a"], a=TEXT, b=TEXT), record(["a"], a=TEXT)),
        (
            record(["a"], a=TEXT),
            {"allOf": [record(["a"]), {"$ref": "#/$defs/x"}], "$defs": {"x": {}}},
        ),
        (tree(TEXT), tree(TEXT)),
        (TEXT, {"$ref": "https://example.org/schema.json"}),
        (TEXT, {"$ref": "#/nowhere"}),
        (TEXT, {"type": "string", "minLength": 1, "pattern": "^x"}),
        (record(a=TEXT), record(a={"$ref": "#/properties/a"})),  # a schema without an end
        (TEXT, "no schema"),
        (TEXT, {"type": 5}),
        (TEXT, {"required": ["a"]}),  # which says something of objects only
    ],
)
def test_what_fits_or_cannot_be_told_is_not_reported(given_, wanted):
    assert misfits(given_, wanted) == []


@pytest.mark.parametrize(
    ("given_", "wanted", "expected"),
    [
        (TEXT, WHOLE, ("", "value", True)),
        (NUMBER, WHOLE, ("", "value", False)),
        ({"type": ["string", "null"]}, TEXT, ("", "value", False)),
        ({"enum": ["a", "c"]}, {"enum": ["a", "b"]}, ("", "value", False)),
        ({"enum": ["c"]}, {"enum": ["a", "b"]}, ("", "value", True)),
        (TEXT, {"enum": ["a", "b"]}, ("", "value", False)),
        (TEXT, {"enum": [1, 2]}, ("", "value", True)),
        ({"const": True}, {"enum": [1]}, ("", "value", True)),
        (TEXT, {"anyOf": [WHOLE, NULL]}, ("", "value", True)),
        (TEXT, False, ("", "value", True)),
        ({**WHOLE, "minimum": 5}, {**WHOLE, "maximum": 4}, ("", "value", True)),
        (record(["a"], a=TEXT, closed=True), record(["b"], b=TEXT), ("b", "missing", True)),
        (record(a=TEXT), record(["a"], a=TEXT), ("a", "may_be_missing", False)),
        (record(a=TEXT), record(["b"], b=TEXT), ("b", "undeclared", False)),
        (record(["a"], a=TEXT), record(closed=True), ("a", "surplus", True)),
        (record(a=WHOLE), record(a=TEXT), ("a", "value", True)),
        (record(a=WHOLE), {"anyOf": [NULL, record(a=TEXT)]}, ("a", "value", True)),
        (record(a=record(b=TEXT)), record(a=record(b=WHOLE)), ("a.b", "value", True)),
        (
            {"type": "array", "items": TEXT},
            {"type": "array", "items": WHOLE},
            ("[]", "value", True),
        ),
        ({"anyOf": [NULL, record(a=TEXT)]}, record(a=TEXT), ("", "value", False)),
        (
            {
                "allOf": [record(a=TEXT), {"$ref": "#/$defs/b"}],
                "$defs": {"b": record(["b"], b=TEXT)},
            },
            record(b=WHOLE),
            ("b", "value", True),
        ),
    ],
)
def test_what_does_not_fit_is_placed_and_it_is_said_how_sure_that_is(given_, wanted, expected):
    assert said(given_, wanted) == [expected]


def test_a_schema_inside_itself_is_compared_once_at_every_place():
    assert said(tree(TEXT), tree(WHOLE)) == [
        ("value", "value", True),
        ("kids.[].value", "value", True),
    ]


def test_what_pydantic_may_convert_is_no_certain_misfit():
    assert said(TEXT, WHOLE, lax=True) == [("", "value", False)]
    assert said(WHOLE, TEXT, lax=True) == [("", "value", True)]
    assert said(WHOLE, {"type": "string", "format": "date-time"}, lax=True) == [
        ("", "value", False)
    ]


def test_what_is_given_and_what_is_taken_are_said_in_words():
    (found,) = misfits(record(a={"type": "array", "items": TEXT}), record(a={"enum": ["x", None]}))

    assert found == Misfit(("a",), "value", True, "list of string", '"x" or null')


def test_alternatives_that_double_at_every_turn_end():
    doubling = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    deep = {"$ref": "#/$defs/d0", "$defs": {**doubling, "d60": TEXT}}
    wide = {
        f"d{n}": record(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"})
        for n in range(60)
    }
    broad = {"$ref": "#/$defs/d0", "$defs": {**wide, "d60": TEXT}}

    assert misfits(deep, WHOLE) == []
    assert misfits(broad, {**broad, "title": "another"}) == []


# Small schemas, and every value of a small world: what is called certain holds for all of them.

SCALARS = [None, True, False, 0, 1, 7, -3, 2.5, "", "x", "abc"]
INNER = [*SCALARS, [], [0], ["x"], {}, {"a": 1}, {"a": "x"}]
WORLD = [
    *INNER,
    *([each] for each in INNER),
    *({"a": each} for each in INNER),
    *({"b": each} for each in INNER),
    *({"a": one, "b": other} for one, other in itertools.product([1, "x", None], INNER)),
]

names = st.sampled_from(["a", "b"])
simple = st.one_of(
    st.sampled_from([{}, True, TEXT, WHOLE, NUMBER, NULL, {"type": "boolean"}]),
    st.sampled_from([{"type": ["string", "null"]}, {"type": "object"}, {"type": "array"}]),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from(SCALARS), min_size=1)),
    st.builds(lambda low: {**WHOLE, "minimum": low}, st.integers(-4, 8)),
    st.builds(lambda high: {**NUMBER, "maximum": high}, st.integers(-4, 8)),
    st.builds(lambda most: {**TEXT, "maxLength": most}, st.integers(0, 3)),
    st.just({"$ref": "#/$defs/again"}),
)

leaves = simple.filter(lambda each: each != {"$ref": "#/$defs/again"})


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = st.fixed_dictionaries(
        {"properties": st.dictionaries(names, inner, max_size=2)},
        optional={
            "type": st.just("object"),
            "required": st.lists(names, unique=True),
            "additionalProperties": st.one_of(st.just(False), inner),
        },
    )
    lists = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={"minItems": st.integers(0, 2), "maxItems": st.integers(0, 2)},
    )
    parts = st.lists(inner, min_size=1, max_size=2)
    several = st.builds(
        lambda how, some: {how: some}, st.sampled_from(["anyOf", "oneOf", "allOf"]), parts
    )
    beside = st.builds(lambda one, other: {**one, **other}, several, objects)
    return st.one_of(objects, lists, several, beside)


schemas = st.builds(
    lambda top, again: {**top, "$defs": {"again": again}} if isinstance(top, dict) else top,
    st.recursive(simple, composed, max_leaves=6),
    st.recursive(leaves, composed, max_leaves=3),
)


def alike(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Pairs of schemas of one shape, which differ inside or in what they demand."""
    required, further = (
        st.lists(names, unique=True),
        st.sampled_from([{}, {"additionalProperties": False}]),
    )

    def objects(fields: dict[str, Any], needs: Any, more: Any) -> tuple[Any, Any]:
        first, second = (
            record(needs[at], **{name: pair[at] for name, pair in fields.items()}) | more[at]
            for at in (0, 1)
        )
        return first, second

    def lists(pair: tuple[Any, Any], least: int) -> tuple[Any, Any]:
        one, other = ({"type": "array", "items": each, "minItems": least} for each in pair)
        return one, other

    def several(pairs: list[Any], one: str, other: str) -> tuple[Any, Any]:
        return {one: [first for first, _ in pairs]}, {other: [second for _, second in pairs]}

    how = st.sampled_from(["anyOf", "oneOf", "allOf"])
    return st.one_of(
        st.builds(
            objects,
            st.dictionaries(names, inner, min_size=1, max_size=2),
            st.tuples(required, required),
            st.tuples(further, further),
        ),
        st.builds(lists, inner, st.integers(0, 1)),
        st.builds(several, st.lists(inner, min_size=1, max_size=3), how, how),
    )


pairs = st.recursive(st.tuples(leaves, leaves), alike, max_leaves=6)


def stands(value: Any, path: tuple[str, ...]) -> bool:
    """Whether there is something at a place of a value."""
    if not path:
        return True
    first, *rest = path
    if first == "[]":
        return isinstance(value, list) and any(stands(each, tuple(rest)) for each in value)
    return isinstance(value, dict) and first in value and stands(value[first], tuple(rest))


@settings(max_examples=100, deadline=None)
@given(st.one_of(pairs, st.tuples(schemas, schemas), st.builds(lambda one: (one, one), schemas)))
def test_what_is_called_certain_is_true_of_every_value(pair):
    one, other = pair
    found = [each for each in misfits(one, other) if each.certain]
    if not found:
        return
    first, second = Draft202012Validator(one), Draft202012Validator(other)
    for value in filter(first.is_valid, WORLD):
        for misfit in found:
            at = misfit.path[:-1] if misfit.kind == "missing" else misfit.path
            assert not (stands(value, at) and second.is_valid(value)), (misfit, value)
