"""Reading inside a state.

Four kinds of containers are understood: mappings (dict, TypedDict), pydantic models (messages among
them), dataclasses, and lists or tuples. Of an object only declared fields are touched: never a
method, a property (but for a message's `text`), or anything private.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from acp_langgraph.mapping import schema
from acp_langgraph.mapping.typeinfo import Step


class _Missing:
    """The type of `MISSING`: nothing there, as opposed to `None`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


def path_text(steps: Iterable[Step]) -> str:
    """The steps as a path in its canonical form, which `StatePath.parse` reads back."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            part = str(step) if step >= 0 else f"[{step}]"
        elif is_bare(step):
            part = step
        else:
            escaped = step.replace("\\", "\\\\").replace('"', '\\"')
            part = f'["{escaped}"]'
        text += part if not text or part[0] == "[" else f".{part}"
    return text


def is_bare(name: str) -> bool:
    """Whether a name can stand in a path without quotes."""
    digits = name.removeprefix("-")
    return (
        bool(name)
        and not any(mark in name for mark in ".[]\"'{}\\")
        and name == name.strip()
        and not (digits.isascii() and digits.isdigit())
    )


def near(name: Step, names: Iterable[str]) -> str:
    """A clause that names what was probably meant, or what there is; empty if nothing is."""
    known = list(names)
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.6)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    listed = ", ".join(sorted(known)[:8]) + (", ..." if len(known) > 8 else "")  # noqa: PLR2004 - as many as one reads
    return f"; there are: {listed}" if known else ""


def member(container: Any, step: Step, names: Sequence[str] = ()) -> Any:
    """What is one step inside a container, or `MISSING`.

    Args:
        container: Anything.
        step: A name, or a position.
        names: Other names of the same field, tried in a mapping (aliases).
    """
    if isinstance(container, Mapping):
        if step in container:
            return container[step]
        found = (container[name] for name in (str(step), *names) if name in container)
        return next(found, MISSING)
    if isinstance(container, (list, tuple)):
        if isinstance(step, int):
            return container[step] if -len(container) <= step < len(container) else MISSING
        return getattr(container, step) if step in getattr(container, "_fields", ()) else MISSING
    return _attribute(container, str(step))


def _attribute(container: Any, name: str) -> Any:
    if isinstance(container, BaseModel):
        fields = schema.field_names(type(container))
        if name in fields:
            return getattr(container, fields[name], MISSING)
        if name in type(container).model_computed_fields:
            return getattr(container, name)
        if name == "text" and isinstance(container, BaseMessage):
            return str(container.text)
        return (container.__pydantic_extra__ or {}).get(name, MISSING)
    if dataclasses.is_dataclass(container):
        known = name in container.__dataclass_fields__
        return getattr(container, name, MISSING) if known else MISSING
    found = getattr(container, "__dict__", {}).get(name, MISSING)
    return MISSING if name.startswith("_") or callable(found) else found


def member_names(container: Any) -> list[str]:
    """The names that `member` would find."""
    if isinstance(container, Mapping):
        return [name for name in container if isinstance(name, str)]
    if isinstance(container, BaseModel):
        extra = container.__pydantic_extra__ or {}
        return [*type(container).model_fields, *extra]
    if dataclasses.is_dataclass(container):
        return list(container.__dataclass_fields__)
    if isinstance(container, tuple):
        return list(getattr(container, "_fields", ()))
    found = getattr(container, "__dict__", {})
    return [name for name in found if not name.startswith("_") and not callable(found[name])]
