"""The same short schedule of a graph that is suspended, in the model and in reality.

A schedule is a list of what is begun from outside, one thing after the other: the graph is invoked, its run goes on,
a notice of that comes, somebody sweeps. What becomes of exchanges is said by their numbers. In reality there are
LangGraph over SQLite with its locks, a fake server on a socket, `WakeApp` and `Sweeper`. After each thing is compared
what there is to see: how the thread is read by who wakes it, and found; the requests; how often the node behind was at
work.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send
from simulation.building import suspended
from simulation.conformance import ANSWERS, HAPPENINGS, KilledError, Saver, Scripted
from simulation.memory import Settings
from simulation.process import Request
from simulation.suspended import AFTER, SECRET, found_in, snapshot
from simulation.world import Budget, World

from acp_langgraph import ACPNode, Sweeper, WakeApp, WakeURL, is_suspended, split_interrupts
from acp_langgraph.acp import order
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.core.calls import Call, Reply
from acp_langgraph.core.flow import AWAITING, adrive
from acp_langgraph.core.retry import Backoff
from acp_langgraph.nodes import suspending
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Gate, Work
from acp_langgraph.waking.locks import thread_lock
from acp_langgraph.waking.threads import GraphThreads, ThreadView, view_of

__all__ = ["NOT_BEGUN", "Case", "Seen", "in_reality", "in_the_model"]

NOT_BEGUN = "dies before the next step is stored"
"""What may become of the node behind, beside what may of each exchange: the step that it is in is not stored."""

_WORDS = {
    "invoke": "somebody invokes the graph",
    "invoke all the same": "somebody invokes the graph although it waits",
    "type": "somebody types",
    "answer": "somebody answers",
    "notice": "hears the notice",
    "sweep": "sweeps",
}


@dataclass(frozen=True)
class Case:
    """A schedule.

    Attributes:
        plan: What is begun, in order; `run` lets the run go on.
        happenings: What becomes of exchanges, and of what the node behind does, by their numbers from 0 on.
        questions: What the agent asks.
        failing: How many of its first runs fail.
        tasks: How many tasks of the node there are.
    """

    plan: tuple[str, ...]
    happenings: Mapping[int, str] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    failing: int = 0
    tasks: int = 1


@dataclass
class Seen:
    """What can be seen from outside.

    Attributes:
        requests: The operations, in order; `AFTER` is the node behind.
        ends: What each thing that was begun came to.
        views: How the thread is read after each.
        found: What a sweep would find after each: how many waits, and whether a waker left it.
        behind: How often the node behind was at work.
    """

    requests: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    views: list[Any] = field(default_factory=list)
    found: list[tuple[int, bool]] = field(default_factory=list)
    behind: int = 0


def in_the_model(case: Case) -> Seen:
    """What the model says."""
    scenario = suspended(
        Budget(crashes=9, faults=9, agains=9, sweeps=9, nones=9, wrongs=9),
        case.questions,
        model={"failing": case.failing},
        settings=Settings(tasks=case.tasks),
        by_id=True,
        loses=False,
    )
    world, seen = scenario.beginning, Seen()
    for begun in case.plan:
        if begun == "run":
            world = world._replace(server=scenario.model.moves(world.server)[0][1])
            seen.ends.append("")
        else:
            for said, after in scenario.happenings(world):
                if said.startswith("somebody looks"):  # and then goes on
                    world = after
            _, world = _one(scenario.happenings(world), _WORDS[begun])
            world = _driven(scenario, world, case, seen, begun)
        shown = snapshot(world.store, case.tasks)
        tasks = [(each.error, each.result, each.interrupts) for each in shown.tasks]
        view = view_of(tasks, shown.next, shown.created_at, shown.metadata)
        seen.views.append(_of_view(view))
        rows = [json.loads(row[3]) for row in found_in(world.store, "")]
        waits = [value for shown in rows for _, value in shown if is_suspended(value)]
        seen.found.append((len(waits), bool(found_in(world.store, "l"))))
    seen.behind = world.server.after
    return seen


def _of_view(view: ThreadView) -> dict[str, Any]:
    names = ("has_failed", "is_entered", "is_stuck", "is_over", "is_woken", "asks")
    return {name: getattr(view, name) for name in names} | {"waits": len(view.waits)}


def _one(happenings: Any, *words: str) -> tuple[str, World]:
    found = list(happenings)
    for said, after in found:
        if all(word in said for word in words):
            return said, after
    raise AssertionError((words, [said for said, _ in found]))


def _driven(scenario: Any, world: World, case: Case, seen: Seen, begun: str) -> World:
    """The world once all that was begun is over."""
    told = ""
    while True:
        busy = (p for p, proc in enumerate(world.procs) if proc.effects or not proc.told)
        place = next(busy, None)
        if place is None:
            seen.ends.append(told)
            return world
        proc = world.procs[place]
        happening = None
        if proc.effects and isinstance(proc.effects[0], Request):
            happening = case.happenings.get(len(seen.requests))
            seen.requests.append(proc.effects[0].operation)
        ways = list(scenario._of_process(world, place, proc))
        if happening is None:
            said, after = ways[0]
        elif happening.startswith("dies"):
            said, after = _dying(ways, happening)
        elif happening == "unanswered" and not scenario.model.changes(proc.effects[0]):
            said, after = _one(ways, HAPPENINGS["lost"])
        else:
            said, after = _one(ways, HAPPENINGS[happening])
        world = after
        if "dies" in said:
            seen.ends.append("died")
            return world
        if "answers the notice with" in said:
            told = said.rpartition(" ")[2]
        if said.startswith("the graph in"):
            told = world.human.how


def _dying(ways: list[tuple[str, World]], happening: str) -> tuple[str, World]:
    dying = [(said, after) for said, after in ways if " dies" in said]
    if happening == NOT_BEGUN:
        return next(
            each for each in dying if each[0].endswith("dies; the next step was not stored yet")
        )
    all_stored = [each for each in dying if "not stored" not in each[0]]
    arriving = [each for each in all_stored if "still arrives" in each[0]]
    if happening == "dies after" and arriving:  # which what changes nothing need not
        return arriving[0]
    return next(each for each in all_stored if each not in arriving)


# In reality


class _State(TypedDict, total=False):
    ask: dict[str, str]
    answer: Annotated[Any, lambda _, new: new]


class _Reality:
    """Who is at work in reality: somebody who invokes the graph, and a waker, each with what its process knows."""

    def __init__(self, case: Case, database: Path) -> None:
        self.case = case
        self.seen = Seen()
        self.hooks: list[str] = []
        self.told: list[str] = []
        self.died = False
        self._database = database
        self._gates: dict[int, list[Gate]] = {}
        self._nodes: dict[str, ACPNode] = {}
        self._known: dict[str, dict[Any, Any]] = {}
        self._server = FakeACPServer(self._script)

    def _script(self, run: Any) -> Any:
        number = len(self._gates) + 1
        gates = self._gates[number] = [Gate() for _ in range(len(self.case.questions) + 1)]
        for gate, question in zip(gates, self.case.questions, strict=False):
            yield Work(gate)
            if number <= self.case.failing:
                yield Fail()
            yield Ask(question)
        yield Work(gates[-1])
        if number <= self.case.failing:
            yield Fail()
        yield Answer({"answers": run.answers, "by": run.run_id})

    def seen_of_all(self) -> Seen:
        """All that can be seen once the plan is over."""
        with self._server:
            for begun in self.case.plan:
                if begun == "run":
                    self._go_on()
                    ended = ""
                else:
                    ended = self._begun(begun)
                self.seen.ends.append(ended)
                asyncio.run(self._look())
        return self.seen

    def _go_on(self) -> None:
        """Let the first run that is at work go on, until it comes to something."""
        run = next(each for each in self._server.runs if each.status == "pending")
        gates = self._gates[self._server.runs.index(run) + 1]
        next(gate for gate in gates if not gate.is_open).open()
        url = f"{self._server.url}/runs/{run.run_id}/wait"
        assert httpx.get(url, timeout=30).status_code == 200
        self.told.append(self.hooks[self._server.runs.index(run)])

    def _begun(self, begun: str) -> str:
        who = "waker" if begun in {"notice", "sweep"} else "somebody"
        self.died = False
        order._known.clear()
        order._known.update(self._known.get(who, {}))
        node = self._nodes.get(who) or self._node()
        before, suspending._nodes = suspending._nodes, (node,)  # type: ignore[assignment]
        try:
            ended = asyncio.run(self._do(begun, node))
        finally:
            suspending._nodes = before
        self._nodes[who], self._known[who] = node, dict(order._known)
        if self.died:
            del self._nodes[who], self._known[who]
            return "died"
        return ended

    def _node(self) -> ACPNode:
        node = ACPNode(
            "remote",
            self._server.agent_id,
            ApiClientConfiguration(self._server.url, retries=2),
            "ask",
            None,
            "answer",
            None,
            wait="suspend",
            wake_url=WakeURL("https://me.invalid/wake", SECRET),
        )
        node.policy = replace(node.policy, backoff=Backoff(jitter=0.0))
        return node

    async def _do(self, begun: str, node: ACPNode) -> str:
        async with Saver.from_conn_string(str(self._database)) as saver:
            assert isinstance(saver, Saver)
            saver.drops = begun in {"notice", "sweep"} and NOT_BEGUN in self._to_come
            real = node.async_transport
            node.async_transport = _Noting(real, self, saver)  # type: ignore[assignment]
            graph = self._graph(node, saver)
            try:
                return await self._invoked(begun, graph, saver)
            except KilledError:
                return "died"
            finally:
                node.async_transport = real
                await real.aclose()

    @property
    def _to_come(self) -> list[str]:
        return [v for n, v in self.case.happenings.items() if n >= len(self.seen.requests)]

    async def _invoked(self, begun: str, graph: Any, saver: Saver) -> str:
        config: Any = {"configurable": {"thread_id": "1"}}
        if begun == "sweep":
            await Sweeper(graph).asweep()
            return ""
        if begun == "notice":
            return await self._notified(WakeApp(graph, secret=SECRET))
        state = await graph.aget_state(config)
        given: Any = None if state.created_at else {"ask": {"text": "hi"}}
        if begun == "answer":
            question = split_interrupts(state).questions[0]
            given = Command(resume={question.id: ANSWERS[question.value]})
        elif begun == "type":
            given = Command(resume="typed")
        async with thread_lock(saver, "1"):
            try:
                found = await graph.ainvoke(given, config)
            except Exception:  # noqa: BLE001 - as the model tells it
                return "failed"
        return "asked" if "__interrupt__" in found else "done"

    async def _notified(self, app: WakeApp) -> str:
        url = self.told[-1]
        told: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            told.append(message.get("status"))

        path = url.partition("me.invalid")[2]
        await app({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)
        await app.settled()
        return str(told[0])

    def _graph(self, node: ACPNode, saver: Saver) -> Any:
        async def after(_: Any) -> dict[str, Any]:
            happening = self.case.happenings.get(len(self.seen.requests))
            self.seen.requests.append(AFTER)
            if happening in {"dies before", NOT_BEGUN}:
                await self.die(saver)
            self.seen.behind += 1
            if happening == "dies after":
                await self.die(saver)
            return {}

        builder = StateGraph(_State).add_node(node).add_node("after", after)
        if self.case.tasks == 1:
            builder.add_edge(START, "remote")
        else:
            sent = [Send("remote", {"ask": {"text": "hi"}}) for _ in range(self.case.tasks)]
            builder.add_conditional_edges(START, lambda _: sent, ["remote"])
        return builder.add_edge("remote", "after").compile(checkpointer=saver)

    async def die(self, saver: Saver) -> None:
        """Be killed."""
        self.died = True
        await saver.die()
        raise KilledError

    async def _look(self) -> None:
        async with Saver.from_conn_string(str(self._database)) as saver:
            threads = GraphThreads(self._graph(self._nodes.get("waker") or self._node(), saver))
            view = await adrive(threads.read("1"), AWAITING)
            assert view is not None
            self.seen.views.append(_of_view(view))
            waits, is_left, after = 0, False, ""
            while after is not None:
                page, after = await adrive(threads.candidates(after), AWAITING)
                waits += sum(len(each.waits) for each in page)
                is_left = is_left or any(each.is_woken for each in page)
            self.seen.found.append((waits, is_left))


class _Noting(Scripted):
    """Notes whom runs are to tell, and whose process died."""

    def __init__(self, real: Any, reality: _Reality, saver: Saver) -> None:
        super().__init__(real, reality.case, saver, reality.seen)  # type: ignore[arg-type]
        self._reality = reality

    async def exchange(self, call: Call[Any]) -> Reply:
        if call.operation.startswith("create_"):
            self._reality.hooks.append(call.body["webhook"])
        try:
            return await super().exchange(call)
        except KilledError:
            self._reality.died = True
            raise

    async def run(self, flow: Any) -> Any:
        return await adrive(flow, self)  # type: ignore[arg-type]  # as far as such flows need it

    call = exchange


def in_reality(case: Case, folder: Path) -> Seen:
    """What LangGraph, SQLite, the node, the wakers and a server do."""
    return _Reality(case, folder / "graph.sqlite").seen_of_all()
