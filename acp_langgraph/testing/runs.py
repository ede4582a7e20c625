"""The runs of scripted agents: what they did, what they were told, and how they go on.

Nothing here has a thread or a clock of its own. A run goes on, under the server's lock, whenever
somebody looks: it plays the moves of its script until one of them has to wait.

A script is a list of moves, or a function from a run to a generator of them, which receives what
the client answered:

    [Ask({"question": "Send it?"}), Answer({"text": "sent"})]

    def script(run):
        text = run.input["text"]
        while (yield Ask({"draft": text})) != "ok":
            text += "!"
        yield Answer({"text": text})

Moves follow each other at once, except for `Ask`, which waits for the client, and `Work`, which
waits for a gate or for time. A script that ends without `Answer` or `Fail` answers with what its
generator returns, and a script that raises fails with errcode 1.
"""

from __future__ import annotations

import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from acp_langgraph.acp.models import CANCELLED
from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.responses import Gate


@dataclass(frozen=True, slots=True)
class Answer:
    """The run succeeds.

    Attributes:
        values: The result: any JSON value, or a function of the run that makes it.
        messages: Messages of the result.
    """

    values: Any = None
    messages: list[dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """The run is interrupted and waits to be resumed; in a generator `yield` reads as the answer.

    Attributes:
        payload: What is asked: any JSON value, or a function of the run that makes it.
        name: The interrupt's name, which some servers wrap the payload in.
    """

    payload: Any = None
    name: str = "ask"


@dataclass(frozen=True, slots=True)
class Fail:
    """The run fails.

    Attributes:
        description: What went wrong.
        errcode: Its code.
        final: Whether that is the end. AGNTCY's server tries a failed run again by itself, and
            shows it as failed meanwhile; the script then goes on.
    """

    description: str = "boom"
    errcode: int = 1
    final: bool = True


@dataclass(frozen=True, slots=True)
class Work:
    """The run is busy.

    Attributes:
        until: A gate, or seconds, or a function of the run that gives either.
    """

    until: Gate | float | Callable[[FakeRun], Gate | float]


@dataclass(frozen=True, slots=True)
class Emit:
    """The run sends an update to those who watch its stream.

    Attributes:
        payload: JSON of an update; for `raw`, the bytes as they go on the wire.
        kind: Whether the payload is the output so far (`values`), an update of the agent's own
            (`custom`), a message or a piece of one (`messages`, which only LangGraph's servers stream by
            themselves), or not even an event (`raw`).
        namespace: Where in the agent it is from, if not from its top, e.g. `child:1`; of LangGraph's only.
    """

    payload: Any
    kind: Literal["values", "custom", "messages", "raw"] = "custom"
    namespace: str = ""


Move: TypeAlias = Answer | Ask | Fail | Work | Emit
Play: TypeAlias = Generator[Move, Any, Any]
Script: TypeAlias = "Iterable[Move] | Callable[[FakeRun], Play]"


def play(script: Script, run: FakeRun) -> Play:
    """The moves of a script for one run."""
    if callable(script):
        return script(run)
    return _moves(script)


def _moves(script: Iterable[Move]) -> Play:
    for move in script:  # noqa: UP028 - `yield from` would send the answers to the list
        yield move


_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


class Clock:
    """Tells the time, and never the same time twice."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """A moment later than all before."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last


_ANY_INTERRUPT: Final[dict[str, Any]] = {
    "interrupt_type": "interrupt",
    "interrupt_payload": {},
    "resume_payload": {},
}


@dataclass(slots=True)
class FakeAgent:
    """An agent that a fake server offers.

    Attributes:
        name: Its name.
        script: What each of its runs does; see `acp_langgraph.testing.runs`.
        agent_id: Its id, a UUID; follows from the name if left out.
        version: Its version.
        description: What it says it is for.
        capabilities: As in its descriptor; all of them if left out.
        input: JSON Schema of the input; anything if left out.
        output: JSON Schema of the output.
        config: JSON Schema of the configuration.
        interrupts: The interrupts that the descriptor declares.
    """

    name: str
    script: Script
    agent_id: str = ""
    version: str = "1.0.0"
    description: str = ""
    capabilities: dict[str, Any] | None = None
    input: dict[str, Any] = field(default_factory=dict)
    output: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    interrupts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.agent_id = self.agent_id or str(uuid.uuid5(_NAMESPACE, self.name))

    def to_json(self) -> dict[str, Any]:
        """The agent as a search shows it."""
        ref = {"name": self.name, "version": self.version}
        return {
            "agent_id": self.agent_id,
            "metadata": {"ref": ref, "description": self.description},
        }

    def descriptor(self) -> dict[str, Any]:
        """Everything that the agent says of itself."""
        capabilities = self.capabilities or {
            "threads": True,
            "interrupts": True,
            "callbacks": False,
            "streaming": {"values": True, "custom": True},
        }
        specs = {
            "capabilities": capabilities,
            "input": self.input,
            "output": self.output,
            "config": self.config,
            "interrupts": self.interrupts,
        }
        if self.capabilities is None:  # what can all must say what that is like
            specs |= {"custom_streaming_update": {}, "thread_state": {}}
            specs["interrupts"] = self.interrupts or [_ANY_INTERRUPT]
        return {"metadata": self.to_json()["metadata"], "specs": specs}


@dataclass(frozen=True, slots=True)
class StreamUpdate:
    """Something that a run sent to its streams.

    Attributes:
        kind: `values`, `custom`, `raw`, or how the run was settled: `result`, `interrupt`, `error`.
        payload: Belongs to the kind.
        status: The run's status then.
        namespace: Where in the agent it is from.
    """

    kind: str
    payload: Any
    status: str
    namespace: str = ""


@dataclass(slots=True, eq=False)
class FakeRun:
    """One run, as the server saw it: one object for each creation, kept for ever.

    Attributes:
        run_id: Its id.
        agent: The agent that runs.
        creation: The body of the request that created it.
        thread_id: The thread it runs on; `None` for a stateless run.
        status: `pending`, `interrupted`, `success`, `error`, or what the server calls a cancelled
            one.
        history: All statuses so far, in order.
        output: The result, interrupt or error that a wait shows; `None` while there is none.
        interrupt_name: The name of the last question.
        answers: What it was resumed with, in order.
        updates: What it sent to its streams, in order.
        cancels: How often a client asked to cancel it.
        cancelled: Whether it was cancelled.
        deleted: Whether a client deleted it.
        forgotten: Whether the server lost it.
        error: What its script raised, if anything.
        created_at: When it was created.
        updated_at: When its status changed last; no two changes have the same time.
    """

    run_id: str
    agent: FakeAgent
    creation: dict[str, Any]
    thread_id: str | None
    clock: Clock = field(repr=False)
    notify: Callable[[], None] = field(repr=False)
    status: str = "pending"
    history: list[str] = field(default_factory=lambda: ["pending"])
    output: dict[str, Any] | None = None
    interrupt_name: str = ""
    answers: list[Any] = field(default_factory=list)
    updates: list[StreamUpdate] = field(default_factory=list)
    cancels: int = 0
    cancelled: bool = False
    deleted: bool = False
    forgotten: bool = False
    error: Exception | None = None
    created_at: datetime = field(init=False)
    updated_at: datetime = field(init=False)
    _phase: Literal["playing", "asking", "ended"] = "playing"
    _play: Play = field(init=False, repr=False)
    _ready: Callable[[], bool] = field(default=lambda: True, repr=False)
    _due: float | None = None
    _leg: int = 0

    def __post_init__(self) -> None:
        self.created_at = self.updated_at = self.clock.now()
        self._play = play(self.agent.script, self)

    def __repr__(self) -> str:
        statuses = " > ".join(self.history)
        flags = [name for name in ("cancelled", "deleted", "forgotten") if getattr(self, name)]
        return f"<run {self.run_id} of {self.agent.name}: {', '.join([statuses, *flags])}>"

    @property
    def input(self) -> Any:
        """The input it was created with."""
        return self.creation.get("input")

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata it was created with."""
        return self.creation.get("metadata") or {}

    @property
    def config(self) -> dict[str, Any]:
        """The configuration it was created with."""
        return self.creation.get("config") or {}

    @property
    def resumed(self) -> int:
        """How often it was resumed."""
        return len(self.answers)

    @property
    def running(self) -> bool:
        """Whether it is at work: neither ended nor waiting for an answer."""
        return self._phase == "playing"

    @property
    def interrupted(self) -> bool:
        """Whether it waits for an answer."""
        return self._phase == "asking"

    @property
    def completed(self) -> bool:
        """Whether it came to a result."""
        return self._phase == "ended" and self.status == "success"

    @property
    def gone(self) -> bool:
        """Whether the server answers 404 about it."""
        return self.deleted or self.forgotten

    @property
    def leg(self) -> int:
        """How many of its updates were sent before it was resumed last."""
        return self._leg

    @property
    def due(self) -> float | None:
        """When it goes on by itself, on `time.monotonic`'s clock."""
        return self._due if self.running else None

    # Going on; the server's business, under its lock

    def postpone(self, seconds: float, ready: Callable[[], bool] = lambda: True) -> None:
        """Hold the run back before its first move, for a time and until something is so."""
        self._due = due = time.monotonic() + seconds
        self._ready = lambda: time.monotonic() >= due and ready()

    def advance(self) -> None:
        """Play on as far as it goes."""
        while self.running and self._ready():
            self._due = None
            self._ready = lambda: True
            self._step(None)

    def resume(self, answer: Any) -> None:
        """Give the answer that an interrupted run waits for."""
        self.answers.append(answer)
        self._leg = len(self.updates)
        self.output = None
        self._phase = "playing"
        self._set_status("pending")
        self._step(answer)
        self.advance()

    def cancel(self, status: str) -> None:
        """End it under this status, if it has not ended."""
        if self._phase != "ended":
            self.cancelled = True
            self._play.close()
            self._settle("error", self._error(CANCELLED, "the run was cancelled"), status)

    def lose(self) -> None:
        """The server knows nothing of it any more."""
        self.forgotten = True
        self._phase = "ended"
        self._play.close()
        self.notify()

    def _step(self, answer: Any) -> None:
        try:
            self._perform(self._play.send(answer))
        except StopIteration as end:
            self._perform(Answer(end.value))
        except Exception as error:  # noqa: BLE001 - a failing agent is what a test may want
            self.error = error
            self._perform(Fail(str(error)))

    def _perform(self, move: Move) -> None:
        match move:
            case Answer():
                output = {"type": "result", "values": self._made(move.values)}
                if move.messages is not None:
                    output["messages"] = move.messages
                self._settle("result", output, "success")
            case Ask():
                self.interrupt_name = move.name
                output = {"type": "interrupt", "interrupt": self._made(move.payload)}
                self._settle("interrupt", output, "interrupted")
            case Fail(final=True):
                self._settle("error", self._error(move.errcode, move.description), "error")
            case Fail():
                self._set_status("error")
            case Work():
                self._work(self._made(move.until))
            case Emit():
                self.updates.append(
                    StreamUpdate(move.kind, move.payload, self.status, move.namespace)
                )
                self.notify()
            case _:
                raise TypeError(f"a script made the move {move!r}; see acp_langgraph.testing.runs")

    def _work(self, until: Gate | float) -> None:
        if isinstance(until, Gate):
            until.arrive(self.notify)
            self._ready = lambda: until.is_open
        else:
            self.postpone(until)

    def _settle(self, kind: str, output: dict[str, Any], status: str) -> None:
        self._phase = "asking" if kind == "interrupt" else "ended"
        self.output = output
        self._set_status(status)
        self.updates.append(StreamUpdate(kind, output, status))

    def _set_status(self, status: str) -> None:
        self.status = status
        self.history.append(status)
        self.updated_at = self.clock.now()
        self.notify()

    def _error(self, errcode: int, description: str) -> dict[str, Any]:
        return {
            "type": "error",
            "run_id": self.run_id,
            "errcode": errcode,
            "description": description,
        }

    def _made(self, value: Any) -> Any:
        return value(self) if callable(value) else value


@dataclass(slots=True, eq=False)
class FakeThread:
    """A thread: metadata, and the states that its runs left.

    Attributes:
        thread_id: Its id.
        metadata: Its metadata.
        clock: Tells the time.
        states: Its history, latest first, as the protocol shows it.
        created_at: When it was created.
        updated_at: When it changed last.
    """

    thread_id: str
    metadata: dict[str, Any]
    clock: Clock = field(repr=False)
    states: list[dict[str, Any]] = field(default_factory=list)
    created_at: datetime = field(init=False)
    updated_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.created_at = self.updated_at = self.clock.now()

    @property
    def values(self) -> Any:
        """The latest state; `None` while there is none."""
        return self.states[0]["values"] if self.states else None

    def write(self, values: Any, **metadata: Any) -> None:
        """Add a state; the fields of objects are merged, as a graph without reducers does."""
        before = self.values
        if isinstance(before, dict) and isinstance(values, dict):
            values = {**before, **values}
        checkpoint = {"checkpoint_id": str(uuid.uuid4())}
        state = {"checkpoint": checkpoint, "values": values, "metadata": metadata}
        self.states.insert(0, state)
        self.updated_at = self.clock.now()


class ScriptedRuns(FakeHTTPServer):
    """What a test asks of the runs of a fake server."""

    runs: list[FakeRun]

    @abstractmethod
    def _advance(self) -> None:
        """Let every run go on as far as it can; with the lock held."""

    @property
    def run(self) -> FakeRun:
        """The only run there ever was.

        Raises:
            AssertionError: If there were none or several.
        """
        if len(self.runs) != 1:
            raise AssertionError(f"expected one run, there were {len(self.runs)}: {self.runs}")
        with self.changed:
            self._advance()
        return self.runs[0]

    @property
    def created(self) -> int:
        """How many runs were ever created."""
        return len(self.runs)

    @property
    def completed(self) -> int:
        """How many runs came to a result."""
        return self._count(lambda run: run.completed)

    @property
    def running(self) -> int:
        """How many runs are at work."""
        return self._count(lambda run: run.running)

    @property
    def interrupted(self) -> int:
        """How many runs wait for an answer."""
        return self._count(lambda run: run.interrupted)

    def next_change_due(self) -> float | None:
        """When the next run goes on by itself."""
        return min((run.due for run in self.runs if run.due is not None), default=None)

    def _count(self, counts: Callable[[FakeRun], bool]) -> int:
        with self.changed:
            self._advance()
            return sum(map(counts, self.runs))
