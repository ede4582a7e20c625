"""Threads and runs of a fake server of LangGraph's Agent Protocol, over scripted runs.

What a script does is one `FakeRun`, from its input to its result. On the wire it is several runs of a
thread: one that starts it, and one more for every answer.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from typing import Any, Final, Literal

from acp_langgraph.testing.runs import FakeRun, StreamUpdate

_ACTIVE: Final = frozenset({"pending", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphBehavior:
    """How a server keeps to LangGraph's Agent Protocol. Every field is a keyword of the fake.

    The defaults are what `langgraph dev` (langgraph-api 0.16.7) was seen to do, `AEGRA` what Aegra 0.11.0.

    Attributes:
        asking_status: The status of a run that asks.
        rejects: Whether a second run on a busy thread is a 409 if it says `reject`; if not, both work.
        keeps_metadata: Whether a run shows the metadata that it was created with.
        shows_config: Whether a run shows its configuration.
        unknown_thread: Whether the runs of a thread that is not there are a 404, or none.
        refuses_stale: Whether an answer to a thread that asks nothing is a 400.
        event_ids: Whether every event has an id of its own, or two of them share one, as those of one
            millisecond do.
        says_end: Whether a stream ends with an event.
        schemas: Whether it tells schemas; 500 if not.
        api_key: The key that must come in `x-api-key`; 401 without.
    """

    asking_status: str = "success"
    rejects: bool = True
    keeps_metadata: bool = True
    shows_config: bool = False
    unknown_thread: bool = True
    refuses_stale: bool = False
    event_ids: Literal["shared", "unique"] = "shared"
    says_end: bool = False
    schemas: bool = True
    api_key: str | None = field(default=None, repr=False)


AEGRA: Final = GraphBehavior(
    asking_status="interrupted",
    rejects=False,
    keeps_metadata=False,
    shows_config=True,
    unknown_thread=False,
    refuses_stale=True,
    event_ids="unique",
    says_end=True,
)


@dataclass(slots=True, eq=False)
class GraphRun:
    """One run on the wire: a start or an answer.

    Attributes:
        run_id: Its id.
        body: The body of the request that created it.
        work: What it works on; an answer to nothing works on nothing.
        created_at: When it was created.
        since: How many updates of the work were sent before it.
        settled: The status that it ended with, once it has.
        until: How many updates were sent when it ended.
    """

    run_id: str
    body: dict[str, Any]
    work: FakeRun
    created_at: datetime
    since: int = 0
    settled: str | None = None
    until: int | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that it was created with."""
        return self.body.get("metadata") or {}

    @property
    def updates(self) -> list[StreamUpdate]:
        """What it has sent so far."""
        return self.work.updates[self.since : self.until]

    def advance(self, behavior: GraphBehavior) -> bool:
        """Go on as far as it goes; whether it is still at work."""
        if self.settled is None:
            self.work.advance()
            if self.work.running:
                return True
            self.until = len(self.work.updates)
            status = behavior.asking_status if self.work.interrupted else self.work.status
            self.settled = "interrupted" if self.work.cancelled else status
        return False

    def shown(self, thread_id: str, behavior: GraphBehavior) -> dict[str, Any]:
        """The run as it is sent."""
        failed = self.settled == "error" and self.work.output
        return {
            "run_id": self.run_id,
            "thread_id": thread_id,
            "assistant_id": self.work.agent.agent_id,
            "metadata": self.metadata if behavior.keeps_metadata else None,
            "config": self.body.get("config") if behavior.shows_config else None,
            "status": self.settled or "running",
            "created_at": self.created_at.isoformat(),
            "error_message": failed["description"] if failed else None,
        }


@dataclass(slots=True, eq=False)
class GraphThread:
    """A thread.

    Attributes:
        thread_id: Its id.
        runs: Its runs, oldest first.
        given: The answers to some of several questions, by the questions' ids.
        past: What it held before, newest first.
    """

    thread_id: str
    runs: list[GraphRun] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    past: list[dict[str, Any]] = field(default_factory=list)
    is_given_up: bool = False

    def questions(self) -> dict[str, Any]:
        """What is asked and not answered, by the questions' ids."""
        return {each: value for each, value in self._asked().items() if each not in self.given}

    def take(self, answers: Mapping[str, Any]) -> bool:
        """Take answers; whether the work goes on with that."""
        asked = self._asked()
        new = {each: answers[each] for each in answers if each in asked}
        self.given |= new
        if not new or not self.given.keys() >= asked.keys():
            return False
        told = [self.given[each] for each in asked]
        self.given = {}
        work = self.runs[-1].work
        several = isinstance((work.output or {}).get("interrupt"), tuple)
        work.resume(told if several else told[0])
        return True

    def state(self) -> dict[str, Any]:
        """The thread's state as it is sent."""
        if not self.runs:
            return {"values": {}, "next": [], "tasks": [], "metadata": None}
        work, output = self.runs[-1].work, self.runs[-1].work.output or {}
        asked = [{"id": each, "value": value} for each, value in self.questions().items()]
        task = {"id": work.run_id, "name": work.agent.name, "error": None, "interrupts": asked}
        if output.get("type") == "error" and not work.cancelled:
            task["error"] = f"RuntimeError({output['description']!r})"
        over = work.completed or self.is_given_up
        return {
            "values": self.values(work),
            "next": [] if over else [work.agent.name],
            "tasks": [] if over else [task],
            "metadata": {**self.runs[-1].metadata, "run_id": self.runs[-1].run_id},
        }

    def values(self, work: FakeRun) -> Any:
        """What the work's input and result have made of the state."""
        values = work.input if isinstance(work.input, dict) else {}
        if not work.completed:
            return values
        result = (work.output or {}).get("values")
        return {**values, **result} if isinstance(result, dict) else result

    def _asked(self) -> dict[str, Any]:
        if not self.runs or not self.runs[-1].work.interrupted or self.is_given_up:
            return {}
        work = self.runs[-1].work
        asked = (work.output or {}).get("interrupt")
        several = asked if isinstance(asked, tuple) else (asked,)
        place = f"{work.run_id} {len(work.answers)}"
        return {_digest(f"{place} {number}"): each for number, each in enumerate(several)}


def events(run: GraphRun, position: int, behavior: GraphBehavior) -> Iterator[tuple[str, bytes]]:
    """The ids of a run's events from a position on, each with its bytes but for the id."""
    wanted = run.body.get("stream_mode") or ["values"]
    told: list[tuple[str, Any]] = [("metadata", {"run_id": run.run_id, "attempt": 1})]
    for update in run.updates:
        told += _told(update, run.work, wanted)
    if behavior.says_end and run.settled:
        told.append(("end", {"status": run.settled}))
    for number, (kind, data) in enumerate(told[position:], position):
        step = number // 2 if behavior.event_ids == "shared" else number
        text = json.dumps(data, ensure_ascii=False) if kind else data.decode()
        event = f"event: {kind}\r\ndata: {text}\r\n" if kind else text
        yield f"{1_700_000_000_000 + step}-0", event.encode()


def _told(update: StreamUpdate, work: FakeRun, wanted: list[str]) -> list[tuple[str, Any]]:
    """The event that an update is, if it is asked for."""
    payload = update.payload
    place = f"|{update.namespace}" if update.namespace else ""
    if update.kind == "raw":
        return [("", payload)]
    if update.kind == "error":
        message = {"error": "Error", "message": payload["description"]}
        return [] if work.cancelled else [("error", message)]
    mode, data = {
        "values": ("values", payload),
        "custom": ("custom", payload),
        "messages": ("messages-tuple", [payload, {}]),
        "result": ("values", GraphThread("").values(work)),
        "interrupt": ("values", {"__interrupt__": [{"id": "0", "value": None}]}),
    }[update.kind]
    return [(mode.removesuffix("-tuple") + place, data)] if mode in wanted else []


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
