"""What is refused from the types alone, and what never is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, TypedDict

import pytest
from langchain_core.messages import AnyMessage, BaseMessage
from pydantic import BaseModel, BeforeValidator, RootModel, model_validator

from acp_langgraph.mapping.fits import refusal, same_kind


class Color(enum.Enum):
    red = "red"


class A(BaseModel):
    x: int


class SubA(A):
    y: int = 0


class B(BaseModel):
    x: int
    z: str


class Lenient(BaseModel):
    q: str

    @model_validator(mode="before")
    @classmethod
    def any(cls, value: Any) -> Any:
        return {"q": str(value)}


@dataclasses.dataclass
class D:
    x: int


class T(TypedDict):
    x: int


class Root(RootModel[list[int]]):
    pass


CANNOT = [
    (int, str),
    (bool, str),
    (list[str], str),
    (dict, str),
    (A, str),
    (A, int),
    (str, list[str]),
    (str, dict),
    (str, A),
    (int, A),
    (list[int], A),
    (list[int], list[str]),
    (dict, list),
    (A, B),
    (D, B),
    (int | None, str),
    (int | bool, str | None),
    (None, str),
    (list, Color),
    (dt.date, int),
    (tuple[int, ...], list[str]),
]

MIGHT = [
    (str, int),
    (str, dt.datetime),
    (str, Color),
    (Color, str),
    (Color, Literal["red"]),
    (dt.datetime, str),
    (uuid.UUID, str),
    (decimal.Decimal, str),
    (int, bool),
    (Any, A),
    (A, Any),
    (str | None, str),
    (int | str, str),
    (dict, A),
    (A, dict),
    (SubA, A),
    (A, D),
    (A, T),
    (B, A),
    (D, A),
    (list[str], set[str]),
    (set[int], list[int]),
    (tuple[int, str], list[str]),
    (list[int], Root),
    (str, AnyMessage),
    (dict, BaseMessage),
    (int, Annotated[str, BeforeValidator(str)]),
    (A, Lenient),
    (str, "Unresolved"),
]


@pytest.mark.parametrize(("source", "target"), CANNOT)
def test_what_certainly_cannot_work_is_refused(source, target):
    assert refusal(source, target)


@pytest.mark.parametrize(("source", "target"), MIGHT)
def test_what_might_work_is_not_refused(source, target):
    assert refusal(source, target) is None


@pytest.mark.parametrize(
    ("source", "target", "alike"),
    [
        (str, str, True),
        (str | None, str, True),
        (Color, str, True),
        (str, int, False),
        (Any, str, False),
        (Any, Any, True),
        (A, B, False),
        (A, T, True),
        (int, bool, False),
    ],
)
def test_only_what_is_alike_is_matched_without_being_told(source, target, alike):
    assert same_kind(source, target) is alike
