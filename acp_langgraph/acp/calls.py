"""The operations of the Agent Connect Protocol 0.2.3: one function each, named by its operationId.

A function performs nothing. It checks its arguments and returns a `Call`: what to send, and what
type the reply has. A flow performs it with `yield from`, a client with `client.send(call)`; the
clients' methods of the same names do just that.

* Ids are path parameters. An empty one is refused, for the path would name something else.
* A `body` is a model of `acp_langgraph.acp.models` or a dict of the same shape. A dict is checked
  against the model, so that a mistake shows here, by the field's name, and not on the server.
  Fields that were not given are not sent: the server's defaults apply.
* Query parameters are keyword arguments, not sent unless given.
* `timeout` in seconds and `headers` of the one call are keyword arguments of every operation. What
  waits for a run (`..._wait_...`) waits as long as the run takes, unless `timeout` says otherwise.

The four `..._stream_...` operations answer with server-sent events; the type of their `Call` is that
of one event. Perform them with `client.stream(call)`.

Raises, all of them:
    ApiTypeError: If an argument has the wrong type. Nothing is sent.
    ApiValueError: If an argument has an impossible value. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, Unpack
from uuid import UUID

from pydantic import Field

from acp_langgraph.acp.models import (
    Agent,
    AgentACPDescriptor,
    AgentSearchRequest,
    RunCreateStateful,
    RunCreateStateless,
    RunOutputStream,
    RunSearchRequest,
    RunStateful,
    RunStateless,
    RunWaitResponseStateful,
    RunWaitResponseStateless,
    Thread,
    ThreadCreate,
    ThreadPatch,
    ThreadSearchRequest,
    ThreadState,
)
from acp_langgraph.core.calls import ABSENT, Call
from acp_langgraph.core.operations import (
    JSONObject,
    Operation,
    Options,
    Query,
    as_json,
    queried,
    sent,
)
from acp_langgraph.core.wire import plain

CancelAction: TypeAlias = Literal["interrupt", "rollback"]


def answered(answer: Any) -> Any:
    """The JSON value to send for the answer to an interrupt.

    Raises:
        ApiValueError: If it cannot be sent as JSON.
    """
    return as_json("the answer", plain, answer, "answer")


class Parameters(Query):
    """Every query parameter of the protocol."""

    wait: bool | None = None
    action: CancelAction | None = None
    limit: int | None = Field(default=None, ge=0)
    offset: int | None = Field(default=None, ge=0)
    before: str | None = Field(default=None, min_length=1)


Id: TypeAlias = str | UUID

_RUN: Final = "/threads/{thread_id}/runs/{run_id}"

OPERATIONS: Final[Mapping[str, Operation]] = {
    each.name: each
    for each in (
        Operation(
            "search_agents", "POST /agents/search", list[Agent], AgentSearchRequest, repeatable=True
        ),
        Operation("get_agent_by_id", "GET /agents/{agent_id}", Agent),
        Operation(
            "get_acp_descriptor_by_id", "GET /agents/{agent_id}/descriptor", AgentACPDescriptor
        ),
        Operation("create_stateless_run", "POST /runs", RunStateless, RunCreateStateless),
        Operation(
            "create_and_wait_for_stateless_run_output",
            "POST /runs/wait",
            RunWaitResponseStateless,
            RunCreateStateless,
            lasts=True,
        ),
        Operation(
            "create_and_stream_stateless_run_output",
            "POST /runs/stream",
            RunOutputStream,
            RunCreateStateless,
            streams=True,
        ),
        Operation(
            "search_stateless_runs",
            "POST /runs/search",
            list[RunStateless],
            RunSearchRequest,
            repeatable=True,
        ),
        Operation("get_stateless_run", "GET /runs/{run_id}", RunStateless),
        Operation(
            "wait_for_stateless_run_output",
            "GET /runs/{run_id}/wait",
            RunWaitResponseStateless,
            lasts=True,
        ),
        Operation(
            "stream_stateless_run_output",
            "GET /runs/{run_id}/stream",
            RunOutputStream,
            streams=True,
        ),
        Operation("resume_stateless_run", "POST /runs/{run_id}", RunStateless, Any),
        Operation(
            "cancel_stateless_run",
            "POST /runs/{run_id}/cancel",
            None,
            query=("wait", "action"),
            repeatable=True,
        ),
        Operation("delete_stateless_run", "DELETE /runs/{run_id}", None),
        Operation("create_thread", "POST /threads", Thread, ThreadCreate),
        Operation(
            "search_threads",
            "POST /threads/search",
            list[Thread],
            ThreadSearchRequest,
            repeatable=True,
        ),
        Operation("get_thread", "GET /threads/{thread_id}", Thread),
        Operation("patch_thread", "PATCH /threads/{thread_id}", Thread, ThreadPatch),
        Operation("delete_thread", "DELETE /threads/{thread_id}", None),
        Operation("copy_thread", "POST /threads/{thread_id}/copy", Thread),
        Operation(
            "get_thread_history",
            "GET /threads/{thread_id}/history",
            list[ThreadState],
            query=("limit", "before"),
        ),
        Operation(
            "list_thread_runs",
            "GET /threads/{thread_id}/runs",
            list[RunStateful],
            query=("limit", "offset"),
        ),
        Operation(
            "create_thread_run", "POST /threads/{thread_id}/runs", RunStateful, RunCreateStateful
        ),
        Operation(
            "create_and_wait_for_thread_run_output",
            "POST /threads/{thread_id}/runs/wait",
            RunWaitResponseStateful,
            RunCreateStateful,
            lasts=True,
        ),
        Operation(
            "create_and_stream_thread_run_output",
            "POST /threads/{thread_id}/runs/stream",
            RunOutputStream,
            RunCreateStateful,
            streams=True,
        ),
        Operation("get_thread_run", f"GET {_RUN}", RunStateful),
        Operation(
            "wait_for_thread_run_output", f"GET {_RUN}/wait", RunWaitResponseStateful, lasts=True
        ),
        Operation("stream_thread_run_output", f"GET {_RUN}/stream", RunOutputStream, streams=True),
        Operation("resume_thread_run", f"POST {_RUN}", RunStateful, Any),
        Operation(
            "cancel_thread_run",
            f"POST {_RUN}/cancel",
            None,
            query=("wait", "action"),
            repeatable=True,
        ),
        Operation("delete_thread_run", f"DELETE {_RUN}", None),
    )
}
"""The 30 operations by name, as the specification's OpenAPI document has them."""


# Agents


def search_agents(
    body: AgentSearchRequest | JSONObject | None = None, **options: Unpack[Options]
) -> Call[list[Agent]]:
    """List the agents that match; all of them, ten at a time, if nothing is asked for."""
    return _call("search_agents", options, body={} if body is None else body)


def get_agent_by_id(agent_id: Id, **options: Unpack[Options]) -> Call[Agent]:
    """Get an agent's name, version and description."""
    return _call("get_agent_by_id", options, agent_id)


def get_acp_descriptor_by_id(agent_id: Id, **options: Unpack[Options]) -> Call[AgentACPDescriptor]:
    """Get an agent's descriptor: its capabilities and the schemas of what goes in and out."""
    return _call("get_acp_descriptor_by_id", options, agent_id)


# Stateless runs


def create_stateless_run(
    body: RunCreateStateless | JSONObject, **options: Unpack[Options]
) -> Call[RunStateless]:
    """Start a run in the background and return at once."""
    return _call("create_stateless_run", options, body=body)


def create_and_wait_for_stateless_run_output(
    body: RunCreateStateless | JSONObject, **options: Unpack[Options]
) -> Call[RunWaitResponseStateless]:
    """Start a run and wait until it ends, fails or asks something."""
    return _call("create_and_wait_for_stateless_run_output", options, body=body)


def create_and_stream_stateless_run_output(
    body: RunCreateStateless | JSONObject, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    """Start a run and follow its output as it comes."""
    return _call("create_and_stream_stateless_run_output", options, body=body)


def search_stateless_runs(
    body: RunSearchRequest | JSONObject | None = None, **options: Unpack[Options]
) -> Call[list[RunStateless]]:
    """List the stateless runs that match; all of them, ten at a time, if nothing is asked for."""
    return _call("search_stateless_runs", options, body={} if body is None else body)


def get_stateless_run(run_id: Id, **options: Unpack[Options]) -> Call[RunStateless]:
    """Get a run and its status, not its output."""
    return _call("get_stateless_run", options, run_id)


def wait_for_stateless_run_output(
    run_id: Id, **options: Unpack[Options]
) -> Call[RunWaitResponseStateless]:
    """Wait until a run ends, fails or asks something.

    The server keeps the connection open as long as it, or a proxy before it, has the patience.
    """
    return _call("wait_for_stateless_run_output", options, run_id)


def stream_stateless_run_output(run_id: Id, **options: Unpack[Options]) -> Call[RunOutputStream]:
    """Follow the output of a run from now on; what came before is not repeated."""
    return _call("stream_stateless_run_output", options, run_id)


def resume_stateless_run(run_id: Id, body: Any, **options: Unpack[Options]) -> Call[RunStateless]:
    """Answer the question of an interrupted run, which then goes on.

    Args:
        run_id: The interrupted run.
        body: The answer, any JSON value: `None`, `False`, a string, a list, an object. Its schema
            is in the agent's descriptor, under the type of the interrupt.
    """
    return _call("resume_stateless_run", options, run_id, body=body)


def cancel_stateless_run(
    run_id: Id,
    *,
    wait: bool | None = None,
    action: CancelAction | None = None,
    **options: Unpack[Options],
) -> Call[None]:
    """Cancel a run.

    Args:
        run_id: The run.
        wait: Whether to answer only once the run has stopped; the server's default is not to.
        action: `interrupt` (the server's default) stops the run, `rollback` also deletes it and
            its checkpoints.
    """
    return _call("cancel_stateless_run", options, run_id, wait=wait, action=action)


def delete_stateless_run(run_id: Id, **options: Unpack[Options]) -> Call[None]:
    """Delete a run."""
    return _call("delete_stateless_run", options, run_id)


# Threads


def create_thread(
    body: ThreadCreate | JSONObject | None = None, **options: Unpack[Options]
) -> Call[Thread]:
    """Create an empty thread."""
    return _call("create_thread", options, body={} if body is None else body)


def search_threads(
    body: ThreadSearchRequest | JSONObject | None = None, **options: Unpack[Options]
) -> Call[list[Thread]]:
    """List the threads that match; all of them, ten at a time, if nothing is asked for."""
    return _call("search_threads", options, body={} if body is None else body)


def get_thread(thread_id: Id, **options: Unpack[Options]) -> Call[Thread]:
    """Get a thread with its status and current values."""
    return _call("get_thread", options, thread_id)


def patch_thread(
    thread_id: Id, body: ThreadPatch | JSONObject, **options: Unpack[Options]
) -> Call[Thread]:
    """Change a thread: metadata is merged, values and messages are written as a new state."""
    return _call("patch_thread", options, thread_id, body=body)


def delete_thread(thread_id: Id, **options: Unpack[Options]) -> Call[None]:
    """Delete a thread; the server refuses while a run of it is pending."""
    return _call("delete_thread", options, thread_id)


def copy_thread(thread_id: Id, **options: Unpack[Options]) -> Call[Thread]:
    """Create a thread with a copy of another one's state and history."""
    return _call("copy_thread", options, thread_id)


def get_thread_history(
    thread_id: Id,
    *,
    limit: int | None = None,
    before: str | None = None,
    **options: Unpack[Options],
) -> Call[list[ThreadState]]:
    """Get the past states of a thread.

    Args:
        thread_id: The thread.
        limit: How many states at most; the server's default is 10.
        before: The id of a checkpoint; only states older than it are listed.
    """
    return _call("get_thread_history", options, thread_id, limit=limit, before=before)


# Runs on a thread


def list_thread_runs(
    thread_id: Id,
    *,
    limit: int | None = None,
    offset: int | None = None,
    **options: Unpack[Options],
) -> Call[list[RunStateful]]:
    """List the runs of a thread.

    Args:
        thread_id: The thread.
        limit: How many runs at most; the server's default is 10.
        offset: How many runs to skip.
    """
    return _call("list_thread_runs", options, thread_id, limit=limit, offset=offset)


def create_thread_run(
    thread_id: Id, body: RunCreateStateful | JSONObject, **options: Unpack[Options]
) -> Call[RunStateful]:
    """Start a run on a thread in the background and return at once."""
    return _call("create_thread_run", options, thread_id, body=body)


def create_and_wait_for_thread_run_output(
    thread_id: Id, body: RunCreateStateful | JSONObject, **options: Unpack[Options]
) -> Call[RunWaitResponseStateful]:
    """Start a run on a thread and wait until it ends, fails or asks something."""
    return _call("create_and_wait_for_thread_run_output", options, thread_id, body=body)


def create_and_stream_thread_run_output(
    thread_id: Id, body: RunCreateStateful | JSONObject, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    """Start a run on a thread and follow its output as it comes."""
    return _call("create_and_stream_thread_run_output", options, thread_id, body=body)


def get_thread_run(thread_id: Id, run_id: Id, **options: Unpack[Options]) -> Call[RunStateful]:
    """Get a run of a thread and its status, not its output."""
    return _call("get_thread_run", options, thread_id, run_id)


def wait_for_thread_run_output(
    thread_id: Id, run_id: Id, **options: Unpack[Options]
) -> Call[RunWaitResponseStateful]:
    """Wait until a run of a thread ends, fails or asks something.

    The server keeps the connection open as long as it, or a proxy before it, has the patience.
    """
    return _call("wait_for_thread_run_output", options, thread_id, run_id)


def stream_thread_run_output(
    thread_id: Id, run_id: Id, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    """Follow the output of a run of a thread from now on; what came before is not repeated."""
    return _call("stream_thread_run_output", options, thread_id, run_id)


def resume_thread_run(
    thread_id: Id, run_id: Id, body: Any, **options: Unpack[Options]
) -> Call[RunStateful]:
    """Answer the question of an interrupted run of a thread, which then goes on.

    Args:
        thread_id: The run's thread.
        run_id: The interrupted run.
        body: The answer, any JSON value: `None`, `False`, a string, a list, an object. Its schema
            is in the agent's descriptor, under the type of the interrupt.
    """
    return _call("resume_thread_run", options, thread_id, run_id, body=body)


def cancel_thread_run(
    thread_id: Id,
    run_id: Id,
    *,
    wait: bool | None = None,
    action: CancelAction | None = None,
    **options: Unpack[Options],
) -> Call[None]:
    """Cancel a run of a thread.

    Args:
        thread_id: The run's thread.
        run_id: The run.
        wait: Whether to answer only once the run has stopped; the server's default is not to.
        action: `interrupt` (the server's default) stops the run, `rollback` also deletes it and
            its checkpoints.
    """
    return _call("cancel_thread_run", options, thread_id, run_id, wait=wait, action=action)


def delete_thread_run(thread_id: Id, run_id: Id, **options: Unpack[Options]) -> Call[None]:
    """Delete a run of a thread."""
    return _call("delete_thread_run", options, thread_id, run_id)


def _call(
    operation: str, options: Options, *ids: Any, body: Any = ABSENT, **query: Any
) -> Call[Any]:
    known = OPERATIONS[operation]
    if known.takes is Any:
        body = answered(body)
    elif known.takes is not None:
        body = sent(known.takes, body)
    asked = queried(Parameters, **query) if query else {}
    return known.call(ids, body, asked, options)
