"""The threads of a graph, for whoever goes on with them: how they are, and which of them are suspended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.errors import UnknownInterruptError
from langgraph.types import Command

from acp_langgraph.core.flow import AWAITING, BLOCKING, Flow, Work, adrive, drive
from acp_langgraph.errors import NodeConfigurationError
from acp_langgraph.nodes.langgraph import CONFIG_KEY_STRICT_RESUME
from acp_langgraph.nodes.suspending import WOKEN, Wait, cancel, look_at
from acp_langgraph.waking.finding import Candidate, find, let_go, take
from acp_langgraph.waking.locks import thread_lock
from acp_langgraph.waking.savers import awaits

T = TypeVar("T")

Configure: TypeAlias = Callable[[str], RunnableConfig]
"""Makes the configuration with which a thread is gone on with, of its id."""

Lock: TypeAlias = Callable[[str], Any]
"""Makes the lock of a thread, of its id: a context manager, blocking or awaiting as the saver is."""


@dataclass(frozen=True, slots=True)
class ThreadView:
    """How a thread is.

    Attributes:
        stored_at: When its newest checkpoint was made, in seconds since 1970.
        waits: What it is suspended for.
        has_failed: Whether it stands at an error, which is for somebody to enter again.
        is_entered: Whether somebody is at work in it, or has died there.
        is_stuck: Whether all tasks of a step are done and the next step has not begun, as two answers at
            once leave it.
        is_over: Whether it has come to its end.
        is_woken: Whether who woke it has stored it last.
        is_paused: Whether the graph stops there by `interrupt_before` or `interrupt_after`.
        asks: Whether it shows a question. That this was answered, and somebody is at work again, does not show.
    """

    stored_at: float
    waits: tuple[Wait, ...] = ()
    has_failed: bool = False
    is_entered: bool = False
    is_stuck: bool = False
    is_over: bool = False
    is_woken: bool = False
    is_paused: bool = False
    asks: bool = False


class Threads(Protocol):
    """The threads of a graph, wherever that is."""

    def read(self, thread_id: str, /) -> Flow[ThreadView | None]:
        """How a thread is; `None` if nothing of it is stored."""

    def resume(self, thread_id: str, waits: Iterable[Wait], /) -> Flow[bool]:
        """Wake it; whether it was, and nobody else had done so."""

    def go_on(self, thread_id: str, /) -> Flow[None]:
        """Enter it where it is."""

    def look(self, thread_id: str, wait: Wait, /) -> Flow[bool | None]:
        """Whether a run is at work; `None` if nobody here can tell."""

    def cancel(self, thread_id: str, wait: Wait, /) -> Flow[bool]:
        """End a run; whether it was."""

    def let_go(self, thread_id: str, /) -> Flow[None]:
        """Take away what tells that a waker was at it."""

    def candidates(self, after: str, /) -> Flow[tuple[list[Candidate], str | None]]:
        """Threads that may be suspended, some at a time; and after which the next are, if there are more."""

    def locked(self, thread_id: str, flow: Callable[[], Flow[T]], /) -> Flow[T]:
        """Have a flow performed while nobody else goes on with the thread."""

    @property
    def awaits(self) -> bool:
        """Whether its flows may be awaited; if not, they are performed in a thread."""


class GraphThreads:
    """The threads of a compiled graph.

    Args:
        graph: The graph, with the checkpointer that its threads are in.
        configure: Makes what else to invoke a thread with, as `configurable`; by default nothing.
        lock: Makes a thread's lock; by default `thread_lock`.

    Raises:
        NodeConfigurationError: If the graph has no checkpointer.
    """

    def __init__(
        self, graph: Any, configure: Configure | None = None, lock: Lock | None = None
    ) -> None:
        saver = getattr(graph, "checkpointer", None)
        if saver is None or isinstance(saver, bool):
            raise NodeConfigurationError(
                "nothing is suspended in a graph without a checkpointer: compile it with the one that "
                "the graph's threads are in"
            )
        self._graph = graph
        self._saver = saver
        self._configure = configure or _nothing_more
        self._lock: Lock = lock or partial(thread_lock, saver)
        self.awaits = awaits(saver)

    def read(self, thread_id: str) -> Flow[ThreadView | None]:
        """How a thread is; `None` if nothing of it is stored."""
        config = self._config(thread_id)
        state = yield from Work(
            lambda: self._graph.get_state(config), lambda: self._graph.aget_state(config)
        )
        if not state.created_at:
            return None
        stops = (self._graph.interrupt_before_nodes, self._graph.interrupt_after_nodes)
        return view_of(
            [(each.error, each.result, each.interrupts) for each in state.tasks],
            state.next,
            state.created_at,
            state.metadata or {},
            is_paused=any(stops),
        )

    def resume(self, thread_id: str, waits: Iterable[Wait]) -> Flow[bool]:
        """Wake it; whether it was, and nobody else had done so."""
        command: Command[Any] = Command(resume={each.id: WOKEN for each in waits})
        try:
            yield from self._invoked(command, thread_id)
        except UnknownInterruptError:
            return False
        return True

    def go_on(self, thread_id: str) -> Flow[None]:
        """Enter it where it is."""
        return self._invoked(None, thread_id)

    def look(self, thread_id: str, wait: Wait) -> Flow[bool | None]:
        """Whether a run is at work; `None` if none of the nodes here waits for runs like it."""
        return look_at(wait, self._config(thread_id))

    def cancel(self, thread_id: str, wait: Wait) -> Flow[bool]:
        """End a run; whether it was."""
        return cancel(wait, self._config(thread_id))

    def locked(self, thread_id: str, flow: Callable[[], Flow[T]]) -> Flow[T]:
        """Have a flow performed while nobody else goes on with the thread."""

        def blocking() -> T:
            lock: AbstractContextManager[Any] = self._lock(thread_id)
            with lock:
                return drive(flow(), BLOCKING)

        async def awaiting() -> T:
            lock: AbstractAsyncContextManager[Any] = self._lock(thread_id)
            async with lock:
                return await adrive(flow(), AWAITING)

        return (yield from Work(blocking, awaiting))

    def candidates(self, after: str) -> Flow[tuple[list[Candidate], str | None]]:
        """Threads that may be suspended, some at a time; and after which the next are, if there are more."""
        return find(self._saver, after)

    def let_go(self, thread_id: str) -> Flow[None]:
        """Take away the note that a waker was at it."""
        return let_go(self._saver, thread_id)

    def _invoked(self, value: Any, thread_id: str) -> Flow[None]:
        config = self._config(thread_id)
        config["configurable"][CONFIG_KEY_STRICT_RESUME] = True
        config["metadata"] = {**config.get("metadata", {}), WOKEN: True}
        yield from take(self._saver, thread_id)
        try:
            yield from Work(
                lambda: self._graph.invoke(value, config),
                lambda: self._graph.ainvoke(value, config),
            )
        except Exception:  # which the graph has stored
            yield from let_go(self._saver, thread_id)
            raise
        yield from let_go(self._saver, thread_id)

    def _config(self, thread_id: str) -> RunnableConfig:
        config: RunnableConfig = {**self._configure(thread_id)}
        config["configurable"] = {**config.get("configurable", {}), "thread_id": thread_id}
        return config


def view_of(
    tasks: Iterable[tuple[Any, Any, Iterable[Any]]],
    next_: Iterable[str],
    created_at: str,
    metadata: Mapping[str, Any],
    *,
    is_paused: bool = False,
) -> ThreadView:
    """How a thread is, of its state.

    Args:
        tasks: Of each task of the step that it is at: its error, its result, and its interrupts.
        next_: The nodes that are not done.
        created_at: When its newest checkpoint was made.
        metadata: That checkpoint's.
        is_paused: Whether the graph has static breakpoints.
    """
    waits: list[Wait] = []
    failed = entered = anything = questioned = False
    for error, result, interrupts in tasks:
        anything = True
        if result is not None:
            continue
        own = [wait for each in interrupts if (wait := Wait.of(each)) is not None]
        asks = bool(tuple(interrupts))
        failed = failed or (error is not None and (bool(own) or not asks))
        entered = entered or (error is None and not asks)
        questioned = questioned or (asks and not own)
        waits += own
    return ThreadView(
        stored_at=datetime.fromisoformat(created_at).timestamp(),
        waits=tuple(waits),
        has_failed=failed,
        is_entered=entered,
        is_stuck=anything and not tuple(next_),
        is_over=not anything,
        is_woken=bool(metadata.get(WOKEN)),
        is_paused=is_paused and entered,
        asks=questioned,
    )


def _nothing_more(_: str) -> RunnableConfig:
    return {}
