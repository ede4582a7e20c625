"""An agent made with the A2A project's own SDK, served from a thread.

It does what the first word of a message says: `ask` and `twice` ask, `auth` wants a login, `reject`, `fail`
and `raise` fail in their ways, `say` answers with a message and without a task, `pieces` makes an artifact
in pieces, `hold` works until the agent's gate is open; anything else is echoed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from a2a.helpers import new_data_part, new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Part,
)
from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from support.asgi import served
from support.graphs import Gate

__all__ = ["Baker", "baker"]

QUESTIONS = {"ask": ["Which size?"], "twice": ["color?", "food?"]}


class Baker(AgentExecutor):
    """The agent.

    Attributes:
        url: Where it is.
        is_old: Whether it speaks 0.3.
        executed: The task id of each execution, in order.
        inputs: What each task was begun with, by its id.
        answers: What each was answered, by its id.
        canceled: The tasks that were cancelled.
        gate: Holds those whose word is `hold`.
        ended: Counts the cancelled ones.
    """

    def __init__(self) -> None:
        self.url = ""
        self.is_old = False
        self.executed: list[str] = []
        self.inputs: dict[str, Any] = {}
        self.answers: dict[str, list[Any]] = {}
        self.canceled: list[str] = []
        self.gate = Gate()
        self.ended = threading.Semaphore(0)

    async def execute(self, context: Any, event_queue: Any) -> None:
        said = [_value(part) for part in context.message.parts]
        task = context.current_task
        is_new = task is None
        if is_new:
            word = said[0].split()[0] if isinstance(said[0], str) and said[0] else ""
            if word == "say":
                await event_queue.enqueue_event(new_text_message("only a message"))
                return
            task = new_task_from_user_message(context.message)
            await event_queue.enqueue_event(task)
            self.inputs[task.id] = said[0] if len(said) == 1 else said
            self.answers[task.id] = []
        else:
            self.answers[task.id].append(said[0])
        self.executed.append(task.id)
        await self._work(TaskUpdater(event_queue, task.id, task.context_id), task.id)

    async def cancel(self, context: Any, event_queue: Any) -> None:
        self.canceled.append(context.task_id)
        self.ended.release()
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()

    async def _work(self, updater: TaskUpdater, task_id: str) -> None:
        first, answers = self.inputs[task_id], self.answers[task_id]
        word = first.split()[0] if isinstance(first, str) and first else ""

        def words(text: str) -> Any:
            return updater.new_agent_message([new_text_part(text)])

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
                part = new_text_part(text)
                await updater.add_artifact([part], "a1", "answer", append=place > 0)
            await updater.complete()
        else:
            if word == "hold":
                await self.gate.wait()
            await updater.add_artifact([_part(answers or first)], name="answer")
            await updater.complete()


def _value(part: Part) -> Any:
    shown = MessageToDict(part)
    return shown.get("text", shown.get("data", shown))


def _part(value: Any) -> Part:
    return new_text_part(value) if isinstance(value, str) else new_data_part(value)


@contextmanager
def baker(binding: str = "JSONRPC", version: str = "1.0") -> Iterator[Baker]:
    """The agent, served over one binding.

    Args:
        binding: Which the card offers.
        version: Of the protocol; `0.3` is spoken by the SDK's compatibility mode.
    """
    agent = Baker()
    agent.is_old = version == "0.3"
    interface = AgentInterface(
        url=f"http://localhost/{'rest' if binding == 'HTTP+JSON' else 'rpc'}",
        protocol_binding=binding,
        protocol_version=version,
    )
    skill = AgentSkill(id="bake", name="Baking", description="Bakes pies.", tags=["pie"])
    card = AgentCard(
        name="baker",
        description="Bakes pies.",
        version="1.2.3",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["text/plain", "application/json"],
        skills=[skill],
    )
    handler = DefaultRequestHandler(
        agent_executor=agent, task_store=InMemoryTaskStore(), agent_card=card
    )
    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=agent.is_old),
        *create_rest_routes(handler, path_prefix="/rest"),
    ]
    with served(Starlette(routes=routes)) as client:
        agent.url = str(client.base_url).rstrip("/")
        try:
            yield agent
        finally:
            agent.gate.open()
