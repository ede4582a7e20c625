"""Every operation once, each answer read as the specification's model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import TypeAdapter
from support.graphs import asking

from acp_langgraph.acp.calls import OPERATIONS
from acp_langgraph.acp.models import (
    Agent,
    AgentACPDescriptor,
    RunStateful,
    RunStateless,
    RunWaitResponseStateful,
    RunWaitResponseStateless,
    Thread,
    ThreadState,
)

STREAM, NOTHING = object(), None

ANSWERS: dict[str, Any] = {
    "search_agents": list[Agent],
    "get_agent_by_id": Agent,
    "get_acp_descriptor_by_id": AgentACPDescriptor,
    "create_thread": Thread,
    "search_threads": list[Thread],
    "get_thread": Thread,
    "patch_thread": Thread,
    "delete_thread": NOTHING,
    "get_thread_history": list[ThreadState],
    "copy_thread": Thread,
    "list_thread_runs": list[RunStateful],
    "create_thread_run": RunStateful,
    "create_and_stream_thread_run_output": STREAM,
    "create_and_wait_for_thread_run_output": RunWaitResponseStateful,
    "get_thread_run": RunStateful,
    "resume_thread_run": RunStateful,
    "delete_thread_run": NOTHING,
    "wait_for_thread_run_output": RunWaitResponseStateful,
    "stream_thread_run_output": STREAM,
    "cancel_thread_run": NOTHING,
    "create_stateless_run": RunStateless,
    "search_stateless_runs": list[RunStateless],
    "create_and_stream_stateless_run_output": STREAM,
    "create_and_wait_for_stateless_run_output": RunWaitResponseStateless,
    "get_stateless_run": RunStateless,
    "resume_stateless_run": RunStateless,
    "delete_stateless_run": NOTHING,
    "wait_for_stateless_run_output": RunWaitResponseStateless,
    "stream_stateless_run_output": STREAM,
    "cancel_stateless_run": NOTHING,
}

CASES = [(each.method, each.path, each.name) for each in OPERATIONS.values()]


@pytest.mark.parametrize(("method", "path", "name"), CASES, ids=[name for *_, name in CASES])
def test_an_operation_answers_as_the_specification_says(serving, method, path, name):
    client = serving({"asking": asking("ok?")})
    on_thread = "thread_id" in path
    thread_id = client.thread() if on_thread else ""
    if "run_id" in path or name == "get_thread_history":
        base = f"/threads/{thread_id}/runs" if on_thread else "/runs"
        run_id = client.outcome("asking", base)["run"]["run_id"]
    else:
        run_id = ""
    filled = path.format(
        agent_id=client.server.agent_ids["asking"], thread_id=thread_id, run_id=run_id
    )

    answer = client.request(method, filled, json=None if method in {"GET", "DELETE"} else {})

    expected = ANSWERS[name]
    if expected is NOTHING:
        assert (answer.status_code, answer.content) == (204, b"")
    elif expected is STREAM:
        assert answer.status_code == 200
        assert '"type":"interrupt"' in answer.text
    else:
        assert answer.status_code == 200
        TypeAdapter(expected).validate_json(answer.content, strict=True)
        assert all(datetime.fromisoformat(each).tzinfo for each in times(answer.json()))


def times(body: Any) -> list[str]:
    match body:
        case dict():
            own = [value for key, value in body.items() if key in {"created_at", "updated_at"}]
            return own + [each for value in body.values() for each in times(value)]
        case list():
            return [each for value in body for each in times(value)]
        case _:
            return []
