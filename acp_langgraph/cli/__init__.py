"""The command line (extra `cli`; what serves agents also needs `server`). One module per command."""

from __future__ import annotations

from typing import Annotated

import typer

import acp_langgraph
from acp_langgraph.cli.demo import demo
from acp_langgraph.cli.serve import serve

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Remote agents in LangGraph graphs, over AGNTCY's Agent Connect Protocol.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(acp_langgraph.__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Remote agents in LangGraph graphs, over AGNTCY's Agent Connect Protocol."""


app.command()(serve)
app.command()(demo)
