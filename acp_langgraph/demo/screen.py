"""What the demo shows in a terminal."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from acp_langgraph.demo.models import Draft, Review
from acp_langgraph.terminal import Waiting

__all__ = ["Screen"]

_REMOTE: Final = {
    "mailcomposer": "drafts the mail and asks for approval",
    "email_reviewer": "looks for problems and corrects them",
    "sendgrid": "sends the mail through the API Bridge",
}
_WIDTH: Final = 88


class Screen:
    """Shows a campaign as it goes.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: set[str] = set()
        self._resumed: set[str] = set()  # LangGraph tells of a remembered task with every entry
        self._width = min(_WIDTH, console.width)

    def opens(self, hosts: dict[str, str], thread: str, *, resumed: bool) -> None:
        """The agents are up, and the graph starts or goes on."""
        verb = "goes on" if resumed else "starts"
        self._print(
            Text.assemble(
                ("Marketing campaign ", "bold"), (thread, "bold cyan"), (f" {verb}", "bold")
            )
        )
        self._print(Text(f"agents at {hosts['agents']}, in a process of their own", "dim"))
        self._print(Text(f"API Bridge at {hosts['bridge']}", "dim"))
        self._print()

    def shows(self, task: dict[str, Any]) -> None:
        """A task of the graph began or ended."""
        name, ended = task["name"], "result" in task
        if name in _REMOTE and not ended:
            does = "goes on" if name in self._begun else _REMOTE[name]
            self._begun.add(name)
            self._print(Text.assemble(("▸ ", "cyan"), (name, "bold"), f"  {does}"))
        elif name == "create_run" and ended and isinstance(task["result"], dict):
            (started,) = task["result"].values()
            run = started["run_id"]
            self._print(Text(f"  remote run {run}", "dim"))
        elif name == "resume_run" and not ended and task["id"] not in self._resumed:
            self._resumed.add(task["id"])
            self._print(Text("  the answer goes to the same remote run", "dim"))
        elif name in _REMOTE and ended and not task.get("interrupts"):
            self._print(Text.assemble(("✓ ", "green"), name, "  done"))

    def waiting(self) -> Waiting:
        """Shows what is waited for, and since when, where that can be shown in passing."""
        return Waiting(self._console, lines=False)

    def asks(self, question: dict[str, Any]) -> None:
        """An agent asks something."""
        draft = Draft.model_validate(question["draft"])
        self._print()
        self._print(
            Panel(
                _mail(draft),
                title="[bold]mailcomposer asks[/bold]",
                title_align="left",
                border_style="yellow",
                width=self._width,
            )
        )
        self._print(Text(textwrap.fill(question["question"], self._width), "yellow"))

    def answered(self, answer: str) -> None:
        """The answer was given without a human."""
        self._print(Text.assemble(("> ", "bold"), (answer, "bold"), ("  (--yes)", "dim")))
        self._print()

    def ends(self, state: dict[str, Any], written: Path) -> None:
        """The campaign is done."""
        review: Review = state["review"]
        self._print()
        self._print(self._problems(review))
        self._print(
            Panel(
                _mail(state["mail"]),
                title="[bold]sent[/bold]",
                title_align="left",
                subtitle=f"{state['sender']} → {state['recipient']}",
                subtitle_align="left",
                border_style="green",
                width=self._width,
            )
        )
        self._print(Text.assemble(("✓ ", "green"), "written to ", (str(written), "bold")))

    def stops(self, why: str, resume: str) -> None:
        """The campaign was stopped and can be resumed."""
        self._print()
        self._print(Text(f"{why} Nothing is left running, and nothing is lost.", "yellow"))
        self._print(Text.assemble("Go on with: ", (resume, "bold")))

    def _problems(self, review: Review) -> Text | Table:
        if not review.problems:
            return Text("The reviewer found nothing to correct.", "dim")
        count = len(review.problems)
        table = Table(
            title=f"The reviewer found {count} {'problem' if count == 1 else 'problems'}",
            title_justify="left",
            title_style="bold",
            width=self._width,
        )
        for heading in ("what", "found", "correction"):
            table.add_column(heading, overflow="fold")
        for problem in review.problems:
            correction = (
                Text("left to you", "dim")
                if problem.correction is None
                else Text(problem.correction)
            )
            table.add_row(Text(problem.what), Text(problem.found), correction)
        return table

    def _print(self, what: Any = "") -> None:
        # Whatever agents and users wrote is shown as it is, and not read as markup.
        self._console.print(what, markup=False, highlight=False, soft_wrap=isinstance(what, Text))


def _mail(draft: Draft) -> Group:
    return Group(Text(draft.subject, "bold"), Text(""), Text(draft.body.rstrip()))
