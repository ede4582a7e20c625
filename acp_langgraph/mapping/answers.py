"""Reading a model's answer: tolerant of its form, strict about its content.

The form: JSON on its own, in a fence, in the middle of prose, in content blocks, or already parsed
by the model's structured output. Where only one target is asked for, the value itself will do.

The content: only what was asked for is looked at, keys that nobody declared are dropped at every
depth, and each value must be of its target's type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from acp_langgraph.mapping import access, schema, validation
from acp_langgraph.mapping.access import MISSING
from acp_langgraph.mapping.plan import Assignment

__all__ = ["Problem", "UnreadableError", "parse", "sort"]

_FENCE: Final = re.compile(r"```[\w+-]*[ \t]*\n(.*?)```", re.DOTALL)
_LONGEST: Final = 1_000_000


class UnreadableError(ValueError):
    """There is no JSON in the answer.

    Attributes:
        text: The answer.
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(problem)
        self.text = text


class Problem(ValueError):
    """One value is missing or wrong.

    Attributes:
        path: The target.
        reason: Why, for the model: it may repeat parts of the value.
        safe: Why, for messages: it does not.
        value: The value, `MISSING` if there is none.
    """

    def __init__(self, path: str, reason: str, safe: str, value: Any = MISSING) -> None:
        super().__init__(f"{path or 'the value'}: {reason}")
        self.path = path
        self.reason = reason
        self.safe = safe
        self.value = value


def parse(reply: Any) -> Any:
    """The JSON value in an answer.

    Args:
        reply: A message, what a structured output gave (`raw`, `parsed`), or a plain value.

    Raises:
        UnreadableError: If there is none.
    """
    if isinstance(reply, Mapping) and {"raw", "parsed"} <= reply.keys():
        if reply["parsed"] is not None:
            return parse(reply["parsed"])
        reply = reply["raw"]
    if isinstance(reply, BaseModel) and not isinstance(reply, BaseMessage):
        return reply.model_dump(mode="json", exclude_unset=True)
    text = str(reply.text) if isinstance(reply, BaseMessage) else reply
    return _from_text(text) if isinstance(text, str) else text


def _from_text(text: str) -> Any:
    if not text.strip():
        raise UnreadableError("the answer is empty", text)
    if len(text) > _LONGEST:
        raise UnreadableError("the answer is too long", text[:1000])
    for candidate in (text, *reversed(_FENCE.findall(text))):
        try:
            return json.loads(candidate, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
    objects = list(_objects_in(text))
    if not objects:
        raise UnreadableError("the answer holds no JSON object", text)
    return max(objects, key=lambda found: found[1])[0]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _objects_in(text: str) -> Iterator[tuple[Any, int]]:
    """Every JSON object that stands in a text, with its length."""
    position = text.find("{")
    while position >= 0:
        try:
            found, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            position = text.find("{", position + 1)
        else:
            yield found, end - position
            position = text.find("{", end)


def sort(answer: Any, asked: Sequence[Assignment]) -> tuple[dict[str, Any], list[Problem]]:
    """The good values in an answer, by target, and what is wrong with the others.

    Args:
        answer: The parsed answer.
        asked: What was asked for.
    """
    good: dict[str, Any] = {}
    problems: list[Problem] = []
    for each in asked:
        value = _find(answer, each)
        if value is MISSING and len(asked) == 1:
            value = _itself(answer, each)
        if value is MISSING or (value is None and not each.required):
            if each.required:
                problems.append(_absent(answer, each))
            continue
        try:
            good[str(each.target)] = _checked(value, each)
        except Problem as problem:
            problems.append(problem)
    return good, problems


def _find(answer: Any, each: Assignment) -> Any:
    if not each.target.steps:
        return MISSING
    here = answer
    for step in each.target.steps:
        if not isinstance(here, (Mapping, list)):
            return MISSING
        here = access.member(here, step)
    return here


def _itself(answer: Any, each: Assignment) -> Any:
    """The answer as the one target's own value: accepted if it is of the target's type."""
    if isinstance(answer, Mapping) and schema.fields_of_alternatives(each.type) is None:
        # An object can be the value of a scalar only by a mistake, but may name the last step.
        last = str(each.target.steps[-1]) if each.target.steps else ""
        if set(answer) == {last}:
            return answer[last]
        if not schema.takes_mappings(each.type):
            return MISSING
    if isinstance(answer, Mapping) and each.target.steps:
        fields = schema.fields_of_alternatives(each.type)
        if fields is not None and not fields & set(map(str, answer)):
            return MISSING
    return answer


def _absent(answer: Any, each: Assignment) -> Problem:
    got = (
        f"; the answer's keys are {sorted(map(str, answer))[:10]}"
        if isinstance(answer, Mapping)
        else "; the answer is no object"
    )
    return Problem(str(each.target), f"it is missing{got}", "the model left it out")


def _checked(value: Any, each: Assignment) -> Any:
    pruned = validation.pruned(each.type, value)
    try:
        validation.validate(each.type, pruned)
    except Exception as error:  # noqa: BLE001 - a validator of the user's may raise anything
        raise Problem(
            str(each.target), validation.reason(error, open=True), validation.reason(error), value
        ) from None
    return pruned
