"""What a graph asks, and what an answer to it must be.

An answer that a graph's own node cannot use ends the run, for LangGraph keeps the wrong answer; so it is
checked before it is handed on. What it is checked by is, in this order: the schema that the graph gave
(`interrupt(value, response_schema=...)`), what follows from a question of LangChain's
human-in-the-loop middleware or of Agent Inbox, what the agent's descriptor declares
(`HostedAgent.check_answer`).

Of several questions all answers are checked before any is handed on.
"""

from __future__ import annotations

from typing import Any, Final

from langgraph.types import Interrupt

from acp_langgraph.acp.agents import schema_faults
from acp_langgraph.server.records import Question
from acp_langgraph.server.wire import JsonSchema, jsonable

_TEXT: Final[JsonSchema] = {"type": "string"}
_ACTION: Final[JsonSchema] = {
    "type": "object",
    "properties": {"name": _TEXT, "args": {"type": "object"}},
    "required": ["name", "args"],
}
# What else a decision of LangChain 1's HumanInTheLoopMiddleware holds, and what of that it must hold.
DECISIONS: Final[dict[str, tuple[JsonSchema, list[str]]]] = {
    "approve": ({}, []),
    "edit": ({"edited_action": _ACTION}, ["edited_action"]),
    "reject": ({"message": {"type": ["string", "null"]}}, []),
    "respond": ({"message": _TEXT}, ["message"]),
}
# The same of Agent Inbox's responses, and what of a request's `config` allows them.
_RESPONSES: Final[dict[str, tuple[str, JsonSchema]]] = {
    "accept": ("allow_accept", {}),
    "edit": (
        "allow_edit",
        {
            "type": "object",
            "properties": {"action": _TEXT, "args": {"type": "object"}},
            "required": ["action", "args"],
        },
    ),
    "response": ("allow_respond", _TEXT),
    "ignore": ("allow_ignore", {}),
}


def question(interrupt: Interrupt[Any]) -> Question:
    """A pending interrupt of a graph, with the schema of its answer where that can be told."""
    value, given = jsonable(interrupt.value), getattr(interrupt, "response_schema", None)
    if isinstance(given, dict) and not any(schema_faults("response_schema", given)):
        return Question(interrupt.id, value, given)
    return Question(interrupt.id, value, _answer_to(value))


def schema_of_all(questions: tuple[Question, ...]) -> JsonSchema | None:
    """The schema of what a run is resumed with; `None` if nothing is known of it."""
    if len(questions) == 1:
        return questions[0].schema
    known = {each.id: each.schema for each in questions if each.schema is not None}
    if not known:
        return None
    ids = [each.id for each in questions]
    return {
        "type": "object",
        "properties": {id_: known.get(id_, {}) for id_ in ids},
        "required": ids,
        "additionalProperties": False,
    }


def allowed_decisions(value: dict[str, Any]) -> list[list[str]]:
    """Which decisions LangChain's middleware allows on each of the actions that it asks about."""
    allowed = {
        str(review.get("action_name")): review.get("allowed_decisions")
        for review in value["review_configs"]
        if isinstance(review, dict)
    }
    names = [
        each.get("name") if isinstance(each, dict) else None for each in value["action_requests"]
    ]
    kinds = [allowed.get(str(each)) for each in names]
    return [
        [str(kind) for kind in each] if isinstance(each, list) else list(DECISIONS)
        for each in kinds
    ]


def allowed_responses(request: dict[str, Any]) -> list[str]:
    """Which responses a request of Agent Inbox's allows."""
    config = request.get("config")
    return [
        kind
        for kind, (allows, _) in _RESPONSES.items()
        if not isinstance(config, dict) or config.get(allows)
    ]


def _answer_to(value: Any) -> JsonSchema | None:
    """The schema of the answer to a question whose form is known."""
    match value:
        case {"action_requests": [*actions], "review_configs": [*_]} if actions:
            decisions = _list_of([_decision(each) for each in allowed_decisions(value)])
            return {
                "type": "object",
                "properties": {"decisions": decisions},
                "required": ["decisions"],
            }
        case {"action_request": {}}:
            return _list_of([_response(value)])
        case [{"action_request": {}}, *_]:
            return _list_of([_response(each) for each in value])
    return None


def _list_of(items: list[JsonSchema]) -> JsonSchema:
    """The schema of a list of just these, in order."""
    return {
        "type": "array",
        "prefixItems": items,
        "minItems": len(items),
        "maxItems": len(items),
    }


def _decision(kinds: list[str]) -> JsonSchema:
    forms = []
    for kind in kinds:
        more, required = DECISIONS.get(kind, ({}, []))
        properties = {"type": {"const": kind}, **more}
        forms.append({"type": "object", "properties": properties, "required": ["type", *required]})
    return {"anyOf": forms} if forms else {}


def _response(request: Any) -> JsonSchema:
    kinds = allowed_responses(request) if isinstance(request, dict) else []
    forms = [
        {
            "type": "object",
            "properties": {"type": {"const": kind}, "args": _RESPONSES[kind][1]},
            "required": ["type", "args"] if _RESPONSES[kind][1] else ["type"],
        }
        for kind in kinds
    ]
    return {"anyOf": forms} if forms else {}
