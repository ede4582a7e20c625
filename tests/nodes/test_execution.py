"""What LangGraph tells a node: pins the private keys that `nodes.execution` reads."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt
from support.colors import Color

from acp_langgraph.nodes.execution import Execution

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    count: Annotated[int, operator.add]
    item: int


class Probe(Runnable[Any, Any]):
    """A node that notes its executions, and then does what it is told."""

    name = "probe"

    def __init__(self, then: Any = None) -> None:
        self.seen: list[Execution] = []
        self.then = then

    def invoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        self.seen.append(Execution.of(self.name, config))
        if self.then is not None:
            self.then(len(self.seen))
        return {"count": 1}

    async def ainvoke(self, input: Any, config: Any = None, **_: Any) -> Any:  # noqa: A002
        return self.invoke(input, config)

    @property
    def keys(self) -> set[str]:
        return {execution.key for execution in self.seen}


def graph(probe: Probe, checkpointer: Any = None, **node: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node(probe, **node)
    builder.add_edge(START, "probe")
    builder.add_edge("probe", END)
    return builder.compile(checkpointer=checkpointer)


def fail_until(times: int) -> Any:
    def then(execution: int) -> None:
        if execution < times:
            raise ConnectionError("again")

    return then


def test_outside_of_a_graph_nothing_is_remembered_and_every_call_is_new(color: Color) -> None:
    probe = Probe()
    for _ in range(2):
        color.invoke(probe, {}, {})
    assert len(probe.keys) == 2
    assert not any(execution.remembered or execution.again for execution in probe.seen)


def test_without_a_checkpointer_nothing_is_remembered(color: Color) -> None:
    probe = Probe()
    color.invoke(graph(probe), {}, {"configurable": {"thread_id": "given in vain"}})
    assert not probe.seen[0].remembered


def test_a_first_entry_is_no_reentry(color: Color) -> None:
    probe = Probe()
    compiled = graph(probe, InMemorySaver())
    color.invoke(compiled, {}, ON_A_THREAD)
    color.invoke(compiled, {}, ON_A_THREAD)
    assert [execution.again for execution in probe.seen] == [False, False]
    assert len(probe.keys) == 2
    assert all(execution.remembered for execution in probe.seen)


def test_a_retry_is_the_same_execution_once_more(color: Color) -> None:
    probe = Probe(fail_until(3))
    policy = RetryPolicy(max_attempts=3, initial_interval=0.001)
    color.invoke(graph(probe, InMemorySaver(), retry_policy=policy), {}, ON_A_THREAD)
    assert [execution.again for execution in probe.seen] == [False, True, True]
    assert len(probe.keys) == 1


def test_a_failed_execution_that_is_entered_again_is_the_same(color: Color) -> None:
    probe = Probe(fail_until(2))
    compiled = graph(probe, InMemorySaver())
    with pytest.raises(ConnectionError):
        color.invoke(compiled, {}, ON_A_THREAD)
    color.invoke(compiled, None, ON_A_THREAD)
    assert [execution.again for execution in probe.seen] == [False, True]
    assert len(probe.keys) == 1


def test_an_answered_execution_is_the_same(color: Color) -> None:
    probe = Probe(lambda _: interrupt("?"))
    compiled = graph(probe, InMemorySaver())
    color.invoke(compiled, {}, ON_A_THREAD)
    color.invoke(compiled, Command(resume="!"), ON_A_THREAD)
    assert [execution.again for execution in probe.seen] == [False, True]
    assert len(probe.keys) == 1


def test_a_later_step_of_a_resumed_run_is_no_reentry(color: Color) -> None:
    first, second = Probe(lambda _: interrupt("?")), Probe()
    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    compiled = builder.compile(checkpointer=InMemorySaver())
    color.invoke(compiled, {}, ON_A_THREAD)
    color.invoke(compiled, Command(resume="!"), ON_A_THREAD)
    assert not second.seen[0].again


def test_every_item_of_a_fan_out_and_every_pass_of_a_loop_has_a_key_of_its_own(
    color: Color,
) -> None:
    probe = Probe()
    builder = StateGraph(State)
    builder.add_node(probe)
    builder.add_conditional_edges(START, lambda _: [Send("probe", {"item": n}) for n in range(3)])
    builder.add_conditional_edges("probe", lambda s: "probe" if s["count"] < 5 else END)
    color.invoke(builder.compile(checkpointer=InMemorySaver()), {}, ON_A_THREAD)
    assert len(probe.keys) == len(probe.seen) > 3


def test_a_fork_from_an_earlier_checkpoint_is_a_new_execution(color: Color) -> None:
    probe = Probe()
    compiled = graph(probe, InMemorySaver())
    color.invoke(compiled, {}, ON_A_THREAD)
    (before,) = [s for s in compiled.get_state_history(ON_A_THREAD) if s.next == ("probe",)]
    color.invoke(compiled, None, before.config)
    fork = compiled.update_state(before.config, {"item": 7})
    color.invoke(compiled, None, fork)
    assert len(probe.keys) == 3


def test_a_finished_checkpoint_is_not_executed_again(color: Color) -> None:
    probe = Probe()
    compiled = graph(probe, InMemorySaver())
    color.invoke(compiled, {}, ON_A_THREAD)
    last = compiled.get_state(ON_A_THREAD)
    color.invoke(compiled, None, last.config)
    assert len(probe.seen) == 1


def test_a_subgraph_counts_its_checkpoints_and_those_around_it(
    color: Color, tmp_path: Path
) -> None:
    probe = Probe()
    inner = graph(probe)
    builder = StateGraph(State)
    builder.add_node("inner", inner)
    builder.add_edge(START, "inner")
    with color.graph_over(builder, tmp_path / "c.sqlite") as outer:
        color.invoke(outer, {}, ON_A_THREAD)
    (execution,) = probe.seen
    assert execution.barrier is not None
    assert len(execution.barrier.places) == 2
    assert execution.path == "inner|probe|probe"


def test_with_durability_exit_there_is_no_ledger_to_wait_for(tmp_path: Path) -> None:
    probe = Probe()
    with SqliteSaver.from_conn_string(str(tmp_path / "c.sqlite")) as saver:
        graph(probe, saver).invoke({}, ON_A_THREAD, durability="exit")
        graph(probe, saver).invoke({}, ON_A_THREAD)
    assert [execution.barrier is None for execution in probe.seen] == [True, False]


def test_the_remote_thread_is_one_per_graph_thread_and_place(color: Color) -> None:
    probe = Probe()
    compiled = graph(probe, InMemorySaver())
    for thread in ("a", "a", "no uuid at all"):
        color.invoke(compiled, {}, {"configurable": {"thread_id": thread}})
    first, again, other = [execution.remote_thread_id() for execution in probe.seen]
    assert first == again != other
