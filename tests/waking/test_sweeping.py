"""Who sweeps: several at once, beside those who died at it, and what is none of theirs."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from support.colors import Color
from support.waking import Agents, State, at, of_one, suspending, swept

from acp_langgraph import ACPNode, Sweeper, split_interrupts
from acp_langgraph.nodes import suspending as noted
from acp_langgraph.nodes.suspending import WOKEN
from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault, Gate, Work
from acp_langgraph.waking.sweeping import _is_due


@pytest.fixture
def text() -> str:
    return uuid.uuid4().hex


def test_of_several_sweepers_in_threads_one_wakes(
    agents: Agents, text: str, tmp_path: Path
) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "a.sqlite")) as saver:
        graph = of_one(suspending(agents), saver)
        graph.invoke({"text": text}, at("1"))
        agents.let_go(text)
        woken: list[int] = []

        def sweep() -> None:
            sweeper = Sweeper(graph)
            while graph.get_state(at("1")).next:
                woken.append(sweeper.sweep().woken)

        sweeping = [threading.Thread(target=sweep) for _ in range(4)]
        for each in sweeping:
            each.start()
        for each in sweeping:
            each.join()
        assert sum(woken) == 1
        assert graph.get_state(at("1")).values["after"] == [text.upper()]


def test_of_several_sweepers_on_one_event_loop_one_wakes_over_a_saver_that_blocks(
    agents: Agents, text: str, tmp_path: Path
) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "a.sqlite")) as saver:
        graph = of_one(suspending(agents), saver)
        graph.invoke({"text": text}, at(text))
        agents.let_go(text)
        assert sum(asyncio.run(swept_by([graph] * 4))) == 1
        assert graph.get_state(at(text)).values["after"] == [text.upper()]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_of_several_sweepers_with_savers_of_their_own_one_wakes(
    agents: Agents, text: str, kind: str, tmp_path: Path, postgres: str
) -> None:
    saver: Any = AsyncSqliteSaver if kind == "sqlite" else AsyncPostgresSaver
    where = str(tmp_path / "a.sqlite") if kind == "sqlite" else postgres

    async def sweep() -> tuple[list[int], list[str]]:
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(saver.from_conn_string(where)) for _ in range(3)
            ]
            graphs = [of_one(suspending(agents), each) for each in opened]
            await graphs[0].ainvoke({"text": text}, at(text))
            agents.let_go(text)
            woken = await swept_by(graphs * 2)
            return woken, (await graphs[0].aget_state(at(text))).values["after"]

    woken, after = asyncio.run(sweep())
    assert (sum(woken), after) == (1, [text.upper()])


async def swept_by(graphs: list[Any]) -> list[int]:
    """How many threads each sweep woke, of one sweeper for each graph, until any did."""
    woken: list[int] = []

    async def sweep(graph: Any) -> None:
        sweeper = Sweeper(graph)
        while not sum(woken):
            woken.append((await sweeper.asweep()).woken)

    await asyncio.gather(*map(sweep, graphs))
    return woken


def test_a_thread_that_its_waker_has_left_is_gone_on_with(
    color: Color, agents: Agents, text: str
) -> None:
    died: list[int] = []

    def after(_: State) -> dict[str, Any]:
        if not died:
            died.append(1)
            raise KeyboardInterrupt
        return {"after": ["once"]}

    builder = StateGraph(State).add_node(suspending(agents)).add_node("after", after)
    builder.add_edge(START, "remote").add_edge("remote", "after")
    graph = builder.compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"text": text}, at("1"))
    agents.let_go(text)
    with pytest.raises(KeyboardInterrupt):
        swept(color, graph, lambda found: found.woken == 1)
    assert graph.get_state(at("1")).next == ("after",)
    swept(color, graph, lambda found: found.woken == 1)
    assert graph.get_state(at("1")).values["after"] == ["once"]


def test_what_is_noted_of_a_thread_that_its_waker_has_left_goes_with_the_thread(
    agents: Agents, text: str, tmp_path: Path
) -> None:
    def after(_: State) -> dict[str, Any]:
        raise KeyboardInterrupt

    builder = StateGraph(State).add_node(suspending(agents)).add_node("after", after)
    builder.add_edge(START, "remote").add_edge("remote", "after")
    with SqliteSaver.from_conn_string(str(tmp_path / "a.sqlite")) as saver:
        graph = builder.compile(checkpointer=saver)
        graph.invoke({"text": text}, at("1"))
        agents.let_go(text)
        sweeper = Sweeper(graph)
        with pytest.raises(KeyboardInterrupt):
            all(sweeper.sweep() for _ in count())  # until the run that is waited for is done
        saver.delete_thread("1")
        assert [sweeper.sweep().found for _ in range(2)] == [1, 0]


def test_a_thread_in_the_hands_of_who_invoked_it_is_left_alone(
    color: Color, agents: Agents, text: str
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    times: list[int] = []

    def busy(_: State) -> dict[str, Any]:
        times.append(1)
        entered.set()
        assert go_on.wait(30)
        return {}

    builder = StateGraph(State).add_node(suspending(agents)).add_node("busy", busy)
    builder.add_edge(START, "remote").add_edge(START, "busy")
    graph = builder.compile(checkpointer=InMemorySaver())
    before = agents.runs().get("success", 0)
    agents.let_go(text)
    invoking = threading.Thread(target=color.invoke, args=(graph, {"text": text}, at("1")))
    invoking.start()
    assert entered.wait(30)
    while agents.runs().get("success", 0) == before:
        pass
    while not split_interrupts(graph.get_state(at("1"))).waits:
        pass
    assert swept(color, graph).woken == 0
    go_on.set()
    invoking.join()
    swept(color, graph, lambda found: found.woken == 1)
    assert times == [1]


def test_two_answers_at_once_leave_a_step_undone_and_a_sweep_goes_on(
    color: Color, agents: Agents, text: str
) -> None:
    """LangGraph takes both answers, and neither of the two invocations begins the next step."""
    waiting = threading.Barrier(2)

    def ask(state: State) -> dict[str, Any]:
        answer = interrupt(state["text"])
        waiting.wait(30)
        return {"said": [answer]}

    builder = StateGraph(State).add_node(suspending(agents)).add_node("a", ask).add_node("b", ask)
    builder.add_node("after", lambda _: {"after": ["once"]})
    builder.add_edge(START, "remote").add_edge("remote", "a").add_edge("remote", "b")
    builder.add_edge(["a", "b"], "after")
    graph = builder.compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"text": text}, at("1"))
    agents.let_go(text)
    swept(color, graph, lambda found: found.woken == 1)
    questions = graph.get_state(at("1")).interrupts
    answering = [
        threading.Thread(target=graph.invoke, args=(Command(resume={each.id: "yes"}), at("1")))
        for each in questions
    ]
    for each in answering:
        each.start()
    for each in answering:
        each.join()
    state = graph.get_state(at("1"))
    if state.tasks:  # which is so as a rule, and not always
        assert state.next == ()
        swept(color, graph, lambda found: found.woken == 1)
    assert graph.get_state(at("1")).values["after"] == ["once"]


def test_what_nobody_here_can_look_at_is_left_until_it_has_taken_long(
    color: Color, agents: Agents, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = of_one(suspending(agents))
    color.invoke(graph, {"text": text}, at("1"))
    agents.let_go(text)
    monkeypatch.setattr(noted, "_nodes", set())
    assert swept(color, graph).woken == 0
    monkeypatch.setattr("acp_langgraph.waking.waker._UNSEEN_FOR", 0.0)
    swept(color, graph, lambda _: not graph.get_state(at("1")).next)
    assert graph.get_state(at("1")).values["text"] == text.upper()


def test_threads_are_invoked_with_what_they_were_configured_with(
    color: Color, agents: Agents, text: str
) -> None:
    seen: list[Any] = []

    def after(_: State, config: RunnableConfig) -> dict[str, Any]:
        seen.append((config["configurable"]["user"], config["metadata"].get(WOKEN)))
        return {}

    builder = StateGraph(State).add_node(suspending(agents)).add_node("after", after)
    builder.add_edge(START, "remote").add_edge("remote", "after")
    graph = builder.compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"text": text}, at("1"))
    agents.let_go(text)
    sweeper = Sweeper(graph, configure=lambda thread: {"configurable": {"user": f"of {thread}"}})
    while not seen:
        sweeper.sweep() if color.name == "sync" else asyncio.run(sweeper.asweep())
    assert seen == [("of 1", True)]


def test_a_run_that_is_young_is_looked_at_in_each_sweep_and_an_old_one_seldom() -> None:

    now = time.time()
    assert all(_is_due(str(number), now - 60, 30.0) for number in range(100))
    looked_at = sum(_is_due(str(number), now - 86_400, 30.0) for number in range(2000))
    assert 50 < looked_at < 150
    assert all(_is_due(str(number), now - 86_400, None) for number in range(100))


async def test_a_sweeper_that_is_stopped_while_a_node_looks_ends_no_run() -> None:
    work, look = Gate(), Gate()
    script = [Work(work), Ask("color?"), Answer(lambda run: {"text": run.answers[0]})]
    with FakeACPServer({"work": script}) as server:
        node = ACPNode("remote", "work", server.url, "text", output_path="text", wait="suspend")
        graph = of_one(node)
        await graph.ainvoke({"text": "hi"}, at("1"))
        work.open()
        # The sweeper looks, and again once it has the lock; the third is the node that it has woken.
        faults = Fault.none(), Fault.none(), Fault.hold(look)
        server.faults.add(*faults, on="get_stateless_run")
        sweeping = asyncio.create_task(Sweeper(graph).asweep())
        await asyncio.to_thread(look.wait_arrival)
        sweeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sweeping
        look.open()
        await Sweeper(graph).asweep()
        questions, _ = split_interrupts(await graph.aget_state(at("1")))
        assert [each.value for each in questions] == ["color?"]
        assert (server.created, server.requests.count("cancel_stateless_run")) == (1, 0)
        await node.aclose()
