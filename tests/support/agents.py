"""Small agents for an embedded server: ordinary graphs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

__all__ = ["agent", "asking", "echo", "failing", "shouting"]


class Text(TypedDict):
    """What most of these agents take and give."""

    text: str


class Answered(TypedDict):
    """The state of an agent that asks."""

    text: str
    answers: NotRequired[Annotated[list[Any], operator.add]]


def agent(function: Callable[..., Any], state: Any = Text, **options: Any) -> Any:
    """A graph of one node."""
    builder = StateGraph(state, **options)
    builder.add_node("work", function)
    builder.add_edge(START, "work")
    builder.add_edge("work", END)
    return builder.compile()


def echo() -> Any:
    """Gives back the text."""
    return agent(lambda state: {"text": state["text"]})


def shouting() -> Any:
    """Gives back the text in capitals."""
    return agent(lambda state: {"text": state["text"].upper()})


def failing() -> Any:
    """Fails."""

    def work(state: Text) -> Text:
        raise ValueError("no ink")

    return agent(work)


def asking(*questions: Any, exactly: bool = False) -> Any:
    """Asks one question after the other, with the text in it or exactly; gives back the answers."""
    builder = StateGraph(Answered)
    names = [f"ask{number}" for number in range(len(questions))]
    for name, question in zip(names, questions, strict=True):
        builder.add_node(name, _asker(question, exactly=exactly))
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder.compile()


def _asker(question: Any, *, exactly: bool) -> Callable[[Answered], dict[str, Any]]:
    def ask(state: Answered) -> dict[str, Any]:
        return {"answers": [interrupt(question if exactly else f"{question} ({state['text']})")]}

    return ask
