"""Showing what a remote job emits while it works, whichever protocol it is streamed by.

Listening settles nothing. What a job comes to is read by a wait (`acp_langgraph.jobs.waiting`), however
its stream ended: a stream that closes neatly may have been cut by a proxy, some servers send no end at
all, and an error on a stream may be followed by another try. So the outcome is the same with a stream as
without, and all that can go wrong here is that something is not shown. That is said, by an event of the
kind `gap`.

A stream that ends before its job does is joined again after the last event heard. Servers differ in what
they send then: what follows; or everything again, which is recognized and not shown twice; or only what
is new. What was heard is known to a `StreamCursor`, what a server streams to a `StreamSource`. After a few
joins the job itself is asked whether there is anything to listen to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Listen, Pause, Progress, RemoteEvent
from acp_langgraph.core.retry import asked_to_wait
from acp_langgraph.core.sse import ServerSentEvent, SSEDecoder
from acp_langgraph.errors import (
    ApiConnectionError,
    OpenApiException,
    ServiceException,
    TooManyRequestsException,
)
from acp_langgraph.jobs.job import PASSING, JobPolicy, WaitBudget

_FROM_THE_START: Final = "0"
_FRUITLESS_JOINS: Final = 3
_JOINS_WITHOUT_A_LOOK: Final = 3
_IDS_REMEMBERED: Final = 1000
_PLACES_REMEMBERED: Final = 10_000
_LONGEST_ID: Final = 1000
_LONGEST_NUMBER: Final = 18
_RUNS_REMEMBERED: Final = 1000


class StreamPart(NamedTuple):
    """Something of an event that is to be shown.

    Attributes:
        kind: As of a `RemoteEvent`.
        payload: As of a `RemoteEvent`.
        namespace: Where in the remote agent it is from, if not from its top.
    """

    kind: str
    payload: Any
    namespace: Sequence[str] = ()


class Told(NamedTuple):
    """What one event of a stream tells.

    Attributes:
        event: The event.
        shown: What of it is to be shown.
        settles: Whether nothing more is to be expected after it.
        is_news: Whether it could not have come just to keep the stream open.
    """

    event: ServerSentEvent
    shown: Sequence[StreamPart] = ()
    settles: bool = False
    is_news: bool = True


Telling: TypeAlias = Callable[[ServerSentEvent], Iterable[Told]]
"""Makes something of the events of one connection, in their order, without I/O: what one tells, if anything."""


class StreamSource(Protocol):
    """What a job streams, as its protocol knows it."""

    @property
    def node(self) -> str:
        """The name of the node that wants the job done."""

    def join(self) -> Call[Any]:
        """What is answered with the stream."""

    def telling(self, call: Call[Any]) -> Telling:
        """What makes something of the events that a call is answered with."""

    def is_at_work(self) -> Flow[bool]:
        """Whether the server says that there is anything to listen to; whatever goes wrong is raised."""


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
    _ids_here: set[str] = field(default_factory=set)
    _unnamed_here: int = 0
    _has_news_here: bool = False

    def begin(self, since: float, heard: str) -> None:
        """Begin with a segment, after the event of this id."""
        self.since, self.last_id = since, heard
        self.is_over, self.torn = False, ""

    def join(self) -> None:
        """Begin with a connection."""
        self._ids_here = set()
        self._unnamed_here = 0
        self._has_news_here = False

    def is_repeated(self, event: ServerSentEvent) -> bool:
        """Whether an event was heard before: on another connection, or on this one by its id."""
        known = self.knows(event) and (not self._has_news_here or event.id in self._ids_here)
        if event.id and len(self._ids_here) < _PLACES_REMEMBERED:
            self._ids_here.add(event.id)
        if not self._has_news_here and self.has_at(self._unnamed_here, event):
            self._unnamed_here += 1
            known = True
        return known

    def leads_on(self, event: ServerSentEvent) -> bool:
        """Whether nothing can be missing before the first event of a connection that is new."""
        all_again = 0 < self._unnamed_here == self.places
        return self.leads_to(event) or (all_again and not event.id)

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

    def note(self, event: ServerSentEvent) -> None:
        """Remember an event that is new."""
        joined, self._has_news_here = not self._has_news_here, True
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
        cursor_type: What is known to a cursor.
        first_look: Seconds without an event after which the job is asked how it is, doubled each time up to
            the policy's long poll: for servers whose streams may not tell the end. By default, the latter.
    """

    agent: str
    modes: tuple[str, ...]
    max_event_size: int
    refuses_modes: bool = False
    cursors: dict[str, StreamCursor] = field(default_factory=dict)
    cursor_type: type[StreamCursor] = StreamCursor
    first_look: float | None = None

    def cursor(self, segment: Mapping[str, Any]) -> StreamCursor:
        """What was heard of a run, ready for this segment of it."""
        cursor = self.cursors.pop(segment["run_id"], None) or self.cursor_type(segment["run_id"])
        self.cursors[segment["run_id"]] = cursor
        if cursor.since != segment["since"]:
            cursor.begin(segment["since"], segment.get("heard", ""))
        if len(self.cursors) > _RUNS_REMEMBERED:
            self.cursors.pop(list(self.cursors)[0], None)  # noqa: RUF015 - safe among threads
        return cursor

    def forget(self, run_id: str | None) -> None:
        """Nobody is going to listen to a run any more."""
        if run_id is not None:
            self.cursors.pop(run_id, None)


def listen_to(
    source: StreamSource,
    policy: JobPolicy,
    listening: Listening,
    segment: Mapping[str, Any],
    budget: WaitBudget,
) -> Flow[None]:
    """Show what a job emits until it settles, or until it makes no sense to listen on."""
    cursor = listening.cursor(segment)
    waits = policy.backoff.waits()
    fruitless = joins = 0
    first_look = listening.first_look or policy.long_poll
    patient = replace(policy, long_poll=min(first_look, policy.long_poll))
    while not cursor.is_over and fruitless < _FRUITLESS_JOINS:
        left = budget.seconds_left()
        if left is not None and left <= 0:
            return
        call = source.join().with_options(timeout=patient.long_poll, headers=cursor.headers())
        call = replace(call, may_leave=True)
        stream = _StreamReader(call, source, patient, listening, cursor, left)
        pause = yield from _listen(call, stream, cursor)
        if stream.pieces:
            budget.alive()
        if stream.is_quiet:
            if not (yield from says_at_work(source)):
                return
            budget.alive()
            longer = min(2 * patient.long_poll, policy.long_poll)
            patient = replace(patient, long_poll=longer)
        elif stream.events:
            fruitless, joins = 0, joins + (not stream.leads_on)
            if cursor.is_over or stream.leads_on or joins < _JOINS_WITHOUT_A_LOOK:
                continue
            if not (yield from says_at_work(source)):
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


def says_at_work(source: StreamSource) -> Flow[bool]:
    """Whether the server says that there is anything to listen to; if it cannot be asked, it does not."""
    try:
        return (yield from source.is_at_work())
    except OpenApiException:
        return False


def stop_listening(
    node: str, listening: Listening | None, segment: Mapping[str, Any], *, asks: bool
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
        yield _gap(node, listening, segment["run_id"], cursor.last_id, None)
    if asks:
        cursor.since = None
        return {"heard": cursor.last_id}
    listening.cursors.pop(segment["run_id"], None)
    return {}


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
        return asked_to_wait(error)
    cursor.torn = cursor.torn or ("" if cursor.is_over else "ended")
    return None


def _number(text: str) -> int | None:
    counts = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if counts else None


def _passes(error: OpenApiException) -> bool:
    if isinstance(error, ServiceException):
        return error.status in PASSING
    return isinstance(error, ApiConnectionError | TooManyRequestsException)


def _gap(node: str, listening: Listening, run_id: str, after: str, before: str | None) -> Progress:
    return emitted(
        node, listening, run_id, StreamPart("gap", {"after": after or None, "before": before})
    )


def emitted(node: str, listening: Listening, run_id: str, shown: StreamPart) -> Progress:
    """Something that a job emitted, for whoever watches."""
    event = RemoteEvent(
        node=node, agent=listening.agent, run_id=run_id, kind=shown.kind, payload=shown.payload
    )
    if shown.namespace:
        event["namespace"] = list(shown.namespace)
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
        source: StreamSource,
        policy: JobPolicy,
        listening: Listening,
        cursor: StreamCursor,
        seconds: float | None,
    ) -> None:
        self.events = 0
        self.pieces = 0
        self.leads_on = False
        self._decoder = SSEDecoder(max_event_size=listening.max_event_size)
        self._telling = source.telling(call)
        self._node = source.node
        self._listening = listening
        self._cursor = cursor
        self._policy = policy
        self._heard_at = policy.clock()
        self._until = None if seconds is None else self._heard_at + seconds
        self._joined = False
        cursor.join()

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
        for told in chain.from_iterable(map(self._telling, self._decoder.feed(chunk))):
            if told.is_news and not self._cursor.is_said_again(told.event):
                self._heard_at = self._policy.clock()
            yield from self._show(told)
            if self._cursor.is_over:
                return

    def _show(self, told: Told) -> Iterator[Progress]:
        cursor, event = self._cursor, told.event
        if cursor.is_repeated(event):
            return
        if not self._joined:
            self.leads_on = cursor.leads_on(event)
        if not self._joined and cursor.torn and not self.leads_on:
            yield _gap(self._node, self._listening, cursor.run_id, cursor.last_id, event.id)
        cursor.note(event)
        self._joined = True
        self.events += 1
        cursor.is_over = told.settles
        for shown in told.shown:
            yield emitted(self._node, self._listening, cursor.run_id, shown)
