from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from acp_langgraph.acp.models import RunStatus, ThreadStatus
from acp_langgraph.server.database import Database, DatabaseError
from acp_langgraph.server.records import (
    Question,
    RunQuery,
    RunRecord,
    ThreadQuery,
    ThreadRecord,
    moment_after,
    new_id,
)
from acp_langgraph.server.storage import Storage

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
async def storage():
    database = Database()
    storage = Storage(database)
    database.open(storage.prepare)
    yield storage
    database.close()


def run(run_id="run", **fields):
    return RunRecord(
        run_id,
        "agent",
        "thread",
        stateless=False,
        **{"creation": {}, "created_at": NOW, "updated_at": NOW, **fields},
    )


async def test_of_two_changes_to_one_record_the_second_is_refused(storage):
    old = run(status=RunStatus.INTERRUPTED)
    await storage.add_run(old)
    one, other = old.changed(answers={"id": 1}), old.changed(answers={"id": 2})

    assert await storage.replace_run(old, one)
    assert not await storage.replace_run(old, other)
    assert await storage.get_run("run") == one


async def test_a_deleted_run_is_not_brought_back_by_a_change(storage):
    old = run()
    await storage.add_run(old)
    await storage.delete_run("run")

    assert not await storage.replace_run(old, old.changed(status=RunStatus.SUCCESS))
    assert await storage.get_run("run") is None


def test_a_change_has_a_later_time_even_if_the_clock_goes_back():
    ahead = datetime.now(UTC) + timedelta(hours=1)

    assert moment_after(ahead) == ahead + timedelta(microseconds=1)


async def test_an_id_of_a_thread_is_taken_once(storage):
    assert await storage.add_thread(ThreadRecord("thread", NOW, NOW))
    assert not await storage.add_thread(ThreadRecord("thread", NOW, NOW))


async def test_a_change_to_a_thread_merges_metadata_and_keeps_the_rest(storage):
    await storage.add_thread(ThreadRecord("thread", NOW, NOW, {"a": 1}, values={"x": 1}))

    changed = await storage.update_thread("thread", metadata={"b": 2}, status=ThreadStatus.BUSY)

    assert changed.metadata == {"a": 1, "b": 2}
    assert (changed.status, changed.values) == (ThreadStatus.BUSY, {"x": 1})
    assert changed.updated_at > NOW


async def test_deleting_a_thread_deletes_its_runs(storage):
    await storage.add_thread(ThreadRecord("thread", NOW, NOW))
    await storage.add_run(run())

    assert await storage.delete_thread("thread")
    assert await storage.find_runs(RunQuery()) == []


@pytest.mark.parametrize(
    ("stored", "wanted", "matches"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": [True]}, {"a": [1]}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, False),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        (None, {"a": 1}, False),
        (None, {}, True),
    ],
)
async def test_metadata_is_compared_as_json(storage, stored, wanted, matches):
    await storage.add_run(run(creation={"metadata": stored}))
    await storage.add_thread(ThreadRecord("thread", NOW, NOW, stored or {}, values=stored))

    assert bool(await storage.find_runs(RunQuery(metadata=wanted))) is matches
    assert bool(await storage.find_threads(ThreadQuery(metadata=wanted))) is matches
    assert bool(await storage.find_threads(ThreadQuery(values=wanted))) is matches


async def test_a_record_comes_back_as_it_was_stored(storage):
    stored = run(
        creation={"input": {"text": "\u2028"}, "metadata": {"key": [1, None]}},
        status=RunStatus.INTERRUPTED,
        output={"type": "interrupt", "interrupt": "?"},
        questions=(Question("id", {"a": 1}, {"type": "string"}),),
        answers={"id": None},
        base_checkpoint="base",
        asked_at="asked",
    )

    await storage.add_run(stored)

    assert await storage.get_run("run") == stored


def test_ids_are_uuids_that_begin_with_the_time(monkeypatch):
    def made_at(milliseconds: int) -> UUID:
        monkeypatch.setattr("time.time_ns", lambda: milliseconds * 1_000_000)
        return UUID(new_id())

    first, second = made_at(1_790_000_000_001), made_at(1_790_000_000_002)

    assert (first.version, first.variant) == (7, RFC_4122)
    assert first.int >> 80 == 1_790_000_000_001
    assert str(first) < str(second)


async def test_changed_metadata_is_found_and_the_old_is_not(storage):
    await storage.add_thread(ThreadRecord("thread", NOW, NOW, {"a": 1}))

    await storage.update_thread("thread", metadata={"a": 2})

    assert await storage.find_threads(ThreadQuery(metadata={"a": 1})) == []
    assert len(await storage.find_threads(ThreadQuery(metadata={"a": 2}))) == 1


async def test_deleted_runs_leave_no_labels(storage):
    await storage.add_run(run(creation={"metadata": {"a": 1}}))
    await storage.delete_run("run")
    await storage.add_run(run("other", creation={}))

    assert await storage.find_runs(RunQuery(metadata={"a": 1})) == []


async def test_a_database_of_another_format_is_refused(tmp_path):
    path = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")
    database = Database(path)

    with pytest.raises(DatabaseError, match="has format 99"):
        database.open(Storage(database).prepare)
