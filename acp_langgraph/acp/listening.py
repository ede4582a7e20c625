"""Showing what a run emits while it works.

Listening settles nothing. What a run comes to is read by a wait (`acp_langgraph.acp.flow`), however
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
from typing import Any, Final, Literal, Protocol

from acp_langgraph.acp.events import TYPES, EventReader
from acp_langgraph.acp.models import (
    CustomRunResultUpdate,
    RunError,
    RunInterrupt,
    RunOutputStream,
    RunStatus,
    RunWaitResponse,
    ValueRunResultUpdate,
)
from acp_langgraph.acp.order import RunOrder, RunPolicy
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

__all__ = ["Hearing", "Listening", "is_at_work", "listen_to_run", "stop_listening"]

_FROM_THE_START: Final = "0"
_FRUITLESS_JOINS: Final = 3
_JOINS_WITHOUT_A_LOOK: Final = 3
_IDS_REMEMBERED: Final = 1000
_PLACES_REMEMBERED: Final = 10_000
_LONGEST_ID: Final = 1000
_LONGEST_NUMBER: Final = 18
_RUNS_REMEMBERED: Final = 1000
_PASSING: Final = frozenset({502, 503, 504})


class Vigil(Protocol):
    """How long may still be listened, and whether the server is alive."""

    def seconds_left(self) -> float | None:
        """Seconds until the run's deadline, if it has one."""

    def alive(self) -> None:
        """The server gave a sign of life."""


@dataclass(slots=True)
class Hearing:
    """What was heard of one run, over all connections.

    Attributes:
        run_id: The run.
        since: When the leg of the run began that is listened to, if one is.
        last_id: The id of the last event heard; empty if it had none.
        is_over: Whether the leg has come to its end, or its stream makes no sense.
        torn: How the last connection ended before the leg did, if nothing was heard since.
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
        hearings: What was heard of the runs that are not done, by run id.
    """

    agent: str
    modes: tuple[str, ...]
    max_event_size: int
    refuses_modes: bool = False
    hearings: dict[str, Hearing] = field(default_factory=dict)

    def hearing(self, leg: Mapping[str, Any]) -> Hearing:
        """What was heard of a run, ready for this leg of it."""
        hearing = self.hearings.pop(leg["run_id"], None) or Hearing(leg["run_id"])
        self.hearings[leg["run_id"]] = hearing
        if hearing.since != leg["since"]:
            hearing.since = leg["since"]
            hearing.last_id = leg.get("heard", "")
            hearing.is_over, hearing.torn = False, ""
        if len(self.hearings) > _RUNS_REMEMBERED:
            self.hearings.pop(list(self.hearings)[0], None)  # noqa: RUF015 - safe among threads
        return hearing

    def forget(self, run_id: str | None) -> None:
        """Nobody is going to listen to a run any more."""
        if run_id is not None:
            self.hearings.pop(run_id, None)


def listen_to_run(
    order: RunOrder, policy: RunPolicy, listening: Listening, leg: Mapping[str, Any], vigil: Vigil
) -> Flow[None]:
    """Show what the run emits until it settles, or until it makes no sense to listen on."""
    hearing = listening.hearing(leg)
    waits = policy.backoff.waits()
    fruitless = joins = 0
    while not hearing.is_over and fruitless < _FRUITLESS_JOINS:
        left = vigil.seconds_left()
        if left is not None and left <= 0:
            return
        call = order.stream(leg["run_id"]).with_options(
            timeout=policy.long_poll, headers=hearing.headers()
        )
        call = replace(call, may_leave=True)
        ear = _Ear(call, order, policy, listening, hearing, left)
        pause = yield from _listen(call, ear, hearing)
        if ear.pieces:
            vigil.alive()
        if ear.is_quiet:
            if not (yield from is_at_work(order, policy, leg["run_id"])):
                return
            vigil.alive()
        elif ear.events:
            fruitless, joins = 0, joins + (not ear.leads_on)
            if hearing.is_over or ear.leads_on or joins < _JOINS_WITHOUT_A_LOOK:
                continue
            if not (yield from is_at_work(order, policy, leg["run_id"])):
                return
            vigil.alive()
            pause = max(pause or 0.0, next(waits))
            yield Pause(pause if left is None else min(pause, left))
        elif pause is None:
            return
        else:
            fruitless += 1
            pause = max(pause, next(waits))
            yield Pause(pause if left is None else min(pause, left))


def stop_listening(
    order: RunOrder, listening: Listening | None, leg: Mapping[str, Any], answer: RunWaitResponse
) -> Flow[dict[str, str]]:
    """After a wait: if the run has settled, tell if something may not have been shown.

    Returns:
        What to remember for the next leg, if there is to be one: the id of the last event `heard`.
    """
    if listening is None or answer.output is None:
        return {}
    hearing = listening.hearing(leg)
    if hearing.torn == "broken":
        yield _gap(order, listening, leg["run_id"], hearing.last_id, None)
    if isinstance(answer.output, RunInterrupt):
        hearing.since = None
        return {"heard": hearing.last_id}
    listening.hearings.pop(leg["run_id"], None)
    return {}


def is_at_work(order: RunOrder, policy: RunPolicy, run_id: str) -> Flow[bool]:
    """Whether the server says that the run is at work."""
    try:
        run = yield from policy.repeat(order.get(run_id))
    except OpenApiException:
        return False
    yield Progress("looked", run_id, {"status": str(run.status)})
    return bool(run.status == RunStatus.PENDING)


def _listen(call: Call[Any], ear: _Ear, hearing: Hearing) -> Flow[float | None]:
    """Listen once.

    Returns:
        Seconds to pause before listening again; `None` if the stream ended neatly.
    """
    try:
        yield Listen(call, ear)
    except OpenApiException as error:
        if ear.pieces:
            hearing.torn = "broken"
        # What is refused, or not to be understood, is no better the next time.
        hearing.is_over = not _passes(error)
        return (retry_after(error.headers) if isinstance(error, ApiException) else None) or 0.0
    hearing.torn = hearing.torn or ("" if hearing.is_over else "ended")
    return None


def _number(text: str) -> int | None:
    counts = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if counts else None


def _passes(error: OpenApiException) -> bool:
    if isinstance(error, ServiceException):
        return error.status in _PASSING
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


class _Ear:
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
        policy: RunPolicy,
        listening: Listening,
        hearing: Hearing,
        seconds: float | None,
    ) -> None:
        self.events = 0
        self.pieces = 0
        self.leads_on = False
        self._reader = EventReader(call, listening.max_event_size)
        self._order = order
        self._listening = listening
        self._hearing = hearing
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
        return self._hearing.is_over or late or self.is_quiet

    def feed(self, chunk: bytes) -> Iterator[Progress]:
        """What the next bytes show."""
        self.pieces += 1
        yield Progress("listening", self._hearing.run_id)
        for event, update in self._reader.read(chunk):
            if event.event in TYPES and not self._hearing.is_said_again(event):
                self._heard_at = self._policy.clock()
            yield from self._show(event, update)
            if self._hearing.is_over:
                return

    def _show(self, event: ServerSentEvent, update: RunOutputStream) -> Iterator[Progress]:
        hearing = self._hearing
        if self._is_repeated(event):
            return
        if not self._joined:
            self.leads_on = self._leads_on(event)
        if not self._joined and hearing.torn and not self.leads_on:
            yield _gap(
                self._order, self._listening, self._hearing.run_id, hearing.last_id, event.id
            )
        hearing.note(event, joined=not self._joined)
        self._joined = True
        self.events += 1
        hearing.is_over = _settles(update.data)
        if not isinstance(update.data, RunInterrupt | RunError):  # these the graph shows by itself
            kind, payload = _content(update.data)
            yield _event(self._order, self._listening, self._hearing.run_id, kind, payload)

    def _leads_on(self, event: ServerSentEvent) -> bool:
        """Whether nothing can be missing before the first event of this connection that is new."""
        all_again = 0 < self._unnamed == self._hearing.places
        return self._hearing.leads_to(event) or (all_again and not event.id)

    def _is_repeated(self, event: ServerSentEvent) -> bool:
        """Whether the event was shown before: on another connection, or on this one by its id."""
        hearing = self._hearing
        known = hearing.knows(event) and (not self._joined or event.id in self._ids)
        if event.id and len(self._ids) < _PLACES_REMEMBERED:
            self._ids.add(event.id)
        if not self._joined and hearing.has_at(self._unnamed, event):
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
