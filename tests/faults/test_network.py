"""Whatever the network does to whichever request: one remote run, its own answers, its result."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.types import Command
from support.agents import asking
from support.colors import Color
from support.counted import answered, graph_with, make_node

from acp_langgraph.errors import UnknownOutcomeError
from acp_langgraph.server import serve
from acp_langgraph.testing import Answer, Ask, FakeACPServer, Fault, FaultyProxy, Gate, Work

ANSWERS = {"color?": "blue", "food?": "rice"}
SCRIPT = [Ask("color?"), Ask("food?"), Answer(lambda run: {"answers": run.answers})]
ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}

FAULTS = {
    "refused unread": Fault.drop_unread(),
    "reset unread": Fault.drop_unread(reset=True),
    "dropped before the work": Fault.drop_before_work(),
    "answer lost after the work": Fault.lose_answer(),
    "answer lost by a reset": Fault.lose_answer(reset=True),
    "cut in the status line": Fault.drop_after(7),
    "cut in the body": Fault.drop_after(150),
    "500 before the work": Fault.status(500),
    "502 page of a proxy after the work": Fault.html(502, after_work=True),
    "503 with Retry-After": Fault.status(503, retry_after=0),
    "504 after the work": Fault.status(504, after_work=True),
    "429": Fault.status(429, retry_after=0),
    "408 after the work": Fault.status(408, after_work=True),
    "204 after the work": Fault.no_content(after_work=True),
    "HTML page of a captive portal after the work": Fault.html(200, after_work=True),
    "broken JSON": Fault.truncated_json(),
    "stale connection": Fault.stale(),
    "byte by byte": Fault.trickle(64, seconds=0),
}


def sample(points: int, requests: int) -> list[tuple[str, int]]:
    """Which fault happens at which request; all of them, or as many as asked for."""
    every = [(name, nth) for nth in range(1, requests + 1) for name in FAULTS]
    return every if len(every) <= points else random.Random(3).sample(every, points)


def run(color: Color, url: str, agent_id: str, **options: Any) -> Any:
    graph = graph_with(make_node(url, agent_id, **options), attempts=5)
    return answered(color, graph, {"ask": {"text": "hi"}}, ON_A_THREAD, ANSWERS)


def test_one_fault_at_any_request_of_a_run_does_no_harm(color: Color, points: int) -> None:
    with FakeACPServer(SCRIPT) as server:
        run(color, server.url, server.agent_id)
        requests = len(server.requests)
    for name, nth in sample(2 * points, requests):
        with FakeACPServer(SCRIPT) as server:
            rule = server.faults.add(FAULTS[name], nth=nth)
            done = run(color, server.url, server.agent_id)
            assert done["answer"] == {"answers": ["blue", "rice"]}, (name, nth)
            assert rule.hits == 1
            assert server.created == server.completed == 1, (name, nth, server.runs)
            assert server.run.answers == ["blue", "rice"], (name, nth)


def test_faults_at_every_third_request_do_no_harm(color: Color) -> None:
    for name, fault in FAULTS.items():
        with FakeACPServer(SCRIPT) as server:
            for nth in range(3, 60, 3):
                server.faults.add(fault, nth=nth)
            assert run(color, server.url, server.agent_id)["answer"]["answers"] == ["blue", "rice"]
            assert server.created == server.completed == 1, name


def test_a_server_that_answers_as_agntcys_does_gets_one_run(color: Color, points: int) -> None:
    with FakeACPServer.like_agntcy(SCRIPT) as server:
        done = run_named(color, server)
        requests = len(server.requests)
    assert done["answer"] == {"answers": ["blue", "rice"]}
    for name, nth in sample(points // 2, requests):
        with FakeACPServer.like_agntcy(SCRIPT) as server:
            server.faults.add(FAULTS[name], nth=nth)
            assert run_named(color, server)["answer"]["answers"] == ["blue", "rice"], (name, nth)
            assert server.created == server.completed == 1, (name, nth)


def run_named(color: Color, server: FakeACPServer) -> Any:
    """Run against a server that puts a question under the name of its kind."""
    graph = graph_with(make_node(server.url, server.agent_id), attempts=5)
    state = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    while questions := state.get("__interrupt__"):
        (question,) = questions[0].value.values()
        state = color.invoke(graph, Command(resume=ANSWERS[question]), ON_A_THREAD)
    return state


def test_our_own_server_behind_a_faulty_network_gets_one_run(color: Color, points: int) -> None:
    with (
        serve({"ask": asking(*ANSWERS, exactly=True)}) as server,
        FaultyProxy(server.url, timeout=20) as proxy,
    ):
        agent_id = server.agent_ids["ask"]
        run(color, proxy.url, agent_id)
        requests = len(proxy.requests)
        runs = 1
        for name, nth in sample(points, requests):
            proxy.faults.clear()
            proxy.faults.add(FAULTS[name], nth=nth)
            done = run(color, proxy.url, agent_id)
            assert done["answer"]["answers"] == ["blue", "rice"], (name, nth)
            runs += 1
            assert server.count_runs() == {"success": runs}, (name, nth)


def test_where_nothing_can_be_searched_a_lost_answer_is_said_and_not_repeated(
    color: Color,
) -> None:
    with FakeACPServer(SCRIPT, search="none") as server:
        server.faults.add(Fault.lose_answer(), on="create_stateless_run")
        with pytest.raises(UnknownOutcomeError):
            run(color, server.url, server.agent_id)
        assert server.created == 1


def test_a_server_that_restarts_in_the_middle_is_waited_for(color: Color) -> None:
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:

        def restart() -> None:
            server.requests.wait_for("wait_for_stateless_run_output")
            server.stop(reset=True)
            server.start()
            gate.open()

        helper = threading.Thread(target=restart)
        helper.start()
        done = run(color, server.url, server.agent_id)
        helper.join()
        assert done["answer"] == "done"
        assert server.created == server.completed == 1


def test_a_long_run_behind_impatient_proxies_is_one_run_with_one_result(color: Color) -> None:
    """Three minutes of work, a proxy that gives up every 20 s, a client that does after 30 s.

    In miniature: the proxy answers 504 six times, the server nothing at all three times.
    """
    gate = Gate()
    with FakeACPServer([Work(gate), Answer("done")]) as server:
        wait = "wait_for_stateless_run_output"
        server.faults.add(*[Fault.status(504)] * 6, on=wait)
        held = [Gate() for _ in range(3)]
        server.faults.add(*[Fault.hold(each) for each in held], on=wait, nth=7)
        gate_opener = threading.Thread(
            target=lambda: (server.requests.wait_for(wait, n=10), gate.open())
        )
        gate_opener.start()
        done = run(color, server.url, server.agent_id, timeout=0.2)
        gate_opener.join()
        for each in held:
            each.open()
        assert done["answer"] == "done"
        assert server.created == server.completed == 1


def test_a_permanent_failure_is_tried_once_and_a_transient_one_as_often_as_asked(
    color: Color,
) -> None:
    with FakeACPServer(SCRIPT) as server:
        server.faults.add(Fault.status(403), on="create_stateless_run", times=None)
        with pytest.raises(Exception, match="403"):
            run(color, server.url, server.agent_id)
        assert len(server.requests) == 1
    with FakeACPServer(SCRIPT) as server:
        server.faults.add(Fault.status(503), times=None)
        with pytest.raises(Exception, match="503"):
            run(color, server.url, server.agent_id)
        looked_up = [seen for seen in server.requests if seen.operation == "search_stateless_runs"]
        assert len(looked_up) >= 4  # a look-up begins every further attempt
        assert server.created == 0


def test_our_own_server_may_restart_between_question_and_answer(
    color: Color, tmp_path: Path
) -> None:
    agents = {"ask": asking(*ANSWERS, exactly=True)}
    database = str(tmp_path / "server.sqlite")
    with serve(agents, database=database) as server:
        port = int(server.url.rpartition(":")[2])
        graph = graph_with(make_node(server.url, server.agent_ids["ask"]), attempts=5)
        state = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    while questions := state.get("__interrupt__"):
        with serve(agents, database=database, port=port) as server:
            answer = Command(resume=ANSWERS[questions[0].value])
            state = color.invoke(graph, answer, ON_A_THREAD)
            counts = server.count_runs()
    assert state["answer"]["answers"] == ["blue", "rice"]
    assert counts == {"success": 1}
