"""One thread of the server, and whatever may be done to it in any order, beside a model of it.

The server is killed in between, too. 40 steps in each of 5 walks by default; for 10,000 steps:

    ACP_WALKS=200 ACP_STEPS=50 python -m pytest tests/faults/test_thread_model.py
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

TESTS = Path(__file__).parents[1]
WALKS = int(os.environ.get("ACP_WALKS", "5"))
STEPS = int(os.environ.get("ACP_STEPS", "40"))


class Servers:
    """Starts servers and ends them."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.walked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        )
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.kill()

    def start(self, database: Path) -> tuple[int, str]:
        self._process.stdin.write(f"{database}\n")
        self._process.stdin.flush()
        pid, url = self._process.stdout.readline().split()
        return int(pid), url


servers = Servers()


class Run:
    """What the model knows of a run."""

    def __init__(self, run_id: str, text: str, asks: bool) -> None:
        self.run_id = run_id
        self.text = text
        self.asks = asks
        self.status = "pending"
        self.before: list[str] | None = None  # the thread's notes, once it has begun
        self.notes: list[str] | None = None  # the same, once it has ended


rarely = st.integers(0, 4).map(lambda number: number == 0)


class Walk(RuleBasedStateMachine):
    """A thread. Runs either ask, or end by themselves as soon as it is their turn."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.runs: list[Run] = []
        self.notes: list[str] = []
        self.number = 0
        self._start()

    def teardown(self) -> None:
        self._end_server(signal.SIGKILL)
        self._folder.cleanup()

    def _start(self) -> None:
        self.pid, url = servers.start(Path(self._folder.name, "db"))
        self.client = httpx.Client(base_url=url, timeout=60)

    def _end_server(self, how: signal.Signals) -> None:
        self.client.close()
        os.kill(self.pid, how)
        with suppress(ProcessLookupError):
            while True:
                os.kill(self.pid, 0)
                threading.Event().wait(0.005)

    @initialize()
    def create_thread(self) -> None:
        self.path = f"/threads/{self.client.post('/threads', json={}).json()['thread_id']}"

    # What is there

    @property
    def queue(self) -> list[Run]:
        return [run for run in self.runs if run.status in {"pending", "interrupted"}]

    def _settle(self) -> None:
        """Let the model come to rest: whose turn it is asks, or ends, and so on."""
        for run in self.queue:
            if run.status == "interrupted":
                return
            if run.before is None:
                run.before = list(self.notes)
            if run.asks:
                run.status = "interrupted"
                return
            self._end(run, run.text)

    def _end(self, run: Run, *notes: str) -> None:
        self.notes = [*self.notes, *notes]
        run.status, run.notes = "success", list(self.notes)

    def _wait(self) -> None:
        """Let the server come to rest."""
        for run in self.runs:
            if run.status in {"success", "interrupted"}:
                self.client.get(f"{self.path}/runs/{run.run_id}/wait").raise_for_status()

    def _kill_if(self, killed: bool) -> None:
        """Kill the server right after its answer, whatever it is at."""
        if killed:
            self._end_server(signal.SIGKILL)
            self._start()

    def _undo(self, run: Run) -> None:
        if run.before is not None:
            self.notes = run.before
        self.runs.remove(run)

    # What is done

    @rule(
        strategy=st.sampled_from(["reject", "enqueue", "interrupt", "rollback"]),
        asks=st.booleans(),
        killed=rarely,
    )
    def create_run(self, strategy: str, asks: bool, killed: bool) -> None:
        self.number += 1
        text = f"{self.number}"
        body = {"input": {"text": text, "asks": asks}, "multitask_strategy": strategy}
        answer = self.client.post(f"{self.path}/runs", json=body)
        if self.queue and strategy == "reject":
            assert answer.status_code == 409
            return
        assert answer.status_code == 200, answer.text
        if strategy in {"interrupt", "rollback"}:
            for run in reversed(self.queue):
                if strategy == "rollback":
                    self._undo(run)
                else:
                    run.status = "error"
        self.runs.append(Run(answer.json()["run_id"], text, asks))
        self._kill_if(killed)
        self._settle()
        self._wait()

    @precondition(lambda self: self.queue)
    @rule(killed=rarely)
    def resume(self, killed: bool) -> None:
        run = self.queue[0]
        answer = self.client.post(f"{self.path}/runs/{run.run_id}", json="yes")
        assert answer.status_code == 200, answer.text
        self._kill_if(killed)
        self._end(run, run.text, "yes")
        self._settle()
        self._wait()

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), action=st.sampled_from(["interrupt", "rollback"]), wait=st.booleans())
    def cancel(self, data: Any, action: str, wait: bool) -> None:
        run = data.draw(st.sampled_from(self.runs))
        answer = self.client.post(
            f"{self.path}/runs/{run.run_id}/cancel",
            params={"action": action, "wait": str(wait).lower()},
        )
        later = self.runs[self.runs.index(run) + 1 :]
        pending = run in self.queue
        undone = not pending and action == "rollback" and run.before is not None
        if undone and any(each.before is not None for each in later):
            assert answer.status_code == 422
            return
        assert answer.status_code == 204, answer.text
        if action == "rollback":
            self._undo(run)
        elif pending:
            run.status = "error"
        self._settle()
        self._wait()

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def delete_run(self, data: Any) -> None:
        run = data.draw(st.sampled_from(self.runs))
        self.client.delete(f"{self.path}/runs/{run.run_id}").raise_for_status()
        self.runs.remove(run)  # what it did to the thread stays
        self._settle()
        self._wait()

    @rule()
    def delete_thread(self) -> None:
        answer = self.client.delete(self.path)
        if any(run.status == "pending" for run in self.queue):
            assert answer.status_code == 422
            return
        assert answer.status_code == 204
        assert self.client.get(self.path).status_code == 404
        self.runs, self.notes = [], []
        self.create_thread()

    @rule(how=st.sampled_from([signal.SIGKILL, signal.SIGTERM]), now=rarely)
    def restart(self, how: signal.Signals, now: bool) -> None:
        if now:
            self._end_server(how)
            self._start()

    # What must be so

    @invariant()
    def the_thread_is_as_the_model_says(self) -> None:
        thread = self.client.get(self.path).raise_for_status().json()
        assert (thread.get("values") or {}).get("notes", []) == self.notes

    @invariant()
    def the_runs_are_as_the_model_says(self) -> None:
        found = self.client.get(f"{self.path}/runs", params={"limit": 1000}).json()
        assert [(each["run_id"], each["status"]) for each in reversed(found)] == [
            (run.run_id, run.status) for run in self.runs
        ]

    @invariant()
    def what_a_run_came_to_stays(self) -> None:
        for run in self.runs:
            if run.status == "success":
                outcome = self.client.get(f"{self.path}/runs/{run.run_id}/wait").json()
                assert outcome["output"]["values"]["notes"] == run.notes


def test_a_thread_is_what_its_model_says_whatever_is_done_to_it():
    with servers:
        run_state_machine_as_test(
            Walk,
            settings=settings(
                max_examples=WALKS,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize="ACP_WALKS" not in os.environ,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
