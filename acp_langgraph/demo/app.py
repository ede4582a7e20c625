"""What the demo shows in a terminal."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, StateSnapshot
from pydantic import TypeAdapter, ValidationError
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from acp_langgraph.bridge.calls import APIBridgeOutput
from acp_langgraph.demo import campaign
from acp_langgraph.demo.campaign import Order
from acp_langgraph.demo.outbox import Brief, Draft, Problem, Review
from acp_langgraph.errors import AcpLangGraphError
from acp_langgraph.terminal import Waiting

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
        self._print(Text(f"agents at {hosts['agents']}", "dim"))
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
        for line in question["question"].splitlines():
            self._print(Text(textwrap.fill(line, self._width), "yellow"))

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

    def pages(self, url: str) -> None:
        """It is all in the browser from now on."""
        self._print(Text.assemble(("The campaign is at ", "bold"), (url, "bold cyan")))
        self._print("The agent's questions come there, in the inbox. Press Ctrl-C to stop.")

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


_ORDER: Final = TypeAdapter(Order)
_END_WITHIN: Final = 10.0  # seconds

Hosts: TypeAlias = dict[str, str]
"""The URLs of the `agents` and of the `bridge`."""


class NobodyAnswersError(Exception):
    """The agent asks, and standard input has ended."""


class NothingToResumeError(Exception):
    """There is no campaign that has not ended."""


class OutboxError(Exception):
    """The outbox cannot be written to."""


class AgentsError(AcpLangGraphError):
    """The agents' process did not come up."""


@dataclass(frozen=True, slots=True)
class Demo:
    """One campaign.

    Attributes:
        outbox: The folder that mails and checkpoints are written to.
        screen: Shows what happens.
        answer: Asked for an answer to a question; `None` says that there is none.
        model: `provider:name` of a chat model for the agents.
        agents: URL of a server that has the agents already; without one, they are started.
        protocol: What that server speaks.
    """

    outbox: Path
    screen: Screen
    answer: Callable[[dict[str, Any]], str | None]
    model: str | None = None
    agents: str | None = None
    protocol: str = "acp"

    def start(self, order: Order) -> Path:
        """Run a new campaign to its end.

        Returns:
            The mail that was written.

        Raises:
            OutboxError: If the outbox cannot be written to.
            NobodyAnswersError: If a question stays without an answer.
        """
        thread = uuid.uuid4().hex[:8]
        new = self._current.with_suffix(".new")
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            new.write_bytes(f"{thread}\n".encode() + _ORDER.dump_json(order))
            new.replace(self._current)
        except OSError as error:
            raise OutboxError(
                f"the outbox {self.outbox} cannot be written to: {error.strerror or error}"
            ) from None
        return self._go_on(thread, order)

    def resume(self) -> Path:
        """Go on with the campaign that was stopped, or begin it if it was stopped before it began.

        Raises:
            NothingToResumeError: If there is none.
            NobodyAnswersError: If a question stays without an answer.
        """
        try:
            thread, _, text = self._current.read_bytes().partition(b"\n")
            order = _ORDER.validate_json(text)
        except (OSError, ValidationError):
            raise NothingToResumeError(
                f"there is nothing to resume in {self.outbox}; leave out --resume to begin"
            ) from None
        return self._go_on(thread.decode(), order)

    @property
    def state(self) -> Path:
        """The folder with the checkpoints."""
        return self.outbox / ".campaign"

    @property
    def _current(self) -> Path:
        return self.state / "current"

    def _go_on(self, thread: str, order: Order) -> Path:
        with self.serving() as hosts:
            before = asyncio.run(self._state(hosts, thread))
            self.screen.opens(hosts, thread, resumed=bool(before.created_at))
            question = _question(before)
            value: Any = None
            if not before.created_at:
                value = {field.name: getattr(order, field.name) for field in fields(order)}
            elif question is not None:
                value = Command(resume=self._answered(question))
            while (question := asyncio.run(self._run(hosts, thread, value))) is not None:
                value = Command(resume=self._answered(question))
            state = asyncio.run(self._state(hosts, thread)).values
        written = Path(state["sent"].result.partition(" written to ")[2])
        self._current.unlink(missing_ok=True)
        self.screen.ends(state, written)
        return written

    def _answered(self, question: dict[str, Any]) -> str:
        self.screen.asks(question)
        answer = self.answer(question)
        if answer is None:
            raise NobodyAnswersError
        return answer

    async def _run(self, hosts: Hosts, thread: str, value: Any) -> dict[str, Any] | None:
        """Run the graph until it ends or asks; the question, if it asks."""
        config = _on(thread)
        async with self._graph(hosts) as graph:
            # With `custom` among them, LangGraph streams while nodes are at work, and not after a step.
            with self.screen.waiting() as waiting:
                async for mode, event in graph.astream(
                    value, config, stream_mode=["tasks", "custom"], durability="sync"
                ):
                    waiting.show(event)
                    if mode == "tasks":
                        self.screen.shows(event)
            return _question(await graph.aget_state(config))

    async def _state(self, hosts: Hosts, thread: str) -> StateSnapshot:
        async with self._graph(hosts) as graph:
            state: StateSnapshot = await graph.aget_state(_on(thread))
            return state

    @asynccontextmanager
    async def _graph(self, hosts: Hosts) -> AsyncIterator[Any]:
        types = JsonPlusSerializer(
            allowed_msgpack_modules=[APIBridgeOutput, Brief, Draft, Problem, Review]
        )
        async with aiosqlite.connect(self.state / "campaign.sqlite") as connection:
            saver = AsyncSqliteSaver(connection, serde=types)
            builder = campaign.build(hosts["agents"], hosts["bridge"], self.protocol)
            yield builder.compile(checkpointer=saver)

    @contextmanager
    def serving(self) -> Iterator[Hosts]:
        """The agents and the bridge in a process of their own; their URLs."""
        command = [sys.executable, "-m", "acp_langgraph.demo.agents"]
        command += ["--database", str(self.state / "agents.sqlite"), "--outbox", str(self.outbox)]
        command += ["--model", self.model] if self.model else []
        # In a session of its own, Ctrl-C reaches this process alone, which then ends the agents.
        with subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                assert process.stdout is not None  # noqa: S101 - it is a pipe
                told = process.stdout.readline()
                if not told:
                    raise AgentsError(f"the agents did not start (exit {process.wait()})")
                hosts: Hosts = json.loads(told)
                yield {**hosts, "agents": self.agents or hosts["agents"]}
            finally:
                process.terminate()
                try:
                    process.wait(_END_WITHIN)
                except subprocess.TimeoutExpired:
                    process.kill()


def _on(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def _question(state: Any) -> dict[str, Any] | None:
    for each in state.interrupts:
        question: dict[str, Any] = each.value
        return question
    return None
