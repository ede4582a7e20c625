"""The server's process is killed under load, at random moments, and started again on its database.

Twice by default; for the full count:

    ACP_KILLS=20 python -m pytest tests/faults/test_server_killed.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.killed_server import STEPS

TESTS = Path(__file__).parents[1]
KILLS = int(os.environ.get("ACP_KILLS", "2"))
CLIENTS = 6


@contextmanager
def running(database: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "support.killed_server", str(database), str(log)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@dataclass
class Load:
    """What clients ask of a server until it is gone, and what it promised them."""

    url: str
    promised: dict[str, dict[str, Any]] = field(default_factory=dict)  # runs by path
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)  # outcomes by path
    count: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def put_on(self, client_number: int) -> None:
        chance = random.Random(client_number)
        with suppress(httpx.HTTPError), httpx.Client(base_url=self.url, timeout=30) as client:
            agents = {
                each["metadata"]["ref"]["name"]: each["agent_id"]
                for each in client.post("/agents/search", json={}).json()
            }
            thread = client.post("/threads", json={}).json()["thread_id"]
            while True:
                runs = chance.choice(["/runs", f"/threads/{thread}/runs"])
                agent = chance.choice(["steps", "steps", "asking"])
                if runs != "/runs":
                    agent = "steps"  # a question would keep the thread
                body = {
                    "agent_id": agents[agent],
                    "input": {"text": "hi"},
                    "multitask_strategy": "enqueue",
                }
                run = client.post(runs, json=body).raise_for_status().json()
                path = f"{runs}/{run['run_id']}"
                self.promised[path] = run
                self.count.release()
                if chance.random() < 0.7:
                    self._see(client, path, answers=chance.randint(0, 2))

    def _see(self, client: httpx.Client, path: str, answers: int) -> None:
        outcome = client.get(f"{path}/wait").raise_for_status().json()
        while outcome["run"]["status"] == "interrupted" and answers:
            client.post(path, json="yes").raise_for_status()
            answers -= 1
            outcome = client.get(f"{path}/wait").raise_for_status().json()
        if outcome["run"]["status"] == "success":
            self.ended[path] = outcome


def settled(client: httpx.Client, path: str) -> dict[str, Any]:
    """What a run comes to in the end, each of its questions answered; at most as many as it has."""
    for _ in range(3):
        outcome = client.get(f"{path}/wait").raise_for_status().json()
        if outcome["run"]["status"] != "interrupted":
            return outcome
        client.post(path, json="yes").raise_for_status()
    raise AssertionError(f"{path} asks again and again")


def executed(log: Path) -> dict[str, Counter[str]]:
    """How often every run has begun every step."""
    counts: dict[str, Counter[str]] = {}
    for line in log.read_text().splitlines():
        run, step = line.split()
        counts.setdefault(run, Counter())[step] += 1
    return counts


@pytest.mark.parametrize("kill", range(KILLS))
def test_no_run_is_lost_and_none_is_executed_twice_to_the_end(tmp_path, kill):
    database, log = tmp_path / "server.sqlite", tmp_path / "log"
    with running(database, log) as (process, url):
        load = Load(url)
        clients = [threading.Thread(target=load.put_on, args=(each,)) for each in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(random.randint(1, 80)):
            assert load.count.acquire(timeout=30)
        threading.Event().wait(random.uniform(0, 0.02))  # any moment of what goes on then
        process.kill()
        for client in clients:
            client.join()
    before = executed(log)

    with running(database, log) as (_, url), httpx.Client(base_url=url, timeout=30) as client:
        for path, outcome in load.ended.items():
            assert client.get(f"{path}/wait").json() == outcome
        interrupted = {
            path
            for path in load.promised
            if client.get(path).raise_for_status().json()["status"] == "interrupted"
        }
        outcomes = {path: settled(client, path) for path in load.promised}
    after = executed(log)

    print(
        f"killed with {len(load.promised)} runs promised, {len(load.ended)} ended, "
        f"{len(interrupted)} asking, "
        f"{sum(sum(counts.values()) - len(counts) for counts in after.values())} steps repeated"
    )
    for path, outcome in outcomes.items():
        run_id = path.rpartition("/")[2]
        assert outcome["run"]["status"] == "success", outcome
        assert after[run_id].keys() == set(STEPS)
        if path in load.ended:
            assert after[run_id] == before[run_id]
        # A kill repeats nothing but the step that it hit.
        assert sum(after[run_id].values()) <= len(STEPS) + 1
    check_states(outcomes)


def check_states(outcomes: dict[str, dict[str, Any]]) -> None:
    """Every run's steps are in the state of its thread once, and in order."""
    steps = [f"hi {name}" for name in STEPS]
    threads: dict[str, list[int]] = {}
    for path, outcome in outcomes.items():
        notes = outcome["output"]["values"]["notes"]
        if path.startswith("/threads"):
            assert notes == steps * (len(notes) // len(steps))
            threads.setdefault(path.split("/")[2], []).append(len(notes) // len(steps))
        else:
            assert notes in (steps, ["hi first", "yes", "hi third", "yes"])
    for places in threads.values():
        assert places == list(range(1, len(places) + 1))
