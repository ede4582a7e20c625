"""Following a task: to show what it emits, or only to know when it is worth looking at.

A server tells whoever subscribes how the task is, and then what changes; nothing is ever sent again, but
the artifacts so far are in the first event. So what was missed between two connections is found there,
and what was shown is not shown twice. What a task comes to is read, never heard: `Job.wait` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from acp_langgraph.a2a.calls import Binding, reason_of
from acp_langgraph.a2a.models import (
    ASKING,
    Artifact,
    Part,
    StreamResponse,
    Task,
    TaskArtifactUpdate,
    TaskStatus,
)
from acp_langgraph.a2a.parts import dumped, words_of
from acp_langgraph.a2a.peer import Peer
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Listen, Progress, RemoteEvent
from acp_langgraph.core.sse import SSEDecoder
from acp_langgraph.core.wire import read_json
from acp_langgraph.errors import ApiException, OpenApiException

_TASKS_REMEMBERED: Final = 1000
_MOST_SHOWN: Final = 100_000  # parts, and messages; of an endless stream the rest is not shown


_Shown: TypeAlias = tuple[str, dict[str, Any]]  # the kind of a `RemoteEvent`, and its payload


@dataclass(slots=True)
class TaskCursor:
    """What was heard of one task, over all connections.

    Attributes:
        task_id: The task.
        asked_at: The question that was answered last; its task, still said to ask it, has not settled.
        is_settled: Whether it is at work no more.
        shown: The hashes of the parts of each artifact that were shown, by its id.
        places: Where among these the next piece goes; not known after a task was told as a whole, for
            its latest piece may still come as an event of its own.
        said: The ids of the messages that were shown.
    """

    task_id: str
    asked_at: str | None = None
    is_settled: bool = False
    shown: dict[str, list[int]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    said: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Listening:
    """That and how a node's tasks are followed.

    Attributes:
        node: The node's name.
        agent: The agent, as the node names it.
        max_event_size: Characters that one event may have.
        is_shown: Whether somebody wants to see what comes.
        cursors: What was heard of the tasks that are not done, by their ids; the node's.
    """

    node: str
    agent: str
    max_event_size: int
    is_shown: bool
    cursors: dict[str, TaskCursor] = field(default_factory=dict)

    def cursor(self, task_id: str) -> TaskCursor:
        """What was heard of a task."""
        cursor = self.cursors.setdefault(task_id, TaskCursor(task_id))
        if len(self.cursors) > _TASKS_REMEMBERED:
            self.cursors.pop(list(self.cursors)[0], None)  # noqa: RUF015 - safe among threads
        return cursor


def follow(
    peer: Peer, listening: Listening, cursor: TaskCursor, seconds: float, *, quiet: float
) -> Flow[bool]:
    """Follow a task once, until it settles.

    Args:
        peer: The agent.
        listening: How.
        cursor: What was heard before.
        seconds: How long at most.
        quiet: Seconds without anything, keep-alives included, after which nothing more is expected.

    Returns:
        Whether anything was heard.
    """
    call = peer.binding.subscribe_to_task(cursor.task_id).with_options(timeout=quiet)
    call = replace(call, may_leave=True).within(seconds)
    reader = _TaskReader(call, peer.binding, listening, cursor)
    try:
        yield Listen(call, reader)
    except ApiException as error:
        if reason_of(error) in {"METHOD_NOT_FOUND", "PUSH_NOTIFICATION_NOT_SUPPORTED"}:
            peer.streams = False
    except OpenApiException:
        pass  # broken, too long, or over its time; the task is looked at either way
    return reader.events > 0


class _TaskReader:
    """Reads one connection's stream.

    Attributes:
        events: How many events came.
    """

    def __init__(
        self, call: Call[Any], binding: Binding, listening: Listening, cursor: TaskCursor
    ) -> None:
        self.events = 0
        self._where = call.operation
        self._binding = binding
        self._listening = listening
        self._cursor = cursor
        self._decoder = SSEDecoder(max_event_size=listening.max_event_size)

    @property
    def done(self) -> bool:
        """Whether to hang up."""
        return self._cursor.is_settled

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        """What the next bytes show."""
        yield Progress("listening", self._cursor.task_id)
        for event in self._decoder.feed(chunk):
            try:
                told = self._binding.event_of(read_json(event.data), self._where)
            except ValueError:
                continue  # `ping`, `[DONE]`, nothing at all
            self.events += 1
            yield from shown(self._listening, self._cursor, told)
            if self.done:
                return


def shown(listening: Listening, cursor: TaskCursor, event: StreamResponse) -> Iterator[Progress]:
    """What is new in an event, for whoever watches; the cursor notes it, whether or not anybody does."""
    for kind, payload in _told(cursor, event):
        if listening.is_shown:
            told = RemoteEvent(
                node=listening.node,
                agent=listening.agent,
                run_id=cursor.task_id,
                kind=kind,
                payload=payload,
            )
            yield Progress("event", cursor.task_id, told)


def _told(cursor: TaskCursor, event: StreamResponse) -> Iterator[_Shown]:
    if event.task is not None:
        for artifact in event.task.artifacts:
            yield from _whole(cursor, artifact)
        yield from _status(cursor, event.task.status)
    elif event.artifact_update is not None:
        yield from _piece(cursor, event.artifact_update)
    elif event.status_update is not None:
        yield from _status(cursor, event.status_update.status)
    elif event.message is not None:
        cursor.is_settled = True


def _whole(cursor: TaskCursor, artifact: Artifact) -> Iterator[_Shown]:
    shown = cursor.shown.get(artifact.artifact_id, [])
    cursor.places.pop(artifact.artifact_id, None)
    yield from _added(cursor, artifact, len(shown), artifact.parts[len(shown) :])


def _piece(cursor: TaskCursor, update: TaskArtifactUpdate) -> Iterator[_Shown]:
    artifact, key = update.artifact, update.artifact.artifact_id
    shown, new = cursor.shown.get(key, []), _hashes(update.artifact.parts)
    if update.append:
        place = cursor.places.get(key)
        if place is None:
            place = len(shown) - (len(new) if shown[-len(new) :] == new else 0)
    else:
        place = 0
    if shown[place : place + len(new)] == new:
        cursor.places[key] = place + len(new)
    else:
        yield from _added(cursor, artifact, place, artifact.parts)
        cursor.places[key] = len(cursor.shown.get(key, []))


def _added(
    cursor: TaskCursor, artifact: Artifact, place: int, new: Sequence[Part]
) -> Iterator[_Shown]:
    """What is new of an artifact, from a place on."""
    key = artifact.artifact_id
    if not new or sum(map(len, cursor.shown.values())) + len(new) > _MOST_SHOWN:
        return
    cursor.shown[key] = cursor.shown.get(key, [])[:place] + _hashes(new)
    named = {"artifactId": key, "name": artifact.name, "parts": dumped(new)}
    yield "custom", {"artifact": named, "append": place > 0}
    text = "".join(part.text or "" for part in new)
    if text:
        yield "messages", {"type": "AIMessageChunk", "content": text, "id": key}


def _hashes(parts: Sequence[Part]) -> list[int]:
    return [hash(part.model_dump_json()) for part in parts]


def _status(cursor: TaskCursor, status: TaskStatus) -> Iterator[_Shown]:
    task, message = Task(id=cursor.task_id, status=status), status.message
    was_answered = task.asked_at is not None and task.asked_at == cursor.asked_at
    cursor.is_settled = task.is_settled and not (task.state in ASKING and was_answered)
    if message is None or task.is_settled or message.message_id in cursor.said:
        return
    if message.message_id and len(cursor.said) < _MOST_SHOWN:
        cursor.said[message.message_id] = None
    said = {"type": "ai", "content": words_of(message.parts), "id": message.message_id or None}
    yield "messages", said
