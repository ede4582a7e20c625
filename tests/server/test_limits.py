from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from support.graphs import Gate, Notes, asking, echo, held, one_node

from acp_langgraph.acp.models import RunStatus
from acp_langgraph.server import Limits, serve
from acp_langgraph.server.database import Database
from acp_langgraph.server.records import RunQuery, RunRecord, moment_after
from acp_langgraph.server.storage import Storage


def test_a_limit_is_positive():
    with pytest.raises(ValueError, match="limit running: must be positive, got 0"):
        Limits(running=0)


def test_no_more_runs_than_allowed_are_executed_at_once(serving):
    gate = Gate()
    client = serving({"held": held(gate)}, limits=Limits(running=2))
    runs = [client.create("held", input={"text": text}) for text in "abc"]
    assert gate.entered.acquire(timeout=10)
    assert gate.entered.acquire(timeout=10)

    third = client.get(f"/runs/{runs[2]['run_id']}").json()
    entered = gate.entered.acquire(blocking=False)
    gate.open()

    assert (third["status"], entered) == ("pending", False)
    assert [client.wait(run)["run"]["status"] for run in runs] == ["success"] * 3


def test_a_question_takes_up_no_room(serving):
    client = serving({"asking": asking("one")}, limits=Limits(running=1, pending=1))

    asked = [client.outcome("asking") for _ in range(3)]

    assert {each["run"]["status"] for each in asked} == {"interrupted"}


def test_a_run_too_many_is_refused_for_now(serving):
    gate = Gate()
    client = serving({"held": held(gate)}, limits=Limits(pending=1))
    run = client.create("held", input={"text": "hi"})

    refused = client.post("/runs", json={"input": {"text": "hi"}})
    gate.open()
    client.wait(run)

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert client.outcome("held", input={"text": "hi"})["run"]["status"] == "success"


def test_a_run_that_takes_too_long_times_out(serving):
    gate = Gate()
    client = serving({"held": held(gate)}, limits=Limits(run_seconds=0.05))

    outcome = client.outcome("held", input={"text": "hi"})

    assert gate.cancelled.acquire(timeout=10)
    assert outcome["run"]["status"] == "timeout"
    assert outcome["output"]["type"] == "error"
    assert outcome["output"]["description"] == "the run took longer than 0.05 s"
    assert client.post("/runs/search", json={"status": "timeout"}).json() == [outcome["run"]]


def test_a_timeout_of_the_graphs_own_is_an_error(serving):
    async def slow(state: Notes) -> dict[str, Any]:
        raise TimeoutError("of its own")

    client = serving({"agent": one_node(Notes, slow)}, limits=Limits(run_seconds=60))

    assert client.outcome("agent")["run"]["status"] == "error"


@pytest.fixture
async def storage():
    database = Database()
    storage = Storage(database)
    database.open(storage.prepare)
    yield storage
    database.close()


def ended(number: int, status: RunStatus = RunStatus.SUCCESS) -> RunRecord:
    now = moment_after()
    return RunRecord(f"run {number}", "agent", "thread", True, {}, now, now, status)


async def test_runs_that_ended_long_ago_are_forgotten(storage):
    for number in range(3):
        await storage.add_run(ended(number))
    await asyncio.sleep(0.01)

    await storage.forget_runs(0.005, None)

    assert await storage.find_runs(RunQuery()) == []


async def test_the_oldest_of_too_many_ended_runs_are_forgotten(storage):
    for number in range(1200):
        await storage.add_run(ended(number))

    await storage.forget_runs(None, 2)

    kept = [run.run_id for run in await storage.find_runs(RunQuery())]
    assert kept == ["run 1199", "run 1198"]


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.INTERRUPTED])
async def test_a_run_that_has_not_ended_is_never_forgotten(storage, status):
    await storage.add_run(ended(1, status))
    await asyncio.sleep(0.01)

    await storage.forget_runs(0.005, 1)

    assert len(await storage.find_runs(RunQuery())) == 1


def test_a_server_forgets_what_ended_long_ago_when_it_starts(tmp_path):
    with serve({"echo": echo()}, database=tmp_path / "db") as server:
        httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "hi"}}).raise_for_status()
    limits = Limits(kept_seconds=1e-6)
    with serve({"echo": echo()}, database=tmp_path / "db", limits=limits) as server:
        assert httpx.post(f"{server.url}/runs/search", json={}).json() == []
