"""Whether a JSON value fits a JSON Schema, said without repeating the value.

What clients send may be anybody's private data, and error bodies end up in logs. So a fault names
the place and the rule: `input.items.0.price: must be of type number`.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry

from acp_langgraph.server.problems import invalid
from acp_langgraph.server.schemas import JsonSchema

__all__ = ["Check"]

_MOST_FAULTS: Final = 5
_LONGEST_RULE: Final = 200


class Check:
    """A JSON Schema, ready to be applied many times.

    Args:
        place: What the values are called in messages, e.g. `input`.
        schema: A valid JSON Schema (draft 2020-12) whose references stay inside it.
    """

    def __init__(self, place: str, schema: JsonSchema) -> None:
        self._place = place
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

    def _said(self, error: ValidationError) -> str:
        if error.context:  # anyOf, oneOf: the branch that came closest says most
            error = best_match([error]) or error
        place = ".".join([self._place, *map(str, error.absolute_path)])
        return f"{place}: {_rule(error)}"


def _rule(error: ValidationError) -> str:
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
