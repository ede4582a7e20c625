"""JSON Schemas in words, in one line: `integer or null`, `"a" or "b"`, `list of object {x, y}`."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from acp_langgraph.json_schema.reading import Document, Form, Schema

__all__ = ["one_line", "printable", "said", "said_forms"]

_LONGEST: Final = 72
_MOST_NAMES: Final = 6
_DEEPEST: Final = 3


def said(schema: Schema, document: Document, limit: int = _LONGEST) -> str:
    """What a schema allows, in words; `anything` where it says nothing."""
    return said_forms(document.forms(schema), document, limit)


def said_forms(
    forms: Iterable[Form], document: Document, limit: int = _LONGEST, depth: int = 0
) -> str:
    """What several alternatives allow together."""
    words = list(dict.fromkeys(_said_form(form, document, depth) for form in forms))
    return _shortened(" or ".join(words) or "nothing", limit)


def one_line(text: str, limit: int = _LONGEST) -> str:
    """A text from elsewhere as one line that is safe to print."""
    return _shortened(" ".join(printable(text).split()), limit)


def printable(text: str) -> str:
    """A text without what would move the cursor, hide, or turn the direction of writing."""
    return "".join(
        each if each in "\n\t" or unicodedata.category(each) not in _UNPRINTABLE else " "
        for each in text
    )


_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _said_form(  # noqa: PLR0911 - a return for each type
    form: Form, document: Document, depth: int
) -> str:
    if "enum" in form:
        shown = [json.dumps(value, ensure_ascii=False) for value in form["enum"][:_MOST_NAMES]]
        more = ["..."] if len(form["enum"]) > _MOST_NAMES else []
        return " or ".join([*(one_line(each, 40) for each in shown), *more])
    match form.get("type"):
        case "array":
            inner = form.get("items", True)
            if inner is True or depth >= _DEEPEST:
                return "list"
            words = said_forms(document.forms(inner), document, depth=depth + 1)
            return "list" if words == "anything" else f"list of {_grouped(words)}"
        case "object":
            return _said_object(form, document, depth)
        case "string" if isinstance(form.get("format"), str):
            return f"string ({one_line(form['format'], 20)})"
        case str(name):
            return name
    return "anything"


def _said_object(form: Form, document: Document, depth: int) -> str:
    properties = form.get("properties")
    if isinstance(properties, dict) and properties:
        names = [one_line(name, 30) for name in properties][:_MOST_NAMES]
        more = ["..."] if len(properties) > _MOST_NAMES else []
        return f"object {{{', '.join([*names, *more])}}}"
    values = form.get("additionalProperties")
    if isinstance(values, dict) and values and depth < _DEEPEST:
        words = said_forms(document.forms(values), document, depth=depth + 1)
        if words != "anything":
            return f"object of {_grouped(words)}"
    return "object"


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words else words


def _shortened(text: Any, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
