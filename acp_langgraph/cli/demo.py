"""`acp-langgraph demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import acp_langgraph
from acp_langgraph.cli.connecting import Protocol, fail, needing


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
    agents: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Take the agents from a server that has them already."),
    ] = None,
    protocol: Annotated[Protocol, typer.Option(help="What that server speaks.")] = Protocol.ACP,
    page: Annotated[
        bool, typer.Option("--page", help="Watch it, and answer, in the browser.")
    ] = False,
) -> None:
    """See it work: two remote agents write a mail, and ask you about it.

    ```
    acp-langgraph demo
    acp-langgraph demo --brief brief.txt --yes
    ```

    The agents are started in a process of their own on a free port of this machine. One drafts a
    mail and asks you to approve or change it, the other corrects it, and the mail is written into
    an outbox. Without --model they work by rules: no key and no network are needed.

    The same agents in `langgraph dev` (`examples/langgraph_dev/campaign`), or over A2A
    (`examples/a2a_sdk/campaign.py`), will do as well:

    ```
    acp-langgraph demo --agents http://127.0.0.1:2024 --protocol langgraph
    acp-langgraph demo --agents http://127.0.0.1:8009 --protocol a2a
    ```

    With --page the campaign itself is served, with a page on which to watch it and to answer; further
    ones can be started there.

    Stop it whenever you like: the same command with --resume goes on where it stopped.
    """
    running = needing("demo", "acp_langgraph.demo.app")
    briefs = needing("demo", "acp_langgraph.demo.campaign")
    console = Console()
    screen = running.Screen(console)

    def answer(_: dict[str, Any]) -> str | None:
        if yes:
            screen.answered("yes")
            return "yes"
        try:
            while not (said := input("> ").strip()):  # Enter by accident approves of nothing
                console.print('Answer "yes" to send it, or say what to change.', style="yellow")
        except EOFError:
            return None
        return said

    again = _again(outbox, model, agents, protocol, page=page)
    campaign = running.Demo(outbox, screen, answer, model, agents, protocol)
    try:
        order = None if resume else briefs.read_brief(brief, sender=sender, recipient=to)
        _run(campaign, order, page=page)
    except (briefs.BriefError, running.OutboxError, running.NothingToResumeError) as error:
        fail(str(error), 2)
    except acp_langgraph.AcpLangGraphError as error:
        fail(f"{error}\nTry again with: {again}", 1)
    except running.NobodyAnswersError:
        screen.stops("Nobody answered.", again)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.stops("Stopped.", again)
        raise typer.Exit(130) from None


def _run(campaign: Any, order: Any, *, page: bool) -> None:
    if page:
        needing("demo", "acp_langgraph.demo.paged").show(campaign, order)
    elif order is None:
        campaign.resume()
    else:
        campaign.start(order)


def _again(
    outbox: Path, model: str | None, agents: str | None, protocol: Protocol, *, page: bool
) -> str:
    """The command that goes on."""
    if protocol is not Protocol.ACP and agents is None:
        fail(f"--protocol {protocol} is about a server that has the agents; name it by --agents", 2)
    command = ["acp-langgraph", "demo", "--resume", "--outbox", str(outbox)]
    command += ["--page"] if page else []
    command += ["--model", model] if model else []
    command += ["--agents", agents, "--protocol", str(protocol)] if agents else []
    return shlex.join(command)
