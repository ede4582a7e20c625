"""The same short schedule in the model and in reality: LangGraph over SQLite, and a fake server on a socket.

A schedule is what becomes of the exchanges, by their numbers; all else happens as soon as it can. What is
compared is what a user and a server can see: the requests, in order, how each invocation ended, what was
stored of steps, and what became of the runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy
from simulation.a2a_model import AGENTS, A2AModel, TaskServer, a2a_maker
from simulation.acp_model import KINDS, ACPModel, node_maker
from simulation.graph_model import SERVERS, GraphServer, LangGraphModel, graph_maker
from simulation.machine import Machine
from simulation.memory import NOTHING_STORED, RETURN, Settings
from simulation.process import OPEN, Request
from simulation.scenario import Scenario
from simulation.world import Budget, World
from support.agents import asking
from support.counted import State

from acp_langgraph.acp import order
from acp_langgraph.acp.order import KEY
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.retry import Backoff
from acp_langgraph.errors import ApiConnectionError
from acp_langgraph.nodes.a2a import A2ANode
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.nodes.agent import AgentNode
from acp_langgraph.nodes.remote_graph import RemoteGraphNode
from acp_langgraph.server import serve
from acp_langgraph.testing import (
    ACPBehavior,
    Answer,
    Ask,
    Fail,
    FakeA2AServer,
    FakeACPServer,
    FakeLangGraphServer,
)

__all__ = ["HAPPENINGS", "Case", "Seen", "in_reality", "in_the_model"]

ANSWERS = {"color?": "blue", "food?": "rice"}
HAPPENINGS = {
    "lost": "is lost on the way",
    "unanswered": "is done, and its answer is lost",
    "unsent": "is refused a connection",
    "502": "is answered 502 by something in between",
    "dies before": "dies",
    "dies after": "still arrives",
}
"""What may become of an exchange, and how the model tells of it."""

_MOST_ENTRIES = 12


@dataclass(frozen=True)
class Case:
    """A schedule.

    Attributes:
        kind: Of the server, of whichever protocol; `own` for this project's of ACP.
        happenings: What becomes of exchanges, by their numbers from 0 on.
        questions: What the agent asks.
        failing: How many of its first runs fail.
        threads: Whether the node uses threads.
        retry: The node's retry policy.
        is_nested: Whether the node is in a graph within the graph.
    """

    kind: str
    happenings: Mapping[int, str] = field(default_factory=dict)
    questions: tuple[str, ...] = ("color?", "food?")
    failing: int = 0
    threads: bool = False
    retry: RetryPolicy | None = None
    is_nested: bool = False


@dataclass
class Seen:
    """What can be seen of a schedule from outside.

    Attributes:
        requests: The operations, in order.
        ends: How invocations ended.
        steps: How many results of steps were stored after each.
        runs: Status and answers of each run.
    """

    requests: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    runs: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)


def in_the_model(case: Case) -> Seen:
    """What the model says."""
    model, maker = _model(case)
    machine = Machine(maker, Settings(retry=case.retry, is_nested=case.is_nested))
    budget = Budget(crashes=9, faults=9, agains=20)
    scenario = Scenario("conformance", model, machine, budget, ANSWERS)
    world, seen = scenario.beginning, Seen()
    while world.human.how != "done" and len(seen.ends) < _MOST_ENTRIES:
        world = _next(scenario, world, case, seen)
    seen.runs = [(_STATUSES.get(status, status), answers) for status, answers in _works(world)]
    return seen


_STATUSES = {"running": "pending", "asking": "interrupted"}


def _works(world: World) -> list[tuple[str, tuple[Any, ...]]]:
    match world.server:
        case GraphServer(pieces=pieces):
            return [(piece.status, piece.answers) for piece in pieces]
        case TaskServer(tasks=tasks):
            return [(task.state, task.answers) for task in tasks]
    return [(run.status, run.answers) for run in world.server.runs]


def _model(case: Case) -> tuple[Any, Any]:
    questions, failing = case.questions, case.failing
    if case.kind in SERVERS:
        server = LangGraphModel(SERVERS[case.kind], questions, failing=failing, takes_stale=False)
        return server, graph_maker(use_threads=case.threads)
    if case.kind in AGENTS:
        agent = A2AModel(AGENTS[case.kind], questions, failing=failing)
        return agent, a2a_maker(AGENTS[case.kind], use_threads=case.threads)
    model = ACPModel(KINDS.get(case.kind, ACPBehavior()), questions, failing=failing)
    return model, node_maker(use_threads=case.threads)


def _next(scenario: Scenario, world: World, case: Case, seen: Seen) -> World:
    moves = scenario.model.moves(world.server)
    if moves:
        return world._replace(server=moves[0][1])
    wanted = "the graph in the process"
    (request, *_) = [*_requests(world), None]
    if request is not None:
        happening = None
        if request.operation != OPEN:
            happening = case.happenings.get(len(seen.requests))
            seen.requests.append(request.operation)
        is_open = "create_and" in request.operation or request.operation == "wait_run"
        undisturbed = "arrives, and is open" if is_open else "->"
        wanted = f"{request.operation} " + (HAPPENINGS[happening] if happening else undisturbed)
        if happening in {"unanswered", "dies after"} and not scenario.model.changes(request):
            wanted = HAPPENINGS["lost" if happening == "unanswered" else "dies before"]
        elif happening and happening.startswith("dies"):
            wanted = HAPPENINGS[happening]
    happenings = list(scenario.happenings(world))
    for said, after in happenings:
        if wanted in said and "not stored" not in said and "cancelled" not in said:
            if not world.store.done and said.startswith(("the graph", "the process dies")):
                died = said.startswith("the process dies")
                seen.ends.append("died" if died else after.human.how)
                if seen.ends[-1] != "done":
                    store = (after.store.inner or NOTHING_STORED) if case.is_nested else after.store
                    steps = [each for each in store.writes if each[1] == RETURN]
                    seen.steps.append(len(steps))
            return after
    assert request is None, (wanted, [said for said, _ in happenings])
    return happenings[0][1]


def _requests(world: World) -> list[Request]:
    return [e for proc in world.procs for e in proc.effects if isinstance(e, Request)]


# In reality


class KilledError(BaseException):
    """The process is dead; who handles this is a ghost, whom nothing remembers."""


class Saver(AsyncSqliteSaver):
    """A saver that tells when all is stored, and stores nothing once its process is dead."""

    dead = False
    drops = False
    open = 0

    async def aput(self, *args: Any) -> Any:
        if self.drops:
            return args[0]
        return await self._counted(super().aput, *args)

    async def aput_writes(self, *args: Any) -> None:
        await self._counted(super().aput_writes, *args)

    async def _counted(self, put: Any, *args: Any) -> Any:
        if self.dead:
            return args[0]
        self.open += 1
        try:
            return await put(*args)
        finally:
            self.open -= 1

    async def die(self) -> None:
        """All that was begun is stored, and nothing more."""
        for _ in range(50):  # what is submitted has not begun yet
            await asyncio.sleep(0)
        while self.open:  # noqa: ASYNC110 - whoever stores is on this loop
            await asyncio.sleep(0)
        self.dead = True


class Scripted:
    """A real transport to whose exchanges happens what a schedule says."""

    def __init__(self, real: Any, case: Case, saver: Saver, seen: Seen) -> None:
        self.endpoint, self.retries, self.shown = real.endpoint, real.retries, real.shown
        self.finish, self.aclose = real.finish, real.aclose
        self._real, self._case, self._saver, self._seen = real, case, saver, seen

    async def exchange(self, call: Call[Any]) -> Reply:
        happening = self._case.happenings.get(len(self._seen.requests))
        self._seen.requests.append(call.operation)
        match happening:
            case "lost":
                raise ApiConnectionError("connection reset", sent=True)
            case "unsent":
                raise ApiConnectionError("connection refused", sent=False)
            case "502":
                return Reply(502)
            case "dies before":
                await self._saver.die()
                raise KilledError
        reply: Reply = await self._real.exchange(call)
        if happening == "unanswered":
            raise ApiConnectionError("connection reset", sent=True)
        if happening == "dies after":
            await self._saver.die()
            raise KilledError
        return reply

    async def pause(self, pause: Any) -> None:
        await asyncio.sleep(0)


def in_reality(case: Case, folder: Path) -> Seen:
    """What LangGraph, SQLite, the node and a server do."""
    seen = Seen()
    with _served(case) as (make_node, runs):
        node = make_node()
        while len(seen.ends) < _MOST_ENTRIES:
            ended = asyncio.run(_invoke(node, case, folder / "graph.sqlite", seen))
            seen.ends.append(ended)
            if ended == "done":
                break
            if ended == "died":
                order._known.clear()
                node = make_node()
        seen.runs = runs()
    return seen


@contextmanager
def _served(case: Case) -> Iterator[tuple[Callable[[], Any], Callable[[], Any]]]:
    """A server; what makes a node for it, and what tells of its runs."""
    runs = iter(range(100))

    def script(run: Any) -> Any:
        if next(runs) < case.failing:
            yield Fail()
        for question in case.questions:
            yield Ask(question)
        yield Answer({"answers": run.answers, "by": run.run_id})

    if case.kind == "own":
        with serve({"agent": asking(*case.questions, exactly=True)}) as own:
            made = partial(_acp_node, case, own.url, own.agent_ids["agent"])
            yield made, partial(_runs_of_our_own, own.url)
    elif case.kind in SERVERS:
        with FakeLangGraphServer(script, behavior=SERVERS[case.kind]) as graphs:
            made = partial(_graph_node, case, graphs.url, graphs.assistant_id)
            yield made, lambda: [(run.status, tuple(run.answers)) for run in graphs.runs]
    elif case.kind in AGENTS:
        with FakeA2AServer(script, behavior=AGENTS[case.kind]) as agent:
            made = partial(_a2a_node, case, agent.url)
            yield made, lambda: [(task.state, tuple(task.answers)) for task in agent.tasks]
    else:
        with FakeACPServer(script, behavior=KINDS[case.kind]) as server:
            made = partial(_acp_node, case, server.url, server.agent_id)
            yield made, partial(_runs_of, server)


def _runs_of(server: FakeACPServer) -> list[Any]:
    assert all(KEY in run.metadata for run in server.runs)
    return [(run.status, tuple(run.answers)) for run in server.runs]


def _runs_of_our_own(url: str) -> list[Any]:
    found = httpx.post(f"{url}/runs/search", json={}).json()
    waits = [httpx.get(f"{url}/runs/{run['run_id']}/wait").json() for run in found]
    return [
        (each["run"]["status"], tuple(each["output"].get("values", {}).get("answers", ())))
        for each in waits
    ]


def _acp_node(case: Case, url: str, agent_id: str) -> ACPNode:
    where = ApiClientConfiguration(url, retries=2)
    return _patient(
        ACPNode("remote", agent_id, where, "ask", None, "answer", None, use_threads=case.threads)
    )


def _graph_node(case: Case, url: str, assistant: str) -> RemoteGraphNode:
    where = ApiClientConfiguration(url, retries=2)
    return _patient(
        RemoteGraphNode(
            "remote", assistant, where, "ask", None, "answer", None, use_threads=case.threads
        )
    )


def _a2a_node(case: Case, url: str) -> A2ANode:
    where = ApiClientConfiguration(url, retries=2)
    card = httpx.get(f"{url}/.well-known/agent-card.json").json()
    return _patient(
        A2ANode("remote", where, "ask", None, "answer", None, card=card, use_threads=case.threads)
    )


N = TypeVar("N", bound=AgentNode)


def _patient(node: N) -> N:
    node.policy = replace(node.policy, backoff=Backoff(jitter=0.0))
    return node


async def _invoke(node: Any, case: Case, database: Path, seen: Seen) -> str:
    """Invoke the graph as somebody would who finds it as it is stored; how that ended."""
    config: Any = {"configurable": {"thread_id": "1"}}
    real = node.async_transport
    async with Saver.from_conn_string(str(database)) as saver:
        assert isinstance(saver, Saver)
        node.async_transport = Scripted(real, case, saver, seen)  # type: ignore[assignment]
        builder = StateGraph(State).add_node(node, retry_policy=case.retry)
        builder.add_edge(START, "remote")
        if case.is_nested:
            inner = builder.compile()
            builder = StateGraph(State).add_node("sub", inner).add_edge(START, "sub")
        graph: Any = builder.compile(checkpointer=saver)
        state = await graph.aget_state(config)
        given: Any = None if state.created_at else {"ask": {"text": "hi"}}
        if state.interrupts and seen.ends[-1] != "failed":
            question = state.interrupts[0].value
            text = question["ask"] if isinstance(question, dict) else question
            given = Command(resume=ANSWERS[text])
        try:
            found = await graph.ainvoke(given, config)
        except KilledError:
            ended = "died"
        except Exception:  # noqa: BLE001 - as the model tells it
            ended = "failed"
        else:
            ended = "asked" if "__interrupt__" in found else "done"
        node.async_transport = real
        await real.aclose()
        if ended != "done":
            found = [each async for each in saver.alist(config)]  # the newest first
            inner = [each for each in found if each.config["configurable"]["checkpoint_ns"]]
            newest = next(iter(inner if case.is_nested else found), None)
            writes = newest.pending_writes if newest else ()
            seen.steps.append(len([each for each in writes or () if each[1] == RETURN]))
        return ended
