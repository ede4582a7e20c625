"""Graphs that are suspended while something is at work at Quant, whose API calls no webhooks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy
from support.colors import Color
from support.waking import at, swept

from acp_langgraph import is_suspended, split_interrupts
from acp_langgraph.errors import (
    NodeConfigurationError,
    QuantRunError,
    RunExpiredError,
    RunTimeoutError,
)
from acp_langgraph.nodes.quant import (
    QuantChatNode,
    QuantOrchestrationNode,
    QuantTaskNode,
    QuantToolNode,
)
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import Fault, Gate
from acp_langgraph.testing.quant import FakeQuant, FakeTool

QUICK = Pace(0.01, 0.02, 60.0)


class State(TypedDict, total=False):
    """The state of the graphs here."""

    ask: Any
    answer: Any


class Chat(TypedDict, total=False):
    """The state of a graph with tools."""

    messages: Annotated[list[AnyMessage], add_messages]


@pytest.fixture
def gate() -> Gate:
    """Holds all that the service does."""
    return Gate()


@pytest.fixture
def server(gate: Gate) -> Iterator[FakeQuant]:
    working = (("running", gate),)
    tools = [
        FakeTool("count", result=7, states=working),
        FakeTool("draw", result="a whale", states=working),
        FakeTool("broken", error="no ink", states=working),
    ]
    with FakeQuant(tools, scale=0.01, chat_states=working) as running:
        yield running


def suspending(kind: Any, server: FakeQuant, **changes: Any) -> Any:
    common = {"input_path": "ask", "output_path": "answer", "pace": QUICK, "wait": "suspend"}
    return kind("remote", server.url, organisation="acme", **{**common, **changes})


def using(server: FakeQuant, *tools: str, **changes: Any) -> Any:
    settings = {"model_id": "m", "tools": tools, "orchestration_pace": QUICK, **changes}
    return suspending(QuantToolNode, server, **settings)


def chatting(server: FakeQuant, **changes: Any) -> Any:
    return suspending(QuantChatNode, server, model_id="m", **changes)


def graph_of(node: Any, **options: Any) -> Any:
    builder = StateGraph(State).add_node(node, **options).add_edge(START, "remote")
    return builder.compile(checkpointer=InMemorySaver())


def one(found: Any) -> bool:
    return bool(found.woken == 1)


def is_done(graph: Any) -> bool:
    return not graph.get_state(at("1")).tasks


def suspended(color: Color, graph: Any, value: Any) -> Any:
    """What a graph waits for, of which there is one thing."""
    questions, waits = split_interrupts(color.invoke(graph, value, at("1")))
    assert (len(questions), len(waits)) == (0, 1)
    return waits[0].value


def test_a_graph_is_suspended_while_a_tool_works_and_goes_on_when_that_is_done(
    color: Color, server: FakeQuant, gate: Gate
) -> None:
    graph = graph_of(using(server, "count"))
    marker = suspended(color, graph, {"ask": "private"})
    assert marker["run_id"] == server.executions[0].execution_id
    assert "private" not in str(marker)
    assert swept(color, graph)[:2] == (1, 0)
    gate.open()
    assert swept(color, graph).woken == 1
    assert graph.get_state(at("1")).values["answer"]["tools"][0]["result"] == 7
    assert swept(color, graph)[1:] == (0, 0)
    assert (len(server.executions), server.chats_answered) == (1, 1)


def test_a_graph_is_suspended_while_tools_are_gathered(
    color: Color, server: FakeQuant, gate: Gate
) -> None:
    graph = graph_of(using(server, "count", "draw"))
    marker = suspended(color, graph, {"ask": "both"})
    identifier = server.orchestrations[0].orchestration_id
    assert marker["run_id"] == identifier
    other = graph_of(suspending(QuantOrchestrationNode, server))
    assert suspended(color, other, {"ask": identifier})["run_id"] == identifier
    gate.open()
    for each in (graph, other):
        swept(color, each, one)
        assert each.get_state(at("1")).values["answer"]["text"] == "All of it: count, draw"
    assert len(server.executions) == 2


def test_executions_are_waited_for_one_after_the_other(color: Color, server: FakeQuant) -> None:
    gates = [Gate(), Gate()]
    tools = [
        FakeTool(f"tool {at}", result=at, states=(("x", each),)) for at, each in enumerate(gates)
    ]
    started = [server.start_execution(each).execution_id for each in tools]
    graph = graph_of(using(server, input_path="", model_id=None, execution_path="ask"))
    assert suspended(color, graph, {"ask": started})["run_id"] == started[0]
    gates[0].open()
    assert swept(color, graph).woken == 1
    (wait,) = split_interrupts(graph.get_state(at("1"))).waits
    assert wait.value["run_id"] == started[1]
    gates[1].open()
    assert swept(color, graph).woken == 1
    assert [each["result"] for each in graph.get_state(at("1")).values["answer"]] == [0, 1]


def test_a_chat_runs_its_tools_asks_and_waits_in_between(
    color: Color, server: FakeQuant, gate: Gate
) -> None:
    ran: list[str] = []

    def look_up(word: str) -> str:
        """Looks a word up."""
        ran.append(word)
        return word.upper()

    rounds = [{"look_up": {"word": "x"}}, {"human": {"q": "color?"}}]
    server.make_chat = lambda _: {"rounds": rounds, "reply": "ok"}
    graph = graph_of(chatting(server, tools=[look_up]))
    suspended(color, graph, {"ask": "hi"})
    gate.open()
    assert swept(color, graph).woken == 1
    questions, waits = split_interrupts(graph.get_state(at("1")))
    assert (len(questions), waits, ran) == (1, [], ["x"])
    assert swept(color, graph).woken == 0
    gate.close()
    suspended(color, graph, Command(resume={questions[0].id: "blue"}))
    assert swept(color, graph).woken == 0
    gate.open()
    assert swept(color, graph).woken == 1
    assert graph.get_state(at("1")).values["answer"]["text"] == "ok"
    (chat,) = server.chats
    assert [[each["result"]["result"] for each in sent] for sent in chat.answers] == [
        ["X"],
        ["blue"],
    ]
    assert (ran, chat.refused) == (["x"], 0)


def test_what_somebody_types_into_the_marker_is_no_result(
    color: Color, server: FakeQuant, gate: Gate
) -> None:
    graph = graph_of(using(server, "count"))
    suspended(color, graph, {"ask": "how many?"})
    suspended(color, graph, Command(resume="nine"))
    suspended(color, graph, None)
    gate.open()
    assert swept(color, graph).woken == 1
    assert graph.get_state(at("1")).values["answer"]["tools"][0]["result"] == 7


def test_a_tool_of_an_agent_waits_as_a_node_does(
    color: Color, server: FakeQuant, gate: Gate
) -> None:
    builder = StateGraph(Chat).add_node("tools", ToolNode([using(server, "count").as_tool()]))
    graph = builder.add_edge(START, "tools").compile(checkpointer=InMemorySaver())
    calls = [{"name": "remote", "id": each, "args": {"message": "?"}} for each in "ab"]
    result = color.invoke(graph, {"messages": [AIMessage("", tool_calls=calls)]}, at("1"))
    assert all(map(is_suspended, result["__interrupt__"]))
    gate.open()
    swept(color, graph, lambda _: is_done(graph))
    said = [each.text for each in graph.get_state(at("1")).values["messages"][1:]]
    assert ["7" in each for each in said] == [True, True]
    assert len(server.executions) == 2


def test_a_deadline_holds_while_nothing_runs(
    color: Color, server: FakeQuant, caplog: pytest.LogCaptureFixture
) -> None:
    graph = graph_of(using(server, "count", pace=Pace(0.01, 0.02, 0.2)))
    assert suspended(color, graph, {"ask": "how many?"})["due"]
    swept_until_failed(color, graph, caplog, RunTimeoutError)
    assert swept(color, graph)[1:] == (0, 0)


def test_what_the_service_keeps_no_longer_is_said(
    color: Color, server: FakeQuant, caplog: pytest.LogCaptureFixture
) -> None:
    node = using(server, "count")
    object.__setattr__(node.policy, "grace", 0.0)
    graph = graph_of(node)
    suspended(color, graph, {"ask": "how many?"})
    server.advance(100_000)
    swept_until_failed(color, graph, caplog, RunExpiredError)


def test_a_failure_is_told_once_and_who_enters_again_has_it_done_again(
    color: Color, server: FakeQuant, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    graph = graph_of(using(server, "broken"))
    suspended(color, graph, {"ask": "?"})
    gate.open()
    swept_until_failed(color, graph, caplog, QuantRunError)
    assert swept(color, graph)[1:] == (0, 0)
    gate.close()
    server.tools["broken"].error = None
    suspended(color, graph, None)
    gate.open()
    assert swept(color, graph).woken == 1
    assert [each.status for each in server.executions] == ["complete", "complete"]


def swept_until_failed(
    color: Color, graph: Any, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    with caplog.at_level(logging.ERROR, "acp_langgraph.waking"):
        swept(color, graph, lambda found: found.failed == 1)
    assert [each.exc_info[0] for each in caplog.records if each.exc_info] == [error]


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.lose_answer()], ids=repr)
def test_a_service_that_is_away_means_not_yet(
    color: Color, server: FakeQuant, gate: Gate, fault: Fault
) -> None:
    server.faults.add(fault, on="get_ai_tool_execution_status", times=None)
    graph = graph_of(using(server, "count"))
    suspended(color, graph, {"ask": "how many?"})
    gate.open()
    assert swept(color, graph)[1:] == (0, 0)
    suspended(color, graph, Command(resume="look"))
    server.faults.clear()
    assert swept(color, graph).woken == 1


def test_what_is_not_done_after_a_while_is_suspended_for(color: Color, server: FakeQuant) -> None:
    suspended(color, graph_of(using(server, "count", after=0.05)), {"ask": "how many?"})


@pytest.mark.parametrize("remembers", [True, False])
def test_a_node_holds_for_a_while_and_without_a_checkpointer_until_the_end(
    color: Color, server: FakeQuant, gate: Gate, remembers: bool
) -> None:
    node = using(server, "count", after=60.0 if remembers else 0.0)
    holding = graph_of(node) if remembers else node
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(color.invoke, holding, {"ask": "how many?"}, at("1"))
        server.requests.wait_for("get_ai_tool_execution_status")
        gate.open()
        assert result.result()["answer"]["tools"][0]["result"] == 7


def test_a_retry_policy_suspends_for_what_was_started(
    color: Color, server: FakeQuant, gate: Gate
) -> None:
    server.faults.add(Fault.status(503), on="list_ai_tools", times=4)
    policy = RetryPolicy(max_attempts=3, initial_interval=0.01, jitter=False)
    graph = graph_of(using(server, "count"), retry_policy=policy)
    suspended(color, graph, {"ask": "how many?"})
    gate.open()
    assert swept(color, graph).woken == 1
    assert len(server.executions) == 1


@pytest.mark.parametrize(
    "wrong", [{"wait": "sleep"}, {"after": -1.0}, {"wait": "hold", "after": 5.0}]
)
def test_settings_that_make_no_sense_are_refused(server: FakeQuant, wrong: dict[str, Any]) -> None:
    with pytest.raises(NodeConfigurationError, match=r"wait|after"):
        using(server, "count", **wrong)


def test_a_node_that_does_the_work_itself_cannot_be_suspended(server: FakeQuant) -> None:
    with pytest.raises(NodeConfigurationError, match="holds its lease"):
        QuantTaskNode(
            "remote", str, server.url, organisation="acme", task_path="ask", wait="suspend"
        )
