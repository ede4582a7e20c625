"""Agents that are made with the A2A project's own SDK, over each of its bindings."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("a2a", reason="needs a2a-sdk[http-server]")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel
from support.a2a_agent import SPOKEN_BY_SDKS, Baker, baker
from support.a2a_graph import a2a_graph
from support.colors import Color

from acp_langgraph.a2a import calls
from acp_langgraph.a2a.card import find_card
from acp_langgraph.a2a.peer import Peer, bindings_of
from acp_langgraph.errors import (
    A2ATaskError,
    A2ATaskRejectedError,
    CheckpointerRequiredError,
    UnknownOutcomeError,
)
from acp_langgraph.jobs.job import JobPolicy
from acp_langgraph.testing import Fault, FaultyProxy
from acp_langgraph.transport import Transport

PROJECT = Path(__file__).parents[2]
ON_A_THREAD: Any = {"configurable": {"thread_id": "1"}}


@pytest.fixture(params=SPOKEN_BY_SDKS)
def agent(request: pytest.FixtureRequest) -> Iterator[Baker]:
    binding, version = request.param.split()
    with baker(binding, version) as running:
        yield running


def remembering(agent: Any, **options: Any) -> Any:
    return a2a_graph(agent.url, **options).compile(checkpointer=InMemorySaver())


def asked(state: Any) -> list[Any]:
    return [each.value for each in state["__interrupt__"]]


class Order(BaseModel):
    pie: str
    count: int


@pytest.mark.parametrize("order", ["hello", {"pie": "apple", "count": 2}, [1, 2.5, None, "x"]])
def test_a_text_and_data_come_back_as_they_were(color: Color, agent: Baker, order: Any) -> None:
    if isinstance(order, list) and agent.is_old:
        pytest.skip("data is an object there")
    assert color.invoke(remembering(agent), {"ask": order}, ON_A_THREAD)["answer"] == order
    assert len(agent.executed) == 1


def test_integers_are_integers_again(color: Color, agent: Baker) -> None:
    graph = remembering(agent, output_type=Order)
    answer = color.invoke(graph, {"ask": Order(pie="apple", count=2)}, ON_A_THREAD)["answer"]
    assert answer == Order(pie="apple", count=2)
    assert isinstance(answer.count, int)


def test_an_artifact_in_pieces_is_put_together(color: Color, agent: Baker) -> None:
    assert color.invoke(remembering(agent), {"ask": "pieces"}, ON_A_THREAD)["answer"] == (
        "One large pie"
    )


def test_one_question_and_two_are_answered_on_the_same_task(color: Color, agent: Baker) -> None:
    for word, questions in (("ask", ["Which size?"]), ("twice", ["color?", "food?"])):
        graph = remembering(agent)
        state = color.invoke(graph, {"ask": word}, ON_A_THREAD)
        for question in questions:
            assert asked(state) == [question]
            state = color.invoke(graph, Command(resume=f"{question} yes"), ON_A_THREAD)
        assert state["answer"] == agent.said([f"{question} yes" for question in questions])
    assert len(agent.inputs) == 2
    assert len(agent.executed) == 5


def test_a_login_that_is_wanted_is_asked_for(color: Color, agent: Baker) -> None:
    graph = remembering(agent)
    state = color.invoke(graph, {"ask": "auth"}, ON_A_THREAD)
    wanted = {"state": "auth-required", "message": "Sign in at https://login.example"}
    assert asked(state) == [wanted]
    answer = color.invoke(graph, Command(resume="done"), ON_A_THREAD)["answer"]
    assert answer == agent.said(["done"])


@pytest.mark.parametrize(
    ("word", "error", "words"),
    [
        ("reject", A2ATaskRejectedError, "not my job"),
        ("fail", A2ATaskError, "burnt"),
        ("raise", A2ATaskError, "failed"),
    ],
)
@pytest.mark.parametrize("remembers", [True, False])
def test_a_failure_is_an_error_with_the_agents_words(
    color: Color, agent: Baker, word: str, error: Any, words: str, remembers: bool
) -> None:
    if word == "raise" and not isinstance(agent, Baker):
        pytest.skip("the SDK of 0.3 says for ever that such a task is at work")
    graph = remembering(agent) if remembers else a2a_graph(agent.url).compile()
    with pytest.raises(error, match=words):
        color.invoke(graph, {"ask": word}, ON_A_THREAD)
    assert len(agent.executed) == 1


def test_a_message_without_a_task_is_an_answer(color: Color, agent: Baker) -> None:
    assert color.invoke(remembering(agent), {"ask": "say it"}, ON_A_THREAD)["answer"] == (
        "only a message"
    )


def test_without_a_checkpointer_a_question_ends_the_task(color: Color, agent: Baker) -> None:
    with pytest.raises(CheckpointerRequiredError, match="was cancelled"):
        color.invoke(a2a_graph(agent.url).compile(), {"ask": "ask"})
    assert len(agent.canceled) == 1


def test_what_the_agent_says_meanwhile_is_in_the_stream(color: Color, agent: Baker) -> None:
    graph = remembering(agent)
    messages = color.stream(graph, {"ask": "pieces"}, ON_A_THREAD, stream_mode="messages")
    said = "".join(str(message.content) for message, _ in messages)
    assert said.replace("at it", "") == "One large pie"


async def until_begun(graph: Any) -> None:
    """Return once a graph remembers its task; a saver can only be asked again and again."""
    for _ in range(3000):
        if (await graph.checkpointer.aget_tuple(ON_A_THREAD)).pending_writes:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_a_cancelled_call_ends_the_task(agent: Baker) -> None:
    graph = remembering(agent)
    call = asyncio.create_task(graph.ainvoke({"ask": "hold"}, ON_A_THREAD))
    await asyncio.to_thread(agent.gate.entered.acquire)
    if agent.is_old:  # its task cannot be found by its context: only the id that it answers will do
        await until_begun(graph)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(agent.ended.acquire)
    assert agent.canceled == agent.executed


@pytest.mark.parametrize("fault", [Fault.lose_answer(), Fault.status(504, after_work=True)])
def test_a_lost_answer_begins_no_second_task(color: Color, agent: Baker, fault: Fault) -> None:
    with FaultyProxy(agent.url) as proxy:
        proxy.faults.add(fault, on="POST /*")
        agent.url = proxy.url
        try:
            state = color.invoke(remembering(agent), {"ask": "hello"}, ON_A_THREAD)
        except UnknownOutcomeError:
            assert agent.is_old  # where tasks cannot be listed
        else:
            assert state["answer"] == "hello"
        assert len(agent.executed) == 1


def test_a_tasks_webhooks_are_kept_and_a_message_may_be_followed_at_once(agent: Baker) -> None:
    if not isinstance(agent, Baker):
        pytest.skip("its SDK would need a store for them")
    with Transport(agent.url) as transport:
        found = transport.run(find_card("", retries=0))
        peer = Peer(found.card, bindings_of(found.card, agent.url))
        message = {"role": "ROLE_USER", "messageId": "m", "parts": [{"text": "ask"}]}
        following = peer.binding.call(calls.SEND_STREAMING_MESSAGE, {"message": message})
        lines = b"".join(transport.stream(following)).splitlines()
        events = [json.loads(each.removeprefix(b"data:")) for each in lines if b"data:" in each]
        told = [peer.binding.read(calls.SEND_STREAMING_MESSAGE, each) for each in events]
        assert told[-1].status_update is not None
        assert told[-1].status_update.status.asks
        (task,) = agent.executed

        def done(operation: calls.Operation[Any], **given: Any) -> Any:
            return transport.run(peer.asked(operation, given, JobPolicy(retries=0)))

        hook = {"url": "https://hooks.example/7", "token": "t0ken", "id": "h"}
        made = done(calls.CREATE_PUSH_CONFIG, taskId=task, **hook)
        assert (made.task_id, made.id, made.url, made.token) == (task, "h", hook["url"], "t0ken")
        assert done(calls.GET_PUSH_CONFIG, taskId=task, id="h").url == hook["url"]
        assert [each.id for each in done(calls.LIST_PUSH_CONFIGS, taskId=task).configs] == ["h"]
        done(calls.DELETE_PUSH_CONFIG, taskId=task, id="h")
        assert done(calls.LIST_PUSH_CONFIGS, taskId=task).configs == []


def test_the_demo_runs_with_the_same_agents_over_a2a(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    example = [sys.executable, str(PROJECT / "examples" / "a2a_sdk" / "campaign.py"), "--port", "0"]
    demo = [sys.executable, "-m", "acp_langgraph", "demo", "--yes", "--outbox", str(tmp_path)]
    with subprocess.Popen(example, stdout=subprocess.PIPE, text=True, env=environment) as served:
        assert served.stdout is not None
        told = served.stdout.readline().split()[2:]
        done = subprocess.run(
            [*demo, *told],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=False,
        )
        served.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*.eml"))) == 1
