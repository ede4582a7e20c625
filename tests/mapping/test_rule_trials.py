"""What rules without a model must do, trial by trial.

Each trial was made with the imperative mapper of agntcy-iomapper 0.2.3; the tests state the right
behavior.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel
from support.mapped import both_colors, run_graph

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import compile_plan, const, copy, each
from acp_langgraph.mapping.edges import add_io_mapped_edge


class Kind(enum.Enum):
    big = "BIG"


class Inner(BaseModel):
    text: str = ""
    when: dt.datetime | None = None
    kind: Kind | None = None


class Out(BaseModel):
    query: str = ""
    when: dt.datetime | None = None
    kind: Kind | None = None
    inner: Inner | None = None
    keep: str = "kept"


class Item(BaseModel):
    v: int
    name: str = ""


class Row(BaseModel):
    value: int
    label: str = ""


class S(BaseModel):
    q: str = "Q"
    number: int = 5
    maybe: str | None = None
    a: Inner = Inner(text="nested", when=dt.datetime(2025, 1, 1, tzinfo=dt.UTC), kind=Kind.big)
    d: dict[str, list[Item]] = {}
    out: Out | None = None
    rows: list[Row] = []
    numbers: list[int] = []


def mapped(color: str, rules: dict[str, Any], state: Any = None, **config: Any) -> Any:
    """The state after an edge with these rules."""
    builder = StateGraph(S)
    builder.add_node("src", lambda _: {})
    builder.add_node("dst", lambda _: {})
    builder.add_edge(START, "src")
    add_io_mapped_edge(builder, "src", "dst", {"field_mapping": rules, **config})
    builder.add_edge("dst", END)
    return run_graph(color, builder.compile(), state or {"q": "Q"})


@pytest.mark.parametrize("source", ["q", "$.q", "$['q']"])
@both_colors
def test_a_scalar_is_copied_without_a_model_in_both_colors(color, source):
    assert mapped(color, {"out.query": source})["out"].query == "Q"


@pytest.mark.parametrize("source", ["a.text", "$.a.text", "$['a.text']"])
@both_colors
def test_a_nested_source_in_a_model_is_read_by_its_plain_path(color, source):
    assert mapped(color, {"out.query": source}, input_fields=["a.text"])["out"].query == "nested"


@both_colors
def test_a_missing_source_never_overwrites_what_is_there(color):
    state = {"out": Out(query="old")}
    kept = mapped(color, {"out.query": copy("maybe", optional=True)}, state)
    assert kept["out"].query == "old"
    with pytest.raises(MappingError, match=r"out\.query: maybe is None, and it is str;"):
        mapped(color, {"out.query": "maybe"}, state)


@both_colors
def test_a_list_is_mapped_item_by_item(color):
    state = {"d": {"xs": [{"v": 1, "name": "a"}, {"v": 2, "name": "b"}]}}
    result = mapped(
        color,
        {
            "rows": each("d.xs", {"value": "v", "label": "{name}/{state:q}"}),
            "numbers": each("d.xs", "v"),
        },
        state,
    )
    assert result["rows"] == [Row(value=1, label="a/Q"), Row(value=2, label="b/Q")]
    assert result["numbers"] == [1, 2]


@both_colors
def test_a_target_inside_a_list_is_written_there(color):
    state = {"rows": [{"value": 1}, {"value": 2}]}
    result = mapped(color, {"rows.0.value": "number", "rows[-1].label": "q"}, state)
    assert result["rows"] == [Row(value=5), Row(value=2, label="Q")]


@pytest.mark.parametrize("rule", ["number", const(5), 5, "a", "d"])
def test_a_type_that_can_never_fit_is_refused_when_the_edge_is_added(rule):
    with pytest.raises(NodeConfigurationError, match=r"out\.query: .* does not fit"):
        mapped("sync", {"out.query": rule})


@pytest.mark.parametrize(
    ("target", "source"), [("out.when", "a.when"), ("out.kind", "a.kind"), ("out.inner", "a")]
)
@both_colors
def test_dates_enums_and_models_are_copied_as_they_are(color, target, source):
    field = target.removeprefix("out.")
    expected = {"when": S().a.when, "kind": Kind.big, "inner": S().a}
    assert getattr(mapped(color, {target: source})["out"], field) == expected[field]


@both_colors
def test_siblings_of_the_target_are_kept(color):
    state = {"out": {"query": "old", "keep": "mine"}}
    result = mapped(color, {"out.query": "q"}, state)
    assert result["out"] == Out(query="Q", keep="mine")


def test_a_target_outside_the_declared_state_is_refused():
    with pytest.raises(NodeConfigurationError, match="did you mean 'query'"):
        mapped("sync", {"out.qury": "q"})


@pytest.mark.parametrize("source", ["$.q[", "a..b", "{q", "$.nothing"])
def test_a_bad_path_is_found_when_the_edge_is_added(source):
    with pytest.raises(NodeConfigurationError):
        mapped("sync", {"out.query": source})


@both_colors
def test_field_mapping_needs_neither_fields_nor_schemas_nor_a_model(color):
    assert mapped(color, {"out.query": "q"})["out"].query == "Q"


@both_colors
def test_functions_are_taken_as_they_are(color):
    def shout(state: S) -> str:
        return state.q + "!"

    rules = {"out.query": shout, "out.keep": lambda state, config: f"{state.q}{len(config)}"}
    result = mapped(color, rules, {"q": "hey"})
    assert result["out"] == Out(query="hey!", keep="hey1")


def test_an_asynchronous_function_is_refused():
    async def later(state: S) -> str:
        return state.q

    with pytest.raises(NodeConfigurationError, match="asynchronous"):
        mapped("sync", {"out.query": later})


def test_what_a_function_returns_is_checked_against_the_target():
    def number(state: S) -> int:
        return 5

    with pytest.raises(NodeConfigurationError, match=r"the result of number does not fit"):
        mapped("sync", {"out.query": number})


@both_colors
def test_what_a_function_raises_comes_out_with_a_note_of_the_mapping(color):
    def broken(state: S) -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        mapped(color, {"out.query": broken})
    assert any("out.query" in note for note in caught.value.__notes__)


@both_colors
def test_schemas_of_ones_own_stand_for_the_states(color):
    result = mapped(
        color,
        {"out.query": "q"},
        input_schema={"type": "object", "properties": {"q": {"type": "string"}}},
        output_schema=S.model_json_schema(),
    )
    assert result["out"]["query"] == "Q"
    with pytest.raises(NodeConfigurationError, match="number"):
        mapped(
            color,
            {"out.query": "number"},
            input_schema={"type": "object", "properties": {"q": {"type": "string"}}},
        )


def test_a_plan_states_what_it_does():
    plan = compile_plan(
        {"query": "Hello {a.text}", "keep": const("k"), "inner": copy("a", optional=True)},
        source_schema=S,
        target_schema=Out,
        match=False,
        name="greeting",
    )
    assert plan.describe() == (
        "greeting:\n  query <- 'Hello {a.text}'\n  keep <- 'k'\n  inner <- a (if there)"
    )
