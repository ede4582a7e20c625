"""The two drivers: they run a flow to its end, handing each effect to a performer.

A performer decides what an effect means: the transport's performs calls and pauses, the one inside
a graph turns steps into checkpointed tasks and questions into interrupts. What a performer raises
is raised inside the flow, at the `yield` that asked for it.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import Ask, Effect, Flow, Listen, Pause, Progress, Step, Work
from acp_langgraph.errors import AcpLangGraphError

__all__ = ["AsyncPerformer", "Performer", "adrive", "drive"]

T = TypeVar("T")


class Performer(Protocol):
    """Performs the effects of a flow, blocking."""

    def call(self, call: Call[Any], /) -> Reply:
        """Exchange one request for one reply."""

    def listen(self, listen: Listen, /) -> None:
        """Read a stream to its end, and tell whoever listens."""

    def ask(self, ask: Ask, /) -> Any:
        """Have a question answered."""

    def pause(self, pause: Pause, /) -> None:
        """Let time pass."""

    def progress(self, progress: Progress, /) -> None:
        """Tell whoever listens."""

    def work(self, work: Work[Any], /) -> Any:
        """Do something on this side."""

    def step(self, step: Step[Any], /) -> Any:
        """Run a part of the flow, or remember its result."""


class AsyncPerformer(Protocol):
    """Performs the effects of a flow, awaiting."""

    async def call(self, call: Call[Any], /) -> Reply:
        """Exchange one request for one reply."""

    async def listen(self, listen: Listen, /) -> None:
        """Read a stream to its end, and tell whoever listens."""

    async def ask(self, ask: Ask, /) -> Any:
        """Have a question answered."""

    async def pause(self, pause: Pause, /) -> None:
        """Let time pass."""

    async def progress(self, progress: Progress, /) -> None:
        """Tell whoever listens."""

    async def work(self, work: Work[Any], /) -> Any:
        """Do something on this side."""

    async def step(self, step: Step[Any], /) -> Any:
        """Run a part of the flow, or remember its result."""


def drive(flow: Flow[T], performer: Performer) -> T:
    """Run a flow to its end, blocking.

    Args:
        flow: A fresh flow; it is closed on the way out.
        performer: Performs what the flow yields.

    Returns:
        What the flow returns.
    """
    try:
        effect = next(flow)
        while True:
            try:
                reply = _method(performer, effect)(effect)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the flow's to judge
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    except AcpLangGraphError as error:
        _hide(error, performer)
        raise
    finally:
        flow.close()


async def adrive(flow: Flow[T], performer: AsyncPerformer) -> T:
    """Run a flow to its end, awaiting; otherwise `drive`."""
    try:
        effect = next(flow)
        while True:
            try:
                reply = await _method(performer, effect)(effect)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the flow's to judge
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value
    except AcpLangGraphError as error:
        _hide(error, performer)
        raise
    finally:
        flow.close()


def _hide(error: AcpLangGraphError, performer: Performer | AsyncPerformer) -> None:
    """Take out of an error what the performer has shown to a server, which may have repeated it."""
    shown = getattr(performer, "shown", None)
    if shown is not None:
        shown.hidden_in(error)


_METHODS = {
    Call: "call",
    Listen: "listen",
    Ask: "ask",
    Pause: "pause",
    Progress: "progress",
    Work: "work",
    Step: "step",
}


def _method(performer: Performer | AsyncPerformer, effect: Effect) -> Any:
    try:
        return getattr(performer, _METHODS[type(effect)])
    except KeyError:
        kinds = ", ".join(kind.__name__ for kind in _METHODS)
        raise TypeError(f"a flow yielded {type(effect).__name__}; it may yield {kinds}") from None
