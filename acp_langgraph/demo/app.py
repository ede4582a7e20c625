"""The command `acp-langgraph demo`: the campaign, with agents in a process of their own.

Whatever stops it, Ctrl-C or a crash, `--resume` goes on from the graph's checkpoint, and the agents
from theirs: both are SQLite files beside the outbox.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from acp_langgraph.bridge.models import APIBridgeOutput
from acp_langgraph.demo import campaign
from acp_langgraph.demo.brief import Order
from acp_langgraph.demo.models import Brief, Draft, Problem, Review
from acp_langgraph.demo.screen import Screen
from acp_langgraph.errors import AcpLangGraphError

__all__ = ["Demo", "NobodyAnswersError", "NothingToResumeError"]

_END_WITHIN: Final = 10.0  # seconds

Hosts: TypeAlias = dict[str, str]
"""The URLs of the `agents` and of the `bridge`."""


class NobodyAnswersError(Exception):
    """The agent asks, and standard input has ended."""


class NothingToResumeError(Exception):
    """There is no campaign that has not ended."""


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
    """

    outbox: Path
    screen: Screen
    answer: Callable[[dict[str, Any]], str | None]
    model: str | None = None

    def start(self, order: Order) -> Path:
        """Run a new campaign to its end.

        Returns:
            The mail that was written.

        Raises:
            NobodyAnswersError: If a question stays without an answer.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        thread = uuid.uuid4().hex[:8]
        self._current.write_text(thread)
        state = {"brief": order.brief, "sender": order.sender, "recipient": order.recipient}
        return self._go_on(thread, state)

    def resume(self) -> Path:
        """Go on with the campaign that was stopped.

        Raises:
            NothingToResumeError: If there is none.
            NobodyAnswersError: If a question stays without an answer.
        """
        try:
            thread = self._current.read_text().strip()
        except OSError:
            raise NothingToResumeError(
                f"there is nothing to resume in {self.outbox}; leave out --resume to begin"
            ) from None
        return self._go_on(thread, None)

    @property
    def state(self) -> Path:
        """The folder with the checkpoints."""
        return self.outbox / ".campaign"

    @property
    def _current(self) -> Path:
        return self.state / "current"

    def _go_on(self, thread: str, value: Any) -> Path:
        with self._agents() as hosts:
            self.screen.opens(hosts, thread, resumed=value is None)
            if value is None:
                question = asyncio.run(self._pending(hosts, thread))
                if question is not None:
                    value = Command(resume=self._answered(question))
            while True:
                question = asyncio.run(self._run(hosts, thread, value))
                if question is None:
                    break
                value = Command(resume=self._answered(question))
            state = asyncio.run(self._values(hosts, thread))
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

    async def _pending(self, hosts: Hosts, thread: str) -> dict[str, Any] | None:
        async with self._graph(hosts) as graph:
            state = await graph.aget_state(_on(thread))
            if not state.created_at:
                raise NothingToResumeError("the campaign was stopped before it began; begin anew")
            return _question(state)

    async def _values(self, hosts: Hosts, thread: str) -> dict[str, Any]:
        async with self._graph(hosts) as graph:
            values: dict[str, Any] = (await graph.aget_state(_on(thread))).values
            return values

    @asynccontextmanager
    async def _graph(self, hosts: Hosts) -> AsyncIterator[Any]:
        types = JsonPlusSerializer(
            allowed_msgpack_modules=[APIBridgeOutput, Brief, Draft, Problem, Review]
        )
        async with aiosqlite.connect(self.state / "campaign.sqlite") as connection:
            saver = AsyncSqliteSaver(connection, serde=types)
            yield campaign.build(hosts["agents"], hosts["bridge"]).compile(checkpointer=saver)

    @contextmanager
    def _agents(self) -> Iterator[Hosts]:
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
                yield hosts
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
