"""The example for `langgraph dev`, through LangGraph's own server where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from support.graphs import Gate
from support.langgraph_dev import HAS_LANGGRAPH_DEV, HOW_TO_INSTALL, LangGraphDev

from acp_langgraph.server import RunningServer, serve

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "langgraph_dev"


class Order(TypedDict, total=False):
    pizza: str
    size: str
    ready: str


@contextmanager
def served_by_the_command(folder: Path, **environment: str) -> Iterator[str]:
    """What a folder's langgraph.json names, as users serve it; its URL."""
    with subprocess.Popen(
        [
            *[sys.executable, "-W", "error", "-m", "acp_langgraph", "serve"],
            *[str(folder), "--port", "0", "--database", ":memory:"],
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            yield found.group()
        finally:
            process.kill()


def test_both_langgraph_json_of_the_example_are_served_by_our_command_as_well() -> None:
    with (
        served_by_the_command(EXAMPLE / "agents") as agents,
        served_by_the_command(EXAMPLE, AGENTS_URL=agents) as url,
        httpx.Client(base_url=url) as client,
    ):
        asked = client.post("/runs/wait", json={"input": {"order": {"pizza": "Funghi"}}}).json()
        client.post(f"/runs/{asked['run']['run_id']}", json="large").raise_for_status()
        ended = client.get(f"/runs/{asked['run']['run_id']}/wait").json()
        runs = httpx.post(f"{agents}/runs/search", json={}).json()

    assert asked["output"]["interrupt"] == "Which size should the Funghi have?"
    assert ended["output"]["values"]["dinner"] == "On the table: a large Funghi."
    assert [run["status"] for run in runs] == ["success"]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def baker(gate: Gate) -> Any:
    """Asks like the example's, and is at work until the gate opens."""

    def ask(state: Order) -> Order:
        return {"size": state.get("size") or interrupt("Which size?")}

    async def bake(state: Order) -> Order:
        await gate.wait()
        return {"ready": f"a {state['size']} {state['pizza']}"}

    builder = StateGraph(Order)
    builder.add_sequence([ask, bake])
    builder.add_edge(START, "ask")
    return builder.compile()


class Dinner(LangGraphDev):
    """The example in `langgraph dev`, with its agents at another server."""

    def __init__(self, folder: Path, agents: RunningServer) -> None:
        where = folder / "langgraph_dev"
        super().__init__(where, folder / "log", AGENTS_URL=agents.url)
        self.runs = agents.count_runs


@pytest.fixture
def dev(tmp_path, gate) -> Iterator[Dinner]:
    if not HAS_LANGGRAPH_DEV:
        pytest.skip(HOW_TO_INSTALL)
    shutil.copytree(EXAMPLE, tmp_path / "langgraph_dev")
    with serve({"baker": baker(gate)}) as server:
        yield Dinner(tmp_path, server)


def new_thread(client: httpx.Client) -> str:
    thread: str = client.post("/threads", json={}).json()["thread_id"]
    return f"/threads/{thread}"


def order(**fields: str) -> dict[str, Any]:
    return {"assistant_id": "dinner", "input": {"order": {"pizza": "Funghi", **fields}}}


@pytest.mark.langgraph_dev
def test_a_question_is_asked_and_answered_through_langgraphs_own_server(dev, gate):
    gate.open()
    with dev.running() as client:
        thread = new_thread(client)
        asked = client.post(f"{thread}/runs/wait", json=order()).json()
        answer = {"assistant_id": "dinner", "command": {"resume": "large"}}
        watched = {**answer, "stream_mode": ["custom", "updates"]}
        seen = client.post(f"{thread}/runs/stream", json=watched).text
        values = client.get(f"{thread}/state").json()["values"]

    assert [question["value"] for question in asked["__interrupt__"]] == ["Which size?"]
    assert '"kind":"values"' in seen
    assert values["dinner"] == "On the table: a large Funghi."
    assert dev.runs() == {"success": 1}
    assert "Blocking call" not in dev.log.read_text()


@pytest.mark.langgraph_dev
def test_a_server_that_is_restarted_rejoins_the_run_that_it_left(dev, gate):
    with dev.running() as client:
        thread = new_thread(client)
        run = client.post(f"{thread}/runs", json=order(size="small")).json()["run_id"]
        assert gate.entered.acquire(timeout=60)
    assert dev.runs() == {"pending": 1}
    gate.open()
    with dev.running() as client:
        ended = client.get(f"{thread}/runs/{run}/join").json()

    assert ended["dinner"] == "On the table: a small Funghi."
    assert dev.runs() == {"success": 1}


@pytest.mark.langgraph_dev
def test_the_demo_runs_with_the_same_agents_in_langgraphs_own_server(tmp_path):
    if not HAS_LANGGRAPH_DEV:
        pytest.skip(HOW_TO_INSTALL)
    shutil.copytree(EXAMPLE / "campaign", tmp_path / "campaign")
    dev = LangGraphDev(tmp_path / "campaign", tmp_path / "log")
    with dev.running() as client:
        done = subprocess.run(
            [
                *[sys.executable, "-m", "acp_langgraph", "demo", "--yes"],
                *[
                    "--agents",
                    dev.url,
                    "--protocol",
                    "langgraph",
                    "--outbox",
                    str(tmp_path / "out"),
                ],
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            timeout=120,
            check=False,
        )
        threads = client.post("/threads/search", json={}).json()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "out").glob("*.eml"))) == 1
    assert [each["status"] for each in threads] == ["idle", "idle"]
