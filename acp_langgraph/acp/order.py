"""What is to be run, and what was found out about who runs it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self, TypeAlias

from acp_langgraph.acp import calls
from acp_langgraph.acp.models import RunStateful, RunStateless, RunWaitResponse
from acp_langgraph.core.calls import ABSENT, Call
from acp_langgraph.core.operations import Ready
from acp_langgraph.jobs.job import FindsDone

AnyRun: TypeAlias = RunStateless | RunStateful

KEY: Final = "acp_langgraph_key"
"""Under this name a run's metadata holds the key by which it is found again."""


@dataclass(frozen=True, slots=True)
class RunOrder:
    """One remote run that is wanted.

    Attributes:
        key: Identifies the order; two runs with one key are one run too many.
        agent_id: The agent, by its id; `None` leaves the choice to the server.
        input: JSON that fits the agent's input schema.
        config: `tags`, `recursion_limit` and the agent's own `configurable`.
        metadata: Stored with the run, beside the key.
        thread_id: The remote thread to run on; `None` for a stateless run.
        multitask_strategy: What a busy remote thread does with one more run.
        node: The name of the node that wants it, for errors.
        stream_mode: What the run's streams are to carry; empty to leave it to the server.
        wakes: Makes the URL of the webhook that the server is given, by the key; `None` for none.
    """

    key: str
    agent_id: str | None
    input: Any = field(repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    thread_id: str | None = None
    multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"] = "enqueue"
    node: str = ""
    stream_mode: tuple[str, ...] = ()
    wakes: Callable[[str], str] | None = field(default=None, repr=False)

    def body(self) -> Ready:
        """The body that creates the run."""
        body = Ready(
            input=self.input,
            metadata={**self.metadata, KEY: self.key},
            # AGNTCY's server refuses a run without a config, though the spec makes it optional.
            config=dict(self.config),
            # A connection that breaks must not end the run: this side rejoins it.
            on_disconnect="continue",
        )
        if self.agent_id is not None:
            body["agent_id"] = self.agent_id
        if self.thread_id is not None:
            body["multitask_strategy"] = self.multitask_strategy
        if self.stream_mode:
            body["stream_mode"] = list(self.stream_mode)
        if self.wakes is not None:
            body["webhook"] = self.wakes(self.key)
        return body

    def ids(self, run_id: str | None = None) -> dict[str, Any]:
        """What errors about the run say of it."""
        return {
            "node": self.node,
            "run_id": run_id,
            "thread_id": self.thread_id,
            "agent_id": self.agent_id,
        }

    # The operations on the run, stateless or on its thread.

    def create(self) -> Call[Any]:
        """Start the run."""
        if self.thread_id is None:
            return calls.create_stateless_run(self.body())
        return calls.create_thread_run(self.thread_id, self.body())

    def create_and_wait(self, seconds: float) -> Call[RunWaitResponse]:
        """Start the run and wait so long for what it comes to."""
        if self.thread_id is None:
            return _brief("create_and_wait_for_stateless_run_output", seconds, body=self.body())
        create_and_wait = "create_and_wait_for_thread_run_output"
        return _brief(create_and_wait, seconds, self.thread_id, body=self.body())

    def stream(self, run_id: str) -> Call[Any]:
        """Join the run's stream."""
        if self.thread_id is None:
            return calls.stream_stateless_run_output(run_id)
        return calls.stream_thread_run_output(self.thread_id, run_id)

    def get(self, run_id: str) -> Call[Any]:
        """Read the run."""
        if self.thread_id is None:
            return calls.get_stateless_run(run_id)
        return calls.get_thread_run(self.thread_id, run_id)

    def wait(self, run_id: str, seconds: float) -> Call[RunWaitResponse]:
        """Wait so long for what the run comes to."""
        if self.thread_id is None:
            return _brief("wait_for_stateless_run_output", seconds, run_id)
        return _brief("wait_for_thread_run_output", seconds, self.thread_id, run_id)

    def resume(self, run_id: str, answer: Any) -> Call[Any]:
        """Answer the run's question."""
        if self.thread_id is None:
            return calls.resume_stateless_run(run_id, answer)
        return calls.resume_thread_run(self.thread_id, run_id, answer)

    def by_itself(self) -> Self:
        """The same order, for the operations on a run by itself, whatever thread it is on."""
        return replace(self, thread_id=None)

    def cancel(self, run_id: str) -> Call[None]:
        """End the run."""
        if self.thread_id is None:
            return calls.cancel_stateless_run(run_id)
        return calls.cancel_thread_run(self.thread_id, run_id)


def _brief(operation: str, seconds: float, *ids: str, body: Any = ABSENT) -> Call[RunWaitResponse]:
    """A call that waits, answered without what the run was created from: that is known here."""
    return calls.OPERATIONS[operation].call(
        ids, body, {}, {}, returns=RunWaitResponse, timeout=seconds, may_leave=True
    )


_KNOWN_FOR: Final = 600.0  # seconds
_MOST_SERVERS: Final = 1000


@dataclass(slots=True)
class ServerHabits(FindsDone):
    """What was found out about a server that does not all that the protocol says; AGNTCY's is meant.

    Attributes:
        searches_metadata: Whether it finds runs by their metadata; `None` if that is not known.
        pages_threads: Whether it gives a thread's runs by the page.
        starts_on_threads: Whether it can start a run on a thread without being waited for.
        answers_on_threads: Whether a run on a thread can be waited for and answered there, and not only
            as a run by itself; `None` if that is not known.
        failed_on_thread: Whether it has failed to take an answer there, so that the other way is next.
    """

    searches_metadata: bool | None = None
    pages_threads: bool = True
    starts_on_threads: bool = True
    answers_on_threads: bool | None = None
    failed_on_thread: bool = False


_known: dict[str, tuple[float, ServerHabits]] = {}


def habits_of(server: str) -> ServerHabits:
    """What was found out about a server in this process, whichever node found it out.

    It is found out anew every ten minutes: what failed then may have been mended since.

    Args:
        server: Its base URL.
    """
    now = time.monotonic()
    since, habits = _known.get(server, (-math.inf, None))
    if habits is None or now - since > _KNOWN_FOR:
        habits = ServerHabits()
        _known.pop(server, None)
        _known[server] = now, habits
        if len(_known) > _MOST_SERVERS:
            _known.pop(next(iter(_known)), None)
    return habits
