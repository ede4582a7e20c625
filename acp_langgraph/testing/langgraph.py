"""A fake server of LangGraph's Agent Protocol: scripted graphs on threads, with faults and quirks.

    from acp_langgraph.testing import Answer, Ask, FakeLangGraphServer, Fault

    def test_a_lost_answer_does_not_start_a_second_run():
        with FakeLangGraphServer([Ask("Send it?"), Answer({"text": "sent"})]) as server:
            server.faults.add(Fault.lose_answer(), on="start")
            ...                          # run the graph against server.url and server.assistant_id
            assert server.created == server.completed == 1
            assert server.run.answers == ["yes"]

Scripts are those of `FakeACPServer`. An `Ask` of a tuple asks several things at once; the script goes on
once all have an answer, and receives these in a list.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final, Self

from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response
from acp_langgraph.testing.runs import Answer, Clock, FakeAgent, FakeRun, Script, ScriptedRuns
from acp_langgraph.testing.threads import (
    AEGRA,
    GraphBehavior,
    GraphRun,
    GraphThread,
    events,
    is_uuid,
)

_SIGN_OF_LIFE: Final = 5.0  # seconds


class _Refusal(Exception):
    """An operation ends with an error's answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.response = Response.json({"detail": detail}, status)


class FakeLangGraphServer(ScriptedRuns):
    """A server of LangGraph's Agent Protocol with scripted graphs.

    Attributes:
        graphs: Its graphs.
        runs: What was started, oldest first; an answer starts nothing. Deleted ones are included.
        threads: The threads, by id.
        behavior: How it keeps to the protocol; may be changed while it runs.

    Args:
        script: What the runs of its one graph do, or a script for each graph by name. Without one,
            a run answers with its input.
        graphs: Graphs with more than a name and a script; of a `FakeAgent` the schemas count.
        behavior: How the server keeps to the protocol.
        port: A port to listen on; a free one if 0.
        **options: Fields of `GraphBehavior`, e.g. `rejects=False`.
    """

    operations: ClassVar[Mapping[str, str]] = {
        "search_assistants": "POST /assistants/search",
        "get_schemas": "GET /assistants/{assistant_id}/schemas",
        "create_run": "POST /threads/{thread_id}/runs",
        "wait_run": "POST /threads/{thread_id}/runs/wait",
        "list_runs": "GET /threads/{thread_id}/runs",
        "get_run": "GET /threads/{thread_id}/runs/{run_id}",
        "join_run": "GET /threads/{thread_id}/runs/{run_id}/join",
        "stream_run": "GET /threads/{thread_id}/runs/{run_id}/stream",
        "cancel_run": "POST /threads/{thread_id}/runs/{run_id}/cancel",
        "get_state": "GET /threads/{thread_id}/state",
        "update_state": "POST /threads/{thread_id}/state",
        "get_history": "POST /threads/{thread_id}/history",
        "delete_thread": "DELETE /threads/{thread_id}",
    }

    def __init__(
        self,
        script: Script | Mapping[str, Script] | None = None,
        *,
        graphs: Iterable[FakeAgent] = (),
        behavior: GraphBehavior | None = None,
        port: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(port=port)
        self.graphs = list(graphs)
        if script is not None or not self.graphs:
            echo = [Answer(lambda run: run.input)]
            scripts = script if isinstance(script, Mapping) else {"agent": script or echo}
            self.graphs += [FakeAgent(name, moves) for name, moves in scripts.items()]
        self.behavior = replace(behavior or GraphBehavior(), **options)
        self.runs: list[FakeRun] = []
        self.threads: dict[str, GraphThread] = {}
        self._clock = Clock()

    @classmethod
    def like_aegra(
        cls, script: Script | Mapping[str, Script] | None = None, **options: Any
    ) -> Self:
        """A server that answers as Aegra does (0.11.0)."""
        return cls(script, behavior=AEGRA, **options)

    # What a test asks

    @property
    def assistant_id(self) -> str:
        """The id of the first graph's assistant."""
        return self.graphs[0].agent_id

    def forget(self) -> None:
        """Lose all threads; a client gets 404 about them. The records stay in `runs`."""
        with self.changed:
            for run in self.runs:
                run.lose()
            self.threads.clear()
            self.changed.notify_all()

    # The operations

    def respond(self, request: RecordedRequest) -> Response:
        """Perform the operation that a request asks for."""
        if request.route is None:
            return Response.json({"detail": "Not Found"}, 404)
        if self.behavior.api_key not in {None, request.headers.get("x-api-key")}:
            return Response.json({"detail": "Invalid API key"}, 401)
        try:
            with self.changed:
                self._advance()
                made = getattr(self, f"_{request.route.operation}")(request)
        except _Refusal as refusal:
            return refusal.response
        return made if isinstance(made, Response) else Response.json(made)

    def _search_assistants(self, request: RecordedRequest) -> Any:
        asked = request.json
        found = [
            {
                "assistant_id": each.agent_id,
                "graph_id": each.name,
                "name": each.name,
                "description": each.description or None,
                "version": 1,
                "metadata": {"created_by": "system"},
            }
            for each in self.graphs
        ]
        return found[asked.get("offset", 0) :][: asked.get("limit", 10)]

    def _get_schemas(self, request: RecordedRequest) -> Any:
        graph = self._graph(_parameter(request, "assistant_id"))
        if not self.behavior.schemas:
            return Response.text("Internal Server Error", 500)
        return {
            "graph_id": graph.name,
            "input_schema": graph.input or None,
            "output_schema": graph.output or None,
            "state_schema": graph.input | graph.output or None,
            "config_schema": graph.config,
            "context_schema": None,
        }

    def _create_run(self, request: RecordedRequest) -> Any:
        made, thread = self._created(request)
        return made.shown(thread.thread_id, self.behavior)

    def _wait_run(self, request: RecordedRequest) -> Any:
        return self._joined(request, *self._created(request))

    def _created(self, request: RecordedRequest) -> tuple[GraphRun, GraphThread]:
        body, thread_id = request.json, _parameter(request, "thread_id")
        if not is_uuid(thread_id):
            raise _Refusal(422, "Invalid thread ID: must be a UUID")
        graph = self._graph(str(body.get("assistant_id")))
        thread = self.threads.get(thread_id)
        if thread is None:
            if body.get("if_not_exists") != "create":
                raise _Refusal(404, "Thread or assistant not found.")
            thread = self.threads[thread_id] = GraphThread(thread_id)
        busy = [each for each in thread.runs if each.advance(self.behavior)]
        if busy and body.get("multitask_strategy") == "reject" and self.behavior.rejects:
            raise _Refusal(409, "Thread is already running a task.")
        run_id = str(uuid.uuid4())
        answers = (body.get("command") or {}).get("resume")
        if answers is not None:
            made = self._answered(thread, run_id, body, answers)
        else:
            made = self._started(thread, run_id, body, graph, busy)
        thread.runs.append(made)
        self._advance()
        return made, thread

    def _started(
        self,
        thread: GraphThread,
        run_id: str,
        body: dict[str, Any],
        graph: FakeAgent,
        busy: list[GraphRun],
    ) -> GraphRun:
        work = FakeRun(run_id, graph, body, thread.thread_id, self._clock, self.notify)
        if busy and body.get("multitask_strategy") != "reject":
            work.postpone(0, lambda: not any(each.work.running for each in busy))
        if thread.runs:
            thread.past.insert(0, thread.state())
        self.runs.append(work)
        thread.given, thread.is_given_up = {}, False
        return GraphRun(run_id, body, work, self._clock.now())

    def _answered(
        self, thread: GraphThread, run_id: str, body: dict[str, Any], answers: Any
    ) -> GraphRun:
        if not thread.runs:
            raise _Refusal(404, "Thread or assistant not found.")
        work = thread.runs[-1].work
        run = GraphRun(run_id, body, work, self._clock.now(), len(work.updates))
        if not thread.take(answers if isinstance(answers, dict) else {}):
            if self.behavior.refuses_stale and not work.interrupted:
                raise _Refusal(400, "Cannot resume: thread is not in interrupted state")
            run.settled = self.behavior.asking_status if work.interrupted else "success"
            run.until = len(work.updates)
        return run

    def _list_runs(self, request: RecordedRequest) -> Any:
        thread_id = _parameter(request, "thread_id")
        if thread_id not in self.threads and not self.behavior.unknown_thread:
            return []
        limit, offset = (int(request.query.get(*each)) for each in (("limit", 10), ("offset", 0)))
        runs = self._thread(request).runs[::-1][offset:][:limit]
        return [each.shown(thread_id, self.behavior) for each in runs]

    def _get_run(self, request: RecordedRequest) -> Any:
        return self._run(request).shown(_parameter(request, "thread_id"), self.behavior)

    def _join_run(self, request: RecordedRequest) -> Any:
        return self._joined(request, self._run(request), self._thread(request))

    def _joined(self, request: RecordedRequest, run: GraphRun, thread: GraphThread) -> Response:
        def pieces() -> Iterator[bytes]:
            while not self.hold(request, lambda: not run.advance(self.behavior), _SIGN_OF_LIFE):
                yield b"\n"
            with self.changed:
                output = run.work.output or {}
                told = thread.state()["values"]
                if run.settled == "error":
                    message = {"error": "Error", "message": output.get("description")}
                    told = {"__error__": message}
            yield json.dumps(told).encode()

        return Response.stream(pieces(), "application/json")

    def _stream_run(self, request: RecordedRequest) -> Any:
        run = self._run(request)
        resumable = bool(run.body.get("stream_resumable"))
        known = [name for name, _ in events(run, 0, self.behavior)]
        asked = request.headers.get("last-event-id", "")
        position = len(known)
        if resumable and asked in {"-1", "0"}:
            position = 0
        elif resumable and asked in known:  # of several with that id the last
            position = len(known) - known[::-1].index(asked)

        def has_more() -> bool:
            at_work = run.advance(self.behavior)
            return not at_work or next(events(run, position, self.behavior), None) is not None

        def pieces() -> Iterator[bytes]:
            nonlocal position
            over = False
            while not over:
                if not self.hold(request, has_more, _SIGN_OF_LIFE):
                    yield b": heartbeat\r\n\r\n"
                    continue
                with self.changed:
                    over = not run.advance(self.behavior)
                    new = list(events(run, position, self.behavior))
                for name, text in new:
                    yield text + (f"id: {name}\r\n".encode() if resumable else b"") + b"\r\n"
                position += len(new)

        return Response.stream(pieces())

    def _cancel_run(self, request: RecordedRequest) -> Any:
        run = self._run(request)
        if not run.advance(self.behavior):
            raise _Refusal(404, "No matching runs to cancel.")
        run.work.cancels += 1
        run.work.cancel("interrupted")
        run.advance(self.behavior)
        return Response.empty(202)

    def _get_state(self, request: RecordedRequest) -> Any:
        return self._thread(request).state()

    def _update_state(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        if request.json == {"values": None, "as_node": "__end__"} and thread.runs:
            thread.is_given_up = True
            thread.runs[-1].work.cancel("interrupted")
        return {"checkpoint": {"thread_id": thread.thread_id}}

    def _get_history(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        return [thread.state(), *thread.past][: request.json.get("limit", 10)]

    def _delete_thread(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        for run in thread.runs:
            run.work.deleted = True
        del self.threads[thread.thread_id]
        return Response.empty()

    # What the operations share

    def _advance(self) -> None:
        for thread in self.threads.values():
            for run in thread.runs:
                run.advance(self.behavior)

    def _graph(self, assistant: str) -> FakeAgent:
        for each in self.graphs:
            if assistant in {each.agent_id, each.name}:
                return each
        if is_uuid(assistant):
            raise _Refusal(404, "Thread or assistant not found.")
        names = ", ".join(each.name for each in self.graphs)
        raise _Refusal(
            422,
            f"Invalid assistant: {assistant!r}. Must be either:\n- A valid assistant UUID, or\n"
            f"- One of the registered graphs: {names}",
        )

    def _thread(self, request: RecordedRequest) -> GraphThread:
        thread_id = _parameter(request, "thread_id")
        if thread_id not in self.threads:
            raise _Refusal(404, f"Thread with ID {thread_id} not found")
        return self.threads[thread_id]

    def _run(self, request: RecordedRequest) -> GraphRun:
        run_id = _parameter(request, "run_id")
        for run in self._thread(request).runs:
            if run.run_id == run_id:
                return run
        raise _Refusal(404, "Run not found")


def _parameter(request: RecordedRequest, name: str) -> str:
    return request.route.parameters[name] if request.route else ""
