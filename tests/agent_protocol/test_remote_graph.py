"""A graph on a server of LangGraph's Agent Protocol, as a node: found or started once, asked, failed, ended."""

from __future__ import annotations

import asyncio
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, Send
from support.byhand import Hand, reply
from support.colors import Color
from support.counted import answered
from support.remote_graph import builder_for, node_for, remembering

from acp_langgraph import (
    CheckpointerRequiredError,
    NodeConfigurationError,
    RemoteGraphError,
    RemoteGraphNode,
    RunLostError,
    RunTimeoutError,
    UnknownAgentError,
    UnknownOutcomeError,
)
from acp_langgraph.agent_protocol.calls import KEY
from acp_langgraph.agent_protocol.job import GraphJob
from acp_langgraph.agent_protocol.order import GraphOrder
from acp_langgraph.errors import ApiValueError, ForbiddenException
from acp_langgraph.jobs.job import Entry
from acp_langgraph.jobs.life import run_job
from acp_langgraph.testing import Answer, Ask, Fail, FakeLangGraphServer, Fault, Gate, Work

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT: dict[str, Any] = {"ask": {"text": "hi"}}
ANSWERS = {"color?": "blue", "food?": "rice"}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda run: {"answers": run.answers})]
SEVERAL = [Ask(("color?", "food?")), Answer(lambda run: {"answers": run.answers})]
AT_ONCE: dict[str, Any] = {"initial_interval": 0.0, "jitter": False}
BOTH_KINDS = pytest.mark.parametrize(
    "served", [FakeLangGraphServer, FakeLangGraphServer.like_aegra], ids=["dev", "aegra"]
)


def asked(state: Any) -> list[Any]:
    return [each.value for each in state["__interrupt__"]]


# Found, or started


@BOTH_KINDS
def test_each_execution_has_a_remote_thread_of_its_own(color: Color, served: Any) -> None:
    with served([Answer(lambda run: {"loud": run.input["text"].upper()})]) as server:
        graph = remembering(server)
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == {"text": "hi", "loud": "HI"}
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"]["loud"] == "HI"
        assert len(server.threads) == server.created == server.completed == 2


def test_branches_of_a_fan_out_have_threads_of_their_own(color: Color) -> None:
    class Found(TypedDict, total=False):
        ask: dict[str, Any]
        answer: Annotated[list[Any], operator.add]

    with FakeLangGraphServer([Answer(lambda run: [run.input["text"]])]) as server:
        builder = StateGraph(Found).add_node(node_for(server))
        sends = [Send("remote", {"ask": {"text": text}}) for text in "abc"]
        builder.add_conditional_edges(START, lambda _: sends, ["remote"])
        graph = builder.compile(checkpointer=InMemorySaver())
        assert color.invoke(graph, {}, ON_A_THREAD)["answer"] == ["a", "b", "c"]
        assert len(server.threads) == server.created == 3


def test_a_thread_is_made_by_the_request_that_starts_the_run(color: Color) -> None:
    gate = Gate()
    gate.open()
    with FakeLangGraphServer([Work(gate), Answer("done")]) as server:
        color.invoke(node_for(server), INPUT)
        made = [each.operation for each in server.requests if each.method == "POST"]
        assert made == ["wait_run"]
        assert server.requests[0].json["if_not_exists"] == "create"
        assert server.requests[0].json["on_disconnect"] == "continue"


@BOTH_KINDS
@pytest.mark.parametrize("remembers", [True, False])
def test_a_run_that_ends_by_itself_takes_two_requests(
    color: Color, served: Any, remembers: bool
) -> None:
    with served([Answer("done")]) as server:
        graph = remembering(server) if remembers else builder_for(server).compile()
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "done"
        assert [each.operation for each in server.requests] == ["wait_run", "get_state"]


def test_what_is_not_at_its_end_is_judged_by_its_run_as_well() -> None:
    hand = Hand(run_job(GraphJob(GraphOrder("key-1", "agent")), can_ask=True))
    hand.wants("wait_run")
    hand.give(reply({"text": "so far"}))
    stopped = {"values": {"text": "so far"}, "next": ["work"], "tasks": [{"name": "work"}]}
    hand.wants("get_state")
    hand.give(reply({**stopped, "metadata": {"run_id": "1"}}))
    for _ in range(2):
        hand.wants("list_runs")
        hand.give(reply([{"run_id": "1", "status": "interrupted"}]))
    hand.wants("get_state")
    with pytest.raises(RemoteGraphError, match="it was cancelled"):
        hand.give(reply(stopped))


@pytest.mark.parametrize("said", [{"__error__": {"error": "A", "message": "b"}}, {"text": "hi"}])
def test_a_state_tells_by_itself_only_if_it_names_its_run_and_no_failure_was_told(
    said: Any,
) -> None:
    hand = Hand(run_job(GraphJob(GraphOrder("key-1", "agent")), can_ask=True))
    hand.wants("wait_run")
    hand.give(reply(said))
    hand.wants("get_state")
    whose = {"run_id": "1"} if "__error__" in said else {}
    hand.give(reply({"values": {"text": "hi"}, "next": [], "tasks": [], "metadata": whose}))
    hand.wants("list_runs")


@pytest.mark.parametrize("status", [404, 405])
def test_where_starting_and_waiting_are_not_one_request_they_are_two(status: int) -> None:
    hand = Hand(run_job(GraphJob(GraphOrder("key-1", "agent")), can_ask=True))
    hand.wants("wait_run")
    hand.give(reply({"detail": "Not here"}, status))
    hand.wants("create_run")
    hand.give(reply({"run_id": "1", "status": "pending"}))
    hand.wants("list_runs")


def test_a_run_that_was_taken_up_and_is_not_known_is_lost() -> None:
    hand = Hand(run_job(GraphJob(GraphOrder("key-1", "agent")), can_ask=True))
    hand.wants("wait_run")
    hand.give(reply({}))
    hand.wants("get_state")
    hand.give(reply({"detail": "Thread not found"}, 404))
    hand.wants("list_runs")
    with pytest.raises(RunLostError, match="does not know it"):
        hand.give(reply({"detail": "Thread not found"}, 404))


def test_on_reentry_the_threads_runs_are_looked_at_before_one_is_started() -> None:
    order = GraphOrder("key-1", "agent")
    hand = Hand(run_job(GraphJob(order), can_ask=True, entry=Entry(again=True)))
    assert hand.wants("list_runs").path == f"/threads/{order.thread_id}/runs"
    hand.give(reply([{"run_id": "2", "status": "success"}, {"run_id": "1", "status": "success"}]))
    hand.wants("list_runs")
    hand.give(reply([{"run_id": "2", "status": "success"}]))
    hand.wants("get_state")
    hand.give(reply({"values": {"text": "done"}, "next": [], "tasks": []}))
    assert (hand.result["values"], hand.result["run_id"]) == ({"text": "done"}, "1")


def test_a_thread_that_is_busy_with_this_very_order_tells_its_run() -> None:
    hand = Hand(run_job(GraphJob(GraphOrder("key-1", "agent")), can_ask=True))
    for operation in ("wait_run", "create_run"):
        hand.wants(operation)
        hand.give(reply({"detail": "Thread is already running a task."}, 409))
    hand.wants("list_runs")
    hand.give(reply([{"run_id": "1", "status": "running"}]))
    hand.wants("list_runs")
    hand.give(reply([{"run_id": "1", "status": "running"}]))
    assert hand.wants("join_run").path.endswith("/runs/1/join")


@pytest.mark.parametrize(
    "fault",
    [
        Fault.lose_answer(),
        Fault.drop_before_work(reset=True),
        Fault.status(502),
        Fault.status(504, after_work=True),
        Fault.html(200, after_work=True),
        Fault.truncated_json(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("operation", ["start", "list_runs", "get_state"])
@BOTH_KINDS
def test_whatever_becomes_of_a_request_there_is_one_run(
    color: Color, operation: str, fault: Fault, served: Any
) -> None:
    with served(TWICE) as server:
        rule = server.faults.add(fault, on=operation)
        done = answered(color, remembering(server), INPUT, ON_A_THREAD, ANSWERS)
        assert done["answer"]["answers"] == ["blue", "rice"]
        assert rule.hits == server.created == server.completed == 1
        assert server.run.answers == ["blue", "rice"]


@pytest.mark.parametrize(
    "fault", [Fault.lose_answer(), Fault.status(502), Fault.truncated_json()], ids=repr
)
def test_whatever_becomes_of_a_join_the_run_is_waited_for(color: Color, fault: Fault) -> None:
    with FakeLangGraphServer([Work(0.1), Answer("done")]) as server:
        server.faults.add(Fault.drop_after(0), on="wait_run")
        rule = server.faults.add(fault, on="join_run")
        assert color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"] == "done"
        assert rule.hits == server.created == 1


def test_a_join_that_stays_open_is_given_up_and_the_run_read(color: Color) -> None:
    with FakeLangGraphServer([Work(0.3), Answer("done")]) as server:
        graph = remembering(server, timeout=0.1)
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "done"
        assert server.created == 1


def test_a_retry_of_a_graph_that_remembers_nothing_finds_the_run(color: Color) -> None:
    policy = RetryPolicy(retry_on=ForbiddenException, **AT_ONCE)
    with FakeLangGraphServer([Answer("done")]) as server:
        server.faults.add(Fault.status(403), on="get_state")
        graph = builder_for(server, retry_policy=policy).compile()
        assert color.invoke(graph, INPUT)["answer"] == "done"
        assert server.created == 1


@BOTH_KINDS
def test_a_run_that_the_server_forgot_is_lost_and_not_done_again(color: Color, served: Any) -> None:
    with served([Ask("color?"), Answer("done")]) as server:
        graph = remembering(server)
        color.invoke(graph, INPUT, ON_A_THREAD)
        server.forget()
        with pytest.raises(RunLostError, match=server.runs[0].run_id):
            color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert server.created == 1


# Questions


@BOTH_KINDS
def test_each_question_is_answered_by_its_id_on_the_same_thread(
    color: Color, served: Any, tmp_path: Path
) -> None:
    with served(TWICE) as server:
        builder = builder_for(server)
        for given, questions in [
            (INPUT, ["color?"]),
            (Command(resume="blue"), ["food?"]),
            (None, ["food?"]),
        ]:
            with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
                assert asked(color.invoke(graph, given, ON_A_THREAD)) == questions
        with color.graph_over(builder, tmp_path / "c.sqlite") as graph:
            done = color.invoke(graph, Command(resume="rice"), ON_A_THREAD)
        assert done["answer"]["answers"] == ["blue", "rice"]
        assert server.run.answers == ["blue", "rice"]
        assert len(server.threads) == 1
        sent = [each.json for each in server.requests.matching("start")]
        assert [list((each.get("command") or {}).get("resume", {}).values()) for each in sent] == [
            *[[], ["blue"], ["rice"]]
        ]


@BOTH_KINDS
def test_several_questions_are_shown_by_their_ids_and_may_be_answered_one_by_one(
    color: Color, served: Any
) -> None:
    with served(SEVERAL) as server:
        graph = remembering(server)
        (shown,) = asked(color.invoke(graph, INPUT, ON_A_THREAD))
        first, second = shown["interrupts"]
        assert shown["interrupts"] == {first: "color?", second: "food?"}
        left = color.invoke(graph, Command(resume={second: "rice"}), ON_A_THREAD)
        assert asked(left) == ["color?"]
        done = color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        assert done["answer"]["answers"] == [["blue", "rice"]]
        assert server.created == 1


def test_several_questions_take_all_their_answers_at_once(color: Color) -> None:
    with FakeLangGraphServer(SEVERAL) as server:
        graph = remembering(server)
        (shown,) = asked(color.invoke(graph, INPUT, ON_A_THREAD))
        answers = dict(zip(shown["interrupts"], ["blue", "rice"], strict=True))
        done = color.invoke(graph, Command(resume=answers), ON_A_THREAD)
        assert done["answer"]["answers"] == [["blue", "rice"]]


def test_a_plain_answer_to_several_questions_is_refused_once(color: Color) -> None:
    with FakeLangGraphServer(SEVERAL) as server:
        graph = remembering(server)
        color.invoke(graph, INPUT, ON_A_THREAD)
        with pytest.raises(ApiValueError, match="2 questions are open; give a dict by their ids"):
            color.invoke(graph, Command(resume="blue"), ON_A_THREAD)
        (shown,) = asked(color.invoke(graph, None, ON_A_THREAD))
        assert list(shown["interrupts"].values()) == ["color?", "food?"]
        assert server.run.answers == []


@pytest.mark.parametrize("answer", [None, False, 0, "", [], {"any": ["JSON"]}], ids=repr)
def test_an_answer_may_be_any_json(color: Color, answer: Any) -> None:
    with FakeLangGraphServer([Ask("?"), Answer(lambda run: {"answers": run.answers})]) as server:
        graph = remembering(server)
        (question,) = color.invoke(graph, INPUT, ON_A_THREAD)["__interrupt__"]
        done = color.invoke(graph, Command(resume={question.id: answer}), ON_A_THREAD)
        assert done["answer"]["answers"] == [answer]


def test_an_answer_that_somebody_gave_elsewhere_is_not_given_again(color: Color) -> None:
    with FakeLangGraphServer(TWICE) as server:
        graph = remembering(server)
        color.invoke(graph, INPUT, ON_A_THREAD)
        (thread,) = server.threads.values()
        (question,) = thread.questions()
        order = GraphOrder("another", "agent", shared_thread=thread.thread_id)
        body = order.answering({question: "green"})
        httpx.post(f"{server.url}/threads/{thread.thread_id}/runs", json=body).raise_for_status()
        assert asked(color.invoke(graph, Command(resume="blue"), ON_A_THREAD)) == ["food?"]
        assert server.run.answers == ["green"]


@BOTH_KINDS
def test_a_question_that_nothing_can_wait_for_ends_the_thread(color: Color, served: Any) -> None:
    with served(TWICE) as server:
        with pytest.raises(CheckpointerRequiredError, match="The remote run was cancelled"):
            color.invoke(node_for(server), INPUT)
        assert server.run.deleted
        assert not server.threads


# Failures


@BOTH_KINDS
def test_a_failure_tells_the_node_that_failed_and_why(color: Color, served: Any) -> None:
    with served([Fail("upstream is away")]) as server:
        with pytest.raises(
            RemoteGraphError, match=r"failed in agent: .*upstream is away"
        ) as caught:
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        (thread,) = server.threads.values()
        assert caught.value.failed_in == ("agent",)
        assert caught.value.run_id == server.run.run_id
        assert caught.value.thread_id == thread.thread_id


def test_a_failed_run_is_done_again_on_a_thread_of_its_own_once_that_was_told(
    color: Color,
) -> None:
    outcomes = iter([Fail("once"), Answer("done")])

    def script(_: Any) -> Any:
        yield next(outcomes)

    with FakeLangGraphServer(script) as server:
        graph = remembering(server)
        with pytest.raises(RemoteGraphError):
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert color.invoke(graph, None, ON_A_THREAD)["answer"] == "done"
        assert server.created == len(server.threads) == 2


def test_a_graph_that_stops_without_asking_is_a_failure_that_says_so() -> None:
    hand = Hand(run_job(GraphJob(GraphOrder("key-1", "agent")), can_ask=True))
    state = {"values": {}, "next": ["send"], "tasks": [{"name": "send", "interrupts": []}]}
    hand.wants("wait_run")
    hand.give(reply({}))
    hand.wants("get_state")
    hand.give(reply(state))
    for _ in range(2):
        hand.wants("list_runs")
        hand.give(reply([{"run_id": "1", "status": "success"}]))
    hand.wants("get_state")
    with pytest.raises(RemoteGraphError, match="stopped before send and asks nothing"):
        hand.give(reply(state))


@pytest.mark.parametrize("assistant", ["nope", "50790512-9f1e-43f7-9929-5405565079a8"])
def test_an_assistant_that_is_not_there_is_named(color: Color, assistant: str) -> None:
    with FakeLangGraphServer() as server, pytest.raises(UnknownAgentError, match=assistant):
        color.invoke(remembering(server, assistant=assistant), INPUT, ON_A_THREAD)


# Ended


def test_a_run_over_its_deadline_is_cancelled(color: Color) -> None:
    gate = Gate()
    with FakeLangGraphServer([Work(gate), Answer("done")]) as server:
        with pytest.raises(RunTimeoutError, match="it was cancelled"):
            color.invoke(remembering(server, run_timeout=0.2), INPUT, ON_A_THREAD)
        assert server.run.cancelled


@pytest.mark.parametrize("on_cancel", ["cancel", "detach"])
async def test_a_cancelled_execution_ends_the_run_unless_it_is_detached(on_cancel: Any) -> None:
    gate = Gate()
    with FakeLangGraphServer([Work(gate), Answer("done")]) as server:
        graph = remembering(server, on_cancel=on_cancel)
        job = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
        await asyncio.to_thread(server.requests.wait_for, "wait_run")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        if on_cancel == "cancel":
            await asyncio.to_thread(server.wait_until, lambda: server.runs[0].cancelled)
        gate.open()
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert server.created == (2 if on_cancel == "cancel" else 1)


# A thread that remembers


@BOTH_KINDS
def test_a_thread_that_remembers_is_the_same_for_every_execution(color: Color, served: Any) -> None:
    with served(TWICE) as server:
        graph = remembering(server, use_threads=True)
        for _ in range(2):
            done = answered(color, graph, INPUT, ON_A_THREAD, ANSWERS)
            assert done["answer"]["answers"] == ["blue", "rice"]
        assert (len(server.threads), server.created, server.completed) == (1, 2, 2)
        sent = server.requests.matching("create_run")[0].json
        assert sent["multitask_strategy"] == "enqueue"
        assert KEY in sent["metadata"]


@BOTH_KINDS
def test_a_lost_answer_on_a_thread_that_remembers_is_found_by_metadata(
    color: Color, served: Any
) -> None:
    with served([Answer(lambda run: run.input)]) as server:
        graph = remembering(server, use_threads=True)
        color.invoke(graph, INPUT, ON_A_THREAD)
        server.faults.add(Fault.lose_answer(), on="create_run")
        done = color.invoke(graph, {"ask": {"text": "again"}}, ON_A_THREAD)
        assert done["answer"]["text"] == "again"
        assert server.created == 2


def test_where_metadata_is_not_kept_it_is_said_that_nothing_can_be_known(color: Color) -> None:
    with FakeLangGraphServer([Answer("done")], keeps_metadata=False) as server:
        graph = remembering(server, use_threads=True)
        color.invoke(graph, INPUT, ON_A_THREAD)
        server.faults.add(Fault.lose_answer(), on="create_run")
        with pytest.raises(UnknownOutcomeError, match="does not keep their metadata"):
            color.invoke(graph, INPUT, ON_A_THREAD)


def test_a_question_on_a_thread_that_remembers_is_given_up_if_nothing_can_wait(
    color: Color,
) -> None:
    with FakeLangGraphServer(TWICE) as server:
        graph = builder_for(server, use_threads=True).compile()
        with pytest.raises(CheckpointerRequiredError):
            color.invoke(graph, INPUT)
        (thread,) = server.threads.values()
        assert thread.is_given_up


# What is sent


def test_tags_configuration_and_metadata_reach_the_remote_graph(color: Color) -> None:
    class State(TypedDict, total=False):
        ask: dict[str, Any]
        answer: Any
        settings: dict[str, Any]

    with FakeLangGraphServer([Answer("done")]) as server:
        node = node_for(server, config_path="settings")
        graph = StateGraph(State).add_node(node).add_edge(START, "remote").compile()
        config: RunnableConfig = {"tags": ["mine"], "metadata": {"who": "ada"}}
        color.invoke(graph, {**INPUT, "settings": {"model": "m"}}, config)
        sent = server.requests.matching("start")[0].json
        del sent["config"]["metadata"]
        assert sent["config"] == {"tags": ["mine"], "configurable": {"model": "m"}}
        assert sent["metadata"]["who"] == "ada"
        assert "context" not in sent


def test_a_configuration_of_none_is_left_to_the_remote_graph(color: Color) -> None:
    with FakeLangGraphServer([Answer("done")]) as server:
        color.invoke(node_for(server, config_path="settings"), {**INPUT, "settings": None})
        assert "configurable" not in server.requests.matching("start")[0].json["config"]


def test_a_context_is_made_by_a_plan(color: Color) -> None:
    with FakeLangGraphServer([Answer("done")]) as server:
        graph = remembering(server, context={"user": "config:user_id", "asked": "ask.text"})
        color.invoke(graph, INPUT, {"configurable": {"thread_id": "1", "user_id": "ada"}})
        sent = server.requests.matching("start")[0].json
        assert sent["context"] == {"user": "ada", "asked": "hi"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"context": {"a": "ask"}, "config_path": "ask"}, "either context or config_path"),
        ({"stream_mode": "updates"}, "'values', 'custom', 'messages', a list of these 3"),
        ({"multitask_strategy": "wait"}, "multitask_strategy is"),
        ({"on_failure": "retry"}, "on_failure is"),
        ({"assistant": ""}, "assistant_id is empty"),
    ],
)
def test_what_can_never_work_is_refused_when_the_node_is_made(
    options: dict[str, Any], problem: str
) -> None:
    with FakeLangGraphServer() as server, pytest.raises(NodeConfigurationError, match=problem):
        node_for(server, **options)


def test_a_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="durability"):
        RemoteGraphNode("remote", "agent", "http://a", durability="sync")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["LANGGRAPH_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"])
def test_the_key_of_langgraphs_own_clients_is_sent_where_nothing_else_says_who(
    color: Color, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "lsv2_secret")
    with FakeLangGraphServer([Answer("done")], api_key="lsv2_secret") as server:
        node = RemoteGraphNode("remote", "agent", server.url, "ask", None, "answer", None)
        assert color.invoke(node, INPUT)["answer"] == "done"
        own = RemoteGraphNode("remote", "agent", server.url, "ask", headers={"x-api-key": "mine"})
        with pytest.raises(Exception, match="401"):
            color.invoke(own, INPUT)
        assert server.requests[-1].headers["x-api-key"] == "mine"
