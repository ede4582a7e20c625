"""The life of runs: accepted, waiting for their thread, running, asking, answered, ended.

Everything happens in one event loop. Per run that is pending there is a `_Live`: the task that
executes it, the event that every long poll awaits, the feed of its streams. A run that asks or has
ended is only a record in the storage, however many there are.

    accepted -> (waits for its thread) -> running -> success | error
                                             ^ |
                                     resume  | v
                                          interrupted

Runs on one thread go one after another, in a queue; a question keeps its place, since the run that
asked will go on from the state as it is. Who comes while the place is taken says by its multitask
strategy what happens.

Two tasks see a run through: the segment, which executes the graph and may be cancelled at any time, and
the worker, which awaits the segment and records what it came to, and which nothing but the end of the
server cancels. So no outcome is lost between the two.

A server that is stopped leaves its pending runs as they are on file. The next one on the same
database carries them on; so does one that starts after a kill.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from acp_langgraph.acp.models import RunCreate, RunStatus
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import HostedAgent, Registry
from acp_langgraph.server.execution import (
    Outcome,
    answers_to,
    cancelled,
    execute,
    failed,
    timed_out,
)
from acp_langgraph.server.middleware import incoming_trace, within
from acp_langgraph.server.records import RunRecord, moment_after
from acp_langgraph.server.storage import RunRecorder, Storage
from acp_langgraph.server.streams import Feed, Journal, Subscription
from acp_langgraph.server.webhooks import Webhooks
from acp_langgraph.server.wire import Limits, busy, conflict, stopping, unstored


class ThreadQueues:
    """The runs of each thread that are pending or ask, in the order in which they came."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[str]] = {}

    def on(self, thread_id: str) -> tuple[str, ...]:
        """The runs on a thread, the one whose turn it is first."""
        return tuple(self._queues.get(thread_id, ()))

    def first(self, thread_id: str) -> str | None:
        """The run whose turn it is on a thread."""
        queue = self._queues.get(thread_id)
        return queue[0] if queue else None

    def ahead_of(self, run_id: str, thread_id: str) -> tuple[str, ...]:
        """The runs that stand before a run, the last one first."""
        queue = self.on(thread_id)
        return queue[: queue.index(run_id)][::-1]

    def enter(self, run_id: str, thread_id: str) -> None:
        """Put a run last on its thread."""
        self._queues.setdefault(thread_id, deque()).append(run_id)

    def leave(self, run_id: str, thread_id: str) -> None:
        """Take a run off its thread."""
        queue = self._queues.get(thread_id)
        if queue is None:
            return
        with suppress(ValueError):
            queue.remove(run_id)
        if not queue:
            del self._queues[thread_id]

    def clear(self, thread_id: str) -> None:
        """Forget who is on a thread that is no more."""
        self._queues.pop(thread_id, None)


_log = logging.getLogger(__name__)

_GRACE: Final = 10.0  # seconds that a cancelled graph has to clean up when the server stops
_LOOK_AGAIN: Final = 0.01  # seconds

_LONGEST_DELAY: Final = 10 * 365 * 86_400  # seconds; what a timer surely takes


class _Live:
    """A pending run: `settled` is set as soon as it is no longer pending."""

    def __init__(self, record: RunRecord, feed: Feed, *, again: bool = False) -> None:
        self.record = record
        self.again = again  # another server may have begun it
        self.trace = incoming_trace()  # where its segment belongs
        self.settled = asyncio.Event()
        self.stored: asyncio.Future[None] | None = None  # done when the run is on file
        self.outcome: RunRecord | None = None  # what it came to, once that is on file
        self.unstored = False  # it came to something that could not be put on file
        self.feed = feed
        self.ready = False  # stored, and what it replaces is out of the way
        self.segment: asyncio.Task[Outcome] | None = None
        self.worker: asyncio.Task[None] | None = None


class Engine:
    """Runs the agents of a server.

    Args:
        agents: What can be run.
        storage: Keeps runs and threads.
        journal: Keeps the events of streams.
        webhooks: Tells clients of changes.
        limits: How much is taken on.
    """

    def __init__(
        self,
        agents: Registry,
        storage: Storage,
        journal: Journal,
        webhooks: Webhooks,
        limits: Limits,
    ) -> None:
        self.agents = agents
        self.storage = storage
        self.journal = journal
        self._recorder = RunRecorder(agents, storage, webhooks)
        self._webhooks = webhooks
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.running)
        self._sweeper: asyncio.Task[None] | None = None
        self._live: dict[str, _Live] = {}
        self._queues = ThreadQueues()
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Carry on the runs that an earlier server on the same database left pending.

        Raises:
            ValueError: If an agent's checkpointer works only in synchronous code.
        """
        for agent in self.agents:
            await checkpoints.check_usable(agent)
        self._webhooks.start()
        self._sweeper = asyncio.create_task(self._recorder.sweep(self._limits), name="acp-sweeper")
        unfinished = await self.storage.unfinished_runs()
        for run in unfinished:
            self._queues.enter(run.run_id, run.thread_id)
            if run.status is RunStatus.PENDING:
                feed = Feed(run, self.journal, heard=True)
                self._live[run.run_id] = _Live(run, feed, again=True)
        for live in list(self._live.values()):
            run = live.record
            if self.agents.find(run.agent_id) is None:
                _log.warning("run %s waits: its agent %s is not served", run.run_id, run.agent_id)
                continue
            await self._displace(run)
            if not live.settled.is_set():
                live.ready = True
                self._advance(run.thread_id)

    async def create(
        self,
        agent: HostedAgent,
        body: RunCreate,
        thread_id: str | None = None,
        *,
        told: bool = True,
    ) -> RunRecord:
        """Accept a run and start it as soon as its thread is free.

        Nothing of the run is executed before the caller next gives up control, so that a
        subscription made right away misses nothing.

        Args:
            agent: The agent to run.
            body: What the client asked for; its input was checked.
            thread_id: An existing thread; `None` for a stateless run.
            told: Whether the client is told of the run before its end, and so may rely on it.

        Raises:
            Problem: 409, if the thread is taken and the run's multitask strategy is to be rejected;
                422, if its webhook is not allowed; 503, if too many runs are pending.
        """
        self._refuse_when_closed()
        if len(self._live) >= self._limits.pending:
            raise busy()
        if body.webhook is not None and self._webhooks.policy.allow:
            self._webhooks.policy.check(body.webhook)
        now = moment_after()
        record = RunRecord(
            run_id=str(uuid4()),
            agent_id=agent.agent_id,
            thread_id=thread_id or str(uuid4()),
            stateless=thread_id is None,
            creation=body.model_dump(mode="json", exclude_unset=True, exclude_none=True),
            created_at=now,
            updated_at=now,
        )
        # Who asks for a stream when creating a run joins it a moment later, and must miss nothing.
        heard = record.creation.get("stream_mode") is not None
        live = _Live(record, Feed(record, self.journal, heard=heard))
        taken_by = self._queues.first(record.thread_id)
        if taken_by and body.multitask_strategy == "reject":
            raise conflict(
                f"thread {thread_id} is taken by run {taken_by}; wait for it, resume or cancel it, "
                "or choose another multitask_strategy"
            )
        if thread_id is None:
            checkpoints.announce_thread(agent, record.thread_id)
        self._queues.enter(record.run_id, record.thread_id)
        self._live[record.run_id] = live
        try:
            live.stored = self._recorder.add(record)
            if told:
                await live.stored
        except BaseException:
            self._leave_lane(record)
            self._forget(live)
            raise
        await self._displace(record)
        if live.settled.is_set():  # cancelled before it could begin
            return await self.storage.get_run(record.run_id) or record
        live.ready = True
        self._advance(record.thread_id)
        return record

    async def wait(self, run_id: str) -> RunRecord | None:
        """The run as soon as it is no longer pending; `None` if it is deleted meanwhile.

        Raises:
            Problem: 503, if the server stops first; 500, if what it came to cannot be stored.
        """
        while True:
            if live := self._live.get(run_id):
                await live.settled.wait()
                if live.outcome is not None:
                    return live.outcome
                if live.unstored:
                    raise unstored()
            run = await self.storage.get_run(run_id)
            if run is None or run.status is not RunStatus.PENDING:
                return run
            self._refuse_when_closed()
            if run_id not in self._live:
                await asyncio.sleep(_LOOK_AGAIN)  # it settled between the two looks

    async def resume(self, run: RunRecord, payload: Any) -> RunRecord:
        """Answer what a run asks and let it go on.

        Raises:
            Problem: 409, if the run is not interrupted, or was answered by somebody else just now;
                422, if the answer does not fit the question.
        """
        self._refuse_when_closed()
        if run.status is not RunStatus.INTERRUPTED:
            raise conflict(f"run {run.run_id} is {run.status}, not interrupted")
        answers = answers_to(self.agents.get(run.agent_id), run.questions, payload)
        resumed = run.changed(status=RunStatus.PENDING, output=None, questions=(), answers=answers)
        if run.run_id in self._live:
            raise conflict(f"run {run.run_id} is being resumed")
        # Whoever listened before may ask for what it missed, so events are kept.
        feed = Feed(resumed, self.journal, heard=True)
        live = self._live[run.run_id] = _Live(resumed, feed)
        won = False
        try:
            won = await self._recorder.replace(run, resumed)
        finally:
            if not won:
                self._forget(live)
        if not won:
            raise conflict(f"run {run.run_id} was changed by somebody else just now")
        self._start(live)
        return resumed

    async def cancel(self, run_id: str, *, wait: bool = False, rollback: bool = False) -> None:
        """Cancel a run; one that has ended stays as it is.

        Args:
            run_id: The run.
            wait: Return only when it has ended. A synchronous node that is under way cannot be
                stopped; it ends unheard.
            rollback: Afterwards delete the run and bring its thread back to where it was before.
        """
        ending = asyncio.create_task(self._cancel(run_id, rollback=rollback))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        live = self._live.get(run_id)
        if wait or live is None or live.segment is None:
            await asyncio.shield(ending)

    async def delete(self, run: RunRecord) -> None:
        """Cancel a run if need be, and forget it."""
        await self.cancel(run.run_id, wait=True)
        await self.storage.delete_run(run.run_id)
        await self._recorder.tidy(run)

    def is_busy(self, thread_id: str) -> bool:
        """Whether a run is pending on a thread."""
        return any(run_id in self._live for run_id in self._queues.on(thread_id))

    def vacate(self, thread_id: str) -> None:
        """Forget which runs occupy a thread that is no more."""
        self._queues.clear(thread_id)

    def subscribe(self, run_id: str) -> Subscription | None:
        """Listen to a pending run; `None` if it is not pending."""
        live = self._live.get(run_id)
        return live.feed.subscribe() if live else None

    def unsubscribe(self, run_id: str, subscription: Subscription) -> None:
        """Listen no longer."""
        if live := self._live.get(run_id):
            live.feed.unsubscribe(subscription)

    async def count_runs(self) -> dict[str, int]:
        """How many runs of which status there are, stateless and on threads."""
        return await self.storage.count_runs()

    async def close(self) -> None:
        """Cancel everything that runs and release everybody who waits. Records stay as they are."""
        self._closed = True
        lives = list(self._live.values())
        tasks = [task for live in lives for task in (live.worker, live.segment) if task]
        for task in tasks:
            task.cancel()  # workers first: what a segment comes to now is no outcome
        for live in lives:
            self._forget(live)
        if stubborn := (await _ended([*tasks, *self._endings])):
            _log.warning("%d tasks did not end within %d s", len(stubborn), _GRACE)
        if self._sweeper:
            self._sweeper.cancel()
        await self._webhooks.close()

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise stopping()

    async def _displace(self, run: RunRecord) -> None:
        """Cancel what stands before a run on its thread, if its multitask strategy says so."""
        strategy = run.creation.get("multitask_strategy")
        if strategy in {"interrupt", "rollback"}:
            for run_id in self._queues.ahead_of(run.run_id, run.thread_id):
                await self.cancel(run_id, wait=True, rollback=strategy == "rollback")

    def _advance(self, thread_id: str) -> None:
        """Start the first run of a queue, unless it runs already, asks, or is being stored."""
        live = self._live.get(self._queues.first(thread_id) or "")
        if live and live.ready and live.worker is None and not self._closed:
            self._start(live)

    def _start(self, live: _Live) -> None:
        live.segment = asyncio.create_task(self._leg(live), name=f"acp-run-{live.record.run_id}")
        live.worker = asyncio.create_task(self._see_through(live, live.segment))

    async def _leg(self, live: _Live) -> Outcome:
        run = live.record
        if run.answers is None:
            await asyncio.sleep(_delay(run))
        agent = self.agents.get(run.agent_id)
        if run.has_thread:
            base = run.base_checkpoint
            if run.answers is None and not live.again:
                base = await checkpoints.head(agent, run.thread_id)
            run = live.record = await self._recorder.begin(run, base=base)
        try:
            async with self._slots, asyncio.timeout(self._limits.run_seconds):
                with within(live.trace):
                    return await execute(agent, run, live.feed.publish, again=live.again)
        except TimeoutError:
            return timed_out(run, f"the run took longer than {self._limits.run_seconds:g} s")

    async def _see_through(self, live: _Live, segment: asyncio.Task[Outcome]) -> None:
        await asyncio.wait([segment])
        if segment.cancelled():
            outcome = cancelled(live.record)
        elif error := segment.exception():
            _log.error("run %s could not be executed", live.record.run_id, exc_info=error)
            outcome = failed(live.record, f"the server failed: {type(error).__name__}")
        else:
            outcome = segment.result()
        await self._settle(live, outcome)

    async def _settle(self, live: _Live, outcome: Outcome) -> None:
        """Record what a pending run came to, tell everybody, and let the next one in."""
        old = live.record
        new = old.changed(
            status=outcome.status,
            output=outcome.output,
            questions=outcome.questions,
            answers=None,
            asked_at=outcome.asked_at,
        )
        try:
            if live.stored is not None:
                await live.stored
            if await self._recorder.end(old, new):
                live.outcome = new
                live.feed.end(new)
        except Exception:  # noqa: BLE001 - whatever a storage raises, nobody may wait forever
            _log.exception("the outcome of run %s could not be stored", old.run_id)
            live.unstored = True
        finally:
            self._forget(live)
            if new.finished:
                self._leave_lane(new)
        if new.finished:
            await self._recorder.tidy(new)

    async def _cancel(self, run_id: str, *, rollback: bool) -> None:
        while not self._closed:
            run = await self.storage.get_run(run_id)
            if live := self._live.get(run_id):
                await self._cancel_pending(live)
            elif run is None:
                return
            elif run.status is RunStatus.INTERRUPTED:
                await self._cancel_interrupted(run)
            elif run.finished:
                if rollback:
                    await self._recorder.roll_back(run)
                return
            else:
                await asyncio.sleep(_LOOK_AGAIN)  # it settled between the two looks

    async def _cancel_pending(self, live: _Live) -> None:
        if live.segment is not None:
            live.segment.cancel()
        elif live.worker is None:  # it waits for its thread
            live.worker = asyncio.create_task(self._settle(live, cancelled(live.record)))
        await live.settled.wait()
        if live.worker is not None:
            await asyncio.wait([live.worker])

    async def _cancel_interrupted(self, run: RunRecord) -> None:
        outcome = cancelled(run)
        new = run.changed(status=outcome.status, output=outcome.output, questions=())
        if not await self._recorder.replace(run, new):
            return  # somebody was faster; the caller looks again
        if new.has_thread:
            await self._recorder.show_thread(new)
        await self._recorder.tidy(new)
        Feed(new, self.journal, heard=True).end(new)  # for whoever joins its stream later
        self._leave_lane(new)

    def _leave_lane(self, run: RunRecord) -> None:
        """Take a run out of its thread's queue and let the next one in."""
        self._queues.leave(run.run_id, run.thread_id)
        self._advance(run.thread_id)

    def _forget(self, live: _Live) -> None:
        if self._live.get(live.record.run_id) is live:
            del self._live[live.record.run_id]
        live.feed.close()
        live.settled.set()


def _delay(run: RunRecord) -> float:
    """Seconds until a run may begin."""
    asked = run.creation.get("after_seconds") or 0
    passed = (moment_after() - run.created_at).total_seconds() if asked > 0 else 0
    return min(max(asked - passed, 0), _LONGEST_DELAY)


async def _ended(tasks: list[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Wait for tasks; those that take longer than the grace period are returned."""
    return (await asyncio.wait(tasks, timeout=_GRACE))[1] if tasks else set()
