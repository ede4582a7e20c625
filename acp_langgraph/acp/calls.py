"""The operations of the Agent Connect Protocol 0.2.3: one function each, named by its operationId.

A function performs nothing. It checks its arguments and returns a `Call`: what to send, and what
type the reply has. A flow performs it with `yield from`, a client with `client.send(call)`; the
clients' methods of the same names do just that.

* Ids are path parameters. An empty one is refused, for the path would name something else.
* A `body` is a model of `acp_langgraph.acp.models` or a dict of the same shape. A dict is checked
  against the model, so that a mistake shows here, by the field's name, and not on the server.
  Fields that were not given are not sent: the server's defaults apply.
* Query parameters are keyword arguments, not sent unless given.

The four `..._stream_...` operations answer with server-sent events. `Call.returns` is the type of
one event there, and `STREAM` the header that asks for them.

Raises, all of them:
    ApiTypeError: If an argument has the wrong type. Nothing is sent.
    ApiValueError: If an argument has an impossible value. Nothing is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_jsonable_python

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
    Wire,
    dump,
)
from acp_langgraph.core.calls import Call, path
from acp_langgraph.errors import ApiTypeError, ApiValueError

__all__ = [
    "STREAM",
    "CancelAction",
    "Id",
    "JSONObject",
    "cancel_stateless_run",
    "cancel_thread_run",
    "copy_thread",
    "create_and_stream_stateless_run_output",
    "create_and_stream_thread_run_output",
    "create_and_wait_for_stateless_run_output",
    "create_and_wait_for_thread_run_output",
    "create_stateless_run",
    "create_thread",
    "create_thread_run",
    "delete_stateless_run",
    "delete_thread",
    "delete_thread_run",
    "get_acp_descriptor_by_id",
    "get_agent_by_id",
    "get_stateless_run",
    "get_thread",
    "get_thread_history",
    "get_thread_run",
    "list_thread_runs",
    "patch_thread",
    "resume_stateless_run",
    "resume_thread_run",
    "search_agents",
    "search_stateless_runs",
    "search_threads",
    "stream_stateless_run_output",
    "stream_thread_run_output",
    "wait_for_stateless_run_output",
    "wait_for_thread_run_output",
]

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

Id: TypeAlias = str | UUID
JSONObject: TypeAlias = Mapping[str, Any]
CancelAction: TypeAlias = Literal["interrupt", "rollback"]

STREAM: Final[Mapping[str, str]] = {"accept": "text/event-stream", "cache-control": "no-store"}


# Agents


def search_agents(body: AgentSearchRequest | JSONObject | None = None) -> Call[list[Agent]]:
    """List the agents that match; all of them, ten at a time, if nothing is asked for."""
    wire = _body(AgentSearchRequest, {} if body is None else body)
    return Call("search_agents", "POST", "/agents/search", list[Agent], body=wire, repeatable=True)


def get_agent_by_id(agent_id: Id) -> Call[Agent]:
    """Get an agent's name, version and description."""
    return Call("get_agent_by_id", "GET", path("/agents/{agent_id}", agent_id=agent_id), Agent)


def get_acp_descriptor_by_id(agent_id: Id) -> Call[AgentACPDescriptor]:
    """Get an agent's descriptor: its capabilities and the schemas of what goes in and out."""
    where = path("/agents/{agent_id}/descriptor", agent_id=agent_id)
    return Call("get_acp_descriptor_by_id", "GET", where, AgentACPDescriptor)


# Stateless runs


def create_stateless_run(body: RunCreateStateless | JSONObject) -> Call[RunStateless]:
    """Start a run in the background and return at once."""
    wire = _body(RunCreateStateless, body)
    return Call("create_stateless_run", "POST", "/runs", RunStateless, body=wire)


def create_and_wait_for_stateless_run_output(
    body: RunCreateStateless | JSONObject,
) -> Call[RunWaitResponseStateless]:
    """Start a run and wait until it ends, fails or asks something."""
    name, wire = "create_and_wait_for_stateless_run_output", _body(RunCreateStateless, body)
    return Call(name, "POST", "/runs/wait", RunWaitResponseStateless, body=wire)


def create_and_stream_stateless_run_output(
    body: RunCreateStateless | JSONObject,
) -> Call[RunOutputStream]:
    """Start a run and follow its output as it comes."""
    name, wire = "create_and_stream_stateless_run_output", _body(RunCreateStateless, body)
    return Call(name, "POST", "/runs/stream", RunOutputStream, body=wire, headers=STREAM)


def search_stateless_runs(
    body: RunSearchRequest | JSONObject | None = None,
) -> Call[list[RunStateless]]:
    """List the stateless runs that match; all of them, ten at a time, if nothing is asked for."""
    name, wire = "search_stateless_runs", _body(RunSearchRequest, {} if body is None else body)
    return Call(name, "POST", "/runs/search", list[RunStateless], body=wire, repeatable=True)


def get_stateless_run(run_id: Id) -> Call[RunStateless]:
    """Get a run and its status, not its output."""
    return Call("get_stateless_run", "GET", path("/runs/{run_id}", run_id=run_id), RunStateless)


def wait_for_stateless_run_output(run_id: Id) -> Call[RunWaitResponseStateless]:
    """Wait until a run ends, fails or asks something.

    The server keeps the connection open as long as it, or a proxy before it, has the patience.
    """
    where = path("/runs/{run_id}/wait", run_id=run_id)
    return Call("wait_for_stateless_run_output", "GET", where, RunWaitResponseStateless)


def stream_stateless_run_output(run_id: Id) -> Call[RunOutputStream]:
    """Follow the output of a run from now on; what came before is not repeated."""
    where = path("/runs/{run_id}/stream", run_id=run_id)
    return Call("stream_stateless_run_output", "GET", where, RunOutputStream, headers=STREAM)


def resume_stateless_run(run_id: Id, body: Any) -> Call[RunStateless]:
    """Answer the question of an interrupted run, which then goes on.

    Args:
        run_id: The interrupted run.
        body: The answer, any JSON value: `None`, `False`, a string, a list, an object. Its schema
            is in the agent's descriptor, under the type of the interrupt.
    """
    where = path("/runs/{run_id}", run_id=run_id)
    return Call("resume_stateless_run", "POST", where, RunStateless, body=_answer(body))


def cancel_stateless_run(
    run_id: Id, *, wait: bool | None = None, action: CancelAction | None = None
) -> Call[None]:
    """Cancel a run.

    Args:
        run_id: The run.
        wait: Whether to answer only once the run has stopped; the server's default is not to.
        action: `interrupt` (the server's default) stops the run, `rollback` also deletes it and
            its checkpoints.
    """
    where, query = path("/runs/{run_id}/cancel", run_id=run_id), _query(wait=wait, action=action)
    return Call("cancel_stateless_run", "POST", where, None, query=query, repeatable=True)


def delete_stateless_run(run_id: Id) -> Call[None]:
    """Delete a run."""
    return Call("delete_stateless_run", "DELETE", path("/runs/{run_id}", run_id=run_id), None)


# Threads


def create_thread(body: ThreadCreate | JSONObject | None = None) -> Call[Thread]:
    """Create an empty thread."""
    return Call(
        "create_thread",
        "POST",
        "/threads",
        Thread,
        body=_body(ThreadCreate, {} if body is None else body),
    )


def search_threads(body: ThreadSearchRequest | JSONObject | None = None) -> Call[list[Thread]]:
    """List the threads that match; all of them, ten at a time, if nothing is asked for."""
    name, wire = "search_threads", _body(ThreadSearchRequest, {} if body is None else body)
    return Call(name, "POST", "/threads/search", list[Thread], body=wire, repeatable=True)


def get_thread(thread_id: Id) -> Call[Thread]:
    """Get a thread with its status and current values."""
    return Call("get_thread", "GET", path("/threads/{thread_id}", thread_id=thread_id), Thread)


def patch_thread(thread_id: Id, body: ThreadPatch | JSONObject) -> Call[Thread]:
    """Change a thread: metadata is merged, values and messages are written as a new state."""
    where = path("/threads/{thread_id}", thread_id=thread_id)
    return Call("patch_thread", "PATCH", where, Thread, body=_body(ThreadPatch, body))


def delete_thread(thread_id: Id) -> Call[None]:
    """Delete a thread; the server refuses while a run of it is pending."""
    return Call("delete_thread", "DELETE", path("/threads/{thread_id}", thread_id=thread_id), None)


def copy_thread(thread_id: Id) -> Call[Thread]:
    """Create a thread with a copy of another one's state and history."""
    where = path("/threads/{thread_id}/copy", thread_id=thread_id)
    return Call("copy_thread", "POST", where, Thread)


def get_thread_history(
    thread_id: Id, *, limit: int | None = None, before: str | None = None
) -> Call[list[ThreadState]]:
    """Get the past states of a thread.

    Args:
        thread_id: The thread.
        limit: How many states at most; the server's default is 10.
        before: The id of a checkpoint; only states older than it are listed.
    """
    where = path("/threads/{thread_id}/history", thread_id=thread_id)
    query = _query(limit=limit, before=before)
    return Call("get_thread_history", "GET", where, list[ThreadState], query=query)


# Runs on a thread


def list_thread_runs(
    thread_id: Id, *, limit: int | None = None, offset: int | None = None
) -> Call[list[RunStateful]]:
    """List the runs of a thread.

    Args:
        thread_id: The thread.
        limit: How many runs at most; the server's default is 10.
        offset: How many runs to skip.
    """
    where = path("/threads/{thread_id}/runs", thread_id=thread_id)
    query = _query(limit=limit, offset=offset)
    return Call("list_thread_runs", "GET", where, list[RunStateful], query=query)


def create_thread_run(thread_id: Id, body: RunCreateStateful | JSONObject) -> Call[RunStateful]:
    """Start a run on a thread in the background and return at once."""
    where = path("/threads/{thread_id}/runs", thread_id=thread_id)
    wire = _body(RunCreateStateful, body)
    return Call("create_thread_run", "POST", where, RunStateful, body=wire)


def create_and_wait_for_thread_run_output(
    thread_id: Id, body: RunCreateStateful | JSONObject
) -> Call[RunWaitResponseStateful]:
    """Start a run on a thread and wait until it ends, fails or asks something."""
    where = path("/threads/{thread_id}/runs/wait", thread_id=thread_id)
    name, wire = "create_and_wait_for_thread_run_output", _body(RunCreateStateful, body)
    return Call(name, "POST", where, RunWaitResponseStateful, body=wire)


def create_and_stream_thread_run_output(
    thread_id: Id, body: RunCreateStateful | JSONObject
) -> Call[RunOutputStream]:
    """Start a run on a thread and follow its output as it comes."""
    where = path("/threads/{thread_id}/runs/stream", thread_id=thread_id)
    name, wire = "create_and_stream_thread_run_output", _body(RunCreateStateful, body)
    return Call(name, "POST", where, RunOutputStream, body=wire, headers=STREAM)


def get_thread_run(thread_id: Id, run_id: Id) -> Call[RunStateful]:
    """Get a run of a thread and its status, not its output."""
    where = path("/threads/{thread_id}/runs/{run_id}", thread_id=thread_id, run_id=run_id)
    return Call("get_thread_run", "GET", where, RunStateful)


def wait_for_thread_run_output(thread_id: Id, run_id: Id) -> Call[RunWaitResponseStateful]:
    """Wait until a run of a thread ends, fails or asks something.

    The server keeps the connection open as long as it, or a proxy before it, has the patience.
    """
    where = path("/threads/{thread_id}/runs/{run_id}/wait", thread_id=thread_id, run_id=run_id)
    return Call("wait_for_thread_run_output", "GET", where, RunWaitResponseStateful)


def stream_thread_run_output(thread_id: Id, run_id: Id) -> Call[RunOutputStream]:
    """Follow the output of a run of a thread from now on; what came before is not repeated."""
    where = path("/threads/{thread_id}/runs/{run_id}/stream", thread_id=thread_id, run_id=run_id)
    return Call("stream_thread_run_output", "GET", where, RunOutputStream, headers=STREAM)


def resume_thread_run(thread_id: Id, run_id: Id, body: Any) -> Call[RunStateful]:
    """Answer the question of an interrupted run of a thread, which then goes on.

    Args:
        thread_id: The run's thread.
        run_id: The interrupted run.
        body: The answer, any JSON value: `None`, `False`, a string, a list, an object. Its schema
            is in the agent's descriptor, under the type of the interrupt.
    """
    where = path("/threads/{thread_id}/runs/{run_id}", thread_id=thread_id, run_id=run_id)
    return Call("resume_thread_run", "POST", where, RunStateful, body=_answer(body))


def cancel_thread_run(
    thread_id: Id, run_id: Id, *, wait: bool | None = None, action: CancelAction | None = None
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
    query = _query(wait=wait, action=action)
    return Call("cancel_thread_run", "POST", where, None, query=query, repeatable=True)


def delete_thread_run(thread_id: Id, run_id: Id) -> Call[None]:
    """Delete a run of a thread."""
    where = path("/threads/{thread_id}/runs/{run_id}", thread_id=thread_id, run_id=run_id)
    return Call("delete_thread_run", "DELETE", where, None)


# What the arguments become


class _Query(BaseModel):
    """Every query parameter of the protocol; `False` is not 0 and "10" not 10 here."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    wait: bool | None = None
    action: CancelAction | None = None
    limit: int | None = Field(default=None, ge=0)
    offset: int | None = Field(default=None, ge=0)
    before: str | None = Field(default=None, min_length=1)


def _query(**parameters: Any) -> dict[str, str]:
    given = _checked(_Query, parameters).model_dump(exclude_none=True)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def _body(model: type[Wire], body: Wire | JSONObject) -> Any:
    checked = _checked(model, dict(body) if isinstance(body, Mapping) else body)
    return _as_json(model.__name__, dump, checked)


def _answer(answer: Any) -> Any:
    return _as_json("the answer", to_jsonable_python, answer)


def _checked(model: type[M], value: object) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        said = "; ".join(f"{_place(model, fault['loc'])}: {fault['msg']}" for fault in faults)
        wrong_type = all(fault["type"].endswith("_type") for fault in faults)
        raise (ApiTypeError if wrong_type else ApiValueError)(said) from None


def _place(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    # pydantic names the branch of a union in brackets, which no caller has ever heard of.
    fields = [str(part) for part in location if "[" not in str(part)]
    return ".".join([model.__name__.lstrip("_"), *fields])


def _as_json(what: str, encode: Callable[[T], Any], value: T) -> Any:
    try:
        return encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ApiValueError(
            f"{what} cannot be sent as JSON: {type(error).__name__}; use dicts, lists, strings, "
            "finite numbers, booleans, None, dates, dataclasses and pydantic models"
        ) from None
