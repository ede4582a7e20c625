"""Nodes as tools that a model calls, in graphs and on their own, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph, add_messages
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, RetryPolicy, Send
from nodes.conftest import Watched
from pydantic import BaseModel, Field, ValidationError
from support.agents import agent, asking
from support.colors import Color

from acp_langgraph import (
    ACPNode,
    APIBridgeAgentNode,
    QuantChatNode,
    QuantOrchestrationNode,
    QuantToolNode,
)
from acp_langgraph.config import ApiClientConfiguration
from acp_langgraph.errors import (
    ACPRunException,
    CheckpointerRequiredError,
    NodeConfigurationError,
    NodeOutputError,
    UnknownAgentError,
)
from acp_langgraph.nodes.tool_calls import ToolCall
from acp_langgraph.quant.polling import Pace
from acp_langgraph.server import serve
from acp_langgraph.testing import Answer, Ask, FakeACPServer, FakeBridge, Fault, Gate, Work
from acp_langgraph.testing.quant import FakeQuant, FakeTool

ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}
AT_ONCE = RetryPolicy(initial_interval=0.0, jitter=False)
QUICK = Pace(0.01, 0.02, 30.0)


class Text(TypedDict):
    text: str


class Chat(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]


def tool(server: Any, name: str, **options: Any) -> BaseTool:
    return ACPNode(name, name, server.url, input_type=Text, **options).as_tool()


def wanting(*calls: tuple[str, str, str]) -> dict[str, Any]:
    """The state in which a model wants tools called: by name, id and text."""
    made = [{"name": name, "id": each, "args": {"text": text}} for name, each, text in calls]
    return {"messages": [AIMessage("", tool_calls=made)]}


def graph_of(tools: list[BaseTool], *, retry: Any = None, **options: Any) -> Any:
    node = ToolNode(tools, **options)
    return StateGraph(Chat).add_node("tools", node, retry_policy=retry).add_edge(START, "tools")


def told(state: dict[str, Any]) -> dict[str, Any]:
    """What each call came to: its artifact, or what it says if it failed."""
    messages = [each for each in state["messages"] if isinstance(each, ToolMessage)]
    return {
        each.tool_call_id: each.content if each.status == "error" else each.artifact
        for each in messages
    }


def answered(state: dict[str, Any]) -> Command[Any]:
    """Answers every question with itself."""
    return Command(resume={each.id: each.value for each in state["__interrupt__"]})


# On its own


def test_a_tool_can_be_called_without_a_graph(color: Color, server: Watched) -> None:
    echo = tool(server, "echo")
    assert json.loads(color.invoke(echo, {"text": "hi"})) == {"text": "hi"}
    message = color.invoke(
        echo, {"name": "echo", "args": {"text": "ho"}, "id": "7", "type": "tool_call"}
    )
    assert (message.tool_call_id, message.artifact) == ("7", {"text": "ho"})
    assert server.created() == 2


def test_without_a_graph_a_question_is_refused_and_the_run_cancelled(
    color: Color, server: Watched
) -> None:
    with pytest.raises(CheckpointerRequiredError, match="cancelled"):
        color.invoke(tool(server, "ask"), {"text": "hi"})


def test_arguments_that_do_not_fit_are_not_sent(color: Color, server: Watched) -> None:
    with pytest.raises(ValidationError, match="text"):
        color.invoke(tool(server, "echo"), {"words": "hi"})
    assert not server.requests


def test_a_tool_works_inside_a_node_of_the_users_own(color: Color, server: Watched) -> None:
    ask = tool(server, "ask")

    def work(_: Chat) -> Any:
        said = [ask.invoke({"text": each}) for each in ("a", "b", "a")]
        return {"messages": [AIMessage(said)]}

    async def awork(_: Chat) -> Any:
        said = [await ask.ainvoke({"text": each}) for each in ("a", "b", "a")]
        return {"messages": [AIMessage(said)]}

    node = work if color.name == "sync" else awork
    graph = StateGraph(Chat).add_node("work", node).add_edge(START, "work")
    compiled = graph.compile(checkpointer=InMemorySaver())
    state = color.invoke(compiled, {"messages": []}, ON_A_THREAD)
    for answer in ("red", "green", "blue"):
        assert len(state["__interrupt__"]) == 1
        state = color.invoke(compiled, Command(resume=answer), ON_A_THREAD)
    said = [json.loads(each)["answers"] for each in state["messages"][-1].content]
    assert said == [["red"], ["green"], ["blue"]]
    assert server.created() == 3


# Called by a model


def test_calls_of_one_message_have_a_run_each_and_their_questions_are_put_together(
    color: Color, server: Watched, tmp_path: Path
) -> None:
    tools = [tool(server, name) for name in ("ask", "echo", "ask_twice")]
    builder = graph_of(tools)
    calls = [("ask", "1", "a"), ("echo", "2", "b"), ("ask", "3", "c"), ("ask_twice", "4", "d")]
    with color.graph_over(builder, tmp_path / "first") as graph:
        state = color.invoke(graph, wanting(*calls), ON_A_THREAD)
    asked = [each.value for each in state["__interrupt__"]]
    assert asked == ["color? (a)", "color? (c)", "color? (d)"]
    with color.graph_over(builder, tmp_path / "first") as graph:
        state = color.invoke(graph, answered(state), ON_A_THREAD)
    assert [each.value for each in state["__interrupt__"]] == ["food? (d)"]
    with color.graph_over(builder, tmp_path / "first") as graph:
        state = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
    assert told(state) == {
        "1": {"text": "a", "answers": ["color? (a)"]},
        "2": {"text": "b"},
        "3": {"text": "c", "answers": ["color? (c)"]},
        "4": {"text": "d", "answers": ["color? (d)", "rice"]},
    }
    assert server.created() == 4


def test_what_is_over_is_not_asked_about_again_while_another_call_waits(
    color: Color, server: Watched
) -> None:
    graph = graph_of([tool(server, "ask"), tool(server, "echo")]).compile(
        checkpointer=InMemorySaver()
    )
    calls = [("ask", "1", "a"), ("echo", "2", "b")]
    color.invoke(graph, wanting(*calls), ON_A_THREAD)
    before = len(server.requests)
    color.invoke(graph, Command(resume="x"), ON_A_THREAD)
    after = [request.path.split("/")[2] for request in server.requests[before:]]
    runs = set(after) - {"search"}  # which is about the server
    assert len(runs) == 1


def test_calls_with_the_same_id_and_arguments_are_still_two(color: Color, server: Watched) -> None:
    graph = graph_of([tool(server, "ask")]).compile(checkpointer=InMemorySaver())
    state = color.invoke(graph, wanting(("ask", "1", "a"), ("ask", "1", "a")), ON_A_THREAD)
    assert len(state["__interrupt__"]) == 2
    color.invoke(graph, answered(state), ON_A_THREAD)
    assert server.created() == 2


def test_each_call_may_be_sent_to_a_task_of_its_own(color: Color, server: Watched) -> None:
    calls = wanting(("ask", "1", "a"), ("ask", "2", "b"))["messages"][0].tool_calls
    builder = StateGraph(Chat).add_node("tools", ToolNode([tool(server, "ask")]))
    builder.add_conditional_edges(START, lambda _: [Send("tools", [each]) for each in calls])
    graph = builder.compile(checkpointer=InMemorySaver())
    state = color.invoke(graph, {"messages": []}, ON_A_THREAD)
    state = color.invoke(graph, answered(state), ON_A_THREAD)
    assert told(state) == {
        "1": {"text": "a", "answers": ["color? (a)"]},
        "2": {"text": "b", "answers": ["color? (b)"]},
    }
    assert server.created() == 2


def test_a_plain_answer_is_for_the_call_that_asked_and_not_for_the_first_that_comes(
    color: Color, server: Watched
) -> None:
    ask = tool(server, "ask")
    order = ["a"]  # what a busy executor does by chance: another call is first the second time
    seen: list[Any] = []

    def calls() -> Iterator[dict[str, Any]]:
        for each in order:
            yield {"name": "ask", "args": {"text": each}, "id": each, "type": "tool_call"}

    def work(_: Chat) -> Any:
        seen.extend(ask.invoke(call).artifact for call in calls())
        return {}

    async def awork(_: Chat) -> Any:
        seen.extend([(await ask.ainvoke(call)).artifact for call in calls()])
        return {}

    node = work if color.name == "sync" else awork
    builder = StateGraph(Chat).add_node("work", node).add_edge(START, "work")
    graph = builder.compile(checkpointer=InMemorySaver())
    color.invoke(graph, {"messages": []}, ON_A_THREAD)
    order.insert(0, "b")
    state = color.invoke(graph, Command(resume="for a"), ON_A_THREAD)
    assert [each.value for each in state["__interrupt__"]] == ["color? (b)"]
    state = color.invoke(graph, Command(resume="for b"), ON_A_THREAD)
    assert [each.value for each in state["__interrupt__"]] == ["color? (a)"]
    color.invoke(graph, Command(resume="for a"), ON_A_THREAD)
    assert [each["answers"] for each in seen[-2:]] == [["for b"], ["for a"]]
    assert server.created() == 2


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_questions_wait_with_every_durability(
    color: Color, server: Watched, durability: str, tmp_path: Path
) -> None:
    builder = graph_of([tool(server, "ask")])
    calls = [("ask", "1", "a"), ("ask", "2", "b")]
    with color.graph_over(builder, tmp_path / "file") as graph:
        state = color.invoke(graph, wanting(*calls), ON_A_THREAD, durability=durability)
        state = color.invoke(graph, answered(state), ON_A_THREAD, durability=durability)
    assert sorted(told(state)) == ["1", "2"]
    assert server.created() == 2


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgetful", "remembering"])
def test_a_retried_call_finds_its_run_and_not_that_of_the_call_beside_it(
    color: Color, saver: Any
) -> None:
    with FakeACPServer([Answer(lambda run: dict(run.input))]) as server:
        creates = ("create_stateless_run", "create_and_wait_for_stateless_run_output")
        for each in creates:
            server.faults.add(Fault.status(503, after_work=True), on=each, times=8)
        remote = ACPNode("remote", server.agent_id, server.url, input_type=Text)
        graph = graph_of([remote.as_tool()], retry=AT_ONCE).compile(checkpointer=saver)
        calls = [("remote", each, each * 3) for each in "abc"]
        state = color.invoke(graph, wanting(*calls), {**ON_A_THREAD, "recursion_limit": 9})
        assert told(state) == {each: {"text": each * 3} for each in "abc"}
        assert sorted(run.input["text"] for run in server.runs) == ["aaa", "bbb", "ccc"]


def test_a_retry_waits_for_a_call_that_the_failed_attempt_left_at_work() -> None:
    held = Gate()
    with (
        FakeACPServer([Answer(lambda run: dict(run.input))]) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        create = "create_stateless_run"
        server.faults.add(Fault.hold(held, at="work"), Fault.status(503), on=create)
        host = ApiClientConfiguration(server.url, retries=0)
        remote = ACPNode("remote", server.agent_id, host, input_type=Text)
        graph = graph_of([remote.as_tool()], retry=AT_ONCE).compile(checkpointer=InMemorySaver())
        calls = [("remote", each, each * 3) for each in "ab"]
        job = pool.submit(lambda: asyncio.run(graph.ainvoke(wanting(*calls), ON_A_THREAD)))
        server.requests.wait_for(create, n=3)  # of the second attempt
        held.open()
        assert told(job.result()) == {"a": {"text": "aaa"}, "b": {"text": "bbb"}}
        assert sorted(run.input["text"] for run in server.runs) == ["aaa", "bbb"]


def test_a_wrapper_that_calls_again_gets_the_same_run(color: Color, server: Watched) -> None:
    def twice(request: Any, execute: Any) -> Any:
        execute(request)
        return execute(request)

    async def atwice(request: Any, execute: Any) -> Any:
        await execute(request)
        return await execute(request)

    builder = graph_of([tool(server, "echo")], wrap_tool_call=twice, awrap_tool_call=atwice)
    graph = builder.compile(checkpointer=InMemorySaver())
    state = color.invoke(graph, wanting(("echo", "1", "a")), ON_A_THREAD)
    assert told(state) == {"1": {"text": "a"}}
    assert server.created() == 1


def test_the_next_message_may_use_the_same_ids_again(color: Color, server: Watched) -> None:
    graph = graph_of([tool(server, "echo")]).compile(checkpointer=InMemorySaver())
    for _ in range(2):
        color.invoke(graph, wanting(("echo", "1", "a")), ON_A_THREAD)
    assert server.created() == 2


def test_a_limit_to_concurrency_does_not_starve_a_call(color: Color, server: Watched) -> None:
    graph = graph_of([tool(server, "echo")]).compile(checkpointer=InMemorySaver())
    asked = wanting(*[("echo", str(each), "a") for each in range(3)])
    config = {**ON_A_THREAD, "max_concurrency": 2}
    items = color.stream(graph, asked, config, stream_mode=["custom", "values"], subgraphs=True)
    assert len(told(items[-1][-1])) == 3


def test_more_calls_than_threads_do_not_starve_each_other(color: Color, server: Watched) -> None:
    graph = graph_of([tool(server, "echo")]).compile(checkpointer=InMemorySaver())
    calls = [("echo", str(each), "a") for each in range(40)]
    state = color.invoke(graph, wanting(*calls), ON_A_THREAD)
    assert len(told(state)) == 40


# What goes wrong


def test_a_remote_failure_ends_the_graph_unless_the_model_is_to_know(
    color: Color, server: Watched
) -> None:
    graph = graph_of([tool(server, "fail")]).compile(checkpointer=InMemorySaver())
    with pytest.raises(ACPRunException, match="no ink"):
        color.invoke(graph, wanting(("fail", "1", "a")), ON_A_THREAD)


def test_a_model_may_be_told_of_a_failure_and_the_question_beside_it_is_put_all_the_same(
    color: Color, server: Watched
) -> None:
    builder = graph_of([tool(server, "fail"), tool(server, "ask")], handle_tool_errors=True)
    graph = builder.compile(checkpointer=InMemorySaver())
    calls = [("fail", "1", "a"), ("ask", "2", "b")]
    state = color.invoke(graph, wanting(*calls), ON_A_THREAD)
    assert [each.value for each in state["__interrupt__"]] == ["color? (b)"]
    said = told(color.invoke(graph, Command(resume="x"), ON_A_THREAD))
    assert "no ink" in said["1"]
    assert said["2"]["answers"] == ["x"]
    assert server.created() == 2


def test_a_tool_that_handles_its_errors_tells_the_model_what_the_agent_said(
    color: Color, server: Watched
) -> None:
    fail = tool(server, "fail")
    fail.handle_tool_error = True
    graph = graph_of([fail]).compile(checkpointer=InMemorySaver())
    state = color.invoke(graph, wanting(("fail", "1", "a")), ON_A_THREAD)
    assert "the remote run failed" in told(state)["1"]


def test_a_model_is_told_of_arguments_that_do_not_fit(color: Color, server: Watched) -> None:
    graph = graph_of([tool(server, "echo")]).compile(checkpointer=InMemorySaver())
    call = {"name": "echo", "id": "1", "args": {"words": "a"}}
    state = color.invoke(graph, {"messages": [AIMessage("", tool_calls=[call])]}, ON_A_THREAD)
    assert "text" in told(state)["1"]
    assert not server.requests


def test_an_answer_that_is_not_of_the_declared_type_is_an_error(
    color: Color, server: Watched
) -> None:
    with pytest.raises(NodeOutputError, match="answer is no"):
        color.invoke(tool(server, "echo", output_type=dict[str, int]), {"text": "hi"})


async def test_cancelling_a_call_cancels_its_run() -> None:
    with FakeACPServer([Work(Gate()), Answer("done")]) as server:
        remote = ACPNode("remote", server.agent_id, server.url, input_type=Text)
        graph = graph_of([remote.as_tool()]).compile(checkpointer=InMemorySaver())
        job = asyncio.create_task(graph.ainvoke(wanting(("remote", "1", "a")), ON_A_THREAD))
        await asyncio.to_thread(server.requests.wait_for, "wait_for_stateless_run_output")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.to_thread(server.wait_until, lambda: server.runs[0].cancelled)
        await remote.aclose()


def test_a_question_waits_for_the_call_beside_it_and_cancels_nothing(color: Color) -> None:
    gate = Gate()

    def script(run: Any) -> Iterator[Any]:
        if run.input["text"] == "slow":
            yield Work(gate)
        else:
            yield Ask("color?")
        yield Answer({"answers": run.answers})

    with FakeACPServer(script) as server, ThreadPoolExecutor(1) as pool:
        remote = ACPNode("remote", server.agent_id, server.url, input_type=Text)
        graph = graph_of([remote.as_tool()]).compile(checkpointer=InMemorySaver())
        calls = [("remote", "1", "quick"), ("remote", "2", "slow")]
        job = pool.submit(color.invoke, graph, wanting(*calls), ON_A_THREAD)
        server.requests.wait_for("wait_for_stateless_run_output", n=2)
        gate.open()
        assert [each.value for each in job.result()["__interrupt__"]] == ["color?"]
        done = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert told(done) == {"1": {"answers": ["blue"]}, "2": {"answers": []}}
        assert [run.cancelled for run in server.runs] == [False, False]


# Watching


@pytest.mark.parametrize("saver", [None, InMemorySaver()], ids=["forgetful", "remembering"])
def test_what_a_called_agent_emits_is_seen_by_who_watches_the_graph(
    color: Color, server: Watched, saver: Any
) -> None:
    graph = graph_of([tool(server, "echo")]).compile(checkpointer=saver)
    asked = wanting(("echo", "1", "a"))
    events = color.stream(graph, asked, ON_A_THREAD, stream_mode="custom")
    assert {"text": "a"} in [each["payload"] for each in events]
    assert {each["node"] for each in events} == {"echo"}


def test_if_nobody_watches_nothing_is_streamed(color: Color, server: Watched) -> None:
    graph = graph_of([tool(server, "echo")]).compile(checkpointer=InMemorySaver())
    color.invoke(graph, wanting(("echo", "1", "a")), ON_A_THREAD)
    assert not [each for each in server.requests if each.path.endswith("/stream")]


# What a model is told of the tool


class Mail(BaseModel):
    """A mail."""

    to: str = Field(alias="recipient", description="An address.")
    urgent: bool = False


def test_the_descriptor_makes_the_tool(color: Color) -> None:
    described = agent(lambda state: {"text": state["text"]})
    described.__doc__ = None
    with serve({"echo": described}) as server:
        node = ACPNode("echo", "echo", server.url)
        with pytest.raises(NodeConfigurationError, match=r"node.describe\(\)"):
            node.as_tool()
        if color.name == "sync":
            node.describe()
        else:
            asyncio.run(node.adescribe())
        before = len(server.requests)
        made = node.as_tool(description="Says it again.")
        assert len(server.requests) == before
        function = convert_to_openai_tool(made)["function"]
        assert (function["name"], function["description"]) == ("echo", "Says it again.")
        assert function["parameters"]["properties"]["text"]["type"] == "string"
        assert json.loads(color.invoke(made, {"text": "hi"})) == {"text": "hi"}
        with pytest.raises(ValidationError):
            color.invoke(made, {"text": 3})


def test_reading_the_descriptor_of_an_unknown_agent_says_so(server: Watched) -> None:
    with pytest.raises(UnknownAgentError, match="ehco"):
        ACPNode("echo", "ehco", server.url).describe()


def test_aliases_defaults_and_descriptions_of_the_input_type_are_the_tools(color: Color) -> None:
    with FakeACPServer([Answer("sent")]) as server:
        node = ACPNode("send a mail!", server.agent_id, server.url, input_type=Mail)
        made = node.as_tool()
        assert made.name == "send_a_mail"
        assert "An address." in json.dumps(convert_to_openai_tool(made))
        assert color.invoke(made, {"recipient": "ada@example.com"}) == "sent"
        assert server.runs[0].input == {"recipient": "ada@example.com", "urgent": False}


@pytest.mark.parametrize(
    ("declared", "given", "sent"),
    [(str, {"input": "hi"}, "hi"), (str, "hi", "hi"), (list[int], {"input": [1]}, [1])],
)
def test_an_input_that_is_no_object_is_one_argument(
    color: Color, declared: Any, given: Any, sent: Any
) -> None:
    with FakeACPServer([Answer({"n": 1})]) as server:
        node = ACPNode("remote", server.agent_id, server.url, input_type=declared)
        color.invoke(node.as_tool(), given)
        assert server.runs[0].input == sent


def test_arguments_may_be_declared_for_the_tool_alone(color: Color) -> None:
    with FakeACPServer([Answer({"n": 1})]) as server:
        node = ACPNode("remote", server.agent_id, server.url)
        color.invoke(node.as_tool(arg_types={"n": int}, name="other"), {"n": 1})
        color.invoke(node.as_tool(Mail), {"recipient": "a"})
        assert [run.input for run in server.runs] == [{"n": 1}, {"recipient": "a"}]


def test_the_last_message_of_an_agent_that_chats_is_what_the_model_reads(color: Color) -> None:
    answer = {"messages": [{"role": "user", "content": "hi"}, {"role": "ai", "content": "ho"}]}
    with FakeACPServer([Answer(answer)]) as server:
        made = ACPNode("remote", server.agent_id, server.url, input_type=Text).as_tool()
        assert color.invoke(made, {"text": "hi"}) == "ho"


def test_a_configuration_from_the_state_must_be_given_to_the_tool(color: Color) -> None:
    with FakeACPServer([Answer({"n": 1})]) as server:
        node = ACPNode(
            "remote", server.agent_id, server.url, input_type=Text, config_path="settings"
        )
        with pytest.raises(NodeConfigurationError, match=r"as_tool\(config="):
            node.as_tool()
        color.invoke(node.as_tool(config={"tone": "formal"}), {"text": "hi"})
        assert server.runs[0].config["configurable"] == {"tone": "formal"}


def test_the_node_itself_stays_what_it_was(color: Color, server: Watched) -> None:
    node = ACPNode("echo", "echo", server.url, "ask", Text, "answer", Text)
    node.as_tool()
    assert color.invoke(node, {"ask": {"text": "hi"}}) == {"answer": {"text": "hi"}}


# Other nodes


def test_an_api_bridge_is_a_tool_that_takes_words(color: Color) -> None:
    with FakeBridge({"mail": lambda query: f"sent {query.text}"}) as bridge:
        made = APIBridgeAgentNode("mail", bridge.url, "mail", "in", "out").as_tool()
        assert made.args["query"]["type"] == "string"
        assert "sent" in color.invoke(made, {"query": "a mail"})
        graph = graph_of([made]).compile(checkpointer=InMemorySaver())
        calls = [{"name": "mail", "id": each, "args": {"query": each}} for each in ("a", "b")]
        color.invoke(graph, {"messages": [AIMessage("", tool_calls=calls)]}, ON_A_THREAD)
        assert len(bridge.queries) == 3


def test_quants_tools_and_chats_are_tools_that_take_words(color: Color) -> None:
    fast = (("pending", 1.0), ("running", 1.0))
    options: Any = {"organisation": "acme", "model_id": "m", "pace": QUICK}
    count = FakeTool("count", result=7, states=fast)
    with FakeQuant([count], scale=0.01, chat_states=fast) as server:
        counts = QuantToolNode("count", server.url, tools=["count"], **options)
        assert '"result": 7' in color.invoke(counts.as_tool(), {"message": "count"})
        chat = QuantChatNode("chat", server.url, **options)
        assert color.invoke(chat.as_tool(), {"message": "well?"}) == "Done."


def test_a_node_that_works_on_what_others_began_is_no_tool() -> None:
    node = QuantOrchestrationNode("wait", "https://x", organisation="acme", input_path="id")
    with pytest.raises(NodeConfigurationError, match="cannot be a tool"):
        node.as_tool()


def test_langgraphs_private_names_are_there_that_calls_rely_on(server: Watched) -> None:
    found: list[Any] = []

    def work(_: Chat, config: RunnableConfig) -> Any:
        configurable = config["configurable"]
        found.append(configurable["__pregel_scratchpad"].get_null_resume(False))
        call = ToolCall.begin("tool", "1", {}, config)
        assert call is not None
        found.append(call.config["configurable"]["__pregel_scratchpad"].subgraph_counter())
        call.leave(())
        return {}

    graph = StateGraph(Chat).add_node("work", work).add_edge(START, "work")
    graph.compile(checkpointer=InMemorySaver()).invoke({"messages": []}, ON_A_THREAD)
    assert found == [None, 0]


def test_an_agent_that_is_called_is_not_the_run_of_a_node_beside_it(
    color: Color, server: Watched
) -> None:
    node = ACPNode("echo", "echo", server.url, "ask", Text, "answer", Text)

    class State(Chat, total=False):
        ask: Text
        answer: Text

    builder = StateGraph(State).add_node(node).add_node("tools", ToolNode([node.as_tool()]))
    builder.add_edge(START, "echo").add_edge(START, "tools")
    graph = builder.compile(checkpointer=InMemorySaver())
    state = color.invoke(graph, {**wanting(("echo", "1", "a")), "ask": {"text": "b"}}, ON_A_THREAD)
    assert (state["answer"], told(state)) == ({"text": "b"}, {"1": {"text": "a"}})


def test_the_same_tool_asks_again_after_time_travel(color: Color) -> None:
    with serve({"ask": asking("color?")}) as server:
        graph = graph_of([tool(server, "ask")]).compile(checkpointer=InMemorySaver())
        state = color.invoke(graph, wanting(("ask", "1", "a")), ON_A_THREAD)
        color.invoke(graph, answered(state), ON_A_THREAD)
        before = [each for each in graph.get_state_history(ON_A_THREAD) if each.next == ("tools",)]
        state = color.invoke(graph, None, before[-1].config)
        assert [each.value for each in state["__interrupt__"]] == ["color? (a)"]
