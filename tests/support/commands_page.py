"""The page of the documentation that tells every command and option, made of the commands themselves.

    python tests/support/commands_page.py > docs/reference/commands.md

`tests/test_docs.py` compares the two.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from acp_langgraph.cli import app

__all__ = ["page"]


def page() -> Iterator[str]:
    """The lines of the page."""
    group: Any = get_command(app)
    yield "# Commands"
    yield ""
    yield "Made of the command's own help (extra `cli`; `serve` needs `server`, `types` needs `types`)."
    for name, command in group.commands.items():
        yield ""
        yield f"## acp-langgraph {name}"
        yield ""
        yield from inspect.cleandoc(command.help.replace("\f", "")).splitlines()
        yield ""
        yield "| argument or option | what it is |"
        yield "| --- | --- |"
        for each in command.params:
            if each.name != "help":
                yield f"| {_named(each)} | {_told(each)} |"


def _named(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.make_metavar() if not parameter.metavar else parameter.metavar}`"
    return ", ".join(f"`{each}`" for each in [*parameter.opts, *parameter.secondary_opts])


def _told(parameter: Any) -> str:
    words = re.sub(r"\s+", " ", parameter.help or "")
    words += f" Also as `{parameter.envvar}`." if getattr(parameter, "envvar", None) else ""
    default = parameter.default
    if default not in (None, False, "", ()) and not callable(default):
        words += f" By default `{default}`."
    return words.replace("|", "\\|").strip()


if __name__ == "__main__":
    print("\n".join(page()))
