"""The A2A side of `langgraph dev`, where it is installed."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.test_a2a_kill import job_for
from faults.test_kill import count_ticks, jobs, until_done
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from support.a2a_graph import a2a_graph
from support.colors import Color
from support.langgraph_dev import HAS_LANGGRAPH_DEV, HOW_TO_INSTALL, LangGraphDev
from support.zygote import Zygote

from acp_langgraph.errors import A2ATaskError
from acp_langgraph.testing import Fault, FaultyProxy

pytestmark = pytest.mark.langgraph_dev
ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
GRAPHS = """
import asyncio

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


async def bake(state):
    word = state["messages"][-1].content.split()[0]
    if word == "fail":
        raise ConnectionError("upstream is away")
    if word == "hold":
        await asyncio.sleep(60)
    size = interrupt("Which size?") if word in {"ask", "twice"} else "large"
    if word == "twice":
        size += f" {interrupt('Which fruit?')}"
    return {"messages": [AIMessage(f"One {size} pie")]}


baker = StateGraph(MessagesState).add_node("bake", bake).add_edge(START, "bake").compile()
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URL of `langgraph dev`, and where the card of its graph is."""
    if not HAS_LANGGRAPH_DEV:
        pytest.skip(HOW_TO_INSTALL)
    folder = tmp_path_factory.mktemp("dev")
    (folder / "graphs.py").write_text(GRAPHS)
    graphs = {"dependencies": ["."], "graphs": {"baker": "./graphs.py:baker"}}
    (folder / "langgraph.json").write_text(json.dumps(graphs))
    server = LangGraphDev(folder, folder / "log")
    with server.running() as client:
        (found,) = client.post("/assistants/search", json={}).json()
        where = f"/.well-known/agent-card.json?assistant_id={found['assistant_id']}"
        yield server.url, where


def remembering(url: str, where: str) -> Any:
    return a2a_graph(url, card_path=where).compile(checkpointer=InMemorySaver())


def tasks(url: str, where: str) -> list[dict[str, Any]]:
    """The latest tasks."""
    path = httpx.get(url + where).json()["supportedInterfaces"][0]["url"]
    body = {"jsonrpc": "2.0", "id": "1", "method": "ListTasks", "params": {}}
    found: list[dict[str, Any]] = httpx.post(path, json=body).json()["result"]["tasks"]
    return found


def begun(url: str, where: str, word: str) -> int:
    """How many of the latest tasks were begun with a word."""
    return sum(word in json.dumps(task["history"][:1]) for task in tasks(url, where))


def test_a_text_is_answered_and_a_question_asked(color: Color, agent: tuple[str, str]) -> None:
    graph = remembering(*agent)
    assert color.invoke(graph, {"ask": "pie"}, ON_A_THREAD)["answer"] == "One large pie"
    asked: Any = {"configurable": {"thread_id": uuid.uuid4().hex}}
    state = color.invoke(graph, {"ask": "ask"}, asked)
    assert [each.value for each in state["__interrupt__"]] == ["Which size?"]
    answer = color.invoke(graph, Command(resume="small"), asked)["answer"]
    assert answer == "One small pie"


def test_data_is_what_the_graphs_channels_get(color: Color, agent: tuple[str, str]) -> None:
    said = {"messages": [{"role": "user", "content": "pie"}]}
    assert color.invoke(remembering(*agent), {"ask": said}, ON_A_THREAD)["answer"] == (
        "One large pie"
    )


def test_two_questions_are_asked_one_after_the_other(color: Color, agent: tuple[str, str]) -> None:
    graph, config = remembering(*agent), {"configurable": {"thread_id": uuid.uuid4().hex}}
    state = color.invoke(graph, {"ask": "twice"}, config)
    assert [each.value for each in state["__interrupt__"]] == ["Which size?"]
    state = color.invoke(graph, Command(resume="small"), config)
    assert [each.value for each in state["__interrupt__"]] == ["Which fruit?"]
    answer = color.invoke(graph, Command(resume="apple"), config)["answer"]
    assert answer == "One small apple pie"


async def test_a_cancelled_call_ends_the_task(agent: tuple[str, str]) -> None:
    call = asyncio.create_task(remembering(*agent).ainvoke({"ask": "hold"}, ON_A_THREAD))
    await until_there_is(agent, "TASK_STATE_WORKING")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until_there_is(agent, "TASK_STATE_CANCELED")


async def until_there_is(agent: tuple[str, str], state: str) -> None:
    """Return once a task has this state; this server can only be asked again and again."""
    give_up = time.monotonic() + 30
    while state not in {task["status"]["state"] for task in await asyncio.to_thread(tasks, *agent)}:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)


def test_a_failure_is_an_error(color: Color, agent: tuple[str, str]) -> None:
    with pytest.raises(A2ATaskError, match="ConnectionError"):
        color.invoke(remembering(*agent), {"ask": "fail"}, ON_A_THREAD)


def test_what_it_says_is_in_the_stream(color: Color, agent: tuple[str, str]) -> None:
    graph = remembering(*agent)
    stream = color.stream(graph, {"ask": "pie"}, ON_A_THREAD, stream_mode="messages")
    assert [message.content for message, _ in stream] == ["One large pie"]


def test_a_lost_answer_begins_no_second_task(color: Color, agent: tuple[str, str]) -> None:
    url, where = agent
    word = uuid.uuid4().hex
    with FaultyProxy(url) as proxy:
        proxy.faults.add(Fault.lose_answer(), on="POST /*")
        graph = remembering(proxy.url, where)
        answer = color.invoke(graph, {"ask": f"pie {word}"}, ON_A_THREAD)["answer"]
    assert answer == "One large pie"
    assert begun(url, where, word) == 1


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_task_in_the_end(
    zygote: Zygote, agent: tuple[str, str], color_name: str, points: int, tmp_path: Path
) -> None:
    url, where = agent
    make = job_for(url, color_name, "async", tmp_path, options={"card_path": where})

    def making() -> dict[str, Any]:
        job: dict[str, Any] = make()
        return {**job, "input": {"ask": f"pie {job['thread']}"}}

    for kills in jobs(points, count_ticks(zygote, making)):
        job = making()
        ended = until_done(zygote, job, kills)
        assert ended["exit"] == 0, (kills, ended)
        assert ended["values"] == "One large pie", (kills, ended)
        assert begun(url, where, job["thread"]) == 1, kills
