"""Graphs to serve in tests, and a gate that holds one of their nodes."""

from __future__ import annotations

import asyncio
import operator
import threading
from contextlib import suppress
from typing import Annotated, Any, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt
from pydantic import BaseModel

__all__ = ["Gate", "Mail", "asking", "echo", "failing", "fan_out", "held", "streaming"]


class Text(TypedDict):
    text: str


class Notes(TypedDict):
    text: str
    notes: Annotated[list[Any], operator.add]


class Mail(BaseModel):
    """A type of a graph's own, which its checkpoints hold."""

    text: str


class Gate:
    """Holds a node until it is opened, and tells how many entered and left."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.cancelled = threading.Semaphore(0)
        self.passed = 0
        self._open = False
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        with self._lock:
            self._open = True
            for loop, event in self._waiting:
                with suppress(RuntimeError):  # the loop of a server that has stopped
                    loop.call_soon_threadsafe(event.set)

    def close(self) -> None:
        """Hold whoever comes from now on."""
        with self._lock:
            self._open = False

    async def wait(self) -> None:
        event = asyncio.Event()
        with self._lock:
            self._waiting.append((asyncio.get_running_loop(), event))
            if self._open:
                event.set()
        self.entered.release()
        try:
            await event.wait()
        except asyncio.CancelledError:
            self.cancelled.release()
            raise
        self.passed += 1


def one_node(state: Any, node: Any, **schemas: Any) -> Any:
    builder = StateGraph(state, **schemas)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


def echo() -> Any:
    return one_node(Text, lambda state: {"text": state["text"].upper()})


def failing() -> Any:
    calls: list[int] = []

    def fail(state: Text) -> Text:
        calls.append(1)
        raise LookupError(f"no such thing, call {len(calls)}")

    return one_node(Text, fail)


def asking(*questions: Any) -> Any:
    """Asks one question after the other and returns the answers."""

    def ask(state: Notes) -> dict[str, Any]:
        return {"notes": [interrupt(question) for question in questions]}

    return one_node(Notes, ask)


def fan_out(count: int) -> Any:
    """Asks so many questions at once."""

    def ask(item: int) -> dict[str, Any]:
        return {"notes": [[item, interrupt({"item": item})]]}

    builder = StateGraph(Notes)
    builder.add_node("ask", ask)
    builder.add_conditional_edges(START, lambda _: [Send("ask", item) for item in range(count)])
    return builder.compile()


def held(gate: Gate) -> Any:
    """Says its text once the gate is open."""

    async def hold(state: Notes) -> dict[str, Any]:
        await gate.wait()
        return {"notes": [state["text"]]}

    return one_node(Notes, hold)


def streaming(gate: Gate) -> Any:
    """Writes to the custom stream and changes its state twice, once the gate is open."""

    async def first(state: Notes) -> dict[str, Any]:
        await gate.wait()
        get_stream_writer()({"step": 1})
        return {"notes": [1]}

    def second(state: Notes) -> dict[str, Any]:
        get_stream_writer()({"step": 2, "line": "a\u2028b\n"})
        return {"notes": [2]}

    builder = StateGraph(Notes)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    return builder.compile()
