"""What a remote graph streams while it works, to be shown.

LangGraph's own server gives its events the millisecond as an id, and events of one millisecond the same
one. It goes on after the last of these; so whoever has heard the first of two cannot ask for the second.
Here a stream is joined again after the id *before* the last, and as many events of the last id are left
out as were heard. Servers whose ids are unique send one event in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from acp_langgraph.agent_protocol import calls
from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Progress
from acp_langgraph.core.sse import ServerSentEvent, SSEDecoder
from acp_langgraph.core.wire import read_json
from acp_langgraph.errors import OpenApiException
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.jobs.listening import Shown, StreamCursor, Told

MODES: Final = {"values": "values", "custom": "custom", "messages": "messages-tuple"}
"""What a run is asked to stream, by the kind that is shown."""

_FROM_THE_START: Final = "-1"
_DEEPEST: Final = 100  # subgraphs within each other


@dataclass(slots=True)
class GraphCursor(StreamCursor):
    """What was heard of one segment of a job, over all connections.

    Attributes:
        before: The id before the last one; empty if there is none.
    """

    before: str = ""
    _with_last: int = 0
    _joined_at: str = ""
    _to_skip: int = 0
    _was_repeated: bool = False
    _older: frozenset[str] = field(default_factory=frozenset)

    @override
    def begin(self, since: float, heard: str) -> None:
        """Begin with a segment, which has a run, and so a stream, of its own."""
        StreamCursor.begin(self, since, "")
        self.before, self._with_last = "", 0
        self._contents.clear()

    @override
    def headers(self) -> dict[str, str]:
        """What asks a server to go on before the last id that was heard."""
        asked = StreamCursor.headers(self)
        return {**asked, "last-event-id": self.before or _FROM_THE_START}

    @override
    def join(self) -> None:
        """Begin with a connection."""
        StreamCursor.join(self)
        self._joined_at, self._to_skip = self.last_id, self._with_last
        self._was_repeated = False
        self._older = frozenset(self._contents) - {self.last_id}

    @override
    def is_repeated(self, event: ServerSentEvent) -> bool:
        """Whether an event was heard before: by its id, and its place among those with the same one."""
        if not event.id:
            return StreamCursor.is_repeated(self, event)
        known = event.id in self._older
        if event.id == self._joined_at and self._to_skip:
            self._to_skip -= 1
            known = True
        self._was_repeated = self._was_repeated or known
        return known

    @override
    def leads_on(self, event: ServerSentEvent) -> bool:
        """Whether nothing can be missing before the first event of a connection that is new."""
        if not event.id:
            return StreamCursor.leads_on(self, event)
        return self._was_repeated or not self.last_id

    @override
    def note(self, event: ServerSentEvent) -> None:
        """Remember an event that is new."""
        if event.id and event.id != self.last_id:
            self.before, self._with_last = self.last_id, 0
        self._with_last += 1
        StreamCursor.note(self, event)


@dataclass(frozen=True, slots=True)
class GraphStream:
    """The stream of one run.

    Attributes:
        order: What is to be done.
        policy: How patient to be.
        run_id: The run that is at it.
    """

    order: GraphOrder
    policy: JobPolicy
    run_id: str

    @property
    def node(self) -> str:
        """The name of the node that wants it."""
        return self.order.node

    def join(self) -> Call[Any]:
        """What is answered with the stream."""
        return calls.stream_run(self.order.thread_id, self.run_id, self.policy.long_poll)

    def decoder(self, _: Call[Any], max_event_size: int) -> GraphDecoder:
        """A fresh decoder."""
        return GraphDecoder(SSEDecoder(max_event_size=max_event_size))

    def is_at_work(self) -> Flow[bool]:
        """Whether the server says that the run is at work."""
        try:
            run = yield from self.policy.repeat(calls.get_run(self.order.thread_id, self.run_id))
        except OpenApiException:
            return False
        yield Progress("looked", payload={"status": run.status})
        return run.is_at_work


@dataclass(frozen=True, slots=True)
class GraphDecoder:
    """Reads one connection of a run's stream."""

    events: SSEDecoder

    def read(self, chunk: bytes) -> Iterator[Told]:
        """The events that are complete now."""
        for event in self.events.feed(chunk):
            kind, *namespace = event.event.split("|", _DEEPEST)
            try:
                data = read_json(event.data)
            except ValueError:
                continue
            yield Told(event, _shown(kind, data, namespace), kind in {"end", "error"})


def _shown(kind: str, data: Any, namespace: list[str]) -> list[Shown]:
    """What of an event is to be shown; questions and errors the graph shows by itself."""
    match kind, data:
        case "custom", _:
            return [Shown("custom", data, namespace)]
        case "messages", [{} as message, *_]:
            return [Shown("messages", message, namespace)]
        case "values", {"__interrupt__": _}:
            rest = {name: data[name] for name in data if name != "__interrupt__"}
            return [Shown("values", rest, namespace)] if rest else []
        case "values", _:
            return [Shown("values", data, namespace)]
    return []
