"""One server on one database, killed again and again while clients queue, displace, cancel and undo.

Three times by default; for the full count:

    ACP_SERVER_KILLS=50 python -m pytest tests/faults/test_server_kills.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from support.killed_server import STEPS

TESTS = Path(__file__).parents[1]
KILLS = int(os.environ.get("ACP_SERVER_KILLS", "3"))
CLIENTS = 6


class Client:
    """Whoever has a thread of its own, and knows what must be in its state."""

    def __init__(self, number: int) -> None:
        self.chance = random.Random(number)
        self.thread: str | None = None
        self.number = number
        self.sent = 0
        self.kept: list[str] = []  # texts of runs that ended, and that nobody undid
        self.at_risk: list[str] = []  # those that somebody may just have undone
        self.acted = threading.Semaphore(0)

    def act(self, url: str) -> None:
        """Do this and that until the server is gone."""
        with suppress(httpx.HTTPError), httpx.Client(base_url=url, timeout=60) as client:
            if self.thread is None:
                self.thread = (
                    client.post("/threads", json={}).raise_for_status().json()["thread_id"]
                )
            while True:
                self._once(client, f"/threads/{self.thread}/runs")
                self.acted.release()

    def _once(self, client: httpx.Client, path: str) -> None:
        runs = [self._create(client, path, "enqueue") for _ in range(self.chance.randint(1, 3))]
        match self.chance.randint(0, 4):
            case 0:  # all of them are displaced, and undone
                runs = [self._create(client, path, "rollback")]
            case 1:  # they are displaced, and what they did stays
                runs = [self._create(client, path, "interrupt")]
            case 2:
                run, text = runs.pop(self.chance.randrange(len(runs)))
                undo = {"action": self.chance.choice(["rollback", "interrupt"]), "wait": "true"}
                client.post(f"{path}/{run}/cancel", params=undo)
            case 3 if len(self.kept) > 1 and not runs[1:]:
                # The latest one, as soon as it has ended: the one before must be there again.
                [(run, text)] = runs
                if self._ended(client, path, run, text):
                    self.at_risk.append(self.kept.pop())
                    undo = {"action": "rollback", "wait": "true"}
                    client.post(f"{path}/{run}/cancel", params=undo).raise_for_status()
                    self.at_risk.pop()
                return
        for run, text in runs:
            self._ended(client, path, run, text)

    def _create(self, client: httpx.Client, path: str, strategy: str) -> tuple[str, str]:
        self.sent += 1
        text = f"{self.number}.{self.sent}"
        body = {"input": {"text": text}, "multitask_strategy": strategy}
        made = client.post(path, json=body).raise_for_status().json()
        return made["run_id"], text

    def _ended(self, client: httpx.Client, path: str, run: str, text: str) -> bool:
        outcome = client.get(f"{path}/{run}/wait").raise_for_status().json()
        if outcome["run"]["status"] == "success":
            self.kept.append(text)
            return True
        return False

    def check(self, client: httpx.Client) -> None:
        """Nothing of what ended is missing, and nothing is there twice."""
        if self.thread is None:
            return
        values: dict[str, Any] = client.get(f"/threads/{self.thread}").raise_for_status().json()
        notes = (values.get("values") or {}).get("notes", [])
        assert len(set(notes)) == len(notes)
        for text in self.kept:
            assert [f"{text} {step}" for step in STEPS] == [
                each for each in notes if each.partition(" ")[0] == text
            ]


def test_every_start_works_and_no_thread_loses_what_a_finished_run_wrote(tmp_path):
    clients = [Client(each) for each in range(CLIENTS)]
    arguments = [str(tmp_path / "db"), str(tmp_path / "log")]
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-m", "support.killed_server", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        ) as process:
            url = process.stdout.readline().strip()
            assert url, "the server did not start"
            with httpx.Client(base_url=url, timeout=60) as client:
                for each in clients:
                    each.check(client)
            threads = [threading.Thread(target=each.act, args=(url,)) for each in clients]
            for thread in threads:
                thread.start()
            for _ in range(random.randint(1, 8)):
                assert random.choice(clients).acted.acquire(timeout=60)
            threading.Event().wait(random.uniform(0, 0.03))  # any moment of what goes on then
            process.kill()
            for thread in threads:
                thread.join()

    with (
        subprocess.Popen(
            [sys.executable, "-m", "support.killed_server", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        ) as process,
        httpx.Client(base_url=process.stdout.readline().strip(), timeout=60) as client,
    ):
        for each in clients:
            path = f"/threads/{each.thread}/runs"
            for run in client.get(path, params={"limit": 1000}).raise_for_status().json():
                client.get(f"{path}/{run['run_id']}/wait").raise_for_status()  # none hangs
            each.check(client)
        process.kill()
    print(f"{sum(len(each.kept) for each in clients)} runs ended, {KILLS} kills")
