"""The server's own OpenAPI document: the 30 operations, made from the models and the table of routes.

The models read liberally; what this server writes is stricter, and what it documents is that: no
`null` for what is absent, ids that are UUIDs, and the fields that every answer has. Requests may
have a `null` for an optional field, as many clients send it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeGuard

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from acp_langgraph.acp import models
from acp_langgraph.acp.calls import OPERATIONS
from acp_langgraph.core.operations import Operation
from acp_langgraph.core.wire import Wire

Json: TypeAlias = dict[str, Any]

_NOT_NULL: Final[Json] = {"type": ["object", "array", "string", "number", "boolean"]}
_OBJECT: Final[Json] = {"type": "object"}
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "AgentMetadata": ("ref", "description"),
    "RunStateless": ("run_id", "agent_id", "created_at", "updated_at", "status", "creation"),
    "RunStateful": (
        "run_id",
        "thread_id",
        "agent_id",
        "created_at",
        "updated_at",
        "status",
        "creation",
    ),
    "RunWaitResponseStateless": ("run", "output"),
    "RunWaitResponseStateful": ("run", "output"),
    "RunError": ("type", "run_id", "errcode", "description"),
    "RunOutputStream": ("id", "event", "data"),
    "ValueRunResultUpdate": ("type", "run_id", "status", "values"),
    "CustomRunResultUpdate": ("type", "run_id", "status", "update"),
    "ValueRunErrorUpdate": ("type", "run_id", "errcode", "description", "status"),
    "ValueRunInterruptUpdate": ("type", "interrupt", "run_id", "status"),
    "Run": ("run_id", "agent_id", "created_at", "updated_at", "status"),
    "Thread": ("thread_id", "created_at", "updated_at", "metadata", "status"),
    "ThreadState": ("checkpoint", "values"),
}
_FIELDS: Final[Mapping[tuple[str, str], Json]] = {
    **{
        (name, "stream_mode"): {
            "anyOf": [
                {"$ref": "#/components/schemas/StreamingMode"},
                {"type": "array", "items": {"$ref": "#/components/schemas/StreamingMode"}},
            ]
        }
        for name in ("RunCreateStateless", "RunCreateStateful")
    },
    **{
        (name, "status"): {"$ref": "#/components/schemas/RunStatus"}
        for name in ("RunStateless", "RunStateful", "RunSearchRequest")
    },
    ("Thread", "status"): {"$ref": "#/components/schemas/ThreadStatus"},
    ("ThreadSearchRequest", "status"): {"$ref": "#/components/schemas/ThreadStatus"},
    ("ThreadSearchRequest", "values"): _OBJECT,
}
_REQUESTS: Final = {
    "AgentSearchRequest",
    "RunConfig",
    "RunCreateStateful",
    "RunCreateStateless",
    "RunSearchRequest",
    "ThreadCreate",
    "ThreadPatch",
    "ThreadSearchRequest",
}
_UUIDS: Final = {"agent_id", "run_id", "thread_id", "checkpoint_id"}
_ANYTHING: Final = {"input", "values", "configurable"}

_EVENT: Final[Json] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"const": "agent_event"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "oneOf": [
                    {"$ref": f"#/components/schemas/{name}"}
                    for name in (
                        "ValueRunResultUpdate",
                        "CustomRunResultUpdate",
                        "ValueRunInterruptUpdate",
                        "ValueRunErrorUpdate",
                    )
                ]
            },
        },
    },
    "required": ["id", "event", "data"],
}

_PARAMETERS: Final[Mapping[str, Json]] = {
    "limit": {"type": "integer", "default": 10, "minimum": 1, "maximum": 1000},
    "offset": {"type": "integer", "default": 0, "minimum": 0},
    "before": {"type": "string", "format": "uuid"},
    "wait": {"type": "boolean", "default": False},
    "action": {"type": "string", "enum": ["interrupt", "rollback"], "default": "interrupt"},
}


def by_path() -> dict[str, list[Operation]]:
    """The operations at each path."""
    found: dict[str, list[Operation]] = {}
    for each in OPERATIONS.values():
        found.setdefault(each.path, []).append(each)
    return found


def statuses(operation: Operation) -> tuple[int, ...]:
    """The HTTP statuses that an operation answers with."""
    gives = 204 if operation.gives is None else 200
    conflicts = operation.name.startswith(("create_", "resume_"))
    found = bool(operation.parameters) or (conflicts and operation.name != "create_thread")
    refuses = operation.name != "get_agent_by_id"
    refusals = {404: found, 409: conflicts, 422: refuses}
    return (gives, *(status for status, given in refusals.items() if given))


@cache
def openapi() -> Json:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Agent Connect Protocol",
            "version": "0.2.3",
            "description": "LangGraph graphs, served by acp-langgraph.",
        },
        "paths": {
            path: {each.method.lower(): _operation(each) for each in among}
            for path, among in by_path().items()
        },
        "components": {"schemas": _schemas()},
    }


def _operation(operation: Operation) -> Json:
    uuid = {"type": "string", "format": "uuid"}
    described: Json = {
        "operationId": operation.name,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": uuid}
                for name in operation.parameters
            ),
            *(
                {"name": name, "in": "query", "required": False, "schema": _PARAMETERS[name]}
                for name in operation.query
            ),
        ],
        "responses": {str(status): _response(operation, status) for status in statuses(operation)},
    }
    if operation.takes is not None:
        content = {"application/json": {"schema": _schema_of(operation.takes)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _response(operation: Operation, status: int) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase}
    gives = operation.gives if status < 400 else str  # noqa: PLR2004 - HTTP
    if gives is models.RunOutputStream:
        response["content"] = {"text/event-stream": {"itemSchema": _EVENT}}
    elif gives is not None:
        response["content"] = {"application/json": {"schema": _schema_of(gives)}}
    return response


def _schema_of(kind: Any) -> Json:
    if kind is str:
        return {"type": "string"}
    if kind is Any:
        return {}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"type": "array", "items": _schema_of(kind.__args__[0])}


def _schemas() -> Json:
    named = [each for each in vars(models).values() if _is_model(each)]
    _, document = models_json_schema(
        [(each, "validation") for each in named], ref_template="#/components/schemas/{model}"
    )
    schemas: Json = document["$defs"]
    return {name: _strict(name, schema) for name, schema in schemas.items()}


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, Wire) and kind is not Wire


def _strict(name: str, schema: Json) -> Json:
    if "properties" not in schema:
        return schema
    schema = {**schema, "properties": dict(schema["properties"])}
    for field, rule in schema["properties"].items():
        strict = _FIELDS.get((name, field)) or _field(field, rule)
        if name in _REQUESTS and rule.get("default", ...) is None:
            strict = {"anyOf": [strict, {"type": "null"}]}
        schema["properties"][field] = strict
    if name in _REQUIRED:
        schema["required"] = list(_REQUIRED[name])
    return schema


def _field(name: str, rule: Json) -> Json:
    if name in _ANYTHING and not rule.get("type"):
        return _NOT_NULL
    choices = [each for each in rule.get("anyOf", ()) if each != {"type": "null"}]
    strict = {key: value for key, value in rule.items() if key not in {"title", "anyOf"}}
    if strict.get("default", ...) is None:
        del strict["default"]
    if choices:
        strict |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    if name in _UUIDS and strict.get("type") == "string":
        strict["format"] = "uuid"
    if name == "webhook":
        strict["format"] = "uri"
    return strict
