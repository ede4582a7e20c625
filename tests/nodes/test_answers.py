"""Answers to what remote agents ask: each reaches the question that it was given to, and no other."""

from __future__ import annotations

import operator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.runtime import RunControl
from langgraph.types import Command, RetryPolicy, Send, interrupt
from support.colors import Color
from support.counted import State, graph_with, make_node
from support.graphs import fan_out

from acp_langgraph import APIBridgeAgentNode, QuantChatNode
from acp_langgraph.errors import ACPRunException, ApiException
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.quant.polling import Pace
from acp_langgraph.server import serve
from acp_langgraph.testing import (
    Answer,
    Ask,
    BridgeService,
    Fail,
    FakeACPServer,
    FakeBridge,
    Fault,
    Gate,
    Response,
    Work,
)
from acp_langgraph.testing.quant import FakeQuant

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": {"text": "hi"}}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]
IDS = ("0123456789abcdef" * 2, "fedcba9876543210" * 2)
MANY = {"interrupt_type": "multiple", "interrupts": {IDS[0]: "color?", IDS[1]: "food?"}}


def asked(state: Any) -> list[Any]:
    return [each.value for each in state["__interrupt__"]]


def inside(graph: Any, name: str = "inner") -> Any:
    return StateGraph(State).add_node(name, graph).add_edge(START, name)


# A second question


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_second_question_is_asked_again_and_not_given_the_first_answer(
    color: Color, durability: str, tmp_path: Path
) -> None:
    how = {"durability": durability}
    with FakeACPServer(TWICE) as server:
        for step in (INPUT, Command(resume="blue"), None, None, Command(resume="rice")):
            builder = graph_with(make_node(server.url, server.agent_id)).builder
            with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
                state = color.invoke(graph, step, ON_A_THREAD, **how)
            if step is None:
                assert asked(state) == ["food?"]
        assert state["answer"] == ["blue", "rice"]
        assert server.run.answers == ["blue", "rice"]


def test_the_same_answer_may_be_given_twice(color: Color) -> None:
    with FakeACPServer(TWICE) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        color.invoke(graph, INPUT, ON_A_THREAD)
        color.invoke(graph, Command(resume="yes"), ON_A_THREAD)
        assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["food?"]
        assert color.invoke(graph, Command(resume="yes"), ON_A_THREAD)["answer"] == ["yes", "yes"]


def test_two_questions_in_the_same_words_are_two_questions(color: Color) -> None:
    with FakeACPServer([Ask("sure?"), Ask("sure?"), Answer(lambda run: run.answers)]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        color.invoke(graph, INPUT, ON_A_THREAD)
        color.invoke(graph, Command(resume="yes"), ON_A_THREAD)
        assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["sure?"]
        assert color.invoke(graph, Command(resume="no"), ON_A_THREAD)["answer"] == ["yes", "no"]


def test_a_second_question_in_a_subgraph_is_asked_again(color: Color, tmp_path: Path) -> None:
    with FakeACPServer(TWICE) as server:
        inner = graph_with(make_node(server.url, server.agent_id)).builder.compile()
        with color.graph_over(inside(inside(inner).compile()), tmp_path / "c.sqlite") as graph:
            color.invoke(graph, INPUT, ON_A_THREAD)
            color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
            assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["food?"]
            state = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
        assert state["answer"] == ["blue", "rice"]


@pytest.mark.parametrize("before", ["remote", "local"])
def test_what_was_answered_in_one_node_of_a_subgraph_is_no_answer_for_the_next(
    color: Color, before: str
) -> None:
    with (
        FakeACPServer([Ask("color?"), Answer("painted")]) as first,
        FakeACPServer([Ask("food?"), Answer(lambda run: run.answers)]) as second,
    ):
        node: Any = lambda _: {"answer": interrupt("color?")}  # noqa: E731 - a node of two
        if before == "remote":
            node = make_node(first.url, first.agent_id)
        inner = StateGraph(State).add_node("before", node)
        inner.add_node("after", make_node(second.url, second.agent_id))
        inner.add_edge(START, "before").add_edge("before", "after")
        graph = inside(inner.compile()).compile(checkpointer=InMemorySaver())
        assert asked(color.invoke(graph, INPUT, ON_A_THREAD)) == ["color?"]
        assert asked(color.invoke(graph, Command(resume="blue"), ON_A_THREAD)) == ["food?"]
        assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["food?"]
        assert color.invoke(graph, Command(resume="rice"), ON_A_THREAD)["answer"] == ["rice"]


@pytest.mark.parametrize("where", ["function", "task"])
def test_a_second_node_of_the_functional_api_is_not_given_the_answer_of_the_first(
    color: Color, where: str
) -> None:
    with FakeACPServer([Ask(lambda run: run.input), Answer(lambda run: run.answers)]) as server:
        node = make_node(server.url, server.agent_id)

        def one(text: str) -> Any:
            return node.invoke({"ask": text})["answer"]

        async def aone(text: str) -> Any:
            return (await node.ainvoke({"ask": text}))["answer"]

        def work(_: Any) -> Any:
            if where == "function":
                return [one("a"), one("b")]
            return [task(one)("a").result(), task(one)("b").result()]

        async def awork(_: Any) -> Any:
            if where == "function":
                return [await aone("a"), await aone("b")]
            return [await task(aone)("a"), await task(aone)("b")]

        flow = entrypoint(checkpointer=InMemorySaver())(work if color.name == "sync" else awork)
        last = color.stream(flow, "go", ON_A_THREAD)[-1]
        assert asked(last) == ["a"]
        assert asked(color.stream(flow, Command(resume=1), ON_A_THREAD)[-1]) == ["b"]
        assert asked(color.stream(flow, None, ON_A_THREAD)[-1]) == ["b"]
        assert color.invoke(flow, Command(resume=2), ON_A_THREAD) == [[1], [2]]


class Fan(TypedDict, total=False):
    ask: Any
    answer: Annotated[list[Any], operator.add]


def listing(server: FakeACPServer) -> ACPNode:
    return ACPNode("remote", server.agent_id, server.url, "ask", None, "answer", list[Any])


def test_several_tasks_that_wait_ask_again_until_each_has_its_own_answer(color: Color) -> None:
    script = [
        *(Ask(lambda run, each=each: f"{run.input} {each}") for each in ("color?", "food?")),
        Answer(lambda run: [{run.input: run.answers}]),
    ]
    with FakeACPServer(script) as server:
        builder = StateGraph(Fan).add_node(listing(server))
        builder.add_conditional_edges(START, lambda _: [Send("remote", {"ask": n}) for n in "ab"])
        graph = builder.compile(checkpointer=InMemorySaver())
        state = color.invoke(graph, {}, ON_A_THREAD)
        while len(questions := state["__interrupt__"]) == 2:
            again = asked(color.invoke(graph, None, ON_A_THREAD))
            assert sorted(again) == sorted(each.value for each in questions)
            one = next(each for each in questions if each.value.startswith("a"))
            state = color.invoke(graph, Command(resume={one.id: one.value}), ON_A_THREAD)
        assert asked(state) == ["b color?"]
        color.invoke(graph, Command(resume="b color?"), ON_A_THREAD)
        assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["b food?"]
        color.invoke(graph, Command(resume="b food?"), ON_A_THREAD)
        for run in server.runs:
            assert run.answers == [f"{run.input} color?", f"{run.input} food?"]


def test_a_node_that_failed_does_not_take_the_answer_to_the_one_beside_it(color: Color) -> None:
    done = Answer(lambda run: run.answers)
    describes = "get_acp_descriptor_by_id"  # what comes right before a question is put
    with (
        FakeACPServer([Ask("color?"), done]) as slow,
        FakeACPServer([Ask("food?"), done]) as quick,
        ThreadPoolExecutor(1) as pool,
    ):

        def built() -> Any:
            builder = StateGraph(State)
            for name, server, to in (("slow", slow, "answer"), ("quick", quick, "ask")):
                node = ACPNode(name, server.agent_id, server.url, "ask", None, to, None)
                builder.add_node(node).add_edge(START, name)
            return builder.compile(checkpointer=saver)

        saver = InMemorySaver()
        refused = Gate()
        late = Fault.status(403) | Fault.hold(refused)
        quick.faults.add(late, on="wait_for_stateless_run_output")
        job = pool.submit(color.invoke, built(), INPUT, ON_A_THREAD)
        slow.requests.wait_for(describes)
        slow.wait_until(lambda: bool(_interrupts(saver)))
        refused.open()
        with pytest.raises(ApiException, match="403"):
            job.result()
        held = Gate()
        slow.faults.add(Fault.hold(held), on=describes)
        job = pool.submit(color.invoke, built(), Command(resume="blue"), ON_A_THREAD)
        quick.requests.wait_for(describes)
        held.open()
        state = job.result()
        assert asked(state) == ["food?"]
        assert (slow.run.answers, quick.run.answers) == (["blue"], [])
        state = color.invoke(built(), Command(resume="rice"), ON_A_THREAD)
        assert (state["answer"], state["ask"]) == (["blue"], ["rice"])


def _interrupts(saver: InMemorySaver) -> list[Any]:
    found = saver.get_tuple(ON_A_THREAD)
    writes = (found.pending_writes or ()) if found is not None else ()
    return [value for _, channel, value in writes if channel == "__interrupt__"]


def test_after_an_answer_a_failure_in_between_does_not_answer_the_next_question(
    color: Color, tmp_path: Path
) -> None:
    with FakeACPServer(TWICE) as server:
        builder = graph_with(make_node(server.url, server.agent_id)).builder
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            color.invoke(graph, INPUT, ON_A_THREAD)
            server.faults.add(Fault.status(403), on="wait_for_stateless_run_output")
            with pytest.raises(ApiException, match="403"):
                color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
            assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["food?"]
            assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["food?"]
            state = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
        assert state["answer"] == ["blue", "rice"]


def test_an_answer_that_is_given_once_more_after_a_failure_is_for_its_own_question(
    color: Color,
) -> None:
    with FakeACPServer(TWICE) as server:
        for again in ("by id", "plain"):
            graph = graph_with(make_node(server.url, server.agent_id))
            (question,) = color.invoke(graph, INPUT, ON_A_THREAD)["__interrupt__"]
            answer = Command(resume={question.id: "blue"} if again == "by id" else "blue")
            server.faults.add(Fault.status(403), on="wait_for_stateless_run_output")
            with pytest.raises(ApiException, match="403"):
                color.invoke(graph, answer, ON_A_THREAD)
            assert asked(color.invoke(graph, answer, ON_A_THREAD)) == ["food?"]
            assert server.runs[-1].answers == ["blue"]


def test_after_a_drain_the_answer_is_kept_and_the_next_question_asked() -> None:
    gate = Gate()
    script = [Ask("color?"), Work(gate), Ask("food?"), Answer(lambda run: run.answers)]
    with FakeACPServer(script) as server, ThreadPoolExecutor(1) as pool:
        node = make_node(server.url, server.agent_id, timeout=0.2)
        graph = graph_with(node)
        control = RunControl()
        graph.invoke(INPUT, ON_A_THREAD)
        blue = Command(resume="blue")
        job = pool.submit(graph.invoke, blue, ON_A_THREAD, control=control)
        gate.wait_arrival()
        control.request_drain()
        with pytest.raises(GraphDrained):
            job.result()
        gate.open()
        assert asked(graph.invoke(None, ON_A_THREAD)) == ["food?"]
        assert asked(graph.invoke(None, ON_A_THREAD)) == ["food?"]
        assert server.run.answers == ["blue"]


def test_an_answer_by_id_that_comes_twice_does_not_answer_the_next_question(color: Color) -> None:
    with FakeACPServer(TWICE) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        (question,) = color.invoke(graph, INPUT, ON_A_THREAD)["__interrupt__"]
        blue = Command(resume={question.id: "blue"})
        for _ in range(3):
            assert asked(color.invoke(graph, blue, ON_A_THREAD)) == ["food?"]
        assert color.invoke(graph, Command(resume="rice"), ON_A_THREAD)["answer"] == [
            "blue",
            "rice",
        ]


def test_an_answer_may_be_given_in_advance_where_nothing_is_on_display(color: Color) -> None:
    with FakeACPServer([Ask("color?"), Answer(lambda run: run.answers)]) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        color.invoke(graph, INPUT, ON_A_THREAD)
        color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        history = list(graph.get_state_history(ON_A_THREAD))
        before = next(state for state in history if state.next == ("remote",))
        fork = graph.update_state(before.config, INPUT)
        assert color.invoke(graph, Command(resume="red"), fork)["answer"] == ["red"]
        assert [run.answers for run in server.runs] == [["blue"], ["red"]]


def test_a_run_that_is_done_again_asks_anew_and_is_not_given_what_the_failed_one_was_told(
    color: Color,
) -> None:
    runs: list[Any] = []

    def script(run: Any) -> Any:
        runs.append(run)
        yield Ask("color?")
        yield Fail("no ink") if len(runs) == 1 else Answer(run.answers)

    with FakeACPServer(script) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        color.invoke(graph, INPUT, ON_A_THREAD)
        with pytest.raises(ACPRunException, match="no ink"):
            color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        for _ in range(2):
            assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["color?"]
        assert color.invoke(graph, Command(resume="red"), ON_A_THREAD)["answer"] == ["red"]
        assert [run.answers for run in server.runs] == [["blue"], ["red"]]


# Retries


def retrying(server: FakeACPServer) -> Any:
    """A graph whose node is tried again whatever goes wrong."""
    policy = RetryPolicy(retry_on=Exception, max_attempts=5, initial_interval=0.0, jitter=False)
    node = make_node(server.url, server.agent_id)
    return StateGraph(State).add_node(node, retry_policy=policy).add_edge(START, "remote")


def test_after_a_retry_the_next_question_is_not_given_the_answer_to_the_one_before(
    color: Color, tmp_path: Path
) -> None:
    with FakeACPServer(TWICE) as server:
        steps = (INPUT, Command(resume="blue"), None, Command(resume="rice"))
        for step, question in zip(steps, ("color?", "food?", "food?", ""), strict=True):
            if step is not INPUT:
                server.faults.add(Fault.status(403), on="wait_for_stateless_run_output")
            with color.graph_over(retrying(server), tmp_path / "c.sqlite") as graph:
                state = color.invoke(graph, step, ON_A_THREAD)
            assert not question or asked(state) == [question]
        assert state["answer"] == ["blue", "rice"]


@pytest.mark.parametrize("failures", range(1, 5))
def test_retries_before_a_question_do_not_have_it_asked_twice(
    color: Color, failures: int, tmp_path: Path
) -> None:
    with FakeACPServer(TWICE) as server:
        server.faults.add(*[Fault.status(403)] * failures, on="create_stateless_run")
        steps = (INPUT, Command(resume="blue"), Command(resume="rice"))
        for step, question in zip(steps, ("color?", "food?", ""), strict=True):
            with color.graph_over(retrying(server), tmp_path / "c.sqlite") as graph:
                state = color.invoke(graph, step, ON_A_THREAD)
            assert not question or asked(state) == [question]
        assert state["answer"] == server.run.answers == ["blue", "rice"]


def test_a_run_that_a_retry_does_again_is_not_given_what_the_failed_one_was_told(
    color: Color, tmp_path: Path
) -> None:
    runs: list[Any] = []

    def script(run: Any) -> Any:
        runs.append(run)
        yield Ask("color?")
        yield Fail("no ink") if len(runs) == 1 else Answer(run.answers)

    with FakeACPServer(script) as server:
        steps = (INPUT, Command(resume="blue"), None, Command(resume="red"))
        for step in steps:
            with color.graph_over(retrying(server), tmp_path / "c.sqlite") as graph:
                state = color.invoke(graph, step, ON_A_THREAD)
            assert step is steps[-1] or asked(state) == ["color?"]
        assert state["answer"] == ["red"]
        assert [run.answers for run in server.runs] == [["blue"], ["red"]]


# In tools, bridges and chats


class Text(TypedDict):
    text: str


class Chat(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


def calling(server: FakeACPServer, *ids: str) -> tuple[Any, dict[str, Any]]:
    """A graph in which a model has called an agent so many times, and what it is invoked with."""
    remote = ACPNode("remote", server.agent_id, server.url, input_type=Text)
    builder = StateGraph(Chat).add_node("tools", ToolNode([remote.as_tool()]))
    calls = [{"name": "remote", "id": each, "args": {"text": each}} for each in ids]
    graph = builder.add_edge(START, "tools").compile(checkpointer=InMemorySaver())
    return graph, {"messages": [AIMessage("", tool_calls=calls)]}


def told(state: dict[str, Any]) -> dict[str, Any]:
    made = [each for each in state["messages"] if isinstance(each, ToolMessage)]
    return {each.tool_call_id: each.artifact for each in made}


def test_a_second_question_of_a_tool_is_asked_again(color: Color) -> None:
    with FakeACPServer(TWICE) as server:
        graph, state = calling(server, "1")
        color.invoke(graph, state, ON_A_THREAD)
        color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        for _ in range(2):
            assert asked(color.invoke(graph, None, ON_A_THREAD)) == ["food?"]
        state = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
        assert told(state) == {"1": ["blue", "rice"]}
        assert server.created == 1


def test_an_answer_by_id_that_comes_twice_does_not_answer_a_tools_next_question(
    color: Color,
) -> None:
    with FakeACPServer(TWICE) as server:
        graph, state = calling(server, "1")
        (question,) = color.invoke(graph, state, ON_A_THREAD)["__interrupt__"]
        for _ in range(2):
            again = color.invoke(graph, Command(resume={question.id: "blue"}), ON_A_THREAD)
            assert asked(again) == ["food?"]
        assert server.run.answers == ["blue"]


def test_approving_one_query_does_not_approve_the_next(color: Color) -> None:
    services = {"mail": BridgeService(lambda query: Response.empty(202))}
    with FakeBridge(services) as bridge:
        inner = StateGraph(State)
        for name in ("first", "second"):
            node = APIBridgeAgentNode(
                name, bridge.url, "mail", "ask", "answer", None, str, None, confirm=True
            )
            inner.add_node(node)
        inner.add_edge(START, "first").add_edge("first", "second")
        graph = inside(inner.compile()).compile(checkpointer=InMemorySaver())
        color.invoke(graph, {"ask": "Send it"}, ON_A_THREAD)
        color.invoke(graph, Command(resume=True), ON_A_THREAD)
        assert len(asked(color.invoke(graph, None, ON_A_THREAD))) == 1
        assert len(bridge.queries) == 1
        color.invoke(graph, Command(resume=True), ON_A_THREAD)
        assert len(bridge.queries) == 2


def test_a_second_question_of_a_chat_is_asked_again(color: Color) -> None:
    with FakeQuant([], scale=0.01) as server:
        rounds = [{"human": {"q": "color?"}}, {"human": {"q": "food?"}}]
        server.make_chat = lambda request: {"rounds": rounds, "reply": "ok"}
        node = QuantChatNode(
            "chat",
            server.url,
            organisation="acme",
            model_id="m",
            input_path="ask",
            output_path="answer",
            pace=Pace(0.01, 0.02, 30.0),
        )
        graph = StateGraph(State).add_node(node).add_edge(START, "chat")
        compiled = graph.compile(checkpointer=InMemorySaver())
        color.invoke(compiled, {"ask": "hi"}, ON_A_THREAD)
        color.invoke(compiled, Command(resume="blue"), ON_A_THREAD)
        (question,) = asked(color.invoke(compiled, None, ON_A_THREAD))
        assert question["tools"][0]["input"] == {"q": "food?"}
        color.invoke(compiled, Command(resume="rice"), ON_A_THREAD)
        (chat,) = server.chats
        assert [[each["result"]["result"] for each in said] for said in chat.answers] == [
            ["blue"],
            ["rice"],
        ]


# Several questions at once


@pytest.mark.parametrize("wrapped", [False, True], ids=["as shown", "by the interrupt's id"])
def test_several_questions_of_one_agent_are_answered_by_an_object_of_their_ids(
    color: Color, wrapped: bool
) -> None:
    with serve({"many": fan_out(3)}) as server:
        node = ACPNode("remote", "many", server.url, "ask", None, "answer", None)
        graph = graph_with(node)
        state = color.invoke(graph, {"ask": {"text": "hi", "notes": []}}, ON_A_THREAD)
        (question,) = state["__interrupt__"]
        each = question.value["interrupts"]
        answers = {id_: f"for {value['item']}" for id_, value in each.items()}
        resume = {question.id: answers} if wrapped else answers
        done = color.invoke(graph, Command(resume=resume), ON_A_THREAD)
        assert done["answer"]["notes"] == [[n, f"for {n}"] for n in range(3)]


def test_an_object_of_ids_is_remembered_as_an_answer_like_any_other(
    color: Color, tmp_path: Path
) -> None:
    given = dict(zip(IDS, ("blue", "rice"), strict=True))
    script = [Ask(MANY), Ask("sure?"), Answer(lambda run: run.answers)]
    with FakeACPServer(script) as server:
        for step in (INPUT, Command(resume=given), None, Command(resume="yes")):
            builder = graph_with(make_node(server.url, server.agent_id)).builder
            with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
                state = color.invoke(graph, step, ON_A_THREAD)
            if step is None:
                assert asked(state) == ["sure?"]
        assert state["answer"] == [given, "yes"]


def test_several_agents_that_ask_several_questions_are_answered_by_one_object(
    color: Color,
) -> None:
    def many(run: Any) -> Any:
        ids = {f"{run.input}{number}".ljust(32, "0"): number for number in range(2)}
        return {"interrupt_type": "multiple", "interrupts": ids}

    with FakeACPServer([Ask(many), Answer(lambda run: run.answers)]) as server:
        builder = StateGraph(Fan).add_node(listing(server))
        builder.add_conditional_edges(START, lambda _: [Send("remote", {"ask": n}) for n in "ab"])
        graph = builder.compile(checkpointer=InMemorySaver())
        questions = asked(color.invoke(graph, {}, ON_A_THREAD))
        given = {id_: id_[:2] for each in questions for id_ in each["interrupts"]}
        color.invoke(graph, Command(resume=given), ON_A_THREAD)
        for run in server.runs:
            assert list(run.answers[0].values()) == [f"{run.input}0", f"{run.input}1"]


def test_an_agent_that_asks_for_the_rest_is_not_given_the_same_answers_again(
    color: Color,
) -> None:
    script = [Ask(MANY), Ask(MANY), Answer(lambda run: run.answers)]
    with FakeACPServer(script) as server:
        graph = graph_with(make_node(server.url, server.agent_id))
        color.invoke(graph, INPUT, ON_A_THREAD)
        state = color.invoke(graph, Command(resume={IDS[0]: "blue"}), ON_A_THREAD)
        assert asked(state) == [MANY]
        state = color.invoke(graph, Command(resume={IDS[1]: "rice"}), ON_A_THREAD)
        assert state["answer"] == [{IDS[0]: "blue"}, {IDS[1]: "rice"}]


def test_several_questions_of_a_called_agent_are_answered_by_an_object_of_their_ids(
    color: Color,
) -> None:
    given = dict(zip(IDS, ("blue", "rice"), strict=True))
    with FakeACPServer([Ask(MANY), Answer(lambda run: run.answers)]) as server:
        graph, state = calling(server, "1")
        color.invoke(graph, state, ON_A_THREAD)
        assert told(color.invoke(graph, Command(resume=given), ON_A_THREAD)) == {"1": [given]}


def test_a_query_that_was_approved_is_not_to_be_approved_again_for_a_retry(color: Color) -> None:
    services = {"mail": BridgeService(lambda query: Response.empty(202))}
    with FakeBridge(services) as bridge:
        bridge.faults.add(Fault.respond(FakeBridge.error("not_understood")), times=2)
        node = APIBridgeAgentNode(
            "send", bridge.url, "mail", "ask", "answer", None, str, None, confirm=True
        )
        policy = RetryPolicy(max_attempts=3, initial_interval=0.0, jitter=False)
        graph = StateGraph(State).add_node(node, retry_policy=policy).add_edge(START, "send")
        compiled = graph.compile(checkpointer=InMemorySaver())
        color.invoke(compiled, {"ask": "Send it"}, ON_A_THREAD)
        state = color.invoke(compiled, Command(resume=True), ON_A_THREAD)
        assert state["answer"]["status"] == 200
        assert len(bridge.queries) == 1
