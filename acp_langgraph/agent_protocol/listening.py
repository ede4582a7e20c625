"""What a remote graph streams while it works, to be shown.

LangGraph's own server gives its events the millisecond as an id, and events of one millisecond the same
one. It goes on after the last of these; so whoever has heard the first of two cannot ask for the second.
Here a stream is joined again after the id *before* the last, and as many events of the last id are left
out as were heard. Servers whose ids are unique send one event in vain.

And whoever joins while the run is at work may be sent the same events twice: it first subscribes to what
comes, then sends what there was, and then what has come since, which is partly the same (`Overlap`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from typing_extensions import override

from acp_langgraph.agent_protocol import calls
from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Progress
from acp_langgraph.core.sse import ServerSentEvent
from acp_langgraph.core.wire import read_json
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.jobs.listening import StreamCursor, StreamPart, Telling, Told

MODES: Final = {"values": "values", "custom": "custom", "messages": "messages-tuple"}
"""What a run is asked to stream, by the kind that is shown."""

_FROM_THE_START: Final = "-1"
_FROM_THE_START_AGAIN: Final = "0"
_DEEPEST: Final = 100  # subgraphs within each other
_JOINED_WITHIN: Final = 2.0  # seconds, within which a server sends what there was
_MOMENT: Final = re.compile(r"([0-9]{1,15})-0", re.ASCII)


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
        start = _FROM_THE_START_AGAIN if self.last_id else _FROM_THE_START
        return {**asked, "last-event-id": self.before or start}

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

    def telling(self, call: Call[Any]) -> Telling:
        """What makes something of the events that a call is answered with."""
        clock = self.policy.clock
        until = clock() + _JOINED_WITHIN
        again = call.headers.get("last-event-id") != _FROM_THE_START
        overlap = Overlap(lambda: again and clock() < until)
        return partial(told_by, overlap)

    def is_at_work(self) -> Flow[bool]:
        """Whether the server says that the run is at work."""
        run = yield from self.policy.repeat(calls.get_run(self.order.thread_id, self.run_id))
        yield Progress("looked", payload={"status": run.status})
        return run.is_at_work


@dataclass(slots=True)
class Overlap:
    """Tells what a server sends a second time on one connection, where it goes from old to new.

    That is a row of events, up to the last of the old ones. If an id is less than the one before, it has
    begun. If an id is the same, the events with it tell: those that come must be the same to the last. One
    that is the same as the last may be either, and is taken for sent twice as long as that `may_be`.

    Attributes:
        may_be: Whether the connection is young enough for it.
    """

    may_be: Callable[[], bool]
    _last: int = -1
    _group: list[int] = field(default_factory=list)
    _expected: int = 0
    _held: list[ServerSentEvent] = field(default_factory=list)
    _is_certain: bool = False

    def without(self, event: ServerSentEvent) -> list[ServerSentEvent]:
        """The events that are known to be new, now that this one has come; perhaps held back before."""
        number = _milliseconds(event.id)
        if number is None:
            return [event]
        if number < self._last:
            self._is_certain, self._expected = True, 0
            return []
        said = hash(event.data)
        if number == self._last and (self._held or self._is_certain):
            if self._group[self._expected : self._expected + 1] == [said]:
                return self._goes_on(event)
        elif number == self._last and said in self._group and self.may_be():
            self._expected = self._group.index(said)
            return self._goes_on(event)
        held, self._held, self._is_certain = self._held, [], False
        if number != self._last:
            self._last, self._group = number, []
        self._group += [*(hash(each.data) for each in held), said] if self._group else [said]
        return [*held, event]

    def _goes_on(self, event: ServerSentEvent) -> list[ServerSentEvent]:
        self._expected += 1
        self._held.append(event)
        if self._is_certain or self._expected == len(self._group):
            self._held = []
        if self._expected == len(self._group):
            self._is_certain = False
        return []


def told_by(overlap: Overlap, came: ServerSentEvent) -> Iterator[Told]:
    """What is told now that an event of a connection has come."""
    for event in overlap.without(came):
        kind, *namespace = event.event.split("|", _DEEPEST)
        try:
            data = read_json(event.data)
        except ValueError:
            continue
        yield Told(event, _shown(kind, data, namespace), kind in {"end", "error"})


def _milliseconds(event_id: str | None) -> int | None:
    """The moment that an id of LangGraph's own server is; other servers' ids are no moments."""
    found = _MOMENT.fullmatch(event_id or "")
    return int(found[1]) if found else None


def _shown(kind: str, data: Any, namespace: list[str]) -> list[StreamPart]:
    """What of an event is to be shown; questions and errors the graph shows by itself."""
    match kind, data:
        case "custom", _:
            return [StreamPart("custom", data, namespace)]
        case "messages", [{} as message, *_]:
            return [StreamPart("messages", message, namespace)]
        case "values", {"__interrupt__": _}:
            rest = {name: data[name] for name in data if name != "__interrupt__"}
            return [StreamPart("values", rest, namespace)] if rest else []
        case "values", _:
            return [StreamPart("values", data, namespace)]
    return []
