"""Quant's durable chats and its tasks as values, and their nodes in processes.

A chat is started and looked at; what it wants run on this side goes back by a callback, whose id is good
for one use. A task is a record: whoever updates it last wins, and nobody else has any say in it.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, NamedTuple

from simulation.asking import AskingModel
from simulation.once_models import Remembering
from simulation.process import ModelTransport, Process, Request

from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.nodes.quant import QuantChatNode, QuantTaskNode
from acp_langgraph.quant.claims import CLAIM
from acp_langgraph.quant.polling import Pace

__all__ = ["ChatModel", "TaskModel", "chat_maker", "task_maker"]

_FOR_EVER = 10**9
WORK = "the work on the task"
"""The operation of what a worker does, which is nobody's protocol."""


class Chat(NamedTuple):
    """A durable chat.

    Attributes:
        number: Which of the server's it is.
        status: As the API says it.
        answers: What its callbacks brought.
        key: Which order it is for; the API knows of none.
    """

    number: int
    status: str = "running"
    answers: tuple[Any, ...] = ()
    key: str = ""

    @property
    def name(self) -> str:
        return f"chat-{self.number}"

    @property
    def is_done(self) -> bool:
        return self.status == "complete"

    @property
    def is_open(self) -> bool:
        return self.status in {"running", "waiting_callback"}

    @property
    def callback(self) -> str:
        return f"callback-{self.number}-{len(self.answers) + 1}"


class Chats(NamedTuple):
    """What a server holds.

    Attributes:
        chats: Its chats, the oldest first.
    """

    chats: tuple[Chat, ...] = ()

    def having(self, chat: Chat) -> Chats:
        """It, after a chat has changed."""
        return Chats((*self.chats[: chat.number - 1], chat, *self.chats[chat.number :]))


class ChatModel(AskingModel):
    """Quant's durable chats, whose model wants its tools run, and then is done."""

    empty = Chats()

    def works(self, server: Chats) -> tuple[Chat, ...]:
        """Its chats."""
        return server.chats

    def result(self, work: Any) -> Any:
        """What a chat says at its end."""
        return f"{', '.join(work.answers)}, says {work.name}"

    def moves(self, server: Chats) -> list[tuple[str, Chats]]:
        """What a chat may do next."""
        found = []
        for chat in server.chats:
            if chat.status == "running":
                after, said = chat._replace(status="complete"), "is done"
                if chat.number <= self.failing:
                    after, said = chat._replace(status="failed"), "fails"
                elif len(chat.answers) < len(self.questions):
                    after, said = chat._replace(status="waiting_callback"), "wants a tool run"
                found.append((f"{chat.name} {said}", server.having(after)))
        return found

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything on the server."""
        return request.operation in {"chat_inference", "submit_tool_callback"}

    def waits(self, server: Chats, request: Request) -> bool:
        """Whether a chat is looked at that is at work: there is nothing to see yet."""
        looks = request.operation == "get_durable_execution_status"
        return looks and server.chats[_number(request)].status == "running"

    def respond(self, server: Chats, request: Request) -> tuple[Chats, int, bytes]:
        """What a request makes of the server, and the answer."""
        match request.operation:
            case "chat_inference":
                lives = sum(each.status == "failed" for each in server.chats) + 1
                chat = Chat(len(server.chats) + 1, key=f"the chat/{lives}")
                accepted = {"requestId": chat.name, "status": "pending"}
                return server.having(chat), 202, json.dumps(accepted).encode()
            case "submit_tool_callback":
                body = json.loads(request.body or b"")
                for chat in server.chats:
                    if chat.callback == body["callbackId"] and chat.status == "waiting_callback":
                        told = (*chat.answers, body["toolResults"][0]["result"]["result"])
                        after = chat._replace(status="running", answers=told)
                        return server.having(after), 200, b'{"success": true}'
                return server, 404, b'{"message": "Callback not found or already used"}'
        return server, 200, json.dumps(self._shown(server.chats[_number(request)])).encode()

    def _shown(self, chat: Chat) -> dict[str, Any]:
        shown: dict[str, Any] = {"requestId": chat.name, "status": chat.status}
        if chat.status == "waiting_callback":
            name = self.questions[len(chat.answers)]
            tool = {"name": name, "toolUseId": f"use-{chat.callback}", "input": {}}
            shown |= {"callbackId": chat.callback, "pendingTools": [tool]}
        elif chat.is_done:
            said = {"role": "assistant", "content": self.result(chat)}
            shown["result"] = {"response": said}
        elif chat.status == "failed":
            shown["error"] = "boom"
        return shown


def _number(request: Request) -> int:
    return int(request.path.rpartition("-")[2]) - 1


class TaskRecord(NamedTuple):
    """A task, and what was done about it.

    Attributes:
        status: As the API says it.
        token: By whose claim it is held.
        result: What came of it, as JSON.
        worked: How often our workers have done it.
        rivals: How often another worker may still take it.
        overwritten: Whether what came of our work was recorded while another worker had it.
        until: Until when it is held, as the claim says.
    """

    status: str = "pending"
    token: str = ""
    result: str = ""
    worked: int = 0
    rivals: int = 0
    overwritten: bool = False
    until: int = 0


class TaskModel:
    """One of Quant's tasks, which a worker does; perhaps beside another one of somebody else's.

    Args:
        rivals: How often another worker takes it that saw it before anybody had it.
    """

    def __init__(self, rivals: int = 0) -> None:
        self.empty = TaskRecord(rivals=rivals)

    def moves(self, server: TaskRecord) -> list[tuple[str, TaskRecord]]:
        """That the other worker takes the task, or is done with it."""
        if server.rivals and server.status != "completed":
            taken = server._replace(
                status="in_progress", token="another", rivals=0, until=_FOR_EVER
            )
            return [("another worker takes the task", taken)]
        if server.token == "another" and server.status == "in_progress":
            done = server._replace(status="completed", result='{"result": "made by another"}')
            return [("the other worker is done with the task", done)]
        return []

    def broken(self, server: TaskRecord, _: Any, most_runs: int) -> str | None:
        """Whether both have recorded something, or the work was done too often."""
        if server.worked > most_runs:
            return f"the work was done {server.worked} times"
        if server.overwritten:
            return "what came of it was recorded although another worker has the task"
        return None

    def results(self, server: TaskRecord) -> list[Any]:
        """What came of it."""
        return [json.loads(server.result)["result"]] if server.result else []

    def at_work(self, _: TaskRecord) -> list[str]:
        """Nothing goes on by itself."""
        return []

    def was_answered(self, _: TaskRecord, __: Any) -> bool:
        """It asks nothing."""
        return False

    def is_stream(self, _: Request) -> bool:
        """It has none."""
        return False

    def waits(self, server: TaskRecord, request: Request) -> bool:
        """Whether the task is looked at that another worker has: there is nothing to see yet."""
        looks = request.operation == "get_task"
        return looks and server.token == "another" and server.status != "completed"

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything."""
        return request.operation in {"update_task", WORK}

    def respond(self, server: TaskRecord, request: Request) -> tuple[TaskRecord, int, bytes]:
        """What a request makes of the task, and the answer."""
        if request.operation == WORK:
            return server._replace(worked=server.worked + 1), 200, b'"made by us"'
        if request.operation == "update_task":
            body = json.loads(request.body or b"")
            claim = body.get("metadata", {}).get(CLAIM, {})
            if server.token == "another" and body.get("result"):
                server = server._replace(overwritten=True)
            server = server._replace(
                status=body.get("status", server.status),
                token=claim.get("token", server.token),
                until=claim.get("until", server.until),
            )
            if body.get("result") is not None:
                server = server._replace(result=json.dumps(body["result"]))
        held = {CLAIM: {"token": server.token, "until": server.until}} if server.token else {}
        shown = {"taskId": "task", "title": "", "status": server.status, "metadata": held}
        if server.result:
            shown["result"] = json.loads(server.result)
        return server, 200, json.dumps(shown).encode()


class ChatProcessNode(Remembering, QuantChatNode):
    """A chat's node in a process; its result is what the chat says."""

    async def ainvoke(self, *args: Any, **options: Any) -> Any:
        change = await super().ainvoke(*args, **options)
        return {"answer": change["answer"]["text"]}


class TaskProcessNode(Remembering, QuantTaskNode):
    """A worker in a process; its result is what came of the task."""

    async def ainvoke(self, *args: Any, **options: Any) -> Any:
        change = await super().ainvoke(*args, **options)
        result = change["answer"]["result"]
        return {"answer": result["result"] if isinstance(result, dict) else result}


class Worker:
    """Does the work, of which the world knows how often it was done."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ainvoke(self, *_: Any) -> Any:
        done = await self._process.perform(Request("work", WORK, ""))
        return json.loads(done.content)


def _made(template: Any, process: Process) -> Any:
    node = copy.copy(template)
    node.async_transport = ModelTransport(process, template.transport)
    node.policy = replace(template.policy, clock=lambda: process.now)
    return node


def chat_maker(**options: Any) -> Any:
    """Makes nodes of chats for processes, all alike."""
    declared = [
        {"toolSpec": {"name": each, "inputSchema": {"json": {}}}} for each in ("color?", "food?")
    ]
    template = ChatProcessNode(
        "remote",
        ApiClientConfiguration("http://quant.invalid", retries=2),
        organisation="acme",
        model_id="m",
        input_path="ask",
        output_path="answer",
        declared=declared,
        pace=Pace(1.0, 1.0, None),
        **options,
    )
    return lambda process: _made(template, process)


def task_maker(**options: Any) -> Any:
    """Makes workers for processes, all alike."""
    template = TaskProcessNode(
        "remote",
        lambda _: None,
        ApiClientConfiguration("http://quant.invalid", retries=2),
        organisation="acme",
        task_id="task",
        output_path="answer",
        pace=Pace(1.0, 1.0, None),
        **options,
    )

    def make(process: Process) -> Any:
        node = _made(template, process)
        node.runnable = Worker(process)
        return node

    return make
