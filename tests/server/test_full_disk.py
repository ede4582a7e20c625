"""A database that can take no more, as on a full disk."""

from __future__ import annotations

import httpx
import pytest
from support.graphs import Gate, echo, held

from acp_langgraph.server import serve


@pytest.fixture
def full(serving, tmp_path):
    client = serving({"echo": echo()}, database=tmp_path / "db")
    client.outcome("echo", input={"text": "hi"})
    database = client.server.app.state.lifecycle._database
    database.call(lambda connection: connection.execute("PRAGMA max_page_count=1").fetchone())
    return client


@pytest.mark.parametrize("path", ["/runs", "/runs/wait", "/threads"])
def test_what_cannot_be_stored_is_told_and_not_waited_for(full, path):
    large, note = {"text": "x" * 1_000_000}, {"text": "x" * 60_000}

    answer = full.post(path, json={"input": large, "metadata": note}, timeout=20)

    assert answer.status_code == 500
    assert isinstance(answer.json(), str)


def test_what_was_stored_before_is_still_read(full):
    [run] = full.post("/runs/search", json={}).json()

    assert full.wait(run)["output"]["values"] == {"text": "HI"}


def test_a_server_whose_database_takes_no_more_stops_in_order(tmp_path, caplog):
    gate = Gate()
    with serve({"held": held(gate)}, database=tmp_path / "db") as server:
        httpx.post(f"{server.url}/runs", json={"input": {"text": "hi"}}).raise_for_status()
        assert gate.entered.acquire(timeout=10)
        webhooks = server.app.state.engine._webhooks
        database = server.app.state.lifecycle._database
        database.call(lambda connection: connection.execute("PRAGMA query_only=1").fetchone())

    assert all(session.closed for session in webhooks._sessions.values())
    assert "could not be stored" in caplog.text
