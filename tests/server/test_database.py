from __future__ import annotations

import asyncio
import os
import sqlite3
import threading

import pytest

from acp_langgraph.server.database import Database, DatabaseError


def tables(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS words (word TEXT UNIQUE)")


def add(word):
    return lambda connection: connection.execute("INSERT INTO words VALUES (?)", (word,)).rowcount


def words(connection):
    return [word for (word,) in connection.execute("SELECT word FROM words")]


@pytest.fixture
async def database(tmp_path):
    database = Database(tmp_path / "words.sqlite")
    database.open(tables)
    yield database
    database.close()


async def test_jobs_are_done_in_the_order_in_which_they_came(database):
    database.post(add("a"))
    results = await asyncio.gather(*(database.run(add(word)) for word in "bcd"))
    database.post(add("e"))

    assert results == [1, 1, 1]
    assert await asyncio.to_thread(database.call, words) == list("abcde")


async def test_what_nobody_waits_for_is_stored_with_what_somebody_waits_for_next(database):
    statements = []
    await database.run(lambda connection: connection.set_trace_callback(statements.append))
    statements.clear()
    for word in "abc":
        database.post(add(word))
        await asyncio.sleep(0)  # whoever posts goes on

    await database.run(add("d"))

    assert [each for each in statements if each.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]


async def test_what_nobody_waits_for_is_stored_although_nobody_comes(database):
    stored = threading.Event()
    database.post(lambda _: stored.set())

    assert await asyncio.to_thread(stored.wait, 10)


async def test_what_is_waited_for_in_no_hurry_is_stored_with_what_comes_next(database):
    statements = []
    await database.run(lambda connection: connection.set_trace_callback(statements.append))
    statements.clear()
    waiting = database.submit(add("a"), in_a_hurry=False)
    await asyncio.sleep(0)

    assert await database.run(words) == ["a"]
    assert await waiting == 1
    assert [each for each in statements if each.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]


async def test_what_is_waited_for_in_no_hurry_is_stored_although_nobody_comes(database):
    assert await database.submit(add("a"), in_a_hurry=False) == 1


async def test_a_job_that_fails_does_not_take_others_with_it(database):
    await database.run(add("a"))

    def half(connection):
        add("b")(connection)
        add("a")(connection)

    done = await asyncio.gather(
        database.run(add("c")), database.run(half), database.run(add("d")), return_exceptions=True
    )

    assert [type(each) for each in done] == [int, sqlite3.IntegrityError, int]
    assert await database.run(words) == ["a", "c", "d"]


async def test_what_was_handed_in_is_on_file_after_closing(tmp_path):
    first, second = Database(tmp_path / "words.sqlite"), Database(tmp_path / "words.sqlite")
    first.open(tables)
    for word in "abc":
        first.post(add(word))
    first.close()

    second.open(tables)
    assert await second.run(words) == ["a", "b", "c"]
    second.close()


async def test_an_awaiter_that_was_cancelled_disturbs_nobody(database):
    cancelled = asyncio.ensure_future(database.run(add("a")))
    await asyncio.sleep(0)
    cancelled.cancel()

    assert await database.run(words) == ["a"]


async def test_a_file_is_used_by_one_server_at_a_time(database, monkeypatch):
    monkeypatch.setattr("acp_langgraph.server.database._LOCKED_AFTER", 0.01)

    with pytest.raises(DatabaseError, match="in use by another server"):
        Database(database.path).open(tables)


async def test_a_new_file_is_for_its_owner_alone(database):
    made = await asyncio.to_thread(os.stat, database.path)

    assert made.st_mode & 0o077 == 0


async def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear database, " * 100)

    with pytest.raises(DatabaseError, match="cannot be used"):
        Database(path).open(tables)


async def test_a_path_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database(tmp_path / "no" / "such" / "folder.sqlite").open(tables)


async def test_a_closed_database_takes_no_jobs():
    with pytest.raises(DatabaseError, match="not open"):
        Database().post(words)
