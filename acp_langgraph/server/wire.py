"""Between HTTP and the models: reading what clients send, refusing it, and writing what they get.

Raised anywhere below the HTTP surface, answered by it: the body is a JSON string, as the
specification's `ErrorResponse` says. Messages name fields and ids, never the values sent.

What clients send may be anybody's private data, and error bodies end up in logs. So a fault names
the place and the rule: `input.items.0.price: must be of type number`.

Requests are read strictly: JSON without NaN, no number given as a string, nothing beyond the
configured size. Unknown fields are let through, as the specification allows them.

What a graph gives is anything that Python knows; `jsonable` makes JSON values of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from http import HTTPStatus
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as Misfit
from jsonschema.exceptions import best_match
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from referencing import Registry
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from acp_langgraph.core.wire import SECRETS, Wire, dump, holds_secret, unsendable
from acp_langgraph.server.records import RunRecord, ThreadRecord

JsonSchema: TypeAlias = dict[str, Any]

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a server.

    Attributes:
        body: Bytes that a request may have.
        values: JSON values that a request may have: objects, lists and what is in them.
        metadata: Names that the metadata of a run or thread may have, and terms of a search.
        metadata_bytes: Bytes that metadata may have, as JSON.
        answer: Bytes that a list of runs, threads or states may have.
        connections: Connections that may be open; fewer, if the process may have fewer descriptors.
        head_seconds: Seconds for a request's head to arrive.
        body_seconds: Seconds for its body to arrive, and for a client to read on.
        running: Runs that are executed at once; further ones stay pending until one ends.
        pending: Runs that may be pending, running ones included; further ones are refused with
            503.
        pending_on_thread: The same for the runs of one thread.
        pending_of_key: The same for the runs of one API key, where there are several. `None`, the
            default, is half of `pending`: no key takes all the room.
        queued: Runs that may stand behind another one on their thread, on all threads: as long as a
            question goes unanswered, or for ever. `None`, the default, is half of `pending`: they
            leave room for those that can begin.
        held_threads: Threads that blocking nodes may hold after their runs have ended; then new runs
            are refused with 503, until some of them end.
        wait_seconds: Seconds that a wait for a run may take while another one asks on its thread.
        run_seconds: Seconds that a run may take from its start, or from an answer, to its end or
            next question; then its status is `timeout`. `None` lets it take any time.
        kept_seconds: Seconds for which a run is kept after it has ended; a week by default. `None`
            keeps it until it is deleted.
        kept_thread_seconds: Seconds for which a thread is kept after it last changed, with its
            state. `None`, the default, keeps it until it is deleted.
        kept_runs: Ended runs that are kept; beyond, the oldest are forgotten. `None` keeps all.
        grace_seconds: Seconds for which runs at work may go on when the server stops; by default
            they are cancelled at once, and go on from their last checkpoint at the next start.
        keep_alive: Seconds between signs of life on an idle stream.

    Raises:
        ValueError: If one is not positive.
    """

    body: int = 16 * 2**20
    values: int = 200_000
    metadata: int = 100
    metadata_bytes: int = 64 * 2**10
    answer: int = 16 * 2**20
    connections: int = 4096
    head_seconds: float = 15.0
    body_seconds: float = 60.0
    running: int = 200
    pending: int = 10_000
    pending_on_thread: int = 100
    pending_of_key: int | None = None
    queued: int | None = None
    held_threads: int = 256
    wait_seconds: float = 300.0
    run_seconds: float | None = None
    kept_seconds: float | None = 7 * _DAY
    kept_runs: int | None = 1_000_000
    kept_thread_seconds: float | None = None
    grace_seconds: float | None = None
    keep_alive: float = 15.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and value <= 0:
                raise ValueError(f"limit {each.name}: must be positive, got {value}")


_LIMIT: Final = 2000
_LATER: Final = {"retry-after": "1"}


class Problem(Exception):
    """A request that is answered with an error status.

    Attributes:
        status: HTTP status code.
        message: The body, a sentence or two.
        headers: Headers of the answer.
    """

    def __init__(
        self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{int(status)}: {message}")
        self.status = int(status)
        self.message = message if len(message) <= _LIMIT else message[: _LIMIT - 3] + "..."
        self.headers = headers


def not_found(what: str, name: str) -> Problem:
    """404: there is no such thing."""
    return Problem(HTTPStatus.NOT_FOUND, f"there is no {what} {name[:100]!r}")


def conflict(message: str) -> Problem:
    """409: not in the state that the thing is in."""
    return Problem(HTTPStatus.CONFLICT, message)


def invalid(message: str) -> Problem:
    """422: the request does not fit what is declared."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message)


def busy(what: str = "too many runs are pending") -> Problem:
    """503: as much as the server takes on is under way."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{what}; try again later", _LATER)


def too_much(most: int, fitting: int) -> Problem:
    """422: what was asked for is too large for one answer."""
    return invalid(f"this is more than {most} bytes; ask for a limit of {fitting} at most")


def unstored() -> Problem:
    """500: a run ended, and nobody will know how."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the outcome of the run could not be stored")


def stopping() -> Problem:
    """503: the server goes down; whatever was asked for can be asked of its successor."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping", _LATER)


_MOST_FAULTS: Final = 5
_MOST_SHOWN: Final = 50
_LONGEST_RULE: Final = 200


class Check:
    """A JSON Schema, ready to be applied many times.

    Args:
        place: What the values are called in messages, e.g. `input`.
        schema: A valid JSON Schema (draft 2020-12) whose references stay inside it.

    Attributes:
        schema: The same.
    """

    def __init__(self, place: str, schema: JsonSchema) -> None:
        self._place = place
        self.schema = schema
        # An empty registry: a reference must never make the server fetch something.
        self._validator = Draft202012Validator(schema, registry=Registry())

    def fits(self, value: Any) -> bool:
        """Whether a value fits."""
        return bool(self._validator.is_valid(value))

    def demand(self, value: Any) -> None:
        """Refuse a value that does not fit.

        Raises:
            Problem: 422, naming the fields and rules.
        """
        errors = islice(self._validator.iter_errors(value), _MOST_FAULTS)
        faults = list(map(self._said, errors))
        if faults:
            raise invalid("; ".join(faults))

    def faults(self, value: Any) -> list[tuple[tuple[str | int, ...], str]]:
        """What does not fit, for a form: names and numbers that lead to a place, and its rule."""
        found = dict[tuple[tuple[str | int, ...], str], None]()
        for each in islice(self._validator.iter_errors(value), _MOST_SHOWN):
            error = _closest(each)
            path = tuple(error.absolute_path)
            if error.validator == "required":
                wanted: Any = error.validator_value
                instance: Any = error.instance
                missing = [name for name in wanted if name not in instance]
                found |= {((*path, name), "is required"): None for name in missing}
            else:
                found[path, _rule(error)] = None
        return list(found)

    def _said(self, error: Misfit) -> str:
        error = _closest(error)
        place = ".".join([self._place, *map(str, error.absolute_path)])
        return f"{place}: {_rule(error)}"


def _closest(error: Misfit) -> Misfit:
    """Of anyOf and oneOf, the branch that came closest: it says most."""
    return (best_match([error]) or error) if error.context else error


def _rule(error: Misfit) -> str:
    rule: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "required":
            missing = [name for name in rule if name not in instance]
            return f"misses {', '.join(map(repr, missing))}"
        case "type":
            return f"must be of type {rule if isinstance(rule, str) else ' or '.join(rule)}"
        case "additionalProperties" | "unevaluatedProperties":
            return "has fields that the schema does not allow"
        case "anyOf" | "oneOf":
            return "fits none of the forms that the schema allows"
        case _:
            return f"must satisfy {error.validator} {rule!r}"[:_LONGEST_RULE]


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


async def read_json(request: Request, limits: Limits) -> Any:
    """The JSON value in a request's body.

    Raises:
        Problem: 413, if the body has too many bytes; 422, if it is no JSON, or too many values.
    """
    content = await _read(request, limits.body)
    _demand_few_values(content, limits.values)
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"the body is no JSON: {str(error)[:200]}") from None


_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _demand_few_values(content: bytes, most: int) -> None:
    """Refuse, before it is parsed, what would become very many values."""
    if _count(content) > most and _count(_STRING.sub(b"", content)) > most:
        raise invalid(f"the body has more than {most} JSON values")


def _count(content: bytes) -> int:
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def demand_little(what: str, given: Any, limits: Limits) -> None:
    """Refuse metadata, or the terms of a search, of which there is too much.

    Raises:
        Problem: 422.
    """
    if given and len(given) > limits.metadata:
        raise invalid(f"{what}: has more than {limits.metadata} names")
    if given and len(to_json(given)) > limits.metadata_bytes:
        raise invalid(f"{what}: has more than {limits.metadata_bytes} bytes")


async def read_model(request: Request, kind: type[W], limits: Limits) -> W:
    """The model in a request's body.

    Raises:
        Problem: 413, if the body has too many bytes; 422, if it is not what the specification
            says, naming the fields, or has too many values.
    """
    value = await read_json(request, limits)
    if not isinstance(value, dict):
        raise invalid("the body must be a JSON object")
    try:
        return kind.model_validate_json(await request.body(), strict=True)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        raise invalid(
            "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in faults[:5])
        ) from None


def _too_large(limit: int) -> Problem:
    words = f"the body is larger than {limit} bytes"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words, {"connection": "close"})


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    pieces, size = list[bytes](), 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
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


_ANY: Final = TypeAdapter(Any)


def jsonable(value: Any, *, whatever: bool = False) -> Any:
    """The JSON value of anything a graph returns: messages, models, dataclasses, enums, times.

    Args:
        value: The value.
        whatever: Let a text stand for what has no JSON value, instead of refusing it.

    Raises:
        ValueError: If it has none.
    """
    whole = _ANY.dump_python(value, mode="python")
    if holds_secret(whole):
        if not whatever:
            raise ValueError(unsendable(value))
        value = _without_secrets(whole)
    mode: Any = "null" if whatever else "constants"
    try:
        return from_json(
            to_json(value, inf_nan_mode=mode, bytes_mode="base64", serialize_unknown=whatever),
            allow_inf_nan=False,
        )
    except ValueError as error:
        raise ValueError(unsendable(value) or str(error)) from None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if not isinstance(each, SECRETS)}
        return {key: _without_secrets(each) for key, each in kept.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_without_secrets(each) for each in value if not isinstance(each, SECRETS)]
    return value
