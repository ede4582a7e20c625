"""What is to be run on a server of LangGraph's Agent Protocol."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from acp_langgraph.agent_protocol.calls import KEY

_NAMESPACE: Final = uuid.UUID("0c1d7a5e-5a0b-5d7e-9b43-77c1b0a6a2f1")


@dataclass(frozen=True, slots=True)
class GraphOrder:
    """One piece of work that is wanted of a remote graph.

    It has a thread of its own, whose id is made of the key; or it is one of many on a thread that
    remembers, where the key is in the metadata of its runs.

    Attributes:
        key: Identifies the order; two pieces of work with one key are one too many.
        assistant_id: The assistant, by its id or its graph's name.
        input: JSON that fits the graph's input schema.
        config: `tags`, `recursion_limit` and the graph's own `configurable`.
        context: The graph's run-time context; servers take no `configurable` beside it.
        metadata: Stored with the runs, beside the key.
        shared_thread: The thread that remembers; `None` for one of the order's own.
        multitask_strategy: What a busy thread that remembers does with one more run.
        node: The name of the node that wants it, for errors.
        stream_mode: What the runs' streams are to carry; empty if nobody wants to see them.
        wakes: Makes the URL of the webhook that the server is given, by the key; `None` for none.
    """

    key: str
    assistant_id: str
    input: Any = field(default=None, repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    context: Any = field(default=None, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    shared_thread: str | None = None
    multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"] = "enqueue"
    node: str = ""
    stream_mode: tuple[str, ...] = ()
    wakes: Callable[[str], str] | None = field(default=None, repr=False)

    @property
    def thread_id(self) -> str:
        """The remote thread: LangGraph's servers want a UUID."""
        return self.shared_thread or str(uuid.uuid5(_NAMESPACE, self.key))

    def starting(self) -> dict[str, Any]:
        """The body that starts it, and makes the thread that is not there yet.

        A server of LangGraph's refuses a second run on a thread of the order's own while the first is at
        work, and does so also if both come at the same moment.
        """
        strategy = "reject" if self.shared_thread is None else self.multitask_strategy
        return {
            **self._running(),
            "input": self.input,
            "if_not_exists": "create",
            "multitask_strategy": strategy,
        }

    def answering(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """The body that answers open questions, by their ids."""
        resume = {"command": {"resume": dict(answers)}, "multitask_strategy": "reject"}
        return {**self._running(), **resume}

    def ids(self, run_id: str | None = None) -> dict[str, Any]:
        """What errors about it say of it."""
        return {
            "node": self.node,
            "run_id": run_id,
            "thread_id": self.thread_id,
            "agent_id": self.assistant_id,
        }

    def _running(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "assistant_id": self.assistant_id,
            # LangGraph's servers keep a run's metadata, Aegra only those of its configuration.
            "config": {**self.config, "metadata": {KEY: self.key}},
            "metadata": {**self.metadata, KEY: self.key},
        }
        if self.context is not None:
            body["context"] = self.context
        if self.wakes is not None:
            body["webhook"] = self.wakes(self.key)
        if self.stream_mode:  # without which nothing need be kept for those who come later
            streams = {"stream_subgraphs": True, "stream_resumable": True}
            body |= {"stream_mode": list(self.stream_mode), **streams}
        return body
