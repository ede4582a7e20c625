"""What Quant's API does not take: nobody's and others' tokens, values and bodies that it cannot use.

Which values those are is in its specification; that a body without sense is a 400, and the shapes of errors, is
told of its applications.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response

ORGANISATION: Final = "acme"
_MOST: Final = 100  # entries of a list
_RETRIES: Final = 10
_TASK: Final = {"pending", "in_progress", "completed", "failed", "cancelled", "blocked"}
_STATUSES: Final = {
    "list_ai_tool_executions": {"pending", "running", "complete", "failed"},
    "list_tasks": _TASK,
}
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "chat_inference": ("messages", "modelId"),
    "submit_tool_callback": ("callbackId", "toolResults"),
    "chat_with_ai_agent": ("message",),
    "create_task": ("title",),
    "update_task": (),
}


def _whole(value: Any, least: int, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


# field of a task -> whether a value is one
_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "title": lambda value: isinstance(value, str) and value != "",
    "status": lambda value: value in _TASK,
    "dependsOn": _texts,
    "blockedByTaskIds": lambda value: value is None or _texts(value),
    "metadata": lambda value: isinstance(value, dict),
    "result": lambda value: isinstance(value, dict),
    "progress": lambda value: isinstance(value, (int, float)) and 0 <= value <= 1,
    "retryCount": lambda value: _whole(value, 0, float("inf")),
    "maxRetries": lambda value: _whole(value, 0, _RETRIES),
}


def refusal(request: RecordedRequest, token: str | None) -> Response | None:
    """What a request is refused with; `None` if it is not.

    Args:
        request: What was asked.
        token: The organisation's token; `None` if anybody may ask.
    """
    if request.route is None:
        return None
    shown = request.headers.get("authorization", "")
    if token is not None and not shown:
        return Response.json({"message": "Unauthenticated.", "error": True}, 401)
    others = token is not None and shown != f"Bearer {token}"
    if others or request.route.parameters["organisation"] != ORGANISATION:
        return Response.json({"message": "This action is unauthorized.", "error": True}, 403)
    operation = request.route.operation
    wrong = _wrong_query(operation, request.query) or _wrong_body(operation, request)
    return Response.json({"errors": wrong}, 400) if wrong else None


def _wrong_query(operation: str, query: Mapping[str, str]) -> dict[str, list[str]]:
    wrong = {}
    if operation in _STATUSES and query.get("status", "pending") not in _STATUSES[operation]:
        wrong["status"] = ["The selected status is invalid."]
    limit = query.get("limit", "1")
    if operation in _STATUSES and not (limit.isdecimal() and 1 <= int(limit) <= _MOST):
        wrong["limit"] = [f"The limit must be between 1 and {_MOST}."]
    return wrong


def _wrong_body(operation: str, request: RecordedRequest) -> dict[str, list[str]]:
    if operation not in _NEEDS:
        return {}
    try:
        body = request.json
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return {"body": ["The body must be a JSON object."]}
    missing = [name for name in _NEEDS[operation] if not body.get(name)]
    wrong = {name: [f"The {name} field is required."] for name in missing}
    if operation in {"create_task", "update_task"}:
        for name, fits in _FIELDS.items():
            if name in body and name not in wrong and not fits(body[name]):
                wrong[name] = [f"The {name} is invalid."]
    return wrong
