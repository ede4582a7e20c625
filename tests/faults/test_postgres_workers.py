"""Workers over one PostgreSQL: some die, others finish, and every graph task has one remote run."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.agents import asking
from support.colors import Color
from support.graphs import Gate, held
from support.postgres_worker import Worker

from acp_langgraph.server import serve

pytestmark = pytest.mark.postgres

PROJECT = Path(__file__).parents[2]
CROWD = 4


@pytest.fixture
def thread() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def server(gate) -> Iterator[Any]:
    with serve({"held": held(gate), "ask": asking("color?", exactly=True)}) as server:
        yield server


def test_what_a_killed_worker_had_begun_another_finishes(
    color: Color, postgres: str, server: Any, gate: Gate, thread: str
) -> None:
    job = (color.name, postgres, server.url, "held", thread)
    with Worker.working(*job) as first:
        first.hears("prepares")
        first.tell()
        assert gate.entered.acquire(timeout=30)
        with Worker.working(*job) as second:
            first.kill()
            gate.open()
            assert second.hears("ends")["notes"] == [thread]
    assert server.count_runs() == {"success": 1}


def test_the_answer_to_a_killed_workers_question_is_taken_by_another(
    color: Color, postgres: str, server: Any, thread: str
) -> None:
    job = (color.name, postgres, server.url, "ask", thread)
    with Worker.working(*job) as first:
        first.hears("prepares")
        first.tell()
        assert first.hears("asks") == "color?"
        with Worker.working(*job) as second:
            first.kill()
            assert second.hears("asks") == "color?"
            second.tell("blue")
            assert second.hears("ends")["answers"] == ["blue"]
    assert server.count_runs() == {"success": 1}


def test_workers_that_take_the_same_thread_at_the_same_moment_start_one_run(
    color: Color, postgres: str, server: Any, gate: Gate, thread: str
) -> None:
    gate.open()
    job = (color.name, postgres, server.url, "held", thread)
    ends = []
    with ExitStack() as stack:
        crowd = {
            worker.pipe: worker
            for worker in (stack.enter_context(Worker.working(*job)) for _ in range(CROWD))
        }
        while crowd:
            for pipe in wait(crowd):
                word, said = pipe.recv()
                if word == "prepares":
                    crowd[pipe].tell()
                else:
                    ends.append((word, said["notes"]))
                    del crowd[pipe]
    assert ends == [("ends", [thread])] * CROWD
    assert server.count_runs() == {"success": 1}


def test_a_worker_that_lost_its_thread_to_another_starts_nothing(
    color: Color, postgres: str, server: Any, gate: Gate, thread: str
) -> None:
    gate.open()
    job = (color.name, postgres, server.url, "held", thread)
    with Worker.working(*job) as first, psycopg.connect(postgres, autocommit=True) as operator:
        first.hears("prepares")
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        with Worker.working(*job) as second:
            second.hears("prepares")
            second.tell()
            assert second.hears("ends")["notes"] == [thread]
        first.tell()
        assert "connection" in first.hears("fails")
    assert server.count_runs() == {"success": 1}


def test_the_example_kills_one_of_its_workers_and_counts_one_run(postgres: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROJECT / "examples" / "postgres_workers.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "POSTGRES_URI": postgres},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("continued and finished: All about whales.") == 2
    assert done.stdout.endswith("remote runs: {'success': 1}\n")
