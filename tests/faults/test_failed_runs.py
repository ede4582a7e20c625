"""A remote run that failed can be done again by whoever was told, and by nobody else."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, Send, interrupt
from support.colors import Color
from support.counted import State, make_node

from acp_langgraph.acp.order import KEY
from acp_langgraph.errors import (
    AcpLangGraphError,
    ACPRunException,
    ApiException,
    NodeConfigurationError,
    RunTimeoutError,
)
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, Fail, FakeACPServer, Fault, Gate, Response, Work

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": {"text": "hi"}}
MODES = ["sync", "async", "exit"]
AT_ONCE: dict[str, Any] = {"initial_interval": 0.0, "jitter": False}


def failing(times: int, *then: Any) -> Any:
    """A script whose first runs fail, and all others do the rest."""
    runs: list[Any] = []

    def script(run: Any) -> Any:
        runs.append(run)
        if len(runs) <= times:
            yield Fail("no ink")
        for move in then or [Answer("done")]:  # noqa: UP028 - `yield from` would send it answers
            yield move

    return script


def built(node: Any, **options: Any) -> Any:
    return StateGraph(State).add_node(node, **options).add_edge(START, node.name)


def keys(server: FakeACPServer) -> list[str]:
    """What each run's key has more than the first one's."""
    found = [run.metadata[KEY] for run in server.runs]
    return [key.removeprefix(found[0]) for key in found]


# Retry policies


@pytest.mark.parametrize("remembers", [True, False], ids=["remembering", "forgetful"])
@pytest.mark.parametrize("use_threads", [False, True], ids=["stateless", "on a thread"])
def test_a_retry_policy_that_takes_failed_runs_has_them_done_again(
    color: Color, remembers: bool, use_threads: bool
) -> None:
    with FakeACPServer(failing(2)) as server:
        node = make_node(server.url, server.agent_id, use_threads=use_threads)
        policy = RetryPolicy(retry_on=ACPRunException, max_attempts=3, **AT_ONCE)
        graph = built(node, retry_policy=policy).compile(
            checkpointer=InMemorySaver() if remembers else None
        )
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "done"
        assert (server.created, server.completed) == (3, 1)
        assert keys(server) == ["", "/2", "/3"]


def test_a_retry_policy_gives_up_with_the_last_failure(color: Color) -> None:
    with FakeACPServer(failing(9)) as server:
        node = make_node(server.url, server.agent_id)
        policy = RetryPolicy(retry_on=ACPRunException, max_attempts=3, **AT_ONCE)
        graph = built(node, retry_policy=policy).compile(checkpointer=InMemorySaver())
        with pytest.raises(ACPRunException, match="no ink") as caught:
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert caught.value.run_id == server.runs[-1].run_id
        assert server.created == 3


@pytest.mark.parametrize("remembers", [True, False], ids=["remembering", "forgetful"])
def test_a_plain_retry_policy_does_not_do_again_what_failed_meanwhile(
    color: Color, remembers: bool
) -> None:
    with FakeACPServer(failing(1)) as server:
        for each in ("create_stateless_run", "create_and_wait_for_stateless_run_output"):
            server.faults.add(*[Fault.lose_answer()] * 4, on=each)
        server.faults.add(*[Fault.status(503)] * 9, on="search_stateless_runs")
        node = make_node(server.url, server.agent_id)
        graph = built(node, retry_policy=RetryPolicy(max_attempts=9, **AT_ONCE)).compile(
            checkpointer=InMemorySaver() if remembers else None
        )
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert server.created == 1


# Entering the graph again


@pytest.mark.parametrize("durability", MODES)
def test_a_failed_run_is_done_again_by_who_enters_the_graph_again(
    color: Color, durability: str, tmp_path: Path
) -> None:
    with FakeACPServer(failing(2)) as server:
        for step in (INPUT, None):
            builder = built(make_node(server.url, server.agent_id))
            with (
                color.graph_over(builder, tmp_path / "c.sqlite") as graph,
                pytest.raises(ACPRunException, match="no ink"),
            ):
                color.invoke(graph, step, ON_A_THREAD, durability=durability)
        builder = built(make_node(server.url, server.agent_id))
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            state = color.invoke(graph, None, ON_A_THREAD, durability=durability)
        assert state["answer"] == "done"
        assert (server.created, server.completed) == (3, 1)
        assert keys(server) == ["", "/2", "/3"]


def test_a_failed_run_of_a_subgraph_is_done_again(color: Color, tmp_path: Path) -> None:
    with FakeACPServer(failing(1)) as server:
        inner = built(make_node(server.url, server.agent_id)).compile()
        builder = StateGraph(State).add_node("inner", inner).add_edge(START, "inner")
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            with pytest.raises(ACPRunException, match="no ink"):
                color.invoke(graph, INPUT, ON_A_THREAD)
            assert color.invoke(graph, None, ON_A_THREAD)["answer"] == "done"
        assert server.created == 2


def test_a_failed_run_of_the_functional_api_is_done_again(color: Color) -> None:
    with FakeACPServer(failing(1)) as server:
        node = make_node(server.url, server.agent_id)

        def work(text: str) -> Any:
            return node.invoke({"ask": text})["answer"]

        async def awork(text: str) -> Any:
            return (await node.ainvoke({"ask": text}))["answer"]

        flow = entrypoint(checkpointer=InMemorySaver())(work if color.name == "sync" else awork)
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(flow, "hi", ON_A_THREAD)
        assert color.invoke(flow, None, ON_A_THREAD) == "done"
        assert server.created == 2


class Gathered(TypedDict, total=False):
    ask: Any
    answer: Annotated[list[Any], operator.add]


class OpensAfterTwo(BaseCallbackHandler):
    """Opens a gate when two nodes have given their answer; a stream may show the second one late."""

    run_inline = True

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._answers: list[Any] = []

    def on_chain_end(self, outputs: Any, **_: Any) -> None:
        if isinstance(outputs, dict) and "answer" in outputs:
            self._answers.append(outputs)
            if len(self._answers) == 2:
                self._gate.open()


def test_a_failed_branch_recovers_without_running_its_finished_siblings_anew(color: Color) -> None:
    gate = Gate()
    failed: list[Any] = []

    def script(run: Any) -> Any:
        if run.input == 1 and not failed:
            failed.append(run)
            yield Work(gate)
            yield Fail("no ink")
        yield Answer([run.input])

    with FakeACPServer(script) as server:
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", list[int])
        builder = StateGraph(Gathered).add_node(node)
        builder.add_conditional_edges(
            START, lambda _: [Send("remote", {"ask": n}) for n in range(3)]
        )
        graph = builder.compile(checkpointer=InMemorySaver())

        one_fails_when_the_others_are_done = {**ON_A_THREAD, "callbacks": [OpensAfterTwo(gate)]}
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(graph, {}, one_fails_when_the_others_are_done)
        assert color.invoke(graph, None, ON_A_THREAD)["answer"] == [0, 1, 2]
        assert sorted(run.input for run in server.runs) == [0, 1, 1, 2]
        assert server.completed == 3


def test_a_failure_that_nobody_was_told_of_is_told_before_the_run_is_done_again(
    color: Color, tmp_path: Path
) -> None:
    gate = Gate()
    runs: list[Any] = []

    def script(run: Any) -> Any:
        runs.append(run)
        if len(runs) == 1:
            yield Work(gate)
            yield Fail("no ink")
        yield Answer("done")

    with FakeACPServer(script) as server:
        builder = built(make_node(server.url, server.agent_id))
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            server.faults.add(Fault.status(403), on="wait_for_stateless_run_output")
            with pytest.raises(ApiException, match="403"):
                color.invoke(graph, INPUT, ON_A_THREAD)
            gate.open()
            with pytest.raises(ACPRunException, match="no ink"):
                color.invoke(graph, None, ON_A_THREAD)
            assert server.created == 1
            assert color.invoke(graph, None, ON_A_THREAD)["answer"] == "done"
        assert server.created == 2


@pytest.mark.parametrize("durability", MODES)
def test_a_run_that_a_retry_did_again_is_the_one_that_another_process_finds(
    color: Color, durability: str, tmp_path: Path
) -> None:
    with FakeACPServer(failing(1, Ask("color?"), Answer(lambda run: run.answers))) as server:
        for step in (INPUT, Command(resume="blue")):
            node = make_node(server.url, server.agent_id)
            policy = RetryPolicy(retry_on=ACPRunException, **AT_ONCE)
            builder = built(node, retry_policy=policy)
            with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
                state = color.invoke(graph, step, ON_A_THREAD, durability=durability)
        assert state["answer"] == ["blue"]
        assert server.created == 2


def test_a_failure_that_the_graph_has_dealt_with_is_the_same_when_it_is_entered_again(
    color: Color,
) -> None:
    with FakeACPServer(failing(1)) as server:
        node = make_node(server.url, server.agent_id)

        def work(_: State) -> Any:
            try:
                return node.invoke(INPUT)
            except ACPRunException as error:
                return {"answer": interrupt(error.description)}

        async def awork(_: State) -> Any:
            try:
                return await node.ainvoke(INPUT)
            except ACPRunException as error:
                return {"answer": interrupt(error.description)}

        graph = StateGraph(State).add_node("work", work if color.name == "sync" else awork)
        compiled = graph.add_edge(START, "work").compile(checkpointer=InMemorySaver())
        (question,) = color.invoke(compiled, INPUT, ON_A_THREAD)["__interrupt__"]
        assert question.value == "no ink"
        state = color.invoke(compiled, Command(resume="never mind"), ON_A_THREAD)
        assert state["answer"] == "never mind"
        assert server.created == 1


def test_a_run_that_took_too_long_and_was_cancelled_is_done_again(
    color: Color, tmp_path: Path
) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        builder = built(make_node(server.url, server.agent_id, run_timeout=0.2))
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            with pytest.raises(RunTimeoutError, match="was cancelled"):
                color.invoke(graph, INPUT, ON_A_THREAD)
            gate.open()
            assert color.invoke(graph, None, ON_A_THREAD)["answer"] == "done"
        assert (server.created, server.completed) == (2, 1)
        assert keys(server) == ["", "/2"]


def test_a_run_that_succeeded_without_an_output_is_not_done_again(
    color: Color, tmp_path: Path
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        times = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
        run = {"run_id": "1", "agent_id": server.agent_id, "status": "success", "creation": {}}
        silent = Fault.respond(Response.json({"run": {**run, **times}}))
        builder = built(make_node(server.url, server.agent_id))
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            for step in (INPUT, None, None):
                server.faults.add(silent, on="wait_for_stateless_run_output", times=None)
                with pytest.raises(AcpLangGraphError, match="success"):
                    color.invoke(graph, step, ON_A_THREAD)
        assert server.created == 1


# Who does not want that


@pytest.mark.parametrize("how", ["policy", "entry"])
def test_who_keeps_to_failures_is_told_the_same_again(color: Color, how: str) -> None:
    with FakeACPServer(failing(1)) as server:
        node = make_node(server.url, server.agent_id, on_failure="keep")
        policy = RetryPolicy(retry_on=ACPRunException, **AT_ONCE)
        graph = built(node, retry_policy=policy if how == "policy" else None).compile(
            checkpointer=InMemorySaver()
        )
        for step in (INPUT, None):
            with pytest.raises(ACPRunException, match="no ink"):
                color.invoke(graph, step, ON_A_THREAD)
        assert server.created == 1


def test_what_to_do_about_failures_is_one_of_two() -> None:
    with pytest.raises(NodeConfigurationError, match=r"rerun.*keep"):
        ACPNode("remote", "agent", "http://127.0.0.1:1", on_failure="retry")  # type: ignore[arg-type]


# Tools


class Chat(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


class Text(TypedDict):
    text: str


def calling(server: FakeACPServer, saver: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    """A graph in which a model has called an agent, and what it is invoked with."""
    remote = ACPNode("remote", server.agent_id, server.url, input_type=Text)
    builder = StateGraph(Chat).add_node("tools", ToolNode([remote.as_tool()], **options))
    calls = [{"name": "remote", "id": "1", "args": {"text": "hi"}}]
    graph = builder.add_edge(START, "tools").compile(checkpointer=saver)
    return graph, {"messages": [AIMessage("", tool_calls=calls)]}


def result_of(state: dict[str, Any]) -> Any:
    (message,) = [each for each in state["messages"] if isinstance(each, ToolMessage)]
    return message.artifact


@pytest.mark.parametrize("remembers", [True, False], ids=["remembering", "forgetful"])
def test_a_wrapper_that_retries_a_tool_has_a_failed_run_done_again(
    color: Color, remembers: bool
) -> None:
    def again(request: Any, execute: Any) -> Any:
        try:
            return execute(request)
        except ACPRunException:
            return execute(request)

    async def aagain(request: Any, execute: Any) -> Any:
        try:
            return await execute(request)
        except ACPRunException:
            return await execute(request)

    with FakeACPServer(failing(1)) as server:
        saver = InMemorySaver() if remembers else None
        graph, state = calling(server, saver, wrap_tool_call=again, awrap_tool_call=aagain)
        assert result_of(color.invoke(graph, state, ON_A_THREAD)) == "done"
        assert server.created == 2


def test_a_failed_run_of_a_tool_is_done_again_by_who_enters_the_graph_again(color: Color) -> None:
    with FakeACPServer(failing(2)) as server:
        graph, state = calling(server, InMemorySaver())
        for step in (state, None):
            with pytest.raises(ACPRunException, match="no ink"):
                color.invoke(graph, step, ON_A_THREAD)
        assert result_of(color.invoke(graph, None, ON_A_THREAD)) == "done"
        assert keys(server) == ["", "/2", "/3"]
