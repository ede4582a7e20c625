"""Graphs for a server of LangGraph's own. Each execution of their work is a line in a file."""

from __future__ import annotations

import asyncio
import operator
import os
from pathlib import Path
from typing import Annotated, Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class Input(TypedDict, total=False):
    text: str


class Output(TypedDict, total=False):
    answers: list[Any]
    text: str


class State(Input, Output, total=False):
    private: str
    seen: Annotated[list[str], operator.add]


class Parallel(State, total=False):
    first: Any
    second: Any


async def worked(state: Any) -> None:
    """Note that the work of an input was done."""
    file = Path(os.environ["WORK_DONE"])
    await asyncio.to_thread(_append, file, state.get("text", ""))


def _append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write(f"{text}\n")


async def answer(state: State) -> dict[str, Any]:
    await worked(state)
    return {"text": state["text"].upper(), "private": "x"}


async def ask_twice(state: State) -> dict[str, Any]:
    answers = [interrupt("color?"), interrupt("food?")]
    await worked(state)
    return {"answers": answers}


async def fail(_: State) -> None:
    raise ConnectionError("upstream is away")


async def sleep(state: State) -> dict[str, Any]:
    await asyncio.sleep(3)
    await worked(state)
    return {"text": "slept"}


async def say(_: State) -> dict[str, Any]:
    write = get_stream_writer()
    write({"step": 1})
    model = GenericFakeChatModel(messages=iter([AIMessage(content="One large pie")]))
    said = await model.ainvoke("pie")
    write({"step": 2})
    return {"text": said.content}


def single(name: str, node: Any, **schemas: Any) -> Any:
    builder = StateGraph(State, **schemas)
    return builder.add_node(name, node).add_edge(START, name).compile()


echo = single("answer", answer, input_schema=Input, output_schema=Output)
asker = single("ask", ask_twice)
failing = single("fail", fail)
slow = single("sleep", sleep)
talker = single("say", say)
nested = single("child", asker)
counter = single("count", lambda state: {"seen": [state["text"]]})
parallel = (
    StateGraph(Parallel)
    .add_node("a", lambda _: {"first": interrupt("color?")})
    .add_node("b", lambda _: {"second": interrupt("food?")})
    .add_edge(START, "a")
    .add_edge(START, "b")
    .compile()
)
