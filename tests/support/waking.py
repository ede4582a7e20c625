"""Agents that are at work until a test says so, graphs that are suspended meanwhile, and who wakes them."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NotRequired, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from support.colors import Color

from acp_langgraph import ACPNode, Sweeper
from acp_langgraph.core.webhooks import new_secret
from acp_langgraph.server import Limits, RunningServer, WebhookPolicy, serve

__all__ = ["SECRET", "Agents", "Said", "State", "at", "of_one", "serving", "suspending", "swept"]

SECRET = new_secret()


def _and(before: list[str], more: Any) -> list[str]:
    return before + (more if isinstance(more, list) else [more])


class State(TypedDict, total=False):
    """The state of the graphs here; `after` counts what ran after the node that waits."""

    text: str
    answers: list[Any]
    after: Annotated[list[str], operator.add]
    said: Annotated[list[str], _and]


class Said(TypedDict):
    """What the agents here take and give."""

    text: str
    answers: NotRequired[Annotated[list[Any], operator.add]]


class _Gate:
    """Opened from a thread, and waited at on an event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def open(self) -> None:
        with self._lock:
            self._is_open = True
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)

    async def wait(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._is_open:
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


class Agents:
    """Agents whose runs are at work until they are let go, by their texts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, _Gate] = {}
        self.server: RunningServer

    def let_go(self, *texts: str) -> None:
        """Let runs go on with these texts, now or later."""
        for text in texts:
            self._gate(text).open()

    @property
    def url(self) -> str:
        """Where they are."""
        return self.server.url

    def runs(self) -> dict[str, int]:
        """How many runs there are of each status."""
        return self.server.count_runs()

    def graphs(self) -> dict[str, Any]:
        """The agents: one that only works, and one that works, asks, and works on."""
        work = StateGraph(Said).add_node("work", self._work).add_edge(START, "work").compile()
        asks = StateGraph(Said).add_node("work", self._work).add_node("ask", _ask)
        asks.add_node("more", self._more).add_edge(START, "work").add_edge("work", "ask")
        return {"work": work, "ask": asks.add_edge("ask", "more").compile()}

    def _gate(self, text: str) -> _Gate:
        with self._lock:
            return self._gates.setdefault(text, _Gate())

    async def _work(self, state: Said) -> dict[str, Any]:
        """Be at work until the text is let go; a text that begins with `fail` fails then."""
        await self._gate(state["text"]).wait()
        if state["text"].startswith("fail"):
            raise ValueError("no ink")
        return {"text": state["text"].upper()}

    async def _more(self, state: Said) -> dict[str, Any]:
        await self._gate(f"{state['text'].lower()} more").wait()
        return {"text": f"{state['text']} {state['answers']}"}


def _ask(state: Said) -> dict[str, Any]:
    return {"answers": [interrupt(f"color of {state['text']}?")]}


@contextmanager
def serving(**settings: Any) -> Iterator[Agents]:
    """The agents, served by a server that may call webhooks of this machine, and soon again."""
    agents = Agents()
    policy = WebhookPolicy(**{"allow": ["*"], "first_pause": 0.02, **settings})
    limits = Limits(running=2000)
    with serve(agents.graphs(), webhooks=policy, limits=limits) as agents.server:
        yield agents


def suspending(
    agents: Agents, agent: str = "work", name: str = "remote", **options: Any
) -> ACPNode:
    """A node that suspends its graph while an agent is at work."""
    given: dict[str, Any] = {"input_type": Said, "wait": "suspend", **options}
    if "output" not in given:
        given["output_path"] = ""
    return ACPNode(name, agent, agents.url, "", **given)


def of_one(node: Any, saver: Any = None) -> Any:
    """A graph of a node, and one after it that leaves its mark."""
    builder = StateGraph(State).add_node(node).add_node("after", _leave_mark)
    builder.add_edge(START, node.name).add_edge(node.name, "after")
    return builder.compile(checkpointer=saver or InMemorySaver())


def _leave_mark(state: State) -> dict[str, Any]:
    return {"after": [state["text"]]}


def at(thread: str) -> Any:
    """The configuration of a thread."""
    return {"configurable": {"thread_id": thread}}


def swept(color: Color, graph: Any, until: Callable[[Any], bool] | None = None) -> Any:
    """Sweep, once; or again and again until it comes to something, as what is awaited is about to come."""
    sweeper = Sweeper(graph)
    for _ in range(10_000):
        found = sweeper.sweep() if color.name == "sync" else asyncio.run(sweeper.asweep())
        if until is None or until(found):
            return found
        assert not found.failed, "a graph failed; the log says why"
    raise AssertionError(f"it comes to {found}")
