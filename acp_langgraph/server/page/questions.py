"""What a run asks, as the page shows it: each question with the form of its answer.

Two kinds of questions have a form of their own, by which a human decides what becomes of tools' calls:
Agent Inbox's and those of LangChain's human-in-the-loop middleware, the latter all at once or one by one.
The page is told them in one shape; the answers are of the shape that the asking side wants.
"""

from __future__ import annotations

from typing import Any, Final

from acp_langgraph.server.agents import HostedAgent
from acp_langgraph.server.questions import DECISIONS, allowed_decisions, allowed_responses
from acp_langgraph.server.records import RunRecord

_EVERYTHING: Final = tuple(DECISIONS)


def questions_of(agent: HostedAgent, run: RunRecord) -> list[dict[str, Any]]:
    """The pending questions of a run.

    Returns:
        Of each its `id` (empty for a breakpoint), `value`, the JSON `schema` of its answer or `None`,
        and where it is about actions, the `dialect` of the answer (`inbox`, `batch` or `call`) and
        the `actions`: `name`, `args`, `description`, `allowed` decisions.
    """
    return [
        {
            "id": each.id,
            "value": each.value,
            "schema": agent.answer_schema(each.value, each.schema),
            **_actions(each.value, each.schema),
        }
        for each in run.questions
    ]


def _actions(value: Any, schema: Any) -> dict[str, Any]:
    match value:
        case {"action_requests": [*asked], "review_configs": [*_]} if asked:
            allowed = allowed_decisions(value)
            actions = [_action(each, may) for each, may in zip(asked, allowed, strict=True)]
            return {"dialect": "batch", "actions": actions}
        case {"type": "tool_approval", "name": str()}:
            return {"dialect": "call", "actions": [_action(value, _kinds_in(schema))]}
        case {"action_request": {}} | [{"action_request": {}}, *_]:
            asked = value if isinstance(value, list) else [value]
            actions = [_response(each) for each in asked if isinstance(each, dict)]
            return {"dialect": "inbox", "actions": actions}
    return {}


def _action(asked: Any, allowed: list[str]) -> dict[str, Any]:
    asked = asked if isinstance(asked, dict) else {}
    return {
        "name": str(asked.get("name", "")),
        "args": asked.get("args"),
        "description": str(asked.get("description") or ""),
        "allowed": allowed,
    }


def _response(asked: dict[str, Any]) -> dict[str, Any]:
    request = asked.get("action_request")
    request = request if isinstance(request, dict) else {}
    named = {"name": request.get("action", ""), "args": request.get("args")}
    return _action({**named, "description": asked.get("description")}, allowed_responses(asked))


def _kinds_in(schema: Any) -> list[str]:
    """The decisions that the schema of one call's answer allows."""
    if not isinstance(schema, dict):
        return list(_EVERYTHING)
    definitions = schema.get("$defs", {})
    found = list[str]()
    for form in schema.get("oneOf") or schema.get("anyOf") or [schema]:
        ref = str(form.get("$ref", "")).removeprefix("#/$defs/")
        kind = definitions.get(ref, form).get("properties", {}).get("type", {})
        found += [kind["const"]] if "const" in kind else kind.get("enum", [])
    return [each for each in found if each in _EVERYTHING] or list(_EVERYTHING)
