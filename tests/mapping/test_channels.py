"""What a node returns for a channel, with and without a reducer."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import add_messages
from pydantic import BaseModel, Field, field_validator, model_validator

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping import StatePath, StateWriteError, compile_output, merge


class Box(BaseModel):
    a: int = 0
    b: int = 0


class State(TypedDict, total=False):
    logs: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], add_messages]
    box: Annotated[Box, merge]
    own: Annotated[dict, lambda left, right: right]
    sized: Annotated[list[int], Field(max_length=2)]


def write(path: str, value: Any, state: Any = None) -> Any:
    return StatePath.parse(path).write(state or {}, value, State)


@pytest.mark.parametrize(
    ("path", "value", "delta"),
    [
        ("logs", "one", {"logs": ["one"]}),
        ("logs", ["one", "two"], {"logs": ["one", "two"]}),
        ("messages", AIMessage("x"), {"messages": [AIMessage("x")]}),
        ("messages", {"role": "user", "content": "x"}, {"messages": [HumanMessage("x")]}),
        ("messages", ("user", "x"), {"messages": [HumanMessage("x")]}),
        ("messages", [("ai", "x"), "y"], {"messages": [AIMessage("x"), HumanMessage("y")]}),
        ("messages", ("x", "y"), {"messages": [HumanMessage("x"), HumanMessage("y")]}),
        ("own.x", 1, {"own": {"x": 1}}),
    ],
)
def test_a_reducer_is_given_what_is_to_be_added(path, value, delta):
    assert write(path, value) == delta


def test_a_merged_channel_is_given_only_what_changed():
    assert write("box.a", 1, {"box": Box(b=5)}) == {"box": {"a": 1}}
    assert write("box.a", 1) == {"box": Box(a=1)}


def test_a_change_inside_a_list_that_is_added_to_is_refused_early_and_late():
    with pytest.raises(NodeConfigurationError, match="would add the whole"):
        write("logs.0", "x", {"logs": ["a"]})
    with pytest.raises(NodeConfigurationError, match="added to by its reducer"):
        compile_output({"logs.0": "x"}, state=State)


def test_constraints_of_a_channel_hold():
    with pytest.raises(StateWriteError, match="at most 2 items"):
        write("sized", [1, 2, 3])


class Judged(BaseModel):
    name: str = ""
    box: Box | None = None

    @field_validator("name")
    @classmethod
    def loud(cls, value: str) -> str:
        if value == "secret":
            raise ValueError(f"{value} is not allowed")
        return value.upper()


def test_a_pydantic_states_own_field_validators_judge_what_is_written():
    assert StatePath.parse("name").write(Judged(), "bo") == {"name": "BO"}
    with pytest.raises(StateWriteError, match=r"name, which is str: .*refused by its") as caught:
        StatePath.parse("name").write(Judged(), "secret")
    assert "secret" not in str(caught.value)


class Ordered(BaseModel):
    low: int = 0
    high: int = 10

    @model_validator(mode="after")
    def ordered(self) -> Ordered:
        if self.low > self.high:
            raise ValueError("wrong order")
        return self


class Ranges(BaseModel):
    range: Ordered = Ordered()


def test_fields_that_are_written_together_are_judged_together():
    plan = compile_output({"range.low": "l", "range.high": "h"}, state=Ranges)
    assert plan.delta({"l": "20", "h": "30"}, state=Ranges()) == {"range": Ordered(low=20, high=30)}
    with pytest.raises(ValueError, match="refused by its validator"):
        plan.delta({"l": 30, "h": 20}, state=Ranges())


class Ruled(BaseModel):
    word: str = ""
    size: int = 0

    @field_validator("size", mode="before")
    @classmethod
    def of_text(cls, value: Any) -> Any:
        return len(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def small(self) -> Ruled:
        assert self.size < 4, "too large"
        return self


def test_a_states_rules_for_a_field_hold_and_those_for_all_of_it_are_langgraphs():
    size = StatePath.parse("size")
    assert size.write(Ruled(word="abc"), "abc") == {"size": 3}
    assert size.write(Ruled(), 5) == {"size": 5}  # which LangGraph refuses, or not, with all else
    with pytest.raises(StateWriteError, match="size, which is int: refused by its validator"):
        size.write(Ruled(), "abcde")
