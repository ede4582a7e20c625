"""LangGraph's private names are handed to a node as they were when this was written.

A constant that is renamed cannot be imported. One that keeps its name and is not handed over any more, or
holds something else, is found here before a user finds it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from acp_langgraph.auth.providers import runtime_of
from acp_langgraph.nodes import langgraph as names
from acp_langgraph.nodes.langgraph import GraphTask

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    answer: Any


def handed(*, asks: bool = False, **options: Any) -> list[dict[str, Any]]:
    """What a node is handed each time that it is entered: once, and again when it is answered by id."""
    seen: list[dict[str, Any]] = []

    def node(_: State, config: RunnableConfig) -> State:
        seen.append(dict(config["configurable"]))
        return {"answer": interrupt("color?") if asks else "done"}

    graph = (
        StateGraph(State).add_node("node", node).add_edge(START, "node").compile(InMemorySaver())
    )
    found = graph.invoke({"answer": None}, ON_A_THREAD, **options)
    if asks:
        (question,) = found["__interrupt__"]
        graph.invoke(Command(resume={question.id: "blue"}), ON_A_THREAD, **options)
    return seen


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (names.CONFIG_KEY_RUNTIME, Runtime),
        (names.CONFIG_KEY_CALL, partial),
        (names.CONFIG_KEY_CHECKPOINTER, InMemorySaver),
        (names.CONFIG_KEY_READ, partial),
        (names.CONFIG_KEY_CHECKPOINT_MAP, dict),
        (names.CONFIG_KEY_CHECKPOINT_NS, str),
        (names.CONFIG_KEY_SCRATCHPAD, object),
        (names.CONFIG_KEY_SEND, object),
    ],
)
def test_a_node_is_handed_what_the_promise_is_made_of(name: str, kind: type) -> None:
    (first,) = handed()
    assert isinstance(first[name], kind)


def test_a_node_that_is_entered_again_is_told_so() -> None:
    first, again = handed(asks=True)
    assert not first.get(names.CONFIG_KEY_RESUMING)
    assert again[names.CONFIG_KEY_RESUMING] is True


def test_answers_by_id_are_handed_to_whoever_asks() -> None:
    _, again = handed(asks=True)
    assert list(again[names.CONFIG_KEY_RESUME_MAP].values()) == ["blue"]


def test_a_node_is_told_when_what_it_does_is_stored() -> None:
    (first,) = handed(durability="exit")
    assert first[names.CONFIG_KEY_DURABILITY] == "exit"


def test_the_scratchpad_numbers_questions_and_subgraphs_and_knows_the_plain_answer() -> None:
    (first,) = handed()
    scratchpad = first[names.CONFIG_KEY_SCRATCHPAD]
    for each in ("interrupt_counter", "subgraph_counter", "get_null_resume", "resume"):
        assert hasattr(scratchpad, each), each


def test_a_node_finds_the_loop_of_its_graph_and_whether_that_stores() -> None:
    (first,) = handed()
    task = GraphTask.of({"configurable": first})
    assert task is not None
    (loop,) = task.loops
    assert loop.checkpointer is task.saver
    assert hasattr(loop, "_put_checkpoint_fut")


def test_functions_that_give_credentials_find_the_runtime_where_langgraph_puts_it() -> None:
    (first,) = handed()
    assert runtime_of({"configurable": first}) is first[names.CONFIG_KEY_RUNTIME]
