"""Following a task: to show what it emits, or only to know when it is worth looking at.

A server tells whoever subscribes how the task is, and then what changes; nothing is ever sent again, but
the artifacts so far are in the first event. So what was missed between two connections is found there,
and what was shown is not shown twice. What a task comes to is read, never heard: `Job.wait` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from acp_langgraph.a2a.calls import SUBSCRIBE_TO_TASK
from acp_langgraph.a2a.models import Artifact, Part, StreamResponse, Task, TaskStatus
from acp_langgraph.a2a.parts import dumped, words_of
from acp_langgraph.a2a.peer import Peer
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow
from acp_langgraph.core.sse import ServerSentEvent
from acp_langgraph.core.wire import read_json
from acp_langgraph.jobs.listening import StreamCursor, StreamPart, Telling, Told

FIRST_LOOK: Final = 1.0  # seconds; a server may have lost what would tell that a task is settled
_MOST_SHOWN: Final = 100_000  # parts, and messages; of an endless stream the rest is not shown


@dataclass(slots=True)
class TaskCursor(StreamCursor):
    """What was heard of one task, over all connections: not which events, but what they said.

    Attributes:
        shown: The hashes of the parts of each artifact that were shown, by its id.
        next_at: Where among these the next piece goes; not known after a task was told as a whole, for
            its latest piece may still come as an event of its own.
        said: The ids of the messages that were shown.
    """

    shown: dict[str, list[int]] = field(default_factory=dict)
    next_at: dict[str, int] = field(default_factory=dict)
    said: dict[str, None] = field(default_factory=dict)

    @override
    def join(self) -> None:
        """Begin with a connection; nothing is missing, as its first event has all artifacts."""
        StreamCursor.join(self)
        self.torn = ""

    @override
    def headers(self) -> dict[str, str]:
        """Nothing: there are no ids."""
        return {}

    @override
    def is_repeated(self, event: ServerSentEvent) -> bool:
        """Never: what of an event was shown before is known by its content."""
        return False

    def new_in(self, event: StreamResponse) -> Iterator[StreamPart]:
        """What of an event is to be shown."""
        if event.task is not None:
            for artifact in event.task.artifacts:
                before = self.shown.get(artifact.artifact_id, [])
                self.next_at.pop(artifact.artifact_id, None)
                yield from self._added(artifact, len(before), artifact.parts[len(before) :])
            yield from self._words(event.task.status)
        elif event.artifact_update is not None:
            update = event.artifact_update
            yield from self._piece(update.artifact, append=update.append)
        elif event.status_update is not None:
            yield from self._words(event.status_update.status)

    def _piece(self, artifact: Artifact, *, append: bool) -> Iterator[StreamPart]:
        key = artifact.artifact_id
        before, new = self.shown.get(key, []), _hashes(artifact.parts)
        if not append:
            place = 0
        elif key in self.next_at:
            place = self.next_at[key]
        else:
            place = len(before) - (len(new) if before[-len(new) :] == new else 0)
        if before[place : place + len(new)] == new:
            self.next_at[key] = place + len(new)
        else:
            yield from self._added(artifact, place, artifact.parts)
            self.next_at[key] = len(self.shown.get(key, []))

    def _added(self, artifact: Artifact, place: int, new: Sequence[Part]) -> Iterator[StreamPart]:
        """What is new of an artifact, from a place on."""
        key = artifact.artifact_id
        if not new or sum(map(len, self.shown.values())) + len(new) > _MOST_SHOWN:
            return
        self.shown[key] = self.shown.get(key, [])[:place] + _hashes(new)
        named = {"artifactId": key, "name": artifact.name, "parts": dumped(new)}
        yield StreamPart("custom", {"artifact": named, "append": place > 0})
        text = "".join(part.text or "" for part in new)
        if text:
            yield StreamPart("messages", {"type": "AIMessageChunk", "content": text, "id": key})

    def _words(self, status: TaskStatus) -> Iterator[StreamPart]:
        """What the agent says meanwhile; what it asks, or ends with, the graph shows by itself."""
        message = status.message
        if message is None or status.is_settled or message.message_id in self.said:
            return
        if message.message_id and len(self.said) < _MOST_SHOWN:
            self.said[message.message_id] = None
        said = {"type": "ai", "content": words_of(message.parts), "id": message.message_id or None}
        yield StreamPart("messages", said)


def _hashes(parts: Sequence[Part]) -> list[int]:
    return [hash(part.model_dump_json()) for part in parts]


@dataclass(frozen=True, slots=True)
class TaskStream:
    """The stream of one task.

    Attributes:
        node: The name of the node that wants it done.
        peer: The agent.
        cursor: What was heard of it.
        settles: Whether a task that is so is at work no more.
        look: Looks at it.
        is_shown: Whether somebody wants to see what comes.
    """

    node: str
    peer: Peer
    cursor: TaskCursor
    settles: Callable[[Task], bool]
    look: Callable[[], Flow[Task]]
    is_shown: bool

    def join(self) -> Call[Any]:
        """What is answered with the stream."""
        return self.peer.binding.call(SUBSCRIBE_TO_TASK, {"id": self.cursor.run_id})

    def telling(self, call: Call[Any]) -> Telling:  # noqa: ARG002 - as of all sources
        """What makes something of its events."""
        return self._told

    def is_at_work(self) -> Flow[bool]:
        """Whether the server says that the task is at work."""
        return not self.settles((yield from self.look()))

    def _told(self, event: ServerSentEvent) -> Iterator[Told]:
        try:
            told = self.peer.binding.read(SUBSCRIBE_TO_TASK, read_json(event.data))
        except ValueError:
            return  # `ping`, `[DONE]`, nothing at all
        new, task = list(self.cursor.new_in(told)), told.task
        if told.status_update is not None:
            task = Task(id=self.cursor.run_id, status=told.status_update.status)
        settles = told.message is not None or (task is not None and self.settles(task))
        yield Told(event, new if self.is_shown else (), settles)
