"""What the commands have in common: errors for people, and modules that an extra brings."""

from __future__ import annotations

import importlib
import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from acp_langgraph.json_schema.words import printable

__all__ = ["fail", "needing"]


def needing(extra: str, module: str) -> Any:
    """A module of this package that needs an extra; ends with a hint where that is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        fail(f'{error.name} is missing: pip install "acp-langgraph[{extra}]"', 2)


def fail(message: str, code: int) -> NoReturn:
    """End with an error message and an exit code."""
    said = Text.assemble(("error: ", "red"), printable(message))
    Console(stderr=True, soft_wrap=True).print(said, highlight=False)
    sys.exit(code)
