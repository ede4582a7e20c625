"""An ACP server that streams what its runs emit, as a value.

A run emits events, one after the other, between its beginning or an answer and whatever it comes to; each
carries its number, so that it can be told what was shown of them. Servers differ in what they send to
whoever joins after some of them.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from simulation.acp_model import ACPModel, ACPServer, ProcessNode, Run
from simulation.local_state import frozen, thawed
from simulation.process import Request

from acp_langgraph.jobs.listening import Listening, StreamCursor
from acp_langgraph.testing import ACPBehavior

__all__ = ["STREAMS", "StreamStyle", "StreamingModel"]


class StreamStyle(NamedTuple):
    """How a server streams.

    Attributes:
        ids: Whether events have ids: their own, ones that begin at 1 on every connection, or none.
        resumes: What is sent to whoever joins: what came `after` the last one heard, everything `again`,
            or what is `new`.
        tells: Whether it tells what a run came to, and not only ends.
    """

    ids: str = "own"
    resumes: str = "after"
    tells: bool = True


STREAMS = {
    "after the last id": StreamStyle(),
    "everything again": StreamStyle(resumes="again"),
    "everything again, without ids": StreamStyle(ids="none", resumes="again"),
    "what is new": StreamStyle(ids="from 1", resumes="new", tells=False),
    "what is new, without ids": StreamStyle(ids="none", resumes="new", tells=False),
}


class StreamingModel(ACPModel):
    """A server of one agent.

    Args:
        style: How it streams.
        emits: How many events a run emits before it asks, or is done.
        **more: As of an `ACPModel`.
    """

    def __init__(self, style: StreamStyle, *, emits: int = 2, **more: Any) -> None:
        super().__init__(ACPBehavior(), **more)
        self.style = style
        self.emits = emits

    def moves(self, server: ACPServer) -> list[tuple[str, ACPServer]]:
        """What the agent may do next: emit all that it has to, and then go on."""
        found = []
        for said, after in super().moves(server):
            (index,) = (n for n, run in enumerate(server.runs) if run != after.runs[n])
            run = server.runs[index]
            if run.emitted < self.emits * (len(run.answers) + 1):
                emitted = run._replace(emitted=run.emitted + 1)
                runs = (*server.runs[:index], emitted, *server.runs[index + 1 :])
                found.append((f"{run.name} emits {emitted.emitted}", server._replace(runs=runs)))
            else:
                found.append((said, after))
        return found

    # Streams

    def is_stream(self, request: Request) -> bool:
        """Whether a request is answered with a stream, or for the next piece of it."""
        return request.operation == "stream_stateless_run_output"

    def joined(self, server: ACPServer, request: Request) -> tuple[Any, ...]:
        """What becomes of joining: the place among the run's events from where it goes on."""
        run = self._run_of(server, request)
        if run is None:
            return ("http", 404, b'"Run not found"')
        last = dict(request.query)["last-event-id"]
        match self.style.resumes:
            case "after":
                return ("value", int(last or 0))
            case "again":
                return ("value", 0)
        return ("value", len(self._events(run)))

    def event(self, server: ACPServer, request: Request) -> tuple[str, bytes | None]:
        """The next event of a stream, in words and bytes: `None` if there is none yet, empty at its end."""
        run = self._run_of(server, request)
        joined, place = (int(dict(request.query)[each]) for each in ("joined", "place"))
        events = [] if run is None else self._events(run)
        if place >= len(events):
            over = run is None or run.status != "pending"
            return "", b"" if over else None
        said, data = events[place]
        number = place + 1 - (joined if self.style.ids == "from 1" else 0)
        named = "" if self.style.ids == "none" else f"id: {number}\n"
        return said, f"{named}event: agent_event\ndata: {json.dumps(data)}\n\n".encode()

    def _events(self, run: Run) -> list[tuple[str, dict[str, Any]]]:
        told = {"run_id": run.run_id, "status": "pending"}
        events: list[tuple[str, dict[str, Any]]] = []
        segments = len(run.answers) + (run.status != "pending")
        for segment in range(len(run.answers) + 1):
            for number in range(self.emits * segment + 1, self.emits * (segment + 1) + 1):
                if number <= run.emitted:
                    data = {**told, "type": "custom", "update": {"number": number}}
                    events.append((f"event {number}", data))
            if self.style.tells and segment < segments:
                events.append(self._settling(run, segment))
        return events

    def _settling(self, run: Run, segment: int) -> tuple[str, dict[str, Any]]:
        if segment < len(run.answers) or run.status == "interrupted":
            data = {"type": "interrupt", "interrupt": self.questions[segment]}
            return "that it asks", {"run_id": run.run_id, "status": "interrupted", **data}
        output = self._output(run)
        if run.status == "success":
            return "its result", {**output, "type": "values", "status": "success"}
        return "its error", {**output, "status": "error"}

    def _run_of(self, server: ACPServer, request: Request) -> Run | None:
        found = self._find(server, request)
        return None if found is None else found[1]


class WatchedNode(ProcessNode):
    """An `ACPNode` that knows what it has shown."""

    def memory(self) -> Any:
        """What of it outlives an invocation."""
        listening = self._listening
        known = None
        if listening is not None:
            cursors = tuple(frozen(each) for each in listening.cursors.values())
            known = (listening.modes, listening.max_event_size, listening.refuses_modes, cursors)
        return super().memory(), known

    def restore(self, memory: Any) -> None:
        """Be as one that remembers this."""
        super().restore(memory[0])
        if memory[1] is not None:
            *options, cursors = memory[1]
            self._listening = Listening(self.agent, *options)
            for each in cursors:
                cursor = thawed(StreamCursor(""), each)
                self._listening.cursors[cursor.run_id] = cursor
