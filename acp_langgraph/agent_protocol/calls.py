"""The operations of LangGraph's Agent Protocol that a run's life takes, one function each.

A function performs nothing: it returns a `Call`. Names and paths are those of LangGraph Server's OpenAPI
document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from acp_langgraph.agent_protocol.models import Assistant, Run, Schemas, ThreadState
from acp_langgraph.core.calls import EVENT_STREAM, Call, path

_STREAM: Final = {"accept": EVENT_STREAM, "cache-control": "no-store"}


def create_run(thread_id: str, body: Mapping[str, Any]) -> Call[Run]:
    """Start a run in the background, or continue the thread with an answer."""
    return Call("create_run", "POST", _thread(thread_id, "/runs"), Run, body=dict(body))


def wait_run(thread_id: str, body: Mapping[str, Any], seconds: float) -> Call[Any]:
    """Start a run, and wait so long for it; the answer is as `join_run`'s.

    Without `on_disconnect`, a server may end the run with the connection.
    """
    where, sent = _thread(thread_id, "/runs/wait"), {**body, "on_disconnect": "continue"}
    waits: dict[str, Any] = {"timeout": seconds, "limit": seconds, "may_leave": True}
    return Call("wait_run", "POST", where, Any, body=sent, **waits)


def list_runs(thread_id: str, limit: int, offset: int = 0) -> Call[list[Run]]:
    """A thread's runs, the newest first."""
    query = {"limit": str(limit), "offset": str(offset)}
    return Call("list_runs", "GET", _thread(thread_id, "/runs"), list[Run], query=query)


def get_run(thread_id: str, run_id: str) -> Call[Run]:
    """A run."""
    return Call("get_run", "GET", _run(thread_id, run_id), Run)


def join_run(thread_id: str, run_id: str, seconds: float) -> Call[Any]:
    """Wait so long for a run; the answer is the last output, or `__error__`, or nothing certain.

    The server answers status and headers at once and a newline every five seconds.
    """
    where = _run(thread_id, run_id, "/join")
    return Call("join_run", "GET", where, Any, timeout=seconds, limit=seconds, may_leave=True)


def stream_run(thread_id: str, run_id: str, seconds: float) -> Call[Any]:
    """Join a run's stream."""
    where = _run(thread_id, run_id, "/stream")
    return Call("stream_run", "GET", where, Any, headers=_STREAM, timeout=seconds, may_leave=True)


def cancel_run(thread_id: str, run_id: str) -> Call[None]:
    """End a run that is at work, keeping what it did."""
    query = {"wait": "0", "action": "interrupt"}  # Aegra knows no `false`
    where = _run(thread_id, run_id, "/cancel")
    return Call("cancel_run", "POST", where, None, query=query, repeatable=True)


def get_state(thread_id: str) -> Call[ThreadState]:
    """A thread's state."""
    return Call("get_state", "GET", _thread(thread_id, "/state"), ThreadState)


def update_state(thread_id: str, body: Mapping[str, Any]) -> Call[None]:
    """Write a thread's state as one of the graph's nodes would."""
    return Call("update_state", "POST", _thread(thread_id, "/state"), None, body=dict(body))


def get_history(thread_id: str, limit: int) -> Call[list[ThreadState]]:
    """A thread's states, the newest first."""
    where, body = _thread(thread_id, "/history"), {"limit": limit}
    return Call("get_history", "POST", where, list[ThreadState], body=body, repeatable=True)


def delete_thread(thread_id: str) -> Call[None]:
    """Delete a thread with its runs."""
    return Call("delete_thread", "DELETE", _thread(thread_id), None)


def search_assistants(limit: int, offset: int = 0) -> Call[list[Assistant]]:
    """The assistants that a server offers."""
    body = {"limit": limit, "offset": offset}
    where = "/assistants/search"
    return Call("search_assistants", "POST", where, list[Assistant], body=body, repeatable=True)


def get_schemas(assistant_id: str) -> Call[Schemas]:
    """What an assistant's graph takes and gives."""
    where = path("/assistants/{assistant_id}/schemas", assistant_id=assistant_id)
    return Call("get_schemas", "GET", where, Schemas)


def _thread(thread_id: str, below: str = "") -> str:
    return path("/threads/{thread_id}", thread_id=thread_id) + below


def _run(thread_id: str, run_id: str, below: str = "") -> str:
    return _thread(thread_id) + path("/runs/{run_id}", run_id=run_id) + below
