r"""`RemoteGraphNode` against `langgraph dev`, where it is installed: what its page of the documentation promises, both colours.

Against another server of LangGraph's Agent Protocol, e.g. Aegra over a PostgreSQL that is there:

    export WORK_DONE=/tmp/done DATABASE_URL=postgresql://postgres@127.0.0.1/aegra
    aegra serve --host 127.0.0.1 -c tests/support/langgraph_server/langgraph.json &
    LANGGRAPH_SERVER=http://127.0.0.1:2026 python -m pytest tests/interop/test_remote_graph.py \
        -m langgraph_dev --must-run langgraph_dev
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from faults.test_kill import ANSWERS, count_ticks, job_for, jobs, until_done
from langgraph.types import Command
from support.colors import Color
from support.counted import answered
from support.langgraph_dev import HAS_LANGGRAPH_DEV, HOW_TO_INSTALL, LangGraphDev
from support.remote_graph import node_for, remembering
from support.zygote import Zygote

from acp_langgraph import (
    CheckpointerRequiredError,
    RemoteGraphError,
    RemoteGraphNode,
    RunTimeoutError,
    UnknownAgentError,
)
from acp_langgraph.testing import Fault, FaultyProxy

pytestmark = pytest.mark.langgraph_dev
GRAPHS = Path(__file__).parents[1] / "support" / "langgraph_server"


class Served:
    """A server with the graphs of the tests.

    Args:
        url: Where it is.
        done: The file in which its graphs note what they did.
    """

    def __init__(self, url: str, done: Path) -> None:
        self.url = url
        self._done = done

    def executions(self, text: str) -> int:
        """How often the work of an input was done."""
        return self._done.read_text().split("\n").count(text) if self._done.exists() else 0

    def runs(self, text: str) -> list[dict[str, Any]]:
        """The runs of an input, and the answers that continued them, oldest first."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            threads = client.post("/threads/search", json={"limit": 1000}).json()
            for thread in threads:
                where = f"/threads/{thread['thread_id']}/runs"
                runs = client.get(where, params={"limit": 100}).json()
                inputs = [run.get("input") or run.get("kwargs", {}).get("input") for run in runs]
                if text in [(each or {}).get("text") for each in inputs]:
                    return sorted(runs, key=lambda run: run["created_at"])
        return []

    def until_runs_are(self, text: str, *statuses: str) -> None:
        """Return once the runs have these statuses; this server can only be asked again and again."""
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            if tuple(run["status"] for run in self.runs(text)) == statuses:
                return
            time.sleep(0.05)
        raise TimeoutError(self.runs(text))


@contextmanager
def langgraph_dev(folder: Path) -> Iterator[Served]:
    """The graphs in `langgraph dev`."""
    done = folder / "done"
    dev = LangGraphDev(GRAPHS, folder / "log", WORK_DONE=str(done))
    with dev.running():
        yield Served(dev.url, done)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`langgraph dev`, or whatever server of theirs was started with these graphs."""
    if url := os.environ.get("LANGGRAPH_SERVER"):
        yield Served(url, Path(os.environ["WORK_DONE"]))
        return
    if not HAS_LANGGRAPH_DEV:
        pytest.skip(HOW_TO_INSTALL)
    with langgraph_dev(tmp_path_factory.mktemp("dev")) as served:
        yield served


@pytest.fixture
def text() -> str:
    return uuid.uuid4().hex


def on_a_thread() -> Any:
    return {"configurable": {"thread_id": uuid.uuid4().hex}}


def asked(state: Any) -> list[Any]:
    return [each.value for each in state["__interrupt__"]]


def graph_of(dev: Any, assistant: str, **options: Any) -> Any:
    return remembering(dev, assistant=assistant, timeout=30, **options)


def test_a_graph_runs_once(color: Color, dev: Served, text: str) -> None:
    state = color.invoke(graph_of(dev, "echo"), {"ask": {"text": text}}, on_a_thread())
    assert state["answer"]["text"] == text.upper()
    assert dev.executions(text) == 1


@pytest.mark.parametrize("assistant", ["asker", "nested"])
def test_each_question_is_answered_by_its_id(
    color: Color, dev: Served, text: str, assistant: str
) -> None:
    graph, config = graph_of(dev, assistant), on_a_thread()
    done = answered(color, graph, {"ask": {"text": text}}, config, ANSWERS)
    assert done["answer"]["answers"] == ["blue", "rice"]
    assert (dev.executions(text), len(dev.runs(text))) == (1, 3)


@pytest.mark.parametrize("answer", [None, False, "", {"any": ["JSON"]}], ids=repr)
def test_an_answer_may_be_any_json(color: Color, dev: Served, text: str, answer: Any) -> None:
    graph, config = graph_of(dev, "asker"), on_a_thread()
    given: Any = {"ask": {"text": text}}
    for _ in range(2):
        (question,) = color.invoke(graph, given, config)["__interrupt__"]
        given = Command(resume={question.id: answer})
    assert color.invoke(graph, given, config)["answer"]["answers"] == [answer, answer]


def test_parallel_questions_are_answered_one_by_one(color: Color, dev: Served, text: str) -> None:
    graph, config = graph_of(dev, "parallel"), on_a_thread()
    (shown,) = asked(color.invoke(graph, {"ask": {"text": text}}, config))
    ids = {question: each for each, question in shown["interrupts"].items()}
    left = color.invoke(graph, Command(resume={ids["food?"]: "rice"}), config)
    assert asked(left) == ["color?"]
    done = color.invoke(graph, Command(resume="blue"), config)["answer"]
    assert (done["first"], done["second"]) == ("blue", "rice")


def test_a_failure_names_the_node_and_its_own_words(color: Color, dev: Served) -> None:
    with pytest.raises(RemoteGraphError, match=r"in fail: .*upstream is away"):
        color.invoke(graph_of(dev, "failing"), {"ask": {}}, on_a_thread())


def test_an_unknown_assistant_is_told(color: Color, dev: Served) -> None:
    with pytest.raises(UnknownAgentError, match="nope"):
        color.invoke(graph_of(dev, "nope"), {"ask": {}}, on_a_thread())


def test_a_run_over_its_deadline_is_cancelled(color: Color, dev: Served, text: str) -> None:
    graph = graph_of(dev, "slow", run_timeout=1.5)
    with pytest.raises(RunTimeoutError, match="it was cancelled"):
        color.invoke(graph, {"ask": {"text": text}}, on_a_thread())
    assert [run["status"] for run in dev.runs(text)] == ["interrupted"]


async def test_a_cancelled_execution_ends_the_run(dev: Served, text: str) -> None:
    graph = graph_of(dev, "slow")
    job = asyncio.create_task(graph.ainvoke({"ask": {"text": text}}, on_a_thread()))
    await asyncio.to_thread(dev.until_runs_are, text, "running")
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await asyncio.to_thread(dev.until_runs_are, text, "interrupted")
    assert dev.executions(text) == 0


def test_a_question_that_nothing_can_wait_for_leaves_nothing(
    color: Color, dev: Served, text: str
) -> None:
    with pytest.raises(CheckpointerRequiredError, match="was cancelled"):
        color.invoke(node_for(dev, "asker", timeout=30), {"ask": {"text": text}})
    assert dev.runs(text) == []


def test_what_it_emits_is_shown(color: Color, dev: Served) -> None:
    graph = graph_of(dev, "talker")
    modes = ["custom", "messages"]
    items = color.stream(graph, {"ask": {}}, on_a_thread(), stream_mode=modes)
    said = [item[0].content for mode, item in items if mode == "messages"]
    emitted = [item["payload"] for mode, item in items if mode == "custom"]
    assert said == ["One", " ", "large", " ", "pie"]
    assert [each for each in emitted if "step" in each] == [{"step": 1}, {"step": 2}]


def test_a_stream_that_is_cut_is_rejoined_without_loss_or_repetition(
    color: Color, dev: Served
) -> None:
    with FaultyProxy(dev.url) as proxy:
        for place in range(0, 2400, 300):
            proxy.faults.clear()
            proxy.faults.add(Fault.drop_after(place), on="stream_thread_run_output")
            graph = graph_of(proxy, "talker")
            modes = ["custom", "messages"]
            items = color.stream(graph, {"ask": {}}, on_a_thread(), stream_mode=modes)
            said = [item[0].content for mode, item in items if mode == "messages"]
            assert said == ["One", " ", "large", " ", "pie"], place


def test_a_thread_that_remembers_does(color: Color, dev: Served, text: str) -> None:
    graph, config = graph_of(dev, "counter", use_threads=True), on_a_thread()
    color.invoke(graph, {"ask": {"text": text}}, config)
    done = color.invoke(graph, {"ask": {"text": "again"}}, config)
    assert done["answer"]["seen"] == [text, "again"]


def test_a_node_of_an_assistant_gives_its_output_alone(color: Color, dev: Served) -> None:
    node = RemoteGraphNode.from_assistant(dev.url, "echo")
    assert color.invoke(node, {"text": "hi"}) == {"text": "HI"}


@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_thread_and_one_execution(
    zygote: Zygote, color_name: str, dev: Served, points: int, tmp_path: Path
) -> None:
    make_job = job_for(dev, "asker", color_name, "async", tmp_path)

    def make() -> dict[str, Any]:
        return {**make_job(), "module": "support.remote_graph"}

    for kills in jobs(points, count_ticks(zygote, make)):
        job = make()
        ended = until_done(zygote, job, kills)
        assert ended["exit"] == 0, (kills, ended)
        assert ended["values"]["answers"] == ["blue", "rice"], (kills, ended)
        assert dev.executions(job["thread"]) == 1, kills
        assert len(dev.runs(job["thread"])) == 3, kills
