"""The 30 operations of the Agent Connect Protocol 0.2.3, written from its OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

THREAD_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
RUN_ID = "9d1f5f64-aaaa-4562-b3fc-2c963f66afa7"
AGENT_ID = "11111111-5717-4562-b3fc-2c963f66afa8"
IDS = {"thread_id": THREAD_ID, "run_id": RUN_ID, "agent_id": AGENT_ID}
NOW = "2026-11-22T06:27:16Z"
NOTHING = object()

AGENT = {
    "agent_id": AGENT_ID,
    "metadata": {"ref": {"name": "mailcomposer", "version": "1.0"}, "description": "Writes mail"},
}
DESCRIPTOR = {
    "metadata": AGENT["metadata"],
    "specs": {
        "capabilities": {"threads": True, "streaming": {"values": True}},
        "input": {"type": "object"},
        "output": {"type": "object"},
        "config": {"type": "object"},
    },
}
THREAD = {
    "thread_id": THREAD_ID,
    "created_at": NOW,
    "updated_at": NOW,
    "metadata": {"owner": "me"},
    "status": "idle",
}
STATE = {"checkpoint": {"checkpoint_id": "c1"}, "values": {"text": "hi"}}
CREATE = {"agent_id": AGENT_ID, "input": {"text": "hi"}, "metadata": {"key": "k"}}
RUN = {
    "run_id": RUN_ID,
    "agent_id": AGENT_ID,
    "created_at": NOW,
    "updated_at": NOW,
    "status": "pending",
    "creation": CREATE,
}
THREAD_RUN = {**RUN, "thread_id": THREAD_ID}
OUTPUT = {"type": "result", "values": {"text": "hi!"}}
OUTCOME = {"run": {**RUN, "status": "success"}, "output": OUTPUT}
THREAD_OUTCOME = {"run": {**THREAD_RUN, "status": "success"}, "output": OUTPUT}
UPDATE = {"type": "values", "run_id": RUN_ID, "status": "pending", "values": {"text": "h"}}
EVENT = {"id": "1", "event": "agent_event", "data": UPDATE}


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    template: str
    answer: Any = NOTHING  # 204 without a body
    body: Any = NOTHING
    query: dict[str, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = (404, 422)
    streams: bool = False

    @property
    def path(self) -> str:
        return self.template.format(**IDS)

    @property
    def arguments(self) -> tuple[Any, ...]:
        ids = [IDS[part[1:-1]] for part in self.template.split("/") if part.startswith("{")]
        return (*ids, *([] if self.body is NOTHING else [self.body]))

    @property
    def on_the_wire(self) -> dict[str, list[str]]:
        return {
            name: [str(value).lower() if isinstance(value, bool) else str(value)]
            for name, value in self.query.items()
        }


_OF_THREAD = "/threads/{thread_id}"
_RUNS = "/threads/{thread_id}/runs"
_RUN = "/threads/{thread_id}/runs/{run_id}"
_STARTING = (404, 409, 422)

OPERATIONS = [
    Operation("search_agents", "POST", "/agents/search", [AGENT], {"name": "m"}, errors=(422,)),
    Operation("get_agent_by_id", "GET", "/agents/{agent_id}", AGENT, errors=(404,)),
    Operation("get_acp_descriptor_by_id", "GET", "/agents/{agent_id}/descriptor", DESCRIPTOR),
    Operation("create_thread", "POST", "/threads", THREAD, {"metadata": {}}, errors=(409, 422)),
    Operation("search_threads", "POST", "/threads/search", [THREAD], {"limit": 5}, errors=(422,)),
    Operation(
        "get_thread_history",
        "GET",
        _OF_THREAD + "/history",
        [STATE],
        query={"limit": 3, "before": "c 9&x=1"},
    ),
    Operation("copy_thread", "POST", _OF_THREAD + "/copy", THREAD),
    Operation("get_thread", "GET", _OF_THREAD, THREAD),
    Operation("delete_thread", "DELETE", _OF_THREAD),
    Operation("patch_thread", "PATCH", _OF_THREAD, THREAD, {"metadata": {"owner": "you"}}),
    Operation("list_thread_runs", "GET", _RUNS, [THREAD_RUN], query={"limit": 2, "offset": 0}),
    Operation("create_thread_run", "POST", _RUNS, THREAD_RUN, CREATE, errors=_STARTING),
    Operation(
        "create_and_stream_thread_run_output",
        "POST",
        _RUNS + "/stream",
        [EVENT],
        {**CREATE, "stream_mode": ["values", "custom"]},
        errors=_STARTING,
        streams=True,
    ),
    Operation(
        "create_and_wait_for_thread_run_output",
        "POST",
        _RUNS + "/wait",
        THREAD_OUTCOME,
        {**CREATE, "if_not_exists": "create"},
        errors=_STARTING,
    ),
    Operation("wait_for_thread_run_output", "GET", _RUN + "/wait", THREAD_OUTCOME),
    Operation("get_thread_run", "GET", _RUN, THREAD_RUN),
    Operation("resume_thread_run", "POST", _RUN, THREAD_RUN, {"ok": True}, errors=_STARTING),
    Operation("delete_thread_run", "DELETE", _RUN),
    Operation("stream_thread_run_output", "GET", _RUN + "/stream", [EVENT], streams=True),
    Operation(
        "cancel_thread_run", "POST", _RUN + "/cancel", query={"wait": True, "action": "rollback"}
    ),
    Operation("create_stateless_run", "POST", "/runs", RUN, CREATE, errors=_STARTING),
    Operation(
        "search_stateless_runs",
        "POST",
        "/runs/search",
        [RUN],
        {"metadata": {"key": "k"}, "status": "error"},
        errors=(422,),
    ),
    Operation(
        "create_and_stream_stateless_run_output",
        "POST",
        "/runs/stream",
        [EVENT],
        CREATE,
        errors=_STARTING,
        streams=True,
    ),
    Operation(
        "create_and_wait_for_stateless_run_output",
        "POST",
        "/runs/wait",
        OUTCOME,
        {**CREATE, "config": {"tags": ["a"], "recursion_limit": 9, "configurable": {"x": 1}}},
        errors=_STARTING,
    ),
    Operation("wait_for_stateless_run_output", "GET", "/runs/{run_id}/wait", OUTCOME),
    Operation("get_stateless_run", "GET", "/runs/{run_id}", RUN),
    Operation("resume_stateless_run", "POST", "/runs/{run_id}", RUN, [1], errors=_STARTING),
    Operation("delete_stateless_run", "DELETE", "/runs/{run_id}"),
    Operation("stream_stateless_run_output", "GET", "/runs/{run_id}/stream", [EVENT], streams=True),
    Operation("cancel_stateless_run", "POST", "/runs/{run_id}/cancel", query={"wait": False}),
]
BY_NAME = {operation.name: operation for operation in OPERATIONS}
