"""A server of LangGraph's Agent Protocol as a value, and a `RemoteGraphNode` in a process.

What a start began, through all of its answers, is a piece of work; on the wire it is several runs of a
thread. How the servers differ is `acp_langgraph.testing`'s (`GraphBehavior`), which took it from
`langgraph dev` and Aegra. A server may be killed: `langgraph dev` then has forgotten what is young, and
executes the rest again; on Aegra runs that were at work stay so for ever.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from simulation.asking import AskingModel
from simulation.process import OPEN, ModelTransport, Process, Request

from acp_langgraph.agent_protocol.calls import KEY
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.retry import Backoff
from acp_langgraph.nodes.remote_graph import RemoteGraphNode
from acp_langgraph.testing.threads import AEGRA, GraphBehavior

__all__ = ["SERVERS", "GraphServer", "LangGraphModel", "graph_maker"]

_OF_A_RUN = frozenset({"get_run", "cancel_run", "join_run", OPEN})
SERVERS = {"dev": GraphBehavior(), "aegra": AEGRA}


class Piece(NamedTuple):
    """A piece of work, from its input to its result.

    Attributes:
        number: Which of the server's it is.
        key: What its runs are marked with.
        thread: The thread that it is on.
        status: `running`, `asking`, `success`, `error`, `interrupted` if it was cancelled, `replaced` by
            another input, `over` if its thread is gone or was set to its end, `lost` if it was done then.
        answers: What it was answered.
        stays: Whether it never moves on, as whoever was at it is dead.
    """

    number: int
    key: str
    thread: str
    status: str = "running"
    answers: tuple[Any, ...] = ()
    stays: bool = False

    @property
    def name(self) -> str:
        return f"work-{self.number}"

    @property
    def is_done(self) -> bool:
        return self.status == "success"

    @property
    def is_open(self) -> bool:
        return self.status in {"running", "asking"}

    @property
    def question_id(self) -> str:
        return f"question-{self.number}-{len(self.answers) + 1}"


class WireRun(NamedTuple):
    """A run on the wire.

    Attributes:
        number: Which of the server's it is.
        piece: What it works on.
        key: What it was marked with.
        mark: The same in its configuration.
        thread: Its thread.
        status: In the server's own word.
    """

    number: int
    piece: int
    key: str
    mark: str | None
    thread: str
    status: str = "running"

    @property
    def run_id(self) -> str:
        return f"run-{self.number}"


class GraphServer(NamedTuple):
    """What a server holds.

    Attributes:
        pieces: All work that there ever was, the oldest first.
        runs: The runs of threads that are there, the oldest first.
        made: How many runs there ever were.
        kills: How often it may yet be killed.
    """

    pieces: tuple[Piece, ...] = ()
    runs: tuple[WireRun, ...] = ()
    made: int = 0
    kills: int = 0

    def on(self, thread: str) -> list[WireRun]:
        """The runs of a thread."""
        return [run for run in self.runs if run.thread == thread]

    def latest(self, thread: str) -> Piece:
        """The work that a thread's state is of."""
        return self.pieces[self.on(thread)[-1].piece - 1]

    def with_piece(self, piece: Piece, status: str) -> GraphServer:
        """The server after a piece of work has changed; the runs that were at it have this status."""
        at_it = (piece.number, "running")
        runs = [
            run._replace(status=status) if (run.piece, run.status) == at_it else run
            for run in self.runs
        ]
        others = (*self.pieces[: piece.number - 1], piece, *self.pieces[piece.number :])
        return self._replace(pieces=others, runs=tuple(runs))

    def with_run(
        self, piece: Piece, body: dict[str, Any], status: str
    ) -> tuple[GraphServer, WireRun]:
        """The server with one more run."""
        key, mark = (each.get("metadata", {}).get(KEY) for each in (body, body["config"]))
        run = WireRun(self.made + 1, piece.number, key, mark, piece.thread, status)
        return self._replace(runs=(*self.runs, run), made=run.number), run


class LangGraphModel(AskingModel):
    """A server of one graph.

    Args:
        behavior: How it keeps to the protocol.
        questions: What the graph asks before it is done.
        kills: How often it may be killed.
        takes_stale: Whether an answer by the id of a node's earlier question is taken for the one that is
            open, as LangGraph itself does.
        **more: As of an `AskingModel`.
    """

    def __init__(
        self,
        behavior: GraphBehavior,
        questions: tuple[str, ...] = ("color?", "food?"),
        *,
        kills: int = 0,
        takes_stale: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(questions, **more)
        self.behavior = behavior
        self.empty = GraphServer(kills=kills)
        self.takes_stale = takes_stale

    def works(self, server: GraphServer) -> tuple[Piece, ...]:
        """Its work."""
        return server.pieces

    def results(self, server: GraphServer) -> list[Any]:
        """What its work came to, whether or not the server knows it."""
        return [self.result(each) for each in server.pieces if each.status in {"success", "lost"}]

    def moves(self, server: GraphServer) -> list[tuple[str, GraphServer]]:
        """What the graph may do next, and that the server may be killed."""
        found = []
        busy: set[str] = set()
        for piece in server.pieces:
            if piece.status != "running" or (self.behavior.rejects and piece.thread in busy):
                continue
            busy.add(piece.thread)
            if not self.stuck and not piece.stays:
                after, said = self._moved(piece)
                asks = {"asking": self.behavior.asking_status}
                status = asks.get(after.status, after.status)
                found.append((f"{piece.name} {said}", server.with_piece(after, status)))
        if server.kills and server.runs:
            found.append(self._killed(server._replace(kills=server.kills - 1)))
        return found

    def _moved(self, piece: Piece) -> tuple[Piece, str]:
        if piece.number <= self.failing:
            return piece._replace(status="error"), "fails"
        if len(piece.answers) < len(self.questions):
            return piece._replace(status="asking"), "asks"
        return piece._replace(status="success"), "is done"

    def _killed(self, server: GraphServer) -> tuple[str, GraphServer]:
        if self.behavior.rejects:
            gone = [
                each._replace(key=f"{each.key}, lost", status="lost" if each.is_done else "over")
                for each in server.pieces
            ]
            lost = server._replace(pieces=tuple(gone), runs=())
            return "the server is killed, and what is young is gone", lost
        stay = tuple(each._replace(stays=each.status == "running") for each in server.pieces)
        left = server._replace(pieces=stay)
        return "the server is killed, and nobody takes the work up", left

    # Requests

    def waits(self, server: GraphServer, request: Request) -> bool:
        """Whether a run is joined that is at work."""
        if request.operation not in {"join_run", OPEN}:
            return False
        run = self._run(server, request)
        return run is not None and run.status == "running"

    def changes(self, request: Request) -> bool:
        """Whether a request changes anything on the server."""
        makes = {"create_run", "wait_run"}
        return request.operation in makes | {"cancel_run", "delete_thread", "update_state"}

    def respond(self, server: GraphServer, request: Request) -> tuple[GraphServer, int, Any]:
        """What a request makes of the server, and the answer."""
        name, thread = request.operation, request.path.split("/")[2]
        answer = getattr(self, f"_{name}")
        if name in {"create_run", "wait_run", "list_runs"}:
            return answer(server, thread, request)  # type: ignore[no-any-return]
        run = self._run(server, request) if name in _OF_A_RUN else None
        if name == OPEN and run is None:  # it broke off when the server was killed
            return _refused(server, 502, "Bad Gateway")
        if not server.on(thread):
            return _refused(server, 404, "Thread not found")
        if name not in _OF_A_RUN:
            return answer(server, thread)  # type: ignore[no-any-return]
        if run is None:
            return _refused(server, 404, "Run not found")
        return answer(server, run)  # type: ignore[no-any-return]

    def _create_run(
        self, server: GraphServer, thread: str, request: Request
    ) -> tuple[GraphServer, int, bytes]:
        made = self._created(server, thread, request)
        if isinstance(made[1], int):
            return made
        server, run = made
        return server, 200, json.dumps(self._shown(run)).encode()

    def _wait_run(
        self, server: GraphServer, thread: str, request: Request
    ) -> tuple[GraphServer, int, Any]:
        """The run is made; that it is waited for is the next request's, which the world makes."""
        made = self._created(server, thread, request)
        if isinstance(made[1], int):
            return made
        server, run = made
        return server, 0, Request("call", OPEN, f"/threads/{thread}/runs/{run.run_id}/wait")

    def _created(self, server: GraphServer, thread: str, request: Request) -> Any:
        body = json.loads(request.body or b"")
        runs, key = server.on(thread), body["metadata"][KEY]
        busy = any(run.status == "running" for run in runs)
        if busy and self.behavior.rejects and body["multitask_strategy"] == "reject":
            return _refused(server, 409, "Thread is already running a task.")
        if "command" in body:
            return self._answer(server, runs, body)
        for run in runs:
            piece = server.pieces[run.piece - 1]
            if piece.status == "asking":
                server = server.with_piece(piece._replace(status="replaced"), "")
        piece = Piece(len(server.pieces) + 1, key, thread)
        server = server._replace(pieces=(*server.pieces, piece))
        return server.with_run(piece, body, "running")

    def _answer(self, server: GraphServer, runs: list[WireRun], body: dict[str, Any]) -> Any:
        if not runs:
            return _refused(server, 404, "Thread or assistant not found.")
        piece, answers = server.pieces[runs[-1].piece - 1], body["command"]["resume"]
        if piece.status == "running" and not self.behavior.rejects:
            answers = {}  # to a question that is answered already
        taken = [answers[each] for each in self._open_to(piece) if each in answers]
        if not taken and piece.status != "asking" and self.behavior.refuses_stale:
            return _refused(server, 400, "Cannot resume: thread is not in interrupted state")
        status = self.behavior.asking_status if piece.status == "asking" else "success"
        if taken:
            status = "running"
            piece = piece._replace(status=status, answers=(*piece.answers, taken[0]))
            server = server.with_piece(piece, status)
        return server.with_run(piece, body, status)

    def _open_to(self, piece: Piece) -> Iterator[str]:
        """The ids by which the open question of a piece of work can be answered."""
        if piece.status != "asking":
            return
        yield piece.question_id
        if self.takes_stale:
            for number in range(len(piece.answers)):
                yield piece._replace(answers=piece.answers[:number]).question_id

    def _list_runs(
        self, server: GraphServer, thread: str, request: Request
    ) -> tuple[GraphServer, int, bytes]:
        runs, query = server.on(thread), dict(request.query)
        if not runs and self.behavior.unknown_thread:
            return _refused(server, 404, "Thread not found")
        page = runs[::-1][int(query["offset"]) :][: int(query["limit"])]
        return server, 200, json.dumps([self._shown(run) for run in page]).encode()

    def _get_run(self, server: GraphServer, run: WireRun) -> tuple[GraphServer, int, bytes]:
        return server, 200, json.dumps(self._shown(run)).encode()

    def _cancel_run(self, server: GraphServer, run: WireRun) -> tuple[GraphServer, int, bytes]:
        if run.status != "running":
            if self.behavior.rejects:
                return _refused(server, 404, "No matching runs to cancel.")
            return server, 200, json.dumps(self._shown(run)).encode()
        piece = server.pieces[run.piece - 1]._replace(status="interrupted")
        return server.with_piece(piece, "interrupted"), 202, b""

    def _join_run(self, server: GraphServer, run: WireRun) -> tuple[GraphServer, int, bytes]:
        if run.status == "running":
            return server, 200, b"\n"
        if run.status == "error":
            return server, 200, b'{"__error__": {"error": "Error", "message": "boom"}}'
        values = self._state(server.pieces[run.piece - 1])["values"]
        return server, 200, json.dumps(values).encode()

    _wait_for_run_output = _join_run

    def _get_state(self, server: GraphServer, thread: str) -> tuple[GraphServer, int, bytes]:
        state = self._state(server.latest(thread))
        state["metadata"]["run_id"] = server.on(thread)[-1].run_id
        return server, 200, json.dumps(state).encode()

    def _get_history(self, server: GraphServer, thread: str) -> tuple[GraphServer, int, bytes]:
        past = [self._state(each) for each in server.pieces[::-1] if each.thread == thread]
        return server, 200, json.dumps(past).encode()

    def _delete_thread(self, server: GraphServer, thread: str) -> tuple[GraphServer, int, bytes]:
        server = self._update_state(server, thread)[0]
        kept = tuple(run for run in server.runs if run.thread != thread)
        return server._replace(runs=kept), 204, b""

    def _update_state(self, server: GraphServer, thread: str) -> tuple[GraphServer, int, bytes]:
        piece = server.latest(thread)
        if piece.status == "asking":
            server = server.with_piece(piece._replace(status="over"), "")
        return server, 200, b'{"checkpoint": {}}'

    def _run(self, server: GraphServer, request: Request) -> WireRun | None:
        run_id = request.path.split("/")[4]
        return next((run for run in server.runs if run.run_id == run_id), None)

    def _shown(self, run: WireRun) -> dict[str, Any]:
        config = {"metadata": {} if run.mark is None else {KEY: run.mark}}
        return {
            "run_id": run.run_id,
            "status": run.status,
            "metadata": {KEY: run.key} if self.behavior.keeps_metadata else None,
            "config": config if self.behavior.shows_config else None,
            "error_message": "boom" if run.status == "error" else None,
        }

    def _state(self, piece: Piece) -> dict[str, Any]:
        asked = []
        if piece.status == "asking":
            question = self.questions[len(piece.answers)]
            asked = [{"id": piece.question_id, "value": question}]
        error = "RuntimeError('boom')" if piece.status == "error" else None
        is_over = piece.status in {"success", "over"}
        task = {"name": "agent", "error": error, "interrupts": asked}
        return {
            "values": self.result(piece) if piece.status == "success" else {},
            "next": [] if is_over else ["agent"],
            "tasks": [] if is_over else [task],
            "metadata": {KEY: piece.key} if self.behavior.keeps_metadata else {},
        }


def _refused(server: GraphServer, status: int, why: str) -> tuple[GraphServer, int, bytes]:
    return server, status, json.dumps({"detail": why}).encode()


class GraphProcessNode(RemoteGraphNode):
    """A `RemoteGraphNode` in a process."""

    def memory(self) -> Any:
        """What of it outlives an invocation."""
        return tuple(self._ended), tuple(self._ending), self._says_that_jobs_go_on

    def restore(self, memory: Any) -> None:
        """Be as one that remembers this."""
        ended, _, self._says_that_jobs_go_on = memory
        self._ended = dict.fromkeys(ended)


def graph_maker(policy: dict[str, Any] | None = None, **options: Any) -> Any:
    """Makes nodes for processes, all alike.

    Args:
        policy: Settings of the job policy.
        **options: Of the node.
    """
    configuration = ApiClientConfiguration("http://graphs.invalid", retries=2)
    template = GraphProcessNode(
        "remote", "agent", configuration, "ask", None, "answer", None, **options
    )
    template.policy = replace(
        template.policy, backoff=Backoff(jitter=0.0), clock=lambda: 0.0, **(policy or {})
    )

    def make(process: Process) -> Any:
        node = copy.copy(template)
        node._ended, node._ending = {}, {}
        node.async_transport = ModelTransport(process, template.transport)  # type: ignore[assignment]
        if process.timed:
            node.policy = replace(template.policy, clock=lambda: process.now)
        return node

    return make
