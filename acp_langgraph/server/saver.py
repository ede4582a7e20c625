"""LangGraph's SQLite checkpointer on the server's database.

What is stored, and how, is `SqliteSaver`'s own. What differs is where it happens: reads are done by
the database's thread, and writes are serialized at once, so that a value that cannot be stored
fails where it was written, and then handed in. Since jobs are done in the order in which they come,
a run that is on file as interrupted or ended has its checkpoints on file, too. A graph that runs
with `durability="sync"` begins no step before the one before is on file: who stores a checkpoint that a
step follows waits until it is there, with all that was handed in before. Two others go with what is
waited for next: a graph's input, which LangGraph waits for no more than we do, and the last checkpoint,
after which comes the run's outcome.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import (
    AsyncIterator,
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from inspect import signature
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.types import TASKS
from langgraph.checkpoint.sqlite import SqliteSaver

from acp_langgraph.server.database import Database

T = TypeVar("T")


class DatabaseSaver(SqliteSaver):
    """A checkpointer for synchronous and asynchronous graphs alike.

    Args:
        database: Where checkpoints are kept; opened before the first use.
    """

    def __init__(self, database: Database) -> None:
        later: Any = _Later(database)
        super().__init__(later)
        self._database = database
        self._new: set[str] = set()  # threads that nothing was written to yet
        self._triggers: dict[str, Container[str]] = {}  # by thread: the channels that begin a step

    def announce(self, thread_id: str) -> None:
        """Say that a thread is new, so that its first run need not look for checkpoints."""
        self._new.add(thread_id)

    @contextmanager
    def running(self, thread_id: str, triggers: Container[str]) -> Iterator[None]:
        """Say what begins the steps of the graph that runs on a thread for as long as the block lasts.

        What comes after the last of them has to be waited for by whoever says so.

        Args:
            thread_id: The thread.
            triggers: The channels that are a trigger of any node.
        """
        self._triggers[thread_id] = triggers
        try:
            yield
        finally:
            self._triggers.pop(thread_id, None)

    def prepare(self, _: sqlite3.Connection) -> None:
        """Make the tables; to be done while the database is opened."""
        self.setup()

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[Any]:
        """For `SqliteSaver`: notes what it writes; reads happen on the database's thread."""
        if not transaction:
            yield self.conn.cursor()
            return
        written = _Statements()
        yield written
        self._database.post(written)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint with its pending writes."""
        return self._database.call(_read(lambda: SqliteSaver.get_tuple(self, config)))

    def list(self, config: RunnableConfig | None, **selection: Any) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first."""
        found = _read(lambda: [*SqliteSaver.list(self, config, **selection)])
        return iter(self._database.call(found))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What delta channels are rebuilt from."""
        return self._database.call(_read(self._delta_history(config, channels)))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """A checkpoint with its pending writes."""
        if config["configurable"]["thread_id"] in self._new:
            return None
        return await self._database.run(_read(lambda: SqliteSaver.get_tuple(self, config)))

    async def alist(
        self, config: RunnableConfig | None, **selection: Any
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, newest first."""
        found = _read(lambda: [*SqliteSaver.list(self, config, **selection)])
        for each in await self._database.run(found):
            yield each

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What delta channels are rebuilt from."""
        return await self._database.run(_read(self._delta_history(config, channels)))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint; return when it is on file, if a step may follow that waits for it."""
        self._new.discard(config["configurable"]["thread_id"])
        stored = self.put(config, checkpoint, metadata, new_versions)
        if not self._goes_along(config["configurable"], checkpoint, metadata):
            await self._database.run(_nothing)  # done after all that was handed in before
        return stored

    def _goes_along(
        self, place: Mapping[str, Any], checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> bool:
        """Whether a checkpoint is stored with what is waited for next."""
        triggers = self._triggers.get(place["thread_id"])
        if triggers is None or metadata.get("source") == "input":
            return triggers is not None
        updated, values = checkpoint.get("updated_channels"), checkpoint["channel_values"]
        if place.get("checkpoint_ns") or metadata.get("source") != "loop" or not updated:
            return False
        # The rule by which LangGraph itself finds the next step.
        return not values.get(TASKS) and not any(each in triggers for each in updated)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Hand the writes of a task in."""
        self._new.discard(config["configurable"]["thread_id"])
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Hand the end of a thread in."""
        self._new.discard(thread_id)
        self.delete_thread(thread_id)

    def _delta_history(
        self, config: RunnableConfig, channels: Sequence[str]
    ) -> Callable[[], Mapping[str, DeltaChannelHistory]]:
        return lambda: SqliteSaver.get_delta_channel_history(self, config=config, channels=channels)


# LangGraph reads it at the beginning of every run, which takes a while where it must be found out.
vars(DatabaseSaver)["aput_writes"].__signature__ = signature(DatabaseSaver.aput_writes)


class _Later:
    """Stands for a database's connection, also before there is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database.connection, name)


class _Statements:
    """What `SqliteSaver` would have executed; a job that executes it."""

    def __init__(self) -> None:
        self._statements: list[tuple[bool, str, Any]] = []

    def execute(self, statement: str, values: Any = ()) -> None:
        self._statements.append((False, statement, values))

    def executemany(self, statement: str, values: Iterable[Any]) -> None:
        self._statements.append((True, statement, list(values)))

    def __call__(self, connection: sqlite3.Connection) -> None:
        for many, statement, values in self._statements:
            (connection.executemany if many else connection.execute)(statement, values)


class _OwnTypes(logging.Filter):
    """Silences LangGraph's warning of types that it does not know, while we read our own file.

    The types are those of the served graphs, and nobody else writes to the file. Under
    `LANGGRAPH_STRICT_MSGPACK=true` LangGraph refuses them nevertheless, and says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        return not (
            getattr(self.reading, "now", False)
            and str(record.msg).startswith("Deserializing unregistered type")
        )


_own_types = _OwnTypes()
logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_own_types)


def _nothing(_: sqlite3.Connection) -> None:
    pass


def _read(what: Callable[[], T]) -> Callable[[sqlite3.Connection], T]:
    def job(_: sqlite3.Connection) -> T:
        _own_types.reading.now = True
        try:
            return what()
        finally:
            _own_types.reading.now = False

    return job
