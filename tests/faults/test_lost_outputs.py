"""A run that is done, and whose output the server cannot give."""

from __future__ import annotations

import pytest
from langchain_core.runnables import RunnableConfig
from support.colors import Color
from support.counted import graph_with, make_node

from acp_langgraph.errors import ACPRunException, RunError, RunTimeoutError
from acp_langgraph.testing import Answer, FakeACPServer, Fault

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
LATEST = 8.0  # seconds after which the node would give up by itself

BROKEN = {
    "500": Fault.status(500),
    "500, and the connection with it": Fault.status(500) | Fault.hang_up(),
    "500, and a reset for the next request": Fault.status(500) | Fault.stale(),
    "dropped": Fault.lose_answer(),
    "reset": Fault.lose_answer(reset=True),
    "cut": Fault.drop_after(100),
    "half of it": Fault.truncated_json(),
    "204": Fault.no_content(),
    "a page": Fault.html(),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("remembered", [True, False])
def test_a_run_that_is_done_but_whose_output_cannot_be_had_is_an_error_that_says_so(
    color: Color, fault: str, remembered: bool
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(BROKEN[fault], on="/*wait", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=LATEST, on_timeout="leave")
        runs = graph_with(node) if remembered else node
        with pytest.raises(RunError, match=r"no longer at work.*success") as caught:
            color.invoke(runs, {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert not isinstance(caught.value, RunTimeoutError | ACPRunException)
        assert caught.value.run_id == server.run.run_id
        assert server.created == 1


def test_a_watched_run_that_is_done_but_whose_output_cannot_be_had_is_the_same_error(
    color: Color,
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.lose_answer(), on="wait_for_stateless_run_output", times=None)
        node = make_node(server.url, server.agent_id, run_timeout=LATEST, on_timeout="leave")
        state = {"ask": {"text": "hi"}}
        with pytest.raises(RunError, match=r"no longer at work.*success"):
            color.stream(graph_with(node), state, ON_A_THREAD, stream_mode="custom")


def test_an_output_that_can_be_had_later_is_had_by_entering_again_and_nothing_runs_anew(
    color: Color,
) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.lose_answer(), on="wait_for_stateless_run_output", times=None)
        graph = graph_with(
            make_node(server.url, server.agent_id, run_timeout=LATEST, on_timeout="leave")
        )
        with pytest.raises(RunError, match="no longer at work"):
            color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        server.faults.clear()
        assert color.invoke(graph, None, ON_A_THREAD)["answer"] == "done"
        assert server.created == 1


def test_a_status_is_read_again_where_the_connection_breaks(color: Color) -> None:
    with FakeACPServer([Answer("done")]) as server:
        server.faults.add(Fault.status(504), on="wait_for_stateless_run_output")
        server.faults.add(Fault.lose_answer(), on="get_stateless_run", times=2)
        graph = graph_with(make_node(server.url, server.agent_id))
        assert color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)["answer"] == "done"
        made = [seen.operation for seen in server.requests if seen.method == "GET"]
    assert made == [
        "wait_for_stateless_run_output",
        *["get_stateless_run"] * 3,
        "wait_for_stateless_run_output",
    ]
