"""What a run of the Agent Connect Protocol emits while it works, to be shown.

The protocol says nothing of what happens when a stream is joined again after the last event heard
(`Last-Event-ID`), and servers differ. They may send what follows; or everything again, which is
recognized by its ids and contents, or without ids by its place and content; or only what is new, counted
from 1 again, of which the ids look familiar and the contents do not. `acp_langgraph.jobs.listening` deals
with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from acp_langgraph.acp.events import TYPES, EventReader
from acp_langgraph.acp.models import (
    CustomRunResultUpdate,
    RunError,
    RunInterrupt,
    RunStatus,
    ValueRunResultUpdate,
)
from acp_langgraph.acp.order import RunOrder
from acp_langgraph.core.calls import Call
from acp_langgraph.core.flow import Flow, Progress
from acp_langgraph.errors import OpenApiException
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.jobs.listening import Shown, Told


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

    def decoder(self, call: Call[Any], max_event_size: int) -> _Decoder:
        """A fresh decoder for the answer to a call."""
        return _Decoder(EventReader(call, max_event_size))

    def is_at_work(self) -> Flow[bool]:
        """Whether the server says that the run is at work."""
        try:
            run = yield from self.policy.repeat(self.order.get(self.run_id))
        except OpenApiException:
            return False
        yield Progress("looked", self.run_id, {"status": str(run.status)})
        return bool(run.status == RunStatus.PENDING)


@dataclass(frozen=True, slots=True)
class _Decoder:
    reader: EventReader

    def read(self, chunk: bytes) -> Iterator[Told]:
        """The events that are complete now and tell anything."""
        for event, update in self.reader.read(chunk):
            data = update.data
            # Questions and errors the graph shows by itself.
            shown = [] if isinstance(data, RunInterrupt | RunError) else [Shown(*_content(data))]
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
