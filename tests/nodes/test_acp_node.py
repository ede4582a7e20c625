"""`ACPNode` in graphs, over real HTTP."""

from __future__ import annotations

import asyncio
import copy
import operator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict
from uuid import UUID

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from pydantic import BaseModel, TypeAdapter
from support.agents import Text, agent
from support.colors import Color

from acp_langgraph.errors import (
    ACPRunException,
    ApiValueError,
    CheckpointerRequiredError,
    NodeConfigurationError,
    NodeInputError,
    NodeOutputError,
    UnknownAgentError,
)
from acp_langgraph.nodes.acp import ACPNode
from acp_langgraph.server import serve
from acp_langgraph.testing import Answer, FakeACPServer

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    ask: dict[str, Any]
    other: dict[str, Any]
    answer: Any
    loud: Any
    log: Annotated[list[str], operator.add]


def make(server: Any, agent_name: str = "echo", **changes: Any) -> ACPNode:
    settings: dict[str, Any] = {
        "name": "remote",
        "agent_id": agent_name,
        "client_config": server.url,
        "input_path": "ask",
        "input_type": Text,
        "output_path": "answer",
        "output_type": None,
    }
    return ACPNode(**{**settings, **changes})


def built(node: Any, state: Any = State) -> Any:
    builder = StateGraph(state)
    builder.add_node(node)
    builder.add_edge(START, node.get_name())
    builder.add_edge(node.get_name(), END)
    return builder


def test_a_node_returns_its_change_of_the_state_and_nothing_else(server: Any, color: Color) -> None:
    assert color.invoke(make(server), {"ask": {"text": "hi"}, "log": ["x"]}) == {
        "answer": {"text": "hi"}
    }


def test_a_sequence_knows_its_nodes_by_their_names(server: Any, color: Color) -> None:
    nodes = [make(server, name="one"), make(server, "shout", name="two", output_path="loud")]
    graph = StateGraph(State).add_sequence(nodes).add_edge(START, "one").compile()
    assert color.invoke(graph, {"ask": {"text": "hi"}})["loud"] == {"text": "HI"}


def test_the_agent_may_be_named_by_its_id_and_everything_given_by_position(
    server: Any, color: Color
) -> None:
    agent_id = server.agent_ids["echo"]
    node = ACPNode("n", agent_id, server.url, "ask", Text, "answer", Text)
    assert color.invoke(node, {"ask": {"text": "hi"}}) == {"answer": {"text": "hi"}}
    assert not [seen for seen in server.requests if seen.path == "/agents/search"]


def test_a_plain_run_in_a_graph_is_one_request(server: Any, color: Color) -> None:
    graph = built(make(server, server.agent_ids["echo"])).compile()
    state = {"ask": {"text": "hi"}, "log": ["before"]}
    assert color.invoke(graph, state) == {**state, "answer": {"text": "hi"}}
    assert len(server.requests) == 1


def test_with_a_checkpointer_a_run_is_created_and_awaited(server: Any, color: Color) -> None:
    graph = built(make(server, server.agent_ids["echo"])).compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    assert [seen.path.split("/")[-1] for seen in server.requests] == ["runs", "wait"]


@pytest.mark.parametrize("answer", ["yes", ["a"], 0, False, None, {"color": "blue"}, 1.5, ""])
def test_an_answer_of_any_json_type_arrives_as_it_is(
    server: Any, color: Color, answer: Any
) -> None:
    graph = built(make(server, "ask")).compile(checkpointer=InMemorySaver())
    paused = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    (question,) = paused["__interrupt__"]
    assert question.value == "color? (hi)"
    done = color.invoke(graph, Command(resume={question.id: answer}), ON_A_THREAD)
    assert done["answer"]["answers"] == [answer]


def test_two_questions_of_one_run_get_each_its_own_answer(server: Any, color: Color) -> None:
    graph = built(make(server, "ask_twice")).compile(checkpointer=InMemorySaver())
    first = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    assert first["__interrupt__"][0].value == "color? (hi)"
    second = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
    assert second["__interrupt__"][0].value == "food? (hi)"
    done = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
    assert done["answer"]["answers"] == ["blue", "rice"]
    assert server.created() == 1


def test_the_graph_shows_the_answer_schema_that_the_agent_declares(color: Color) -> None:
    schema = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}

    def ask(state: Text) -> Text:
        from langgraph.types import interrupt  # noqa: PLC0415 - named like the test's subject

        return {"text": interrupt("color?")["color"]}

    from acp_langgraph.server import AgentInterrupt, ServedAgent  # noqa: PLC0415 - this test alone

    asks = ServedAgent("ask", agent(ask), interrupts=[AgentInterrupt("color", {}, schema)])
    with serve([asks]) as server:
        graph = built(make(server, "ask")).compile(checkpointer=InMemorySaver())
        paused = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
        assert paused["__interrupt__"][0].response_schema == schema


def test_parallel_nodes_write_to_their_own_channels(server: Any, color: Color) -> None:
    builder = StateGraph(State)
    builder.add_node(make(server, "echo", name="quiet"))
    builder.add_node(make(server, "shout", name="loud_one", output_path="loud"))
    for name in ("quiet", "loud_one"):
        builder.add_edge(START, name)
    done = color.invoke(builder.compile(), {"ask": {"text": "hi"}, "log": ["once"]})
    assert (done["answer"], done["loud"], done["log"]) == ({"text": "hi"}, {"text": "HI"}, ["once"])


class Gathered(TypedDict, total=False):
    ask: dict[str, Any]
    answer: Annotated[list[Any], operator.add]


def test_a_fan_out_asks_five_times_and_each_answer_reaches_its_own_run(
    server: Any, color: Color
) -> None:
    node = make(server, "ask", output_path="")
    wrapped = StateGraph(Gathered)

    class Wrapped(TypedDict, total=False):
        ask: dict[str, Any]
        text: str
        answers: list[Any]

    branch = built(node, Wrapped).compile()

    def work(state: Any, config: RunnableConfig) -> Any:
        done = branch.invoke(state, config)
        return {"answer": [(done["text"], done["answers"])]}

    async def awork(state: Any, config: RunnableConfig) -> Any:
        done = await branch.ainvoke(state, config)
        return {"answer": [(done["text"], done["answers"])]}

    wrapped.add_node("work", work if color.name == "sync" else awork)
    wrapped.add_conditional_edges(
        START, lambda _: [Send("work", {"ask": {"text": str(n)}}) for n in range(5)]
    )
    graph = wrapped.compile(checkpointer=InMemorySaver())
    paused = color.invoke(graph, {}, ON_A_THREAD)
    questions = paused["__interrupt__"]
    assert len({question.id for question in questions}) == 5
    answers = {question.id: f"for {question.value}" for question in questions}
    done = color.invoke(graph, Command(resume=answers), ON_A_THREAD)
    assert sorted(done["answer"]) == [(str(n), [f"for color? ({n})"]) for n in range(5)]
    assert server.created() == 5


class FanState(TypedDict, total=False):
    ask: dict[str, Any]
    answer: Annotated[list[Any], operator.add]


def test_one_node_in_a_fan_out_is_answered_item_by_item(server: Any, color: Color) -> None:
    node = make(server, "ask", output_type=list[Any] | dict[str, Any], output_path="found")

    class Item(TypedDict, total=False):
        ask: dict[str, Any]
        found: Annotated[dict[str, Any], operator.or_]

    class Keyed(ACPNode):
        """Collects its answers under their texts."""

        def flow(self, state: Any, *rest: Any) -> Any:
            change = yield from super().flow(state, *rest)
            return {"found": {change["found"]["text"]: change["found"]["answers"]}}

    node = Keyed("remote", "ask", server.url, "ask", Text, "found", None)
    builder = StateGraph(Item)
    builder.add_node(node)
    builder.add_conditional_edges(
        START, lambda _: [Send("remote", {"ask": {"text": str(n)}}) for n in range(5)]
    )
    graph = builder.compile(checkpointer=InMemorySaver())
    paused = color.invoke(graph, {}, ON_A_THREAD)
    first, *others = paused["__interrupt__"]
    assert len(others) == 4
    color.invoke(graph, Command(resume={first.id: "early"}), ON_A_THREAD)
    done = color.invoke(graph, Command(resume={q.id: q.value for q in others}), ON_A_THREAD)
    early = first.value.removeprefix("color? (").rstrip(")")
    expected = {str(n): [f"color? ({n})"] for n in range(5)} | {early: ["early"]}
    assert done["found"] == expected
    assert server.created() == 5


def test_a_node_in_a_loop_runs_once_per_pass(server: Any, color: Color) -> None:
    class Counting(TypedDict, total=False):
        ask: dict[str, Any]
        answer: Any
        passes: Annotated[int, operator.add]

    builder = StateGraph(Counting)
    builder.add_node(make(server, "ask"))
    builder.add_node("count", lambda _: {"passes": 1})
    builder.add_edge(START, "remote")
    builder.add_edge("remote", "count")
    builder.add_conditional_edges("count", lambda s: "remote" if s["passes"] < 3 else END)
    graph = builder.compile(checkpointer=InMemorySaver())
    state = color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    for number in range(3):
        assert "__interrupt__" in state
        state = color.invoke(graph, Command(resume=number), ON_A_THREAD)
        assert state["answer"]["answers"] == [number]
    assert state["passes"] == 3
    assert server.created() == 3


def test_a_node_in_a_subgraph_asks_through_the_parent(server: Any, color: Color) -> None:
    inner = built(make(server, "ask")).compile()
    builder = StateGraph(State)
    builder.add_node("inner", inner)
    builder.add_edge(START, "inner")
    graph = builder.compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    done = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
    assert done["answer"]["answers"] == ["blue"]
    assert server.created() == 1


def test_a_node_called_twice_in_the_functional_api_makes_two_runs(
    server: Any, color: Color
) -> None:
    node = make(server, "ask")

    if color.name == "sync":

        @entrypoint(checkpointer=InMemorySaver())
        def flow(_: Any) -> list[Any]:
            return [node.invoke({"ask": {"text": text}})["answer"]["answers"] for text in "ab"]

    else:

        @entrypoint(checkpointer=InMemorySaver())
        async def flow(_: Any) -> list[Any]:
            done = [await node.ainvoke({"ask": {"text": text}}) for text in "ab"]
            return [change["answer"]["answers"] for change in done]

    color.invoke(flow, "go", ON_A_THREAD)
    color.invoke(flow, Command(resume=1), ON_A_THREAD)
    assert color.invoke(flow, Command(resume=2), ON_A_THREAD) == [[1], [2]]
    assert server.created() == 2


class Mail(BaseModel):
    text: str = ""
    seen: bool = False


class Box(BaseModel):
    mail: Mail | None = None
    label: str = "inbox"


class ModelState(BaseModel):
    ask: Mail = Mail()
    box: Box | None = None
    log: Annotated[list[str], operator.add] = []


@dataclass
class DataState:
    ask: Mail = field(default_factory=Mail)
    box: Box | None = None
    log: Annotated[list[str], operator.add] = field(default_factory=list)


class DictState(TypedDict, total=False):
    ask: Mail
    box: Box
    log: Annotated[list[str], operator.add]


@pytest.mark.parametrize("kind", [DictState, ModelState, DataState])
def test_states_of_every_kind_get_missing_parents_and_keep_their_reducers(
    server: Any, color: Color, kind: Any
) -> None:
    node = make(
        server,
        "shout",
        input_type=Mail,
        output_path="box.mail",
        output_type=Mail,
        state_type=kind,
    )
    state = kind(ask=Mail(text="hi"), log=["once"])
    before = copy.deepcopy(state)
    done = color.invoke(built(node, kind).compile(), state)
    assert done["box"] == Box(mail=Mail(text="HI"), label="inbox")
    assert done["log"] == ["once"]
    assert state == before


def test_a_path_may_lead_into_a_list(server: Any, color: Color) -> None:
    node = make(server, input_path="ask.items.1", output_path="ask.items.0")
    state = {"ask": {"items": [None, {"text": "second"}]}}
    assert color.invoke(node, state) == {"ask": {"items": [{"text": "second"}, {"text": "second"}]}}


def test_empty_paths_mean_the_whole_state(server: Any, color: Color) -> None:
    node = make(server, "shout", input_path="", input_type=Text, output_path="")
    assert color.invoke(built(node, Text).compile(), {"text": "hi"}) == {"text": "HI"}


def test_the_agent_gets_config_tags_metadata_and_recursion_limit(color: Color) -> None:
    class Configured(TypedDict):
        tone: str

    def work(state: Text, config: RunnableConfig) -> Text:
        tone = config["configurable"]["tone"]
        return {"text": f"{tone} {config['recursion_limit']} {','.join(config['tags'])}"}

    with serve({"echo": agent(work, context_schema=Configured)}) as server:
        node = make(server, config_path="other", config_type=Configured)
        config: RunnableConfig = {
            "tags": ["spring"],
            "metadata": {"campaign": 7},
            "recursion_limit": 12,
        }
        done = color.invoke(
            built(node).compile(), {"ask": {"text": "hi"}, "other": {"tone": "calm"}}, config
        )
        assert done["answer"]["text"] == "calm 12 spring"
        run = _only_run(server)
        assert run["creation"]["metadata"]["campaign"] == 7
        assert not [name for name in run["creation"]["metadata"] if name.startswith("langgraph")]


def _only_run(server: Any) -> Any:
    import httpx  # noqa: PLC0415 - this helper alone

    (run,) = httpx.post(f"{server.url}/runs/search", json={}).json()
    return run


def test_a_remote_thread_belongs_to_the_graphs_thread_and_the_node(color: Color) -> None:
    class Remembering(TypedDict, total=False):
        text: str
        heard: Annotated[list[str], operator.add]

    remembering = agent(lambda state: {"heard": [state["text"]]}, Remembering)
    with serve({"remember": remembering}) as server:
        graph = built(make(server, "remember", use_threads=True)).compile(
            checkpointer=InMemorySaver()
        )
        heard = []
        for thread, text in (("1", "a"), ("1", "b"), ("2", "c")):
            config = {"configurable": {"thread_id": thread}}
            heard.append(color.invoke(graph, {"ask": {"text": text}}, config)["answer"]["heard"])
        assert heard == [["a"], ["a", "b"], ["c"]]


def test_a_hundred_calls_of_a_node_share_their_connections(server: Any, color: Color) -> None:
    graph = built(make(server)).compile()
    color.invoke_each(graph, [{"ask": {"text": str(n)}} for n in range(100)])
    assert server.connections() <= 2


def test_a_question_without_a_checkpointer_says_how_to_add_one_and_leaves_no_run(
    color: Color,
) -> None:
    from support.agents import asking  # noqa: PLC0415 - this test alone

    with serve({"ask": asking("color?")}) as server:
        graph = built(make(server, "ask")).compile()
        with pytest.raises(CheckpointerRequiredError, match="InMemorySaver"):
            color.invoke(graph, {"ask": {"text": "hi"}})
        assert "interrupted" not in server.count_runs()
        assert "pending" not in server.count_runs()


def test_a_question_is_answered_by_another_process_on_the_same_run(
    server: Any, color: Color, tmp_path: Path
) -> None:
    builder = built(make(server, "ask_twice"))
    with color.graph_over(builder, tmp_path / "checkpoints.sqlite") as graph:
        color.invoke(graph, {"ask": {"text": "hi"}}, ON_A_THREAD)
    for answer in ("blue", "rice"):
        again = built(make(server, "ask_twice"))
        with color.graph_over(again, tmp_path / "checkpoints.sqlite") as graph:
            done = color.invoke(graph, Command(resume=answer), ON_A_THREAD)
    assert done["answer"]["answers"] == ["blue", "rice"]
    assert server.created() == 1


def test_a_failed_run_names_node_run_and_agent(server: Any, color: Color) -> None:
    with pytest.raises(ACPRunException, match="no ink") as caught:
        color.invoke(make(server, "fail"), {"ask": {"text": "secret state"}})
    error = caught.value
    assert error.node == "remote"
    assert error.run_id
    assert error.agent_id == server.agent_ids["fail"]
    assert "secret state" not in str(error)


@pytest.mark.parametrize(
    ("changes", "state", "error", "says"),
    [
        ({"input_path": "aks"}, {"ask": 1}, NodeInputError, "did you mean 'ask'"),
        ({"input_path": "ask.txt"}, {"ask": {"text": 1}}, NodeInputError, "did you mean 'text'"),
        ({"input_path": "ask.x"}, {"ask": None}, NodeInputError, "ask is None"),
        ({}, {"ask": {"txt": "private"}}, NodeInputError, "text: Field required"),
        ({}, {"ask": {"text": ["private"]}}, NodeInputError, "valid string"),
        ({"input_type": None}, {"ask": {"text": object()}}, NodeInputError, "JSON"),
        ({"input_type": None}, {"ask": float("nan")}, NodeInputError, "JSON"),
        ({"agent_id": "ecko"}, {"ask": {"text": ""}}, UnknownAgentError, "'echo'"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(
    server: Any, color: Color, changes: Any, state: Any, error: Any, says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        color.invoke(make(server, **changes), state)
    assert "private" not in str(caught.value)
    assert server.created() == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a:b"}, "without ':' and '|'"),
        ({"name": ""}, "without ':' and '|'"),
        ({"agent_id": ""}, "agent_id is empty"),
        ({"client_config": "localhost:8000"}, "http://127.0.0.1:8000"),
        ({"client_config": "no url"}, "http://127.0.0.1:8000"),
        ({"input_path": "a..b"}, "input_path.*a name is missing"),
        ({"output_path": "a["}, "output_path"),
        ({"input_type": 5}, "input_type is a value of type int"),
        ({"config_type": Text}, "config_type needs a config_path"),
        ({"run_timeout": 0}, "above 0"),
    ],
)
def test_a_node_that_can_never_work_is_refused_when_it_is_made(
    server: Any, changes: Any, says: str
) -> None:
    with pytest.raises((NodeConfigurationError, ApiValueError), match=says):
        make(server, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"output_type": Mail | None, "agent_id": "shout", "output_path": "ask.text.deep"}, "ask"),
        ({"output_type": int}, "no int"),
    ],
)
def test_an_answer_that_fits_nowhere_is_an_error_of_the_node(
    server: Any, color: Color, changes: Any, says: str
) -> None:
    with pytest.raises(NodeOutputError, match=says):
        color.invoke(make(server, **changes), {"ask": {"text": "hi"}})


@dataclass
class Letter:
    text: str
    copies: int = 1


class Note(TypedDict):
    text: str


@pytest.mark.parametrize(
    ("declared", "value", "sent"),
    [
        (Mail, Mail(text="a"), {"text": "a", "seen": False}),
        (Mail, {"text": "a"}, {"text": "a", "seen": False}),
        (Mail, Letter("a"), {"text": "a", "seen": False}),
        (Note, {"text": "a", "more": 1}, {"text": "a"}),
        (Letter, Letter("a", 2), {"text": "a", "copies": 2}),
        (Letter, {"text": "a"}, {"text": "a", "copies": 1}),
        (str, "a", "a"),
        (list[int], [1, 2], [1, 2]),
        (int | None, None, None),
        (dict[str, float], {"a": 0.5}, {"a": 0.5}),
        (UUID, UUID(int=1), str(UUID(int=1))),
        (None, {"any": [1, None, "x"]}, {"any": [1, None, "x"]}),
    ],
)
def test_inputs_and_outputs_of_every_type_go_out_and_come_back(
    color: Color, declared: Any, value: Any, sent: Any
) -> None:
    with FakeACPServer([Answer(lambda run: run.input)]) as echoing:
        node = make(echoing, echoing.agent_id, input_type=declared, output_type=declared)
        change = color.invoke(node, {"ask": value})
        assert echoing.run.input == sent
    expected = TypeAdapter(declared).validate_python(sent) if declared not in {None, Note} else sent
    assert change == {"answer": expected}


def test_a_method_of_a_node_is_a_node_too(server: Any, color: Color) -> None:
    node = make(server)
    method = node.invoke if color.name == "sync" else node.ainvoke
    builder = StateGraph(State).add_node("remote", method).add_edge(START, "remote")
    done = color.invoke(builder.compile(), {"ask": {"text": "hi"}})
    assert done["answer"] == {"text": "hi"}


@pytest.mark.parametrize("agent", ["ecko", "00000000-0000-4000-8000-000000000000"])
def test_an_agent_that_is_not_there_cannot_be_described(
    server: Any, color: Color, agent: str
) -> None:
    node = make(server, agent)
    describe = node.describe if color.name == "sync" else lambda: asyncio.run(node.adescribe())
    with pytest.raises(UnknownAgentError, match=r"node 'remote'.*it has .*'echo'") as caught:
        describe()
    assert caught.value.node == "remote"
