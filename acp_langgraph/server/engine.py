"""The life of runs: accepted, waiting for their thread, running, asking, answered, ended.

Everything happens in one event loop. Per run that is pending there is a `Live`: the task that
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

What goes wrong with a run ends that run. A server that is stopped leaves its pending runs as they are
on file. The next one on the same database carries them on; so does one that starts after a kill,
unless a run is what killed it (`recovery`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from acp_langgraph.acp.models import RunCreate, RunStatus
from acp_langgraph.server import checkpoints
from acp_langgraph.server.agents import HostedAgent, Registry
from acp_langgraph.server.containing import NodeThreads, contain_tasks, contained
from acp_langgraph.server.database import DatabaseError
from acp_langgraph.server.execution import Outcome, answers_to, cancelled, failed
from acp_langgraph.server.middleware import caller
from acp_langgraph.server.pending import Live
from acp_langgraph.server.recorder import RunRecorder, sweep
from acp_langgraph.server.records import RunRecord, ThreadRecord, moment_after, new_id
from acp_langgraph.server.roster import Roster
from acp_langgraph.server.segments import ENDED_THE_SERVER, Segments, Verdict, judged
from acp_langgraph.server.storage import Storage
from acp_langgraph.server.streams import Feed, Journal, Subscription
from acp_langgraph.server.webhooks import Webhooks
from acp_langgraph.server.wire import Limits, busy, conflict, invalid, not_found, stopping, unstored

T = TypeVar("T")
_log = logging.getLogger(__name__)

_GRACE: Final = 10.0  # seconds that a cancelled graph has to clean up when the server stops
_LOOK_AGAIN: Final = 0.01  # seconds
_PATIENCE: Final = 5.0  # seconds, with the database that is asked how it is


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
        self.limits = limits
        self.threads = NodeThreads(limits.held_threads)
        self.checks = ThreadPoolExecutor(2, thread_name_prefix="acp-checks")  # of large inputs
        self._segments = Segments(agents, self._recorder, limits)
        self._sweeper: asyncio.Task[None] | None = None
        self._live = Roster(limits, self.threads)
        self._queues = self._live.queues
        self._endings: set[asyncio.Task[Any]] = set()
        self._stopping = False  # nothing is begun any more
        self._closed = False  # nor waited for

    async def start(self) -> None:
        """Carry on the runs that an earlier server on the same database left pending.

        Raises:
            ValueError: If an agent's checkpointer works only in synchronous code.
        """
        contain_tasks()
        for agent in self.agents:
            await checkpoints.check_usable(agent)
        await self._webhooks.start()
        self._sweeper = asyncio.create_task(
            sweep(self.storage, self.limits, self.remove_thread), name="acp-sweeper"
        )
        unfinished = await self.storage.unfinished_runs()
        for run in unfinished:
            self._queues.enter(run.run_id, run.thread_id)
        pending = [run for run in unfinished if run.status is RunStatus.PENDING]
        verdicts = await judged(self.agents, pending)
        for verdict in verdicts:
            self._carry_on(verdict)
        for verdict in verdicts:
            live = self._live.get(verdict.run.run_id)
            if live is None:
                continue
            if verdict.culprit:
                _log.error("run %s: %s", live.record.run_id, ENDED_THE_SERVER)
                await self._settle(live, failed(live.record, ENDED_THE_SERVER))
            elif self.agents.find(live.record.agent_id) is None:
                words = "run %s waits: its agent %s is not served"
                _log.warning(words, live.record.run_id, live.record.agent_id)
            else:
                await self._let_in(live)

    def _carry_on(self, verdict: Verdict) -> None:
        run = verdict.run
        try:
            live = Live(run, Feed(run, self.journal, heard=True), again=True)
        except Exception:  # noqa: BLE001 - what is on file may be anything
            _log.exception("run %s cannot be carried on; it is left alone", run.run_id)
            self._queues.leave(run.run_id, run.thread_id)
            return
        live.alone = verdict.alone
        self._live.add(live)

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
        if thread_id in self._live.removed:
            raise not_found("thread", thread_id)
        if self.storage.lost:
            raise busy("the database file is gone")
        taken_by = self._queues.first(thread_id) if thread_id else None
        if taken_by and body.multitask_strategy == "reject":  # also if there is no room to wait in
            raise conflict(
                f"thread {thread_id} is taken by run {taken_by}; wait for it, resume or cancel it, "
                "or choose another multitask_strategy"
            )
        self._live.refuse_when_full(thread_id)
        if body.webhook is not None and self._webhooks.policy.allow:
            self._webhooks.policy.check(body.webhook)
        # Then that is on file as soon as the run is. Others are noted when they begin.
        starts_at_once = thread_id is None and not body.after_seconds and not self._segments.full
        now = moment_after()
        record = RunRecord(
            run_id=new_id(),
            agent_id=agent.agent_id,
            thread_id=thread_id or new_id(),
            stateless=thread_id is None,
            creation=body.model_dump(mode="json", exclude_unset=True, exclude_none=True),
            created_at=now,
            updated_at=now,
            attempts=int(starts_at_once),
        )
        # Who asks for a stream when creating a run joins it a moment later, and must miss nothing.
        heard = record.creation.get("stream_mode") is not None
        live = Live(record, Feed(record, self.journal, heard=heard))
        live.counted = starts_at_once
        if thread_id is None:
            checkpoints.announce_thread(agent, record.thread_id)
        self._queues.enter(record.run_id, record.thread_id)
        live.owner = caller()
        self._live.add(live)
        try:
            live.stored = self._recorder.add(record, in_a_hurry=told)
            if told:
                await live.stored
        except BaseException:
            self._leave_lane(record)
            self._live.forget(live)
            self.storage.discard(record.run_id)  # nobody knows of it
            raise
        if self._displaces(record):
            # Also if the client goes meanwhile: somebody must let it in.
            await asyncio.shield(self._seen_to(self._let_in(live)))
        else:
            live.ready = True
            self._advance(record.thread_id)
        if live.settled.is_set():  # it could not begin
            return await self.storage.get_run(record.run_id) or record
        return record

    async def wait(self, run_id: str) -> RunRecord | None:
        """The run as soon as it is no longer pending; `None` if it is deleted meanwhile.

        Raises:
            Problem: 503, if the server stops first; 500, if what it came to cannot be stored; 422,
                if another run on its thread asks, and nobody answers.
        """
        while True:
            if live := self._live.get(run_id):
                await self._settled(live)
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

    async def _settled(self, live: Live) -> None:
        run = live.record
        while not live.settled.is_set():
            if self._queues.first(run.thread_id) == run.run_id:
                await live.settled.wait()  # nobody stands before it, nor will
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.wait_seconds):
                    await live.settled.wait()
                    return
            first = self._queues.first(run.thread_id)
            if first and first not in self._live:  # it asks
                raise invalid(
                    f"run {run.run_id} waits behind run {first}, which asks something; answer or "
                    "cancel that one, or wait again"
                )

    def answers(self, run: RunRecord, payload: Any) -> dict[str, Any]:
        """The answers that a client gives to what a run asks, checked.

        Raises:
            Problem: 409, if the run is not interrupted; 422, if they do not fit the question.
        """
        if run.status is not RunStatus.INTERRUPTED:
            raise conflict(f"run {run.run_id} is {run.status}, not interrupted")
        return answers_to(self.agents.get(run.agent_id), run.questions, payload)

    async def resume(self, run: RunRecord, answers: dict[str, Any]) -> RunRecord:
        """Answer what a run asks and let it go on.

        Args:
            run: The run, as it was when the answers were checked.
            answers: What `answers` gave.

        Raises:
            Problem: 409, if it was answered by somebody else just now.
        """
        self._refuse_when_closed()
        if run.run_id in self._live or run.thread_id in self._live.removed:
            raise conflict(f"run {run.run_id} was changed by somebody else just now")
        counted = not self._segments.full
        resumed = run.changed(
            status=RunStatus.PENDING,
            output=None,
            questions=(),
            answers=answers,
            attempts=int(counted),
        )
        # Whoever listened before may ask for what it missed, so events are kept.
        live = Live(resumed, Feed(resumed, self.journal, heard=True))
        live.counted = counted
        self._live.add(live)
        # Also if the client goes meanwhile: what is on file as pending must be executed.
        if not await asyncio.shield(self._seen_to(self._resume(live, run))):
            raise conflict(f"run {run.run_id} was changed by somebody else just now")
        return resumed

    async def _resume(self, live: Live, run: RunRecord) -> bool:
        won = False
        try:
            won = await self._recorder.replace(run, live.record)
        finally:
            if not won:
                self._live.forget(live)
        if won and not self._closed:
            self._start(live)
        return won

    async def cancel(self, run_id: str, *, wait: bool = False, rollback: bool = False) -> None:
        """Cancel a run; one that has ended stays as it is.

        Args:
            run_id: The run.
            wait: Return only when it has ended. A synchronous node that is under way cannot be
                stopped; it ends unheard.
            rollback: Afterwards delete the run and bring its thread back to where it was before.

        Raises:
            Problem: 422, if it cannot be rolled back, for a later run went on from its state.
        """
        ending = self._seen_to(self._cancel(run_id, rollback=rollback))
        live = self._live.get(run_id)
        if wait or live is None or live.segment is None:
            await asyncio.shield(ending)

    def _seen_to(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task for what goes on when its client goes, and is waited for when the server stops."""
        ending = contained(work)
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return ending

    async def delete(self, run: RunRecord) -> None:
        """Cancel a run if need be, and forget it."""
        await self.cancel(run.run_id, wait=True)
        await self.storage.delete_run(run.run_id)
        await self._recorder.tidy(run)

    @contextmanager
    def holding(self, thread_id: str, *, removing: bool = False) -> Iterator[None]:
        """Let no run begin on a thread for as long as the block lasts; see `Roster.holding`."""
        try:
            with self._live.holding(thread_id, removing=removing):
                yield
        finally:
            self._advance(thread_id)

    async def remove_thread(self, thread: ThreadRecord) -> None:
        """Forget a thread, its runs and its checkpoints.

        Raises:
            Problem: 422, if a run is pending on it.
        """
        agent = self.agents.find(thread.agent_id) if thread.agent_id else None
        with self.holding(thread.thread_id, removing=True):
            if agent is not None:  # first: the id may be used again, and must not bring them back
                await checkpoints.drop_thread(agent, thread.thread_id)
            await self.storage.delete_thread(thread.thread_id)

    def subscribe(self, run_id: str) -> Subscription | None:
        """Listen to a pending run; `None` if it is not pending."""
        return self._live.subscribe(run_id)

    def unsubscribe(self, run_id: str, subscription: Subscription) -> None:
        """Listen no longer."""
        self._live.unsubscribe(run_id, subscription)

    async def count_runs(self) -> dict[str, int]:
        """How many runs of which status there are, stateless and on threads."""
        return await self.storage.count_runs()

    async def health(self) -> dict[str, Any]:
        """How the server is; nothing that is anybody's business."""
        words = "ok"
        if self._stopping:
            words = "the server is stopping"
        elif not await self.storage.answers(_PATIENCE):
            words = "the database does not answer"
        elif self.storage.lost:
            words = "the database file is gone"
        elif self.threads.exhausted:
            words = "blocking nodes hold all threads"
        return {
            "status": words,
            "runs": {"pending": len(self._live), "most": self.limits.pending},
            "threads": {"busy": self.threads.busy, "disowned": self.threads.disowned},
        }

    async def drain(self) -> None:
        """Begin nothing more, and give what is at work its time to end."""
        self._stopping = True
        at_work = [live.worker for live in self._live if live.segment and live.worker]
        if self.limits.grace_seconds and at_work:
            await asyncio.wait(at_work, timeout=self.limits.grace_seconds)

    async def close(self) -> None:
        """Cancel everything that runs and release everybody who waits. Records stay as they are."""
        self._stopping = self._closed = True
        lives = list(self._live)
        try:
            await self.storage.note_stop([each.record for each in lives if each.record.attempts])
        except DatabaseError:
            pass  # it was not opened
        except Exception:  # noqa: BLE001 - what ends must end
            _log.exception("that the server stops in order could not be stored")
        tasks = [task for live in lives for task in (live.worker, live.segment) if task]
        for task in tasks:
            task.cancel()  # workers first: what a segment comes to now is no outcome
        for live in lives:
            self._live.forget(live)
        if stubborn := (await _ended([*tasks, *self._endings])):
            _log.warning("%d tasks did not end within %d s", len(stubborn), _GRACE)
        if self._sweeper:
            self._sweeper.cancel()
        await self._webhooks.close()
        self.checks.shutdown(wait=False, cancel_futures=True)

    def _refuse_when_closed(self) -> None:
        if self._stopping:
            raise stopping()

    def _displaces(self, run: RunRecord) -> bool:
        displaces = run.creation.get("multitask_strategy") in {"interrupt", "rollback"}
        return displaces and self._queues.first(run.thread_id) != run.run_id

    async def _let_in(self, live: Live) -> None:
        """Let a run that is on file take its turn, once what it displaces is out of the way."""
        run = live.record
        try:
            if self._displaces(run):
                rollback = run.creation["multitask_strategy"] == "rollback"
                for run_id in self._queues.ahead_of(run.run_id, run.thread_id):
                    await self.cancel(run_id, wait=True, rollback=rollback)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not block the thread
            _log.exception("what run %s displaces could not be cancelled", run.run_id)
            if live.worker is None and not self._closed:
                words = f"what stood before this run could not be cancelled: {error}"
                await self._settle(live, failed(run, words))
        if not live.settled.is_set():
            live.ready = True
            self._advance(run.thread_id)

    def _advance(self, thread_id: str) -> None:
        """Start the first run of a queue, unless it runs already, asks, or is being stored."""
        if self._stopping or self._queues.is_held(thread_id):
            return
        live = self._live.first(thread_id)
        if live and live.ready and live.worker is None:
            self._start(live)

    def _start(self, live: Live) -> None:
        live.segment = contained(self._segments.execute(live), f"acp-run-{live.record.run_id}")
        live.worker = contained(self._see_through(live, live.segment))

    async def _see_through(self, live: Live, segment: asyncio.Task[Outcome]) -> None:
        await asyncio.wait([segment])
        if segment.cancelled():
            outcome = cancelled(live.record)
        elif error := segment.exception():
            _log.error("run %s could not be executed", live.record.run_id, exc_info=error)
            outcome = failed(live.record, f"the server failed: {type(error).__name__}")
        else:
            outcome = segment.result()
        await self._settle(live, outcome)

    async def _settle(self, live: Live, outcome: Outcome) -> None:
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
            undone = live.rollback and new.finished and await self._undone(new)
            if undone or await self._recorder.end(old, new):
                live.outcome = new
                live.feed.end(new)
        except Exception:  # noqa: BLE001 - whatever a storage raises, nobody may wait forever
            _log.exception("the outcome of run %s could not be stored", old.run_id)
            live.unstored = True
        finally:
            self._live.forget(live)
            if new.finished:
                self._leave_lane(new)
        if new.finished:
            await self._recorder.tidy(new)

    async def _undone(self, run: RunRecord) -> bool:
        """Roll a run back that has just ended; whoever wanted that is told if it cannot be done."""
        try:
            await self._recorder.roll_back(run, told=True)
        except Exception:  # noqa: BLE001 - it is tried, and told, again
            _log.debug("run %s could not be rolled back", run.run_id, exc_info=True)
            return False
        return True

    async def _cancel(self, run_id: str, *, rollback: bool) -> None:
        while not self._closed:
            run = await self.storage.get_run(run_id)
            if live := self._live.get(run_id):
                await self._cancel_pending(live, rollback=rollback)
            elif run is None:
                return
            elif run.status is RunStatus.INTERRUPTED:
                # Nobody answers it from now on, nor cancels it once more.
                live = Live(run, Feed(run, self.journal, heard=True))
                self._live.add(live)
                await self._cancel_pending(live, rollback=rollback)
            elif run.finished:
                if rollback:
                    await self._roll_back(run)
                return
            else:
                await asyncio.sleep(_LOOK_AGAIN)  # it settled between the two looks

    async def _cancel_pending(self, live: Live, *, rollback: bool) -> None:
        live.rollback = live.rollback or rollback
        if live.segment is not None:
            live.segment.cancel()
        elif live.worker is None:  # it waits for its thread, or for an answer
            live.worker = contained(self._settle(live, cancelled(live.record)))
        await live.settled.wait()
        if live.worker is not None:
            await asyncio.wait([live.worker])

    async def _roll_back(self, run: RunRecord) -> None:
        """Roll a run back that ended before, if nothing was built on what it did."""
        if run.stateless or run.base_checkpoint is None:
            await self._recorder.roll_back(run, told=False)
            return
        first = self._live.first(run.thread_id)
        with self._queues.hold(run.thread_id):
            if (first and first.worker) or await self.storage.has_later(run):
                raise invalid(
                    f"run {run.run_id} cannot be rolled back: a later run on thread "
                    f"{run.thread_id} went on from its state"
                )
            await self._recorder.roll_back(run, told=False)
        self._advance(run.thread_id)

    def _leave_lane(self, run: RunRecord) -> None:
        """Take a run out of its thread's queue and let the next one in."""
        self._queues.leave(run.run_id, run.thread_id)
        self._advance(run.thread_id)


async def _ended(tasks: list[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Wait for tasks; those that take longer than the grace period are returned."""
    return (await asyncio.wait(tasks, timeout=_GRACE))[1] if tasks else set()
