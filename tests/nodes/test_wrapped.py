"""Nodes that LangChain wraps: a question is not an error to try again, and an order stays one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.runnables.fallbacks import RunnableWithFallbacks
from langchain_core.runnables.retry import RunnableRetry
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from support.colors import Color
from support.counted import make_node

from acp_langgraph.errors import ForbiddenException, NodeConfigurationError, NodeOutputError
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
WAIT = "wait_for_stateless_run_output"
TWO_QUESTIONS = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]

Wrap = Callable[[Runnable[Any, Any]], Runnable[Any, Any]]


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def retried(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
    return RunnableRetry(bound=node, wait_exponential_jitter=False)


def retried_with_a_configuration(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
    return retried(node.with_config(tags=["mine"]))


def retried_in_a_sequence(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
    return retried(RunnableLambda(dict) | node)


def retried_by_hand(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
    def work(state: State) -> Any:
        for left in (2, 1, 0):
            try:
                return node.invoke(state)
            except Exception:
                if not left:
                    raise
        raise AssertionError

    async def awork(state: State) -> Any:
        for left in (2, 1, 0):
            try:
                return await node.ainvoke(state)
            except Exception:
                if not left:
                    raise
        raise AssertionError

    return RunnableLambda(work, awork)


WRAPPED: list[Wrap] = [
    retried,
    retried_with_a_configuration,
    retried_in_a_sequence,
    retried_by_hand,
]


def graph_of(work: Runnable[Any, Any]) -> Any:
    builder = StateGraph(State).add_node("remote", work).add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def conversation(color: Color, graph: Any, *answers: Any) -> tuple[list[Any], Any]:
    """What was asked, and the answer in the end."""
    asked = []
    state = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    for answer in answers:
        asked += [question.value for question in state["__interrupt__"]]
        state = color.invoke(graph, Command(resume=answer), ON_A_THREAD)
    assert "__interrupt__" not in state
    return asked, state["answer"]


@pytest.mark.parametrize("wrap", WRAPPED, ids=lambda wrap: wrap.__name__)
def test_a_question_passes_whoever_repeats_what_fails(color: Color, wrap: Wrap) -> None:
    with FakeACPServer(TWO_QUESTIONS) as server:
        graph = graph_of(wrap(make_node(server.url, server.agent_id)))
        asked, answer = conversation(color, graph, "blue", "rice")
        assert server.created == server.completed == 1
    assert asked == ["color?", "food?"]
    assert answer == ["blue", "rice"]


@pytest.mark.parametrize("wrap", WRAPPED, ids=lambda wrap: wrap.__name__)
def test_a_wait_that_fails_and_is_repeated_goes_on_with_the_same_run(
    color: Color, wrap: Wrap
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.status(403), Fault.status(403), on=WAIT)
        graph = graph_of(wrap(make_node(server.url, server.agent_id)))
        assert conversation(color, graph) == ([], "done")
        assert server.created == server.completed == 1


def test_what_fails_after_an_answer_is_repeated_on_the_same_run(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        server.faults.add(Fault.none(), Fault.status(403), on=WAIT)
        graph = graph_of(retried(make_node(server.url, server.agent_id)))
        assert conversation(color, graph, "blue") == (["color?"], ["blue"])
        assert server.created == server.completed == 1


@pytest.mark.parametrize("times", [1, 3])
def test_two_orders_in_one_function_are_two_runs_also_where_one_was_repeated(
    color: Color, times: int
) -> None:
    with FakeACPServer([Answer(lambda run: run.creation["input"]["n"])]) as server:
        node = retried(make_node(server.url, server.agent_id))

        def work(_: State) -> Any:
            return {"answer": [node.invoke({"ask": {"n": n}})["answer"] for n in range(times)]}

        async def awork(_: State) -> Any:
            return {
                "answer": [(await node.ainvoke({"ask": {"n": n}}))["answer"] for n in range(times)]
            }

        server.faults.add(Fault.status(403), on=WAIT)
        graph = graph_of(RunnableLambda(work, awork))
        assert conversation(color, graph) == ([], [*range(times)])
        assert server.created == server.completed == times


def test_a_node_with_a_retry_of_its_own_asks_once_or_says_what_to_use(color: Color) -> None:
    with FakeACPServer(TWO_QUESTIONS) as server:
        try:
            node = make_node(server.url, server.agent_id).with_retry(wait_exponential_jitter=False)
        except NodeConfigurationError as refusal:
            assert "retry_policy" in str(refusal)  # noqa: PT017 - either will do
            return
        asked, answer = conversation(color, graph_of(node), "blue", "rice")
        assert server.created == server.completed == 1
    assert (asked, answer) == (["color?", "food?"], ["blue", "rice"])


def fallback(_: State) -> State:
    return {"answer": "fallback"}


def test_a_node_with_fallbacks_asks_or_says_what_to_use(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        try:
            node = make_node(server.url, server.agent_id).with_fallbacks([RunnableLambda(fallback)])
        except NodeConfigurationError as refusal:
            assert "error_handler" in str(refusal)  # noqa: PT017 - either will do
            return
        assert conversation(color, graph_of(node), "blue") == (["color?"], ["blue"])
        assert server.created == server.completed == 1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda node: node.with_retry(),
        lambda node: node.with_config(tags=["mine"]),
        lambda node: node.with_config(tags=["mine"]).with_retry(),
        lambda node: node.bind(),
        lambda node: node.with_retry().with_config({"tags": ["mine"]}),
        lambda node: node.as_tool(arg_types={"n": int}),
    ],
)
def test_what_a_node_is_wrapped_in_refuses_fallbacks_as_it_does(wrap: Any) -> None:
    node = make_node("http://127.0.0.1:9", "agent")
    with pytest.raises(NodeConfigurationError, match="error_handler"):
        wrap(node).with_fallbacks([RunnableLambda(fallback)])


def test_a_node_that_stands_in_for_another_does_not_take_its_question_for_a_failure(
    color: Color,
) -> None:
    scripts = {"first": [Ask("color?"), Answer(lambda run: run.answers)], "second": [Answer("no")]}
    with FakeACPServer(scripts) as server:
        first = make_node(server.url, "first")
        second = make_node(server.url, "second")
        graph = graph_of(RunnableWithFallbacks(runnable=first, fallbacks=[second]))
        assert conversation(color, graph, "blue") == (["color?"], ["blue"])
        assert server.created == server.completed == 1


def test_a_node_stands_in_for_another_that_fails(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        first = make_node(server.url, "6f2b7f0e-0d4f-5a36-9a2c-000000000000")
        second = make_node(server.url, server.agent_id)
        graph = graph_of(RunnableWithFallbacks(runnable=first, fallbacks=[second]))
        assert conversation(color, graph) == ([], "done")


def test_what_is_refused_again_and_again_is_raised_in_the_end(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.status(403), on=WAIT, times=None)
        graph = graph_of(retried(make_node(server.url, server.agent_id)))
        with pytest.raises(ForbiddenException):
            conversation(color, graph)
        assert server.created == 1


def config_first(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
    return node.with_config(tags=["mine"])


def retry_first(node: Runnable[Any, Any]) -> Runnable[Any, Any]:
    return node.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)


@pytest.mark.parametrize("wrap", [config_first, retry_first])
def test_a_wrapped_node_with_fallbacks_asks_or_says_what_to_use(color: Color, wrap: Wrap) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        try:
            wrapped = wrap(make_node(server.url, server.agent_id))
            work = wrapped.with_fallbacks([RunnableLambda(fallback)])
        except NodeConfigurationError as refusal:
            assert "error_handler" in str(refusal)  # noqa: PT017 - either will do
            return
        assert conversation(color, graph_of(work), "blue") == (["color?"], ["blue"])
        assert server.created == server.completed == 1


def test_a_tool_with_fallbacks_asks_or_says_what_to_use(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        node = make_node(server.url, server.agent_id)
        made = node.as_tool(args_schema={"type": "object", "properties": {}})
        try:
            tool = made.with_fallbacks([RunnableLambda(lambda _: "fallback")])
        except NodeConfigurationError:
            return
        call = {"name": "remote", "args": {}, "id": "1", "type": "tool_call"}

        def work(_: State) -> Any:
            return {"answer": tool.invoke(call)}

        async def awork(_: State) -> Any:
            return {"answer": await tool.ainvoke(call)}

        asked, _ = conversation(color, graph_of(RunnableLambda(work, awork)), "blue")
        assert asked == ["color?"]
        assert server.created == server.completed == 1


def test_an_order_that_was_changed_after_it_failed_is_another_order(color: Color) -> None:
    """Whoever mends what was asked, and asks again, is not given the answer to what was asked first."""
    with FakeACPServer([Answer(lambda run: run.input)]) as server:
        node = ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", str)

        def work(_: State) -> Any:
            order: Any = {"ask": 1}
            try:
                return node.invoke(order)
            except NodeOutputError:
                order["ask"] = "one"
                return node.invoke(order)

        async def awork(_: State) -> Any:
            order: Any = {"ask": 1}
            try:
                return await node.ainvoke(order)
            except NodeOutputError:
                order["ask"] = "one"
                return await node.ainvoke(order)

        graph = graph_of(RunnableLambda(work, awork))
        assert conversation(color, graph) == ([], "one")
        assert server.created == 2
