"""How a server is, how it stops, and what it makes of clocks and of files that go."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest
from support.graphs import Gate, echo, held

from acp_langgraph.server import Limits, engine, recorder, records, serve, storage
from acp_langgraph.server.storage import Storage


@pytest.fixture
def gate():
    return Gate()


def test_a_server_says_without_a_key_how_it_is_and_nothing_else(serving, gate):
    client = serving({"held": held(gate)}, api_key="secret")
    key = {"x-api-key": "secret"}
    client.post("/runs", json={"input": {"text": "hi"}}, headers=key).raise_for_status()

    health = client.get("/health", headers={"host": "10.1.2.3"})

    assert health.status_code == 200
    assert health.json() == {
        "status": "ok",
        "runs": {"pending": 1, "most": 10_000},
        "threads": {"busy": 0, "disowned": 0},
    }
    assert client.post("/health", json={}).status_code == 405
    assert client.get("/health/").status_code == 401
    gate.open()


def test_what_is_at_work_may_end_within_the_grace_period(gate, tmp_path):
    limits = Limits(grace_seconds=60)
    serving = serve({"held": held(gate)}, database=tmp_path / "db", limits=limits)
    outcome: list[Any] = []
    with serving as server:
        run = httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).json()
        assert gate.entered.acquire(timeout=10)
        url = f"{server.url}/runs/{run['run_id']}/wait"
        waiting = threading.Thread(target=lambda: outcome.append(httpx.get(url, timeout=60).json()))
        waiting.start()
        while not any(each.path.endswith("/wait") for each in server.requests):
            pass  # what comes after the end is not waited for

        def refused() -> None:
            while httpx.get(f"{server.url}/health").status_code != 503:
                pass
            outcome.append(httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}))
            gate.open()

        leaving = threading.Thread(target=refused)
        leaving.start()
    waiting.join()
    leaving.join()

    new, ended = outcome
    assert (new.status_code, new.json()) == (503, "the server is stopping")
    assert ended["run"]["status"] == "success"


def test_what_takes_longer_than_the_grace_period_goes_on_at_the_next_start(gate, tmp_path, serving):
    limits = Limits(grace_seconds=0.01)
    with serve({"held": held(gate)}, database=tmp_path / "db", limits=limits) as server:
        run = httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).json()
        assert gate.entered.acquire(timeout=10)

    gate.open()
    client = serving({"held": held(gate)}, database=tmp_path / "db")

    assert client.wait(run)["run"]["status"] == "success"


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be deleted there")
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_database_file_that_goes_is_noticed(serving, tmp_path, how, caplog):
    database = tmp_path / "db"
    client = serving({"echo": echo()}, database=database)
    client.outcome("echo", input={"text": "hi"})

    database.unlink()
    if how == "replaced":
        database.touch()
    while (health := client.get("/health")).status_code == 200:
        pass
    refused = client.post("/runs", json={"input": {"text": "hi"}})

    assert (health.status_code, health.json()["status"]) == (503, "the database file is gone")
    assert (refused.status_code, refused.json()) == (
        503,
        "the database file is gone; try again later",
    )
    assert "it takes on no more runs" in caplog.text


def test_a_clock_that_is_put_forward_deletes_nothing(serving, monkeypatch):
    monkeypatch.setattr(recorder, "_SWEEP_EVERY", 0.01)
    later, swept = threading.Event(), threading.Event()
    moment, forget = records.moment_after, Storage.forget_runs

    def late(*earlier: Any) -> Any:
        return moment(*earlier) + (timedelta(days=8) if later.is_set() else timedelta())

    async def forgetting(*arguments: Any) -> None:
        was_later = later.is_set()
        await forget(*arguments)
        if was_later:
            swept.set()

    for module in (recorder, storage, engine):
        monkeypatch.setattr(module, "moment_after", late)
    monkeypatch.setattr(Storage, "forget_runs", forgetting)
    client = serving({"echo": echo()})
    run = client.outcome("echo", input={"text": "hi"})["run"]

    later.set()
    assert swept.wait(10)

    assert client.get(f"/runs/{run['run_id']}").status_code == 200


def test_a_clock_that_was_put_back_makes_no_delayed_run_late(serving, tmp_path):
    database = tmp_path / "db"
    with serve({"echo": echo()}, database=database) as server:
        body = {"input": {"text": "hi"}, "after_seconds": 1}
        run = httpx.post(f"{server.url}/runs", json=body).json()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE runs SET created_at = created_at + 3600000000")
        connection.commit()

    client = serving({"echo": echo()}, database=database)

    assert client.wait(run)["run"]["status"] == "success"


def test_a_second_interrupt_does_not_wait_for_the_grace_period(tmp_path):
    code = (
        "import asyncio, sys\n"
        "from support.graphs import Gate, held\n"
        "from acp_langgraph.server import Limits, run_server\n"
        "run_server({'held': held(Gate())}, limits=Limits(grace_seconds=600),\n"
        "           on_ready=lambda url: print(url, flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    ) as process:
        try:
            url = process.stdout.readline().strip()
            httpx.post(f"{url}/runs", json={"input": {"text": "hi"}}).raise_for_status()
            process.send_signal(signal.SIGINT)
            while httpx.get(f"{url}/health").status_code != 503:
                pass
            process.send_signal(signal.SIGINT)
            process.wait(30)
        finally:
            process.kill()
