"""What a scripted agent does, move by move.

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

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from acp_langgraph.testing.gate import Gate

if TYPE_CHECKING:
    from acp_langgraph.testing.runs import FakeRun

__all__ = ["Answer", "Ask", "Emit", "Fail", "Move", "Play", "Script", "Work", "play"]


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
            (`custom`), or not even an event (`raw`).
    """

    payload: Any
    kind: Literal["values", "custom", "raw"] = "custom"


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
