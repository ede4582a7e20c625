"""Threads of `langgraph dev` that are suspended: woken over its API, by a webhook and by the sweeper."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from support.graphs import Gate
from support.langgraph_dev import HAS_LANGGRAPH_DEV, HOW_TO_INSTALL, LangGraphDev
from support.waking import SECRET

from acp_langgraph import is_suspended
from acp_langgraph.server import RunningServer, WebhookPolicy, serve

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "langgraph_wake"


class Order(TypedDict, total=False):
    pizza: str
    size: str
    ready: str


class Dinner(LangGraphDev):
    """The example in `langgraph dev`, whose app may be told of runs or not."""

    def __init__(self, folder: Path, agents: RunningServer, *, told: bool) -> None:
        super().__init__(folder / "langgraph_wake", folder / "log", AGENTS_URL=agents.url)
        self._environment |= {"LANGGRAPH_URL": self.url, "ACP_LANGGRAPH_WAKE_SECRET": SECRET}
        if told:
            self._environment["ACP_LANGGRAPH_WAKE_URL"] = f"{self.url}/wake"


def baker(gate: Gate) -> Any:
    """Is at work until the gate opens, and asks then."""

    async def bake(_: Order) -> Order:
        await gate.wait()
        return {}

    def ask(state: Order) -> Order:
        return {"ready": f"a {interrupt('Which size?')} {state['pizza']}"}

    builder = StateGraph(Order)
    builder.add_sequence([bake, ask])
    return builder.add_edge(START, "bake").compile()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def ordered(client: httpx.Client) -> str:
    """A thread that was suspended."""
    where = f"/threads/{client.post('/threads', json={}).json()['thread_id']}"
    body = {"assistant_id": "dinner", "input": {"order": {"pizza": "Funghi"}}}
    client.post(f"{where}/runs/wait", json=body).raise_for_status()
    (shown,) = shown_on(client, where)
    assert is_suspended(shown)
    return where


def shown_on(client: httpx.Client, where: str) -> list[Any]:
    state = client.get(f"{where}/state").raise_for_status().json()
    return [each for task in state["tasks"] for each in task["interrupts"]]


def answered(client: httpx.Client, where: str, answer: str) -> None:
    body = {"assistant_id": "dinner", "command": {"resume": answer}}
    client.post(f"{where}/runs/wait", json=body).raise_for_status()


@pytest.mark.parametrize("told", [True, False], ids=["by a webhook", "by the sweeper"])
def test_a_thread_is_woken_asks_and_goes_on(tmp_path: Path, gate: Gate, told: bool) -> None:
    if not HAS_LANGGRAPH_DEV:
        pytest.skip(HOW_TO_INSTALL)
    shutil.copytree(EXAMPLE, tmp_path / "langgraph_wake")
    policy = WebhookPolicy(allow=["*"], first_pause=0.05)
    with serve({"baker": baker(gate)}, webhooks=policy) as agents:
        dinner = Dinner(tmp_path, agents, told=told)
        with dinner.running() as client:

            def sweep() -> None:
                if not told:
                    swept(dinner, agents.url)

            where = ordered(client)
            sweep()
            assert [is_suspended(each) for each in shown_on(client, where)] == [True]
            gate.open()
            while not (shown := shown_on(client, where)) or is_suspended(shown[0]):
                sweep()
            assert shown[0]["value"] == "Which size?"
            answered(client, where, "large")
            while "dinner" not in (client.get(f"{where}/state").json()["values"] or {}):
                sweep()
            dinner_is = client.get(f"{where}/state").json()["values"]["dinner"]
        assert dinner_is == "On the table: a large Funghi."
        assert agents.count_runs() == {"success": 1}


def swept(dinner: LangGraphDev, agents: str) -> None:
    """Sweep as users do."""
    subprocess.run(
        [
            *[sys.executable, "-W", "error", "-m", "acp_langgraph", "wake", "dinner.py:graph"],
            *["--once", "--server", dinner.url],
        ],
        cwd=EXAMPLE,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "AGENTS_URL": agents},
    )
