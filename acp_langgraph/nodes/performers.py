"""What a flow's effects mean inside a graph.

A step becomes a LangGraph task, so that the checkpointer remembers its result; a question becomes
an interrupt of the graph; every sign of life from the other side is a heartbeat for the node's idle
time-out, and what a remote agent emits goes to whoever watches. What a step does inside, it does
through the transport.
"""

from __future__ import annotations

from typing import Any

from langgraph.runtime import get_runtime

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
from acp_langgraph.nodes.langgraph import arun_as_task, run_as_task
from acp_langgraph.nodes.leaving import LOOK_EVERY, leave_if_drained, until_drained
from acp_langgraph.nodes.reporting import ProgressTeller, Report
from acp_langgraph.transport import AsyncTransport, Transport
from acp_langgraph.transport.exchange import refuse_to_ask


class StoppedError(RuntimeError):
    """The node's execution was stopped while a step was still at work in another thread."""


class _Watch:
    """What both performers do without waiting for anything.

    Attributes:
        execution: The node's execution.
        run_id: The remote job, once known.
        key: What the remote job is, or is about to be, marked with.
        report: What tells of the execution, if anybody wants to know.
    """

    __slots__ = ("_teller", "_transport", "execution", "key", "report", "run_id", "shown")

    def __init__(self, execution: Execution, agent: str) -> None:
        self.execution = execution
        self._teller: ProgressTeller | None = None
        if execution.sink.is_there:
            self._teller = ProgressTeller(execution.place[1], agent)
        self.run_id: str | None = None
        self.key: str | None = None
        self.report: Report | None = None

    def asking(self, ask: Ask) -> Flow[Any]:
        """Interrupt the graph, or give the answer that it was resumed with."""
        if self.execution.questions is None:
            return refuse_to_ask(ask)
        return self.execution.questions.put(ask)

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


class GraphPerformer(_Watch):
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
        self.run_id, self.key = None, begin.key

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
        barrier = self.execution.barrier

        def body() -> Any:
            if step.anchored and barrier is not None:
                barrier.await_checkpoints()
            ran.append(_task_id())
            return drive(step.body(), self)

        ran: list[str] = []
        body.__name__ = step.name
        result = run_as_task(body)
        if step.settled and barrier is not None and ran:
            barrier.await_result(ran[0])
        return result

    def _tell(self, progress: Progress) -> None:
        if self.stopped:
            raise StoppedError("the node was stopped")
        leave_if_drained(self.execution.runtime)
        self.progress(progress)


class AsyncGraphPerformer(_Watch):
    """Performs the effects of a flow inside a graph, awaiting."""

    __slots__ = ()

    def __init__(self, transport: AsyncTransport, execution: Execution, agent: str = "") -> None:
        super().__init__(execution, agent)
        self.shown = transport.shown
        self._transport = transport

    async def call(self, call: Call[Any]) -> Reply:
        """Exchange one request for one reply; one that may take long is left when draining."""
        if not call.may_leave:
            return await self._transport.exchange(call)
        async with until_drained(self.execution.runtime):
            return await self._transport.exchange(call)

    async def listen(self, listen: Listen) -> None:
        """Read a stream, showing what it brings; it is left when draining."""
        try:
            async with until_drained(self.execution.runtime):
                await self._transport.listen(listen, self.progress)
        finally:
            await self.execution.sink.ahush()

    async def ask(self, ask: Ask) -> Any:
        """Put the question as the graph's interrupt."""
        return await adrive(self.asking(ask), self)

    async def pause(self, pause: Pause) -> None:
        """Sleep; where nothing is lost by it, not while draining."""
        async with until_drained(self.execution.runtime if pause.may_leave else None):
            await self._transport.pause(pause)

    async def begin(self, begin: Begin) -> None:
        """Know what to end, should the node be cancelled."""
        self.run_id, self.key = None, begin.key

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
        barrier = self.execution.barrier

        async def body() -> Any:
            if step.anchored and barrier is not None:
                await barrier.aawait_checkpoints()
            ran.append(_task_id())
            return await adrive(step.body(), self)

        ran: list[str] = []
        body.__name__ = step.name
        result = await arun_as_task(body)
        if step.settled and barrier is not None and ran:
            await barrier.aawait_result(ran[0])
        return result


def _task_id() -> str:
    """The id of the task that this is called in."""
    info = get_runtime().execution_info
    assert info is not None  # noqa: S101 - LangGraph sets it for every task
    return info.task_id
