"""The stream of a run: from its bytes to its updates, without I/O, and what of them is shown while it works.

The protocol says nothing of what happens when a stream is joined again after the last event heard
(`Last-Event-ID`), and servers differ. They may send what follows; or everything again, which is
recognized by its ids and contents, or without ids by its place and content; or only what is new, counted
from 1 again, of which the ids look familiar and the contents do not. `acp_langgraph.jobs.listening` deals
with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from acp_langgraph.acp.models import (
    CustomRunResultUpdate,
    RunError,
    RunInterrupt,
    RunOutputStream,
    RunStatus,
    ValueRunResultUpdate,
)
from acp_langgraph.acp.order import RunOrder
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Flow, Progress
from acp_langgraph.core.sse import ServerSentEvent, SSEDecoder
from acp_langgraph.core.wire import read_json
from acp_langgraph.errors import ApiTypeError
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.jobs.listening import StreamPart, Telling, Told

T = TypeVar("T")

# `agent_event` is the protocol's only type; `message` is what an event without a type has.
TYPES = frozenset({"agent_event", "message"})


class EventReader:
    """Reads the stream of one run.

    Events of a type that the protocol does not know are passed on if they carry a JSON object. What is
    no update is skipped: proxies and frameworks put their own kinds of keep-alive into streams.

    Args:
        call: The call that is answered with the stream; named in errors.
        max_event_size: Characters that one event may have.
    """

    def __init__(self, call: Call[RunOutputStream], max_event_size: int) -> None:
        self._call = call
        self._decoder = SSEDecoder(max_event_size=max_event_size)

    @property
    def last_event_id(self) -> str:
        """What to send as `Last-Event-ID` to take the stream up again; empty if nothing."""
        return self._decoder.last_event_id

    def feed(self, chunk: bytes) -> Iterator[RunOutputStream]:
        """Take in the next bytes; the updates that are complete now.

        Raises:
            EventStreamError: If an event is too large.
        """
        updates = map(_update, self._decoder.feed(chunk))
        return (update for update in updates if update is not None)

    def close(self) -> None:
        """Say that the stream has ended; what it cut off is dropped.

        Raises:
            EventStreamError: If an event was too large.
        """
        self._decoder.close()


def _update(event: ServerSentEvent) -> RunOutputStream | None:
    """The update in an event; `None` for what is none: `ping`, `[DONE]`, nothing at all."""
    try:
        data = read_json(event.data)
        if event.event in TYPES and "type" not in data:
            return None
        return RunOutputStream(id=event.id, event=event.event, data=data)
    except (ValueError, TypeError):
        return None


def read_events(call: Call[RunOutputStream], reply: Reply) -> list[RunOutputStream]:
    """The updates of a stream that came as a whole.

    Raises:
        ApiException: If the reply is an error, or something else than a stream of updates.
    """
    reader = EventReader(call, max_event_size=len(reply.content))
    if not call.is_streamed_by(reply):
        call.read(reply)
    return list(reader.feed(reply.content))


def streamed(call: Call[T]) -> Call[T]:
    """The same call.

    Raises:
        ApiTypeError: If it is not answered with a stream.
    """
    if not call.streams:
        raise ApiTypeError(f"{call.operation} is not answered with a stream; use send")
    return call


def unstreamed(call: Call[T]) -> Call[T]:
    """The same call.

    Raises:
        ApiTypeError: If it is answered with a stream, of which nobody would see the events.
    """
    if call.streams:
        raise ApiTypeError(f"{call.operation} is answered with a stream; use stream")
    return call


@dataclass(frozen=True, slots=True)
class RunStream:
    """The stream of one run.

    Attributes:
        order: What is run.
        policy: How patient to be.
        run_id: The run.
    """

    order: RunOrder
    policy: JobPolicy
    run_id: str

    @property
    def node(self) -> str:
        """The name of the node that wants it."""
        return self.order.node

    def join(self) -> Call[Any]:
        """What is answered with the stream."""
        return self.order.stream(self.run_id)

    def telling(self, call: Call[Any]) -> Telling:  # noqa: ARG002 - as of all sources
        """What makes something of its events."""
        return _told

    def is_at_work(self) -> Flow[bool]:
        """Whether the server says that the run is at work."""
        run = yield from self.policy.repeat(self.order.get(self.run_id))
        yield Progress("looked", self.run_id, {"status": str(run.status)})
        return bool(run.status == RunStatus.PENDING)


def _told(event: ServerSentEvent) -> Iterator[Told]:
    """What an event tells, if it has an update."""
    update = _update(event)
    if update is not None:
        data = update.data
        # Questions and errors the graph shows by itself.
        shown = [] if isinstance(data, RunInterrupt | RunError) else [StreamPart(*_content(data))]
        yield Told(event, shown, _settles(data), event.event in TYPES)


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
