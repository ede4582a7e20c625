"""What is told of an execution of a node: to the log, the trace, as a span, and to who watches.

A node's flow says what it does (`acp_langgraph.core.flow.Progress`), and much of that is only a sign
of life. Here it becomes a `RemoteEvent` of the kind `progress`, once for every state that a job gets
into. It is told from the process that saw it: a step that was remembered tells nothing again.

*The log* is `acp_langgraph.runs`: an event in the life of the remote run each, at INFO `created`,
`rejoined`, `asked`, `suspended`, `resumed`, `done`, `failed`, `cancelled` and `left`, at DEBUG whatever else there is a
sign of, such as `waiting`. Each record has `event`, `node`, `agent`, `host`, `run_id`, `thread_id` (the
graph's) and `seconds` (since the execution began) as attributes.

*The trace* is that of LangChain's tracers, LangSmith's among them: the node's run gets `remote_agent`,
`remote_host`, `remote_run_id`, `remote_status` and `remote_wait_seconds` as metadata. A callback handler
sees metadata only when a run starts; tracers keep the runs that are not over in `run_map`, which is
public, and report their metadata once more at the end.

*The span* is OpenTelemetry's, where that is installed: a child of the current span, named after its
conventions for generative AI, and the parent of whatever the execution does.

Nothing of it holds what is in the state, what the agent said, or a credential. If nobody listens, there
is no `Report` at all.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.base import BaseTracer
from langgraph.errors import GraphDrained, GraphInterrupt

from acp_langgraph.core.flow import Progress, RemoteEvent
from acp_langgraph.errors import RunError
from acp_langgraph.nodes.execution import Execution

_STATES: Final = {
    "created": "created",
    "started": "created",
    "waiting": "waiting",
    "sending": "waiting",
    "dependencies": "waiting",
    "asked": "asked",
    "suspended": "suspended",
    "resumed": "resumed",
    "answered": "finished",
    "ended": "finished",
    "failed": "failed",
}


class ProgressTeller:
    """Makes events of what one execution of a node says of its progress.

    Args:
        node: The node's name.
        agent: What does the work, as the node names it.
    """

    def __init__(self, node: str, agent: str) -> None:
        self._node = node
        self._agent = agent
        self._run_id = ""
        self._since = 0.0
        self._last: tuple[str, str, Any] | None = None

    def event(self, progress: Progress) -> RemoteEvent | None:
        """The event to tell, if it tells anything new.

        The payload is `{"state", "since"}`, and `status` where the server has a word for it. `since`
        is when the job began to work, or to work on after an answer, in seconds since the epoch.
        """
        state = _STATES.get(progress.kind)
        if state is None or (state == "failed" and self._last is None):
            return None
        said = progress.payload if isinstance(progress.payload, dict) else {}
        status = said.get("status")
        self._run_id = progress.run_id or self._run_id
        now = (self._run_id, state, status)
        if now == self._last:
            return None
        before, self._last = self._last, now
        began = before is None or before[0] not in {"", self._run_id} or state == "resumed"
        self._since = said.get("since") or (time.time() if began else self._since)
        payload = {"state": state, "since": self._since}
        if isinstance(status, str):
            payload["status"] = status
        return RemoteEvent(
            node=self._node,
            agent=self._agent,
            run_id=self._run_id,
            kind="progress",
            payload=payload,
        )


_log = logging.getLogger("acp_langgraph.runs")

_BEGINS: Final = frozenset({"created", "rejoined", "started", "running"})
_ENDS: Final = frozenset({"ended", "answered", "recorded"})
_SAID_AT_THE_END: Final = frozenset({"asked", "suspended", "failed"})
_UNTOLD: Final = frozenset({"event", "listening", "ended"}) | _BEGINS | _SAID_AT_THE_END
_FINE: Final = frozenset({"done", "asked", "suspended", "left"})


class Report:
    """Tells of one execution, from its entry to its end; a context manager around it.

    Args:
        node: The node's name.
        agent: What is at work on the other side, as the node names it.
        host: The configured base URL.
        execution: The execution.
        trace: The node's own run in every trace that is kept of the graph.
        tracer: OpenTelemetry's, if there are to be spans.
    """

    def __init__(
        self,
        node: str,
        agent: str,
        host: str,
        execution: Execution,
        trace: list[Any],
        tracer: Any,
    ) -> None:
        self._node = node
        self._agent = agent
        self._host = host
        self._execution = execution
        self._trace = trace
        self._tracer = tracer
        self._began = time.perf_counter()
        self._waits_since: float | None = None
        self._waited_until: float | None = None
        self._run_id: str | None = None
        self._suspended = False
        self._span: Any = None
        self._current: Any = None

    @classmethod
    def of(
        cls, node: str, agent: str, host: str, execution: Execution, config: RunnableConfig
    ) -> Self | None:
        """The report on an execution; `None` if nobody would hear it."""
        trace = _runs_in_a_trace(config)
        tracer = _tracer()
        if trace or tracer is not None or _log.isEnabledFor(logging.INFO):
            return cls(node, agent, host, execution, trace, tracer)
        return None

    def note(self, progress: Progress) -> None:
        """Something happened to the remote run."""
        kind, run_id = progress.kind, progress.run_id
        if self._waits_since is None:
            self._waits_since = time.perf_counter()
        self._waited_until = time.perf_counter() if kind in _ENDS else None
        self._suspended = kind == "suspended"
        if kind in _BEGINS and run_id is not None and run_id != self._run_id:
            self._run_id = run_id
            found = kind == "rejoined" or (kind != "created" and self._execution.again)
            self._say("rejoined" if found else "created")
        elif kind not in _UNTOLD and not _only_begins_to_wait(progress):
            self._run_id = run_id or self._run_id
            self._say(kind, logging.INFO if kind == "resumed" else logging.DEBUG)

    def __enter__(self) -> Self:
        if self._tracer is not None:
            self._span = _begun(self._tracer, self._node, self._agent, self._host)
            self._current = sys.modules["opentelemetry.trace"].use_span(
                self._span, record_exception=False, set_status_on_exception=False
            )
            self._current.__enter__()
        self._mark(remote_agent=self._agent, remote_host=_bare(self._host))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = (
            "suspended" if self._suspended and isinstance(error, GraphInterrupt) else _status(error)
        )
        if isinstance(error, RunError):
            self._run_id = self._run_id or error.run_id
        until = self._waited_until or time.perf_counter()
        waited = round(until - (self._waits_since or until), 3)
        found = {"remote_run_id": self._run_id, "remote_status": status}
        self._mark(**found, remote_wait_seconds=waited)
        failure = type(error).__name__ if error is not None and status not in _FINE else None
        self._say(status, failure=failure)
        if self._span is not None:
            self._current.__exit__(None, None, None)
            self._end_span(status, waited, failure)

    def _say(self, event: str, level: int = logging.INFO, *, failure: str | None = None) -> None:
        if not _log.isEnabledFor(level):
            return
        told = {
            "event": event,
            "node": self._node,
            "agent": self._agent,
            "host": _bare(self._host),
            "run_id": self._run_id,
            "thread_id": self._execution.thread_id,
            "seconds": round(time.perf_counter() - self._began, 3),
        }
        what = f"{event} with {failure}" if failure else event
        where = f", run {self._run_id}" if self._run_id else ""
        _log.log(
            level, "node %r: %s (agent %s%s)", self._node, what, self._agent, where, extra=told
        )

    def _mark(self, **metadata: Any) -> None:
        known = {name: value for name, value in metadata.items() if value is not None}
        for run in self._trace:
            run.add_metadata(known)

    def _end_span(self, status: str, waited: float, failure: str | None) -> None:
        self._span.set_attribute("acp_langgraph.status", status)
        self._span.set_attribute("acp_langgraph.wait_seconds", waited)
        for name, value in (
            ("acp_langgraph.run_id", self._run_id),
            ("acp_langgraph.thread_id", self._execution.thread_id),
            ("error.type", failure),
        ):
            if value is not None:
                self._span.set_attribute(name, value)
        if failure is not None:
            codes = sys.modules["opentelemetry.trace"].StatusCode
            self._span.set_status(codes.ERROR, failure)
        self._span.end()


def _status(error: BaseException | None) -> str:
    match error:
        case None:
            return "done"
        case GraphInterrupt():
            return "asked"
        case GraphDrained():
            return "left"
        case asyncio.CancelledError() | KeyboardInterrupt() | SystemExit():
            return "cancelled"
    return "failed"


def _only_begins_to_wait(progress: Progress) -> bool:
    """Whether it tells of a wait that begins, which goes without saying once a run is created."""
    return progress.kind == "waiting" and "since" in (progress.payload or {})


def _runs_in_a_trace(config: RunnableConfig) -> list[Any]:
    """The node's own run in every trace that is kept of the graph."""
    callbacks = config.get("callbacks")
    tracers = [each for each in getattr(callbacks, "handlers", ()) if isinstance(each, BaseTracer)]
    if not tracers:
        return tracers
    run_id = str(getattr(callbacks, "parent_run_id", None))
    return [run for tracer in tracers if (run := tracer.run_map.get(run_id)) is not None]


def _tracer() -> Any:
    """OpenTelemetry's tracer, if an application has set one up."""
    module = sys.modules.get("opentelemetry.trace")
    provider = None if module is None else module.get_tracer_provider()
    if module is None or isinstance(provider, module.ProxyTracerProvider):
        return None
    return _tracer_of(provider)


@lru_cache(maxsize=1)
def _tracer_of(provider: Any) -> Any:
    return provider.get_tracer("acp_langgraph")


def _begun(tracer: Any, node: str, agent: str, host: str) -> Any:
    parts = urlsplit(host)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return tracer.start_span(
        f"invoke_agent {agent}",
        kind=sys.modules["opentelemetry.trace"].SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent,
            "server.address": parts.hostname or "",
            "server.port": port,
            "acp_langgraph.node": node,
        },
        record_exception=False,
        set_status_on_exception=False,
    )


def _bare(host: str) -> str:
    return urlsplit(host).netloc
