"""An ACP server as a value, and an `ACPNode` in a process.

The runs are a tuple; a request makes another tuple of it, and an answer. The kinds of server are those of
`acp_langgraph.testing` (`ACPBehavior`), which took them from real servers, and are checked against it
(`test_conformance`). An agent asks what its script says and ends; when it moves on is the world's to say.
"""

from __future__ import annotations

import copy
import json
from dataclasses import fields, replace
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from simulation.asking import AskingModel
from simulation.process import OPEN, ModelTransport, Process, Request

from acp_langgraph.acp.models import AgentACPDescriptor
from acp_langgraph.acp.order import KEY, ServerHabits
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.retry import Backoff
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import AGNTCY, ACPBehavior

__all__ = ["AGENT", "ACPModel", "ACPServer", "Run", "node_maker"]

AGENT = "00000000-0000-4000-8000-000000000001"
WRONG = "wrong"


class Run(NamedTuple):
    """A run.

    Attributes:
        number: Which of the server's it is.
        key: What it was marked with.
        thread: The thread it is on, if any.
        status: `pending`, `interrupted`, `success`, `error`.
        answers: What it was answered.
        version: How often its status changed.
        cancelled: Whether it was cancelled.
        emitted: How many events it has emitted.
    """

    number: int
    key: str
    thread: str | None
    status: str = "pending"
    answers: tuple[str, ...] = ()
    version: int = 0
    cancelled: bool = False
    emitted: int = 0

    @property
    def run_id(self) -> str:
        return f"run-{self.number}"

    @property
    def name(self) -> str:
        return self.run_id

    @property
    def is_done(self) -> bool:
        return self.status == "success"

    @property
    def is_open(self) -> bool:
        return self.status in {"pending", "interrupted"}

    def becomes(self, status: str, **more: Any) -> Run:
        return self._replace(status=status, version=self.version + 1, **more)


class ACPServer(NamedTuple):
    """What a server holds.

    Attributes:
        runs: Its runs, the oldest first.
        threads: Its threads.
    """

    runs: tuple[Run, ...] = ()
    threads: tuple[str, ...] = ()


class ACPModel(AskingModel):
    """A server of one agent.

    Args:
        behavior: How it keeps to the protocol.
        questions: What the agent asks before it answers.
        says_cancelled: Whether it tells a cancelled run from one that failed.
        **more: As of an `AskingModel`.
    """

    empty = ACPServer()

    def __init__(
        self,
        behavior: ACPBehavior,
        questions: tuple[str, ...] = ("color?", "food?"),
        *,
        says_cancelled: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(questions, **more)
        self.behavior = behavior
        self.says_cancelled = says_cancelled
        self._shown = lru_cache(None)(self._show)

    def works(self, server: ACPServer) -> tuple[Run, ...]:
        """Its runs."""
        return server.runs

    # Going on

    def moves(self, server: ACPServer) -> list[tuple[str, ACPServer]]:
        """What the agent may do next, each in words."""
        found = []
        for index, run in enumerate(server.runs):
            if run.status == "pending" and not self.stuck:
                after = self._moved(run)
                said = {"interrupted": "asks", "success": "is done", "error": "fails"}[after.status]
                found.append((f"{run.run_id} {said}", _with(server, index, after)))
        return found

    def _moved(self, run: Run) -> Run:
        if run.number <= self.failing:
            return run.becomes("error")
        if len(run.answers) < len(self.questions):
            return run.becomes("interrupted")
        return run.becomes("success")

    # Requests

    def waits(self, server: ACPServer, request: Request) -> bool:
        """Whether a request is not answered yet."""
        if "wait_for" not in request.operation:
            return False
        if "create_and" in request.operation:
            return True
        run = self._find(server, request)
        return run is not None and run[1].status == "pending"

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything on the server."""
        operation = request.operation
        return operation.startswith(("create_", "resume_", "cancel_"))

    def respond(self, server: ACPServer, request: Request) -> tuple[ACPServer, int, bytes]:
        """What a request makes of the server, and the answer."""
        behavior, name = self.behavior, request.operation
        if not behavior.supports(name):
            return self._refused(server, 500, "Not implemented")
        if name in behavior.broken:
            return server, 500, b"Internal Server Error"
        operation = name.replace("stateless_", "").replace("thread_", "")
        if name == "create_thread":
            operation = name
        return getattr(self, f"_{operation}")(server, request)  # type: ignore[no-any-return]

    def _get_acp_descriptor_by_id(self, server: ACPServer, _: Request) -> Any:
        return server, 200, _DESCRIPTOR

    def _create_thread(self, server: ACPServer, request: Request) -> Any:
        thread = json.loads(request.body or b"")["thread_id"]
        if thread not in server.threads:
            server = server._replace(threads=(*server.threads, thread))
        return server, 200, json.dumps({"thread_id": thread, "status": "idle"}).encode()

    def _create_run(self, server: ACPServer, request: Request) -> Any:
        made = self._created(server, request)
        if isinstance(made[1], int):
            return made
        server, run = made
        return server, 200, self._shown(run)

    def _create_and_wait_for_run_output(self, server: ACPServer, request: Request) -> Any:
        """The run is made; that it is waited for is the next request's, which the world makes."""
        made = self._created(server, request)
        if isinstance(made[1], int):
            return made
        server, run = made
        waiting = Request("call", OPEN, f"{_below(run)}/wait")
        return server, 0, waiting

    def _created(self, server: ACPServer, request: Request) -> Any:
        creation = json.loads(request.body or b"")
        thread = request.path.split("/")[2] if request.path.startswith("/threads/") else None
        if thread is not None and thread not in server.threads:
            return self._refused(server, 404, "Thread does not exist")
        busy = [run for run in server.runs if run.thread and run.status == "pending"]
        if thread is not None and busy and not self.behavior.multitask:
            return self._refused(server, 409, "Thread has pending runs")
        run = Run(len(server.runs) + 1, creation["metadata"][KEY], thread)
        return server._replace(runs=(*server.runs, run)), run

    def _wait_for_run_output(self, server: ACPServer, request: Request) -> Any:
        found = self._find(server, request)
        if found is None:
            return self._refused(server, 404, "Run not found")
        run = found[1]
        if run.status == "pending":
            return server, self.behavior.wait_status, b""
        on_thread = request.path.startswith("/threads/")
        if on_thread and run.status == "interrupted" and not self.behavior.thread_questions:
            return server, 500, b"Internal Server Error"
        output = json.dumps(self._output(run)).encode()
        return server, 200, b'{"run": %s, "output": %s}' % (self._shown(run), output)

    def _get_run(self, server: ACPServer, request: Request) -> Any:
        found = self._find(server, request)
        if found is None:
            return self._refused(server, 404, "Run not found")
        return server, 200, self._shown(found[1])

    def _resume_run(self, server: ACPServer, request: Request) -> Any:
        found = self._find(server, request)
        if found is None or found[1].status != "interrupted":
            missing = 404 if self.behavior.resume_error == HTTPStatus.CONFLICT else 400
            status = missing if found is None else self.behavior.resume_error
            return self._refused(server, status, "Run is not in interrupted state")
        index, run = found
        answer = json.loads(request.body or b"")
        if answer == WRONG:
            return self._refused(server, 422, "not an answer to that")
        run = run.becomes("pending", answers=(*run.answers, answer))
        return _with(server, index, run), 200, self._shown(run)

    def _cancel_run(self, server: ACPServer, request: Request) -> Any:
        found = self._find(server, request)
        if found is None:
            return self._refused(server, 404, "Run not found")
        index, run = found
        if run.status in {"pending", "interrupted"}:
            server = _with(server, index, run.becomes("error", cancelled=True))
        return server, 204, b""

    def _search_runs(self, server: ACPServer, request: Request) -> Any:
        wanted = json.loads(request.body or b"").get("metadata")
        kind = self.behavior.search
        if kind == "none" or (kind == "agent_only" and wanted):
            return server, 500, b"Internal Server Error"
        runs = [run for run in server.runs if run.thread is None]
        if wanted:
            runs = [run for run in runs if run.key == wanted[KEY]]
        return server, 200, b"[%s]" % b",".join(map(self._shown, runs))

    def _list_runs(self, server: ACPServer, request: Request) -> Any:
        thread = request.path.split("/")[2]
        if thread not in server.threads:
            return self._refused(server, 404, "Thread not found")
        if request.query and not self.behavior.thread_pages:
            return self._refused(server, 422, "Input should be a valid integer")
        runs = [run for run in server.runs if run.thread == thread]
        return server, 200, b"[%s]" % b",".join(map(self._shown, runs))

    def _find(self, server: ACPServer, request: Request) -> tuple[int, Run] | None:
        parts = request.path.split("/")
        run_id = parts[parts.index("runs") + 1]
        for index, run in enumerate(server.runs):
            if run.run_id == run_id:
                return index, run
        return None

    def _refused(self, server: ACPServer, status: int, why: str) -> tuple[ACPServer, int, bytes]:
        detail = self.behavior.error_style == "detail"
        return server, status, json.dumps({"detail": why} if detail else why).encode()

    def _show(self, run: Run) -> bytes:
        zone = "Z" if self.behavior.timestamps == "zone" else ""
        shown = {
            "run_id": run.run_id,
            "thread_id": run.thread,
            "agent_id": AGENT,
            "created_at": f"2026-01-01T00:00:{run.number:02}{zone}",
            "updated_at": f"2026-01-01T00:{run.version + 1:02}:00{zone}",
            "status": run.status,
            "creation": {"metadata": {KEY: run.key}, "config": {}},
        }
        return json.dumps(shown).encode()

    def _output(self, run: Run) -> dict[str, Any]:
        match run.status:
            case "success":
                return {"type": "result", "values": self.result(run)}
            case "interrupted":
                question: Any = self.questions[len(run.answers)]
                if self.behavior.interrupt_style == "named":
                    question = {"ask": question}
                return {"type": "interrupt", "interrupt": question}
        errcode, said = 1, "boom"
        if run.cancelled and self.says_cancelled:
            errcode, said = 2, "the run was cancelled"
        return {"type": "error", "run_id": run.run_id, "errcode": errcode, "description": said}


def _below(run: Run) -> str:
    return (
        f"/runs/{run.run_id}" if run.thread is None else f"/threads/{run.thread}/runs/{run.run_id}"
    )


def _with(server: ACPServer, index: int, run: Run) -> ACPServer:
    return server._replace(runs=(*server.runs[:index], run, *server.runs[index + 1 :]))


_DESCRIPTOR = json.dumps(
    {
        "metadata": {"ref": {"name": "agent", "version": "1"}, "description": ""},
        "specs": {"capabilities": {}, "input": {}, "output": {}, "config": {}},
    }
).encode()

KINDS: dict[str, ACPBehavior] = {
    "searches": ACPBehavior(),
    "lists": ACPBehavior(search="agent_only"),
    "neither": ACPBehavior(search="none"),
    "agntcy": AGNTCY,
}


class ProcessNode(ACPNode):
    """An `ACPNode` whose process remembers for itself what it found out about its server."""

    known: ServerHabits

    @property
    def _habits(self) -> ServerHabits:
        return self.known

    def memory(self) -> Any:
        """What of it outlives an invocation."""
        return (
            tuple(self._ended),
            tuple(self._ending),
            self._descriptor is not None,
            self._says_that_jobs_go_on,
            tuple(getattr(self.known, each.name) for each in fields(self.known)),
        )

    def restore(self, memory: Any) -> None:
        """Be as one that remembers this."""
        ended, _, is_described, says, known = memory
        self._ended = dict.fromkeys(ended)
        if is_described:
            self._descriptor = AgentACPDescriptor.model_validate_json(_DESCRIPTOR)
        self._says_that_jobs_go_on = says
        names = [each.name for each in fields(ServerHabits)]
        self.known = ServerHabits(**dict(zip(names, known, strict=True)))


def node_maker(
    policy: dict[str, Any] | None = None,
    kind: type[ProcessNode] | None = None,
    *,
    known: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Makes nodes for processes, all alike.

    Args:
        policy: Settings of the job policy.
        kind: Their class, if it is not `ProcessNode`.
        known: What each process knows of the server from the start.
        **options: Of the node.
    """
    configuration = ApiClientConfiguration("http://agents.invalid", retries=2)
    template = (kind or ProcessNode)(
        "remote", AGENT, configuration, "ask", None, "answer", None, **options
    )
    template.policy = replace(
        template.policy, backoff=Backoff(jitter=0.0), clock=lambda: 0.0, **(policy or {})
    )

    def make(process: Process) -> Any:
        node = copy.copy(template)
        node.known = ServerHabits(**(known or {}))
        node._ended, node._ending = {}, {}
        node.async_transport = ModelTransport(process, template.transport)
        if process.timed:
            node.policy = replace(template.policy, clock=lambda: process.now)
        return node

    return make
