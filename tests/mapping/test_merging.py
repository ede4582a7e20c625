"""The reducer for several writers of one channel."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from acp_langgraph.mapping import merge


class Box(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0
    b: int = 0
    inner: Box | None = None


@dataclass
class Part:
    a: int = 0
    b: int = 0
    many: list[int] = field(default_factory=list)


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (None, {"a": 1}, {"a": 1}),
        ({"a": 1}, None, None),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"x": {"a": 1}}, {"x": {"b": 2}}, {"x": {"a": 1, "b": 2}}),
        ({"x": [1]}, {"x": [2]}, {"x": [2]}),
        (Box(a=1, b=2), Box(b=5), Box(a=1, b=5)),
        (Box(a=1), {"b": 5}, Box(a=1, b=5)),
        (Box(inner=Box(a=1)), {"inner": {"b": 2}}, Box(inner=Box(a=1, b=2))),
        (Box(a=1), Box(more=2), Box(a=1, more=2)),
        (Part(a=1), Part(b=2), Part(a=1, b=2)),
        (Part(a=1, many=[1]), {"b": 2}, Part(a=1, b=2, many=[1])),
        ("text", {"a": 1}, {"a": 1}),
        (1, 2, 2),
    ],
)
def test_what_was_written_is_put_on_top_and_nothing_is_changed(left, right, result):
    before: Any = copy.deepcopy((left, right))
    assert merge(left, right) == result
    assert (left, right) == before
