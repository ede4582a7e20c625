"""The command line (extra `cli`; what serves agents also needs `server`). One module per command."""

from __future__ import annotations

from typing import Annotated

import typer

import acp_langgraph
from acp_langgraph.cli.agents import agents
from acp_langgraph.cli.check import check
from acp_langgraph.cli.demo import demo
from acp_langgraph.cli.serve import serve
from acp_langgraph.cli.types import types
from acp_langgraph.cli.wake import wake

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
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
    """Remote agents in LangGraph graphs, over AGNTCY's Agent Connect Protocol.

    Find an agent with `agents`, have its `types` written, put it into a graph as an `ACPNode`, and
    `check` that it fits. With `serve`, a graph of your own is an agent; `demo` shows it at work. Graphs
    that are suspended while their agents work go on with `wake`.
    """


app.command()(agents)
app.command()(types)
app.command()(check)
app.command()(serve)
app.command()(wake)
app.command()(demo)
