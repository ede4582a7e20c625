"""A module from its text."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["imported"]


def imported(text: str) -> Any:
    """The module that a text is; its models find each other by its name."""
    module = ModuleType(f"written_{abs(hash(text))}")
    sys.modules[module.__name__] = module
    exec(compile(text, module.__name__, "exec"), module.__dict__)  # noqa: S102 - what is tested
    return module
