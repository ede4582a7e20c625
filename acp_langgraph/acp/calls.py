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
from dataclasses import replace
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
from acp_langgraph.core.calls import ABSENT, EVENT_STREAM, Call, path
from acp_langgraph.core.operations import (
    JSONObject,
    Options,
    Query,
    as_json,
    checked_options,
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

_STREAM: Final = {"accept": EVENT_STREAM, "cache-control": "no-store"}


# Agents


def search_agents(
    body: AgentSearchRequest | JSONObject | None = None, **options: Unpack[Options]
) -> Call[list[Agent]]:
    """List the agents that match; all of them, ten at a time, if nothing is asked for."""
    where, wire = "/agents/search", sent(AgentSearchRequest, {} if body is None else body)
    return _search("search_agents", where, list[Agent], wire, **options)


def get_agent_by_id(agent_id: Id, **options: Unpack[Options]) -> Call[Agent]:
    """Get an agent's name, version and description."""
    where = path("/agents/{agent_id}", agent_id=agent_id)
    return _call("get_agent_by_id", "GET", where, Agent, **options)


def get_acp_descriptor_by_id(agent_id: Id, **options: Unpack[Options]) -> Call[AgentACPDescriptor]:
    """Get an agent's descriptor: its capabilities and the schemas of what goes in and out."""
    where = path("/agents/{agent_id}/descriptor", agent_id=agent_id)
    return _call("get_acp_descriptor_by_id", "GET", where, AgentACPDescriptor, **options)


# Stateless runs


def create_stateless_run(
    body: RunCreateStateless | JSONObject, **options: Unpack[Options]
) -> Call[RunStateless]:
    """Start a run in the background and return at once."""
    wire = sent(RunCreateStateless, body)
    return _call("create_stateless_run", "POST", "/runs", RunStateless, body=wire, **options)


def create_and_wait_for_stateless_run_output(
    body: RunCreateStateless | JSONObject, **options: Unpack[Options]
) -> Call[RunWaitResponseStateless]:
    """Start a run and wait until it ends, fails or asks something."""
    name, wire = "create_and_wait_for_stateless_run_output", sent(RunCreateStateless, body)
    return _call(
        name, "POST", "/runs/wait", RunWaitResponseStateless, body=wire, lasts=True, **options
    )


def create_and_stream_stateless_run_output(
    body: RunCreateStateless | JSONObject, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    """Start a run and follow its output as it comes."""
    name, wire = "create_and_stream_stateless_run_output", sent(RunCreateStateless, body)
    return _stream(name, "POST", "/runs/stream", body=wire, **options)


def search_stateless_runs(
    body: RunSearchRequest | JSONObject | None = None, **options: Unpack[Options]
) -> Call[list[RunStateless]]:
    """List the stateless runs that match; all of them, ten at a time, if nothing is asked for."""
    where, wire = "/runs/search", sent(RunSearchRequest, {} if body is None else body)
    return _search("search_stateless_runs", where, list[RunStateless], wire, **options)


def get_stateless_run(run_id: Id, **options: Unpack[Options]) -> Call[RunStateless]:
    """Get a run and its status, not its output."""
    where = path("/runs/{run_id}", run_id=run_id)
    return _call("get_stateless_run", "GET", where, RunStateless, **options)


def wait_for_stateless_run_output(
    run_id: Id, **options: Unpack[Options]
) -> Call[RunWaitResponseStateless]:
    """Wait until a run ends, fails or asks something.

    The server keeps the connection open as long as it, or a proxy before it, has the patience.
    """
    where = path("/runs/{run_id}/wait", run_id=run_id)
    name = "wait_for_stateless_run_output"
    return _call(name, "GET", where, RunWaitResponseStateless, lasts=True, **options)


def stream_stateless_run_output(run_id: Id, **options: Unpack[Options]) -> Call[RunOutputStream]:
    """Follow the output of a run from now on; what came before is not repeated."""
    where = path("/runs/{run_id}/stream", run_id=run_id)
    return _stream("stream_stateless_run_output", "GET", where, **options)


def resume_stateless_run(run_id: Id, body: Any, **options: Unpack[Options]) -> Call[RunStateless]:
    """Answer the question of an interrupted run, which then goes on.

    Args:
        run_id: The interrupted run.
        body: The answer, any JSON value: `None`, `False`, a string, a list, an object. Its schema
            is in the agent's descriptor, under the type of the interrupt.
    """
    where, wire = path("/runs/{run_id}", run_id=run_id), answered(body)
    return _call("resume_stateless_run", "POST", where, RunStateless, body=wire, **options)


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
    where = path("/runs/{run_id}/cancel", run_id=run_id)
    return _cancel("cancel_stateless_run", where, wait, action, **options)


def delete_stateless_run(run_id: Id, **options: Unpack[Options]) -> Call[None]:
    """Delete a run."""
    where = path("/runs/{run_id}", run_id=run_id)
    return _call("delete_stateless_run", "DELETE", where, None, **options)


# Threads


def create_thread(
    body: ThreadCreate | JSONObject | None = None, **options: Unpack[Options]
) -> Call[Thread]:
    """Create an empty thread."""
    wire = sent(ThreadCreate, {} if body is None else body)
    return _call("create_thread", "POST", "/threads", Thread, body=wire, **options)


def search_threads(
    body: ThreadSearchRequest | JSONObject | None = None, **options: Unpack[Options]
) -> Call[list[Thread]]:
    """List the threads that match; all of them, ten at a time, if nothing is asked for."""
    where, wire = "/threads/search", sent(ThreadSearchRequest, {} if body is None else body)
    return _search("search_threads", where, list[Thread], wire, **options)


def get_thread(thread_id: Id, **options: Unpack[Options]) -> Call[Thread]:
    """Get a thread with its status and current values."""
    where = path("/threads/{thread_id}", thread_id=thread_id)
    return _call("get_thread", "GET", where, Thread, **options)


def patch_thread(
    thread_id: Id, body: ThreadPatch | JSONObject, **options: Unpack[Options]
) -> Call[Thread]:
    """Change a thread: metadata is merged, values and messages are written as a new state."""
    where = path("/threads/{thread_id}", thread_id=thread_id)
    return _call("patch_thread", "PATCH", where, Thread, body=sent(ThreadPatch, body), **options)


def delete_thread(thread_id: Id, **options: Unpack[Options]) -> Call[None]:
    """Delete a thread; the server refuses while a run of it is pending."""
    where = path("/threads/{thread_id}", thread_id=thread_id)
    return _call("delete_thread", "DELETE", where, None, **options)


def copy_thread(thread_id: Id, **options: Unpack[Options]) -> Call[Thread]:
    """Create a thread with a copy of another one's state and history."""
    where = path("/threads/{thread_id}/copy", thread_id=thread_id)
    return _call("copy_thread", "POST", where, Thread, **options)


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
    where = path("/threads/{thread_id}/history", thread_id=thread_id)
    query = queried(Parameters, limit=limit, before=before)
    return _call("get_thread_history", "GET", where, list[ThreadState], query=query, **options)


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
    where = path("/threads/{thread_id}/runs", thread_id=thread_id)
    query = queried(Parameters, limit=limit, offset=offset)
    return _call("list_thread_runs", "GET", where, list[RunStateful], query=query, **options)


def create_thread_run(
    thread_id: Id, body: RunCreateStateful | JSONObject, **options: Unpack[Options]
) -> Call[RunStateful]:
    """Start a run on a thread in the background and return at once."""
    where = path("/threads/{thread_id}/runs", thread_id=thread_id)
    wire = sent(RunCreateStateful, body)
    return _call("create_thread_run", "POST", where, RunStateful, body=wire, **options)


def create_and_wait_for_thread_run_output(
    thread_id: Id, body: RunCreateStateful | JSONObject, **options: Unpack[Options]
) -> Call[RunWaitResponseStateful]:
    """Start a run on a thread and wait until it ends, fails or asks something."""
    where = path("/threads/{thread_id}/runs/wait", thread_id=thread_id)
    name, wire = "create_and_wait_for_thread_run_output", sent(RunCreateStateful, body)
    return _call(name, "POST", where, RunWaitResponseStateful, body=wire, lasts=True, **options)


def create_and_stream_thread_run_output(
    thread_id: Id, body: RunCreateStateful | JSONObject, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    """Start a run on a thread and follow its output as it comes."""
    where = path("/threads/{thread_id}/runs/stream", thread_id=thread_id)
    name, wire = "create_and_stream_thread_run_output", sent(RunCreateStateful, body)
    return _stream(name, "POST", where, body=wire, **options)


def get_thread_run(thread_id: Id, run_id: Id, **options: Unpack[Options]) -> Call[RunStateful]:
    """Get a run of a thread and its status, not its output."""
    where = path("/threads/{thread_id}/runs/{run_id}", thread_id=thread_id, run_id=run_id)
    return _call("get_thread_run", "GET", where, RunStateful, **options)


def wait_for_thread_run_output(
    thread_id: Id, run_id: Id, **options: Unpack[Options]
) -> Call[RunWaitResponseStateful]:
    """Wait until a run of a thread ends, fails or asks something.

    The server keeps the connection open as long as it, or a proxy before it, has the patience.
    """
    where = path("/threads/{thread_id}/runs/{run_id}/wait", thread_id=thread_id, run_id=run_id)
    name = "wait_for_thread_run_output"
    return _call(name, "GET", where, RunWaitResponseStateful, lasts=True, **options)


def stream_thread_run_output(
    thread_id: Id, run_id: Id, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    """Follow the output of a run of a thread from now on; what came before is not repeated."""
    where = path("/threads/{thread_id}/runs/{run_id}/stream", thread_id=thread_id, run_id=run_id)
    return _stream("stream_thread_run_output", "GET", where, **options)


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
    where = path("/threads/{thread_id}/runs/{run_id}", thread_id=thread_id, run_id=run_id)
    return _call("resume_thread_run", "POST", where, RunStateful, body=answered(body), **options)


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
    where = path("/threads/{thread_id}/runs/{run_id}/cancel", thread_id=thread_id, run_id=run_id)
    return _cancel("cancel_thread_run", where, wait, action, **options)


def delete_thread_run(thread_id: Id, run_id: Id, **options: Unpack[Options]) -> Call[None]:
    """Delete a run of a thread."""
    where = path("/threads/{thread_id}/runs/{run_id}", thread_id=thread_id, run_id=run_id)
    return _call("delete_thread_run", "DELETE", where, None, **options)


# What the operations have in common


def _search(
    operation: str, where: str, returns: Any, body: Any, **options: Unpack[Options]
) -> Call[Any]:
    call = _call(operation, "POST", where, returns, body=body, **options)
    return replace(call, repeatable=True)


def _stream(
    operation: str, method: str, where: str, *, body: Any = ABSENT, **options: Unpack[Options]
) -> Call[RunOutputStream]:
    call = _call(operation, method, where, RunOutputStream, body=body, **options)
    return replace(call, headers={**_STREAM, **call.headers})


def _cancel(
    operation: str,
    where: str,
    wait: bool | None,
    action: CancelAction | None,
    **options: Unpack[Options],
) -> Call[None]:
    query = queried(Parameters, wait=wait, action=action)
    call = _call(operation, "POST", where, None, query=query, **options)
    return replace(call, repeatable=True)  # to cancel twice is to cancel


def _call(
    operation: str,
    method: str,
    where: str,
    returns: Any,
    *,
    body: Any = ABSENT,
    query: Mapping[str, str] | None = None,
    lasts: bool = False,
    **options: Unpack[Options],
) -> Call[Any]:
    call: Call[Any] = Call(
        operation, method, where, returns, query=query or {}, body=body, lasts=lasts
    )
    return call.with_options(**checked_options(options)) if options else call
