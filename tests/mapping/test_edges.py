"""The edge helpers: what users know, without what hurts."""

from __future__ import annotations

import copy as copying
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy
from pydantic import BaseModel
from support.chat import ScriptedChat
from support.mapped import both_colors, run_graph

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import FieldMetadata, IOMappingAgentMetadata, compile_plan
from acp_langgraph.mapping.edges import (
    MappingNode,
    add_io_mapped_conditional_edge,
    add_io_mapped_edge,
)


class Mail(BaseModel):
    query: str


class Agent(BaseModel):
    input: Mail | None = None
    output: str | None = None


class State(BaseModel):
    text: str = ""
    one: Agent | None = None
    two: Agent | None = None
    route: Any = None


class AgentNode(Runnable[Any, Any]):
    """A node with ports, as the nodes of this package have."""

    def __init__(self, name: str, input_path: str, output_path: str) -> None:
        self.name = name
        self.input_path = input_path
        self.output_path = output_path

    def invoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        return {}


def builder(*names: str) -> Any:
    made = StateGraph(State)
    for name in names:
        made.add_node(name, lambda _: {})
    return made


MAPPING = {"output_fields": ["one.input"], "field_mapping": {"one.input.query": "text"}}


@pytest.mark.parametrize(
    "config",
    [
        MAPPING,
        IOMappingAgentMetadata(**MAPPING),
        {"field_mapping": {"one.input.query": "$.text"}, "output_fields": None},
        IOMappingAgentMetadata(
            input_fields=[FieldMetadata(json_path="text", description="it")],
            output_fields=[FieldMetadata(json_path="one.input", examples=["x"])],
            field_mapping={"one.input.query": "{text}"},
        ),
    ],
)
@both_colors
def test_the_mapping_is_a_dict_or_a_class_and_is_never_changed(color, config):
    before = copying.deepcopy(config)
    made = builder("a", "b")
    made.add_edge(START, "a")
    plan = add_io_mapped_edge(made, "a", "b", config)
    assert config == before
    result = run_graph(color, made.compile(), {"text": "hi"})
    assert result["one"] == Agent(input=Mail(query="hi"))
    assert [str(each.target) for each in plan.assignments] == ["one.input.query"]


@both_colors
def test_one_mapping_used_for_two_edges_fills_the_input_of_each_end(color):
    config: dict[str, Any] = {"input_fields": ["text"]}
    made = builder("a")
    first = AgentNode("first", "one.input", "one.output")
    second = AgentNode("second", "two.input", "two.output")
    made.add_node(first)
    made.add_node(second)
    made.add_edge(START, "a")
    model = ScriptedChat(script=[{"query": "1"}, {"query": "2"}])
    add_io_mapped_edge(made, "a", first, config, model)
    add_io_mapped_edge(made, first, second, config, model)
    result = run_graph(color, made.compile(), {"text": "hi"})
    assert config == {"input_fields": ["text"]}
    assert result["one"].input.query == "1"
    assert result["two"].input.query == "2"


@both_colors
def test_between_two_nodes_with_ports_output_becomes_input_by_itself(color):
    class Same(BaseModel):
        done: Mail | None = None
        next: Mail | None = None

    made = StateGraph(Same)
    first, second = AgentNode("first", "", "done"), AgentNode("second", "next", "")
    made.add_node(first)
    made.add_node(second)
    made.add_edge(START, "first")
    plan = add_io_mapped_edge(made, first, second)
    assert plan.describe() == "map first to second:\n  next <- done"
    assert run_graph(color, made.compile(), {"done": {"query": "q"}})["next"] == Mail(query="q")


def test_repeated_pairs_get_names_of_their_own_and_a_name_can_be_given():
    made = builder("a", "b", "map a to b")
    add_io_mapped_edge(made, "a", "b", MAPPING)
    add_io_mapped_edge(made, "b", "a", {"field_mapping": {"two.input.query": "text"}}, name="mine")
    assert set(made.nodes) == {"a", "b", "map a to b", "map a to b (2)", "mine"}
    with pytest.raises(NodeConfigurationError, match="'mine' already"):
        add_io_mapped_edge(made, "b", "a", MAPPING, name="mine")


@both_colors
def test_start_and_end_may_be_the_graphs_own(color):
    made = builder("a")
    add_io_mapped_edge(made, START, "a", MAPPING)
    add_io_mapped_edge(made, "a", END, {"field_mapping": {"two.input.query": "one.input.query"}})
    assert {"map start to a", "map a to end"} < set(made.nodes)
    assert run_graph(color, made.compile(), {"text": "x"})["two"].input.query == "x"


@both_colors
def test_several_starts_are_all_waited_for(color):
    made = StateGraph(State)
    made.add_node("a", lambda _: {"text": "from a"})
    made.add_node("slow", lambda _: {})
    made.add_node("b", lambda _: {"two": Agent(output="from b")})
    made.add_node("c", lambda _: {})
    made.add_edge(START, "a")
    made.add_edge(START, "slow")
    made.add_edge("slow", "b")
    rules = {"one.input.query": "{text} and {two.output}"}
    add_io_mapped_edge(made, ["a", "b"], "c", {"field_mapping": rules})
    result = run_graph(color, made.compile(), {})
    assert result["one"].input.query == "from a and from b"


@both_colors
def test_branches_map_each_in_its_way_or_not_at_all(color):
    made = StateGraph(State)
    for name in ("a", "b", "c"):
        made.add_node(name, lambda _: {})
    made.add_edge(START, "a")
    config = {
        "first": {"end": "b", "metadata": MAPPING},
        "second": {"end": "b", "metadata": {"field_mapping": {"two.input.query": "text"}}},
        "plain": {"end": "b", "metadata": None},
        "none": {"end": "c"},
        "empty": {"end": "c", "metadata": {}},
        "stop": END,
    }
    before = copying.deepcopy(config)
    plans = add_io_mapped_conditional_edge(made, "a", lambda state: state.route, config)
    assert config == before
    assert list(plans) == list(config)
    assert [bool(plan.assignments) for plan in plans.values()] == [True, True] + [False] * 4
    assert {"map a to b", "map a to b (2)"} < set(made.nodes)
    graph = made.compile()

    def went(route: Any) -> tuple[bool, bool]:
        result = run_graph(color, graph, {"text": "x", "route": route})
        return bool(result.get("one")), bool(result.get("two"))

    assert went("first") == (True, False)
    assert went("second") == (False, True)
    assert went("plain") == went("none") == went("empty") == went("stop") == (False, False)
    assert went(["first", "second"]) == (True, True)


@pytest.mark.parametrize("entry", [{"metadata": MAPPING}, {"end": "b", "metdata": MAPPING}])
def test_a_branch_without_an_end_or_with_unknown_keys_is_refused(entry):
    with pytest.raises(NodeConfigurationError, match=r"branch 'x' of 'a' has (no 'end'|unknown)"):
        add_io_mapped_conditional_edge(builder("a", "b"), "a", lambda _: "x", {"x": entry})


def test_the_plan_is_drawn_with_the_graph():
    made = builder("a", "b")
    made.add_edge(START, "a")
    rules = {"one.input.query": "Send <b>{text}</b>\nnow"}
    add_io_mapped_edge(made, "a", "b", {"field_mapping": rules})
    drawing = made.compile().get_graph().draw_mermaid()
    assert "map a to b<hr/>" in drawing
    assert "one.input.query = " in drawing
    assert "Send #60;b#62;#123;text#125;" in drawing


@both_colors
def test_retry_is_passed_on_to_the_node(color):
    model = ScriptedChat(script=[ConnectionError("down"), {"query": "ok"}])
    made = builder("a", "b")
    made.add_edge(START, "a")
    retry = RetryPolicy(max_attempts=2, initial_interval=0.0, jitter=False)
    config = {"input_fields": ["text"], "output_fields": ["one.input"]}
    add_io_mapped_edge(made, "a", "b", config, model, retry_policy=retry)
    assert run_graph(color, made.compile(), {"text": "x"})["one"].input.query == "ok"
    assert len(model.asked) == 2


def test_cache_and_timeout_are_passed_on_to_the_node():
    from langgraph.types import CachePolicy  # noqa: PLC0415 - only here

    made = builder("a", "b")
    cache = CachePolicy(ttl=5)
    add_io_mapped_edge(made, "a", "b", MAPPING, cache_policy=cache, timeout=3)
    spec = made.nodes["map a to b"]
    assert spec.cache_policy is cache
    assert spec.timeout.run_timeout == 3


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"field_mapping": {"one.inptu.query": "text"}}, "did you mean 'input'"),
        ({"field_mapping": {"one.input.query": "txet"}}, "did you mean 'text'"),
        ({"field_mapping": {"text.deeper": "text"}}, "str has nothing inside"),
        ({"field_mapping": {"one": "text"}}, "str cannot become Agent"),
        ({"field_mapping": {"one": "two", "one.output": "text"}}, "'?one'? has a rule, and so has"),
        ({"output_fields": ["route"]}, r"route \(Any\) is needed, and nothing fills it"),
        ({"inputs": []}, "did you mean .input_schema. or .input_fields."),
        ({"field_mapping": {"one.input.query": ["text"]}}, "list is no rule"),
        (5, "dict or IOMappingAgentMetadata, not int"),
    ],
)
def test_wrong_wiring_is_refused_when_the_edge_is_added(config, words):
    with pytest.raises(NodeConfigurationError, match=words):
        add_io_mapped_edge(builder("a", "b"), "a", "b", config)


def test_an_edge_to_a_node_that_is_not_there_is_refused():
    with pytest.raises(NodeConfigurationError, match=r"no node 'bb'.*did you mean 'b'"):
        add_io_mapped_edge(builder("a", "b"), "a", "bb", MAPPING)


def test_an_ambiguous_field_is_refused_and_its_candidates_are_named():
    class Two(BaseModel):
        first: Mail = Mail(query="1")
        second: Mail = Mail(query="2")
        target: Mail | None = None

    made = StateGraph(Two)
    made.add_node("a", lambda _: {})
    made.add_node("b", lambda _: {})
    with pytest.raises(
        NodeConfigurationError, match=r"target\.query .* any of first\.query, second\.query"
    ):
        add_io_mapped_edge(made, "a", "b", {"output_fields": ["target"]})


def test_writers_that_only_meet_through_edges_added_later_are_found_at_the_first_run():
    class Both(TypedDict, total=False):
        text: str
        box: Agent

    made = StateGraph(Both)
    for name in ("a", "b", "c"):
        made.add_node(name, lambda _: {})
    add_io_mapped_edge(made, "a", "c", {"field_mapping": {"box.output": "text"}})
    add_io_mapped_edge(made, "b", "c", {"field_mapping": {"box.input.query": "text"}})
    made.add_edge(START, "a")
    made.add_edge(START, "b")
    with pytest.raises(NodeConfigurationError, match=r"Annotated\[\.\.\., merge\]"):
        made.compile().invoke({"text": "x"})


@both_colors
def test_writers_on_branches_of_which_one_is_taken_are_no_conflict(color):
    made = builder("a", "b", "c")
    made.add_conditional_edges(START, lambda state: state.route, ["a", "b"])
    add_io_mapped_edge(made, "a", "c", {"field_mapping": {"one.output": "text"}})
    add_io_mapped_edge(made, "b", "c", {"field_mapping": {"one.output": "{text}!"}})
    graph = made.compile()
    assert run_graph(color, graph, {"text": "x", "route": "a"})["one"].output == "x"
    assert run_graph(color, graph, {"text": "x", "route": "b"})["one"].output == "x!"


PROPOSAL = {"version": 1, "rules": {"one.input.query": {"template": "About {text}"}}}


@both_colors
def test_a_plan_is_proposed_once_kept_in_a_file_and_run_without_a_model(color, tmp_path):
    file = tmp_path / "a_to_b.json"
    config = {"output_fields": ["one.input"]}
    first, again = builder("a", "b"), builder("a", "b")
    bad = {"version": 1, "rules": {"one.input.query": {"copy": "txt"}}}
    outside = {"version": 1, "rules": {"text": {"const": "evil"}}}
    model = ScriptedChat(script=[bad, outside, PROPOSAL])
    add_io_mapped_edge(first, "a", "b", config, model, plan=file)
    assert "did you mean 'text'" in "\n".join(str(m.text) for m in model.asked[1])
    assert "none of the targets" in model.prompt
    assert '"template": "About {text}"' in file.read_text()
    for made in (first, again):
        made.add_edge(START, "a")
    add_io_mapped_edge(again, "a", "b", config, plan=file)
    for made in (first, again):
        result = run_graph(color, made.compile(), {"text": "x"})
        assert result["one"].input.query == "About x"
    assert len(model.asked) == 3


def test_a_plan_file_that_fits_no_more_or_is_missing_is_refused(tmp_path):
    missing = tmp_path / "none.json"
    with pytest.raises(NodeConfigurationError, match="there is no plan"):
        add_io_mapped_edge(builder("a", "b"), "a", "b", plan=missing)
    stale = tmp_path / "stale.json"
    stale.write_text('{"version": 1, "rules": {"one.gone": {"copy": "text"}}}')
    with pytest.raises(NodeConfigurationError, match=r"one\.gone"):
        add_io_mapped_edge(builder("a", "b"), "a", "b", plan=stale)
    stale.write_text("{")
    with pytest.raises(NodeConfigurationError, match="is no JSON"):
        add_io_mapped_edge(builder("a", "b"), "a", "b", plan=stale)


@both_colors
def test_a_compiled_plan_can_be_handed_over(color):
    plan = compile_plan(
        {"one.output": "text"},
        source_schema=State,
        target_schema=State,
        complete=(),
        into_state=True,
    )
    made = builder("a", "b")
    made.add_edge(START, "a")
    assert add_io_mapped_edge(made, "a", "b", plan=plan) is plan
    assert run_graph(color, made.compile(), {"text": "x"})["one"].output == "x"


@both_colors
def test_the_node_of_an_edge_runs_on_its_own_too(color):
    plan = compile_plan(
        {"one.output": "text"}, source_schema=State, target_schema=State, complete=()
    )
    node = MappingNode("alone", plan)
    assert run_graph(color, node, State(text="x")) == {"one": Agent(output="x")}


@both_colors
def test_the_error_of_a_run_names_the_edge_and_the_place(color):
    made = builder("a", "b")
    made.add_edge(START, "a")
    add_io_mapped_edge(made, "a", "b", {"field_mapping": {"two.output": "one.output"}})
    with pytest.raises(MappingError, match=r"mapping 'map a to b' cannot fill two\.output") as e:
        run_graph(color, made.compile(), {"text": "x"})
    assert (e.value.edge, e.value.path, e.value.attempts) == ("map a to b", "two.output", 0)
