"""Steps as LangGraph's tasks, however few places there are to work in."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send
from support.colors import Color

from acp_langgraph import ACPNode
from acp_langgraph.nodes import langgraph
from acp_langgraph.testing import Answer, Ask, FakeACPServer

WITHIN = 60.0  # seconds, in case that it hangs


class State(TypedDict, total=False):
    ask: dict[str, Any]
    answers: Annotated[list[str], operator.add]


@pytest.fixture
def server() -> Iterator[FakeACPServer]:
    script = [Ask("ok?"), Answer(lambda run: {"answers": run.answers})]
    with FakeACPServer(script) as running:
        yield running


def fan_out(server: FakeACPServer, width: int) -> Any:
    node = ACPNode("remote", server.agent_id, server.url, "ask", None, "", None)
    sends = [Send("remote", {"ask": {"number": number}}) for number in range(width)]
    builder = StateGraph(State).add_node(node).add_conditional_edges(START, lambda _: sends)
    return builder.compile(checkpointer=InMemorySaver())


def within(color: Color, graph: Any, value: Any, config: Any) -> Any:
    """What a graph gives; a failure if it never ends."""
    if color.name == "async":

        async def run() -> Any:
            async with asyncio.timeout(WITHIN):
                return await graph.ainvoke(value, config)

        return asyncio.run(run())
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(graph.invoke(value, config)), daemon=True)
    thread.start()
    thread.join(WITHIN)
    assert found, "the graph hangs"
    return found[0]


@pytest.mark.parametrize("places", [1, 2, None])
def test_more_nodes_than_places_to_work_in_come_to_their_end(
    color: Color, server: FakeACPServer, places: int | None
) -> None:
    graph, width = fan_out(server, 40), 40
    config = {"configurable": {"thread_id": "t"}, "max_concurrency": places}
    asked = within(color, graph, {}, config)["__interrupt__"]
    answers = {each.id: str(number) for number, each in enumerate(asked)}
    done = within(color, graph, Command(resume=answers), config)
    assert sorted(done["answers"], key=int) == [str(number) for number in range(width)]
    assert server.created == width


def test_where_langgraph_does_not_tell_its_own_way_is_taken(
    color: Color, server: FakeACPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(langgraph, "_call", lambda: None)
    graph, config = fan_out(server, 2), {"configurable": {"thread_id": "t"}}
    asked = within(color, graph, {}, config)["__interrupt__"]
    done = within(color, graph, Command(resume={each.id: "yes" for each in asked}), config)
    assert done["answers"] == ["yes", "yes"]
    assert server.created == 2
