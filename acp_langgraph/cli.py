"""The command line (extra `cli`; what serves agents also needs `server`)."""

from __future__ import annotations

import importlib
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import acp_langgraph

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


@app.command()
def demo(
    brief: Annotated[
        Path | None,
        typer.Option(
            help="A text file: what the mail is about. Its first lines may be To:, From:, Sign: and "
            "Audience: (general, technical, business)."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Address of the recipient.")] = None,
    sender: Annotated[str | None, typer.Option("--from", help="Address of the sender.")] = None,
    outbox: Annotated[
        Path,
        typer.Option(help="Folder that the mail is written to, with its checkpoints beside it."),
    ] = Path("outbox"),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve every draft unseen.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the campaign that was stopped.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Have a chat model write, named provider:name as in LangChain."),
    ] = None,
) -> None:
    """Run a marketing campaign with two remote agents, and write the mail into an outbox.

    The agents are started in a process of their own on a free port of this machine. One drafts a
    mail and asks you to approve or change it, the other corrects it. Without --model they work by
    rules: no key and no network are needed.

    Stop it whenever you like: the same command with --resume goes on where it stopped.
    """
    running = _needing("server", "acp_langgraph.demo.app")
    briefs = _needing("server", "acp_langgraph.demo.brief")
    screens = _needing("server", "acp_langgraph.demo.screen")
    screen = screens.Screen(Console())

    def answer(_: dict[str, Any]) -> str | None:
        if yes:
            screen.answered("yes")
            return "yes"
        try:
            return input("> ")
        except EOFError:
            return None

    campaign = running.Demo(outbox, screen, answer, model)
    again = f"acp-langgraph demo --resume --outbox {shlex.quote(str(outbox))}"
    try:
        if resume:
            campaign.resume()
        else:
            campaign.start(briefs.read_brief(brief, sender=sender, recipient=to))
    except (briefs.BriefError, running.NothingToResumeError) as error:
        _fail(str(error), 2)
    except acp_langgraph.AcpLangGraphError as error:
        _fail(f"{error}\nTry again with: {again}", 1)
    except running.NobodyAnswersError:
        screen.stops("Nobody answered.", again)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.stops("Stopped.", again)
        raise typer.Exit(130) from None


def _needing(extra: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        _fail(f'{error.name} is missing: pip install "acp-langgraph[{extra}]"', 2)


def _fail(message: str, code: int) -> Any:
    Console(stderr=True, soft_wrap=True).print(f"[red]error:[/red] {message}", highlight=False)
    sys.exit(code)
