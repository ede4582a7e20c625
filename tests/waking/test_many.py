"""Many suspended runs, a process that ends, and another one that finishes them, whatever becomes of the post."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from support.receiving import Notice, receiving
from support.waking import SECRET, Agents, State, at, serving, suspending

from acp_langgraph import Sweeper, WakeApp, WakeURL


@pytest.fixture
def number(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--suspended"))


def graph_over(agents: Agents, url: str, saver: Any, seen: Counter[str]) -> Any:
    """The graph, in one process or the next."""
    lock = threading.Lock()

    def after(state: State) -> dict[str, Any]:
        with lock:
            seen[state["text"]] += 1
        return {"after": [state["text"]]}

    node = suspending(agents, wake_url=WakeURL(f"{url}/wake", SECRET))
    builder = StateGraph(State).add_node(node).add_node("after", after)
    builder.add_edge(START, "remote").add_edge("remote", "after")
    return builder.compile(checkpointer=saver)


def test_all_are_finished_once_though_notices_are_lost_doubled_forged_and_late(
    number: int, tmp_path: Path
) -> None:
    texts = [f"{uuid.uuid4().hex}" for _ in range(number)]
    chance, seen = random.Random(7), Counter[str]()
    database = str(tmp_path / "a.sqlite")
    with receiving() as post, serving() as agents:
        with SqliteSaver.from_conn_string(database) as saver:
            graph = graph_over(agents, post.url, saver, seen)
            with ThreadPoolExecutor(16) as threads:
                list(threads.map(lambda each: graph.invoke({"text": each}, at(each)), texts))
        assert agents.runs() == {"pending": number}
        with SqliteSaver.from_conn_string(database) as saver:
            graph = graph_over(agents, post.url, saver, seen)
            fates: dict[str, int] = {}

            def times(notice: Notice) -> int:
                return fates.setdefault(notice.path, chance.choice([0, 0, 0, 1, 1, 1, 1, 1, 2, 3]))

            post.times, post.app = times, WakeApp(graph, secret=SECRET)
            agents.let_go(*texts)
            forge = WakeURL(f"{post.url}/wake", "whsec_" + "A" * 32)
            sweeper = Sweeper(graph)
            while len(seen) < number:
                sweeper.sweep()
                forged = forge.of(chance.choice(texts), "key")
                fates[forged.removeprefix(post.url)] = 1
                assert httpx.post(forged).status_code == 404
            genuine = [each for each in post.notices if each.answered != 404]
            for notice in chance.sample(genuine, min(len(genuine), 20)):
                fates[notice.path] = 1
                assert httpx.post(post.url + notice.path).status_code in {200, 202}
            while sweeper.sweep().woken:
                pass
            done = [graph.get_state(at(each)).values["after"] for each in texts]
        assert set(seen.values()) == {1}
        assert done == [[each.upper()] for each in texts]
        assert agents.runs() == {"success": number}
