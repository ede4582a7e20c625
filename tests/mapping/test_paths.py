"""State paths: read anywhere, write only what changed."""

from __future__ import annotations

import copy
import dataclasses
import operator
from types import SimpleNamespace
from typing import Annotated, Any, Generic, NamedTuple, NotRequired, Required, TypedDict, TypeVar

import pytest
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langgraph.graph import add_messages
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator, model_validator
from typing_extensions import ReadOnly

from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.mapping.paths import (
    PathPlan,
    PathSyntaxError,
    StatePath,
    StateReadError,
    StateWriteError,
    compile_path,
)


class Query(BaseModel):
    query: str = Field(min_length=2)
    limit: int = Field(10, alias="max", le=100)


class Box(BaseModel):
    input: Query | None = None
    output: str | None = None
    keep: str = "kept"


@dataclasses.dataclass
class Part:
    title: str
    size: int = 1


class Settings(TypedDict):
    color: str
    depth: int


class State(TypedDict, total=False):
    box: Box
    part: Part | None
    settings: Settings
    docs: list[Part]
    any: Any
    loose: dict
    scores: dict[str, int]
    numbered: dict[int, str]
    pair: tuple[int, str]
    messages: Annotated[list[AnyMessage], add_messages]
    base: list[BaseMessage]
    either: Query | Part


def write(path: str, state: Any, value: Any) -> Any:
    return StatePath.parse(path).write(state, value, State)


@pytest.mark.parametrize(
    ("text", "steps", "canonical"),
    [
        ("", (), ""),
        ("a", ("a",), "a"),
        ("a.b.0.c", ("a", "b", 0, "c"), "a.b.0.c"),
        ("a[-1]", ("a", -1), "a[-1]"),
        ("a.-1.b", ("a", -1, "b"), "a[-1].b"),
        ("a[0][1]", ("a", 0, 1), "a.0.1"),
        ('a["quoted name"].b', ("a", "quoted name", "b"), "a.quoted name.b"),
        ("a.'quoted.name'", ("a", "quoted.name"), 'a["quoted.name"]'),
        ('["0"]', ("0",), '["0"]'),
        (r'a["say \"hi\" \\"]', ("a", 'say "hi" \\'), r'a["say \"hi\" \\"]'),
        ('a[""]', ("a", ""), 'a[""]'),
        ("content-type", ("content-type",), "content-type"),
        ("größe.温度", ("größe", "温度"), "größe.温度"),
    ],
)
def test_a_path_is_read_from_text_and_written_back_in_one_form(text, steps, canonical):
    path = StatePath.parse(text)
    assert path.steps == steps
    assert str(path) == canonical
    assert StatePath.parse(canonical) == path


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a..b", 2),
        (".a", 0),
        ("a.", 2),
        ("a[", 1),
        ("a[x]", 1),
        (" a", 0),
        ("a b .c", 0),
        ("{a}", 0),
        ('a"b"', 1),
        ("a]", 1),
        ("a['b]", 1),
    ],
)
def test_a_text_that_is_no_path_is_refused_with_the_place_of_the_fault(text, position):
    with pytest.raises(PathSyntaxError) as caught:
        StatePath.parse(text)
    assert caught.value.position == position
    assert repr(text) in str(caught.value)


class Point(NamedTuple):
    x: int
    label: str


class WithMore(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = "n"

    @computed_field
    def shout(self) -> str:
        return self.name.upper()


@pytest.mark.parametrize(
    ("path", "state", "value"),
    [
        ("a.b", {"a": {"b": 1}}, 1),
        ("a.0", {"a": {"0": "text key"}}, "text key"),
        ("a.0", {"a": {0: "number key"}}, "number key"),
        ("box.input.query", {"box": Box(input=Query(query="hi"))}, "hi"),
        ("output", Box(output="o"), "o"),
        ("docs[-1].title", {"docs": [Part("a"), Part("z")]}, "z"),
        ("pair.1", {"pair": (1, "b")}, "b"),
        ("messages[-1].content", {"messages": [HumanMessage("q"), AIMessage("answer")]}, "answer"),
        ("messages.0.tool_calls", {"messages": [AIMessage("x")]}, []),
        ("point.label", {"point": Point(1, "here")}, "here"),
        ("more.extra", {"more": WithMore(extra=5)}, 5),
        ("more.shout", {"more": WithMore()}, "N"),
        ("space.x", {"space": SimpleNamespace(x=3)}, 3),
        ("a", {"a": None}, None),
    ],
)
def test_a_read_goes_through_every_kind_of_container(path, state, value):
    assert StatePath.parse(path).read(state) == value
    assert compile_path(Any, path).read(state) == value


def test_the_empty_path_reads_the_whole_state():
    state = {"a": 1}
    assert StatePath.parse("").read(state) is state


@pytest.mark.parametrize(
    ("path", "state", "stopped_at", "hint"),
    [
        ("boxx", {"box": 1}, "", "did you mean 'box'"),
        ("box.inputt", {"box": Box()}, "box", "did you mean 'input'"),
        ("box.input.query", {"box": Box()}, "box.input", "box.input is None"),
        ("docs.3", {"docs": [1]}, "docs", "has 1 items and no position 3"),
        ("docs[-2]", {"docs": [1]}, "docs", "has 1 items and no position -2"),
        ("a.title", {"a": "text"}, "a", "is a str without 'title'"),
        ("box.model_dump", {"box": Box()}, "box", "without 'model_dump'"),
        ("box.__class__", {"box": Box()}, "box", "without '__class__'"),
        ("space._hidden", {"space": SimpleNamespace(_hidden=1)}, "space", "without '_hidden'"),
        ("space.call", {"space": SimpleNamespace(call=print)}, "space", "without 'call'"),
        ("part.title.x", {"part": Part("t")}, "part.title", "is a str"),
    ],
)
def test_a_missing_place_is_an_error_that_says_how_far_the_path_led(path, state, stopped_at, hint):
    with pytest.raises(StateReadError) as caught:
        StatePath.parse(path).read(state)
    assert caught.value.path == path
    assert caught.value.stopped_at == stopped_at
    assert hint in str(caught.value)
    assert StatePath.parse(path).read(state, default="d") == "d"


def test_an_error_of_a_read_shows_no_state_content():
    with pytest.raises(StateReadError) as caught:
        StatePath.parse("a.secret.x").read({"a": {"secret": "hunter2"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "state", "value", "delta"),
    [
        ("box.output", {"box": Box(output="old", keep="mine")}, "new", Box(output="new", keep="mine")),
        ("box.input.query", {"box": Box(keep="mine")}, "hi", Box(input=Query(query="hi"), keep="mine")),
        ("box.input.query", {}, "hi", Box(input=Query(query="hi"))),
        ("box.input.max", {"box": Box(input=Query(query="hi"))}, 5, Box(input=Query(query="hi", max=5))),
        ("box", {}, {"output": "o"}, Box(output="o")),
        ("box.output", {"box": {"keep": "mine"}}, "o", Box(output="o", keep="mine")),
        ("part.title", {}, "t", Part("t")),
        ("part.size", {"part": Part("t")}, "7", Part("t", 7)),
        ("settings.color", {}, "red", {"color": "red"}),
        ("settings.color", {"settings": {"color": "a", "depth": 2}}, "red", {"color": "red", "depth": 2}),
        ("docs.0.title", {"docs": [Part("a"), Part("b")]}, "z", [Part("z"), Part("b")]),
        ("docs[-1]", {"docs": [Part("a"), Part("b")]}, Part("z"), [Part("a"), Part("z")]),
        ("docs.1", {"docs": [Part("a")]}, {"title": "b"}, [Part("a"), Part("b")]),
        ("docs.0.title", {}, "first", [Part("first")]),
        ("any.deep.er", {}, 1, {"deep": {"er": 1}}),
        ("any.0.x", {}, 1, [{"x": 1}]),
        ("loose.a.b", {"loose": {"a": {"c": 2}}}, 1, {"a": {"c": 2, "b": 1}}),
        ("scores.math", {"scores": {"art": 1}}, "3", {"art": 1, "math": 3}),
        ("numbered.7", {"numbered": {1: "a"}}, "b", {1: "a", 7: "b"}),
        ("pair.1", {"pair": (1, "a")}, "b", (1, "b")),
        ("either.query", {}, "hi", Query(query="hi")),
    ],
)  # fmt: skip
def test_a_write_returns_the_changed_channel_and_leaves_the_state_alone(path, state, value, delta):
    before = copy.deepcopy(state)
    changed = write(path, state, value)
    (channel,) = changed
    assert channel == path.split(".")[0].split("[")[0]
    assert changed[channel] == delta
    assert type(changed[channel]) is type(delta)
    assert state == before


def test_a_write_into_a_model_state_gives_the_field_its_model():
    class ModelState(BaseModel):
        box: Box | None = None
        other: int = 3

    delta = StatePath.parse("box.output").write(ModelState(), "x")
    assert delta == {"box": Box(output="x")}


def test_messages_keep_their_classes_when_json_is_written():
    message = {"role": "assistant", "content": "hello"}
    for channel in ("messages", "base"):
        assert write(channel, {}, [message]) == {channel: [AIMessage("hello")]}


def test_the_whole_state_is_written_from_the_set_fields_of_a_model():
    class Answer(BaseModel):
        part: Part | None = None
        scores: dict[str, int] = {}

    assert StatePath().write({}, Answer(scores={"a": 1}), State) == {"scores": {"a": 1}}
    assert write("", {}, {"scores": {"a": "2"}}) == {"scores": {"a": 2}}
    with pytest.raises(StateWriteError, match="got int"):
        write("", {}, 5)
    with pytest.raises(NodeConfigurationError, match="did you mean 'scores'"):
        write("", {}, {"score": 1})


@pytest.mark.parametrize(
    ("path", "state", "value", "words"),
    [
        ("box.output", {"box": Box()}, 5, "box.output, which is str . None: .*valid string"),
        ("box.input.query", {}, "x", "box.input.query, which is str: .*at least 2 characters"),
        ("box.input.max", {"box": Box(input=Query(query="hi"))}, 500, "less than or equal to 100"),
        ("box.input.max", {}, 5, "box.input, which is Query: query: Field required"),
        ("part.size", {}, 5, "title.*[Ff]ield required|title: Field required"),
        ("docs.2", {"docs": [Part("a")]}, Part("b"), "has 1 items"),
        ("docs[-2]", {"docs": [Part("a")]}, Part("b"), "has 1 items"),
        ("any.x.y", {"any": {"x": "text"}}, 1, "any.x.y, which is inside str"),
        ("scores.a", {}, "secret", "scores.a, which is int"),
        ("box", {}, 5, "box, which is Box"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_path_and_type_only(path, state, value, words):
    before = copy.deepcopy(state)
    with pytest.raises(StateWriteError, match=words) as caught:
        write(path, state, value)
    assert "secret" not in str(caught.value)
    assert state == before


class Range(BaseModel):
    low: int = 0
    high: int = 10
    seen: list[str] = []

    @field_validator("high")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value

    @model_validator(mode="after")
    def ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"{self.low} > {self.high}")
        return self


def test_a_models_own_validators_judge_what_is_written_into_it():
    state = {"any": Range()}
    with pytest.raises(
        StateWriteError, match=r"any\.high, which is int: refused by its validator"
    ) as caught:
        write("any.high", state, 21)
    assert "21" not in str(caught.value)
    with pytest.raises(StateWriteError, match="refused by its validator"):
        write("any.low", state, 20)
    assert write("any.low", state, 4)["any"] == Range(low=4)
    assert state["any"] == Range()


def test_a_frozen_model_is_made_anew():
    class Frozen(BaseModel):
        model_config = ConfigDict(frozen=True)
        a: int = 1
        b: int = 2
        c: int = 3

    old = Frozen(b=5)
    new = write("any.a", {"any": old}, "3")["any"]
    assert new == Frozen(a=3, b=5)
    assert new.model_fields_set == {"a", "b"}
    assert old.a == 1


def test_set_fields_private_attributes_and_extras_survive_a_write():
    class Rich(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int = 1
        b: int = 2
        _secret: str = "s"

    old = Rich(more=1)
    old._secret = "changed"
    new = write("any.a", {"any": old}, 3)["any"]
    assert (new._secret, new.more, new.model_fields_set) == ("changed", 1, {"a", "more"})
    assert write("any.fresh", {"any": old}, 3)["any"].fresh == 3


T = TypeVar("T")


class Generic1(TypedDict, Generic[T]):
    item: T


@dataclasses.dataclass
class Generic2(Generic[T]):
    items: list[T]


class Marked(TypedDict):
    needed: Required[int]
    maybe: NotRequired[str]
    fixed: ReadOnly[Annotated[Query, "doc"]]
    typed: Generic1[Query]
    data: Generic2[Part]
    later: Unresolvable  # noqa: F821 - a name that never resolves


class Resolvable(TypedDict):
    needed: Required[int]
    maybe: NotRequired[str]
    fixed: ReadOnly[Annotated[Query, "doc"]]
    typed: Generic1[Query]
    data: Generic2[Part]
    state: State


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("needed", int),
        ("maybe", str),
        ("typed.item.limit", int),
        ("data.items.0.size", int),
        ("state.docs[-1].title", str),
        ("state.numbered.3", str),
        ("state.loose.x.y", Any),
        ("state.pair.0", int),
        ("state.either.title", str),
        ("state.part.title", str),
    ],
)
def test_a_compiled_path_knows_the_declared_type_at_its_end(path, kind):
    found = compile_path(Resolvable, path).type
    assert getattr(found, "__origin__", found) is kind


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("stat", "did you mean 'state'"),
        ("fixed.qery", "did you mean 'query'"),
        ("fixed.query.x", "fixed.query is str, and str has nothing inside"),
        ("state.docs.title", "has positions and no field 'title'"),
        ("state.pair.2", "has only 2 positions"),
        ("state.scores.a.b", "int has nothing inside"),
        ("state.messages.0.contnt", "did you mean 'content'"),
        ("state.base.0.contnt", "did you mean 'content'"),
        ("state.either.nope", "has no field 'nope'"),
    ],
)
def test_a_misspelt_or_impossible_path_is_found_when_it_is_compiled(path, words):
    with pytest.raises(NodeConfigurationError, match=words):
        compile_path(Resolvable, path)


@pytest.mark.parametrize("path", ["later.x.y", "later.0"])
def test_a_schema_whose_names_do_not_resolve_is_never_the_reason_for_a_refusal(path):
    assert compile_path(Marked, path).type is Any


def test_an_alias_leads_to_the_field_in_models_and_in_their_json():
    path = compile_path(Query, "max")
    assert str(path.path) == "limit"
    assert path.read(Query(query="hi", max=3)) == 3
    assert path.read({"query": "hi", "max": 4}) == 4
    assert path.read({"query": "hi", "limit": 5}) == 5


class Spot(NamedTuple):
    x: int
    label: str = "here"


class Places(TypedDict, total=False):
    spot: Spot
    bare: tuple
    spots: list[Spot]


@pytest.mark.parametrize(
    ("path", "value", "delta"),
    [
        ("spot.label", "there", {"spot": Spot(1, "there")}),
        ("spot.0", "7", {"spot": Spot(7, "here")}),
        ("spots.0.x", 5, {"spots": [Spot(5, "a")]}),
    ],
)
def test_named_tuples_are_written_by_field_and_by_position(path, value, delta):
    state = {"spot": Spot(1), "spots": [Spot(0, "a")]}
    assert StatePath.parse(path).write(state, value, Places) == delta
    compile_path(Places, path)


def test_a_named_tuple_that_is_missing_is_made():
    assert StatePath.parse("spot.x").write({}, 3, Places) == {"spot": Spot(3)}


def test_a_name_in_a_plain_tuple_is_refused():
    with pytest.raises(NodeConfigurationError, match="no field"):
        compile_path(Places, "bare.name")


def test_what_could_be_one_of_several_types_is_not_guessed():
    class One(BaseModel):
        same: int = 0

    class Other(BaseModel):
        same: int = 0

    class Either(BaseModel):
        it: One | Other | None = None

    with pytest.raises(StateWriteError, match="it could be One or Other"):
        StatePath.parse("it.same").write(Either(), 1)
    assert StatePath.parse("it.same").write(Either(it=Other()), 1) == {"it": Other(same=1)}


def test_a_dict_that_is_declared_as_a_model_by_another_name_is_read_and_written_by_its_alias():
    state = {"query": {"query": "hi", "max": 3}}
    path = compile_path(TypedDict("Holder", {"query": Query}), "query.limit")
    assert path.read(state) == 3
    assert path.write(state, 5) == {"query": Query(query="hi", max=5)}


def test_types_that_pydantic_cannot_read_are_left_to_their_owner():
    class Handle:
        pass

    handle = Handle()

    @dataclasses.dataclass
    class Owner:
        handle: Handle

    path = compile_path(Owner, "handle")
    assert path.write(Owner(Handle()), handle) == {"handle": handle}


class Loud(BaseModel):
    text: str = Field("", alias="said")
    many: Annotated[list[int], operator.add] = []

    @field_validator("text")
    @classmethod
    def louder(cls, text: str) -> str:
        return text.upper()


def test_a_path_as_a_plan_obeys_reducers_aliases_and_the_states_own_validators():
    for state in (Loud(), Loud(), Loud()):
        assert PathPlan("said").delta("hi", state=state) == {"text": "HI"}
        assert PathPlan("many").delta(3, state=state) == {"many": [3]}
    with pytest.raises(StateWriteError, match="cannot write many, which is list"):
        PathPlan("many", Loud).delta("x", state=Loud())
    assert PathPlan("a.b").delta(1, state={"a": {"c": 2}}) == {"a": {"c": 2, "b": 1}}
    with pytest.raises(NodeConfigurationError, match="no field 'sad'"):
        PathPlan("sad", Loud)
