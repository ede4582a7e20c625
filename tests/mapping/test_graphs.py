"""Mapped edges among the other things that a graph may have."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import operator
import sys
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import END, START, StateGraph, add_messages
from pydantic import BaseModel, HttpUrl
from support.chat import ScriptedChat
from support.mapped import both_colors, run_graph

from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import call, compile_path, compile_plan, llm, merge
from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge


class State(TypedDict, total=False):
    text: str
    out: str
    box: dict
    numbers: dict[str, int]


class Private(TypedDict, total=False):
    note: str
    draft: dict[str, str]


class Asked(TypedDict):
    question: str


class Answered(TypedDict):
    answer: str


@dataclasses.dataclass
class Context:
    user: str


def edge(builder: Any, config: Any, llm: Any = None) -> Any:
    builder.add_node("one", lambda _: {})
    builder.add_node("two", lambda _: {})
    builder.add_edge(START, "one")
    add_io_mapped_edge(builder, "one", "two", config, llm)
    return builder


def private(rules: dict[str, Any]) -> Any:
    def one(_: Any) -> Any:
        return {"note": "n", "draft": {"body": "b"}}

    builder = StateGraph(State)
    builder.add_node("one", one)
    builder.add_node("two", lambda state: {"box": dict(state)}, input_schema=Private)
    builder.add_edge(START, "one")
    add_io_mapped_edge(builder, "one", "two", {"field_mapping": rules})
    return builder.compile()


@both_colors
def test_a_private_channel_is_read_and_written(color):
    read = private({"out": "draft.body", "numbers.x": "{text}"})
    assert run_graph(color, read, {"text": "1"})["out"] == "b"
    written = run_graph(color, private({"draft.subject": "text"}), {"text": "t"})
    assert written["box"] == {"note": "n", "draft": {"body": "b", "subject": "t"}}


def test_a_private_channel_is_misspelt_like_any_other_and_no_function_is_handed_half_a_state():
    with pytest.raises(NodeConfigurationError, match="did you mean 'note'"):
        private({"out": "noot"})
    with pytest.raises(NodeConfigurationError, match="name the function's arguments"):
        private({"out": lambda state: state["text"], "text": "note"})


@both_colors
def test_channels_of_input_and_output_are_channels(color):
    builder = StateGraph(State, input_schema=Asked, output_schema=Answered)
    graph = edge(builder, {"field_mapping": {"answer": "{question}!"}}).compile()
    assert run_graph(color, graph, {"question": "q"}) == {"answer": "q!"}


@both_colors
def test_the_context_of_a_run_is_a_source(color):
    builder = StateGraph(State, context_schema=Context)
    graph = edge(builder, {"field_mapping": {"out": "Dear {context:user}"}}).compile()
    call = {"context": Context("Ada")}
    if color == "sync":
        result = graph.invoke({"text": ""}, **call)
    else:
        result = asyncio.run(graph.ainvoke({"text": ""}, **call))
    assert result["out"] == "Dear Ada"
    with pytest.raises(MappingError, match="no context"):
        run_graph(color, graph, {"text": ""})


@both_colors
@pytest.mark.parametrize("channel", ["box", "numbers", "any"])
def test_a_key_of_a_dict_is_a_target_of_a_node_that_reads_the_dict(color, channel):
    class Loose(TypedDict, total=False):
        size: int
        box: dict
        numbers: dict[str, int]
        any: Any

    reader = RunnableLambda(lambda _: {})
    object.__setattr__(reader, "input_path", channel)
    builder = StateGraph(Loose)
    builder.add_node("one", lambda _: {})
    builder.add_node("two", reader)
    builder.add_edge(START, "one")
    add_io_mapped_edge(builder, "one", "two", {"field_mapping": {f"{channel}.q": "size"}})
    assert run_graph(color, builder.compile(), {"size": 1})[channel] == {"q": 1}


class Stats(BaseModel):
    status: str
    count: int


class Counted(BaseModel):
    text: str = ""
    stats: Stats | None = None


@both_colors
def test_a_part_of_a_model_is_asked_for_and_the_rest_only_where_there_is_no_model_yet(color):
    absent = ScriptedChat(script=[{"stats": {"status": "ok", "count": 3}}])
    there = ScriptedChat(script=[{"stats": {"status": "ok"}}])
    mapping = {"output_fields": ["stats.status"]}
    first = edge(StateGraph(Counted), mapping, absent).compile()
    assert run_graph(color, first, {"text": "x"})["stats"] == Stats(status="ok", count=3)
    second = edge(StateGraph(Counted), mapping, there).compile()
    state = {"text": "x", "stats": Stats(status="", count=9)}
    assert run_graph(color, second, state)["stats"] == Stats(status="ok", count=9)
    assert (len(absent.asked), len(there.asked)) == (1, 1)


class Composed(BaseModel):
    messages: list[AnyMessage]
    is_completed: bool | None = None


class Wrapper(BaseModel):
    input: Composed | None = None


class Chat(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []
    has_composer_completed: bool = False
    composer: Wrapper | None = None


LISTED = {
    "input_fields": ["messages", "has_composer_completed"],
    "output_fields": ["composer.input"],
}


@both_colors
def test_a_model_is_asked_what_a_listed_input_means_where_something_may_be_left_out(color):
    model = ScriptedChat(script=[{"composer": {"input": {"is_completed": True}}}])
    graph = edge(StateGraph(Chat), LISTED, model).compile()
    result = run_graph(color, graph, {"messages": ["hi"], "has_composer_completed": True})
    assert result["composer"].input.is_completed is True
    assert len(model.asked) == 1


def test_a_listed_input_of_which_nothing_is_made_is_refused_or_said(caplog):
    with pytest.raises(NodeConfigurationError, match=r"composer\.input\.is_completed"):
        edge(StateGraph(Chat), LISTED)
    filled = {"composer.input.is_completed": True}
    with pytest.raises(NodeConfigurationError, match="has_composer_completed is listed"):
        edge(StateGraph(Chat), {**LISTED, "field_mapping": filled})
    with caplog.at_level(logging.WARNING, "acp_langgraph.mapping"):
        edge(StateGraph(Chat), {**LISTED, "field_mapping": filled}, ScriptedChat(script=[]))
    assert "nothing is made of has_composer_completed" in caplog.text


@both_colors
def test_a_deferred_node_waits_for_its_mapped_edges_and_they_for_it(color):
    builder = StateGraph(State)
    for name in ("one", "long", "longer"):
        builder.add_node(name, lambda _: {})
    ends: list[dict[str, Any]] = []
    builder.add_node("late", lambda state: ends.append(dict(state)), defer=True)
    builder.add_node("last", lambda _: {})
    builder.add_edge(START, "one")
    builder.add_edge(START, "long")
    builder.add_edge("long", "longer")
    add_io_mapped_edge(builder, "one", "late", {"field_mapping": {"box.a": "text"}})
    add_io_mapped_edge(builder, "longer", "late", {"field_mapping": {"box.b": "text"}})
    add_io_mapped_edge(builder, "late", "last", {"field_mapping": {"box.c": "text"}})
    result = run_graph(color, builder.compile(), {"text": "x"})
    assert ends == [{"text": "x", "box": {"a": "x", "b": "x"}}]
    assert result["box"] == {"a": "x", "b": "x", "c": "x"}


def test_what_comes_after_a_deferred_node_is_in_no_known_step():
    builder = StateGraph(State)
    builder.add_node("one", lambda _: {})
    builder.add_node("late", lambda _: {}, defer=True)
    builder.add_edge(START, "one")
    builder.add_edge(START, "late")
    add_io_mapped_edge(builder, "one", END, {"field_mapping": {"out": "text"}})
    add_io_mapped_edge(builder, "late", END, {"field_mapping": {"out": "{text}!"}})
    assert builder.compile().invoke({"text": "x"})["out"] == "x!"


class Item(TypedDict, total=False):
    a: str
    b: str


class Lists(TypedDict, total=False):
    text: str
    added: Annotated[list[Item], operator.add]
    merged: Annotated[list[Item], merge]
    box: Annotated[dict, merge]


def branches_into(one: dict[str, Any], other: dict[str, Any]) -> Any:
    builder = StateGraph(Lists)
    for name in ("one", "other", "end"):
        builder.add_node(name, lambda _: {})
    builder.add_edge(START, "one")
    builder.add_edge(START, "other")
    add_io_mapped_edge(builder, "one", "end", {"field_mapping": one})
    add_io_mapped_edge(builder, "other", "end", {"field_mapping": other})
    return builder.compile()


@both_colors
def test_two_branches_add_to_one_list(color):
    rules = [{"added": call(lambda text, k=key: {k: text}, "text")} for key in ("a", "b")]
    result = run_graph(color, branches_into(*rules), {"text": "x"})
    assert result["added"] == [{"a": "x"}, {"b": "x"}]


@pytest.mark.parametrize("target", ["merged", "box.items"])
def test_two_branches_in_one_list_that_is_replaced_as_a_whole_are_refused(target):
    with pytest.raises(NodeConfigurationError, match=f"both write in the list '{target}'"):
        branches_into({f"{target}.0.a": "text"}, {f"{target}.1.b": "text"})
    branches_into({"box.x.y": "text"}, {"box.x.z": "text"})


def test_of_what_a_model_refuses_only_that_is_made_json_again():
    class Twin(BaseModel):
        x: int = 1

    class Large(BaseModel):
        twin: Counted
        pages: Any

    pages = [Twin()]
    plan = compile_plan({"twin": "twin", "pages": "pages"}, target_schema=Large, source_schema=None)
    made = plan.value({"twin": Twin(), "pages": pages})
    assert made.twin == Counted()
    assert made.pages is pages


@both_colors
def test_a_plain_edge_that_is_added_beside_a_mapped_one_is_found_at_the_first_run(color):
    builder = edge(StateGraph(State), {"field_mapping": {"out": "text"}})
    builder.add_edge("one", "two")
    graph = builder.compile()
    for _ in range(2):
        with pytest.raises(NodeConfigurationError, match="'two' would run twice"):
            run_graph(color, graph, {"text": "x"})


@both_colors
@pytest.mark.parametrize("kind", ["function", "awaited", "object", "runnable"])
def test_what_decides_a_branch_is_called_as_langgraph_calls_it(color, kind):
    if kind == "awaited" and color == "sync":
        pytest.skip("LangGraph awaits it")

    def decide(state: State, config: RunnableConfig) -> str:
        return "go" if config["configurable"]["thread"] == state["text"] else "stop"

    async def awaited(state: State, config: RunnableConfig) -> str:
        return decide(state, config)

    class Decider:
        def __call__(self, state: State, config: RunnableConfig) -> str:
            return decide(state, config)

    path: Any = {
        "function": decide,
        "awaited": awaited,
        "object": Decider(),
        "runnable": RunnableLambda(decide),
    }[kind]
    builder = StateGraph(State)
    builder.add_node("one", lambda _: {})
    builder.add_node("two", lambda _: {})
    builder.add_edge(START, "one")
    add_io_mapped_conditional_edge(
        builder,
        "one",
        path,
        {"go": {"end": "two", "metadata": {"field_mapping": {"out": "text"}}}, "stop": END},
    )
    config = {"configurable": {"thread": "x"}}
    assert run_graph(color, builder.compile(), {"text": "x"}, config)["out"] == "x"


class Link(BaseModel):
    url: HttpUrl


def test_what_has_a_text_of_its_own_is_written_as_that():
    class Worded:
        def __init__(self) -> None:
            self.hidden = 1

        def __str__(self) -> str:
            return "worded"

    plan = compile_plan({"t": "{link.url} {other} {link}"})
    link = Link(url="http://example.com/")  # type: ignore[arg-type]  # validated
    made = plan.value({"link": link, "other": Worded()})
    assert made == {"t": 'http://example.com/ worded {"url": "http://example.com/"}'}


def test_the_text_of_a_message_is_read_where_its_type_is_known_and_where_it_is_not():
    message = HumanMessage([{"type": "text", "text": "hi"}])
    for declared in (Chat, None):
        plan = compile_plan({"t": "messages[-1].text"}, source_schema=declared)
        assert plan.value({"messages": [message]}) == {"t": "hi"}


def test_siblings_are_neither_copied_nor_validated_again():
    class Frozen(BaseModel, frozen=True):
        title: str
        pages: list[str]
        sizes: dict[str, int]

    class Holder(TypedDict, total=False):
        doc: Any

    pages = ["x" * 100, 5]  # which no validation would let pass again
    doc = Frozen.model_construct(title="a", pages=pages, sizes={})
    changed = compile_path(Holder, "doc.title").write({"doc": doc}, "b")["doc"]
    assert changed.title == "b"
    assert changed.pages is pages
    assert changed.sizes is doc.sizes
    assert doc.title == "a"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type aliases have no syntax before 3.12")
def test_aliases_are_seen_through():
    names: dict[str, Any] = {"BaseModel": BaseModel, "TypedDict": TypedDict}
    source = (
        "class Mail(BaseModel):\n    body: str\n"
        "type Maybe = Mail | None\n"
        "type Many[T] = list[T]\n"
        "type Tree = dict[str, Tree] | str\n"
        "class Aliased(TypedDict, total=False):\n"
        "    mail: Maybe\n    mails: Many[Mail]\n    tree: Tree\n    text: str\n"
    )
    exec(compile(source, "aliases", "exec", dont_inherit=True), names)  # noqa: S102 - older versions cannot parse it
    aliased, mail = names["Aliased"], names["Mail"]
    for path in ("mail.bdy", "mails.0.bdy"):
        with pytest.raises(NodeConfigurationError, match="did you mean 'body'"):
            compile_path(aliased, path)
    assert compile_path(aliased, "mail").write({}, {"body": "x"}) == {"mail": mail(body="x")}
    assert compile_path(aliased, "mails.0").write({}, {"body": "x"}) == {"mails": [mail(body="x")]}
    assert compile_path(aliased, "tree.a.b").write({}, "x") == {"tree": {"a": {"b": "x"}}}


def test_a_model_that_a_rule_asks_for_must_be_named():
    with pytest.raises(NodeConfigurationError, match="llm="):
        edge(StateGraph(State), {"field_mapping": {"out": llm("a word")}})
