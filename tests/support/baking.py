"""What the tests' A2A agents do, whichever release of the A2A project's SDK they are made with.

An agent does what the first word of a message says: `ask` and `twice` ask, `auth` wants a login, `reject`,
`fail` and `raise` fail in their ways, `say` answers with a message and without a task, `pieces` makes an
artifact in pieces, `hold` works until it is let go; anything else is echoed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

__all__ = ["Baking", "Release"]

QUESTIONS = {"ask": ["Which size?"], "twice": ["color?", "food?"]}


class Release(NamedTuple):
    """What releases of the SDK have by different names.

    Attributes:
        updater: Tells of a task, given the queue, the task's id and its context's.
        new_task: The task that a message begins.
        new_message: A message of the agent, with a text.
        text: A part with a text.
        data: A part with JSON.
        value: What a part says.
    """

    updater: Callable[..., Any]
    new_task: Callable[[Any], Any]
    new_message: Callable[[str], Any]
    text: Callable[[str], Any]
    data: Callable[[Any], Any]
    value: Callable[[Any], Any]


class Baking:
    """The agent's work; an executor of the SDK calls it.

    Attributes:
        executed: The task id of each execution, in order.
        inputs: What each task was begun with, by its id.
        answers: What each was answered, by its id.
        canceled: The tasks that were cancelled.

    Args:
        release: The SDK.
        hold: Holds the tasks whose word is `hold`.
        ended: Told of each that is cancelled.
    """

    def __init__(
        self, release: Release, hold: Callable[[], Awaitable[Any]], ended: Callable[[], Any]
    ) -> None:
        self.executed: list[str] = []
        self.inputs: dict[str, Any] = {}
        self.answers: dict[str, list[Any]] = {}
        self.canceled: list[str] = []
        self._release = release
        self._hold = hold
        self._ended = ended

    async def execute(self, context: Any, event_queue: Any) -> None:
        said = [self._release.value(part) for part in context.message.parts]
        task = context.current_task
        if task is None:
            word = said[0].split()[0] if isinstance(said[0], str) and said[0] else ""
            if word == "say":
                await event_queue.enqueue_event(self._release.new_message("only a message"))
                return
            task = self._release.new_task(context.message)
            await event_queue.enqueue_event(task)
            self.inputs[task.id] = said[0] if len(said) == 1 else said
            self.answers[task.id] = []
        else:
            self.answers[task.id].append(said[0])
        self.executed.append(task.id)
        await self._work(self._release.updater(event_queue, task.id, task.context_id), task.id)

    async def cancel(self, context: Any, event_queue: Any) -> None:
        self.canceled.append(context.task_id)
        self._ended()
        await self._release.updater(event_queue, context.task_id, context.context_id).cancel()

    async def _work(self, updater: Any, task_id: str) -> None:
        release, first, answers = self._release, self.inputs[task_id], self.answers[task_id]
        word = first.split()[0] if isinstance(first, str) and first else ""

        def words(text: str) -> Any:
            return updater.new_agent_message([release.text(text)])

        await updater.start_work(words("at it"))
        questions = QUESTIONS.get(word, [])
        if len(answers) < len(questions):
            await updater.requires_input(words(questions[len(answers)]))
        elif word == "auth" and not answers:
            await updater.requires_auth(words("Sign in at https://login.example"))
        elif word == "reject":
            await updater.reject(words("not my job"))
        elif word == "fail":
            await updater.failed(words("burnt"))
        elif word == "raise":
            raise RuntimeError("upstream is away")
        elif word == "pieces":
            for place, text in enumerate(["One ", "large ", "pie"]):
                await updater.add_artifact([release.text(text)], "a1", "answer", append=place > 0)
            await updater.complete()
        else:
            if word == "hold":
                await self._hold()
            value = answers or first
            part = release.text(value) if isinstance(value, str) else release.data(value)
            await updater.add_artifact([part], name="answer")
            await updater.complete()
