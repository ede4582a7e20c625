"""What users may rely on, as text: every public name, and what it takes.

    python tests/support/public_api.py > tests/public_api.txt

writes down what there is now. `tests/test_public_api.py` compares the two: a change of what is promised
is a change of that file, which a reader sees.
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pydantic import BaseModel

__all__ = ["MODULES", "described"]

MODULES = (
    "acp_langgraph",
    "acp_langgraph.agntcy",
    "acp_langgraph.agntcy.exceptions",
    "acp_langgraph.agntcy.langgraph",
    "acp_langgraph.agntcy.models",
    "acp_langgraph.errors",
    "acp_langgraph.mapping",
    "acp_langgraph.nodes.quant",
    "acp_langgraph.server",
    "acp_langgraph.testing",
)


def described() -> Iterator[str]:
    """A line for each public name of each public module, and for each method of a class."""
    told: dict[int, str] = {}
    for module in MODULES:
        names = import_module(module)
        for name in names.__all__:
            found, place = getattr(names, name), f"{module}.{name}"
            if id(found) in told:
                yield f"{place} = {told[id(found)]}"
                continue
            told[id(found)] = place
            yield place + _taken(found)
            if inspect.isclass(found):
                yield from (f"{place}.{each}" for each in _members(found))


def _taken(found: Any) -> str:
    if inspect.isclass(found) and issubclass(found, BaseModel):
        return f"({', '.join(_field(*each) for each in found.model_fields.items())})"
    if inspect.isclass(found) and issubclass(found, enum.Enum):
        return f"({', '.join(each.name for each in found)})"
    if isinstance(found, type) and issubclass(found, dict):
        return ""
    if inspect.isclass(found) and issubclass(found, Exception):
        found = found.__init__
    return _parameters(found) if callable(found) else ""


def _field(name: str, info: Any) -> str:
    return name if info.is_required() else f"{name}=..."


def _parameters(function: Any) -> str:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    parts = []
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        parts.append(f"{star}{each.name}{_default(each.default)}")
        if each.kind is each.POSITIONAL_ONLY and parts[-1] != "/":
            parts = [part for part in parts if part != "/"] + ["/"]
    return f"({', '.join(parts)})"


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    plain = value is None or isinstance(value, (str, int, float, bool, tuple))
    return f"={value!r}" if plain else "=..."


def _members(kind: type) -> Iterator[str]:
    """Public methods and properties of the package's own, inherited ones included."""
    if issubclass(kind, (Exception, BaseModel, enum.Enum, dict)):
        return
    for name in sorted(dir(kind)):
        found = inspect.getattr_static(kind, name)
        if name.startswith("_") or not _is_ours(kind, name):
            continue
        if isinstance(found, (classmethod, staticmethod)) or inspect.isroutine(found):
            yield name + _parameters(getattr(kind, name))
        elif isinstance(found, property) or type(found).__name__ == "cached_property":
            yield name


def _is_ours(kind: type, name: str) -> bool:
    owner = next(each for each in kind.__mro__ if name in vars(each))
    return owner.__module__.startswith("acp_langgraph")


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in described()))
