"""Between HTTP and the models: reading what clients send, writing what they get.

Requests are read strictly: JSON without NaN, no number given as a string, nothing beyond the
configured size. Unknown fields are let through, as the specification allows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from acp_langgraph.acp.models import Wire, dump
from acp_langgraph.server.problems import Problem, invalid
from acp_langgraph.server.records import RunRecord, ThreadRecord

__all__ = [
    "answer",
    "disconnected",
    "error_answer",
    "flag",
    "given_id",
    "last_event_id",
    "number",
    "path_id",
    "read_json",
    "read_model",
    "run_json",
    "thread_json",
    "wait_json",
]

W = TypeVar("W", bound=Wire)


def answer(content: Wire | dict[str, Any] | Iterable[Wire | dict[str, Any]]) -> Response:
    """200 with an object, or a list of objects, as JSON."""
    body = _plain(content) if isinstance(content, (Wire, dict)) else [*map(_plain, content)]
    return Response(to_json(body, inf_nan_mode="null"), media_type="application/json")


def _plain(content: Wire | dict[str, Any]) -> dict[str, Any]:
    return dump(content) if isinstance(content, Wire) else content


def error_answer(problem: Problem) -> Response:
    """The answer that stands for a problem: its message as a JSON string."""
    return Response(
        to_json(problem.message),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/json",
    )


async def read_json(request: Request, limit: int) -> Any:
    """The JSON value in a request's body.

    Raises:
        Problem: 413, if the body is larger than `limit` bytes; 422, if it is no JSON.
    """
    content = await _read(request, limit)
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"the body is no JSON: {str(error)[:200]}") from None


async def read_model(request: Request, kind: type[W], limit: int) -> W:
    """The model in a request's body.

    Raises:
        Problem: 413, if the body is larger than `limit` bytes; 422, if it is not what the
            specification says, naming the fields.
    """
    value = await read_json(request, limit)
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    try:
        return kind.model_validate_json(await request.body(), strict=True)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        raise invalid(
            "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults[:5])
        ) from None


async def _read(request: Request, limit: int) -> bytes:
    too_large = Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {limit} bytes",
        {"connection": "close"},
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    pieces, size = list[bytes](), 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise too_large
            pieces.append(piece)
    except ClientDisconnect:
        raise invalid("the body was cut off") from None
    content = b"".join(pieces)
    request._body = content  # noqa: SLF001 - where Starlette itself keeps a body that was read
    return content


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone, or has had its whole answer."""
    while (await receive())["type"] != "http.disconnect":
        pass


def path_id(request: Request, name: str) -> str:
    """An id in the path, in its canonical form."""
    return str(request.path_params[f"{name}_id"])


def given_id(field: str, text: str) -> str:
    """An id in a body or a query, in its canonical form.

    Raises:
        Problem: 422, if it is no UUID.
    """
    try:
        return str(UUID(text))
    except ValueError:
        raise invalid(f"{field}: must be a UUID") from None


def number(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """An integer in the query.

    Raises:
        Problem: 422, if it is none, or out of bounds.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):  # noqa: PLR2004 - digits of any bound there is
        raise invalid(f"query.{name}: must be an integer from {least} to {most}")
    return int(text)


def flag(request: Request, name: str) -> bool:
    """A boolean in the query, false if it is not there.

    Raises:
        Problem: 422, if it is neither `true` nor `false`.
    """
    text = request.query_params.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise invalid(f"query.{name}: must be true or false")
    return text == "true"


def last_event_id(request: Request) -> int | None:
    """The event that a client says it has had last; `None` if it names none of ours."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None  # noqa: PLR2004 - digits of any id there is


def run_json(run: RunRecord) -> dict[str, Any]:
    """A run as clients see it: the specification's `RunStateless` or `RunStateful`."""
    shown: dict[str, Any] = {
        "run_id": run.run_id,
        "agent_id": run.agent_id,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "status": run.status,
        "creation": run.creation,
    }
    if not run.stateless or run.creation.get("on_completion") == "keep":
        shown["thread_id"] = run.thread_id
    return shown


def wait_json(run: RunRecord) -> dict[str, Any]:
    """A run that is not pending, with what it came to: `RunWaitResponseStateless` or `-Stateful`."""
    return {"run": run_json(run), "output": run.output}


def thread_json(thread: ThreadRecord) -> dict[str, Any]:
    """A thread as clients see it: the specification's `Thread`."""
    shown: dict[str, Any] = {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "metadata": thread.metadata,
        "status": thread.status,
    }
    if thread.values is not None:
        shown["values"] = thread.values
    return shown
