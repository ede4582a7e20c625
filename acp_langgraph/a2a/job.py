"""A task of an A2A agent as a job: how each verb goes over this wire.

The key is the task's context: a `contextId` made of it, which servers keep to or refuse (A2A 1.0, section
3.4.1), and by which they list their tasks. On a context that remembers, which several tasks share, it is
the `messageId` of the message that began the task. A server of 0.3 lists nothing, and a message that
is answered by a message leaves nothing behind: there, what became of a lost answer is unknown.

A question is known by its status' timestamp, or its message's id. Its answer has an id that is made of
these, so that a task whose history holds it has been answered, whatever its status still says.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Self

from acp_langgraph import errors
from acp_langgraph.a2a.calls import CANCEL_TASK, GET_TASK, SEND_MESSAGE, reason_of
from acp_langgraph.a2a.listening import TaskCursor, TaskStream
from acp_langgraph.a2a.models import StreamResponse, Task
from acp_langgraph.a2a.parts import dumped, outcome_of, parts_of, result
from acp_langgraph.a2a.peer import Peer
from acp_langgraph.core.flow import Flow, Pause
from acp_langgraph.jobs.job import (
    CannotFindError,
    Entry,
    Job,
    JobPolicy,
    Outcome,
    Segment,
    Sighting,
    WaitBudget,
)
from acp_langgraph.jobs.listening import Listening, emitted, listen_to

_NAMESPACE: Final = uuid.UUID("2d6a9c0e-3f0b-5b57-9a53-6f5f0a2a0a2a")
_PAGES: Final = 100
_LATEST_MESSAGES: Final = 10  # of a task that was begun a moment ago; `langgraph dev` gives no more
_LONGEST_PAUSE: Final = 2.0  # seconds between looks at a task that cannot be followed


@dataclass(slots=True)
class _Seen:
    """What was seen of a job's tasks in this process, by task.

    Attributes:
        settled: The task as the answer to a message told it, if it was settled by then.
        kept: What was told so that cannot be had again.
        asking: How each was when it was last looked at for what it asks.
        answered: When what was answered last was asked; a task that is still said to ask it works.
        trouble: What the server said when it failed.
    """

    settled: dict[str, Task] = field(default_factory=dict)
    kept: dict[str, Outcome] = field(default_factory=dict)
    asking: dict[str, Task] = field(default_factory=dict)
    answered: dict[str, str | None] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class A2AJob(Job):
    """One task that is wanted.

    Attributes:
        key: Identifies the order.
        peer: The agent.
        listening: How its tasks are followed.
        node: The node's name.
        policy: How patient to be.
        parts: What the message says that begins it.
        metadata: Sent with the message.
        thread: The context that remembers, if there is one.
        is_shown: Whether somebody wants to see what it emits.
        wakes: Makes the URL of the webhook that the agent is given, by the key; `None` for none.
        as_everybody: Whether every task of the agent's is looked for with the same credentials, so that
            what one finds all do.
    """

    key: str
    peer: Peer
    listening: Listening
    node: str = ""
    policy: JobPolicy = field(default_factory=JobPolicy)
    parts: list[dict[str, Any]] = field(default_factory=list, repr=False)
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    thread: str | None = None
    is_shown: bool = False
    wakes: Callable[[str], str] | None = field(default=None, repr=False)
    as_everybody: bool = True
    _seen: _Seen = field(default_factory=_Seen, repr=False)

    @property
    def context_id(self) -> str:
        """The context that its task is in."""
        return self.thread or self._made("context")

    @property
    def message_id(self) -> str:
        """The id of the message that begins it."""
        return self._made("message")

    @property
    def starts_in_one(self) -> bool:
        """Whether nothing but the outcome is wanted, and a lost answer could be found."""
        return not self.is_shown and self.peer.can_list

    @property
    def learns(self) -> Peer | None:
        """The agent's, where tasks are found by their contexts."""
        is_of_use = self.thread is None and self.as_everybody and self.starts_in_one
        return self.peer if is_of_use and self.peer.makes_tasks is not False else None

    def with_(self, *, key: str | None = None, policy: JobPolicy | None = None) -> Self:
        """The same job with another key or policy."""
        return replace(self, key=key or self.key, policy=policy or self.policy)

    def ids(self, job_id: str | None = None) -> dict[str, Any]:
        """What errors say of it."""
        return {"node": self.node, "run_id": job_id, "thread_id": self.context_id}

    def find(self) -> Flow[str | None]:
        """The task of the key; always the same, should there be several."""
        try:
            found = yield from self._found()
        except CannotFindError as error:
            if self.policy.on_unknown == "rerun":
                return None
            raise self._unknown(
                f"it cannot be told whether the agent was given its task: {error}. If it was not, or a "
                'second time does no harm, run the node with on_unknown="rerun"'
            ) from None
        return min((task.id for task in found), default=None)

    def start(self) -> Flow[str]:
        """Begin it, without waiting for what it comes to."""
        task_id, _ = yield from self._begun(waits=False)
        return task_id

    def start_and_wait(self) -> Flow[tuple[str | None, Outcome | None]]:
        """Begin it and wait, in one request."""
        return (yield from self._begun(waits=True))

    def noted(self, job_id: str) -> dict[str, Any]:
        """What of the answer cannot be had again: that of a message without a task."""
        kept = self._seen.kept.get(job_id)
        return {} if kept is None else {"answer": kept}

    def listen(self, segment: Segment, entry: Entry, budget: WaitBudget) -> Flow[None]:  # noqa: ARG002 - the base's
        """Follow it, so that nobody has to look again and again; and show what it emits."""
        task_id, seen = segment["run_id"], self._seen
        if segment.get("heard"):
            seen.answered[task_id] = segment["heard"]
        elif "answer" in segment:
            seen.kept.setdefault(task_id, segment["answer"])
        cursor = self.listening.cursor(segment)
        cursor.is_over = cursor.is_over or not self.peer.card.capabilities.streaming
        is_over = cursor.is_over or task_id in seen.kept or task_id in seen.settled
        if is_over or not isinstance(cursor, TaskCursor):
            return
        look = partial(self._looked_at, task_id)
        stream = TaskStream(self.node, self.peer, cursor, self._is_over, look, self.is_shown)
        yield from listen_to(stream, self.policy, self.listening, segment, budget)

    def wait(self, job_id: str) -> Flow[Outcome | None]:
        """Look at it, where it cannot be followed until it is settled or a wait has lasted."""
        if job_id in self._seen.kept:
            return self._seen.kept[job_id]
        clock, waits = self.policy.clock, self.policy.backoff.waits()
        until, cursor = clock() + self.policy.long_poll, self.listening.cursors.get(job_id)
        while True:
            outcome = self._outcome_of((yield from self._looked_at(job_id)))
            left, is_followed = until - clock(), cursor is not None and not cursor.is_over
            if outcome is not None or left <= 0 or is_followed:
                return outcome
            yield Pause(min(next(waits), left, _LONGEST_PAUSE), may_leave=True)

    def read(self, job_id: str) -> Flow[Sighting]:
        """Its state."""
        if job_id in self._seen.kept:
            return Sighting("completed", is_at_work=False)
        task = yield from self._task(job_id)
        return Sighting(task.state, not self._is_over(task))

    def still_asks(self, job_id: str, question: Outcome) -> Flow[bool]:
        """Whether it asks this very question, and was not answered."""
        task = self._seen.asking[job_id] = yield from self._task(job_id)
        if not task.status.asks or self._is_answered(task):
            return False
        known = question["asked_at"] is not None and task.asked_at is not None
        return not known or task.asked_at == question["asked_at"]

    def answer(self, job_id: str, answer: Any) -> Flow[None]:
        """Answer what it asks: on the same task, and in its context, as servers demand both."""
        task = self._seen.asking.get(job_id) or (yield from self._task(job_id))
        ids: dict[str, Any] = {"taskId": job_id, "contextId": task.context_id or self.context_id}
        said = yield from self._sent(parts_of(answer), self._answer_id(task), **ids)
        self._seen.kept.pop(job_id, None)
        self._seen.answered[job_id] = task.asked_at
        if said.message is not None:
            self._seen.kept[job_id] = result(job_id, [dumped(said.message.parts)])
        elif said.task is not None:
            self._note(said.task)

    def cancel(self, job_id: str) -> Flow[None]:
        """End it; one that has ended is left as it is."""
        if job_id in self._seen.kept and self._seen.kept[job_id]["type"] == "result":
            return
        try:
            yield from self.peer.asked(CANCEL_TASK, {"id": job_id}, self.policy)
        except errors.ApiException as error:
            if reason_of(error) != "TASK_NOT_CANCELABLE":
                raise
            status = (yield from self._task(job_id)).status
            if status.asks or not status.is_settled:
                raise error from None

    def failure(self, outcome: Outcome) -> errors.A2ATaskError:
        """What the agent said of its failure."""
        kinds = {"rejected": errors.A2ATaskRejectedError, "canceled": errors.A2ATaskCanceledError}
        kind = kinds.get(outcome["state"], errors.A2ATaskError)
        said = outcome["description"] or self._seen.trouble
        return kind(outcome["state"], said, **self.ids(outcome["run_id"]))

    def is_found(self, job_id: str) -> Flow[bool]:
        """Whether the agent lists it, and nothing else, by its context."""
        return [task.id for task in (yield from self._tasks())] == [job_id]

    def forget(self, job_id: str) -> None:
        """Forget what was heard of it."""
        self.listening.forget(job_id)

    def heard(self, segment: Segment, outcome: Outcome) -> Flow[dict[str, Any]]:
        """The question, so that whoever goes on after its answer does not take it for another."""
        yield from ()
        if outcome["type"] != "interrupt":
            self.forget(segment["run_id"])
        return {"heard": outcome["asked_at"] or ""} if outcome["type"] == "interrupt" else {}

    def _made(self, what: str) -> str:
        """An id made of the key: a UUID, as some servers take nothing else."""
        return str(uuid.uuid5(_NAMESPACE, f"{what}\n{self.key}"))

    def _unknown(self, why: str) -> errors.UnknownOutcomeError:
        return errors.UnknownOutcomeError(why, key=self.key, **self.ids())

    def _answer_id(self, task: Task) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"answer\n{task.id}\n{task.asked_at}"))

    def _sent(
        self, parts: list[dict[str, Any]], message_id: str, *, waits: bool = False, **more: Any
    ) -> Flow[StreamResponse]:
        configuration: dict[str, Any] = {"returnImmediately": not waits}
        can_push = self.peer.card.capabilities.push_notifications
        if can_push and self.wakes is not None and "taskId" not in more:
            configuration["taskPushNotificationConfig"] = {"url": self.wakes(self.key)}
        more = {name: each for name, each in more.items() if each}
        message = {"role": "ROLE_USER", "messageId": message_id, "parts": parts, **more}
        params = {"message": message, "configuration": configuration}
        return self.peer.asked(SEND_MESSAGE, params, self.policy)

    def _begun(self, *, waits: bool) -> Flow[tuple[str, Outcome | None]]:
        more = {"contextId": self.context_id, "metadata": self.metadata}
        try:
            answer = yield from self._sent(self.parts, self.message_id, waits=waits, **more)
        except errors.ServiceException as error:
            self._seen.trouble = error.reason
            raise
        except errors.ApiTimeoutError as error:
            found = (yield from self.find()) if error.sent else None
            if found is not None:
                return found, None
            if not error.sent or self.policy.on_unknown == "rerun":
                raise
            raise self._unknown(
                f"the agent has not answered in time, and shows no task: {error}. It may be at work on "
                "it still. Where it takes long to answer, give the client configuration a longer "
                'timeout; on_unknown="rerun" begins anew'
            ) from None
        return self._taken_up(answer)

    def _taken_up(self, answer: StreamResponse) -> tuple[str, Outcome | None]:
        """The id of what a message began, and what it came to if it has."""
        peer, task, message = self.peer, answer.task, answer.message
        if task is not None:
            peer.makes_tasks = peer.makes_tasks is not False
            if task.context_id:
                peer.keeps_context = task.context_id == self.context_id
            self._note(task)
            return task.id, self._seen.kept.get(task.id) or self._outcome_of(task)
        if message is None:
            raise errors.UnreadableAnswerException(
                "SendMessage", 200, problem="it is no task or message"
            )
        peer.makes_tasks = False
        message_id = message.message_id or self.message_id
        self._seen.kept[message_id] = outcome = result(message_id, [dumped(message.parts)])
        return message_id, outcome

    def _note(self, task: Task) -> None:
        """What an answer to a message says of its task."""
        outcome = self._outcome_of(task)
        if outcome is None:
            return
        self._seen.settled[task.id] = task
        if task.status.asks and task.status.message is None:
            # `langgraph dev` says what it asks here, and never again; and when, with another time.
            self._seen.kept[task.id] = {**outcome, "asked_at": None}

    def _looked_at(self, task_id: str) -> Flow[Task]:
        """The task, if need be from the server; what of it was not shown yet is."""
        task = self._seen.settled.pop(task_id, None) or (yield from self._task(task_id))
        cursor = self.listening.cursors.get(task_id)
        new = cursor.new_in(StreamResponse(task=task)) if isinstance(cursor, TaskCursor) else ()
        for shown in new:
            if self.is_shown:
                yield emitted(self.node, self.listening, task_id, shown)
        return task

    def _task(self, task_id: str) -> Flow[Task]:
        asked = {"id": task_id, "historyLength": _LATEST_MESSAGES}
        return self.peer.asked(GET_TASK, asked, self.policy)

    def _found(self) -> Flow[list[Task]]:
        """The tasks of the key: of its context, and as long as it is not known that contexts are kept, of all."""
        if not self.peer.can_list:
            raise CannotFindError("the server has no list of tasks")
        found = [] if self.peer.keeps_context is False else (yield from self._tasks())
        if not found and not self.peer.keeps_context:
            found = yield from self._latest()
        return found

    def _tasks(self) -> Flow[list[Task]]:
        """The tasks of the key, of all pages."""
        found, token = [], ""
        for _ in range(_PAGES):
            asked = {"contextId": self.context_id, "pageToken": token}
            page = yield from self.peer.listed(asked, self.policy)
            found += [task for task in page.tasks if self._is_ours(task)]
            token = page.next_page_token
            if not token:
                break
        else:
            raise CannotFindError("the context has too many tasks to look through")
        if found:
            self.peer.keeps_context = True
        elif self.peer.makes_tasks is False:
            raise CannotFindError("the agent answers with messages, of which nothing remains")
        return found

    def _latest(self) -> Flow[list[Task]]:
        """The key's tasks among those that changed last, whatever their context.

        A server should refuse a context that it does not keep; one that makes its own instead is found
        out here.
        """
        page = yield from self.peer.listed({"historyLength": _LATEST_MESSAGES}, self.policy)
        if page.tasks:
            self.peer.makes_tasks = True
        found = [task for task in page.tasks if self._has_message(task, self.message_id)]
        if found:
            self.peer.keeps_context = found[0].context_id == self.context_id
        elif page.next_page_token and self.peer.keeps_context is False:
            raise CannotFindError("the server makes contexts of its own, and has many tasks")
        return found

    def _is_ours(self, task: Task) -> bool:
        is_told = self.thread is None or self._has_message(task, self.message_id)
        return is_told and task.context_id == self.context_id

    @staticmethod
    def _has_message(task: Task, message_id: str) -> bool:
        return any(message.message_id == message_id for message in task.history)

    def _is_answered(self, task: Task) -> bool:
        """Whether the question that its status tells was answered, and it has not noticed yet."""
        if not task.status.asks or task.asked_at is None:
            return False
        answered_here = self._seen.answered.get(task.id) == task.asked_at
        return answered_here or self._has_message(task, self._answer_id(task))

    def _is_over(self, task: Task) -> bool:
        """Whether it is at work no more."""
        return task.status.is_settled and not self._is_answered(task)

    def _outcome_of(self, task: Task) -> Outcome | None:
        """What a task came to; `None` if it is at work."""
        return outcome_of(task) if self._is_over(task) else None
