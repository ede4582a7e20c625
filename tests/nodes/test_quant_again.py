"""What failed on Quant's side can be done again by whoever was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from support.colors import Color

from acp_langgraph import QuantChatNode, QuantToolNode
from acp_langgraph.errors import ForbiddenException, QuantRunError
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import Fault, RecordedRequest
from acp_langgraph.testing.quant import FakeQuant, FakeTool
from acp_langgraph.testing.quant_records import FakeOrchestration

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
QUICK = Pace(0.01, 0.02, 30.0)
NODE: dict[str, Any] = {
    "organisation": "acme",
    "model_id": "m",
    "input_path": "ask",
    "output_path": "answer",
    "pace": QUICK,
}


class State(TypedDict, total=False):
    ask: Any
    answer: Any


def built(node: Any) -> Any:
    return StateGraph(State).add_node(node).add_edge(START, node.name)


def test_a_chat_that_failed_is_held_again_by_who_enters_the_graph_again(
    color: Color, tmp_path: Path
) -> None:
    said: list[Any] = [{"error": "out of paper"}, {"reply": "ok"}]
    with FakeQuant([], scale=0.01) as server:
        server.make_chat = lambda request: said.pop(0)
        builder = built(QuantChatNode("chat", server.url, **NODE))
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            with pytest.raises(QuantRunError, match="out of paper"):
                color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
            assert color.invoke(graph, None, ON_A_THREAD)["answer"]["text"] == "ok"
        assert len(server.chats) == 2


def test_a_tool_that_failed_is_used_again_by_who_enters_the_graph_again(
    color: Color, tmp_path: Path
) -> None:
    with FakeQuant([FakeTool("draw", error="no ink")], scale=0.01) as server:
        builder = built(QuantToolNode("draw", server.url, tools=["draw"], **NODE))
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            with pytest.raises(QuantRunError, match="no ink"):
                color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
            server.tools["draw"] = FakeTool("draw", result=7)
            state = color.invoke(graph, None, ON_A_THREAD)
        assert state["answer"]["tools"][0]["result"] == 7
        assert len(server.executions) == 2


def is_of_another(request: RecordedRequest, orchestration: FakeOrchestration) -> bool:
    """Whether somebody asks how an orchestration is that is not this one."""
    asked = "/orchestrations/" in request.path
    return asked and not request.path.endswith(orchestration.orchestration_id)


def test_an_orchestration_that_took_a_failed_ones_place_does_not_depend_on_that_one(
    color: Color, tmp_path: Path
) -> None:
    tools = [FakeTool(name, error="no ink") for name in ("draw", "paint")]
    with FakeQuant(tools, scale=0.01) as server:
        node = QuantToolNode("draw", server.url, tools=["draw", "paint"], **NODE)
        with color.graph_over(built(node), tmp_path / "c.sqlite") as graph:
            with pytest.raises(QuantRunError, match="no ink"):
                color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
            (failed,) = server.orchestrations
            server.tools = {name: FakeTool(name, result=7) for name in server.tools}
            server.faults.add(Fault.status(403), on=lambda request: is_of_another(request, failed))
            with pytest.raises(ForbiddenException):
                color.invoke(graph, None, ON_A_THREAD)
            server.orchestrations.remove(failed)  # as after a day
            state = color.invoke(graph, None, ON_A_THREAD)
        assert [each["result"] for each in state["answer"]["tools"]] == [7, 7]
        assert len(server.orchestrations) == 1


def test_a_tool_that_failed_and_was_used_again_is_not_told_of_again(
    color: Color, tmp_path: Path
) -> None:
    """Also where what took its place was not waited for to its end."""
    with FakeQuant([FakeTool("draw", error="no ink")], scale=0.01) as server:
        node = QuantToolNode("draw", server.url, tools=["draw"], **NODE)
        with color.graph_over(built(node), tmp_path / "c.sqlite") as graph:
            with pytest.raises(QuantRunError, match="no ink"):
                color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
            (failed,) = server.executions
            server.tools["draw"] = FakeTool("draw", result=7, states=(("running", 1.0),))
            server.faults.add(
                Fault.status(403),
                on=lambda request: (
                    "/executions/" in request.path
                    and not request.path.endswith(failed.execution_id)
                ),
            )
            with pytest.raises(ForbiddenException):
                color.invoke(graph, None, ON_A_THREAD)
            state = color.invoke(graph, None, ON_A_THREAD)
        assert state["answer"]["tools"][0]["result"] == 7
        assert len(server.executions) == 2
