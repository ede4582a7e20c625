"""What is on the wire of LangGraph's Agent Protocol, as far as a run's life needs it: models and operations.

Names and paths are those of LangGraph Server's OpenAPI document. Servers differ in what they leave out, so
everything but ids and statuses may be missing, and unknown fields are kept. An operation is a function
that performs nothing: it returns a `Call`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from acp_langgraph.core.calls import EVENT_STREAM, Call, path
from acp_langgraph.core.wire import Wire, with_zone

KEY: Final = "acp_langgraph_key"
"""Under this name a run's metadata holds the key by which it is found again."""

T = TypeVar("T")
Moment: TypeAlias = Annotated[datetime, AfterValidator(with_zone)]
Object: TypeAlias = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]
Listed: TypeAlias = Annotated[list[T], BeforeValidator(lambda value: value or [])]
Text: TypeAlias = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class Run(Wire):
    """A run: a start, or the continuation of a thread after an answer.

    Its status alone never tells what became of it: a run that asks is a `success` on LangGraph's own
    server and `interrupted` on others, which on both is also what a cancelled one is.
    """

    run_id: str
    status: str
    created_at: Moment | None = None
    metadata: dict[str, Any] | None = None
    config: Object = Field(default={})
    error_message: Text = ""

    @property
    def is_at_work(self) -> bool:
        """Whether it is, or is about to be."""
        return self.status in {"pending", "running"}

    @property
    def key(self) -> str | None:
        """The key that it was started under: in its metadata, or where these are not kept its config's."""
        return {**(self.config.get("metadata") or {}), **(self.metadata or {})}.get(KEY)


class Question(Wire):
    """What a graph asks by an `interrupt`."""

    id: str
    value: Any = None


class Task(Wire):
    """What a graph is at, or stopped at: a node of its next step."""

    name: Text = ""
    error: Text = ""
    interrupts: Listed[Question] = Field(default=[])


class ThreadState(Wire):
    """The state of a thread, which is of its latest run."""

    values: Any = None
    next: Listed[str] = Field(default=[])
    tasks: Listed[Task] = Field(default=[])
    metadata: Object = Field(default={})

    @property
    def is_done(self) -> bool:
        """Whether its graph has come to its end: nothing is next, asked, failed or cancelled."""
        return not (self.next or self.tasks)

    @property
    def questions(self) -> dict[str, Any]:
        """What is asked, by the questions' ids; of a subgraph's question its task in the parent tells."""
        return {each.id: each.value for task in self.tasks for each in task.interrupts}


class Assistant(Wire):
    """A graph with a configuration, as a server offers it."""

    assistant_id: str
    graph_id: str
    name: Text = ""
    description: Text = ""
    version: int | None = None
    metadata: Object = Field(default={})

    @property
    def is_the_servers(self) -> bool:
        """Whether the server itself made it, as it does one for each graph."""
        return self.metadata.get("created_by") == "system"


class Schemas(Wire):
    """The JSON Schemas of a graph; a server that cannot tell one says `null`."""

    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    state_schema: dict[str, Any] | None = None
    config_schema: dict[str, Any] | None = None
    context_schema: dict[str, Any] | None = None


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
