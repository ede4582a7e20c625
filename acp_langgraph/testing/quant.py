"""A fake of Quant's AI service: asynchronous tools, orchestrations, durable chat, tasks.

It refuses what the service refuses: values and bodies that are none, and, with `token=`, whoever has another one.

    from acp_langgraph.testing.quant import FakeQuant, FakeTool

    def test_a_picture_is_drawn_once():
        tool = FakeTool("generate_image", result={"s3Urls": ["https://..."]})
        with FakeQuant([tool], scale=0.01) as server:
            ...                                    # run the graph against server.url
            assert len(server.executions) == 1

A tool takes the time that the real one takes, in the server's seconds: `scale` says how long those
are, and `advance` lets many pass at once. What the model does is a function (`model`) of the request;
left alone it uses every tool it may, once, and then talks. Everything asked is in `requests`, faults
(429 with Retry-After, 5xx, lost answers) are added to `faults`, as on every fake server here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from acp_langgraph.testing.http import FakeHTTPServer
from acp_langgraph.testing.quant_records import (
    FakeChat,
    FakeExecution,
    FakeOrchestration,
    FakeTask,
    FakeTool,
    QuantClock,
    States,
)
from acp_langgraph.testing.quant_refusals import ORGANISATION, refusal
from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response


class TaskOperations(FakeHTTPServer):
    """What the service does with tasks; `FakeQuant` is the one to use.

    Attributes:
        clock: Tells the server's time.
        tasks: The tasks, by id.
    """

    def __init__(self, clock: QuantClock, *, port: int) -> None:
        super().__init__(port=port)
        self.clock = clock
        self.tasks: dict[str, FakeTask] = {}

    def add_task(self, title: str, *depends_on: FakeTask, **fields: Any) -> FakeTask:
        """Create a task as somebody else would have done it."""
        ids = [task.task_id for task in depends_on]
        with self.changed:
            return self._add_task({"title": title, "dependsOn": ids, **fields})

    def _create_task(self, request: RecordedRequest) -> Response:
        task = self._add_task(request.json)
        names = ("taskId", "orgId", "title", "status", "createdAt")
        return Response.json({name: task.fields[name] for name in names}, 201)

    def _add_task(self, body: Mapping[str, Any]) -> FakeTask:
        now = int(self.clock.now() * 1000)
        fields = {
            "taskId": str(uuid.uuid4()),
            "orgId": ORGANISATION,
            "taskListId": None,
            "description": "",
            "status": "pending",
            "assignedAgentId": None,
            "dependsOn": [],
            "metadata": {},
            "progress": 0,
            "result": None,
            "error": None,
            "retryCount": 0,
            "maxRetries": 3,
            "createdAt": now,
            "updatedAt": now,
            **body,
        }
        task = FakeTask(fields, [fields["status"]])
        self.tasks[task.task_id] = task
        return task

    def _list_tasks(self, request: RecordedRequest) -> Response:
        query = request.query
        wanted = {
            name: query[name]
            for name in ("taskListId", "status", "assignedAgentId")
            if name in query
        }
        found = [
            task
            for task in reversed(self.tasks.values())
            if wanted.items() <= task.fields.items()
            and query.get("dependsOn") in {None, *task.fields["dependsOn"]}
        ][: int(query.get("limit", 50))]
        shown: dict[str, Any] = {"count": len(found)}
        if "dependsOn" in query:
            ids = [task.task_id for task in found]
            shown |= {"taskIds": ids, "dependsOn": query["dependsOn"]}
        if "dependsOn" not in query or query.get("includeDetails") == "true":
            shown["tasks"] = [task.in_list() for task in found]
        return Response.json(shown)

    def _get_task(self, request: RecordedRequest) -> Response:
        task = self.tasks.get(parameter(request, "task_id"))
        if task is None:
            return Response.json({"error": "Task not found"}, 404)
        return Response.json(task.fields)

    def _update_task(self, request: RecordedRequest) -> Response:
        task = self.tasks.get(parameter(request, "task_id"))
        if task is None:
            return Response.json({"error": "Task not found"}, 404)
        task.write(request.json, self.clock.now())
        self.notify()
        names = ("taskId", "status", "updatedAt")
        return Response.json({name: task.fields[name] for name in names})

    def _delete_task(self, request: RecordedRequest) -> Response:
        task_id = parameter(request, "task_id")
        if task_id not in self.tasks:
            return Response.json({"error": "Task not found"}, 404)
        doomed, dependents = [task_id], self._dependents(task_id)
        if dependents and request.query.get("cascade") != "true":
            said = {"error": "TASK_HAS_DEPENDENTS", "message": f"{len(dependents)} depend on it"}
            return Response.json({**said, "dependentTaskIds": dependents}, 409)
        for each in doomed:
            doomed += [other for other in self._dependents(each) if other not in doomed]
        for each in doomed:
            del self.tasks[each]
        return Response.json(
            {"deleted": True, "deletedCount": len(doomed), "deletedTaskIds": doomed}
        )

    def _get_dependency_graph(self, request: RecordedRequest) -> Response:
        wanted = parameter(request, "task_list_id")
        listed = [task for task in self.tasks.values() if task.fields["taskListId"] == wanted]
        graph = {
            task.task_id: {
                "taskId": task.task_id,
                "title": task.fields["title"],
                "status": task.status,
                "dependsOn": task.fields["dependsOn"],
                "dependents": self._dependents(task.task_id),
            }
            for task in listed
        }
        shown = {
            "taskListId": wanted,
            "taskCount": len(listed),
            "roots": [each for each, node in graph.items() if not node["dependsOn"]],
            "leaves": [each for each, node in graph.items() if not node["dependents"]],
            "graph": graph,
        }
        return Response.json(shown)

    def _dependents(self, task_id: str) -> list[str]:
        return [task.task_id for task in self.tasks.values() if task_id in task.fields["dependsOn"]]


def parameter(request: RecordedRequest, name: str) -> str:
    """A parameter of the path that a request went to."""
    if request.route is None:
        raise LookupError(name)
    return request.route.parameters[name]


__all__ = ["QUANT_OPERATIONS", "FakeQuant", "FakeTool", "Turn", "Use"]

_ROOT: Final = "/api/v3/organizations/{organisation}/ai"

QUANT_OPERATIONS: Final = {
    name: operation.replace(" ", f" {_ROOT}", 1)
    for name, operation in {
        "list_ai_tools": "GET /tools",
        "list_ai_tool_names": "GET /tools/names",
        "list_ai_tool_executions": "GET /tools/executions",
        "get_ai_tool_execution_status": "GET /tools/executions/{execution_id}",
        "get_ai_orchestration_status": "GET /tools/orchestrations/{orchestration_id}",
        "chat_inference": "POST /chat",
        "get_durable_execution_status": "GET /chat/executions/{identifier}",
        "submit_tool_callback": "POST /chat/callback",
        "chat_with_ai_agent": "POST /agents/{agent_id}/chat",
        "create_task": "POST /tasks",
        "list_tasks": "GET /tasks",
        "get_task": "GET /tasks/{task_id}",
        "update_task": "PUT /tasks/{task_id}",
        "delete_task": "DELETE /tasks/{task_id}",
        "get_dependency_graph": "GET /tasks/{task_list_id}/dependency-graph",
    }.items()
}
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Use:
    """The model wants a tool."""

    tool: str
    input: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model does with one request.

    Attributes:
        text: What it says.
        uses: The tools that it wants.
    """

    text: str = ""
    uses: tuple[Use, ...] = ()


def eager_model(request: Mapping[str, Any]) -> Turn:
    """Uses every tool that it may, once; then says what it was given."""
    last = request["messages"][-1]["content"]
    if isinstance(last, list) and any("toolResult" in block for block in last):
        given = [block["toolResult"]["content"][0]["text"] for block in last]
        return Turn("; ".join(given))
    config = request.get("toolConfig") or {}
    names = [entry["toolSpec"]["name"] for entry in config.get("tools", ())]
    return Turn("" if names else f"You said: {last}", tuple(map(Use, names)))


class FakeQuant(TaskOperations):
    """Quant's AI service for one organisation, `acme`.

    Attributes:
        executions: Every execution that was ever started, oldest first.
        orchestrations: Every orchestration, likewise.
        chats: Every durable chat, likewise.
        tasks: The tasks, by id.
        chats_answered: How many chats the model answered.

    Args:
        tools: The tools that the organisation has.
        model: What the model does with a request.
        scale: World seconds that one second of the server takes.
        dialect: Words of the API up to 4.17 (`polling`, `synthesizedResponse`), or since.
        tool_use: Whether one tool use comes as an object or as a list of one.
        orchestrate: From how many asynchronous tools on the service gathers them.
        orchestration_in: Where the orchestration's id is in the answer.
        hidden_for: Server seconds for which something just started is still 404.
        listed: How many executions a list holds at most.
        lists: Whether executions can be listed; 403 if not.
        chat_states: What a durable chat goes through, first and after each callback.
        chat: Makes a durable chat of a request: `rounds`, `reply`, `error` of a `FakeChat`.
        token: The organisation's token: without one a request is answered 401, with another 403. Left
            out, anybody may ask. Another organisation's paths are 403 in any case.
        port: A port to listen on; a free one if 0.
    """

    operations = QUANT_OPERATIONS

    def __init__(
        self,
        tools: Iterable[FakeTool] = (),
        *,
        model: Callable[[Mapping[str, Any]], Turn] = eager_model,
        scale: float = 1.0,
        dialect: Literal["4.9", "4.19"] = "4.19",
        tool_use: Literal["object", "list"] = "object",
        orchestrate: int = 2,
        orchestration_in: Literal["top", "response", "nested", "poll_url", "nowhere"] = "nested",
        hidden_for: float = 0.0,
        listed: int = 100,
        lists: bool = True,
        chat_states: States = (("pending", 1.0), ("running", 5.0)),
        chat: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        token: str | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(QuantClock(scale), port=port)
        self.tools = {tool.name: tool for tool in tools}
        self.model = model
        self.dialect = dialect
        self.tool_use = tool_use
        self.orchestrate = orchestrate
        self.orchestration_in = orchestration_in
        self.hidden_for = hidden_for
        self.listed = listed
        self.lists = lists
        self.chat_states = chat_states
        self.make_chat = chat
        self.token = token
        self.chats_answered = 0
        self.executions: list[FakeExecution] = []
        self.orchestrations: list[FakeOrchestration] = []
        self.chats: list[FakeChat] = []

    def advance(self, seconds: float) -> None:
        """Let the server's time pass at once."""
        self.clock.advance(seconds)
        self.notify()

    def respond(self, request: RecordedRequest) -> Response:
        """Perform the operation that a request asks for."""
        with self.changed:
            if request.route is None:
                return Response.text("<html>Not Found</html>", 404, "text/html")
            if (refused := refusal(request, self.token)) is not None:
                return refused
            answer: Response = getattr(self, f"_{request.route.operation}")(request)
            return answer

    # Tools

    def _list_ai_tools(self, _: RecordedRequest) -> Response:
        entries = [tool.entry() for tool in self.tools.values()]
        return Response.json({"tools": entries, "count": len(entries)})

    def _list_ai_tool_names(self, _: RecordedRequest) -> Response:
        return Response.json({"tools": list(self.tools), "count": len(self.tools)})

    def _list_ai_tool_executions(self, request: RecordedRequest) -> Response:
        if not self.lists:
            return Response.json({"message": "Not allowed", "error": True}, 403)
        wanted = request.query.get("status")
        limit = min(int(request.query.get("limit", 50)), self.listed)
        found = [
            execution.in_list()
            for execution in reversed(self.executions)
            if self._is_shown(execution) and wanted in {None, execution.status}
        ]
        shown = {"executions": found[:limit], "count": len(found[:limit]), "orgId": "acme"}
        return Response.json({**shown, "status": wanted or "all"})

    def _get_ai_tool_execution_status(self, request: RecordedRequest) -> Response:
        wanted = parameter(request, "execution_id")
        for execution in self.executions:
            if execution.execution_id == wanted and self._is_shown(execution):
                return Response.json({**execution.to_json(), "unheardOf": {"yes": [1]}})
        return Response.json({"error": "Execution not found", "executionId": wanted}, 404)

    def _get_ai_orchestration_status(self, request: RecordedRequest) -> Response:
        wanted = parameter(request, "orchestration_id")
        for orchestration in self.orchestrations:
            if orchestration.orchestration_id == wanted and self._is_shown(orchestration):
                return Response.json(orchestration.to_json())
        return Response.json({"error": "Orchestration not found", "orchestrationId": wanted}, 404)

    def _is_shown(self, record: FakeExecution | FakeOrchestration | FakeChat) -> bool:
        return self.hidden_for <= self.clock.now() - record.created_at < _DAY

    def start_execution(self, tool: FakeTool, argument: Any = None) -> FakeExecution:
        """Start an execution, as a chat would."""
        execution = FakeExecution(self.clock, tool.states, tool=tool, input=argument)
        self.executions.append(execution)
        return execution

    # Chat

    def _chat_inference(self, request: RecordedRequest) -> Response:
        body = request.json
        if body.get("async"):
            return self._accept(body)
        self.chats_answered += 1
        turn = self.model(body)
        config = body.get("toolConfig") or {}
        allowed = set(config.get("allowedTools") or ()) if config.get("autoExecute") else set()
        uses = [self._use(use, use.tool in allowed) for use in turn.uses]
        message: dict[str, Any] = {"role": "assistant", "content": turn.text}
        if uses:
            single = len(uses) == 1 and self.tool_use == "object"
            message["toolUse"] = uses[0] if single else uses
        answer: dict[str, Any] = {
            "response": message,
            "model": body["modelId"],
            "requestId": f"req-{self.chats_answered}",
            "finishReason": "tool_use" if uses else "stop",
        }
        ids = [use["executionId"] for use in uses if "executionId" in use]
        started = [each for each in self.executions if each.execution_id in ids]
        if len(started) >= self.orchestrate:
            self._gather(started, answer)
        return Response.json(answer)

    def _use(self, use: Use, runs_here: bool) -> dict[str, Any]:
        shown = {"toolUseId": f"use-{uuid.uuid4().hex[:8]}", "name": use.tool, "input": use.input}
        tool = self.tools.get(use.tool)
        if not runs_here or tool is None:
            return shown
        if tool.is_async:
            execution = self.start_execution(tool, use.input)
            return {**shown, "executionId": execution.execution_id, "status": "pending"}
        if tool.error:
            return {**shown, "status": "failed", "error": tool.error}
        return {**shown, "status": "complete", "result": tool.run(use.input)}

    def _gather(self, started: list[FakeExecution], answer: dict[str, Any]) -> None:
        names = ", ".join(execution.tool.name for execution in started)
        orchestration = FakeOrchestration(
            self.clock,
            (("synthesizing", 2.0),),
            executions=started,
            answer=f"All of it: {names}",
            dialect=self.dialect,
        )
        self.orchestrations.append(orchestration)
        identifier = orchestration.orchestration_id
        poll = f"{self.url}{_ROOT.format(organisation='acme')}/tools/orchestrations/{identifier}"
        match self.orchestration_in:
            case "top":
                answer["orchestrationId"] = identifier
            case "response":
                answer["response"]["orchestrationId"] = identifier
            case "nested":
                answer["orchestration"] = {"orchestrationId": identifier}
            case "poll_url":
                answer["orchestration"] = {"pollUrl": poll}

    def _chat_with_ai_agent(self, request: RecordedRequest) -> Response:
        body = request.json
        if body.get("async"):
            return self._accept({**body, "agentId": parameter(request, "agent_id")})
        said = {"text": f"You said: {body['message']}", "stopReason": "end_turn"}
        return Response.json({"sessionId": str(uuid.uuid4()), "response": said})

    def _accept(self, body: dict[str, Any]) -> Response:
        plan = {"rounds": [], "reply": "Done."} | dict(
            self.make_chat(body) if self.make_chat else {}
        )
        chat = FakeChat(self.clock, self.chat_states, request=body, **plan)
        self.chats.append(chat)
        quoted = chat.request_id.replace("=", "%3D")
        accepted = {
            "requestId": chat.request_id,
            "sessionId": f"session-{len(self.chats)}",
            "status": "queued",
            "pollUrl": f"/ai/chat/executions/{quoted}",
        }
        return Response.json(accepted, 202)

    def _get_durable_execution_status(self, request: RecordedRequest) -> Response:
        identifier = parameter(request, "identifier")
        for chat in self.chats:
            if chat.request_id == identifier and self._is_shown(chat):
                return Response.json(chat.to_json())
        return Response.json({"error": "Execution not found"}, 404)

    def _submit_tool_callback(self, request: RecordedRequest) -> Response:
        body = request.json
        for chat in self.chats:
            if chat.status == "waiting_callback" and chat.callback_id == body["callbackId"]:
                chat.take(body["toolResults"])
                return Response.json({"success": True, "callbackId": body["callbackId"]})
        for chat in self.chats:
            chat.refused += 1
        return Response.json({"error": "Callback not found"}, 404)
