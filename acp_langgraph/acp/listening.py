"""Showing what a run emits while it works.

Listening settles nothing. What a run comes to is read by a wait (`acp_langgraph.jobs.waiting`), however
its stream ended: a stream that closes neatly may have been cut by a proxy, AGNTCY's server sends no
end at all, and an error on a stream may be followed by another try. So the outcome is the same with
a stream as without, and all that can go wrong here is that something is not shown. That is said, by
an event of the kind `gap`.

A stream that ends before its run does is joined again after the last event heard (`Last-Event-ID`).
The protocol says nothing of what happens then, and servers differ. They may send what follows; or
everything again, which is recognized by its ids and contents, or without ids by its place and content,
and not shown twice; or only what is new, counted from 1 again, of which the ids look familiar and the
contents do not. After a few joins the run itself is asked whether there is anything to listen to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from acp_langgraph.acp.events import TYPES, EventReader
from acp_langgraph.acp.models import (
    CustomRunResultUpdate,
    RunError,
    RunInterrupt,
    RunOutputStream,
    RunStatus,
    ValueRunResultUpdate,
)
from acp_langgraph.acp.order import RunOrder
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Listen, Pause, Progress, RemoteEvent
from acp_langgraph.core.retry import retry_after
from acp_langgraph.core.sse import ServerSentEvent
from acp_langgraph.errors import (
    ApiConnectionError,
    ApiException,
    OpenApiException,
    ServiceException,
    TooManyRequestsException,
)
from acp_langgraph.jobs.job import JobPolicy, WaitBudget

_FROM_THE_START: Final = "0"
_FRUITLESS_JOINS: Final = 3
_JOINS_WITHOUT_A_LOOK: Final = 3
_IDS_REMEMBERED: Final = 1000
_PLACES_REMEMBERED: Final = 10_000
_LONGEST_ID: Final = 1000
_LONGEST_NUMBER: Final = 18
_RUNS_REMEMBERED: Final = 1000
PASSING: Final = frozenset({502, 503, 504})


@dataclass(slots=True)
class StreamCursor:
    """What was heard of one run, over all connections.

    Attributes:
        run_id: The run.
        since: When the segment of the run began that is listened to, if one is.
        last_id: The id of the last event heard; empty if it had none.
        is_over: Whether the segment has come to its end, or its stream makes no sense.
        torn: How the last connection ended before the segment did, if nothing was heard since.
    """

    run_id: str
    since: float | None = None
    last_id: str = ""
    is_over: bool = False
    torn: Literal["", "ended", "broken"] = ""
    _contents: dict[str, int] = field(default_factory=dict)
    _unnamed: list[int] = field(default_factory=list)
    _said: dict[int, None] = field(default_factory=dict)
    _counts_up: bool = True

    def knows(self, event: ServerSentEvent) -> bool:
        """Whether this very event was heard before."""
        return event.id is not None and self._contents.get(event.id) == hash(event.data)

    @property
    def places(self) -> int:
        """How many events without an id were heard."""
        return len(self._unnamed)

    def has_at(self, place: int, event: ServerSentEvent) -> bool:
        """Whether an event without an id was heard in this place, among those without."""
        heard = self._unnamed[place : place + 1]
        return not event.id and heard == [hash(event.data)]

    def is_said_again(self, event: ServerSentEvent) -> bool:
        """Whether nothing is new about an event but that it came."""
        return hash(event.data) in self._said

    def leads_to(self, event: ServerSentEvent) -> bool:
        """Whether an event comes right after the last one heard, as far as ids can tell."""
        if not event.id or event.id in self._contents:
            return False
        before, now = _number(self.last_id), _number(event.id)
        if before is None or now is None:
            return True
        return now == before + 1 if self._counts_up else now > before

    def headers(self) -> dict[str, str]:
        """What asks a server to go on after the last event heard, as far as a header can say it."""
        last_id = self.last_id or _FROM_THE_START
        sendable = last_id.isascii() and last_id.isprintable() and len(last_id) <= _LONGEST_ID
        return {"last-event-id": last_id} if sendable else {}

    def note(self, event: ServerSentEvent, *, joined: bool) -> None:
        """Remember an event; `joined` if it is the first of a connection."""
        if not self._contents:  # a server may count each run's events from 1, or all that it has
            before, now = _number(self.last_id or _FROM_THE_START), _number(event.id or "")
            self._counts_up = before is not None and now == before + 1
        elif not joined and not self.leads_to(event):
            self._counts_up = False
        self.torn = ""
        self.last_id = event.id or ""
        self._said[hash(event.data)] = None
        if len(self._said) > _IDS_REMEMBERED:
            del self._said[next(iter(self._said))]
        if not event.id and len(self._unnamed) < _PLACES_REMEMBERED:
            self._unnamed.append(hash(event.data))
        if event.id:
            self._contents.pop(event.id, None)
            self._contents[event.id] = hash(event.data)
            if len(self._contents) > _IDS_REMEMBERED:
                del self._contents[next(iter(self._contents))]


@dataclass(slots=True)
class Listening:
    """That and how a node's runs are listened to.

    Attributes:
        agent: The agent, as the node names it.
        modes: What the server is asked to stream; empty to leave it to the server.
        max_event_size: Characters that one event may have.
        refuses_modes: Whether the server was found to refuse to be asked for modes, as AGNTCY's
            does, though it streams.
        cursors: What was heard of the runs that are not done, by run id.
    """

    agent: str
    modes: tuple[str, ...]
    max_event_size: int
    refuses_modes: bool = False
    cursors: dict[str, StreamCursor] = field(default_factory=dict)

    def cursor(self, segment: Mapping[str, Any]) -> StreamCursor:
        """What was heard of a run, ready for this segment of it."""
        cursor = self.cursors.pop(segment["run_id"], None) or StreamCursor(segment["run_id"])
        self.cursors[segment["run_id"]] = cursor
        if cursor.since != segment["since"]:
            cursor.since = segment["since"]
            cursor.last_id = segment.get("heard", "")
            cursor.is_over, cursor.torn = False, ""
        if len(self.cursors) > _RUNS_REMEMBERED:
            self.cursors.pop(list(self.cursors)[0], None)  # noqa: RUF015 - safe among threads
        return cursor

    def forget(self, run_id: str | None) -> None:
        """Nobody is going to listen to a run any more."""
        if run_id is not None:
            self.cursors.pop(run_id, None)


def listen_to_run(
    order: RunOrder,
    policy: JobPolicy,
    listening: Listening,
    segment: Mapping[str, Any],
    budget: WaitBudget,
) -> Flow[None]:
    """Show what the run emits until it settles, or until it makes no sense to listen on."""
    cursor = listening.cursor(segment)
    waits = policy.backoff.waits()
    fruitless = joins = 0
    while not cursor.is_over and fruitless < _FRUITLESS_JOINS:
        left = budget.seconds_left()
        if left is not None and left <= 0:
            return
        call = order.stream(segment["run_id"]).with_options(
            timeout=policy.long_poll, headers=cursor.headers()
        )
        call = replace(call, may_leave=True)
        stream = _StreamReader(call, order, policy, listening, cursor, left)
        pause = yield from _listen(call, stream, cursor)
        if stream.pieces:
            budget.alive()
        if stream.is_quiet:
            if not (yield from is_at_work(order, policy, segment["run_id"])):
                return
            budget.alive()
        elif stream.events:
            fruitless, joins = 0, joins + (not stream.leads_on)
            if cursor.is_over or stream.leads_on or joins < _JOINS_WITHOUT_A_LOOK:
                continue
            if not (yield from is_at_work(order, policy, segment["run_id"])):
                return
            budget.alive()
            pause = max(pause or 0.0, next(waits))
            yield Pause(pause if left is None else min(pause, left))
        elif pause is None:
            return
        else:
            fruitless += 1
            pause = max(pause, next(waits))
            yield Pause(pause if left is None else min(pause, left))


def stop_listening(
    order: RunOrder, listening: Listening | None, segment: Mapping[str, Any], *, asks: bool
) -> Flow[dict[str, str]]:
    """After an outcome: tell if something may not have been shown.

    Returns:
        What to remember for the next segment, if there is to be one, since the run `asks`: the id of the
        last event `heard`.
    """
    if listening is None:
        return {}
    cursor = listening.cursor(segment)
    if cursor.torn == "broken":
        yield _gap(order, listening, segment["run_id"], cursor.last_id, None)
    if asks:
        cursor.since = None
        return {"heard": cursor.last_id}
    listening.cursors.pop(segment["run_id"], None)
    return {}


def is_at_work(order: RunOrder, policy: JobPolicy, run_id: str) -> Flow[bool]:
    """Whether the server says that the run is at work."""
    try:
        run = yield from policy.repeat(order.get(run_id))
    except OpenApiException:
        return False
    yield Progress("looked", run_id, {"status": str(run.status)})
    return bool(run.status == RunStatus.PENDING)


def _listen(call: Call[Any], stream: _StreamReader, cursor: StreamCursor) -> Flow[float | None]:
    """Listen once.

    Returns:
        Seconds to pause before listening again; `None` if the stream ended neatly.
    """
    try:
        yield Listen(call, stream)
    except OpenApiException as error:
        if stream.pieces:
            cursor.torn = "broken"
        # What is refused, or not to be understood, is no better the next time.
        cursor.is_over = not _passes(error)
        return (retry_after(error.headers) if isinstance(error, ApiException) else None) or 0.0
    cursor.torn = cursor.torn or ("" if cursor.is_over else "ended")
    return None


def _number(text: str) -> int | None:
    counts = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if counts else None


def _passes(error: OpenApiException) -> bool:
    if isinstance(error, ServiceException):
        return error.status in PASSING
    return isinstance(error, ApiConnectionError | TooManyRequestsException)


def _gap(
    order: RunOrder, listening: Listening, run_id: str, after: str, before: str | None
) -> Progress:
    payload = {"after": after or None, "before": before}
    return _event(order, listening, run_id, "gap", payload)


def _event(order: RunOrder, listening: Listening, run_id: str, kind: str, payload: Any) -> Progress:
    event = RemoteEvent(
        node=order.node, agent=listening.agent, run_id=run_id, kind=kind, payload=payload
    )
    return Progress("event", run_id, event)


class _StreamReader:
    """Reads one connection's stream.

    Attributes:
        events: How many events were shown.
        pieces: How many pieces came, keep-alives included.
        leads_on: Whether what was shown comes after what was heard before, as far as can be told.
    """

    def __init__(
        self,
        call: Call[Any],
        order: RunOrder,
        policy: JobPolicy,
        listening: Listening,
        cursor: StreamCursor,
        seconds: float | None,
    ) -> None:
        self.events = 0
        self.pieces = 0
        self.leads_on = False
        self._reader = EventReader(call, listening.max_event_size)
        self._order = order
        self._listening = listening
        self._cursor = cursor
        self._policy = policy
        self._heard_at = policy.clock()
        self._until = None if seconds is None else self._heard_at + seconds
        self._joined = False
        self._ids: set[str] = set()
        self._unnamed = 0

    @property
    def is_quiet(self) -> bool:
        """Whether there was no event for long; some servers keep the streams of settled runs open."""
        return self._policy.clock() - self._heard_at >= self._policy.long_poll

    @property
    def done(self) -> bool:
        """Whether to hang up."""
        late = self._until is not None and self._policy.clock() >= self._until
        return self._cursor.is_over or late or self.is_quiet

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        """What the next bytes show."""
        self.pieces += 1
        yield Progress("listening", self._cursor.run_id)
        for event, update in self._reader.read(chunk):
            if event.event in TYPES and not self._cursor.is_said_again(event):
                self._heard_at = self._policy.clock()
            yield from self._show(event, update)
            if self._cursor.is_over:
                return

    def _show(self, event: ServerSentEvent, update: RunOutputStream) -> Iterator[Progress]:
        cursor = self._cursor
        if self._is_repeated(event):
            return
        if not self._joined:
            self.leads_on = self._leads_on(event)
        if not self._joined and cursor.torn and not self.leads_on:
            yield _gap(self._order, self._listening, self._cursor.run_id, cursor.last_id, event.id)
        cursor.note(event, joined=not self._joined)
        self._joined = True
        self.events += 1
        cursor.is_over = _settles(update.data)
        if not isinstance(update.data, RunInterrupt | RunError):  # these the graph shows by itself
            kind, payload = _content(update.data)
            yield _event(self._order, self._listening, self._cursor.run_id, kind, payload)

    def _leads_on(self, event: ServerSentEvent) -> bool:
        """Whether nothing can be missing before the first event of this connection that is new."""
        all_again = 0 < self._unnamed == self._cursor.places
        return self._cursor.leads_to(event) or (all_again and not event.id)

    def _is_repeated(self, event: ServerSentEvent) -> bool:
        """Whether the event was shown before: on another connection, or on this one by its id."""
        cursor = self._cursor
        known = cursor.knows(event) and (not self._joined or event.id in self._ids)
        if event.id and len(self._ids) < _PLACES_REMEMBERED:
            self._ids.add(event.id)
        if not self._joined and cursor.has_at(self._unnamed, event):
            self._unnamed += 1
            known = True
        return known


def _settles(data: Any) -> bool:
    """Whether nothing more is to be expected after an update."""
    if isinstance(data, ValueRunResultUpdate):
        return data.status in {RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT}
    return isinstance(data, RunInterrupt | RunError)


def _content(data: Any) -> tuple[str, Any]:
    match data:
        case ValueRunResultUpdate():
            shown = data.model_dump(mode="json", include={"values", "messages"})
            values, messages = shown["values"], shown["messages"]
            if messages is None or (isinstance(values, dict) and "messages" in values):
                return "values", values
            return "values", {**(values if isinstance(values, dict) else {}), "messages": messages}
        case CustomRunResultUpdate():
            return "custom", data.update
    return str(data.get("type")), data
