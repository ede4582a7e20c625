"""Operations of Quant's AI API, written from its OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["CHATS", "EXECUTION_ID", "OPERATIONS", "TASK_ID", "TOOLS_AND_TASKS", "Operation"]

NOTHING = object()
EXECUTION_ID = "exec_0123456789abcdef0123456789abcdef"
ORCHESTRATION_ID = "orch_0123456789abcdef0123456789abcdef"
TASK_ID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_ID = "550e8400-e29b-41d4-a716-446655440001"
LIST_ID = "world 1/a"

TOOL = {
    "toolSpec": {
        "name": "generate_image",
        "description": "Draws",
        "inputSchema": {"json": {"type": "object"}},
    }
}
EXECUTION = {
    "executionId": EXECUTION_ID,
    "toolName": "generate_image",
    "status": "complete",
    "createdAt": 1730271600,
    "startedAt": 1730271601,
    "completedAt": 1730271612,
    "duration": 11,
    "result": {"images": ["data:image/jpeg;base64,/9j/4AAQ"], "s3Urls": ["https://s3/x"]},
}
EXECUTIONS = {
    "executions": [
        {
            "executionId": EXECUTION_ID,
            "toolName": "generate_image",
            "status": "running",
            "createdAt": "2026-01-28T10:00:00Z",
        }
    ],
    "count": 1,
    "orgId": "acme",
    "status": "running",
}
ORCHESTRATION = {
    "orchestrationId": ORCHESTRATION_ID,
    "status": "complete",
    "toolCount": 2,
    "completedTools": 2,
    "result": "A lighthouse in the rain.",
    "tools": [
        {"executionId": EXECUTION_ID, "toolName": "generate_image", "status": "complete"},
        {"executionId": EXECUTION_ID, "toolName": "other", "status": "failed", "error": "no ink"},
    ],
    "createdAt": "2026-01-28T10:00:00Z",
    "completedAt": "2026-01-28T10:00:19Z",
    "duration": 19,
}
TASK = {
    "taskId": TASK_ID,
    "orgId": "acme",
    "taskListId": LIST_ID,
    "title": "Review",
    "description": "",
    "status": "blocked",
    "assignedAgentId": None,
    "createdByAgentId": None,
    "dependsOn": [OTHER_ID],
    "metadata": {"a": 1},
    "progress": 0.5,
    "progressMessage": "half",
    "result": None,
    "error": None,
    "retryCount": 0,
    "maxRetries": 3,
    "createdAt": 1735689600000,
    "updatedAt": 1735689700000,
    "startedAt": None,
    "completedAt": None,
    "expiresAt": None,
    "blockedReason": "waits for paint",
    "blockedByTaskIds": [OTHER_ID],
    "blockedAt": 1735689700000,
}
IN_SHORT = {
    name: TASK[name] for name in ("taskId", "orgId", "title", "status", "createdAt", "updatedAt")
}
CREATE = {
    "title": "Review",
    "taskListId": LIST_ID,
    "dependsOn": [OTHER_ID],
    "metadata": {"a": 1},
    "maxRetries": 2,
}
UPDATE = {"status": "failed", "error": None, "progress": 0.5, "result": {"x": 1}, "retryCount": 1}
CHAT = {
    "modelId": "amazon.nova-pro-v1:0",
    "messages": [{"role": "user", "content": "Draw a lighthouse"}],
    "toolConfig": {"tools": [TOOL], "autoExecute": True, "allowedTools": ["generate_image"]},
}
CHATTED = {
    "response": {"role": "assistant", "content": "Hello"},
    "model": "amazon.nova-pro-v1:0",
    "requestId": "req-1",
    "finishReason": "stop",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
}
ACCEPTED = {
    "requestId": "XkdVWiEfSwMEPrw=",
    "sessionId": "session-1769056496430",
    "status": "queued",
    "message": "started",
    "pollUrl": "/ai/chat/executions/XkdVWiEfSwMEPrw%3D",
}
DURABLE = {
    "requestId": "XkdVWiEfSwMEPrw=",
    "status": "waiting_callback",
    "awsStatus": "RUNNING",
    "callbackId": "cb-1",
    "pendingTools": [{"name": "look_up", "toolUseId": "t1", "input": {"q": "x"}}],
}
CALLBACK = {"callbackId": "cb-1", "toolResults": [{"toolUseId": "t1", "result": {"a": 1}}]}


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    template: str
    answer: Any
    arguments: tuple[Any, ...] = ()
    ids: dict[str, str] = field(default_factory=dict)
    body: Any = NOTHING
    query: dict[str, Any] = field(default_factory=dict)
    on_the_wire: dict[str, list[str]] = field(default_factory=dict)
    statuses: tuple[int, ...] = (403, 500)
    status: int = 200

    @property
    def path(self) -> str:
        return "/api/v3/organizations/acme/ai" + self.template


TOOLS_AND_TASKS = [
    Operation("list_ai_tools", "GET", "/tools", {"tools": [TOOL], "count": 1}),
    Operation("list_ai_tool_names", "GET", "/tools/names", {"tools": ["a", "b"], "count": 2}),
    Operation(
        "list_ai_tool_executions",
        "GET",
        "/tools/executions",
        EXECUTIONS,
        query={"status": "running", "limit": 100},
        on_the_wire={"status": ["running"], "limit": ["100"]},
        statuses=(400, 403, 500),
    ),
    Operation(
        "get_ai_tool_execution_status",
        "GET",
        f"/tools/executions/{EXECUTION_ID}",
        EXECUTION,
        (EXECUTION_ID,),
        statuses=(403, 404, 500),
    ),
    Operation(
        "get_ai_orchestration_status",
        "GET",
        f"/tools/orchestrations/{ORCHESTRATION_ID}",
        ORCHESTRATION,
        (ORCHESTRATION_ID,),
        statuses=(403, 404, 500),
    ),
    Operation(
        "create_task",
        "POST",
        "/tasks",
        {"taskId": TASK_ID, "title": "Review", "status": "pending", "createdAt": 1735689600000},
        (CREATE,),
        body=CREATE,
        statuses=(400, 500),
        status=201,
    ),
    Operation(
        "list_tasks",
        "GET",
        "/tasks",
        {"tasks": [IN_SHORT], "taskIds": [TASK_ID], "count": 1, "dependsOn": OTHER_ID},
        query={
            "task_list_id": LIST_ID,
            "status": "in_progress",
            "assigned_agent_id": "a1",
            "limit": 1,
            "depends_on": OTHER_ID,
            "include_details": True,
        },
        on_the_wire={
            "taskListId": [LIST_ID],
            "status": ["in_progress"],
            "assignedAgentId": ["a1"],
            "limit": ["1"],
            "dependsOn": [OTHER_ID],
            "includeDetails": ["true"],
        },
        statuses=(500,),
    ),
    Operation("get_task", "GET", f"/tasks/{TASK_ID}", TASK, (TASK_ID,), statuses=(404, 500)),
    Operation(
        "update_task",
        "PUT",
        f"/tasks/{TASK_ID}",
        {"taskId": TASK_ID, "status": "failed", "updatedAt": 1735689700000},
        (TASK_ID, UPDATE),
        body=UPDATE,
        statuses=(400, 404, 500),
    ),
    Operation(
        "delete_task",
        "DELETE",
        f"/tasks/{TASK_ID}",
        {"deleted": True, "deletedCount": 2, "deletedTaskIds": [TASK_ID, OTHER_ID]},
        (TASK_ID,),
        query={"cascade": True},
        on_the_wire={"cascade": ["true"]},
        statuses=(404, 409, 500),
    ),
    Operation(
        "get_dependency_graph",
        "GET",
        "/tasks/world%201%2Fa/dependency-graph",
        {
            "taskListId": LIST_ID,
            "taskCount": 2,
            "roots": [OTHER_ID],
            "leaves": [TASK_ID],
            "graph": {TASK_ID: {"title": "Review", "dependsOn": [OTHER_ID], "dependents": []}},
        },
        (LIST_ID,),
        statuses=(500,),
    ),
]

CHATS = [
    Operation("chat_inference", "POST", "/chat", CHATTED, (CHAT,), body=CHAT, statuses=(500,)),
    Operation(
        "chat_inference_async",
        "POST",
        "/chat",
        ACCEPTED,
        (CHAT,),
        body={**CHAT, "async": True},
        statuses=(500,),
        status=202,
    ),
    Operation(
        "get_durable_execution_status",
        "GET",
        "/chat/executions/XkdVWiEfSwMEPrw%3D",
        DURABLE,
        ("XkdVWiEfSwMEPrw=",),
        statuses=(403, 404, 500),
    ),
    Operation(
        "submit_tool_callback",
        "POST",
        "/chat/callback",
        {"success": True, "message": "ok", "callbackId": "cb-1"},
        (CALLBACK,),
        body=CALLBACK,
        statuses=(400, 403, 404, 500),
    ),
    Operation(
        "chat_with_ai_agent",
        "POST",
        f"/agents/{TASK_ID}/chat",
        {"sessionId": OTHER_ID, "response": {"text": "Hi", "stopReason": "end_turn"}},
        (TASK_ID, {"message": "Hello", "maxToolIterations": 3}),
        body={"message": "Hello", "maxToolIterations": 3},
        statuses=(400, 403, 404, 500),
    ),
    Operation(
        "chat_with_ai_agent_async",
        "POST",
        f"/agents/{TASK_ID}/chat",
        {**ACCEPTED, "agentId": TASK_ID},
        (TASK_ID, {"message": "Hello"}),
        body={"message": "Hello", "async": True},
        statuses=(400, 403, 404, 500),
        status=202,
    ),
]

OPERATIONS = TOOLS_AND_TASKS + CHATS
