"""A secret goes where a secret is declared, as its value; elsewhere it is refused, and never a mask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from support.chat import ScriptedChat
from support.mapped import both_colors, run, run_graph
from typing_extensions import TypedDict

from acp_langgraph.errors import NodeError
from acp_langgraph.mapping import coalesce, compile_plan, const, each, llm
from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge

VALUES = ("hunter2", "hunter3", "hunter4")


class Birthday(Secret[date]):
    """A secret with a mask of its own."""

    def _display(self) -> str:
        return "####/##/##"


class Login(BaseModel):
    user: str = "ada"
    password: SecretStr = SecretStr("hunter2")


class PlainLogin(BaseModel):
    user: str
    password: str


class OtherLogin(BaseModel):
    user: str
    password: SecretStr


@dataclass
class DataLogin:
    user: str
    password: SecretStr


class TypedLogin(TypedDict):
    user: str
    password: SecretStr


class State(BaseModel):
    token: SecretStr = SecretStr("hunter2")
    raw: SecretBytes = SecretBytes(b"hunter3")
    born: Birthday = Birthday(date(1990, 1, 2))
    login: Login = Login()
    many: list[SecretStr] = [SecretStr("hunter2"), SecretStr("hunter4")]
    by_name: dict[str, SecretStr] = {"a": SecretStr("hunter4")}
    public: str = "open"
    stars: str = "**********"
    anything: Any = None
    plain: PlainLogin | None = None


def revealed(value: Any) -> Any:
    """What is in a value, secrets by theirs."""
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {name: revealed(each) for name, each in value}
    if isinstance(value, dict):
        return {name: revealed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [revealed(each) for each in value]
    return value


def target(kind: Any) -> Any:
    class Target(BaseModel):
        x: kind

    return Target


def plan_of(rule: Any, kind: Any, **options: Any) -> Any:
    """A plan that makes one field of that type."""
    made = {"source_schema": State, "target_schema": target(kind), "match": False, **options}
    return compile_plan({"x": rule}, **made)


@both_colors
@pytest.mark.parametrize(
    ("rule", "kind", "value"),
    [
        ("token", SecretStr, "hunter2"),
        ("token", SecretStr | None, "hunter2"),
        ("raw", SecretBytes, b"hunter3"),
        ("born", Birthday, date(1990, 1, 2)),
        ("public", SecretStr, "open"),
        ("many", list[SecretStr], ["hunter2", "hunter4"]),
        ("by_name", dict[str, SecretStr], {"a": "hunter4"}),
        ("login", Login, {"user": "ada", "password": "hunter2"}),
        ("login", OtherLogin, {"user": "ada", "password": "hunter2"}),
        ("login", TypedLogin, {"user": "ada", "password": "hunter2"}),
        (coalesce("anything", "token"), SecretStr, "hunter2"),
        (const(SecretStr("hunter4")), SecretStr, "hunter4"),
        (each("many", {"x": ""}), list[target(SecretStr)], [{"x": "hunter2"}, {"x": "hunter4"}]),
        (lambda state: state.token, SecretStr, "hunter2"),
        ("config:key", SecretStr, "hunter4"),
        ("Bearer {token}", SecretStr, "Bearer hunter2"),
    ],
)
def test_a_declared_secret_gets_the_value(color, rule, kind, value):
    config = {"configurable": {"key": SecretStr("hunter4")}}
    made = run(color, "make_value", plan_of(rule, kind), State(), config)
    assert revealed(made.x) == value


@both_colors
def test_a_dataclass_of_other_fields_gets_it_too(color):
    made = run(color, "make_value", plan_of("login", DataLogin), State())
    assert made.x.password.get_secret_value() == "hunter2"


@both_colors
@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("token", str),
        ("token", bytes),
        ("token", str | int | None),
        ("token", dict[str, str] | str),
        ("raw", str),
        ("raw", bytes),
        ("born", date),
        ("born", str),
        ("many", list[str]),
        ("by_name", dict[str, str]),
        ("login", PlainLogin),
        ("login", dict[str, str]),
        (coalesce("anything", "token"), str),
        (const(SecretStr("hunter4")), str),
        (each("many", {"x": ""}), list[target(str)]),
        (lambda state: state.token, str),
        ("config:key", str),
        ("Bearer {token}", str),
        ("Bearer {raw}", str),
        ("Born {born}", str),
        ("Bearer {token:>20}", str),
        ("As {login}", str),
        ("As {many}", str),
        ("As {by_name}", str),
    ],
)
def test_what_is_no_secret_gets_neither_the_value_nor_a_mask(color, rule, kind):
    config = {"configurable": {"key": SecretStr("hunter4")}}
    with pytest.raises(NodeError, match=r"(?s)x.*(Secret|Birthday)") as caught:
        run(color, "make_value", plan_of(rule, kind), State(), config)
    assert not any(value in str(caught.value) for value in VALUES)


@both_colors
@pytest.mark.parametrize("rule", ["token", "login", "many", "by_name", "born"])
def test_where_anything_may_go_a_secret_stays_one(color, rule):
    made = run(color, "make_value", plan_of(rule, Any), State())
    assert made.x == getattr(State(), rule)


@both_colors
def test_a_rule_may_say_so(color):
    made = run(
        color,
        "make_value",
        plan_of(lambda state: state.token.get_secret_value(), str),
        State(),
    )
    assert made.x == "hunter2"


@both_colors
@pytest.mark.parametrize("rule", ["stars", "So: {stars}"])
def test_a_text_of_asterisks_is_a_text_like_any_other(color, rule):
    made = run(color, "make_value", plan_of(rule, str), State())
    assert made.x.endswith("**********")


@both_colors
@pytest.mark.parametrize(
    "rules",
    [
        {"public": "token"},
        {"public": "Bearer {token}"},
        {"plain": "login"},
        {"plain.user": "login.user", "plain.password": "login.password"},
    ],
)
def test_no_mask_is_written_into_a_state(color, rules):
    def changed() -> Any:
        plan = compile_plan(rules, source_schema=State, target_schema=State, match=False)
        return run(color, "make_delta", plan, State())

    with pytest.raises(NodeError, match="Secret") as caught:
        changed()
    assert not any(value in str(caught.value) for value in VALUES)


@both_colors
@pytest.mark.parametrize(
    "data",
    [
        {"login": Login()},
        {"login": {"user": "ada", "password": SecretStr("hunter2")}},
        {"token": SecretStr("hunter2")},
    ],
)
def test_a_source_of_unknown_type_is_no_way_around(color, data):
    (name,) = data
    kind = str if name == "token" else PlainLogin
    plan = compile_plan({"x": name}, target_schema=target(kind), match=False)
    with pytest.raises(NodeError, match="Secret"):
        run(color, "make_value", plan, data)


class Graph(TypedDict, total=False):
    login: Login
    other: OtherLogin
    plain: PlainLogin
    text: str


def edges(conditional: bool, **mapping: Any) -> Any:
    """A graph with a mapped edge between two nodes."""
    builder = StateGraph(Graph)
    builder.add_node("one", lambda _: {"login": Login()})
    builder.add_node("two", lambda _: {})
    builder.add_edge(START, "one")
    if conditional:
        ends = {"on": {"end": "two", "metadata": mapping}}
        add_io_mapped_conditional_edge(builder, "one", lambda _: "on", ends)
    else:
        add_io_mapped_edge(builder, "one", "two", mapping)
    return builder.compile()


@both_colors
@pytest.mark.parametrize("conditional", [False, True])
def test_a_mapped_edge_carries_a_secret_to_a_secret(color, conditional):
    mapping = {"field_mapping": {"other": "login"}}
    state = run_graph(color, edges(conditional, **mapping), {})
    assert state["other"].password.get_secret_value() == "hunter2"


@both_colors
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    "field_mapping", [{"plain": "login"}, {"text": "login.password"}, {"text": "As {login}"}]
)
def test_a_mapped_edge_carries_no_mask(color, conditional, field_mapping):
    with pytest.raises(NodeError, match="Secret"):
        run_graph(color, edges(conditional, field_mapping=field_mapping), {})


@both_colors
def test_a_model_is_told_neither_a_secret_nor_a_mask(color):
    chat = ScriptedChat(script=['{"x": "Dear Ada"}'])
    plan = plan_of(llm("a salutation"), str)
    data = State(anything={"inner": SecretStr("hunter4"), "kept": "yes"})
    made = run(color, "make_value", plan, data, model=chat)
    assert made.x == "Dear Ada"
    told = chat.prompt
    assert "yes" in told
    assert not any(secret in told for secret in (*VALUES, "####/##/##", "1990"))
    assert told.count("**********") == 1  # the text that is no secret
