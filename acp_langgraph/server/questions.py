"""What a graph asks, and what an answer to it must be.

An answer that a graph's own node cannot use ends the run, for LangGraph keeps the wrong answer; so it is
checked before it is handed on. What it is checked by is, in this order: the schema that the graph gave
(`interrupt(value, response_schema=...)`), what follows from a question of LangChain's
human-in-the-loop middleware, what the agent's descriptor declares (`HostedAgent.check_answer`).

Of several questions all answers are checked before any is handed on.
"""

from __future__ import annotations

from typing import Any, Final

from langgraph.types import Interrupt

from acp_langgraph.acp.agents import schema_faults
from acp_langgraph.server.records import Question
from acp_langgraph.server.values import jsonable
from acp_langgraph.server.wire import JsonSchema

_TEXT: Final[JsonSchema] = {"type": "string"}
_ACTION: Final[JsonSchema] = {
    "type": "object",
    "properties": {"name": _TEXT, "args": {"type": "object"}},
    "required": ["name", "args"],
}
# What else a decision of LangChain 1's HumanInTheLoopMiddleware holds, and what of that it must hold.
_DECISIONS: Final[dict[str, tuple[JsonSchema, list[str]]]] = {
    "approve": ({}, []),
    "edit": ({"edited_action": _ACTION}, ["edited_action"]),
    "reject": ({"message": {"type": ["string", "null"]}}, []),
    "respond": ({"message": _TEXT}, ["message"]),
}


def question(interrupt: Interrupt[Any]) -> Question:
    """A pending interrupt of a graph, with the schema of its answer where that can be told."""
    value, given = jsonable(interrupt.value), getattr(interrupt, "response_schema", None)
    if isinstance(given, dict) and not any(schema_faults("response_schema", given)):
        return Question(interrupt.id, value, given)
    return Question(interrupt.id, value, _decisions_on(value))


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


def _decisions_on(value: Any) -> JsonSchema | None:
    """The schema of the decisions that LangChain's middleware wants: one per action, in order."""
    match value:
        case {"action_requests": [*actions], "review_configs": [*reviews]} if actions:
            allowed = {
                review.get("action_name"): review.get("allowed_decisions")
                for review in reviews
                if isinstance(review, dict)
            }
            wanted = [
                _decision(allowed.get(action.get("name") if isinstance(action, dict) else None))
                for action in actions
            ]
            decisions = {
                "type": "array",
                "prefixItems": wanted,
                "minItems": len(wanted),
                "maxItems": len(wanted),
            }
            return {
                "type": "object",
                "properties": {"decisions": decisions},
                "required": ["decisions"],
            }
    return None


def _decision(allowed: Any) -> JsonSchema:
    kinds = allowed if isinstance(allowed, list) else list(_DECISIONS)
    forms = []
    for kind in kinds:
        more, required = _DECISIONS.get(kind, ({}, [])) if isinstance(kind, str) else ({}, [])
        properties = {"type": {"const": kind}, **more}
        forms.append({"type": "object", "properties": properties, "required": ["type", *required]})
    return {"anyOf": forms} if forms else {}
