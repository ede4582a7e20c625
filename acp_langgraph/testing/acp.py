"""A fake ACP server: the whole protocol in front of scripted agents, with faults and quirks.

A test of a client, or of a graph with an `ACPNode`, needs no more than this:

    from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault

    def test_a_lost_answer_does_not_start_a_second_run():
        script = [Ask({"question": "Send it?"}), Answer({"text": "sent"})]
        with FakeACPServer(script) as server:
            server.faults.add(Fault.lose_answer(), on="start")
            ...                          # run the graph against server.url and server.agent_id
            assert server.created == server.completed == 1
            assert server.run.answers == ["yes"]

Agents play scripts (`acp_langgraph.testing.runs`), runs are counted where they happen (`FakeRun`),
servers differ (`ACPBehavior`), and networks fail (`acp_langgraph.testing.faults`). Webhooks are not
called.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Self, TypeVar

from acp_langgraph.testing.behavior import ACP_OPERATIONS, AGNTCY, ACPBehavior, Wire
from acp_langgraph.testing.connection import PeerGone
from acp_langgraph.testing.requests import RecordedRequest
from acp_langgraph.testing.responses import Response
from acp_langgraph.testing.runs import (
    Answer,
    Clock,
    FakeAgent,
    FakeRun,
    FakeThread,
    Script,
    ScriptedRuns,
)

_KEEP_ALIVE = 10.0
_MODES = frozenset({"values", "custom"})


def stream_run(
    run: FakeRun,
    position: int,
    wire: Wire,
    advance: Callable[[], None],
    hold: Callable[[Callable[[], bool], float], bool],
) -> Iterator[bytes]:
    """The bytes of a run's stream, event by event.

    Args:
        run: The run.
        position: Which of its updates comes first.
        wire: Writes events in the server's style.
        advance: Lets the runs go on.
        hold: Waits for a condition, for some seconds; whether it came true.
    """
    agntcy = wire.behavior.stream_style == "agntcy"
    asked = run.creation.get("stream_mode") or _MODES
    unwanted = {"messages", *_MODES}.difference([asked] if isinstance(asked, str) else asked)
    number = 1 if agntcy else position + 1

    def moved() -> bool:
        advance()
        return len(run.updates) > position or not run.running

    while True:
        if not hold(moved, _KEEP_ALIVE):
            yield wire.keep_alive()
            continue
        settled, updates = not run.running, run.updates[position:]
        for update in updates:
            events = [] if update.kind in unwanted else list(wire.update(run, update, number))
            number += len(events) if agntcy else 1
            yield from events
        position += len(updates)
        if settled:
            break
    while agntcy and updates and updates[-1].kind == "error":
        hold(lambda: False, _KEEP_ALIVE)
        yield wire.keep_alive()


T = TypeVar("T")


class _Refusal(Exception):
    """An operation ends with an error's answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class ACPOperations(ScriptedRuns):
    """What an ACP server does with each operation; `FakeACPServer` is the one to use, and tells of its attributes."""

    operations = ACP_OPERATIONS

    def __init__(self, agents: list[FakeAgent], behavior: ACPBehavior, *, port: int) -> None:
        super().__init__(port=port)
        self.agents = agents
        self.behavior = behavior
        self.runs: list[FakeRun] = []
        self.threads: dict[str, FakeThread] = {}
        self._clock = Clock()
        self._written: set[str] = set()

    def respond(self, request: RecordedRequest) -> Response:
        """Perform the operation that a request asks for."""
        try:
            if request.route is None:
                raise self._refusal(404, "Not Found")
            if self.behavior.api_key not in {None, request.headers.get("x-api-key")}:
                raise self._refusal(401, "Invalid API Key")
            if request.path.startswith("/threads") and not self.behavior.threads:
                raise self._refusal(404, "Not Found")
            if not self.behavior.supports(request.route.operation):
                raise self._refusal(500, "Not implemented")
            if request.route.operation in self.behavior.broken:
                return _broken()
            # Runs differ with and without a thread by their path only.
            operation = re.sub("(stateless|thread)_run", "run", request.route.operation)
            with self.changed:
                result = getattr(self, f"_{operation}")(request)
        except _Refusal as refusal:
            return refusal.response
        return result if isinstance(result, Response) else Response.json(result)

    def _create_run(self, request: RecordedRequest) -> Any:
        return self._wire().run(self._create(request))

    def _create_and_wait_for_run_output(self, request: RecordedRequest) -> Any:
        run = self._create(request)
        try:
            return self._wait_output(request, run)
        except PeerGone:
            self._disconnected(run)
            raise

    def _create_and_stream_run_output(self, request: RecordedRequest) -> Any:
        return self._stream(request, self._create(request), created=True)

    def _wait_for_run_output(self, request: RecordedRequest) -> Any:
        return self._wait_output(request, self._find(request))

    def _stream_run_output(self, request: RecordedRequest) -> Any:
        return self._stream(request, self._find(request), created=False)

    def _get_run(self, request: RecordedRequest) -> Any:
        return self._wire().run(self._find(request))

    def _resume_run(self, request: RecordedRequest) -> Any:
        answer = self._body(request)
        refused = self.behavior.resume_error
        run = self._find(request, missing=404 if refused == HTTPStatus.CONFLICT else refused)
        if not run.interrupted:
            raise self._refusal(refused, "Run is not in interrupted state")
        run.resume(answer)
        return self._wire().run(run)

    def _cancel_run(self, request: RecordedRequest) -> Any:
        run = self._find(request)
        run.cancels += 1
        run.cancel(self.behavior.cancelled_status)
        run.deleted = request.query.get("action") == "rollback"
        return Response.empty()

    def _delete_run(self, request: RecordedRequest) -> Any:
        run = self._find(request)
        run.cancel(self.behavior.cancelled_status)
        run.deleted = True
        return Response.empty()

    def _search_runs(self, request: RecordedRequest) -> Any:
        body = self._object(request)
        kind = self.behavior.search
        if kind == "none" or (kind == "agent_only" and body.get("metadata")):
            return _broken()
        self._advance()
        found = [
            run
            for run in self.runs
            if run.thread_id is None
            and not run.gone
            and body.get("agent_id") in {None, run.agent.agent_id}
            and body.get("status") in {None, run.status}
            and _within(body.get("metadata"), run.metadata)
        ]
        return [self._wire().run(run) for run in self._page(found, body)]

    def _list_runs(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        self._advance()
        found = [run for run in self._runs_on(thread.thread_id) if not run.gone]
        if self.behavior.thread_pages:
            return [self._wire().run(run) for run in self._page(found, request.query)]
        if request.query.keys() & {"limit", "offset"}:
            raise self._refusal(422, "query.limit: Input should be a valid integer")
        return [self._wire().run(run) for run in found]

    def _search_agents(self, request: RecordedRequest) -> Any:
        body = self._object(request)
        name, version = body.get("name"), body.get("version")
        if self.behavior.agent_search == "by_name" and not (name or version):
            raise self._refusal(422, "At least one of 'name' or 'version' must be provided")
        found = [
            agent
            for agent in self.agents
            if name in {None, agent.name} and version in {None, agent.version}
        ]
        return [agent.to_json() for agent in self._page(found, body)]

    def _get_agent_by_id(self, request: RecordedRequest) -> Any:
        return self._agent(_parameter(request, "agent_id")).to_json()

    def _get_acp_descriptor_by_id(self, request: RecordedRequest) -> Any:
        return self._agent(_parameter(request, "agent_id")).descriptor()

    def _create_thread(self, request: RecordedRequest) -> Any:
        body = self._object(request)
        thread_id = body.get("thread_id") or str(uuid.uuid4())
        if thread_id in self.threads and body.get("if_exists") != "do_nothing":
            raise self._refusal(409, f"Thread with ID {thread_id} already exists")
        return self._show(self._make_thread(thread_id, body.get("metadata") or {}))

    def _search_threads(self, request: RecordedRequest) -> Any:
        body = self._object(request)
        self._advance()
        found = [
            thread
            for thread in self.threads.values()
            if _within(body.get("metadata"), thread.metadata)
            and _within(body.get("values"), thread.values)
            and body.get("status") in {None, self._thread_status(thread)}
        ]
        return [self._show(thread) for thread in self._page(found, body)]

    def _get_thread(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        self._advance()
        return self._show(thread)

    def _patch_thread(self, request: RecordedRequest) -> Any:
        thread, body = self._thread(request), self._object(request)
        thread.metadata |= body.get("metadata") or {}
        if body.get("values") is not None:
            thread.write(body["values"], source="update")
        thread.updated_at = self._clock.now()
        return self._show(thread)

    def _delete_thread(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        self._advance()
        if any(run.running for run in self._runs_on(thread.thread_id)):
            raise self._refusal(422, "Thread has pending runs. Cannot delete.")
        del self.threads[thread.thread_id]
        for run in self._runs_on(thread.thread_id):
            run.deleted = True
        return Response.empty()

    def _copy_thread(self, request: RecordedRequest) -> Any:
        original = self._thread(request)
        self._advance()
        copy = self._make_thread(str(uuid.uuid4()), dict(original.metadata))
        copy.states = list(original.states)
        return self._show(copy)

    def _get_thread_history(self, request: RecordedRequest) -> Any:
        thread = self._thread(request)
        self._advance()
        states = thread.states
        if before := request.query.get("before"):
            ids = [state["checkpoint"]["checkpoint_id"] for state in states]
            states = states[ids.index(before) + 1 :] if before in ids else []
        return self._page(states, request.query)

    # What the operations share

    def _wire(self) -> Wire:
        return Wire(self.behavior)

    def _refusal(self, status: int, message: str) -> _Refusal:
        return _Refusal(self._wire().error(status, message))

    def _body(self, request: RecordedRequest) -> Any:
        try:
            return request.json
        except ValueError:
            raise self._refusal(422, "the body is no JSON") from None

    def _object(self, request: RecordedRequest) -> dict[str, Any]:
        body = self._body(request)
        if not isinstance(body, dict):
            raise self._refusal(422, "the body is no JSON object")
        return body

    def _page(self, found: Sequence[T], asked: Mapping[str, Any]) -> Sequence[T]:
        try:
            limit, offset = int(asked.get("limit", 10)), int(asked.get("offset", 0))
        except (TypeError, ValueError):
            raise self._refusal(422, "limit and offset are integers") from None
        if not 1 <= limit <= 1000 or offset < 0:  # noqa: PLR2004 - the specification's limits
            raise self._refusal(422, "limit is 1 to 1000, offset not negative")
        return found[offset : offset + limit]

    def _agent(self, agent_id: str) -> FakeAgent:
        for agent in self.agents:
            if agent.agent_id == agent_id:
                return agent
        raise self._refusal(404, f"Agent {agent_id} not found")

    def _thread(self, request: RecordedRequest) -> FakeThread:
        thread_id = _parameter(request, "thread_id")
        if thread_id not in self.threads:
            raise self._refusal(404, "Thread not found")
        return self.threads[thread_id]

    def _make_thread(self, thread_id: str, metadata: dict[str, Any]) -> FakeThread:
        """The thread of an id, made if there is none."""
        return self.threads.setdefault(thread_id, FakeThread(thread_id, metadata, self._clock))

    def _thread_status(self, thread: FakeThread) -> str:
        runs = [run for run in self._runs_on(thread.thread_id) if not run.gone]
        if any(run.running for run in runs):
            return "busy"
        statuses = {"interrupted": "interrupted", "error": "error"}
        return statuses.get(runs[-1].status, "idle") if runs else "idle"

    def _show(self, thread: FakeThread) -> dict[str, Any]:
        return self._wire().thread(thread, self._thread_status(thread))

    def _runs_on(self, thread_id: str) -> list[FakeRun]:
        return [run for run in self.runs if run.thread_id == thread_id]

    def _find(self, request: RecordedRequest, missing: int = 404) -> FakeRun:
        run_id = _parameter(request, "run_id")
        thread_id = request.route.parameters.get("thread_id") if request.route else None
        for run in self.runs:
            if run.run_id == run_id and not run.gone and thread_id in {None, run.thread_id}:
                run.advance()
                return run
        raise self._refusal(missing, f"Run with ID {run_id} not found")

    def _create(self, request: RecordedRequest) -> FakeRun:
        creation = self._object(request)
        if not isinstance(creation.get("metadata") or {}, dict):
            raise self._refusal(422, "metadata is no object")
        if self.behavior.stream_style == "agntcy" and creation.get("stream_mode") is not None:
            raise self._refusal(422, "stream_mode is not understood")
        if self.behavior.require_config and creation.get("config") is None:
            raise self._refusal(422, '"config" is required for this agent')
        agent_id = creation.get("agent_id")
        if agent_id is None and not self.behavior.default_agent:
            raise self._refusal(404, "Agent None not found")
        agent = self.agents[0] if agent_id is None else self._agent(agent_id)
        thread_id = request.route.parameters.get("thread_id") if request.route else None
        if thread_id is not None and thread_id not in self.threads:
            if creation.get("if_not_exists") != "create":
                raise self._refusal(404, f"Thread with ID {thread_id} does not exist.")
            self._make_thread(thread_id, {})
        busy = [] if thread_id is None else self._make_room(thread_id, creation)
        run = FakeRun(str(uuid.uuid4()), agent, creation, thread_id, self._clock, self.notify)
        run.postpone(
            creation.get("after_seconds") or 0,
            lambda: not any(earlier.running for earlier in busy),
        )
        self.runs.append(run)
        self._advance()
        return run

    def _make_room(self, thread_id: str, creation: Mapping[str, Any]) -> list[FakeRun]:
        """Apply the multitask strategy; the runs that a new one has to wait for."""
        self._advance()
        busy = [run for run in self._runs_on(thread_id) if run.running]
        strategy = creation.get("multitask_strategy", "reject")
        match strategy if self.behavior.multitask else "reject":
            case "enqueue":
                return busy
            case "interrupt" | "rollback":
                for run in busy:
                    run.cancel(self.behavior.cancelled_status)
                    run.deleted = strategy == "rollback"
            case _ if busy:
                raise self._refusal(409, f"Thread with ID {thread_id} has pending runs.")
        return []

    def _advance(self) -> None:
        """Let every run go on as far as it can, and its thread see what came of it."""
        with self.changed:
            for run in self.runs:
                run.advance()
                if run.completed and run.thread_id and run.run_id not in self._written:
                    self._written.add(run.run_id)
                    if thread := self.threads.get(run.thread_id):
                        thread.write((run.output or {})["values"], run_id=run.run_id)

    def _wait_output(self, request: RecordedRequest, run: FakeRun) -> Any:
        def settled() -> bool:
            self._advance()
            return run.gone or not run.running

        in_time = self.hold(request, settled, self.behavior.wait_limit)
        if run.gone:
            raise self._refusal(404, f"Run with ID {run.run_id} not found")
        below_thread = request.route is not None and "thread_id" in request.route.parameters
        if in_time and below_thread and run.interrupted and not self.behavior.thread_questions:
            return _broken()
        if in_time:
            return self._wire().wait(run)
        if self.behavior.wait_status == HTTPStatus.NO_CONTENT:
            return Response.empty()
        return Response.text("Gateway Time-out", self.behavior.wait_status)

    def _disconnected(self, run: FakeRun) -> None:
        """The client that created a run, and stayed for its outcome, hung up."""
        if self.behavior.honor_disconnect and run.creation.get("on_disconnect") != "continue":
            run.cancel(self.behavior.cancelled_status)

    def _stream(self, request: RecordedRequest, run: FakeRun, *, created: bool) -> Response:
        if created:
            start = 0
        elif self.behavior.stream_style == "agntcy":
            start = len(run.updates)
        else:
            last = request.headers.get("last-event-id", "")
            start = int(last) if last.isdecimal() else run.leg

        def hold(until: Callable[[], bool], seconds: float) -> bool:
            try:
                return self.hold(request, until, seconds)
            except PeerGone:
                if created:
                    self._disconnected(run)
                raise

        return Response.stream(stream_run(run, start, self._wire(), self._advance, hold))


def _broken() -> Response:
    return Response.text("Internal Server Error", 500)


def _parameter(request: RecordedRequest, name: str) -> str:
    return request.route.parameters[name] if request.route else ""


def _within(filters: Any, whole: Any) -> bool:
    """Whether an object has all that a filter asks for."""
    if not filters:
        return True
    return isinstance(whole, dict) and filters.items() <= whole.items()


class FakeACPServer(ACPOperations):
    """An ACP server of scripted agents.

    Attributes:
        agents: Its agents.
        runs: Every run that was ever created, oldest first, deleted and forgotten ones included.
        threads: The threads, by id.
        behavior: How it keeps to the protocol; may be changed while it runs.

    Args:
        script: What the runs of its one agent do, or a script for each agent by name. Without one,
            a run answers with its input.
        agents: Agents with more than a name and a script.
        behavior: How the server keeps to the protocol.
        port: A port to listen on; a free one if 0.
        **options: Fields of `ACPBehavior`, e.g. `search="none"`, `cancel=False`.
    """

    def __init__(
        self,
        script: Script | Mapping[str, Script] | None = None,
        *,
        agents: Iterable[FakeAgent] = (),
        behavior: ACPBehavior | None = None,
        port: int = 0,
        **options: Any,
    ) -> None:
        offered = list(agents)
        if script is not None or not offered:
            echo = [Answer(lambda run: run.input)]
            scripts = script if isinstance(script, Mapping) else {"agent": script or echo}
            offered += [FakeAgent(name, moves) for name, moves in scripts.items()]
        super().__init__(offered, replace(behavior or ACPBehavior(), **options), port=port)

    @classmethod
    def like_agntcy(
        cls, script: Script | Mapping[str, Script] | None = None, **options: Any
    ) -> Self:
        """A server that answers as AGNTCY's reference server does (workflow-srv 0.3.0)."""
        return cls(script, behavior=AGNTCY, **options)

    # What a test asks

    @property
    def agent_id(self) -> str:
        """The id of the first agent."""
        return self.agents[0].agent_id

    def runs_with(self, status: str | None = None, **metadata: Any) -> list[FakeRun]:
        """The runs of a status, or with these entries in their metadata."""
        self._advance()
        return [
            run
            for run in self.runs
            if status in {None, run.status} and metadata.items() <= run.metadata.items()
        ]

    def forget(self, *runs: FakeRun) -> None:
        """Lose some runs, or all runs and threads; a client gets 404 about them.

        The records stay in `runs`. Lost runs do not go on.
        """
        with self.changed:
            for run in runs or self.runs:
                run.lose()
            if not runs:
                self.threads.clear()
            self.changed.notify_all()
