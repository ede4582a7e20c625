"""What a JSON Schema says, without the ways of saying it, and that in words, in one line.

`$ref`, `allOf`, `anyOf`, `oneOf`, `nullable` and lists of types are taken apart: `Document.forms`
gives the alternatives that a schema stands for, each a `Form` with one type at most. Where several
schemas hold at once, a keyword that cannot be joined is left out, so that forms allow at least what
the schema allows, and never less.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote


def target(root: Any, reference: Any, otherwise: Any) -> Any:
    """What a reference leads to.

    Only pointers into the schema itself are followed (RFC 6901, as a URI's fragment): nobody who reads
    a schema should have to fetch more.

    Args:
        root: The whole schema.
        reference: The value of `$ref`.
        otherwise: Given where the reference leads nowhere, or elsewhere.
    """
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return otherwise
    here = root
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and key in here:
            here = here[key]
        elif isinstance(here, list) and _is_index(key) and int(key) < len(here):
            here = here[int(key)]
        else:
            return otherwise
    return here


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < _LONGEST_INDEX


_LONGEST_INDEX: Final = 10  # digits

Schema: TypeAlias = Any
"""A JSON Schema as it came: an object or a boolean, if it is one at all."""

Form: TypeAlias = Mapping[str, Any]
"""One alternative: `type` is absent or one name, `enum` stands for `const` as well."""

ANYTHING: Final[Form] = {}

TYPES: Final = frozenset({"string", "integer", "number", "boolean", "null", "object", "array"})

_MOST_FORMS: Final = 64
_DEEPEST: Final = 32  # references and compositions inside each other, at one place
_MOST_STEPS: Final = 50_000  # of taking a schema apart; the rest may be anything


class Document:
    """A schema with what its references lead to.

    Args:
        root: The whole schema.
    """

    def __init__(self, root: Schema) -> None:
        self.root = root
        self._forms: dict[int, tuple[Schema, tuple[Form, ...]]] = {}
        self._parts: dict[int, tuple[Schema, list[Form]]] = {}
        self._steps = 0

    def forms(self, schema: Schema) -> tuple[Form, ...]:
        """The alternatives that a schema stands for; none if nothing fits it.

        The same objects every time, so that who walks a recursive schema can tell where it was.
        """
        for _ in range(_DEEPEST):
            if not (isinstance(schema, Mapping) and schema.keys() == {"$ref"}):
                break
            schema = self.target(schema["$ref"])
        known = self._forms.get(id(schema))
        if known is not None and known[0] is schema:
            return known[1]
        found = tuple(self._alternatives(schema, 0))
        if len(found) > _MOST_FORMS or any(not form for form in found):
            found = (ANYTHING,)
        self._forms[id(schema)] = schema, found
        return found

    def _alternatives(self, schema: Schema, depth: int) -> Iterable[Form]:
        if schema is False:
            return []
        self._steps += 1
        if not isinstance(schema, Mapping) or depth > _DEEPEST or self._steps > _MOST_STEPS:
            return [ANYTHING]
        for keyword in ("$ref", "allOf", "anyOf", "oneOf"):
            if keyword in schema:
                rest = {name: value for name, value in schema.items() if name != keyword}
                return self._composed(keyword, schema[keyword], rest, depth + 1)
        return _simple(schema)

    def _composed(
        self, keyword: str, value: Any, rest: dict[str, Any], depth: int
    ) -> Iterable[Form]:
        if keyword == "$ref":
            referred = self.target(value)
            if not rest:
                return self._known(referred, depth)
            return self._alternatives(_joined(rest, referred), depth)
        parts = value if isinstance(value, list) else []
        if keyword == "allOf":
            whole: Schema = rest
            for part in parts:
                while isinstance(part, Mapping) and "$ref" in part and depth < _DEEPEST:
                    others = {name: each for name, each in part.items() if name != "$ref"}
                    part = _joined(others, self.target(part["$ref"]))  # noqa: PLW2901 - followed
                    depth += 1
                whole = _joined(whole, part)
            return self._alternatives(whole, depth)
        found: list[Form] = []
        for part in parts:
            if rest:
                found += self._alternatives(_joined(rest, part), depth)
            else:
                found += self._known(part, depth)
            if len(found) > _MOST_FORMS or ANYTHING in found:
                return [ANYTHING]
        return found

    def _known(self, schema: Schema, depth: int) -> Iterable[Form]:
        """The alternatives of a part of the document, however often it is referred to."""
        known = self._parts.get(id(schema))
        if known is not None and known[0] is schema:
            return known[1]
        found = list(self._alternatives(schema, depth))
        self._parts[id(schema)] = schema, found
        return found

    def target(self, reference: Any) -> Schema:
        """What a reference leads to; anything, if that is not in this document."""
        return target(self.root, reference, True)


def type_of(value: Any) -> str:  # noqa: PLR0911 - a return for each type
    """The JSON type of a value; `integer` for a whole number."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case Mapping():
            return "object"
    return "array" if isinstance(value, Sequence) else "unknown"


def _simple(schema: Mapping[str, Any]) -> Iterable[Form]:
    names = _type_names(schema.get("type"))
    if "const" in schema or isinstance(schema.get("enum"), list):
        values = [schema["const"]] if "const" in schema else schema["enum"]
        allowed = names or TYPES
        fitting = [value for value in values if _is_one_of(type_of(value), allowed)]
        rest = {name: schema[name] for name in ("title", "description") if name in schema}
        return [{**rest, "enum": fitting}] if fitting else []
    apart = {"type", "nullable", "enum"}  # an enum that is no list says nothing
    rest = {name: value for name, value in schema.items() if name not in apart}
    if not names:
        return [{**rest, "type": None} if rest else ANYTHING]
    nullable = ["null"] if schema.get("nullable") is True else []
    return [{**rest, "type": name} for name in [*names, *nullable]]


def _type_names(kinds: Any) -> list[str]:
    """The types that a schema names; none if it names none, or one that there is not."""
    names = kinds if isinstance(kinds, list) else [kinds]
    return names if all(isinstance(each, str) and each in TYPES for each in names) else []


def _is_one_of(kind: str, allowed: Iterable[str]) -> bool:
    return kind in allowed or (kind == "integer" and "number" in allowed)


def _joined(one: Schema, other: Schema) -> Schema:
    """A schema for what fits both; keywords that cannot be joined are left to the first."""
    if one is False or other is False:
        return False
    if not isinstance(one, Mapping) or not one:
        return other
    if not isinstance(other, Mapping) or not other:
        return one
    whole = dict(one)
    for keyword, value in other.items():
        if keyword not in whole:
            whole[keyword] = value
        elif whole[keyword] != value:
            joined = _join_keyword(keyword, whole[keyword], value)
            if joined is False and keyword == "type":
                return False
            whole[keyword] = joined
    return whole


def _join_keyword(keyword: str, one: Any, other: Any) -> Any:  # noqa: PLR0911 - one per keyword
    match keyword, one, other:
        case "type", _, _:
            return _common_type(one, other)
        case "properties" | "$defs" | "definitions", Mapping(), Mapping():
            both = {name: {"allOf": [one[name], other[name]]} for name in one if name in other}
            return {**one, **other, **both}
        case "required", [*first], [*second]:
            return [*first, *(name for name in second if name not in first)]
        case "enum", [*first], [*second]:
            return [value for value in first if value in second]
        case "allOf", [*first], [*second]:
            return [*first, *second]
        case "items", _, _:
            return {"allOf": [one, other]}
        case "additionalProperties", _, _:
            return False if one is False or other is False else {"allOf": [one, other]}
        case "minimum" | "minLength" | "minItems", (int() | float()), (int() | float()):
            return max(one, other)
        case "maximum" | "maxLength" | "maxItems", (int() | float()), (int() | float()):
            return min(one, other)
    return one


def _common_type(one: Any, other: Any) -> Any:
    first = [one] if isinstance(one, str) else one
    second = [other] if isinstance(other, str) else other
    if not (_type_names(first) and _type_names(second)):
        return one
    common = [kind for kind in first if _is_one_of(kind, second)]
    common += [kind for kind in second if kind not in common and _is_one_of(kind, first)]
    return common or False


_LONGEST: Final = 72
_MOST_NAMES: Final = 6
_DEEPEST_SAID: Final = 3


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
            if inner is True or depth >= _DEEPEST_SAID:
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
    if isinstance(values, dict) and values and depth < _DEEPEST_SAID:
        words = said_forms(document.forms(values), document, depth=depth + 1)
        if words != "anything":
            return f"object of {_grouped(words)}"
    return "object"


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words else words


def _shortened(text: Any, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
