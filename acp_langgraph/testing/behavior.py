"""The ways in which ACP servers differ, and what their answers look like for it.

The defaults are the specification's, 0.2.3. `AGNTCY` is what AGNTCY's reference server, workflow-srv
0.3.0, was seen to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from acp_langgraph.acp.calls import OPERATIONS
from acp_langgraph.testing.responses import Response
from acp_langgraph.testing.runs import FakeRun, FakeThread, StreamUpdate

ACP_OPERATIONS: Final = {name: each.route for name, each in OPERATIONS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ACPBehavior:
    """How a server keeps to the protocol. Every field is a keyword of `FakeACPServer`.

    Attributes:
        search: What a search for runs can filter by: `metadata` and all else; `agent_only`, where a
            filter by metadata is a 500; `none`, where every search is.
        agent_search: Whether agents can be listed without a name or version.
        cancel: Whether runs can be cancelled; 500 "Not implemented" if not.
        cancelled_status: The status of a cancelled run; the specification has none of its own.
        delete: Whether stateless runs can be deleted; 500 "Not implemented" if not.
        threads: Whether there are threads; 404 on all their paths if not.
        thread_pages: Whether a thread's runs are listed by pages; if not, all are, and a limit or an
            offset is a 422.
        thread_questions: Whether a thread's run that asks can be waited for below its thread; a 500
            if not, although the run is there and can be waited for, and resumed, below `/runs`.
        multitask: Whether a run may say what it does to a busy thread; if not, it is a 409.
        unsupported: More operations that are a 500 "Not implemented", by name.
        broken: Operations that fail before they do anything, by name: a 500 in plain text.
        timestamps: With a `zone`, or `naive`.
        nulls: Whether absent optional fields are shown as `null`.
        error_style: Whether the body of an error is a JSON `string` or an object with `detail`.
        interrupt_style: Whether an interrupt is the `payload` or, `named`, an object from the
            interrupt's name to it.
        require_config: Whether a run without `config` is refused with 422.
        default_agent: Whether a run without `agent_id` goes to the first agent.
        resume_error: Status for resuming a run that is not interrupted. With 400, a run that does
            not exist gives the same.
        wait_limit: Seconds that a wait is held; for ever if `None`, not at all if 0.
        wait_status: Status when the limit is over: 204 without a body, or 504.
        honor_disconnect: Whether a client that hangs up on a request that creates and waits, or
            streams, cancels the run, unless it asked for `on_disconnect: continue`.
        stream_style: `spec`: ids that last, Last-Event-ID honored, results, interrupts and errors
            as events, the end of the stream after them. `agntcy`: `stream_mode` is a 422; ids
            begin at 1 on every connection, joining shows only what comes later, the status is
            always pending; no event for results and interrupts; three for an error, after which
            the stream stays open.
        api_key: The key that must come in `x-api-key`; 401 without.
    """

    search: Literal["metadata", "agent_only", "none"] = "metadata"
    agent_search: Literal["all", "by_name"] = "all"
    cancel: bool = True
    cancelled_status: str = "error"
    delete: bool = True
    threads: bool = True
    thread_pages: bool = True
    thread_questions: bool = True
    multitask: bool = True
    unsupported: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    timestamps: Literal["zone", "naive"] = "zone"
    nulls: bool = False
    error_style: Literal["string", "detail"] = "string"
    interrupt_style: Literal["payload", "named"] = "payload"
    require_config: bool = False
    default_agent: bool = True
    resume_error: int = 409
    wait_limit: float | None = None
    wait_status: int = 204
    honor_disconnect: bool = True
    stream_style: Literal["spec", "agntcy"] = "spec"
    api_key: str | None = field(default=None, repr=False)

    def supports(self, operation: str) -> bool:
        """Whether an operation is implemented."""
        if operation in self.unsupported:
            return False
        if operation.startswith("cancel_"):
            return self.cancel
        return self.delete or operation != "delete_stateless_run"


AGNTCY: Final = ACPBehavior(
    search="agent_only",
    agent_search="by_name",
    cancel=False,
    delete=False,
    thread_pages=False,
    thread_questions=False,
    multitask=False,
    broken=frozenset({"create_thread_run"}),
    unsupported=frozenset(
        {
            "resume_thread_run",
            "create_and_stream_thread_run_output",
            "stream_thread_run_output",
        }
    ),
    timestamps="naive",
    nulls=True,
    error_style="detail",
    interrupt_style="named",
    require_config=True,
    default_agent=False,
    resume_error=400,
    honor_disconnect=False,
    stream_style="agntcy",
)


class Wire:
    """Puts runs and threads into the form in which a server of some behavior shows them."""

    def __init__(self, behavior: ACPBehavior) -> None:
        self.behavior = behavior

    def keep_alive(self) -> bytes:
        """A comment; AGNTCY's has no end of line, so that it is glued to what follows."""
        return b":" if self.behavior.stream_style == "agntcy" else b": keep-alive\n\n"

    def error(self, status: int, message: str) -> Response:
        """An error's answer."""
        detail = self.behavior.error_style == "detail"
        return Response.json({"detail": message} if detail else message, status)

    def run(self, run: FakeRun) -> dict[str, Any]:
        """A run."""
        creation = dict(run.creation)
        if self.behavior.nulls:
            optional = ("metadata", "webhook", "stream_mode", "after_seconds")
            creation = {**dict.fromkeys(optional), **creation}
            config = {"tags": None, "recursion_limit": None, "configurable": None}
            creation["config"] = {**config, **run.config}
        shown = {
            "run_id": run.run_id,
            "thread_id": run.thread_id,
            "agent_id": run.agent.agent_id,
            "created_at": self._time(run.created_at),
            "updated_at": self._time(run.updated_at),
            "status": run.status,
            "creation": creation,
        }
        return self._without_nulls(shown, "thread_id")

    def wait(self, run: FakeRun) -> dict[str, Any]:
        """A run with what it came to."""
        return {"run": self.run(run), "output": self._output(run, run.output or {})}

    def thread(self, thread: FakeThread, status: str) -> dict[str, Any]:
        """A thread."""
        shown = {
            "thread_id": thread.thread_id,
            "created_at": self._time(thread.created_at),
            "updated_at": self._time(thread.updated_at),
            "metadata": thread.metadata,
            "status": status,
            "values": thread.values,
            "messages": None,
        }
        return self._without_nulls(shown, "values", "messages")

    def update(self, run: FakeRun, update: StreamUpdate, number: int) -> Iterator[bytes]:
        """The bytes of a stream's update, its events beginning with a number."""
        if update.kind == "raw":
            yield update.payload
            return
        agntcy = self.behavior.stream_style == "agntcy"
        status = "pending" if agntcy else update.status
        data = {"type": update.kind, "run_id": run.run_id, "status": status}
        repeats = 1
        match update.kind:
            case "values":
                data["values"] = update.payload
            case "custom":
                data["update"] = update.payload
            case "result":
                data |= {**update.payload, "type": "values"}
                repeats = 0 if agntcy else 1
            case "interrupt":
                data |= self._output(run, update.payload)
                repeats = 0 if agntcy else 1
            case "error":
                data |= {**update.payload, "status": "error" if agntcy else update.status}
                repeats = 3 if agntcy else 1
        text = json.dumps(data, ensure_ascii=False)
        for event in range(number, number + repeats):
            yield f"id: {event}\nevent: agent_event\ndata: {text}\n\n".encode()

    def _output(self, run: FakeRun, output: dict[str, Any]) -> dict[str, Any]:
        if self.behavior.interrupt_style == "named" and output.get("type") == "interrupt":
            return {**output, "interrupt": {run.interrupt_name: output["interrupt"]}}
        if self.behavior.nulls and output.get("type") == "result":
            return {"messages": None, **output}
        return output

    def _time(self, moment: datetime) -> str:
        if self.behavior.timestamps == "naive":
            moment = moment.replace(tzinfo=None)
        return moment.isoformat(timespec="microseconds")

    def _without_nulls(self, shown: dict[str, Any], *optional: str) -> dict[str, Any]:
        if self.behavior.nulls:
            return shown
        return {
            name: value
            for name, value in shown.items()
            if value is not None or name not in optional
        }
