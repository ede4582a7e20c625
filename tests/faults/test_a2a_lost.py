"""Whatever is lost on the way to an A2A agent and back, there is one task, or it is said that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command, RetryPolicy
from support.a2a_graph import (
    ON_A_THREAD,
    SPOKEN,
    Processes,
    a2a_node,
    remembering,
)
from support.colors import Color
from support.counted import answered

from acp_langgraph.errors import (
    ApiException,
    UnknownOutcomeError,
)
from acp_langgraph.testing import (
    Answer,
    Ask,
    FakeA2AServer,
    Fault,
    Gate,
    Work,
)

INPUT = {"ask": "pie"}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: run.answers)]
ANSWERS = {"color?": "blue", "food?": "rice"}


@pytest.fixture(params=SPOKEN, ids=str)
def spoken(request: pytest.FixtureRequest) -> Any:
    return request.param


FAULTS = [
    Fault.lose_answer(),
    Fault.drop_before_work(reset=True),
    Fault.status(502),
    Fault.status(504, after_work=True),
    Fault.html(200, after_work=True),
    Fault.drop_after(60),
    Fault.truncated_json(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("use_threads", [False, True])
@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
def test_whatever_becomes_of_a_message_there_is_one_task(
    color: Color, binding: Any, fault: Fault, use_threads: bool
) -> None:
    with FakeA2AServer(TWICE, binding=binding) as server:
        graph = remembering(server, use_threads=use_threads)
        server.faults.add(fault, fault, on="SendMessage")
        state = answered(color, graph, INPUT, ON_A_THREAD, ANSWERS)
        assert state["answer"] == ["blue", "rice"]
        assert (server.created, server.misplaced) == (1, [])


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("operation", ["GetTask", "SubscribeToTask", "get_agent_card"])
def test_whatever_becomes_of_a_look_it_is_looked_again(
    color: Color, spoken: Any, fault: Fault, operation: str
) -> None:
    with FakeA2AServer(TWICE, **spoken) as server:
        server.faults.add(fault, fault, on=operation)
        state = answered(color, remembering(server), INPUT, ON_A_THREAD, ANSWERS)
        assert state["answer"] == ["blue", "rice"]
        assert (server.created, server.misplaced) == (1, [])


@pytest.mark.parametrize(
    "options", [{"version": "0.3"}, {"lists": False}, {"tasks": False}], ids=str
)
def test_where_a_lost_answer_cannot_be_looked_up_the_outcome_is_unknown(
    color: Color, options: Any
) -> None:
    with FakeA2AServer(**options) as server:
        graph = remembering(server)
        if options == {"tasks": False}:  # which is known once it was seen
            color.invoke(graph, INPUT, {"configurable": {"thread_id": "0"}})
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        begun = server.created
        with pytest.raises(UnknownOutcomeError, match="on_unknown"):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert server.created == begun + 1


def test_who_accepts_a_second_task_gets_one(color: Color) -> None:
    with FakeA2AServer(version="0.3") as server:
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        graph = remembering(server, on_unknown="rerun")
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "pie"
        assert server.created == 2


def test_a_server_that_makes_contexts_of_its_own_is_found_out(color: Color) -> None:
    with FakeA2AServer(TWICE, contexts="own") as server:
        graph = remembering(server)
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        state = answered(color, graph, INPUT, ON_A_THREAD, ANSWERS)
        assert state["answer"] == ["blue", "rice"]
        assert server.created == 1


def test_a_server_that_refuses_contexts_says_so(color: Color, spoken: Any) -> None:
    with FakeA2AServer(contexts="refused", **spoken) as server:
        with pytest.raises(ApiException, match="Contexts are made here"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        assert server.created == 0


def test_an_agent_that_neither_answers_in_time_nor_shows_a_task_may_be_at_work(
    color: Color,
) -> None:
    with FakeA2AServer([Work(gate := Gate()), Answer("x")], tasks=False) as server:
        server._listed = lambda _: {"tasks": []}  # type: ignore[method-assign]
        node = a2a_node(server.url, timeout=0.2)
        with pytest.raises(UnknownOutcomeError, match="has not answered in time"):
            color.invoke(node, INPUT)
        gate.open()
        assert server.created == 1


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
def test_a_task_that_could_not_be_looked_for_is_found_by_who_repeats_what_failed(
    color: Color, binding: Any
) -> None:
    with FakeA2AServer(binding=binding) as server:
        gate = Gate()
        server.faults.add(Fault.hold(gate), on="SendMessage")
        away = server.faults.add(Fault.drop_unread(reset=True), on="ListTasks", times=4)
        repeating = RetryPolicy(initial_interval=0.01, jitter=False)
        graph = remembering(server, timeout=0.2, retry_policy=repeating)
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "pie"
        gate.open()
        assert (away.spent, server.created) == (True, 1)


def test_a_message_without_a_task_is_an_answer_that_is_remembered(
    color: Color, tmp_path: Path
) -> None:
    with FakeA2AServer([Answer("only a message")], tasks=False) as server:
        graph = Processes(color, server.url, tmp_path)
        assert graph.invoke(INPUT)["answer"] == "only a message"
        assert server.requests.count("GetTask") == 0


def test_an_answer_that_was_taken_is_not_sent_again_although_the_task_has_not_noticed(
    color: Color,
) -> None:
    gate, looks = Gate(), []
    script = [Ask("color?"), Work(gate), Answer(lambda run: run.answers)]
    with FakeA2AServer(script, late=True) as server:

        def look(request: Any) -> bool:
            if request.operation == "GetTask" and server.tasks[0].answers:
                looks.append(request)
                if len(looks) == 3:
                    gate.open()
            return False

        graph = remembering(server)
        color.invoke(graph, INPUT, ON_A_THREAD)
        server.faults.add(Fault.none(), on=look)
        server.faults.add(Fault.lose_answer(), on="SendMessage")
        answer = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)["answer"]
        assert (answer, server.task.answers, server.misplaced) == (["blue"], ["blue"], [])
