"""`python -m acp_langgraph`, which is the command `acp-langgraph`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say which extra it needs."""
    try:
        import typer  # noqa: F401, PLC0415 - is it there?
    except ImportError:
        sys.exit('the command line is an extra: pip install "acp-langgraph[cli]"')
    from acp_langgraph.cli import app  # noqa: PLC0415 - needs the extra

    app(prog_name="acp-langgraph")


if __name__ == "__main__":
    main()
