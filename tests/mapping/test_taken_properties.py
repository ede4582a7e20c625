"""Whatever pydantic takes for a type, a mapping takes: when it is built, at first and ever after."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import decimal
import enum
import itertools
import operator
import uuid
from typing import Annotated, Any, Literal, NamedTuple

import pydantic.dataclasses
import pytest
import typing_extensions
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainValidator,
    RootModel,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    create_model,
    field_validator,
    model_validator,
)

from acp_langgraph.mapping import compile_plan
from acp_langgraph.mapping.fits import refusal

_serial = itertools.count()

examples = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class Color(enum.Enum):
    red = "red"
    blue = "blue"


class Twin(enum.Enum):
    red = "red"
    blue = "blue"


class Point(BaseModel):
    x: int = 0
    label: str = Field("", alias="title")


class PointTwin(BaseModel):
    x: int = 0
    label: str = Field("", alias="title")


class Tags(RootModel[list[str]]):
    pass


class Lenient(BaseModel):
    """Takes a text for itself, before pydantic sees that it is none."""

    text: str = ""

    @model_validator(mode="before")
    @classmethod
    def from_text(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value


words = st.text("abc", max_size=3)
points = st.builds(Point, x=st.integers(0, 9)) | st.builds(PointTwin, x=st.integers(0, 9))

# A field's type, and values of which pydantic takes some.
FIELDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, st.integers() | st.just("7") | st.just(7.0) | words),
    "limited": (Annotated[int, Field(ge=0, le=5)], st.integers(-2, 7) | st.just("3")),
    "str": (str, words | st.integers()),
    "maybe": (int | None, st.none() | st.integers() | st.just("4")),
    "color": (Color, st.sampled_from([*Color, *Twin, "red", "green"])),
    "choice": (Literal["a", "b"], st.sampled_from(["a", "b", "c"])),
    "point": (Point, points | st.just({"x": "3", "title": "t"}) | st.just({"x": "no"})),
    "points": (list[Point], st.lists(points, max_size=2) | st.just([{"x": 1}])),
    "by_name": (dict[str, int], st.dictionaries(words, st.integers() | st.just("1"), max_size=2)),
    "tags": (Tags, st.lists(words, max_size=2)),
    "lenient": (Lenient, words | st.just({"text": "x"})),
    "parsed": (Json[list[int]], st.sampled_from(["[1, 2]", "[]", "no"])),
    "before": (Annotated[int, BeforeValidator(len)], words | st.lists(words, max_size=2)),
    "plain": (Annotated[int, PlainValidator(lambda value: value)], words | st.integers()),
    "wrap": (Annotated[int, WrapValidator(lambda value, _: len(str(value)))], words),
    "moment": (
        dt.datetime,
        st.sampled_from(["2026-01-02T03:04:05", 0, dt.datetime(2026, 1, 2, tzinfo=dt.UTC)]),
    ),
    "id": (uuid.UUID, st.sampled_from([str(uuid.UUID(int=5)), uuid.UUID(int=5), "no"])),
    "exact": (decimal.Decimal, st.sampled_from(["1.5", 2, decimal.Decimal("0.1")])),
}
STATES = ("typed dict", "model", "frozen model", "dataclass")


def target_type(kind: str, fields: dict[str, Any]) -> Any:
    """A type of the kind with the fields, the first of which has a rule of its owner's."""
    name = f"T{next(_serial)}"
    first = next(iter(fields))
    rule = {"own": field_validator(first, mode="before")(classmethod(len_of_lists))}
    if kind == "typed dict":
        return typing_extensions.TypedDict(name, fields)
    if kind == "dataclass":
        return dataclasses.make_dataclass(name, fields.items())
    if kind in ("pydantic dataclass", "frozen pydantic dataclass"):
        body = {"__annotations__": fields, "__module__": __name__, **rule}
        frozen = kind.startswith("frozen")
        return pydantic.dataclasses.dataclass(frozen=frozen)(type(name, (), body))
    made = {field: (declared, ...) for field, declared in fields.items()}
    if kind == "frozen fields":
        made = {field: (declared, Field(frozen=True)) for field, declared in fields.items()}
    config = ConfigDict(frozen=kind == "frozen model", coerce_numbers_to_str=kind == "coercing")
    if kind == "ruled":
        rule["whole"] = model_validator(mode="after")(lambda self: self)
    if kind == "wrapped":
        rule["whole"] = model_validator(mode="wrap")(classmethod(wrapped))
    return create_model(f"B{name}", __config__=config, __validators__=rule, **made)


def len_of_lists(cls: Any, value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def wrapped(cls: Any, value: Any, handler: Any) -> Any:
    return handler(dict(value) if isinstance(value, dict) else value)


KINDS = (
    "typed dict",
    "dataclass",
    "pydantic dataclass",
    "frozen pydantic dataclass",
    "model",
    "frozen model",
    "frozen fields",
    "coercing",
    "ruled",
    "wrapped",
)


def state_type(kind: str, target: Any) -> Any:
    name = f"S{next(_serial)}"
    if kind == "typed dict":
        return typing_extensions.TypedDict(name, {"src": Any, "dst": target}, total=False)
    if kind == "dataclass":
        fields = [("src", Any, None), ("dst", target | None, None)]
        return dataclasses.make_dataclass(name, fields)
    config = ConfigDict(frozen=kind == "frozen model")
    return create_model(name, __config__=config, src=(Any, None), dst=(target | None, None))


def state_of(declared: Any, kind: str, **channels: Any) -> Any:
    if kind == "typed dict":
        return channels
    if kind == "dataclass":
        return declared(**channels)
    return declared.model_construct(**channels)  # as LangGraph holds it: judged when it was written


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Any, dict[str, Any]]:
    kind = draw(st.sampled_from(KINDS))
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True))
    target = target_type(kind, {name: FIELDS[name][0] for name in names})
    values = {name: draw(FIELDS[name][1]) for name in names}
    if kind not in ("typed dict", "dataclass") and draw(st.booleans()):
        values[names[0]] = (values[names[0]],)  # what only the owner's rule takes
    return kind, target, values


def taken(declared: Any, values: Any) -> Any:
    """What pydantic makes of the values, or of their JSON."""
    adapter = TypeAdapter(declared)
    return adapter.validate_python(values)


@pytest.mark.parametrize("state_kind", STATES)
@examples
@given(case=cases())
def test_what_a_fresh_validation_takes_a_plan_takes_at_first_and_later(state_kind, case):
    _, target, values = case
    try:
        expected = taken(target, values)
    except (ValidationError, TypeError, IndexError):
        assume(False)
    declared = state_type(state_kind, target)
    rules = {f"dst.{name}": f"src.{name}" for name in values}
    options = {"target_schema": declared, "source_schema": declared, "into_state": True}
    plan = compile_plan(rules, complete=(), **options)
    first = plan.delta(state_of(declared, state_kind, src=values))["dst"]
    again = plan.delta(state_of(declared, state_kind, src=values, dst=first))["dst"]
    assert first == again == expected
    for target_path, source in rules.items():
        alone = compile_plan({target_path: source}, complete=(), **options)
        assert alone.delta(state_of(declared, state_kind, src=values, dst=first)) == {"dst": first}
    whole = compile_plan({"dst": "src"}, complete=(), **options)
    assert whole.delta(state_of(declared, state_kind, src=values)) == {"dst": expected}


class Pair(NamedTuple):
    left: int
    right: str = ""


class Coerced(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    x: str


SOURCES: list[tuple[Any, list[Any]]] = [
    (int, [1]),
    (float, [1.0, 0.5]),
    (bool, [True]),
    (str, ["x", "1", "true", "red", '{"x": 1}', "[1]", "2026-01-02", "PT5S"]),
    (None, [None]),
    (Color, [Color.red]),
    (Literal["red"], ["red"]),
    (dt.datetime, [dt.datetime(2026, 1, 2, tzinfo=dt.UTC)]),
    (dt.date, [dt.date(2026, 1, 2)]),
    (dt.timedelta, [dt.timedelta(5)]),
    (decimal.Decimal, [decimal.Decimal(1)]),
    (uuid.UUID, [uuid.UUID(int=1)]),
    (list[int], [[1]]),
    (list[str], [["a", "1"]]),
    (tuple[int, str], [(1, "x")]),
    (set[int], [{1}]),
    (dict[str, int], [{"x": 1}]),
    (Point, [Point()]),
    (Pair, [Pair(1)]),
    (Tags, [Tags(["a"])]),
    (int | None, [1]),
]
TARGETS = [
    *(declared for declared, _ in SOURCES),
    *(declared for declared, _ in FIELDS.values()),
    dict[str, str],
    dict[str, Any],
    list[Any],
    frozenset[str],
    bytes,
    object,
    Lenient,
    Coerced,
    Json,
    int | Point,
]


@pytest.mark.parametrize("source", [pytest.param(each, id=str(each[0])) for each in SOURCES])
def test_what_pydantic_takes_is_not_refused_when_a_plan_is_built(source):
    declared, values = source
    wrong = []
    for target in TARGETS:
        adapter = TypeAdapter(target)
        for value in values:
            with contextlib.suppress(ValidationError, TypeError):
                adapter.validate_python(value)
                # Pydantic also takes a model for the list of its fields, which nobody means.
                if refusal(declared, target) and (declared, target) != (Point, list[Any]):
                    wrong.append((target, value, refusal(declared, target)))
    assert wrong == []


class Owner(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    text: str = ""
    size: Annotated[list[int], operator.add] = []

    @field_validator("size", mode="before")
    @classmethod
    def of_text(cls, value: Any) -> Any:
        return [len(value)] if isinstance(value, str) else value


class Owning(typing_extensions.TypedDict, total=False):
    number: int
    word: str
    owner: Owner


def test_a_field_whose_owner_takes_more_is_no_reason_to_refuse():
    rules = {"owner.text": "number", "owner.size": "word"}
    plan = compile_plan(
        rules, source_schema=Owning, target_schema=Owning, complete=(), into_state=True
    )
    first = plan.delta({"number": 5, "word": "abc"})
    assert first["owner"] == Owner(text="5", size=[3])
    assert plan.delta({"number": 6, "word": "abcd", **first})["owner"].size == [4]
