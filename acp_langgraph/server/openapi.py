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

# Operation id -> what it takes, what it gives, which refusals it knows.
_RUN_STATELESS, _RUN_STATEFUL = models.RunCreateStateless, models.RunCreateStateful
_TAKES: Final[Mapping[str, Any]] = {
    "search_agents": models.AgentSearchRequest,
    "create_thread": models.ThreadCreate,
    "search_threads": models.ThreadSearchRequest,
    "patch_thread": models.ThreadPatch,
    "create_thread_run": _RUN_STATEFUL,
    "create_and_stream_thread_run_output": _RUN_STATEFUL,
    "create_and_wait_for_thread_run_output": _RUN_STATEFUL,
    "resume_thread_run": Any,
    "create_stateless_run": _RUN_STATELESS,
    "search_stateless_runs": models.RunSearchRequest,
    "create_and_stream_stateless_run_output": _RUN_STATELESS,
    "create_and_wait_for_stateless_run_output": _RUN_STATELESS,
    "resume_stateless_run": Any,
}
_GIVES: Final[Mapping[str, Any]] = {
    "search_agents": list[models.Agent],
    "get_agent_by_id": models.Agent,
    "get_acp_descriptor_by_id": models.AgentACPDescriptor,
    "create_thread": models.Thread,
    "search_threads": list[models.Thread],
    "get_thread": models.Thread,
    "patch_thread": models.Thread,
    "delete_thread": None,
    "get_thread_history": list[models.ThreadState],
    "copy_thread": models.Thread,
    "list_thread_runs": list[models.RunStateful],
    "create_thread_run": models.RunStateful,
    "create_and_stream_thread_run_output": "stream",
    "create_and_wait_for_thread_run_output": models.RunWaitResponseStateful,
    "get_thread_run": models.RunStateful,
    "resume_thread_run": models.RunStateful,
    "delete_thread_run": None,
    "wait_for_thread_run_output": models.RunWaitResponseStateful,
    "stream_thread_run_output": "stream",
    "cancel_thread_run": None,
    "create_stateless_run": models.RunStateless,
    "search_stateless_runs": list[models.RunStateless],
    "create_and_stream_stateless_run_output": "stream",
    "create_and_wait_for_stateless_run_output": models.RunWaitResponseStateless,
    "get_stateless_run": models.RunStateless,
    "resume_stateless_run": models.RunStateless,
    "delete_stateless_run": None,
    "wait_for_stateless_run_output": models.RunWaitResponseStateless,
    "stream_stateless_run_output": "stream",
    "cancel_stateless_run": None,
}
_QUERIES: Final[Mapping[str, Mapping[str, Json]]] = {
    "get_thread_history": {
        "limit": {"type": "integer", "default": 10, "minimum": 1, "maximum": 1000},
        "before": {"type": "string", "format": "uuid"},
    },
    "list_thread_runs": {
        "limit": {"type": "integer", "default": 10, "minimum": 1, "maximum": 1000},
        "offset": {"type": "integer", "default": 0, "minimum": 0},
    },
    **{
        name: {
            "wait": {"type": "boolean", "default": False},
            "action": {"type": "string", "enum": ["interrupt", "rollback"], "default": "interrupt"},
        }
        for name in ("cancel_stateless_run", "cancel_thread_run")
    },
}


def statuses(operation: str, path: str) -> tuple[int, ...]:
    """The HTTP statuses that an operation answers with."""
    gives = 204 if _GIVES[operation] is None else 200
    conflicts = operation.startswith(("create_", "resume_"))
    found = "{" in path or (conflicts and operation != "create_thread")
    refuses = operation != "get_agent_by_id"
    refusals = {404: found, 409: conflicts, 422: refuses}
    return (gives, *(status for status, given in refusals.items() if given))


@cache
def openapi() -> Json:
    """The document."""
    from acp_langgraph.server.operations import OPERATIONS  # noqa: PLC0415 - which serve it

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Agent Connect Protocol",
            "version": "0.2.3",
            "description": "LangGraph graphs, served by acp-langgraph.",
        },
        "paths": {
            path: {method.lower(): _operation(name, path) for method, (name, _) in methods.items()}
            for path, methods in OPERATIONS.items()
        },
        "components": {"schemas": _schemas()},
    }


def _operation(name: str, path: str) -> Json:
    operation: Json = {
        "operationId": name,
        "parameters": [*_path_parameters(path), *_query_parameters(name)],
        "responses": {str(status): _response(name, status) for status in statuses(name, path)},
    }
    if name in _TAKES:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema_of(_TAKES[name])}},
        }
    return operation


def _path_parameters(path: str) -> list[Json]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    uuid = {"type": "string", "format": "uuid"}
    return [{"name": name, "in": "path", "required": True, "schema": uuid} for name in names]


def _query_parameters(operation: str) -> list[Json]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _QUERIES.get(operation, {}).items()
    ]


def _response(operation: str, status: int) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase}
    gives = _GIVES[operation] if status < 400 else str  # noqa: PLR2004 - HTTP
    if gives == "stream":
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
