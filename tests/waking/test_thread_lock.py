"""One thread of a graph in one pair of hands, wherever its checkpoints are."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from support.postgres import ALONE, AS_SAVERS_NEED_IT

from acp_langgraph import thread_lock
from acp_langgraph.errors import NodeConfigurationError


@contextmanager
def saver_in(kind: str, folder: Path, postgres: str) -> Iterator[Any]:
    """A saver that blocks, over what others may open as well."""
    with ExitStack() as stack:
        match kind:
            case "memory":
                yield InMemorySaver()
            case "sqlite":
                where = str(folder / "a.sqlite")
                yield stack.enter_context(SqliteSaver.from_conn_string(where))
            case "postgres":
                yield stack.enter_context(PostgresSaver.from_conn_string(postgres))
            case "pool":
                pool = ConnectionPool(
                    postgres, min_size=1, max_size=2, kwargs=AS_SAVERS_NEED_IT, open=True
                )
                yield PostgresSaver(stack.enter_context(pool))


KINDS = ["memory", "sqlite", "postgres", "pool"]


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_threads_one_at_a_time_has_the_lock(
    kind: str, tmp_path: Path, postgres: str
) -> None:
    inside, most, rounds = 0, 0, 0
    with saver_in(kind, tmp_path, postgres) as saver:

        def work() -> None:
            nonlocal inside, most, rounds
            for _ in range(5):
                with thread_lock(saver, "one"):
                    inside += 1
                    most = max(most, inside)
                    saver.get_tuple({"configurable": {"thread_id": "one"}})
                    rounds += 1
                    inside -= 1

        workers = [threading.Thread(target=work) for _ in range(4)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
    assert (most, rounds) == (1, 20)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres", "pool"])
def test_of_many_tasks_one_at_a_time_has_the_lock(kind: str, tmp_path: Path, postgres: str) -> None:
    async def main(saver: Any) -> tuple[int, int]:
        inside = most = rounds = 0

        async def work() -> None:
            nonlocal inside, most, rounds
            async with thread_lock(saver, "one"):
                inside += 1
                most = max(most, inside)
                await saver.aget_tuple({"configurable": {"thread_id": "one"}})
                rounds += 1
                inside -= 1

        await asyncio.gather(*(work() for _ in range(10)))
        return most, rounds

    async def over() -> tuple[int, int]:
        match kind:
            case "sqlite":
                where = str(tmp_path / "a.sqlite")
                async with AsyncSqliteSaver.from_conn_string(where) as saver:
                    return await main(saver)
            case "postgres":
                async with AsyncPostgresSaver.from_conn_string(postgres) as saver:
                    return await main(saver)
            case "pool":
                pool = AsyncConnectionPool(
                    postgres, min_size=1, max_size=2, kwargs=AS_SAVERS_NEED_IT, open=False
                )
                async with pool:
                    return await main(AsyncPostgresSaver(pool))
        return await main(InMemorySaver())

    assert asyncio.run(over()) == (1, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_locks_of_different_threads_are_held_at_once(
    kind: str, tmp_path: Path, postgres: str
) -> None:
    with saver_in(kind, tmp_path, postgres) as saver, ExitStack() as stack:
        for number in range(10):
            stack.enter_context(thread_lock(saver, f"thread {number}"))
        saver.get_tuple({"configurable": {"thread_id": "one"}})


ELSEWHERE = ["sqlite", "postgres", "pool"]


def hold(folder: Path, postgres: str, taken: Any, go_on: Any) -> None:
    with ExitStack() as stack:
        for kind in ELSEWHERE:
            saver = stack.enter_context(saver_in(kind, folder, postgres))
            stack.enter_context(thread_lock(saver, f"shared {kind}"))
        taken.set()
        go_on.wait()


def test_another_process_has_it_until_it_dies(tmp_path: Path, postgres: str) -> None:
    processes = multiprocessing.get_context("spawn")
    taken, go_on = processes.Event(), processes.Event()
    other = processes.Process(target=hold, args=(tmp_path, postgres, taken, go_on))
    other.start()
    assert taken.wait(60)
    entered = {kind: threading.Event() for kind in ELSEWHERE}
    with ExitStack() as stack:
        savers = {each: stack.enter_context(saver_in(each, tmp_path, postgres)) for each in entered}

        def enter(kind: str) -> None:
            with thread_lock(savers[kind], f"shared {kind}"):
                entered[kind].set()

        waiting = [threading.Thread(target=enter, args=(kind,)) for kind in entered]
        for each in waiting:
            each.start()
        for kind, event in entered.items():
            with thread_lock(savers[kind], "another"):
                assert not event.is_set()
        other.kill()
        for each in entered.values():
            assert each.wait(60)
        for each in waiting:
            each.join()
    other.join()


async def test_who_is_cancelled_while_taking_it_leaves_it_to_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, locks = threading.Event(), threading.Event(), fcntl.lockf

    def held_up(file: int, operation: int, *place: int) -> None:
        if operation != fcntl.LOCK_UN:
            began.set()
            assert go_on.wait(30)
        locks(file, operation, *place)

    where = str(tmp_path / "a.sqlite")
    async with AsyncSqliteSaver.from_conn_string(where) as saver:
        monkeypatch.setattr(fcntl, "lockf", held_up)
        taking = asyncio.create_task(thread_lock(saver, "one").__aenter__())
        assert await asyncio.to_thread(began.wait, 30)
        taking.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await taking
        context = multiprocessing.get_context("spawn")
        parent, child = context.Pipe()
        other = context.Process(target=_take_and_tell, args=(where, child))
        await asyncio.to_thread(other.start)
        assert await asyncio.to_thread(parent.poll, 30)
        other.join()


def _take_and_tell(where: str, tell: Any) -> None:
    with SqliteSaver.from_conn_string(where) as saver, thread_lock(saver, "one"):
        tell.send("taken")


def test_it_is_the_lock_that_workers_took_by_hand(postgres: str) -> None:
    with (
        PostgresSaver.from_conn_string(postgres) as saver,
        psycopg.connect(postgres, autocommit=True) as other,
    ):
        asked = ALONE.replace("pg_advisory_lock", "pg_try_advisory_lock")
        with thread_lock(saver, "thread 7"):
            assert other.execute(asked, ("thread 7",)).fetchone() == (False,)
        assert other.execute(asked, ("thread 7",)).fetchone() == (True,)


def test_a_pool_has_its_connection_back_once_there_are_no_locks(postgres: str) -> None:
    with ConnectionPool(
        postgres, min_size=1, max_size=2, kwargs=AS_SAVERS_NEED_IT, open=True
    ) as pool:
        saver = PostgresSaver(pool)
        with thread_lock(saver, "1"), thread_lock(saver, "2"):
            pass
        with pool.connection(), pool.connection(timeout=5):
            pass


def test_a_pool_of_one_connection_has_none_to_spare(postgres: str) -> None:
    with (
        ConnectionPool(
            postgres, max_size=1, min_size=1, kwargs=AS_SAVERS_NEED_IT, open=True
        ) as pool,
        pytest.raises(NodeConfigurationError, match="max_size"),
    ):
        thread_lock(PostgresSaver(pool), "1").__enter__()


def test_a_lock_is_taken_as_its_saver_is_used(tmp_path: Path) -> None:
    saver = SqliteSaver(sqlite3.connect(tmp_path / "a.sqlite"))

    async def enter() -> None:
        async with thread_lock(saver, "1"):
            pass

    with pytest.raises(NodeConfigurationError, match="with thread_lock"):
        asyncio.run(enter())
    saver.conn.close()


def test_of_an_unknown_saver_there_is_no_lock() -> None:
    class Shelf:
        pass

    with pytest.raises(NodeConfigurationError, match="Shelf"):
        thread_lock(Shelf(), "1").__enter__()


def test_of_a_graph_without_a_checkpointer_there_is_no_lock() -> None:
    with pytest.raises(NodeConfigurationError, match="without a checkpointer"):
        thread_lock(None, "1")
