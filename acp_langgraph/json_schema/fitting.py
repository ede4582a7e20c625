"""Whether every value of one JSON Schema fits another, and where not.

The question cannot always be decided, so an answer says how sure it is. A misfit is *certain* where
nothing that may stand at its place fits; it is a doubt where some of it does not. What cannot be told
(conditions, patterns, overlapping alternatives, whatever has no end) is not reported.

Sizes and patterns are reported only where they exclude each other: a text that is not declared to be
short is no reason to doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from acp_langgraph.json_schema.reading import ANYTHING, Document, Form, Schema, said_forms, type_of

Kind: TypeAlias = Literal["missing", "may_be_missing", "undeclared", "surplus", "value"]

_MOST_STEPS: Final = 20_000
_DEEPEST: Final = 40


@dataclass(frozen=True, slots=True)
class Misfit:
    """One way in which values do not fit.

    Attributes:
        path: Where in the value, as field names; `[]` stands for the items of a list.
        kind: What is wrong: a needed field is never given (`missing`), need not be given
            (`may_be_missing`), or nothing says that it is given (`undeclared`); a field is given that
            is not allowed (`surplus`); or the `value` is another.
        certain: Whether nothing that may stand there fits.
        given: What is given, in words.
        wanted: What is taken, in words.
    """

    path: tuple[str, ...]
    kind: Kind
    certain: bool
    given: str = ""
    wanted: str = ""


def misfits(given: Schema, wanted: Schema, *, lax: bool = False) -> list[Misfit]:
    """Where values of one schema do not fit another.

    Args:
        given: The schema of the values.
        wanted: The schema that they should fit.
        lax: Whether they are converted as pydantic does it, `"3"` to 3 among others.
    """
    return list(_Comparison(given, wanted, lax).compare(given, wanted, ()).misfits)


class _Result(NamedTuple):
    """What came of a comparison; `never` says that no value at all fits."""

    misfits: tuple[Misfit, ...] = ()
    never: bool = False


_FITS: Final = _Result()


class _Comparison:
    def __init__(self, given: Schema, wanted: Schema, lax: bool) -> None:
        self._given = Document(given)
        self._wanted = Document(wanted)
        self._lax = lax
        self._steps = 0
        self._at: set[tuple[int, int]] = set()

    def compare(self, given: Schema, wanted: Schema, path: tuple[str, ...]) -> _Result:
        self._steps += 1
        if self._steps > _MOST_STEPS or len(path) > _DEEPEST:
            return _FITS  # it fits if everything else does
        forms, accepted = self._given.forms(given), self._wanted.forms(wanted)
        if not forms or ANYTHING in forms or ANYTHING in accepted:
            return _FITS
        place = (id(forms), id(accepted))
        if place in self._at:
            return _FITS
        self._at.add(place)
        try:
            return self._alternatives(forms, accepted, path)
        finally:
            self._at.discard(place)

    def _alternatives(
        self, forms: Sequence[Form], accepted: Sequence[Form], path: tuple[str, ...]
    ) -> _Result:
        results = [self._one(form, accepted, path) for form in forms]
        if len(results) == 1:
            return results[0]
        never = all(result.never for result in results)
        outright = [
            result.never
            and all(each.path == path and each.kind == "value" for each in result.misfits)
            for result in results
        ]
        if all(outright):
            return _Result((self._refusal(path, forms, accepted),), never=True)
        # Of several alternatives with something inside, another may be meant than the one at fault.
        inside = [form.get("type") in {"object", "array", None} for form in forms]
        sure = never or sum(inside) == 1
        found: list[Misfit] = []
        for result, refused in zip(results, outright, strict=True):
            keep = sure and not refused
            found += [replace(each, certain=each.certain and keep) for each in result.misfits]
        return _Result(tuple(dict.fromkeys(found)), never)

    def _one(  # noqa: PLR0911 - a return for each way it may end
        self, form: Form, accepted: Sequence[Form], path: tuple[str, ...]
    ) -> _Result:
        if "enum" in form:
            return self._values(form["enum"], accepted, path)
        kind = form.get("type")
        if kind is None:
            return _FITS
        if kind in _FINITE:
            return self._values(_FINITE[kind], accepted, path)
        results = [self._simple(form, each, path) for each in accepted]
        if any(not result.misfits for result in results):
            return _FITS
        possible = [result for result in results if not result.never]
        if len(possible) == 1:
            return possible[0]
        if possible:
            return _FITS  # what does not fit the one may fit the other
        deep = [result for result in results if any(each.path != path for each in result.misfits)]
        if len(deep) == 1:
            return deep[0]
        return _Result((self._refusal(path, [form], accepted),), never=True)

    def _values(
        self, values: Sequence[Any], accepted: Sequence[Form], path: tuple[str, ...]
    ) -> _Result:
        bad = [value for value in values if not any(self._takes(form, value) for form in accepted)]
        if not bad:
            return _FITS
        never = len(bad) == len(values)
        return _Result((self._refusal(path, [{"enum": bad}], accepted, certain=never),), never)

    def _takes(self, form: Form, value: Any) -> bool:
        """Whether a value may fit."""
        kind = type_of(value)
        if "enum" in form:
            # JSON knows no difference between 1 and 1.0, but one between 1 and true.
            same = (each == value and _is_bool(each) == _is_bool(value) for each in form["enum"])
            converted = (self._converts(kind, type_of(each), form) for each in form["enum"])
            return any(same) or any(converted)
        wanted = form.get("type")
        if wanted is None or self._converts(kind, wanted, form):
            return True
        if not _is_a(kind, wanted):
            return False
        if kind in {"integer", "number"}:
            return _within(value, form, "minimum", "maximum")
        return kind != "string" or _within(len(value), form, "minLength", "maxLength")

    def _simple(  # noqa: PLR0911 - a return for each way it may end
        self, form: Form, wanted: Form, path: tuple[str, ...]
    ) -> _Result:
        kind, other = str(form["type"]), wanted.get("type")
        if "enum" in wanted:
            kinds = [type_of(value) for value in wanted["enum"]]
            if kind in {"object", "array"} and kind in kinds:
                return _FITS
            possible = any(
                _is_a(each, kind) or self._converts(kind, each, wanted) for each in kinds
            )
            refusal = self._refusal(path, [form], [wanted], certain=not possible)
            return _Result((refusal,), never=not possible)
        if other is None:
            return _FITS if kind != "object" else self._object(form, wanted, path)
        if not _is_a(kind, other):
            partly = _is_a(other, kind) or self._converts(kind, other, wanted)
            refusal = self._refusal(path, [form], [wanted], certain=not partly)
            return _Result((refusal,), never=not partly)
        if kind == "object":
            return self._object(form, wanted, path)
        if kind == "array":
            return self._array(form, wanted, path)
        for least, most in _BOUNDS[kind]:
            if _exclude_each_other(form, wanted, least, most):
                given, taken = _limits(form, least, most), _limits(wanted, least, most)
                misfit = Misfit(path, "value", True, f"{kind} {given}", f"{other} {taken}")
                return _Result((misfit,), never=True)
        return _FITS

    def _object(self, form: Form, wanted: Form, path: tuple[str, ...]) -> _Result:
        results = [*self._needed(form, wanted, path), *self._fields(form, wanted, path)]
        found = tuple(misfit for result in results for misfit in result.misfits)
        return _Result(found, any(result.never for result in results))

    def _needed(self, form: Form, wanted: Form, path: tuple[str, ...]) -> Iterator[_Result]:
        """What is needed, and not sure to be given."""
        given, always = _properties(form), set(_names(form.get("required")))
        taken, further = _properties(wanted), form.get("additionalProperties", True)
        for name in _names(wanted.get("required")):
            if name in always:
                continue
            self._steps += 1
            if self._steps > _MOST_STEPS:
                return
            place, below = (*path, name), taken.get(name, True)
            words = said_forms(self._wanted.forms(below), self._wanted)
            if name in given:
                yield _Result((Misfit(place, "may_be_missing", False, "", words),))
            elif further is False and not form.get("patternProperties"):
                yield _Result((Misfit(place, "missing", True, "", words),), never=True)
            else:
                result = self.compare(further, below, place)
                doubt = Misfit(place, "undeclared", False, "", words)
                yield result if result.never else _Result((doubt,))

    def _fields(self, form: Form, wanted: Form, path: tuple[str, ...]) -> Iterator[_Result]:
        """What is given, and not taken."""
        taken, always = _properties(wanted), set(_names(form.get("required")))
        further = True if wanted.get("patternProperties") else wanted.get("additionalProperties")
        for name, schema in _properties(form).items():
            if self._steps > _MOST_STEPS:
                return
            place = (*path, name)
            if name not in taken and further is False and (forms := self._given.forms(schema)):
                surplus = Misfit(place, "surplus", True, said_forms(forms, self._given))
                result = _Result((surplus,), never=True)
            else:
                result = self.compare(schema, taken.get(name, further), place)
            yield result._replace(never=result.never and name in always)

    def _array(self, form: Form, wanted: Form, path: tuple[str, ...]) -> _Result:
        least, most = form.get("minItems", 0), wanted.get("maxItems")
        if _exclude_each_other(form, wanted, "minItems", "maxItems"):
            given, taken = (_limits(each, "minItems", "maxItems") for each in (form, wanted))
            misfit = Misfit(
                path, "value", True, f"list with items {given}", f"list with items {taken}"
            )
            return _Result((misfit,), never=True)
        if "prefixItems" in form or "prefixItems" in wanted:
            return self._tuple(form, wanted, path)
        result = self.compare(form.get("items", True), wanted.get("items", True), (*path, "[]"))
        some = isinstance(least, int) and least > 0
        return _Result(result.misfits, result.never and some and most != 0)

    def _tuple(self, form: Form, wanted: Form, path: tuple[str, ...]) -> _Result:
        first, second = form.get("prefixItems"), wanted.get("prefixItems")
        if not (isinstance(first, list) and isinstance(second, list)):
            return _FITS
        found: list[Misfit] = []
        for at, (one, other) in enumerate(zip(first, second, strict=False)):
            found += self.compare(one, other, (*path, f"[{at}]")).misfits
        return _Result(tuple(found))

    def _refusal(
        self,
        path: tuple[str, ...],
        forms: Iterable[Form],
        accepted: Iterable[Form],
        *,
        certain: bool = True,
    ) -> Misfit:
        given, taken = said_forms(forms, self._given), said_forms(accepted, self._wanted)
        return Misfit(path, "value", certain, given, taken)

    def _converts(self, kind: str, other: str, wanted: Form) -> bool:
        if not self._lax:
            return False
        if other == "string":
            return (
                kind in {"integer", "number"} and "format" in wanted
            )  # a moment, a number as text
        return (kind, other) in _CONVERTED


# What pydantic takes for another type, at least in part, where it is not told to be strict.
_CONVERTED: Final = frozenset(
    {
        ("string", "integer"),
        ("string", "number"),
        ("string", "boolean"),
        ("boolean", "integer"),
        ("boolean", "number"),
        ("integer", "boolean"),
        ("number", "boolean"),
    }
)

_FINITE: Final[dict[str, list[Any]]] = {"null": [None], "boolean": [True, False]}

_NUMBERS: Final = (
    ("minimum", "maximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
)
_BOUNDS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "string": (("minLength", "maxLength"),),
    "integer": _NUMBERS,
    "number": _NUMBERS,
}


def _is_a(kind: str, other: str) -> bool:
    return kind == other or (kind == "integer" and other == "number")


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _properties(form: Form) -> Mapping[str, Schema]:
    found = form.get("properties")
    return found if isinstance(found, Mapping) else {}


def _names(given: Any) -> list[str]:
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _number(form: Form, keyword: str) -> float | None:
    value = form.get(keyword)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _within(size: float, form: Form, least: str, most: str) -> bool:
    low, high = _number(form, least), _number(form, most)
    return (low is None or size >= low) and (high is None or size <= high)


def _exclude_each_other(one: Form, other: Form, least: str, most: str) -> bool:
    for first, second in ((one, other), (other, one)):
        low, high = _number(first, least), _number(second, most)
        if low is not None and high is not None and low > high:
            return True
    return False


def _limits(form: Form, least: str, most: str) -> str:
    low, high = _number(form, least), _number(form, most)
    if low is None:
        return f"up to {high}"
    return f"from {low}" if high is None else f"from {low} to {high}"
