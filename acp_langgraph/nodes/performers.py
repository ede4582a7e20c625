"""What a flow's effects mean inside a graph, and what ends them early.

A step becomes a LangGraph task, so that the checkpointer remembers its result; a question becomes
an interrupt of the graph; every sign of life from the other side is a heartbeat for the node's idle
time-out, and what a remote agent emits goes to whoever watches. What a step does inside, it does
through the transport.

LangGraph says that a graph is to be drained by a flag that somebody has to look at. With thousands of
waits on one event loop, one look a second by each of them would be thousands of awakenings; so one timer
looks for all.

LangGraph ends a stream that is broken off by cancelling its nodes from a task of its own. Whoever is
cancelled again and again until it is gone, as `anyio` does it (and so Starlette, FastAPI and whatever else
is built on its task groups), cancels that task with it before it begins; and the nodes go on, with nobody
to take what they give. What a graph always does when it is left is to tell its callbacks, so they are
listened to, be it of this graph or of those around it. Which loops run these graphs is private
(`acp_langgraph.nodes.langgraph`); where it cannot be told, nothing is noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime, get_runtime

from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import (
    Ask,
    Begin,
    Flow,
    Listen,
    Pause,
    Progress,
    RemoteEvent,
    Step,
    Work,
    adrive,
    drive,
)
from acp_langgraph.nodes.execution import Execution
from acp_langgraph.nodes.langgraph import Questions, arun_as_task, run_as_task
from acp_langgraph.nodes.reporting import ProgressTeller, Report
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.exchange import refuse_to_ask

T = TypeVar("T")


class ended_with_the_graph:  # noqa: N801 - reads as a function
    """Cancel the current task if a graph around it is left before what is inside is done.

    Args:
        loops: What runs the graph that the task is in, and those around it.
    """

    __slots__ = ("_loops", "_task")

    def __init__(self, loops: Sequence[Any]) -> None:
        self._loops = loops

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        for graph in self._loops:
            _LEAVINGS.tell(self, graph)

    def __exit__(self, *_: object) -> None:
        for graph in self._loops:
            _LEAVINGS.no_longer_tell(self, graph)

    def end(self, is_told: Callable[[ended_with_the_graph], bool]) -> None:
        """End what is inside, from whichever thread, unless it has come to its end by itself."""
        task = self._task
        assert task is not None  # noqa: S101 - whoever awaits is in one
        with suppress(RuntimeError):  # its loop is closed
            task.get_loop().call_soon_threadsafe(lambda: is_told(self) and task.cancel())


class _Leavings(BaseCallbackHandler):
    """Hears when a graph is left, of every graph in which somebody is at work just now."""

    run_inline = True

    def __init__(self) -> None:
        self._told: dict[UUID, set[ended_with_the_graph]] = {}

    def tell(self, who: ended_with_the_graph, graph: Any) -> None:
        manager: Any = getattr(graph, "manager", None)
        if not hasattr(manager, "handlers"):
            return
        if manager.run_id not in self._told:
            self._told[manager.run_id] = set()
            manager.handlers.append(self)
        self._told[manager.run_id].add(who)

    def no_longer_tell(self, who: ended_with_the_graph, graph: Any) -> None:
        manager: Any = getattr(graph, "manager", None)
        told = self._told.get(getattr(manager, "run_id", None))  # type: ignore[arg-type]  # or none
        if told is None:
            return
        told.discard(who)
        if not told:
            del self._told[manager.run_id]
            manager.handlers.remove(self)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002 - whatever it was
        for who in tuple(self._told.get(run_id, ())):
            who.end(lambda who: who in self._told.get(run_id, ()))


_LEAVINGS: Final = _Leavings()


LOOK_EVERY: Final = 1.0
"""Seconds from one look to the next."""


def leave_if_drained(runtime: Runtime[Any] | None) -> None:
    """Leave the remote job to itself if the graph is to stop; it is rejoined later.

    Raises:
        GraphDrained: LangGraph's own, which keeps the checkpoint.
    """
    if runtime is not None and runtime.drain_requested:
        raise GraphDrained(runtime.drain_reason or "shutdown")


async def until_drained(
    runtime: Runtime[Any] | None, work: Callable[..., Awaitable[T]], *about: Any
) -> T:
    """Await something, and leave it at the next look if the graph is to stop.

    Args:
        runtime: The graph's; `None` if nobody can stop it.
        work: What is awaited.
        *about: Its arguments.

    Raises:
        GraphDrained: See `leave_if_drained`.
    """
    if runtime is None:
        return await work(*about)
    leave_if_drained(runtime)
    watch = _watches.setdefault(asyncio.get_running_loop(), _DrainWatch())
    wait = asyncio.timeout(None)
    try:
        async with wait:
            watch.begin(wait, runtime)
            return await work(*about)
    except TimeoutError:
        leave_if_drained(runtime)
        raise
    finally:
        watch.end(wait)


class _DrainWatch:
    """Looks after the waits of one event loop, as long as there are any."""

    def __init__(self) -> None:
        self._waits: dict[asyncio.Timeout, Runtime[Any]] = {}
        self._looks = False

    def begin(self, wait: asyncio.Timeout, runtime: Runtime[Any]) -> None:
        self._waits[wait] = runtime
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def end(self, wait: asyncio.Timeout) -> None:
        self._waits.pop(wait, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for wait, runtime in list(self._waits.items()):
            if runtime.drain_requested:
                self.end(wait)
                wait.reschedule(loop.time())
        self._looks = bool(self._waits)
        if self._looks:
            loop.call_later(LOOK_EVERY, self._look)


# A watch must not hold its loop, or neither would ever go.
_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _DrainWatch] = WeakKeyDictionary()


class StoppedError(RuntimeError):
    """The node's execution was stopped while a step was still at work in another thread."""


class _Performer:
    """What both performers do without waiting for anything.

    Attributes:
        execution: The node's execution.
        run_id: The remote job, once known.
        key: What the remote job is, or is about to be, marked with.
        report: What tells of the execution, if anybody wants to know.
    """

    __slots__ = (
        "_questions",
        "_teller",
        "_transport",
        "execution",
        "key",
        "report",
        "run_id",
        "shown",
    )

    def __init__(self, execution: Execution, agent: str) -> None:
        self.execution = execution
        self._questions: Questions | None = None
        self._teller: ProgressTeller | None = None
        if execution.sink.is_there:
            self._teller = ProgressTeller(execution.place[1], agent)
        self.run_id: str | None = None
        self.key: str | None = None
        self.report: Report | None = None

    def asking(self, ask: Ask) -> Flow[Any]:
        """Interrupt the graph, or give the answer that it was resumed with."""
        if self._questions is None:
            self._questions = self.execution.questions()
        return refuse_to_ask(ask) if self._questions is None else self._questions.put(ask)

    def note(self, progress: Progress) -> RemoteEvent | None:
        """Remember which job this is about, and give a sign of life; what to tell who watches."""
        self.run_id = progress.run_id or self.run_id
        if self.report is not None:
            self.report.note(progress)
        if self.execution.runtime is not None:
            self.execution.runtime.heartbeat()
        if progress.kind == "event":
            return progress.payload  # type: ignore[no-any-return]  # of an event the payload is one
        return self._teller.event(progress) if self._teller is not None else None


class GraphPerformer(_Performer):
    """Performs the effects of a flow inside a graph, blocking."""

    __slots__ = ("stopped",)

    def __init__(self, transport: Transport, execution: Execution, agent: str = "") -> None:
        super().__init__(execution, agent)
        self.stopped = False
        self.shown = transport.shown
        self._transport = transport

    def call(self, call: Call[Any]) -> Reply:
        """Exchange one request for one reply; one that may take long not while draining."""
        if self.stopped:
            raise StoppedError("the node was stopped")
        if call.may_leave:
            leave_if_drained(self.execution.runtime)
        return self._transport.exchange(call)

    def listen(self, listen: Listen) -> None:
        """Read a stream, showing what it brings, until the node is stopped or the graph drained."""
        try:
            self._transport.listen(listen, self._tell)
        finally:
            self.execution.sink.hush()

    def ask(self, ask: Ask) -> Any:
        """Put the question as the graph's interrupt."""
        return drive(self.asking(ask), self)

    def pause(self, pause: Pause) -> None:
        """Sleep; where nothing is lost by it, not while draining."""
        left = pause.seconds
        while pause.may_leave and left > 0:
            if self.stopped:
                raise StoppedError("the node was stopped")
            leave_if_drained(self.execution.runtime)
            self._transport.pause(Pause(min(left, LOOK_EVERY)))
            left -= LOOK_EVERY
        if not pause.may_leave:
            self._transport.pause(pause)

    def begin(self, begin: Begin) -> None:
        """Know what to end, should the node be cancelled."""
        self.run_id, self.key = None, begin.key or None

    def progress(self, progress: Progress) -> None:
        """Give a sign of life, and show what became of the job and what the agent emitted."""
        event = self.note(progress)
        if event is not None:
            self.execution.sink.tell(event)

    def work(self, work: Work[Any]) -> Any:
        """Do it in the node's own context, so that what is nested keeps its place in the graph."""
        return work.blocking()

    def step(self, step: Step[Any]) -> Any:
        """Run the step as a task, whose result the checkpointer remembers."""
        if not self.execution.remembered:
            return drive(step.body(), self)
        return self._remembered(step)

    def _remembered(self, step: Step[Any]) -> Any:
        barrier = self.execution.barrier

        def body() -> Any:
            if step.anchored and barrier is not None:
                barrier.await_checkpoints()
            ran.append(_task_id())
            return drive(step.body(), self)

        ran: list[str] = []
        body.__name__ = step.name
        result = run_as_task(body)
        if barrier is not None and ran and step.must_be_stored(result):
            barrier.await_result(ran[0])
        return result

    def _tell(self, progress: Progress) -> None:
        if self.stopped:
            raise StoppedError("the node was stopped")
        leave_if_drained(self.execution.runtime)
        self.progress(progress)


class AsyncGraphPerformer(_Performer):
    """Performs the effects of a flow inside a graph, awaiting."""

    __slots__ = ()

    def __init__(self, transport: AsyncTransport, execution: Execution, agent: str = "") -> None:
        super().__init__(execution, agent)
        self.shown = transport.shown
        self._transport = transport

    def call(self, call: Call[Any]) -> Coroutine[Any, Any, Reply]:
        """Exchange one request for one reply; one that may take long is left when draining."""
        if not call.may_leave or self.execution.runtime is None:
            return self._transport.exchange(call)
        return until_drained(self.execution.runtime, self._transport.exchange, call)

    async def listen(self, listen: Listen) -> None:
        """Read a stream, showing what it brings; it is left when draining."""
        try:
            listening = self._transport.listen
            await until_drained(self.execution.runtime, listening, listen, self.progress)
        finally:
            await self.execution.sink.ahush()

    async def ask(self, ask: Ask) -> Any:
        """Put the question as the graph's interrupt."""
        return await adrive(self.asking(ask), self)

    async def pause(self, pause: Pause) -> None:
        """Sleep; where nothing is lost by it, not while draining."""
        runtime = self.execution.runtime if pause.may_leave else None
        await until_drained(runtime, self._transport.pause, pause)

    async def begin(self, begin: Begin) -> None:
        """Know what to end, should the node be cancelled."""
        self.run_id, self.key = None, begin.key or None

    async def progress(self, progress: Progress) -> None:
        """Give a sign of life, and show what became of the job and what the agent emitted."""
        event = self.note(progress)
        if event is not None:
            await self.execution.sink.atell(event)

    async def work(self, work: Work[Any]) -> Any:
        """Do it in the node's own context, so that what is nested keeps its place in the graph."""
        return await work.awaiting()

    async def step(self, step: Step[Any]) -> Any:
        """Run the step as a task, whose result the checkpointer remembers."""
        if not self.execution.remembered:
            return await adrive(step.body(), self)
        return await self._remembered(step)

    async def _remembered(self, step: Step[Any]) -> Any:
        barrier = self.execution.barrier

        async def body() -> Any:
            if step.anchored and barrier is not None:
                await barrier.aawait_checkpoints()
            ran.append(_task_id())
            return await adrive(step.body(), self)

        ran: list[str] = []
        body.__name__ = step.name
        result = await arun_as_task(body)
        if barrier is not None and ran and step.must_be_stored(result):
            await barrier.aawait_result(ran[0])
        return result


def _task_id() -> str:
    """The id of the task that this is called in."""
    info = get_runtime().execution_info
    assert info is not None  # noqa: S101 - LangGraph sets it for every task
    return info.task_id
