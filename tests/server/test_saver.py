from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send
from support.graphs import Mail, Notes, asking, fan_out, one_node

from acp_langgraph.server.database import Database
from acp_langgraph.server.saver import DatabaseSaver

THREAD: Any = {"configurable": {"thread_id": "mine"}}


@pytest.fixture
async def saver():
    database = Database()
    saver = DatabaseSaver(database)
    database.open(saver.prepare)
    yield saver
    database.close()


def using(saver: DatabaseSaver, graph: Any) -> Any:
    return graph.copy({"checkpointer": saver})


async def test_a_graph_is_resumed(saver):
    graph = using(saver, asking("one", "two"))

    await graph.ainvoke({"text": "hi"}, THREAD)
    await graph.ainvoke(Command(resume=1), THREAD)
    ended = await graph.ainvoke(Command(resume=2), THREAD)

    assert ended["notes"] == [1, 2]


async def test_a_graph_is_resumed_from_a_thread_of_its_own(saver):
    graph = using(saver, fan_out(2))

    def run() -> Any:
        asked = graph.invoke({"text": "hi"}, THREAD)["__interrupt__"]
        answers = {each.id: each.value["item"] for each in asked}
        return graph.invoke(Command(resume=answers), THREAD), list(saver.list(THREAD))

    ended, saved = await asyncio.to_thread(run)

    assert ended["notes"] == [[0, 0], [1, 1]]
    assert [each.checkpoint["id"] for each in saved] == [
        each.checkpoint["id"] async for each in saver.alist(THREAD)
    ]


async def test_a_new_thread_is_not_looked_up_until_something_was_written(saver):
    graph = using(saver, one_node(Notes, lambda state: {"notes": [1]}))
    saver.announce("mine")

    before = await saver.aget_tuple(THREAD)
    await graph.ainvoke({"text": "hi"}, THREAD)

    assert before is None
    assert (await saver.aget_tuple(THREAD)).checkpoint["channel_values"]["notes"] == [1]


async def test_a_deleted_thread_is_gone(saver):
    graph = using(saver, one_node(Notes, lambda state: {"notes": [1]}))
    await graph.ainvoke({"text": "hi"}, THREAD)

    await saver.adelete_thread("mine")

    assert await saver.aget_tuple(THREAD) is None


class Closing:
    """A node after which the database does nothing until it is opened."""

    def __init__(self, saver: DatabaseSaver, goto: str | None = None) -> None:
        self._saver = saver
        self._goto = goto
        self.opened = threading.Event()
        self.was_opened = False
        self.entered = asyncio.Event()

    def _job(self, _: Any) -> None:
        self.was_opened = self.opened.wait(10)

    async def __call__(self, state: Any) -> Any:
        self._saver._database.post(self._job)
        self.entered.set()
        update = {"notes": ["first"]}
        if self._goto == "command":
            return Command(goto="second", update=update)
        return Command(goto=Send("second", state), update=update) if self._goto else update


async def beside(_: Any) -> dict[str, Any]:
    return {"notes": ["beside"]}


def two_nodes(first: Any, second: Any, edge: str) -> Any:
    builder = StateGraph(Notes)
    builder.add_node("first", first, destinations=("second",))
    builder.add_node("beside", beside)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge(START, "beside")
    if edge == "edge":
        builder.add_edge("first", "second")
    elif edge == "join":
        builder.add_edge(["first", "beside"], "second")
    elif edge == "branch":
        builder.add_conditional_edges("first", lambda _: "second", ["second"])
    elif edge == "send":
        builder.add_conditional_edges("first", lambda state: [Send("second", state)], ["second"])
    return builder.compile()


@pytest.mark.parametrize("edge", ["edge", "join", "branch", "send", "command", "command to send"])
async def test_no_step_begins_before_the_one_before_is_on_file(saver, edge):
    first = Closing(saver, edge if edge.startswith("command") else None)
    was_on_file = list[bool]()

    async def second(_: Any) -> dict[str, Any]:
        was_on_file.append(first.opened.is_set())
        return {"notes": ["second"]}

    graph = using(saver, two_nodes(first, second, edge))
    with saver.running("mine", graph.trigger_to_nodes):
        running = asyncio.create_task(graph.ainvoke({"text": "hi"}, THREAD, durability="sync"))
        await first.entered.wait()
        for _ in range(300):
            await asyncio.sleep(0)  # time enough to begin too early
        first.opened.set()
        ended = await running

    assert was_on_file == [True]
    assert "second" in ended["notes"]


async def test_what_comes_after_the_last_step_is_what_its_checkpoint_goes_with(saver):
    only = Closing(saver)
    graph = using(saver, one_node(Notes, only))

    with saver.running("mine", graph.trigger_to_nodes):
        ended = await graph.ainvoke({"text": "hi"}, THREAD, durability="sync")
    only.opened.set()

    assert ended["notes"] == ["first"]
    assert (await saver.aget_tuple(THREAD)).checkpoint["channel_values"]["notes"] == ["first"]
    assert only.was_opened


async def test_a_graph_of_which_nothing_is_known_waits_for_its_last_checkpoint(saver):
    only = Closing(saver)
    graph = using(saver, one_node(Notes, only))

    running = asyncio.create_task(graph.ainvoke({"text": "hi"}, THREAD, durability="sync"))
    await only.entered.wait()
    for _ in range(300):
        await asyncio.sleep(0)
    ended_before = running.done()
    only.opened.set()
    await running

    assert not ended_before


async def test_what_cannot_be_stored_fails_where_it_was_written(saver):
    with socket.socket() as unstorable:
        graph = using(saver, one_node(Notes, lambda state: {"notes": [unstorable]}))

        with pytest.raises(TypeError):
            await graph.ainvoke({"text": "hi"}, THREAD)


async def test_a_stricter_copy_works_on_the_same_database(saver):
    graph = using(saver, one_node(Notes, lambda state: {"notes": [Mail(text="hi")]}))
    await graph.ainvoke({"text": "hi"}, THREAD)
    saver.serde = JsonPlusSerializer(allowed_msgpack_modules=None)

    strict = saver.with_allowlist({(Mail.__module__, "Mail")})

    saved = await strict.aget_tuple(THREAD)
    assert saved.checkpoint["channel_values"]["notes"] == [Mail(text="hi")]
