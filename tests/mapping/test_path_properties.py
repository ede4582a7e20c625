"""What holds for every state: dicts, TypedDicts, models, dataclasses and lists in any nesting."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import typing_extensions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, create_model

from acp_langgraph.mapping import (
    MappingPlan,
    PathSyntaxError,
    StatePath,
    compile_path,
    compile_plan,
    validation,
)
from acp_langgraph.mapping import copy as copied
from acp_langgraph.mapping.paths import PathPlan

LEAVES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, st.integers()),
    "str": (str, st.text(max_size=5)),
    "bool": (bool, st.booleans()),
    "maybe": (int | None, st.none() | st.integers()),
}
KINDS = ("dict", "typed dict", "model", "frozen model", "dataclass")
NAMES = st.sampled_from(["a", "b_c", "naïve", "x1", "title", "items"])
_serial = itertools.count()

LEAF = st.sampled_from(sorted(LEAVES))
SPEC = st.recursive(
    LEAF,
    lambda inner: (
        st.tuples(st.sampled_from(KINDS), st.dictionaries(NAMES, inner, min_size=1, max_size=3))
        | st.tuples(st.just("list"), inner)
    ),
    max_leaves=8,
)
ROOT = st.tuples(
    st.sampled_from(KINDS[1:3] + KINDS[4:]), st.dictionaries(NAMES, SPEC, min_size=1, max_size=3)
)


def made(spec: Any) -> tuple[Any, st.SearchStrategy[Any]]:
    """The type of a spec, and a strategy for its values."""
    if isinstance(spec, str):
        return LEAVES[spec]
    kind, inner = spec
    if kind == "list":
        item, values = made(inner)
        return list[item], st.lists(values, min_size=1, max_size=3)
    fields = {name: made(below) for name, below in inner.items()}
    types = {name: field[0] for name, field in fields.items()}
    body = st.fixed_dictionaries({name: field[1] for name, field in fields.items()})
    name = f"T{next(_serial)}"
    if kind == "dict":
        return dict[str, Any], body
    if kind == "typed dict":
        return typing_extensions.TypedDict(name, types), body
    if kind == "dataclass":
        cls = dataclasses.make_dataclass(name, types.items())
    else:
        config = {"frozen": kind == "frozen model"}
        cls = create_model(name, __config__=config, **{n: (t, ...) for n, t in types.items()})
    return cls, body.map(lambda values: cls(**values))


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every leaf of a value with its path."""
    if isinstance(value, BaseModel):
        inside: Any = value.__dict__.items()
    elif dataclasses.is_dataclass(value):
        inside = vars(value).items()
    elif isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    else:
        yield at, value
        return
    for step, below in inside:
        yield from leaves(below, (*at, step))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any, tuple[Any, ...], Any]:
    """A schema, a state, the path of a leaf in it, and another value for that leaf."""
    spec = draw(ROOT)
    declared, values = made(spec)
    state = draw(values)
    steps, old = draw(st.sampled_from(list(leaves(state))))
    new = draw(LEAVES["maybe" if old is None else type(old).__name__][1])
    return declared, state, steps, new


examples = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@examples
@given(cases())
def test_what_was_written_is_read_and_nothing_else_changed(case):
    declared, state, steps, new = case
    before = copy.deepcopy(state)
    path = compile_path(declared, StatePath(steps))
    delta = path.write(state, new)
    assert state == before
    assert list(delta) == [steps[0]]
    assert path.path.read(delta) == new
    after = dict(leaves(delta[steps[0]], (steps[0],)))
    old = {place: value for place, value in leaves(state) if place[0] == steps[0]}
    assert after.keys() == old.keys()
    assert {place: after[place] for place in old if place != steps} == {
        place: value for place, value in old.items() if place != steps
    }
    if len(steps) > 1:
        assert type(delta[steps[0]]) is type(StatePath(steps[:1]).read(state))
    channel = compile_path(declared, StatePath(steps[:1])).type
    assert validation.validate(channel, delta[steps[0]]) == delta[steps[0]]


@examples
@given(cases())
def test_a_path_reads_what_its_text_reads(case):
    _, state, steps, _ = case
    path = StatePath(steps)
    assert StatePath.parse(str(path)) == path
    assert path.read(state) == StatePath.parse(str(path)).read(state)


@examples
@given(cases())
def test_a_missing_parent_is_made_as_declared_or_the_write_is_refused(case):
    declared, _, steps, new = case
    path = compile_path(declared, StatePath(steps))
    try:
        delta = path.write({}, new)
    except ValueError:
        return
    assert path.path.read(delta) == new


@examples
@given(cases())
def test_a_plan_survives_json(case):
    declared, state, steps, _ = case
    plan = compile_plan(
        {str(StatePath(steps)): copied(str(StatePath(steps)))},
        source_schema=declared,
        target_schema=declared,
        complete=(),
        into_state=True,
    )
    assert isinstance(plan, MappingPlan)
    again = compile_plan(
        {target: copied(rule["copy"]) for target, rule in plan.to_json()["rules"].items()},
        source_schema=declared,
        target_schema=declared,
        complete=(),
        into_state=True,
    )
    assert again == plan
    assert again.delta(state) == plan.delta(state)


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(st.text(max_size=4) | st.integers(-3, 30), max_size=5).map(tuple))
def test_every_path_is_read_back_from_its_text(steps):
    assert StatePath.parse(str(StatePath(steps))).steps == steps


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=12))
def test_any_text_is_a_path_or_a_typed_error(text):
    with contextlib.suppress(PathSyntaxError):
        path = StatePath.parse(text)
        assert StatePath.parse(str(path)) == path


@examples
@given(cases())
def test_a_path_as_a_plan_reads_and_writes_what_the_path_does_also_the_second_time(case):
    declared, state, steps, new = case
    path = StatePath(steps)
    for plan, schema in ((PathPlan(path, declared), declared), (PathPlan(path), None)):
        for _ in range(2):
            assert plan.value(state) == path.read(state)
            assert plan.delta(new, state=state) == path.write(state, new, schema)
