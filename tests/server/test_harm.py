"""What one run does, or has done to it, harms no other."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from support.graphs import Gate, Notes, asking, echo, held, one_node

from acp_langgraph.server import Limits, serve

TESTS = Path(__file__).parents[1]


@pytest.fixture
def gate():
    return Gate()


def on(client: Any, thread: str, text: str, strategy: str = "enqueue", **more: Any) -> Any:
    path = f"/threads/{thread}/runs"
    return client.create("held", path, input={"text": text}, multitask_strategy=strategy, **more)


def notes(client: Any, thread: str) -> list[str]:
    return client.get(f"/threads/{thread}").json()["values"]["notes"]


@pytest.fixture
def at_work(serving, gate) -> tuple[Any, str, dict[str, Any]]:
    """A thread with a history, and a run that is at work on it."""
    client = serving({"held": held(gate)})
    thread = client.thread()
    first = on(client, thread, "first")
    assert gate.entered.acquire(timeout=10)
    gate.open()
    client.wait(first, f"/threads/{thread}/runs")
    gate.close()
    run = on(client, thread, "second")
    assert gate.entered.acquire(timeout=10)
    return client, thread, run


def test_a_queued_run_that_is_rolled_back_leaves_the_thread_as_it_is(at_work, gate):
    client, thread, run = at_work
    path = f"/threads/{thread}/runs"
    queued = on(client, thread, "third")

    rolled = client.post(
        f"{path}/{queued['run_id']}/cancel", params={"action": "rollback", "wait": "true"}
    )
    status = client.get(f"/threads/{thread}").json()["status"]
    gate.open()

    assert (rolled.status_code, status) == (204, "busy")
    assert client.get(f"{path}/{queued['run_id']}").status_code == 404
    assert client.wait(run, path)["output"]["values"]["notes"] == ["first", "second"]
    assert notes(client, thread) == ["first", "second"]


def test_a_queued_run_that_is_cancelled_does_not_change_the_threads_status(at_work, gate):
    client, thread, _ = at_work
    queued = on(client, thread, "third")

    client.post(f"/threads/{thread}/runs/{queued['run_id']}/cancel", params={"wait": "true"})

    assert client.get(f"/threads/{thread}").json()["status"] == "busy"
    assert notes(client, thread) == ["first"]


@pytest.mark.parametrize("strategy", ["rollback", "interrupt"])
def test_a_run_displaces_one_at_work_and_one_that_waits_behind_it(at_work, gate, strategy):
    client, thread, _ = at_work
    on(client, thread, "third")

    last = on(client, thread, "last", strategy)
    gate.open()

    ended = client.wait(last, f"/threads/{thread}/runs")
    assert ended["output"]["values"]["notes"] == ["first", "last"]
    assert client.delete(f"/threads/{thread}").status_code == 204


def test_a_run_that_cannot_displace_another_ends_and_lets_later_ones_in(serving, gate):
    saver = InMemorySaver()
    graph = held(gate).copy({"checkpointer": saver})
    client = serving({"held": graph})
    thread = client.thread()
    path = f"/threads/{thread}/runs"
    gate.open()
    client.wait(on(client, thread, "first"), path)
    gate.close()
    on(client, thread, "second")
    assert gate.entered.acquire(timeout=10)
    assert gate.entered.acquire(timeout=10)
    saver.storage.clear()  # the checkpoint to go back to is gone

    failed = on(client, thread, "third", "rollback")
    gate.open()
    later = on(client, thread, "later")

    failed = client.wait(failed, path)
    assert failed["run"]["status"] == "error"
    assert "could not be cancelled" in failed["output"]["description"]
    assert client.wait(later, path)["run"]["status"] == "success"
    assert client.delete(f"/threads/{thread}").status_code == 204


def test_a_run_that_a_later_one_went_on_from_is_not_rolled_back(serving, gate):
    gate.open()
    client = serving({"held": held(gate)})
    thread = client.thread()
    path = f"/threads/{thread}/runs"
    first, second = (client.wait(on(client, thread, text), path)["run"] for text in "ab")
    undo = {"action": "rollback", "wait": "true"}

    refused = client.post(f"{path}/{first['run_id']}/cancel", params=undo)
    kept = notes(client, thread)
    taken_back = [client.post(f"{path}/{r['run_id']}/cancel", params=undo) for r in (second, first)]

    assert (refused.status_code, kept) == (422, ["a", "b"])
    assert "a later run" in refused.json()
    assert [each.status_code for each in taken_back] == [204, 204]
    assert client.get(f"/threads/{thread}").json()["values"] == {}


def test_a_cancel_that_comes_while_a_run_begins_ends_it(serving):
    client = serving({"echo": echo()})
    thread = client.thread()
    path = f"/threads/{thread}/runs"

    for _ in range(30):
        run = client.create("echo", path, input={"text": "hi"}, multitask_strategy="enqueue")
        client.post(f"{path}/{run['run_id']}/cancel").raise_for_status()
        assert client.wait(run, path)["run"]["status"] in {"error", "success"}


def exits(error: type[BaseException]) -> Iterator[tuple[str, Any]]:
    def blocking(state: Notes) -> dict[str, Any]:
        raise error("enough")

    async def awaiting(state: Notes) -> dict[str, Any]:
        raise error("enough")

    async def nested(state: Notes) -> dict[str, Any]:
        return await one_node(Notes, awaiting).ainvoke(state)

    @task
    async def step() -> None:
        raise error("enough")

    @entrypoint()
    async def functional(_: dict[str, Any]) -> None:
        await step()

    yield "blocking", one_node(Notes, blocking)
    yield "awaiting", one_node(Notes, awaiting)
    yield "nested", one_node(Notes, nested)
    yield "subgraph", one_node(Notes, one_node(Notes, awaiting))
    yield "functional", functional


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_node_that_ends_its_process_ends_its_run(serving, error):
    graphs = dict(exits(error))
    client = serving({**graphs, "echo": echo()})

    for name in graphs:
        outcome = client.outcome(name, input={"text": "hi"})
        assert outcome["run"]["status"] == "error", name
        assert error.__name__ in outcome["output"]["description"]
    assert client.outcome("echo", input={"text": "hi"})["run"]["status"] == "success"


def add(left: list[str], right: list[str]) -> list[str]:
    if "exit" in right:
        sys.exit("enough")
    return left + right


class Added(TypedDict):
    notes: Annotated[list[str], add]


def test_a_reducer_that_ends_its_process_fails_the_request(serving):
    client = serving({"agent": one_node(Added, lambda state: {"notes": ["a"]})})
    thread = client.thread()
    client.outcome("agent", f"/threads/{thread}/runs", input={"notes": []})

    refused = client.patch(f"/threads/{thread}", json={"values": {"notes": ["exit"]}})

    assert (refused.status_code, "SystemExit" in refused.json()) == (422, False)
    assert client.get(f"/threads/{thread}").json()["values"] == {"notes": ["a"]}


def poisoned(column: str, value: Any) -> Callable[[Path], None]:
    def change(database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(
                f"UPDATE runs SET {column} = ? WHERE seq = (SELECT min(seq) FROM runs)",  # noqa: S608 - its own
                (value,),
            )
            connection.commit()

    return change


@pytest.mark.parametrize(
    "change",
    [
        poisoned("progress", "junk"),
        poisoned("progress", "[]"),
        poisoned("creation", "junk"),
        poisoned("creation", "[]"),
        poisoned("creation", '{"stream_mode": "none such", "multitask_strategy": 7}'),
        poisoned("creation", '{"after_seconds": "soon"}'),
        poisoned("created_at", "yesterday"),
        poisoned("agent_id", b"\xff"),
    ],
)
def test_a_row_that_cannot_be_read_does_not_keep_the_server_from_starting(
    serving, tmp_path, change
):
    gate, database = Gate(), tmp_path / "db"
    with serve({"held": held(gate)}, database=database) as server:
        runs = [httpx.post(f"{server.url}/runs", json={"input": {"text": t}}).json() for t in "ab"]
        assert gate.entered.acquire(timeout=10)
    change(database)

    gate.open()
    client = serving({"held": held(gate)}, database=database)

    assert client.wait(runs[1])["run"]["status"] == "success"
    assert client.post("/runs/search", json={}).is_success


@contextmanager
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, dict[str, str]]]:
    arguments = [str(tmp_path / "db"), str(tmp_path / "log")]
    with subprocess.Popen(
        [sys.executable, "-m", "support.killed_server", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
    ) as running:
        try:
            url = running.stdout.readline().strip() or "http://127.0.0.1:9"
            with httpx.Client(base_url=url, timeout=30) as client:
                found = []
                if not url.endswith(":9") and running.poll() is None:
                    found = client.post("/agents/search", json={}).json()
                yield (
                    running,
                    client,
                    {each["metadata"]["ref"]["name"]: each["agent_id"] for each in found},
                )
        finally:
            running.kill()


def dies(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "db"), str(tmp_path / "log")]
    ended = subprocess.run(
        [sys.executable, "-m", "support.killed_server", *arguments],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"},
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed otherwise there")
@pytest.mark.parametrize("kept", ["delete", "keep"])
def test_a_run_that_ended_the_server_twice_is_not_begun_a_third_time(tmp_path, kept):
    with process(tmp_path) as (running, client, agents):
        body = {"agent_id": agents["poison"], "input": {"text": "hi"}, "on_completion": kept}
        run = client.post("/runs", json={**body, "after_seconds": 1}).json()
        assert running.wait(30) == -signal.SIGKILL
    dies(tmp_path)

    with process(tmp_path) as (_, client, agents):
        ended = client.get(f"/runs/{run['run_id']}/wait").json()
        body = {"agent_id": agents["steps"], "input": {"text": "hi"}}
        other = client.post("/runs/wait", json=body).json()

    assert ended["run"]["status"] == "error"
    assert "the server ended, more than once" in ended["output"]["description"]
    assert other["run"]["status"] == "success"


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed otherwise there")
def test_whoever_was_at_work_beside_a_run_that_ends_the_server_is_not_taken_for_it(tmp_path):
    with process(tmp_path) as (running, client, agents):
        body = {"agent_id": agents["lasting"], "input": {"text": "hi"}}
        lasting = client.post("/runs", json=body).json()
        body = {"agent_id": agents["poison"], "input": {"text": "hi"}, "after_seconds": 1}
        poison = client.post("/runs", json=body).json()
        assert running.wait(30) == -signal.SIGKILL
    dies(tmp_path)
    (tmp_path / "log.open").touch()
    dies(tmp_path)  # after the one that lasted was done, alone

    with process(tmp_path) as (_, client, _agents):
        outcomes = [client.get(f"/runs/{run['run_id']}/wait").json() for run in (lasting, poison)]

    assert [each["run"]["status"] for each in outcomes] == ["success", "error"]


def test_servers_that_are_stopped_in_order_are_not_held_against_a_run(serving, tmp_path):
    gate, database = Gate(), tmp_path / "db"
    with serve({"held": held(gate)}, database=database) as server:
        run = httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).json()
        assert gate.entered.acquire(timeout=10)
    for _ in range(3):
        with serve({"held": held(gate)}, database=database):
            assert gate.entered.acquire(timeout=10)

    gate.open()
    client = serving({"held": held(gate)}, database=database)

    assert client.wait(run)["run"]["status"] == "success"


def test_an_answer_and_a_rollback_at_the_same_moment_do_not_hang(serving):
    client = serving({"asking": asking("one")}, limits=Limits(run_seconds=10))
    thread = client.thread()
    path = f"/threads/{thread}/runs"
    for _ in range(10):
        run = client.outcome("asking", path, input={})["run"]
        undo = {"action": "rollback"}
        client.post(f"{path}/{run['run_id']}/cancel", params=undo).raise_for_status()
        late = client.post(f"{path}/{run['run_id']}", json="yes")
        assert late.status_code in {404, 409}
    assert client.get(f"/threads/{thread}").json()["status"] == "idle"
