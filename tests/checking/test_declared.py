"""What a node's types allow: nothing that works at run time is called wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

import pytest
from langchain_core.messages import AnyMessage
from pydantic import (
    MISSING,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    model_validator,
)
from typing_extensions import TypedDict

from acp_langgraph.checking.declared import (
    planned_schema,
    sent_schema,
    state_schema,
    taken_schema,
)
from acp_langgraph.json_schema.fitting import misfits
from acp_langgraph.mapping import compile_input, const
from acp_langgraph.nodes.ports import InputPort, OutputPort

WANTS_B = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}


class Plain(BaseModel):
    a: str = ""


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: str = ""


@dataclass
class Data:
    a: str = ""


class Dict(TypedDict):
    a: str
    deep: NotRequired[Plain]


class Sub(Plain):
    b: int = 1


class Holder(BaseModel):
    inner: SerializeAsAny[Plain]


@pytest.mark.parametrize("declared", [Plain, Data, Dict])
def test_what_is_sent_of_a_type_is_its_fields_and_nothing_else(declared):
    (found,) = misfits(sent_schema(declared), WANTS_B)

    assert (found.path, found.kind, found.certain) == (("b",), "missing", True)


@pytest.mark.parametrize("declared", [Open, dict[str, Any], dict])
def test_what_may_hold_more_is_only_doubted(declared):
    (found,) = misfits(sent_schema(declared), WANTS_B)

    assert (found.kind, found.certain) == ("undeclared", False)


def test_what_is_serialized_by_its_own_class_may_be_anything():
    holding = {"type": "object", "properties": {"inner": WANTS_B}}
    sent = InputPort("input", "", Holder, "n").read({"inner": Sub()})

    assert sent == {"inner": {"a": "", "b": 1}}
    assert misfits(sent_schema(Holder), holding) == []


def _count(text: Any) -> Any:
    return len(text) if isinstance(text, list) else text


class Counts(BaseModel):
    n: Annotated[int, BeforeValidator(_count)]


class Rewrites(BaseModel):
    n: int

    @model_validator(mode="before")
    @classmethod
    def _wrapped(cls, value: Any) -> Any:
        return {"n": 1} if isinstance(value, list) else value


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int = Field(alias="number")


class Chosen(BaseModel):
    n: int = Field(validation_alias=AliasChoices("x", "y"))


class Inner(TypedDict):
    n: int


@pytest.mark.parametrize(
    ("declared", "answer"),
    [
        (Counts, {"n": [1, 2]}),
        (Rewrites, []),
        (Aliased, {"n": 1}),
        (Chosen, {"y": 1}),
        (Inner, {"n": "3", "more": True}),
        (list[AnyMessage], [{"role": "user", "content": "hi"}]),
    ],
)
def test_what_a_node_takes_at_run_time_is_not_called_wrong(declared, answer):
    OutputPort("any", declared, None, "n").write({}, answer)

    exactly = {"const": answer} if not isinstance(answer, dict) else _schema_of(answer)
    assert [
        each for each in misfits(exactly, taken_schema(declared), lax=True) if each.certain
    ] == []


def _schema_of(answer: dict[str, Any]) -> dict[str, Any]:
    kinds = {int: "integer", str: "string", list: "array", bool: "boolean"}
    fields = {name: {"type": kinds[type(value)]} for name, value in answer.items()}
    return {"type": "object", "properties": fields, "required": list(fields)}


def test_a_serializer_that_does_not_say_what_it_gives_may_give_anything():
    class Model(BaseModel):
        n: Annotated[int, PlainSerializer(lambda n: f"{n} pieces")]

    wanted = {"type": "object", "properties": {"n": {"type": "string"}}}
    assert misfits(sent_schema(Model), wanted) == []


def test_a_field_with_a_default_is_always_sent():
    wanted = {"type": "object", "required": ["a"]}
    assert misfits(sent_schema(Plain), wanted) == []
    assert misfits(sent_schema(Data), wanted) == []


def test_a_field_that_may_be_left_out_need_not_be_sent():
    class Model(BaseModel):
        a: str | MISSING = MISSING  # type: ignore[valid-type]  # pydantic's
        b: str = Field("", exclude_if=lambda text: not text)

    found = misfits(sent_schema(Model), {"type": "object", "required": ["a", "b"]})
    assert {(each.path, each.kind) for each in found} == {
        (("a",), "may_be_missing"),
        (("b",), "may_be_missing"),
    }


def test_a_channel_of_the_state_need_not_be_set():
    (found,) = misfits(state_schema(Dict), {"type": "object", "required": ["a"]})

    assert (found.kind, found.certain) == ("may_be_missing", False)


def test_a_plan_makes_the_fields_that_it_has_rules_for():
    plan = compile_input(
        {"a.x": "text", "a.kind": const("mail"), "a.note": "Dear {name}"}, state=None, agent=None
    )
    inner = {
        "type": "object",
        "properties": {"kind": {"enum": ["letter"]}, "note": {"type": "integer"}, "x": {}},
        "required": ["x", "y"],
    }
    found = misfits(planned_schema(plan), {"type": "object", "properties": {"a": inner}})

    assert {(".".join(each.path), each.kind) for each in found} == {
        ("a.kind", "value"),
        ("a.note", "value"),
        ("a.y", "missing"),
    }


def test_a_type_without_a_schema_says_nothing():
    class Opaque:
        pass

    assert sent_schema(Opaque) in (True, {})
    assert taken_schema(Literal["a"]) == {"const": "a", "type": "string"}
    assert sent_schema(None) is True
