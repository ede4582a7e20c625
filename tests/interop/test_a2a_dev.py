"""The A2A side of `langgraph dev`, where it is installed."""

from __future__ import annotations

import json
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
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


def bake(state):
    word = state["messages"][-1].content.split()[0]
    if word == "fail":
        raise ConnectionError("upstream is away")
    size = interrupt("Which size?") if word == "ask" else "large"
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


def tasks(url: str, where: str, word: str) -> int:
    """How many of the latest tasks were begun with a word."""
    path = httpx.get(url + where).json()["supportedInterfaces"][0]["url"]
    body = {"jsonrpc": "2.0", "id": "1", "method": "ListTasks", "params": {}}
    found = httpx.post(path, json=body).json()["result"]["tasks"]
    return sum(word in json.dumps(task["history"][0]) for task in found)


def test_a_text_is_answered_and_a_question_asked(color: Color, agent: tuple[str, str]) -> None:
    graph = remembering(*agent)
    assert color.invoke(graph, {"ask": "pie"}, ON_A_THREAD)["answer"] == "One large pie"
    asked: Any = {"configurable": {"thread_id": uuid.uuid4().hex}}
    state = color.invoke(graph, {"ask": "ask"}, asked)
    assert [each.value for each in state["__interrupt__"]] == ["Which size?"]
    answer = color.invoke(graph, Command(resume="small"), asked)["answer"]
    assert answer == "One small pie"


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
    assert tasks(url, where, word) == 1


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
        assert tasks(url, where, job["thread"]) == 1, kills
