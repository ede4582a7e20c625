"""What is no JSON is refused with its place before anything is sent; what comes in can always be kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from pydantic import BaseModel, SecretStr
from support.colors import Color

from acp_langgraph import ACPNode
from acp_langgraph.errors import AcpLangGraphError, NodeInputError
from acp_langgraph.testing import Answer, Ask, Emit, Fail, FakeACPServer, Fault, Response

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
HALF = "half of a pair: \ud800"


class Words(BaseModel):
    text: str
    number: float = 0.0


class Login(BaseModel):
    key: SecretStr
    number: float = 0.0


@dataclass
class Data:
    text: str


class State(TypedDict, total=False):
    ask: Any
    config: Any
    answer: Any


@pytest.fixture
def server() -> Any:
    with FakeACPServer() as running:
        yield running


def make(server: Any, **changes: Any) -> ACPNode:
    settings: dict[str, Any] = {"input_path": "ask", "output_path": "answer", **changes}
    return ACPNode("remote", server.agent_id, server.url, **settings)


def built(node: Any, **options: Any) -> Any:
    return StateGraph(State).add_node(node).add_edge(START, "remote").compile(**options)


BY_PLAN: dict[str, Any] = {"input_path": None}


@pytest.mark.parametrize(
    ("changes", "given", "says"),
    [
        ({}, HALF, "surrogate"),
        ({}, {"a": [1, {"b": HALF}]}, r"a\.1\.b.*surrogate"),
        ({}, {"a": {HALF: 1}}, r"a.*surrogate"),
        ({}, Words(text=HALF), r"text.*surrogate"),
        ({}, Data(HALF), r"text.*surrogate"),
        ({"input_type": Words}, {"text": HALF}, r"text.*surrogate"),
        ({"input_type": dict}, {"a": HALF}, r"a.*surrogate"),
        ({"input_type": list[str]}, ["a", HALF], r"1.*surrogate"),
        ({"input_type": Words}, {"text": "a", "number": float("inf")}, r"number is inf"),
        ({"input_type": Login}, {"key": "k", "number": float("inf")}, r"number is inf"),
        ({}, {"a": [float("nan")]}, r"a\.0 is nan"),
        ({**BY_PLAN, "input": {"x": "ask"}}, HALF, r"x.*surrogate"),
        ({**BY_PLAN, "input": {"x": "ask"}}, {"y": float("nan")}, r"x\.y is nan"),
        ({**BY_PLAN, "input": "Say {ask}"}, HALF, "surrogate"),
        ({**BY_PLAN, "input": {"text": "ask"}, "input_type": Words}, HALF, r"text.*surrogate"),
    ],
)
@pytest.mark.parametrize("saver", [False, True])
def test_what_is_no_json_is_refused_with_its_place(
    server: Any, color: Color, changes: Any, given: Any, says: str, saver: bool
) -> None:
    node = make(server, **changes)
    options = {"checkpointer": InMemorySaver()} if saver else {}
    target = built(node, **options) if saver else node
    with pytest.raises(NodeInputError, match=f"node 'remote'.*{says}") as caught:
        color.invoke(target, {"ask": given}, ON_A_THREAD)
    assert isinstance(caught.value, ValueError)  # which no retry repeats
    assert "half of a pair" not in str(caught.value)
    assert server.created == 0


@pytest.mark.parametrize(
    ("given", "says"), [({"a": HALF}, r"a.*surrogate"), ({"a": float("nan")}, r"a is nan")]
)
def test_so_is_the_agents_configuration(server: Any, color: Color, given: Any, says: str) -> None:
    node = make(server, config_path="config")
    with pytest.raises(NodeInputError, match=f"node 'remote'.*the config.*{says}"):
        color.invoke(node, {"ask": 1, "config": given})
    assert server.created == 0


@pytest.mark.parametrize("state", [{"ask": float("nan"), "config": {}}, {"ask": 1, "config": {"a": float("nan")}}])  # fmt: skip
def test_it_is_refused_before_anything_is_asked(server: Any, color: Color, state: Any) -> None:
    paths = {"input_path": "ask", "output_path": "answer", "config_path": "config"}
    node = ACPNode("remote", server.agents[0].name, server.url, **paths)
    with pytest.raises(NodeInputError, match="is nan, which JSON does not have"):
        color.invoke(node, state)
    assert not server.requests


def test_a_secret_that_may_not_go_says_how_it_may(server: Any, color: Color) -> None:
    says = "declare the field as SecretStr in input_type .* get_secret_value"
    with pytest.raises(NodeInputError, match=says) as caught:
        color.invoke(make(server), {"ask": {"a": SecretStr("sesame")}})
    assert "sesame" not in str(caught.value)
    assert not server.requests


@pytest.mark.parametrize(
    "config",
    [{"metadata": {"odd": HALF, "plain": "kept"}}, {"metadata": {"odd": float("nan"), "plain": "kept"}}],
)  # fmt: skip
def test_metadata_that_is_no_json_stays_here(server: Any, color: Color, config: Any) -> None:
    color.invoke(make(server), {"ask": 1}, config)
    assert server.run.metadata["plain"] == "kept"
    assert "odd" not in server.run.metadata


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (HALF, "surrogate"),
        ({"a": [HALF]}, r"a\.0.*surrogate"),
        ({"a": float("nan")}, r"a is nan"),
        (float("inf"), "inf"),
    ],
)
@pytest.mark.parametrize("kept", ["memory", "sqlite"])
def test_an_answer_that_is_no_json_is_refused_once_and_asked_for_again(
    color: Color, tmp_path: Path, given: Any, says: str, kept: str
) -> None:
    with FakeACPServer([Ask("well?"), Answer(lambda run: run.answers)]) as server:
        builder = StateGraph(State).add_node(make(server)).add_edge(START, "remote")
        if kept == "memory":
            _asked_again(color, builder.compile(checkpointer=InMemorySaver()), given, says)
        else:
            with color.graph_over(builder, tmp_path / "graph.sqlite") as graph:
                _asked_again(color, graph, given, says)
        assert server.created == 1
        assert server.run.answers == ["yes"]


def _asked_again(color: Color, graph: Any, given: Any, says: str) -> None:
    color.invoke(graph, {"ask": 1}, ON_A_THREAD)
    with pytest.raises(AcpLangGraphError, match=says):
        color.invoke(graph, Command(resume=given), ON_A_THREAD)
    done = color.invoke(graph, Command(resume="yes"), ON_A_THREAD)
    assert done["answer"] == ["yes"]


def test_a_tools_argument_that_is_no_json_is_refused_with_its_place(
    server: Any, color: Color
) -> None:
    tool = make(server, input_path=None, output_path=None, input_type=Words).as_tool()
    with pytest.raises(AcpLangGraphError, match=r"text.*surrogate"):
        color.invoke(tool, {"text": HALF})
    assert server.created == 0


def halved(answer: Response | None) -> Response:
    """The same answer with half of a surrogate pair, as `json.dumps` of Python writes it."""
    assert answer is not None
    return Response(answer.status, answer.headers, answer.body.replace(b"HALF", rb"\ud800"))


HALVED = Fault("halved", alter=halved)


@pytest.mark.parametrize("kept", [False, True])
def test_half_of_a_surrogate_pair_in_a_result_makes_it_unreadable_for_nobody(
    color: Color, tmp_path: Path, kept: bool
) -> None:
    with FakeACPServer([Answer({"text": "HALF", "number": 1})]) as server:
        server.faults.add(HALVED, times=None)
        builder = StateGraph(State).add_node(make(server)).add_edge(START, "remote")
        if kept:
            with color.graph_over(builder, tmp_path / "graph.sqlite") as graph:
                state = color.invoke(graph, {"ask": 1}, ON_A_THREAD)
        else:
            state = color.invoke(builder.compile(), {"ask": 1})
        assert state["answer"] == {"text": "\ufffd", "number": 1}
        assert server.created == 1


def test_half_of_one_in_a_question_or_an_error_hides_neither(color: Color) -> None:
    with FakeACPServer([Ask({"say": "HALF"}), Fail("HALF of it failed")]) as server:
        server.faults.add(HALVED, times=None)
        graph = built(make(server), checkpointer=InMemorySaver())
        paused = color.invoke(graph, {"ask": 1}, ON_A_THREAD)
        assert paused["__interrupt__"][0].value == {"say": "\ufffd"}
        with pytest.raises(AcpLangGraphError, match="of it failed"):
            color.invoke(graph, Command(resume="yes"), ON_A_THREAD)


def test_half_of_one_in_an_event_hides_no_other(color: Color) -> None:
    event = b'id: 1\nevent: agent_event\ndata: {"type": "custom", "update": {"say": "\\ud800"}}\n\n'
    script = [Emit(event, kind="raw"), Emit({"say": "all"}), Answer("done")]
    with FakeACPServer(script) as server:
        events = color.stream(built(make(server)), {"ask": 1}, stream_mode="custom")
        said = [each["payload"]["say"] for each in events if each["kind"] == "custom"]
        assert said == ["\ufffd", "all"]
