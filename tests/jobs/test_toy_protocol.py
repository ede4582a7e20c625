"""A protocol that says its few verbs has the whole life of a job, whatever dies in between."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.test_kill import ANSWERS, count_ticks, jobs, until_done
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, RetryPolicy
from support.byhand import Hand, reply
from support.colors import Color
from support.counted import answered
from support.toy import ToyError, ToyJob
from support.toy_graph import toy_graph
from support.toy_server import ToyServer
from support.zygote import Zygote

from acp_langgraph.errors import (
    ApiException,
    CheckpointerRequiredError,
    ForbiddenException,
    RunLostError,
    RunTimeoutError,
    UnprocessableEntityException,
)
from acp_langgraph.jobs.job import Entry
from acp_langgraph.jobs.life import run_job
from acp_langgraph.testing import Answer, Ask, Fail, Fault, Gate, Work

ON_A_THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
INPUT = {"ask": {"text": "hi"}}
TWICE = [Ask("color?"), Ask("food?"), Answer(lambda job: job.answers)]
AT_ONCE: dict[str, Any] = {"initial_interval": 0.0, "jitter": False}


def remembering(server: ToyServer, **options: Any) -> Any:
    return toy_graph(server.url, **options).compile(checkpointer=InMemorySaver())


class Processes:
    """A graph over one SQLite file; each time it is invoked, a process is new to it."""

    def __init__(self, color: Color, server: ToyServer, folder: Path, **options: Any) -> None:
        self._color = color
        self._server = server
        self._database = folder / "c.sqlite"
        self._options = options

    def invoke(self, value: Any) -> Any:
        builder = toy_graph(self._server.url, **self._options)
        with self._color.graph_over(builder, self._database) as graph:
            return self._color.invoke(graph, value, ON_A_THREAD)


@pytest.fixture
def processes(color: Color, tmp_path: Path) -> Callable[..., Processes]:
    return lambda server, **options: Processes(color, server, tmp_path, **options)


def asked(state: Any) -> list[Any]:
    return [each.value for each in state["__interrupt__"]]


def keys(server: ToyServer) -> list[str]:
    """What each job's key has more than the first one's."""
    return [job.key.removeprefix(server.jobs[0].key) for job in server.jobs]


# Found, or created


def test_a_job_is_created_and_awaited(color: Color) -> None:
    with ToyServer([Answer(lambda job: job.input["text"].upper())]) as server:
        assert color.invoke(remembering(server), INPUT, ON_A_THREAD)["answer"] == "HI"
        assert (server.created, server.completed) == (1, 1)
        assert [each.operation for each in server.requests] == ["create_job", "get_job"]


def test_on_reentry_the_job_is_looked_up_before_it_is_created() -> None:
    hand = Hand(run_job(ToyJob("key-1"), can_ask=True, entry=Entry(again=True)))
    assert hand.wants("find_jobs").query == {"key": "key-1"}
    hand.give(reply([{"id": "7", "status": "working"}]))
    assert hand.wants("get_job").path == "/jobs/7"
    hand.give(reply({"id": "7", "status": "done", "said": "done"}))
    assert hand.result["said"] == "done"


def test_on_reentry_a_job_that_was_never_started_is_created() -> None:
    hand = Hand(run_job(ToyJob("key-1"), can_ask=True, entry=Entry(again=True)))
    hand.wants("find_jobs")
    hand.give(reply([]))
    assert hand.wants("create_job").body == {"key": "key-1", "input": None}


def test_a_retry_of_a_graph_that_remembers_nothing_finds_the_job(color: Color) -> None:
    policy = RetryPolicy(retry_on=ForbiddenException, **AT_ONCE)
    with ToyServer([Answer("done")]) as server:
        server.faults.add(Fault.status(403), on="get_job")
        graph = toy_graph(server.url, retry_policy=policy).compile()
        assert color.invoke(graph, INPUT)["answer"] == "done"
        assert server.requests.count("find_jobs") == server.created == 1


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
@pytest.mark.parametrize("operation", ["create_job", "get_job", "answer_job"])
def test_whatever_becomes_of_a_request_there_is_one_job(
    color: Color, operation: str, fault: Fault
) -> None:
    with ToyServer(TWICE) as server:
        rule = server.faults.add(fault, on=operation)
        done = answered(color, remembering(server), INPUT, ON_A_THREAD, ANSWERS)
        assert done["answer"] == ["blue", "rice"]
        assert rule.hits == server.created == server.completed == 1
        assert server.answered == 2


def test_a_job_that_the_server_forgot_is_lost_and_not_done_again(color: Color) -> None:
    with ToyServer([Answer("done")]) as server:
        server.faults.add(Fault.status(404), on="get_job", times=None)
        with pytest.raises(RunLostError, match="job-1"):
            color.invoke(remembering(server), INPUT, ON_A_THREAD)
        assert server.created == 1


# Questions


def test_each_question_is_the_graphs_and_is_answered_on_the_same_job_by_another_process(
    processes: Callable[..., Processes],
) -> None:
    with ToyServer(TWICE) as server:
        graph = processes(server)
        assert asked(graph.invoke(INPUT)) == ["color?"]
        assert asked(graph.invoke(Command(resume="blue"))) == ["food?"]
        assert asked(graph.invoke(None)) == ["food?"]
        assert graph.invoke(Command(resume="rice"))["answer"] == ["blue", "rice"]
        assert (server.created, server.completed, server.answered) == (1, 1, 2)


def test_the_same_question_twice_is_two_questions(color: Color) -> None:
    with ToyServer([Ask("sure?"), Ask("sure?"), Answer(lambda job: job.answers)]) as server:
        graph = remembering(server)
        color.invoke(graph, INPUT, ON_A_THREAD)
        assert asked(color.invoke(graph, Command(resume="yes"), ON_A_THREAD)) == ["sure?"]
        assert color.invoke(graph, Command(resume="no"), ON_A_THREAD)["answer"] == ["yes", "no"]


def test_a_refused_answer_is_told_once_and_then_asked_for_again(
    processes: Callable[..., Processes],
) -> None:
    with ToyServer([Ask("color?"), Answer(lambda job: job.answers)]) as server:
        graph = processes(server)
        graph.invoke(INPUT)
        with pytest.raises(UnprocessableEntityException, match=r"is a text.*still waits"):
            graph.invoke(Command(resume=7))
        assert asked(graph.invoke(None)) == ["color?"]
        assert graph.invoke(Command(resume="blue"))["answer"] == ["blue"]
        assert server.requests.count("answer_job") == 2
        assert (server.created, server.answered) == (1, 1)


def test_an_answer_is_not_sent_again_to_a_job_that_has_moved_on(
    processes: Callable[..., Processes],
) -> None:
    with ToyServer(TWICE) as server:
        graph = processes(server)
        graph.invoke(INPUT)
        server.faults.add(Fault.status(403, after_work=True), on="answer_job")
        with pytest.raises(ForbiddenException):
            graph.invoke(Command(resume="blue"))
        assert asked(graph.invoke(None)) == ["food?"]
        assert graph.invoke(Command(resume="rice"))["answer"] == ["blue", "rice"]
        assert server.answered == server.requests.count("answer_job") == 2


def test_where_no_answer_can_be_waited_for_the_job_that_asks_is_ended(color: Color) -> None:
    with ToyServer(TWICE) as server:
        with pytest.raises(CheckpointerRequiredError, match="was cancelled"):
            color.invoke(toy_graph(server.url).compile(), INPUT)
        assert server.count("ended") == server.created == 1


# Whatever dies


@pytest.mark.parametrize("durability", ["async", "sync"])
@pytest.mark.parametrize("color_name", ["sync", "async"])
def test_a_killed_graph_has_one_job_in_the_end(
    zygote: Zygote, color_name: str, durability: str, points: int, tmp_path: Path
) -> None:
    with ToyServer(TWICE) as server:

        def make() -> dict[str, Any]:
            name = uuid.uuid4().hex
            return {
                "module": "support.toy_graph",
                "color": color_name,
                "durability": durability,
                "url": server.url,
                "thread": name,
                "database": str(tmp_path / f"{name}.sqlite"),
                "answers": ANSWERS,
                "input": {"ask": name},
            }

        for kills in jobs(points, count_ticks(zygote, make)):
            job = make()
            assert zygote.do({**job, "fatal": kills[0]})["exit"] == -signal.SIGKILL
            ended = until_done(zygote, job, kills[1:])
            assert ended["exit"] == 0, (kills, ended)
            assert ended["values"] == ["blue", "rice"], (kills, ended)
            found = [each for each in server.jobs if each.input == job["thread"]]
            assert [each.status for each in found] == ["done"], (kills, found)
            assert found[0].answers == ["blue", "rice"], (kills, found)


# Cancelled


@pytest.mark.parametrize("who", ["the same process", "another process"])
async def test_a_cancelled_call_ends_the_job_and_who_enters_again_has_it_done(who: str) -> None:
    gate = Gate()
    with ToyServer([Work(gate), Answer("done")]) as server:
        saver = InMemorySaver()
        graph = toy_graph(server.url).compile(checkpointer=saver)
        call = asyncio.create_task(graph.ainvoke(INPUT, ON_A_THREAD))
        await asyncio.to_thread(server.requests.wait_for, "get_job")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(server.wait_until, lambda: server.count("ended") == 1)
        gate.open()
        if who == "another process":  # whose node has cancelled nothing
            graph = toy_graph(server.url).compile(checkpointer=saver)
        assert (await graph.ainvoke(None, ON_A_THREAD))["answer"] == "done"
        assert keys(server) == ["", "/2"]
        assert (server.count("ended"), server.completed) == (1, 1)


async def test_a_job_whose_creation_is_on_its_way_is_found_and_ended() -> None:
    with ToyServer([Work(Gate()), Answer("done")]) as server:
        held = Gate()
        server.faults.add(Fault.hold(held), on="create_job")
        call = asyncio.create_task(remembering(server).ainvoke(INPUT, ON_A_THREAD))
        await asyncio.to_thread(server.wait_until, lambda: server.created == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        held.open()
        await asyncio.to_thread(server.wait_until, lambda: server.count("ended") == 1)
        assert server.created == 1


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Sends this process what Ctrl-C sends; also where whoever started it has switched that off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_a_blocking_graph_ends_the_job(ctrl_c: Callable[[], None]) -> None:
    with ToyServer([Work(Gate()), Answer("done")]) as server:

        def press() -> None:
            server.requests.wait_for("get_job")
            ctrl_c()

        pressing = threading.Thread(target=press)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            remembering(server).invoke(INPUT, ON_A_THREAD)
        pressing.join()
        server.wait_until(lambda: server.count("ended") == 1)
        assert server.created == 1


# Over its deadline


@pytest.mark.parametrize("on_timeout", ["cancel", "leave"])
def test_a_job_over_its_deadline_is_ended_or_left(color: Color, on_timeout: str) -> None:
    with ToyServer([Work(Gate()), Answer("done")]) as server:

        def clock() -> float:
            """An hour later once the job is waited for."""
            return 3600.0 * min(1, server.requests.count("get_job"))

        options = {"run_timeout": 60.0, "long_poll": 0.01, "clock": clock}
        graph = remembering(server, on_timeout=on_timeout, **options)
        with pytest.raises(RunTimeoutError, match="60") as caught:
            color.invoke(graph, INPUT, ON_A_THREAD)
        assert caught.value.run_id == server.jobs[0].job_id
        assert server.count("ended") == (on_timeout == "cancel")
        assert server.created == 1


def test_a_job_that_was_ended_at_its_deadline_is_done_again_by_who_enters_again(
    processes: Callable[..., Processes],
) -> None:
    gate = Gate()
    with ToyServer([Work(gate), Answer("done")]) as server:

        def clock() -> float:
            return 0.0 if gate.is_open else 3600.0 * min(1, server.requests.count("get_job"))

        graph = processes(server, run_timeout=60.0, long_poll=0.01, clock=clock)
        with pytest.raises(RunTimeoutError, match="was cancelled"):
            graph.invoke(INPUT)
        gate.open()
        assert graph.invoke(None)["answer"] == "done"
        assert keys(server) == ["", "/2"]
        assert (server.count("ended"), server.completed) == (1, 1)


# Failed


def failing(times: int) -> Any:
    """A script whose first jobs fail, and all others are done."""
    created: list[Any] = []

    def script(job: Any) -> Any:
        created.append(job)
        yield Fail("no ink") if len(created) <= times else Answer("done")

    return script


def test_a_retry_policy_that_takes_failed_jobs_has_them_done_again(color: Color) -> None:
    policy = RetryPolicy(retry_on=ToyError, max_attempts=3, **AT_ONCE)
    with ToyServer(failing(2)) as server:
        graph = remembering(server, retry_policy=policy)
        assert color.invoke(graph, INPUT, ON_A_THREAD)["answer"] == "done"
        assert keys(server) == ["", "/2", "/3"]


def test_a_failed_job_is_done_again_by_another_process_that_enters_again(
    processes: Callable[..., Processes],
) -> None:
    with ToyServer(failing(2)) as server:
        graph = processes(server)
        for step in (INPUT, None):
            with pytest.raises(ToyError, match="no ink"):
                graph.invoke(step)
        assert graph.invoke(None)["answer"] == "done"
        assert keys(server) == ["", "/2", "/3"]


def test_a_failure_that_nobody_was_told_of_is_told_before_the_job_is_done_again(
    processes: Callable[..., Processes],
) -> None:
    with ToyServer(failing(1)) as server:
        graph = processes(server)
        server.faults.add(Fault.status(403), on="get_job")
        with pytest.raises(ApiException, match="403"):
            graph.invoke(INPUT)
        with pytest.raises(ToyError, match="no ink"):
            graph.invoke(None)
        assert server.created == 1
        assert graph.invoke(None)["answer"] == "done"
        assert server.created == 2


def test_who_keeps_to_failures_is_told_the_same_again(
    processes: Callable[..., Processes],
) -> None:
    with ToyServer(failing(1)) as server:
        graph = processes(server, on_failure="keep")
        for step in (INPUT, None):
            with pytest.raises(ToyError, match="no ink"):
                graph.invoke(step)
        assert server.created == 1
