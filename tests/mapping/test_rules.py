"""Rules as data: how they are written, read back, and refused."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import (
    StatePath,
    call,
    coalesce,
    compile_input,
    compile_output,
    compile_plan,
    const,
    copy,
    each,
    from_config,
    llm,
    load_plan,
    template,
)
from acp_langgraph.mapping.rules import Source, Template, as_rules


class Color(enum.Enum):
    red = "RED"


class Box(BaseModel):
    a: int = 1


def plan(rules: Any, **schemas: Any) -> Any:
    return compile_plan(rules, **schemas)


@pytest.mark.parametrize(
    ("text", "state", "result"),
    [
        ("Send {mail.subject} to {person}!", {"mail": {"subject": "s"}, "person": "p"}, "Send s to p!"),
        ("{{literal}} {a}", {"a": 1}, "{literal} 1"),
        ("{a:.2f}|{b:>4}", {"a": 1.5, "b": "x"}, "1.50|   x"),
        ('{a["x:y"]}', {"a": {"x:y": "quoted"}}, "quoted"),
        ("{c}", {"c": Color.red}, "RED"),
        ("{m}", {"m": AIMessage([{"type": "text", "text": "hi"}])}, "hi"),
        ("{l}", {"l": [1, "ä"]}, '[1, "ä"]'),
        ("{o}", {"o": Box()}, '{"a": 1}'),
        ("{t}", {"t": dt.date(2025, 1, 2)}, "2025-01-02"),
        ("{t:%d.%m.}", {"t": dt.date(2025, 1, 2)}, "02.01."),
        ("{messages[-1].content}", {"messages": [AIMessage("last")]}, "last"),
        ("Dear {config:name}", {}, "Dear Bo"),
    ],
)  # fmt: skip
def test_a_template_puts_values_into_a_text(text, state, result):
    config = {"configurable": {"name": "Bo"}}
    assert plan({"x": template(text)}).value(state, config) == {"x": result}


def test_a_template_never_writes_none():
    with pytest.raises(MappingError, match="a is None, and a text needs a value"):
        plan({"x": "Hello {a}"}).value({"a": None})


@pytest.mark.parametrize("text", ["{", "}", "a {b", "{}", "{ }", "{a..b}", "{a}}"])
def test_a_template_with_a_stray_brace_is_refused(text):
    with pytest.raises(NodeConfigurationError):
        template(text)


@pytest.mark.parametrize(
    ("rule", "state", "value"),
    [
        ("a", {"a": 1}, 1),
        (StatePath.parse("a.b"), {"a": {"b": 2}}, 2),
        (5, {}, 5),
        (True, {}, True),
        (None, {}, None),
        (const({"k": [1]}), {}, {"k": [1]}),
        (copy("a", default="d"), {"a": None}, "d"),
        (copy("a", default="d"), {}, "d"),
        (from_config("who"), {}, "Bo"),
        (from_config("none", default=3), {}, 3),
        ("config:who", {}, "Bo"),
        (coalesce("a.b", "c"), {"a": None, "c": 0}, 0),
        (coalesce("a", "b"), {"a": None}, None),
        (coalesce("a", "Hi {b}", const("end")), {}, "end"),
        (call(max, "a", "b"), {"a": 1, "b": 7}, 7),
        (call(len), {"a": 1}, 1),
        (lambda state: state["a"] + 1, {"a": 1}, 2),
        (lambda state, config: config["configurable"]["who"], {}, "Bo"),
        (each("xs", "n"), {"xs": [{"n": 1}, {"n": 2}]}, [1, 2]),
        (each("xs", lambda item: item * 2), {"xs": (1, 2)}, [2, 4]),
        (each("xs", {"a": {"b": "{n}{state:k}"}}), {"xs": [{"n": 1}], "k": "!"}, [{"a": {"b": "1!"}}]),
        (each("xs", each("ys", "")), {"xs": [{"ys": [1]}, {"ys": []}]}, [[1], []]),
    ],
)  # fmt: skip
def test_every_rule_makes_its_value(rule, state, value):
    made = plan({"x": rule}).value(state, {"configurable": {"who": "Bo"}})
    assert made == {"x": value}


def test_one_rule_may_make_the_whole_target():
    assert plan("a.b").value({"a": {"b": {"c": 1}}}) == {"c": 1}
    assert compile_input("box", state=Any, agent=Box).value({"box": {"a": "4"}}) == Box(a=4)
    assert compile_output(lambda answer: {"a": answer}, state=Any).delta(5, state={}) == {"a": 5}
    assert compile_output({"": "inner"}, state=Any).delta({"inner": {"a": 1}}, state={}) == {"a": 1}


def test_nested_dicts_are_targets_inside_each_other():
    rules = as_rules({"a": {"b": "x", "c": {"d": 1}}})
    assert list(rules) == ["a.b", "a.c.d"]
    with pytest.raises(NodeConfigurationError, match=r"a\.b has two rules"):
        as_rules({"a": {"b": "x"}, "a.b": "y"})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: copy("a", default=1, optional=True), "not both"),
        (lambda: coalesce(), "something to choose from"),  # noqa: PLW0108 - called in the test
        (lambda: as_rules([1]), "list is no rule"),
        (lambda: plan({"x": coalesce(llm("m"), "a")}), "stands last"),
        (lambda: plan({"x": coalesce(each("a", llm("m")), const([]))}), "for every item"),
        (lambda: plan({"x": each("a", llm("m"))}), "for every item"),
        (lambda: plan({"x": each("a", "b")}, source_schema=Box), "does not fit|cannot become"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(NodeConfigurationError, match=words):
        make()


@pytest.mark.parametrize(
    ("items", "words"), [(None, "xs is None, and a list"), ("text", "xs is a str")]
)
def test_a_list_that_is_none_is_a_clear_error(items, words):
    with pytest.raises(MappingError, match=words):
        plan({"x": each("xs", "n")}).value({"xs": items})
    assert plan({"x": coalesce(each("xs", "n"), const([]))}).value({"xs": None}) == {"x": []}


def test_the_error_of_an_item_names_the_target_inside():
    with pytest.raises(MappingError) as caught:
        plan({"rows": each("xs", {"n": "missing"})}).value({"xs": [{"n": 1}]})
    assert caught.value.path == "rows.0.n"


def shout(text: str) -> str:
    return text.upper()


def test_a_plan_goes_to_json_and_back_with_every_kind_of_rule(tmp_path):
    rules = {
        "a": copy("x.y", default=[1]),
        "b": copy("z", optional=True),
        "c": const({"k": None}),
        "d": template("Hi {x.y} {config:who}"),
        "e": coalesce("u", const(3)),
        "f": each("xs", {"n": "v", "m.o": 1}),
        "g": each("xs", ""),
        "h": call(shout, "z"),
        "i": llm("a number", "x", examples=["1"]),
        'j["with.dot"]': "state:z",
    }
    first = plan(rules, name="all")
    first.save(tmp_path / "plan.json")
    again = load_plan(tmp_path / "plan.json", functions={"shout": shout})
    assert again == first
    assert load_plan(first.to_json(), functions={"shout": shout}) == first
    with pytest.raises(NodeConfigurationError, match="calls 'shout'"):
        load_plan(first.to_json())


def test_a_plan_in_json_may_begin_with_a_byte_order_mark(tmp_path):
    made = plan({"a": "b"}, name="all")
    made.save(tmp_path / "plan.json")
    text = (tmp_path / "plan.json").read_text(encoding="utf-8")
    (tmp_path / "plan.json").write_text(text, encoding="utf-8-sig")
    assert load_plan(tmp_path / "plan.json") == made


@pytest.mark.parametrize(
    "rule",
    [
        {"copy": 5},
        {"copy": "a", "evil": 1},
        {"exec": "x"},
        {"coalesce": []},
        {"each": "a"},
        {"coalesce": [{"fields": {}}]},
        {"fields": {"a": {"const": 1}}, "more": 1},
        {"call": "os.system", "sources": []},
        {"call": "f", "sources": [5]},
        "a",
        None,
        [],
    ],
)
def test_what_is_no_rule_in_json_is_refused(rule):
    with pytest.raises(NodeConfigurationError):
        load_plan({"version": 1, "rules": {"x": rule}}, functions={"f": len})


@pytest.mark.parametrize("given", [{}, {"version": 2, "rules": {}}, {"version": 1, "rules": []}, 5])
def test_what_is_no_plan_in_json_is_refused(given):
    with pytest.raises(NodeConfigurationError, match="a plan in JSON"):
        load_plan(given)


def test_a_constant_that_is_no_json_cannot_be_saved(tmp_path):
    with pytest.raises(NodeConfigurationError, match="no JSON"):
        plan({"x": const(object())}).save(tmp_path / "plan.json")


def test_sources_and_rules_print_as_they_were_written():
    assert str(Source.parse("state:a.b")) == "state:a.b"
    assert isinstance(as_rules("{a}"), Template)
    made = plan({"x": each("l", {"y": "z"}), "q": call(shout, "a"), "m": llm("mood", "a")})
    assert made.describe() == (
        "mapping:\n  x <- each of l: {y: z}\n  q <- shout(a)\n  m <- model from a: mood"
    )


def test_paths_of_a_state_that_is_not_known_are_not_refused():
    plan = compile_output({"out.x": "state:anything.at.all"}, agent=Box)
    assert plan.delta(Box(), state={"anything": {"at": {"all": 1}}}) == {"out": {"x": 1}}
    assert compile_input({"a": "not.known"}, agent=Box).value({"not": {"known": 2}}) == Box(a=2)
