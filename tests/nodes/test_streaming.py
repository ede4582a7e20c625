"""What of LangGraph is private and read to know who watches: these tests fail when it changes."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import task
from langgraph.graph import START, StateGraph
from support.colors import Color

from acp_langgraph.core.flow import RemoteEvent
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.streaming import EventSink


class State(TypedDict, total=False):
    text: str


class Probe:
    """A graph of one node, in a subgraph or not, that looks at its audience."""

    def __init__(self, *, nested: bool = False) -> None:
        self.sink: EventSink | None = None
        self.event = RemoteEvent(node="n", agent="a", run_id="r", kind="custom", payload=1)

        def node(state: State, config: RunnableConfig) -> State:
            sink = self.sink = Execution.of("node", config).sink
            if not sink.is_there:
                return {"text": "unseen"}
            task(lambda: sink.tell(self.event), name="inside_a_task")().result()
            return {"text": "seen"}

        async def anode(state: State, config: RunnableConfig) -> State:
            sink = self.sink = Execution.of("node", config).sink
            if not sink.is_there:
                return {"text": "unseen"}

            async def tell() -> None:
                await sink.atell(self.event)

            await task(tell, name="inside_a_task")()
            return {"text": "seen"}

        self._nested = nested
        self._nodes = {"sync": node, "async": anode}

    def graph(self, color: Color) -> Any:
        builder = StateGraph(State)
        builder.add_node("node", self._nodes[color.name])
        builder.add_edge(START, "node")
        if not self._nested:
            return builder.compile(checkpointer=InMemorySaver())
        outer = StateGraph(State)
        outer.add_node("outer", builder.compile())
        outer.add_edge(START, "outer")
        return outer.compile(checkpointer=InMemorySaver())

    def run(self, color: Color, config: Any = None, **options: Any) -> list[Any]:
        config = {"configurable": {"thread_id": "1"}, **(config or {})}
        return color.stream(self.graph(color), {"text": "hi"}, config, **options)


@pytest.mark.parametrize(
    ("options", "watched"),
    [
        ({"stream_mode": "custom"}, True),
        ({"stream_mode": "messages"}, True),
        ({"stream_mode": ["updates", "custom"]}, True),
        ({"stream_mode": "values", "subgraphs": True}, True),
        ({"stream_mode": "values"}, False),
        ({"stream_mode": "updates", "subgraphs": True}, False),
        ({"stream_mode": ["debug", "tasks", "checkpoints"]}, False),
    ],
)
def test_whether_anybody_watches_is_known(color: Color, options: Any, watched: bool) -> None:
    probe = Probe()
    probe.run(color, **options)
    assert probe.sink is not None
    assert probe.sink.is_there == watched


@pytest.mark.parametrize(
    ("options", "watched"),
    [
        ({"stream_mode": "custom", "subgraphs": True}, True),
        ({"stream_mode": "values", "subgraphs": True}, True),
        ({"stream_mode": "messages"}, True),
        ({"stream_mode": "custom"}, False),
    ],
)
def test_whether_anybody_watches_is_known_in_a_subgraph(
    color: Color, options: Any, watched: bool
) -> None:
    probe = Probe(nested=True)
    probe.run(color, **options)
    assert probe.sink is not None
    assert probe.sink.is_there == watched


def test_nobody_watches_an_invocation(color: Color) -> None:
    probe = Probe()
    config: Any = {"configurable": {"thread_id": "1"}}
    assert color.invoke(probe.graph(color), {"text": ""}, config) == {"text": "unseen"}


def test_a_callback_handler_watches_if_it_listens_to_custom_events(color: Color) -> None:
    class Deaf(BaseCallbackHandler):
        """Records only, as tracers do."""

    class Listener(Deaf):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
            self.heard.append((name, data))

    listener, probe = Listener(), Probe()
    config: Any = {"configurable": {"thread_id": "1"}}
    color.invoke(probe.graph(color), {"text": ""}, {**config, "callbacks": [Deaf(), listener]})
    assert listener.heard == [("remote_event", probe.event)]
    color.invoke(probe.graph(color), {"text": ""}, {**config, "callbacks": [Deaf()]})
    assert probe.sink is not None
    assert not probe.sink.is_there


def test_what_is_told_inside_a_task_is_shown_as_the_nodes(color: Color) -> None:
    probe = Probe()
    seen = probe.run(color, stream_mode="custom", subgraphs=True)
    assert seen == [((), probe.event)]


@pytest.mark.parametrize("mode", ["custom", "messages"])
def test_the_queue_that_holds_what_nobody_took_yet_is_known(color: Color, mode: str) -> None:
    probe = Probe()
    probe.run(color, stream_mode=mode)
    assert probe.sink is not None
    (queue,) = probe.sink._queues
    assert queue.qsize() == 0


def test_two_streams_of_one_graph_are_one_queue(color: Color) -> None:
    probe = Probe()
    probe.run(color, stream_mode=["custom", "messages"])
    assert probe.sink is not None
    assert len(probe.sink._queues) == 1
