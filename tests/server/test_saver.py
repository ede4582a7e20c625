from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command
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
