"""Quant's tool, orchestration and chat nodes in graphs, over real HTTP to the fake service."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import inspect
import logging
import operator
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command, RetryPolicy, TimeoutPolicy
from support.colors import Color

from acp_langgraph.errors import (
    ApiValueError,
    CheckpointerRequiredError,
    NodeConfigurationError,
    NodeInputError,
    QuantRunError,
    RunExpiredError,
    RunTimeoutError,
    ServiceException,
    UnknownOutcomeError,
)
from acp_langgraph.nodes.quant import QuantChatNode, QuantOrchestrationNode, QuantToolNode
from acp_langgraph.quant.polling import Pace
from acp_langgraph.testing import Fault, Gate
from acp_langgraph.testing.quant import FakeQuant, FakeTool, Turn, Use

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
QUICK = Pace(0.01, 0.02, 30.0)
PNG = b"\x89PNG" + bytes(range(256)) * 1000
IMAGE = {
    "images": ["data:image/png;base64," + base64.b64encode(PNG).decode()],
    "s3Urls": ["https://s3/lighthouse"],
}
FAST = (("pending", 1.0), ("warming_up", 1.0), ("running", 1.0))


class State(TypedDict, total=False):
    ask: Any
    answer: Any
    other: Any


def tools() -> list[FakeTool]:
    return [
        FakeTool("generate_image", result=IMAGE, states=FAST),
        FakeTool("count", result=7, states=FAST),
        FakeTool("get_weather", is_async=False, result={"celsius": 12}),
        FakeTool("broken", error="no ink", states=FAST),
    ]


@pytest.fixture
def server() -> Iterator[FakeQuant]:
    with FakeQuant(tools(), scale=0.01, chat_states=FAST) as running:
        yield running


def tool_node(server: FakeQuant, *names: str, **changes: Any) -> QuantToolNode:
    settings = {
        "organisation": "acme",
        "model_id": "m",
        "tools": names,
        "input_path": "ask",
        "output_path": "answer",
        "pace": QUICK,
        "orchestration_pace": QUICK,
    }
    return QuantToolNode("draw", server.url, **{**settings, **changes})


def waiting_node(server: FakeQuant, **changes: Any) -> QuantToolNode:
    settings = {"execution_path": "ask", "output_path": "answer", "pace": QUICK}
    return QuantToolNode("wait", server.url, organisation="acme", **{**settings, **changes})


def chat_node(server: FakeQuant, **changes: Any) -> QuantChatNode:
    settings = {
        "organisation": "acme",
        "model_id": "m",
        "input_path": "ask",
        "output_path": "answer",
        "pace": QUICK,
    }
    return QuantChatNode("chat", server.url, **{**settings, **changes})


def built(node: Any, **options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node(node, **options)
    builder.add_edge(START, node.name)
    builder.add_edge(node.name, END)
    return builder


def remembered(node: Any, **options: Any) -> Any:
    return built(node, **options).compile(checkpointer=InMemorySaver())


# Tools


def test_a_tool_is_started_awaited_and_its_image_saved_outside_of_the_state(
    server: FakeQuant, color: Color, tmp_path: Path
) -> None:
    graph = remembered(tool_node(server, "generate_image", save_to=tmp_path))
    state = color.invoke(graph, {"ask": "a lighthouse", "other": 1}, ON_A_THREAD)
    (tool,) = state["answer"]["tools"]
    (image,) = tool["result"]["images"]
    assert Path(image["file"]).read_bytes() == PNG
    assert tool["result"]["s3Urls"] == IMAGE["s3Urls"]
    assert (tool["name"], tool["status"], state["other"]) == ("generate_image", "complete", 1)
    assert len(server.executions) == 1
    assert len(repr(list(graph.checkpointer.list(ON_A_THREAD)))) < len(PNG)


def test_a_node_outside_of_a_graph_does_the_same(server: FakeQuant, color: Color) -> None:
    answer = color.invoke(tool_node(server, "generate_image"), {"ask": "a lighthouse"})
    (image,) = answer["answer"]["tools"][0]["result"]["images"]
    assert image == {
        "executionId": server.executions[0].execution_id,
        "at": "images.0",
        "mediaType": "image/png",
        "bytes": len(PNG),
    }


@pytest.mark.parametrize("tool_use", ["object", "list"])
def test_one_tool_use_comes_as_an_object_or_as_a_list(color: Color, tool_use: Any) -> None:
    with FakeQuant(tools(), scale=0.01, tool_use=tool_use) as server:
        answer = color.invoke(tool_node(server, "count"), {"ask": "how many?"})
    assert [tool["result"] for tool in answer["answer"]["tools"]] == [7]


def test_the_result_goes_back_to_the_model_for_the_final_text(
    server: FakeQuant, color: Color
) -> None:
    answer = color.invoke(tool_node(server, "count", answer=True), {"ask": "how many?"})
    assert answer["answer"]["text"] == "7"
    assert server.chats_answered == 2


def test_a_tool_that_is_not_asynchronous_is_done_at_once(server: FakeQuant, color: Color) -> None:
    answer = color.invoke(tool_node(server, "get_weather"), {"ask": "cold?"})
    assert answer["answer"]["tools"][0]["result"] == {"celsius": 12}
    assert server.executions == []


def test_a_model_that_uses_no_tool_just_answers(server: FakeQuant, color: Color) -> None:
    server.model = lambda request: Turn("I would rather not.")
    answer = color.invoke(tool_node(server, "count"), {"ask": "how many?"})
    assert answer["answer"] == {
        "text": "I would rather not.",
        "tools": [],
        "orchestrationId": None,
    }


@pytest.mark.parametrize("place", ["top", "response", "nested", "poll_url"])
@pytest.mark.parametrize("dialect", ["4.9", "4.19"])
def test_several_tools_are_gathered_by_an_orchestration(
    color: Color, place: Any, dialect: Any
) -> None:
    with FakeQuant(tools(), scale=0.01, dialect=dialect, orchestration_in=place) as server:
        answer = color.invoke(tool_node(server, "generate_image", "count"), {"ask": "both"})
    assert answer["answer"]["text"] == "All of it: generate_image, count"
    assert len(answer["answer"]["tools"]) == 2
    assert server.requests.count("get_ai_tool_execution_status") == 0


def test_several_tools_that_nobody_gathers_are_awaited_each(color: Color) -> None:
    with FakeQuant(tools(), scale=0.01, orchestration_in="nowhere") as server:
        answer = color.invoke(tool_node(server, "generate_image", "count"), {"ask": "both"})
    assert [tool["status"] for tool in answer["answer"]["tools"]] == ["complete", "complete"]


def test_a_failed_tool_is_an_error_with_the_tools_words(server: FakeQuant, color: Color) -> None:
    with pytest.raises(QuantRunError, match="broken failed: no ink") as caught:
        color.invoke(tool_node(server, "broken"), {"ask": "private"})
    assert caught.value.node == "draw"
    assert caught.value.run_id == server.executions[0].execution_id
    assert "private" not in str(caught.value)


def test_a_failed_tool_may_be_kept_beside_the_others(server: FakeQuant, color: Color) -> None:
    node = tool_node(server, "broken", "count", on_error="keep")
    answer = color.invoke(node, {"ask": "both"})
    assert [tool["error"] for tool in answer["answer"]["tools"]] == ["no ink", None]


def test_executions_that_were_started_elsewhere_are_awaited(
    server: FakeQuant, color: Color
) -> None:
    one = server.start_execution(server.tools["count"]).execution_id
    answer = color.invoke(remembered(waiting_node(server)), {"ask": one}, ON_A_THREAD)["answer"]
    assert (answer["executionId"], answer["result"]) == (one, 7)
    two = server.start_execution(server.tools["count"]).execution_id
    answers = color.invoke(waiting_node(server), {"ask": [one, two]})["answer"]
    assert [answer["executionId"] for answer in answers] == [one, two]


def test_an_execution_that_is_not_visible_yet_is_waited_for(color: Color) -> None:
    with FakeQuant(tools(), scale=0.01, hidden_for=3.0) as server:
        answer = color.invoke(tool_node(server, "count"), {"ask": "how many?"})
        statuses = [r.status for r in server.requests.matching("get_ai_tool_execution_status")]
    assert statuses[0] == 404
    assert answer["answer"]["tools"][0]["result"] == 7


def test_an_execution_older_than_a_day_has_expired(server: FakeQuant, color: Color) -> None:
    execution = server.start_execution(server.tools["count"])
    server.advance(100_000)
    node = waiting_node(server)
    object.__setattr__(node.policy, "grace", 0.0)
    with pytest.raises(RunExpiredError, match=execution.execution_id):
        color.invoke(node, {"ask": execution.execution_id})


@pytest.mark.parametrize("deadline", [0.1, 0.3])
def test_an_execution_that_was_never_seen_has_expired_however_short_the_deadline(
    server: FakeQuant, color: Color, deadline: float
) -> None:
    node = waiting_node(server, pace=Pace(0.01, 0.02, deadline))
    with pytest.raises(RunExpiredError, match="exec_unknown"):
        color.invoke(node, {"ask": "exec_unknown"})


def test_an_orchestration_that_was_never_seen_has_expired_however_short_the_deadline(
    server: FakeQuant, color: Color
) -> None:
    node = QuantOrchestrationNode(
        "wait",
        server.url,
        organisation="acme",
        input_path="ask",
        output_path="answer",
        pace=Pace(0.01, 0.02, 0.1),
    )
    with pytest.raises(RunExpiredError, match="orch_unknown"):
        color.invoke(node, {"ask": "orch_unknown"})


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.lose_answer()], ids=repr)
def test_where_the_service_did_not_say_whether_it_knows_an_execution_a_deadline_is_a_time_out(
    server: FakeQuant, color: Color, fault: Fault
) -> None:
    server.faults.add(fault, on="get_ai_tool_execution_status", times=None)
    node = waiting_node(server, pace=Pace(0.01, 0.02, 0.1))
    with pytest.raises(RunTimeoutError, match="exec_unknown"):
        color.invoke(node, {"ask": "exec_unknown"})


def test_a_deadline_says_that_the_execution_goes_on(server: FakeQuant, color: Color) -> None:
    slow = FakeTool("slow", states=(("running", Gate()),))
    execution = server.start_execution(slow)
    node = waiting_node(server, pace=Pace(0.01, 0.02, 0.1))
    with pytest.raises(RunTimeoutError, match="goes on on the server"):
        color.invoke(node, {"ask": execution.execution_id})


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(429, retry_after=0),
        Fault.status(503),
        Fault.html(502),
        Fault.lose_answer(),
        Fault.truncated_json(),
        Fault.drop_unread(reset=True),
        Fault.no_content(),
    ],
    ids=repr,
)
def test_whatever_goes_wrong_while_waiting_is_not_yet(
    server: FakeQuant, color: Color, fault: Fault
) -> None:
    server.faults.add(fault, on="get_ai_tool_execution_status", times=2)
    answer = color.invoke(tool_node(server, "count"), {"ask": "how many?"})
    assert answer["answer"]["tools"][0]["result"] == 7


@pytest.mark.parametrize("fault", [Fault.lose_answer(), Fault.status(504, after_work=True)])
def test_a_start_without_an_answer_is_unknown_and_never_repeated(
    server: FakeQuant, color: Color, fault: Fault
) -> None:
    server.faults.add(fault, on="chat_inference")
    graph = remembered(tool_node(server, "count"), retry_policy=RetryPolicy(max_attempts=3))
    with pytest.raises(UnknownOutcomeError) as caught:
        color.invoke(graph, {"ask": "how many?"}, ON_A_THREAD)
    assert server.executions[0].execution_id in str(caught.value)
    with pytest.raises(UnknownOutcomeError):
        color.invoke(graph, None, ON_A_THREAD)
    assert len(server.executions) == 1


def test_a_retry_policy_starts_nothing_twice(server: FakeQuant, color: Color) -> None:
    server.faults.add(Fault.status(503), on="list_ai_tool_executions", times=None)
    server.faults.add(Fault.status(503), on="get_ai_tool_execution_status", times=6)
    node = tool_node(server, "count")
    object.__setattr__(node.policy, "patience", 0.0)
    policy = RetryPolicy(max_attempts=50, initial_interval=0.01, backoff_factor=1, jitter=False)
    state = color.invoke(remembered(node, retry_policy=policy), {"ask": "?"}, ON_A_THREAD)
    assert state["answer"]["tools"][0]["result"] == 7
    assert len(server.executions) == 1


def test_a_refused_start_may_be_tried_again_later(server: FakeQuant, color: Color) -> None:
    server.faults.add(Fault.status(401), on="chat_inference")
    graph = remembered(tool_node(server, "count"))
    with pytest.raises(Exception, match="401"):
        color.invoke(graph, {"ask": "how many?"}, ON_A_THREAD)
    state = color.invoke(graph, None, ON_A_THREAD)
    assert state["answer"]["tools"][0]["result"] == 7
    assert len(server.executions) == 1


def test_a_hundred_nodes_that_wait_at_once_share_their_polling(
    server: FakeQuant, color: Color
) -> None:
    from benchmarks.bench_quant_polling import measure  # noqa: PLC0415 - this test alone

    result = measure(color.name, together=True, nodes=100, scale=0.1)
    assert result.singles_each <= 1.2
    assert result.lists <= result.seconds / 2.0 + 1


def test_executions_that_the_list_does_not_show_are_found_all_the_same(color: Color) -> None:
    with FakeQuant(tools(), scale=0.05, listed=2) as server:
        ids = [server.start_execution(server.tools["count"]).execution_id for _ in range(8)]

        class Many(TypedDict):
            answers: Annotated[list[Any], operator.add]

        builder = StateGraph(Many)
        for number, each in enumerate(ids):
            wait = waiting_node(server).ainvoke if color.name == "async" else None
            run = wait or waiting_node(server).invoke
            builder.add_node(f"wait{number}", collected(run, each))
            builder.add_edge(START, f"wait{number}")
        answers = color.invoke(builder.compile(), {"answers": []})["answers"]
        assert server.requests.count("list_ai_tool_executions") > 0
    assert [answer["result"] for answer in answers] == [7] * 8


def collected(run: Any, execution_id: str) -> Any:
    """A node's answer as one of many."""
    if inspect.iscoroutinefunction(run):

        async def anode(state: Any) -> dict[str, Any]:
            return {"answers": [(await run({"ask": execution_id}))["answer"]]}

        return anode
    return lambda state: {"answers": [run({"ask": execution_id})["answer"]]}


def test_graph_threads_on_one_node_never_mix(server: FakeQuant, color: Color) -> None:
    server.tools["echo"] = FakeTool("echo", result=lambda given: given, states=FAST)
    server.model = lambda request: Turn("", (Use("echo", request["messages"][0]["content"]),))
    graph = remembered(tool_node(server, "echo"))

    def ask(number: int) -> Any:
        config: RunnableConfig = {"configurable": {"thread_id": str(number)}}
        state = color.invoke(graph, {"ask": f"question {number}"}, config)
        return state["answer"]["tools"][0]["result"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(24))) == [f"question {number}" for number in range(24)]
    assert len(server.executions) == 24


async def test_a_drained_graph_leaves_the_execution_and_takes_it_up_again(
    server: FakeQuant,
) -> None:
    gate = Gate()
    server.tools["slow"] = FakeTool("slow", result=1, states=(("running", gate),))
    graph = remembered(tool_node(server, "slow"))
    control = RunControl()
    job = asyncio.create_task(graph.ainvoke({"ask": "go"}, ON_A_THREAD, control=control))
    await asyncio.to_thread(server.requests.wait_for, "get_ai_tool_execution_status")
    control.request_drain()
    with pytest.raises(GraphDrained):
        await job
    gate.open()
    state = await graph.ainvoke(None, ON_A_THREAD)
    assert state["answer"]["tools"][0]["result"] == 1
    assert len(server.executions) == 1


async def test_every_look_is_a_sign_of_life_for_an_idle_time_out(server: FakeQuant) -> None:
    slow = FakeTool("slow", result=1, states=(("running", 60.0),))  # 0.6 s
    server.tools["slow"] = slow
    node = tool_node(server, "slow")
    graph = built(node, timeout=TimeoutPolicy(idle_timeout=0.3)).compile()
    state = await graph.ainvoke({"ask": "go"})
    assert state["answer"]["tools"][0]["result"] == 1


def test_a_service_that_lists_nothing_is_polled_all_the_same(color: Color) -> None:
    with FakeQuant(tools(), scale=0.01, lists=False, orchestration_in="nowhere") as server:
        node = waiting_node(server)
        ids = [server.start_execution(server.tools["count"]).execution_id for _ in range(3)]
        answers = color.invoke(node, {"ask": ids})["answer"]
    assert [answer["result"] for answer in answers] == [7, 7, 7]


async def test_cancelling_stops_the_waiting_and_says_that_the_work_goes_on(
    server: FakeQuant, caplog: pytest.LogCaptureFixture
) -> None:
    execution = server.start_execution(FakeTool("slow", states=(("running", Gate()),)))
    job = asyncio.create_task(waiting_node(server).ainvoke({"ask": execution.execution_id}))
    await asyncio.to_thread(server.requests.wait_for, "get_ai_tool_execution_status")
    job.cancel()
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(asyncio.CancelledError) as caught,
    ):
        await job
    assert "goes on on the server" in "".join(caught.value.__notes__)
    assert "goes on on the server" in caplog.text
    assert execution.status == "running"


# Orchestrations


def test_an_orchestration_that_was_started_elsewhere_is_awaited(
    server: FakeQuant, color: Color
) -> None:
    color.invoke(tool_node(server, "generate_image", "count"), {"ask": "both"})
    identifier = server.orchestrations[0].orchestration_id
    node = QuantOrchestrationNode(
        "gather",
        server.url,
        organisation="acme",
        input_path="ask",
        output_path="answer",
        pace=QUICK,
    )
    root = f"{server.url}/api/v3/organizations/acme/ai"
    for said in (identifier, f"{root}/tools/orchestrations/{identifier}"):
        state = color.invoke(remembered(node), {"ask": said}, ON_A_THREAD)
        assert state["answer"]["text"] == "All of it: generate_image, count"
    with pytest.raises(NodeInputError, match="configured host"):
        color.invoke(node, {"ask": f"https://evil/tools/orchestrations/{identifier}"})


# Chats


def look_up(word: str) -> str:
    """Looks a word up."""
    if word == "bad":
        raise LookupError("no such word")
    return word.upper()


def test_a_chat_runs_the_tools_it_was_given_and_asks_for_the_others(
    server: FakeQuant, color: Color
) -> None:
    rounds = [{"look_up": {"word": "x"}}, {"look_up": {"word": "y"}, "human": {"q": "color?"}}]
    server.make_chat = lambda request: {"rounds": rounds, "reply": "ok"}
    graph = remembered(chat_node(server, tools=[look_up]))
    paused = color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
    (question,) = paused["__interrupt__"]
    (asked,) = question.value["tools"]
    assert (asked["name"], asked["input"]) == ("human", {"q": "color?"})
    state = color.invoke(graph, Command(resume={question.id: "blue"}), ON_A_THREAD)
    assert state["answer"]["text"] == "ok"
    (chat,) = server.chats
    results = [[each["result"]["result"] for each in answer] for answer in chat.answers]
    assert results == [["X"], ["Y", "blue"]]
    (spec,) = chat.request["toolConfig"]["tools"]
    assert spec["toolSpec"]["name"] == "look_up"
    assert spec["toolSpec"]["inputSchema"]["json"]["required"] == ["word"]


def test_questions_of_several_tools_are_answered_by_tool_use(
    server: FakeQuant, color: Color
) -> None:
    server.make_chat = lambda request: {"rounds": [{"one": {}, "two": {}}], "reply": "ok"}
    graph = remembered(chat_node(server))
    paused = color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
    uses = [tool["toolUseId"] for tool in paused["__interrupt__"][0].value["tools"]]
    color.invoke(graph, Command(resume={use: {"n": n} for n, use in enumerate(uses)}), ON_A_THREAD)
    (answer,) = server.chats[0].answers
    assert [each["result"] for each in answer] == [{"n": 0}, {"n": 1}]


@pytest.mark.parametrize("answer", ["both", {"one": 1}, [], None])
def test_an_answer_that_does_not_tell_the_tools_apart_is_asked_for_again(
    server: FakeQuant, color: Color, answer: Any
) -> None:
    server.make_chat = lambda request: {"rounds": [{"one": {}, "two": {}}], "reply": "ok"}
    graph = remembered(chat_node(server))
    paused = color.invoke(graph, {"ask": "hi"}, ON_A_THREAD)
    (question,) = paused["__interrupt__"]
    with contextlib.suppress(NodeInputError):  # said by an error, or in the question
        color.invoke(graph, Command(resume={question.id: answer}), ON_A_THREAD)
    (question,) = graph.get_state(ON_A_THREAD).interrupts
    uses = [tool["toolUseId"] for tool in question.value["tools"]]
    results = {use: {"n": n} for n, use in enumerate(uses)}
    state = color.invoke(graph, Command(resume={question.id: results}), ON_A_THREAD)
    assert state["answer"]["text"] == "ok"
    assert len(server.chats) == 1


def test_a_tool_that_fails_is_told_to_the_model_or_ends_the_node(
    server: FakeQuant, color: Color
) -> None:
    server.make_chat = lambda request: {"rounds": [{"look_up": {"word": "bad"}}], "reply": "ok"}
    color.invoke(chat_node(server, tools=[look_up]), {"ask": "hi"})
    assert server.chats[0].answers[0][0]["result"] == {"error": "LookupError: no such word"}
    with pytest.raises(LookupError):
        color.invoke(chat_node(server, tools=[look_up], on_tool_error="raise"), {"ask": "hi"})


def test_a_callback_whose_answer_got_lost_is_taken_once(server: FakeQuant, color: Color) -> None:
    server.make_chat = lambda request: {"rounds": [{"look_up": {"word": "x"}}], "reply": "ok"}
    server.faults.add(Fault.lose_answer(), on="submit_tool_callback")
    answer = color.invoke(chat_node(server, tools=[look_up]), {"ask": "hi"})
    assert answer["answer"]["text"] == "ok"
    assert len(server.chats[0].answers) == 1
    assert server.requests.count("submit_tool_callback") == 2


def test_a_chat_that_asks_without_a_checkpointer_says_how_to_add_one(
    server: FakeQuant, color: Color
) -> None:
    server.make_chat = lambda request: {"rounds": [{"human": {}}]}
    with pytest.raises(CheckpointerRequiredError, match="human"):
        color.invoke(chat_node(server), {"ask": "hi"})


def test_a_chat_that_failed_says_why(server: FakeQuant, color: Color) -> None:
    error = {"ErrorMessage": "out of time", "ErrorType": "Timeout"}
    server.make_chat = lambda request: {"error": error}
    with pytest.raises(QuantRunError, match="out of time"):
        color.invoke(chat_node(server), {"ask": "hi"})


def test_an_agent_is_talked_to_by_its_id(server: FakeQuant, color: Color) -> None:
    node = chat_node(server, model_id=None, agent_id="agent-1")
    assert color.invoke(node, {"ask": "hi"})["answer"]["text"] == "Done."
    assert server.chats[0].request == {"message": "hi", "async": True, "agentId": "agent-1"}


def test_a_start_that_the_service_fails_is_unknown_and_can_be_risked(
    server: FakeQuant, color: Color
) -> None:
    server.faults.add(Fault.status(500), on="chat_inference", times=3)
    with pytest.raises(UnknownOutcomeError, match="durable chat"):
        color.invoke(chat_node(server), {"ask": "hi"})
    bold = chat_node(server, on_unknown="rerun")
    assert color.invoke(bold, {"ask": "hi"})["answer"]["text"] == "Done."


def test_a_service_that_never_works_is_a_service_error_worth_a_retry(
    server: FakeQuant, color: Color
) -> None:
    server.faults.add(Fault.status(500), on="chat_inference", times=None)
    with pytest.raises(ServiceException):
        color.invoke(chat_node(server, on_unknown="rerun"), {"ask": "hi"})


# What can never work


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda url: QuantToolNode("n", url, organisation="a"), "model_id and tools"),
        (lambda url: QuantToolNode("n", url, organisation="a", model_id="m"), "model_id and tools"),
        (lambda url: QuantChatNode("n", url, organisation="a"), "either model_id or agent_id"),
        (
            lambda url: QuantChatNode("n", url, organisation="a", agent_id="b", tools=[look_up]),
            "brings its own tools",
        ),
        (
            lambda url: QuantChatNode("n", url, organisation="a", model_id="m", spelling="x"),
            "spelling",
        ),
        (
            lambda url: QuantToolNode("a:b", url, organisation="a", execution_path="x"),
            "without ':'",
        ),
    ],
)
def test_a_node_that_can_never_work_is_refused_when_it_is_made(make: Any, says: str) -> None:
    with pytest.raises((NodeConfigurationError, ApiValueError), match=says):
        make("http://127.0.0.1:1")


def test_a_tool_that_does_not_exist_is_said_with_those_that_do(
    server: FakeQuant, color: Color
) -> None:
    with pytest.raises(NodeConfigurationError, match=r"'draw'; it has broken, count"):
        color.invoke(tool_node(server, "draw"), {"ask": "hi"})


def test_whole_entries_of_tools_are_sent_as_they_are(server: FakeQuant, color: Color) -> None:
    entry = server.tools["count"].entry()
    color.invoke(tool_node(server, entry), {"ask": [{"role": "user", "content": "hi"}]})
    (request,) = server.requests.matching("chat_inference")
    assert request.json["toolConfig"]["tools"] == [entry]
    assert server.requests.count("list_ai_tools") == 0


@pytest.mark.parametrize("said", [7, [], None, {"a": 1}])
def test_an_input_that_is_no_message_is_refused(server: FakeQuant, color: Color, said: Any) -> None:
    with pytest.raises(NodeInputError):
        color.invoke(tool_node(server, "count"), {"ask": said})
    assert server.chats_answered == 0


def test_a_model_may_want_a_tool_that_nobody_runs(server: FakeQuant, color: Color) -> None:
    server.model = lambda request: Turn("", (Use("unheard_of"),))
    answer = color.invoke(tool_node(server, "count"), {"ask": "hi"})
    assert answer["answer"]["tools"][0]["status"] == "requested"
