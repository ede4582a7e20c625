"""Mistakes that newcomers make, each with a message that says what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel, computed_field
from support.mapped import both_colors, run_graph

from acp_langgraph import ACPNode
from acp_langgraph.errors import MappingError, NodeConfigurationError
from acp_langgraph.mapping import coalesce, compile_input, copy, each, llm
from acp_langgraph.mapping.edges import add_io_mapped_conditional_edge, add_io_mapped_edge


class Mail(BaseModel):
    body: str
    to: str
    urgent: bool | None = None

    @computed_field
    @property
    def size(self) -> int:
        return len(self.body)


@dataclasses.dataclass
class Sent:
    id: str
    receipt: str = dataclasses.field(init=False, default="")


class Doc(BaseModel):
    title: str
    pages: int = 0


class State(TypedDict, total=False):
    draft: str
    person: str
    is_urgent: bool
    pages: int
    note: str | None
    docs: list[Doc]
    mail: Mail
    sent: Sent
    titles: list[str]
    rows: list[Doc]


@dataclasses.dataclass
class Context:
    user: str


def builder() -> Any:
    made = StateGraph(State, context_schema=Context)
    for name in ("write", "send"):
        made.add_node(name, lambda _: {})
    return made.add_edge(START, "write")


def edge(config: Any, **options: Any) -> Any:
    made = builder()
    add_io_mapped_edge(made, "write", "send", config, **options)
    return made


def fields(**rules: Any) -> Callable[[], Any]:
    return lambda: edge(
        {"field_mapping": {name.replace("__", "."): r for name, r in rules.items()}}
    )


def branches(entry: Any, path: Any = lambda _: "go") -> Any:
    made = builder()
    add_io_mapped_conditional_edge(made, "write", path, {"go": entry})
    return made


def beside() -> Any:
    made = builder().add_edge("write", "send")
    return add_io_mapped_edge(made, "write", "send", {"field_mapping": {"note": "draft"}})


async def awaited(state: Any) -> Any:
    return state


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "a source is misspelt": (fields(note="drft"), "did you mean 'draft'"),
    "a target is misspelt": (fields(mail__bdy="draft"), "no field 'bdy'; did you mean 'body'"),
    "a text is meant as it stands": (fields(note="de"), r"const\('de'\)"),
    "an address is meant as it stands": (fields(note="ada@example.com"), r"const\("),
    "a sentence is meant as it stands": (fields(note="Thanks..."), r"const\(\.\.\.\)"),
    "a brace is left open": (fields(note="Dear {person"), "write {{ or }} for a brace itself"),
    "a template names nothing": (fields(note="Dear {persn}"), "did you mean 'person'"),
    "a number goes into a text": (fields(note="pages"), "int cannot become str"),
    "a list goes into an object": (fields(mail="docs"), r"list\[Doc\] cannot become Mail"),
    "an object lacks what another needs": (fields(mail="sent"), "Sent has no 'body'"),
    "a constant is of another type": (fields(pages=coalesce("pages", "many")), "no many"),
    "a default is of another type": (fields(pages=copy("pages", default="many")), "the default"),
    "a computed field is a target": (fields(mail__size="pages"), "write what it is made of"),
    "a field that init leaves out is a target": (fields(sent__receipt="draft"), "only be read"),
    "a function awaits": (fields(note=awaited), "asynchronous; a mapping only computes"),
    "a rule is a list": (fields(titles=["draft"]), r"list is no rule of a mapping"),
    "a model is meant, and there is none": (fields(note=llm("a note")), r"llm='llm'"),
    "a target and one inside it": (fields(mail="mail", mail__to="person"), "so has mail.to inside"),
    "needed fields are not filled": (
        lambda: edge({"output_fields": ["mail"]}),
        r"mail\.body \(str\) is needed, and nothing fills it",
    ),
    "an input is listed and not used": (
        lambda: edge(
            {
                "input_fields": ["draft", "person", "is_urgent"],
                "output_fields": ["mail"],
                "field_mapping": {"mail.body": "draft", "mail.to": "person"},
            }
        ),
        r"is_urgent is listed.*mail\.urgent .* map it, as in field_mapping=",
    ),
    "inputs lead nowhere": (lambda: edge({"input_fields": ["draft"]}), "name output_fields"),
    "a key of the mapping is misspelt": (
        lambda: edge({"field_mappings": {}}),
        "no 'field_mappings'; did you mean 'field_mapping'",
    ),
    "the mapping is no dict": (lambda: edge(["draft"]), "a dict or IOMappingAgentMetadata"),
    "a node is not added yet": (
        lambda: add_io_mapped_edge(builder(), "write", "sent"),
        "no node 'sent'; add it before its mapped edges .did you mean 'send'",
    ),
    "the graph is compiled": (
        lambda: add_io_mapped_edge(builder().compile(), "write", "send"),
        "before compile",
    ),
    "a branch has no end": (lambda: branches({"metadata": {}}), "no 'end'"),
    "a plain edge is there too": (beside, "would run twice"),
    "the context has no such field": (fields(note="context:usr"), "the context is Context.*'user'"),
    "an item has no such field": (
        fields(rows=each("docs", {"title": "title", "pages": "page"})),
        "did you mean 'pages'",
    ),
    "a model is asked item by item": (
        fields(titles=each("docs", llm("a title"))),
        "ask for the list",
    ),
    "input and input_path": (
        lambda: ACPNode("a", "b", "http://127.0.0.1:1", input={"x": "y"}, input_path="z"),
        "either input or input_path",
    ),
    "a node's rule asks a model, and there is none": (
        lambda: ACPNode("a", "b", "http://127.0.0.1:1", input={"x": llm("y")}),
        "llm=",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_when_the_graph_is_built(mistake):
    make, words = MISTAKES[mistake]
    with pytest.raises(NodeConfigurationError, match=f"(?s){words}"):
        make()


AT_RUN: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "the source is None": (fields(mail__body="note"), {"note": None}, "note is None, .* coalesce"),
    "the choices are all None": (
        fields(mail__body=coalesce("note", "config:note")),
        {"note": None},
        "note and config:note are None",
    ),
    "a template needs what is None": (fields(draft="Note: {note}"), {"note": None}, "note is None"),
    "the configuration lacks a key": (
        fields(draft="config:recipient"),
        {},
        r"config\['configurable'\] has no 'recipient'; hand it over",
    ),
    "there is no context": (fields(draft="context:user"), {}, "graph.invoke.*context="),
    "a list is None": (
        fields(titles=each("docs", "title")),
        {"docs": None},
        r"docs is None.*coalesce\(each\('docs', \.\.\.\), const\(\[\]\)\)",
    ),
    "an item is None": (
        fields(titles=each("docs", "title")),
        {"docs": [Doc(title="a"), None]},
        r"titles\.1: item 1 of docs is None; leave such items out",
    ),
    "an item does not fit": (
        fields(rows=each("docs", {"title": "title", "pages": "title"})),
        {"docs": [Doc(title="1"), Doc(title="two")]},
        r"rows\.1\.pages: of item 1 of docs: it is int",
    ),
    "the source is not there": (fields(mail__body="draft"), {}, "without 'draft'"),
    "what an object needs is not there yet": (
        fields(mail__body="draft"),
        {"draft": "x"},
        "it is Mail, and the value does not fit: to: Field required",
    ),
}


@both_colors
@pytest.mark.parametrize("mistake", AT_RUN)
def test_a_mistake_is_said_by_the_run(color, mistake):
    make, state, words = AT_RUN[mistake]
    graph = make().compile()
    with pytest.raises(MappingError, match=f"(?s){words}"):
        run_graph(color, graph, state)


@both_colors
def test_a_send_past_a_mapping_is_refused_and_one_to_a_plain_branch_is_sent(color):
    mapped = {"end": "send", "metadata": {"field_mapping": {"note": "draft"}}}

    def past(_: Any) -> Any:
        return Send("send", {"draft": "x"})

    with pytest.raises(NodeConfigurationError, match="give the key 'go' instead"):
        run_graph(color, branches(mapped, past).compile(), {"draft": "x"})
    plain = branches({"end": "send"}, past).compile()
    assert run_graph(color, plain, {"draft": "x"}) == {"draft": "x"}


def test_what_failed_leaves_the_builder_as_it_was():
    made = builder().add_edge("write", "send").add_edge("send", END)
    before = (set(made.nodes), set(made.edges), set(made.channels), list(made.schemas))
    with pytest.raises(NodeConfigurationError):
        add_io_mapped_edge(made, "write", "send", {"field_mapping": {"note": "draft"}})
    with pytest.raises(NodeConfigurationError):
        add_io_mapped_conditional_edge(
            made,
            "write",
            lambda _: "a",
            {
                "a": {"end": "send", "metadata": {"field_mapping": {"note": "draft"}}},
                "b": {"end": END, "metadata": {"field_mapping": {"note": llm("a note")}}},
            },
        )
    assert before == (set(made.nodes), set(made.edges), set(made.channels), list(made.schemas))
    assert not made.branches["write"]


def test_a_message_never_holds_what_is_in_the_state():
    plan = compile_input({"title": "draft", "pages": "draft"}, state=State, agent=Doc)
    with pytest.raises(MappingError, match="pages") as caught:
        plan.value({"draft": "hunter2"})
    assert "hunter2" not in str(caught.value)
