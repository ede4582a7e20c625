"""Graphs that are suspended while their remote runs work, and swept until they are done."""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from support.colors import Color
from support.waking import Agents, State, at, of_one, suspending, swept

from acp_langgraph import Sweeper, is_suspended, split_interrupts
from acp_langgraph.errors import ACPRunException, NodeConfigurationError, RunTimeoutError
from acp_langgraph.nodes import execution
from acp_langgraph.nodes.langgraph import INTERRUPT


@pytest.fixture
def text() -> str:
    """A text of this test's own, by which its runs are let go."""
    return uuid.uuid4().hex


def one(found: Any) -> bool:
    return bool(found.woken == 1)


def test_a_graph_is_suspended_while_its_run_works_and_goes_on_when_that_is_done(
    color: Color, agents: Agents, text: str
) -> None:
    graph = of_one(suspending(agents))
    suspended = color.invoke(graph, {"text": text}, at("1"))
    questions, waits = split_interrupts(suspended)
    assert (questions, [is_suspended(each) for each in waits]) == ([], [True])
    assert text not in str(waits)
    assert swept(color, graph)[:2] == (1, 0)
    agents.let_go(text)
    assert swept(color, graph, one).failed == 0
    state = graph.get_state(at("1"))
    assert (state.next, state.values["text"], state.values["after"]) == (
        (),
        text.upper(),
        [text.upper()],
    )
    assert swept(color, graph)[1:] == (0, 0)


def test_what_somebody_types_into_the_marker_is_no_answer(
    color: Color, agents: Agents, text: str
) -> None:
    graph = of_one(suspending(agents))
    first = color.invoke(graph, {"text": text}, at("1"))["__interrupt__"][0]
    again = color.invoke(graph, Command(resume="yes, please"), at("1"))["__interrupt__"][0]
    assert is_suspended(again)
    assert again.id != first.id
    third = color.invoke(graph, None, at("1"))["__interrupt__"][0]
    assert (third.id, third.value) == (again.id, again.value)
    agents.let_go(text)
    swept(color, graph, one)
    assert graph.get_state(at("1")).values["text"] == text.upper()


class StoresLate:
    """A saver that stores what a step came to only when somebody looks; what stops the graph, at once.

    So does LangGraph, which writes both in the background, where the process dies in between.
    """

    late: list[tuple[Any, ...]]
    has_died = False

    def put_writes(self, *given: Any) -> None:
        if self.is_to_be_stored(given):
            super().put_writes(*given)  # type: ignore[misc]  # of the saver

    def get_tuple(self, config: Any) -> Any:
        while self.late:
            super().put_writes(*self.late.pop(0))  # type: ignore[misc]  # as above
        return super().get_tuple(config)  # type: ignore[misc]  # as above

    async def aput_writes(self, *given: Any) -> None:
        if self.is_to_be_stored(given):
            await super().aput_writes(*given)  # type: ignore[misc]  # as above

    async def aget_tuple(self, config: Any) -> Any:
        while self.late:
            await super().aput_writes(*self.late.pop(0))  # type: ignore[misc]  # as above
        return await super().aget_tuple(config)  # type: ignore[misc]  # as above

    def is_to_be_stored(self, given: tuple[Any, ...]) -> bool:
        if any(channel == INTERRUPT for channel, _ in given[1]):
            self.late.clear()  # lost with the process, and all that would come after
            self.has_died = True
            return True
        if not self.has_died:
            self.late.append(given)
        return False


class LateSqliteSaver(StoresLate, SqliteSaver):
    pass


class AsyncLateSqliteSaver(StoresLate, AsyncSqliteSaver):
    pass


def test_a_wait_is_stored_before_the_graph_stops_so_that_nothing_typed_into_it_answers_a_question(
    color: Color, agents: Agents, text: str, tmp_path: Path
) -> None:
    def invoke(value: Any, sync: Any, awaited: Any) -> list[Any]:
        file = str(tmp_path / "a.sqlite")

        async def ainvoke() -> Any:
            async with awaited.from_conn_string(file) as saver:
                saver.late = []
                return await of_one(node, saver).ainvoke(value, at("1"))

        node = suspending(agents, "ask")
        if color.name == "async":
            return asyncio.run(ainvoke())["__interrupt__"]
        with sync.from_conn_string(file) as saver:
            saver.late = []
            return of_one(node, saver).invoke(value, at("1"))["__interrupt__"]

    (wait,) = invoke({"text": text}, LateSqliteSaver, AsyncLateSqliteSaver)
    agents.let_go(text)
    httpx.get(f"{agents.url}/runs/{wait.value['run_id']}/wait")  # until it asks
    (question,) = invoke(Command(resume="typed"), SqliteSaver, AsyncSqliteSaver)
    assert is_suspended(wait)
    assert question.value == f"color of {text.upper()}?"
    assert question.id != wait.id


def test_what_a_graph_was_woken_with_answers_no_question_though_its_wait_was_lost(
    color: Color, agents: Agents, text: str
) -> None:
    saver = InMemorySaver()
    graph = of_one(suspending(agents, "ask"), saver)
    color.invoke(graph, {"text": text}, at("1"))
    for writes in saver.writes.values():
        for key in [key for key, (_, channel, *_) in writes.items() if channel != INTERRUPT]:
            del writes[key]
    agents.let_go(text)
    swept(color, graph, one)
    questions, _ = split_interrupts(graph.get_state(at("1")))
    assert [each.value for each in questions] == [f"color of {text.upper()}?"]
    _, waits = split_interrupts(color.invoke(graph, Command(resume="blue"), at("1")))
    assert len(waits) == 1
    agents.let_go(f"{text} more")
    swept(color, graph, one)
    assert graph.get_state(at("1")).values["text"] == f"{text.upper()} ['blue']"


def test_a_question_comes_after_a_wait_and_a_wait_after_its_answer(
    color: Color, agents: Agents, text: str
) -> None:
    graph = of_one(suspending(agents, "ask"))
    color.invoke(graph, {"text": text}, at("1"))
    agents.let_go(text)
    swept(color, graph, one)
    questions, waits = split_interrupts(graph.get_state(at("1")))
    assert [each.value for each in questions] == [f"color of {text.upper()}?"]
    assert not waits
    assert swept(color, graph).woken == 0
    _, waits = split_interrupts(color.invoke(graph, Command(resume="blue"), at("1")))
    assert len(waits) == 1
    agents.let_go(f"{text} more")
    swept(color, graph, one)
    assert graph.get_state(at("1")).values["text"] == f"{text.upper()} ['blue']"


def test_a_wait_beside_a_question_leaves_the_question_alone(
    color: Color, agents: Agents, text: str
) -> None:
    entered = []

    def ask(_: State) -> dict[str, Any]:
        entered.append(1)
        return {"said": [interrupt("how many?")]}

    builder = StateGraph(State).add_node("ask", ask).add_node(suspending(agents))
    builder.add_edge(START, "ask").add_edge(START, "remote")
    graph = builder.compile(checkpointer=InMemorySaver())
    questions, waits = split_interrupts(color.invoke(graph, {"text": text}, at("1")))
    assert (len(questions), len(waits)) == (1, 1)
    agents.let_go(text)
    swept(color, graph, one)
    questions, waits = split_interrupts(graph.get_state(at("1")))
    assert ([each.value for each in questions], waits) == (["how many?"], [])
    done = color.invoke(graph, Command(resume={questions[0].id: "three"}), at("1"))
    assert (done["said"], done["text"]) == (["three"], text.upper())
    assert len(entered) == 3


def test_a_question_may_be_answered_while_another_node_waits(
    color: Color, agents: Agents, text: str
) -> None:
    def ask(_: State) -> dict[str, Any]:
        return {"said": [interrupt("how many?")]}

    builder = StateGraph(State).add_node("ask", ask).add_node(suspending(agents))
    builder.add_edge(START, "ask").add_edge(START, "remote")
    graph = builder.compile(checkpointer=InMemorySaver())
    questions, _ = split_interrupts(color.invoke(graph, {"text": text}, at("1")))
    answered = color.invoke(graph, Command(resume={questions[0].id: "three"}), at("1"))
    assert [is_suspended(each) for each in answered["__interrupt__"]] == [True]
    agents.let_go(text)
    swept(color, graph, one)
    assert graph.get_state(at("1")).values["said"] == ["three"]


def test_twenty_items_of_a_fan_out_wait_and_each_has_one_run(
    color: Color, agents: Agents, text: str
) -> None:
    before = sum(agents.runs().values())
    node = suspending(agents, output={"said": "text"})
    builder = (
        StateGraph(State)
        .add_node(node)
        .add_conditional_edges(
            START, lambda _: [Send("remote", {"text": f"{text}{number}"}) for number in range(20)]
        )
    )
    graph = builder.compile(checkpointer=InMemorySaver())
    _, waits = split_interrupts(color.invoke(graph, {"text": text}, at("1")))
    assert len(waits) == 20
    agents.let_go(*(f"{text}{number}" for number in range(0, 20, 2)))
    swept(color, graph, lambda _: len(graph.get_state(at("1")).interrupts) == 10)
    agents.let_go(*(f"{text}{number}" for number in range(1, 20, 2)))
    swept(color, graph, lambda _: not graph.get_state(at("1")).tasks)
    expected = sorted(f"{text}{number}".upper() for number in range(20))
    assert sorted(graph.get_state(at("1")).values["said"]) == expected
    assert sum(agents.runs().values()) - before == 20


def test_a_node_in_a_subgraph_waits_as_any_other(color: Color, agents: Agents, text: str) -> None:
    inner = StateGraph(State).add_node(suspending(agents)).add_edge(START, "remote").compile()
    builder = StateGraph(State).add_node("inner", inner).add_edge(START, "inner")
    graph = builder.compile(checkpointer=InMemorySaver())
    suspended = color.invoke(graph, {"text": text}, at("1"))
    assert [is_suspended(each) for each in suspended["__interrupt__"]] == [True]
    agents.let_go(text)
    swept(color, graph, one)
    assert graph.get_state(at("1")).values["text"] == text.upper()


def test_a_run_that_is_done_soon_is_held_for(color: Color, agents: Agents, text: str) -> None:
    graph = of_one(suspending(agents, after=60.0))
    agents.let_go(text)
    done = color.invoke(graph, {"text": text}, at("1"))
    assert (done["text"], "__interrupt__" in done) == (text.upper(), False)


def test_a_run_that_is_not_done_after_a_while_is_suspended_for(
    color: Color, agents: Agents, text: str
) -> None:
    graph = of_one(suspending(agents, after=0.05))
    suspended = color.invoke(graph, {"text": text}, at("1"))
    assert [is_suspended(each) for each in suspended["__interrupt__"]] == [True]
    agents.let_go(text)


def test_a_deadline_holds_while_nothing_runs(
    color: Color, agents: Agents, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph = of_one(suspending(agents, run_timeout=2.0))
    color.invoke(graph, {"text": text}, at("1"))
    with caplog.at_level(logging.ERROR, "acp_langgraph.waking"):
        swept(color, graph, lambda found: found.failed == 1)
    assert any(
        record.exc_info[0] is RunTimeoutError for record in caplog.records if record.exc_info
    )
    assert swept(color, graph)[1:] == (0, 0)
    assert agents.runs().get("error", 0) >= 1


def test_a_failure_is_told_once_and_who_enters_again_waits_for_a_new_run(
    color: Color, agents: Agents, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing = f"fail {text}"
    graph = of_one(suspending(agents))
    color.invoke(graph, {"text": failing}, at("1"))
    agents.let_go(failing)
    with caplog.at_level(logging.ERROR, "acp_langgraph.waking"):
        swept(color, graph, lambda found: found.failed == 1)
    assert any(
        record.exc_info[0] is ACPRunException for record in caplog.records if record.exc_info
    )
    assert swept(color, graph)[1:] == (0, 0)
    suspended = color.invoke(graph, None, at("1"))
    assert [is_suspended(each) for each in suspended["__interrupt__"]] == [True]
    with caplog.at_level(logging.CRITICAL, "acp_langgraph.waking"):
        swept(color, graph, lambda found: found.failed == 1)


def test_without_a_checkpointer_a_node_holds(color: Color, agents: Agents, text: str) -> None:
    agents.let_go(text)
    assert color.invoke(suspending(agents), {"text": text})["text"] == text.upper()


def test_a_thread_that_was_deleted_or_given_up_is_not_woken(
    color: Color, agents: Agents, text: str
) -> None:
    graph = of_one(suspending(agents))
    for thread in ("deleted", "given up"):
        color.invoke(graph, {"text": f"{text} {thread}"}, at(thread))
    graph.checkpointer.delete_thread("deleted")
    graph.update_state(at("given up"), {"text": "never mind"}, as_node="after")
    agents.let_go(f"{text} deleted", f"{text} given up")
    assert swept(color, graph)[1:] == (0, 0)
    assert graph.get_state(at("deleted")).created_at is None
    assert graph.get_state(at("given up")).values["text"] == "never mind"


def cancelled(color: Color, graph: Any) -> int:
    sweeper = Sweeper(graph)
    if color.name == "sync":
        return sweeper.cancel("1")
    return asyncio.run(sweeper.acancel("1"))


def test_what_a_thread_waits_for_can_be_ended_before_the_thread_is_deleted(
    color: Color, agents: Agents, text: str
) -> None:
    before = agents.runs().get("error", 0)
    node = suspending(agents, output={"said": "text"})
    builder = StateGraph(State).add_node(node)
    builder.add_conditional_edges(
        START, lambda _: [Send("remote", {"text": f"{text}{number}"}) for number in range(3)]
    )
    graph = builder.compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"text": text}, at("1"))
    assert cancelled(color, graph) == 3
    while agents.runs().get("error", 0) - before < 3:
        pass
    graph.checkpointer.delete_thread("1")
    assert swept(color, graph)[1:] == (0, 0)
    assert cancelled(color, graph) == 0


def test_a_thread_whose_run_was_ended_fails_and_who_enters_again_starts_another(
    color: Color, agents: Agents, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph = of_one(suspending(agents))
    color.invoke(graph, {"text": text}, at("1"))
    assert cancelled(color, graph) == 1
    with caplog.at_level(logging.CRITICAL, "acp_langgraph.waking"):
        swept(color, graph, lambda found: found.failed == 1)
    assert swept(color, graph)[1:] == (0, 0)
    assert is_suspended(color.invoke(graph, None, at("1"))["__interrupt__"][0])
    agents.let_go(text)
    swept(color, graph, one)
    assert graph.get_state(at("1")).values["after"] == [text.upper()]


def test_a_wait_of_a_node_that_is_set_to_hold_by_now_is_woken_as_well(
    color: Color, agents: Agents, text: str
) -> None:
    saver = InMemorySaver()
    color.invoke(of_one(suspending(agents), saver), {"text": text}, at("1"))
    held = of_one(suspending(agents, wait="hold"), saver)
    assert is_suspended(color.invoke(held, None, at("1"))["__interrupt__"][0])
    agents.let_go(text)
    assert color.invoke(held, Command(resume="go on"), at("1"))["text"] == text.upper()


@pytest.mark.parametrize(
    "wrong", [{"wait": "sleep"}, {"after": -1.0}, {"wait": "hold", "after": 5.0}]
)
def test_settings_that_make_no_sense_are_refused(agents: Agents, wrong: dict[str, Any]) -> None:
    with pytest.raises(NodeConfigurationError, match=r"wait|after"):
        suspending(agents, **wrong)


def test_nothing_of_a_suspended_graph_is_left_in_the_process(
    color: Color, agents: Agents, text: str
) -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, execution._Invocations) for each in gc.get_objects())

    graph, texts = of_one(suspending(agents)), [f"{text}{number}" for number in range(40)]
    before = alive()
    for each in texts:
        color.invoke(graph, {"text": each}, at(each))
    assert alive() - before < len(texts) / 2
    agents.let_go(*texts)
