"""The pains of applications that wire agents together, and that they are gone.

Pains 13 and 14 are those of the API Bridge (prose for results, no timeout, no async) and are shown
with its node; here is what a mapping contributes.
"""

from __future__ import annotations

import operator
import subprocess
import sys
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from support.mapped import both_colors, run, run_graph

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import coalesce, compile_input, compile_output, compile_plan, copy
from acp_langgraph.mapping.edges import add_io_mapped_edge


class Wanted(BaseModel):
    email: str
    audience: str


class Answer(BaseModel):
    text: str | None = None


class Wrapper(BaseModel):
    input: Wanted | None = None
    output: Answer | None = None


class State(TypedDict, total=False):
    draft: str
    audience: str
    logs: Annotated[list[str], operator.add]
    agent: Wrapper
    other: Wrapper


FULL: State = {"draft": "d", "audience": "a"}


@both_colors
def test_1_no_input_object_has_to_live_in_the_state(color):
    plan = compile_input({"email": "draft"}, state=State, agent=Wanted)
    assert run(color, "make_value", plan, FULL) == Wanted(email="d", audience="a")


@both_colors
def test_1_no_parent_has_to_be_created_beforehand(color):
    plan = compile_output({"agent.output.text": "answer"}, state=State)
    delta = run(color, "make_delta", plan, {"answer": "t"}, state=FULL)
    assert delta == {"agent": Wrapper(output=Answer(text="t"))}


@both_colors
def test_2_only_the_changed_channel_is_returned_so_reducers_do_not_double(color):
    builder = StateGraph(State)
    builder.add_node("a", lambda _: {})
    builder.add_node("b", lambda _: {})
    builder.add_edge(START, "a")
    rules = {"agent.input.email": "draft", "agent.input.audience": "audience"}
    add_io_mapped_edge(builder, "a", "b", {"field_mapping": rules})
    start = {**FULL, "logs": ["once"]}
    result = run_graph(color, builder.compile(), start)
    assert result["logs"] == ["once"]
    assert start == {**FULL, "logs": ["once"]}


@both_colors
def test_3_copies_renames_and_templates_need_no_model(color):
    plan = compile_input({"email": "Dear {audience}: {draft}"}, state=State, agent=Wanted)
    assert run(color, "make_value", plan, FULL) == Wanted(email="Dear a: d", audience="a")


@both_colors
def test_4_null_falls_back_or_stops_before_the_call(color):
    plan = compile_input(
        {"email": coalesce("agent.output.text", "draft")}, state=State, agent=Wanted
    )
    state = {**FULL, "agent": Wrapper(output=Answer(text=None))}
    assert run(color, "make_value", plan, state).email == "d"
    strict = compile_input({"email": "agent.output.text"}, state=State, agent=Wanted)
    with pytest.raises(MappingError) as caught:
        run(color, "make_value", strict, state)
    assert caught.value.path == "email"


@both_colors
def test_4_a_path_through_nothing_is_safe_where_that_is_said(color):
    plan = compile_input({"email": copy("agent.output.text", default="none")}, state=State)
    assert run(color, "make_value", plan, FULL) == {"email": "none"}


@both_colors
def test_5_configuration_is_read_where_it_is(color):
    plan = compile_input({"email": "config:who", "audience": "a {config:who}"}, state=State)
    config = {"configurable": {"who": "Bo"}}
    assert run(color, "make_value", plan, FULL, config) == {"email": "Bo", "audience": "a Bo"}


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"email": "agent.output.corrected"}, "no field 'corrected'"),
        ({"email": "drft"}, "did you mean 'draft'"),
        ({"email": "agent"}, "Wrapper cannot become str"),
        ({"emial": "draft"}, "did you mean 'email'"),
        ({"email": "draft", "audience": "nope"}, "audience: there is no nope"),
    ],
)
def test_6_wiring_errors_are_found_when_the_graph_is_built(rules, words):
    with pytest.raises(NodeConfigurationError, match=words):
        compile_input(rules, state=State, agent=Wanted)


def test_6_every_wiring_error_is_said_at_once():
    with pytest.raises(NodeConfigurationError) as caught:
        compile_input({"email": "drft", "x": "draft"}, state=State, agent=Wanted)
    assert str(caught.value).count("\n- ") == 2


def test_7_one_pair_of_nodes_may_have_several_edges_and_one_mapping_several_uses():
    builder = StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, lambda _: {})
    config: dict[str, Any] = {"field_mapping": {"agent.output.text": "draft"}}
    add_io_mapped_edge(builder, "a", "b", config)
    add_io_mapped_edge(builder, "b", "a", config)
    add_io_mapped_edge(builder, START, "a", config, name="begin")
    assert set(builder.nodes) == {"a", "b", "map a to b", "map b to a", "begin"}
    assert config == {"field_mapping": {"agent.output.text": "draft"}}


def test_8_a_plan_shows_itself():
    plan = compile_input({"email": "draft"}, state=State, agent=Wanted, name="to reviewer")
    assert plan.describe() == (
        "to reviewer:\n  email <- draft\n  audience <- audience (same name and type)"
    )
    assert plan.drawn() == {"email": "draft", "audience": "audience"}
    assert plan.to_json()["rules"]["email"] == {"copy": "draft"}


@both_colors
def test_9_a_wrong_value_is_refused_by_the_mapping_itself(color):
    plan = compile_output({"agent.output.text": "x"}, state=State, name="after agent")
    with pytest.raises(MappingError) as caught:
        run(color, "make_delta", plan, {"x": {"deep": "secret"}}, state=FULL)
    error = caught.value
    assert (error.edge, error.path, error.value) == (
        "after agent",
        "agent.output.text",
        {"deep": "secret"},
    )
    assert "secret" not in str(error)


@both_colors
def test_10_siblings_of_what_is_written_are_kept(color):
    before = Wrapper(input=Wanted(email="e", audience="a"))
    plan = compile_output({"agent.output.text": "x"}, state=State)
    delta = run(color, "make_delta", plan, {"x": "t"}, state={"agent": before})
    assert delta == {"agent": Wrapper(input=before.input, output=Answer(text="t"))}
    assert before.output is None


@both_colors
def test_11_rules_and_a_model_are_chosen_per_field_by_one_helper(color):
    builder = StateGraph(State)
    builder.add_node("a", lambda _: {})
    builder.add_node("b", lambda _: {})
    builder.add_edge(START, "a")
    rules = {"other.input.email": "draft", "other.input.audience": lambda state: state["audience"]}
    add_io_mapped_edge(builder, "a", "b", {"field_mapping": rules})
    result = run_graph(color, builder.compile(), FULL)
    assert result["other"].input == Wanted(email="d", audience="a")


def test_12_a_mapping_imports_nothing_heavy():
    code = (
        "import sys, acp_langgraph.mapping\n"
        "heavy = {'llama_index', 'jsonpath_ng', 'langchain', 'openai', 'jsonref'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@both_colors
def test_13_a_result_can_be_checked_before_it_counts_as_success(color):
    def sent(answer: Any) -> str:
        if "202" not in answer["text"]:
            raise ValueError("not accepted")
        return "sent"

    plan = compile_plan({"logs": sent}, target_schema=State, complete=(), into_state=True)
    good = run(color, "make_delta", plan, {"text": "202 Accepted"}, state={})
    assert good == {"logs": ["sent"]}
    with pytest.raises(ValueError, match="not accepted"):
        run(color, "make_delta", plan, {"text": "401 Unauthorized"}, state={})
