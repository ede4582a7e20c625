"""What a server finds of what the one before it left on the same database."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from support.graphs import Gate, Mail, Notes, asking, echo, held, one_node

from acp_langgraph.server import serve
from acp_langgraph.server.database import DatabaseError


class Steps:
    """A node that counts its executions, and a gate that holds the first ones."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.executed: list[str] = []

    def node(self, name: str, *, holds: bool = False, asks: bool = False) -> Any:
        async def node(state: Notes) -> dict[str, Any]:
            self.executed.append(name)
            if holds:
                await self.gate.wait()
            return {"notes": [interrupt(name) if asks else name]}

        return node

    def graph(self, *nodes: tuple[str, dict[str, bool]], **options: Any) -> Any:
        builder = StateGraph(Notes)
        builder.add_sequence([(name, self.node(name, **how)) for name, how in nodes])
        builder.add_edge(START, nodes[0][0])
        return builder.compile(**options)


@pytest.fixture
def database(tmp_path):
    return tmp_path / "server.sqlite"


@pytest.fixture
def steps():
    return Steps()


def test_a_finished_run_is_still_there(serving, database):
    with serve({"echo": echo()}, database=database) as server:
        done = httpx.post(f"{server.url}/runs/wait", json={"input": {"text": "hi"}}).json()

    client = serving({"echo": echo()}, database=database)

    assert client.wait(done["run"]) == done


def test_a_thread_is_still_there_with_its_state(serving, database):
    with serve({"echo": echo()}, database=database) as server:
        thread = httpx.post(f"{server.url}/threads", json={"metadata": {"a": 1}}).json()[
            "thread_id"
        ]
        httpx.post(f"{server.url}/threads/{thread}/runs/wait", json={"input": {"text": "hi"}})

    client = serving({"echo": echo()}, database=database)

    found = client.get(f"/threads/{thread}").json()
    assert (found["metadata"], found["values"]) == ({"a": 1}, {"text": "HI"})
    assert client.get(f"/threads/{thread}/history").json()[0]["values"] == {"text": "HI"}


def test_a_question_is_answered_on_the_same_run(serving, database):
    with serve({"asking": asking("one", "two")}, database=database) as server:
        asked = httpx.post(f"{server.url}/runs/wait", json={}).json()

    client = serving({"asking": asking("one", "two")}, database=database)
    client.resume(asked["run"], "first")
    again = client.wait(asked["run"])
    client.resume(asked["run"], "second")

    assert again["output"]["interrupt"] == "two"
    assert client.wait(asked["run"])["output"]["values"]["notes"] == ["first", "second"]


def test_a_running_run_goes_on_from_its_last_step(serving, database, steps):
    graph = steps.graph(("first", {}), ("second", {"holds": True}))
    with serve({"agent": graph}, database=database) as server:
        run = httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).json()
        assert steps.gate.entered.acquire(timeout=10)

    steps.gate.open()
    client = serving({"agent": graph}, database=database)
    ended = client.wait(run)

    assert ended["output"]["values"]["notes"] == ["first", "second"]
    assert steps.executed == ["first", "second", "second"]


def test_a_run_that_had_just_been_answered_goes_on_with_the_answer(serving, database, steps):
    graph = steps.graph(("ask", {"asks": True}), ("then", {"holds": True}))
    with serve({"agent": graph}, database=database) as server:
        run = httpx.post(f"{server.url}/runs/wait", json={}).json()["run"]
        httpx.post(f"{server.url}/runs/{run['run_id']}", json="yes").raise_for_status()
        assert steps.gate.entered.acquire(timeout=10)

    steps.gate.open()
    ended = serving({"agent": graph}, database=database).wait(run)

    assert ended["output"]["values"]["notes"] == ["yes", "then"]


@pytest.mark.parametrize("nested", [False, True])
def test_an_answer_is_not_taken_for_that_of_the_next_question(serving, database, nested):
    gate = Gate()

    async def ask(state: Notes) -> dict[str, Any]:
        first = interrupt("one")
        await gate.wait()
        return {"notes": [first, interrupt("two")]}

    graph = one_node(Notes, ask)
    if nested:
        graph = one_node(Notes, graph)
    with serve({"agent": graph}, database=database) as server:
        run = httpx.post(f"{server.url}/runs/wait", json={}).json()["run"]
        httpx.post(f"{server.url}/runs/{run['run_id']}", json="first").raise_for_status()
        assert gate.entered.acquire(timeout=10)

    gate.open()
    client = serving({"agent": graph}, database=database)
    asked = client.wait(run)
    client.resume(run, "second")

    assert asked["output"] == {"type": "interrupt", "interrupt": "two"}
    assert client.wait(run)["output"]["values"]["notes"] == ["first", "second"]


def test_a_breakpoint_is_not_passed_unasked(serving, database, steps):
    graph = steps.graph(
        ("first", {"holds": True}), ("second", {}), ("third", {}), interrupt_before=["third"]
    )
    with serve({"agent": graph}, database=database) as server:
        run = httpx.post(f"{server.url}/runs", json={}).json()
        assert steps.gate.entered.acquire(timeout=10)
    steps.gate.open()
    with serve({"agent": graph}, database=database) as server:
        asked = httpx.get(f"{server.url}/runs/{run['run_id']}/wait").json()

    client = serving({"agent": graph}, database=database)
    client.resume(run, "go")

    assert asked["output"]["interrupt"] == {"interrupt_type": "breakpoint", "next": ["third"]}
    assert client.wait(run)["output"]["values"]["notes"] == ["first", "second", "third"]


def unnoted(database):
    """Make the runs on file look as if the server was killed just before it noted their outcome."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE runs SET status = 'pending', progress = '{\"output\": null}'")
        connection.commit()


def test_a_breakpoint_that_was_reached_but_not_noted_is_not_passed(serving, database, steps):
    graph = steps.graph(("first", {}), ("second", {}), interrupt_before=["second"])
    with serve({"agent": graph}, database=database) as server:
        asked = httpx.post(f"{server.url}/runs/wait", json={}).json()
    unnoted(database)

    client = serving({"agent": graph}, database=database)
    again = client.wait(asked["run"])
    client.resume(asked["run"], "go")

    assert again["output"] == asked["output"]
    assert client.wait(asked["run"])["output"]["values"]["notes"] == ["first", "second"]


def test_a_question_that_was_not_noted_is_asked_again(serving, database):
    with serve({"asking": asking("one")}, database=database) as server:
        asked = httpx.post(f"{server.url}/runs/wait", json={}).json()
    unnoted(database)

    client = serving({"asking": asking("one")}, database=database)
    again = client.wait(asked["run"])
    client.resume(asked["run"], "yes")

    assert again["output"] == asked["output"]
    assert client.wait(asked["run"])["output"]["values"]["notes"] == ["yes"]


def test_a_run_that_had_ended_without_being_noted_is_not_executed_again(serving, database, steps):
    graph = steps.graph(("first", {}), ("second", {}))
    with serve({"agent": graph}, database=database) as server:
        body = {"input": {"text": "hi"}, "on_completion": "keep"}  # else its checkpoints are gone
        ended = httpx.post(f"{server.url}/runs/wait", json=body).json()
    unnoted(database)

    again = serving({"agent": graph}, database=database).wait(ended["run"])

    assert again["output"] == ended["output"]
    assert steps.executed == ["first", "second"]


def test_runs_on_a_thread_keep_their_order(serving, database):
    gate = Gate()
    graph = held(gate)
    with serve({"held": graph}, database=database) as server:
        thread = httpx.post(f"{server.url}/threads", json={}).json()["thread_id"]
        path = f"/threads/{thread}/runs"
        runs = [
            httpx.post(
                f"{server.url}{path}",
                json={"input": {"text": text}, "multitask_strategy": "enqueue"},
            ).json()
            for text in "abc"
        ]
        assert gate.entered.acquire(timeout=10)

    gate.open()
    client = serving({"held": graph}, database=database)

    assert client.post(path, json={"input": {"text": "d"}}).status_code in {200, 409}
    assert client.wait(runs[-1], path)["output"]["values"]["notes"] == ["a", "b", "c"]


def test_a_question_keeps_its_thread(serving, database):
    with serve({"asking": asking("one")}, database=database) as server:
        thread = httpx.post(f"{server.url}/threads", json={}).json()["thread_id"]
        path = f"/threads/{thread}/runs"
        httpx.post(f"{server.url}{path}/wait", json={}).raise_for_status()

    client = serving({"asking": asking("one")}, database=database)

    assert client.post(path, json={}).status_code == 409


def test_a_run_whose_agent_is_gone_waits_for_it(serving, database):
    gate = Gate()
    with serve({"held": held(gate)}, database=database) as server:
        run = httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).json()
        assert gate.entered.acquire(timeout=10)
    with serve({"echo": echo()}, database=database) as server:
        waiting = httpx.get(f"{server.url}/runs/{run['run_id']}").json()

    gate.open()
    client = serving({"held": held(gate)}, database=database)

    assert waiting["status"] == "pending"
    assert client.wait(run)["run"]["status"] == "success"


def test_types_of_the_graph_come_back_without_a_warning(serving, database, caplog):
    def ask(state: Notes) -> dict[str, Any]:
        [mail] = state["notes"]
        return {"notes": [interrupt(mail.text)]}

    builder = StateGraph(Notes)
    builder.add_sequence([("write", lambda state: {"notes": [Mail(text="hi")]}), ("ask", ask)])
    builder.add_edge(START, "write")
    graph = builder.compile()
    with serve({"agent": graph}, database=database) as server:
        asked = httpx.post(f"{server.url}/runs/wait", json={}).json()
    client = serving({"agent": graph}, database=database)
    client.resume(asked["run"], True)

    assert client.wait(asked["run"])["output"]["values"]["notes"] == [{"text": "hi"}, True]
    assert "unregistered" not in caplog.text


def test_a_graph_that_keeps_its_own_checkpoints_is_not_resumed_from_the_database(
    serving, database, steps
):
    graph = steps.graph(("first", {}), ("second", {"holds": True}), checkpointer=InMemorySaver())
    with serve({"agent": graph}, database=database) as server:
        run = httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).json()
        assert steps.gate.entered.acquire(timeout=10)

    steps.gate.open()
    ended = serving({"agent": graph}, database=database).wait(run)

    assert ended["output"]["values"]["notes"] == ["first", "second"]
    assert steps.executed == ["first", "second", "second"]


def test_a_database_in_use_stops_the_start(database, monkeypatch):
    monkeypatch.setattr("acp_langgraph.server.database._LOCKED_AFTER", 0.01)
    agents = {"echo": echo()}
    with (
        serve(agents, database=database),
        pytest.raises(DatabaseError, match="in use"),
        serve(agents, database=database),
    ):
        pass


def test_a_checkpointer_for_synchronous_code_stops_the_start(tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "own.sqlite")) as saver:
        graph = one_node(Notes, lambda state: {"notes": []})
        graph = graph.copy({"checkpointer": saver})

        with (
            pytest.raises(ValueError, match="SqliteSaver, which only works in synchronous code"),
            serve({"agent": graph}),
        ):
            pass


def test_no_thread_is_left_of_a_server_that_did_not_start(tmp_path):
    before = set(threading.enumerate())
    with pytest.raises(DatabaseError), serve({"echo": echo()}, database=tmp_path / "no" / "file"):
        pass

    left = set(threading.enumerate()) - before
    assert not [each for each in left if each.name.startswith("acp-")]
